"""What an account of OKX may be set to: hedge mode, orders for an amount of money; and lists with one bad element."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Balance, Fill, Liquidation, Order, Position
from tickhive.plugin.contract import Malformed
from tickhive_okx.venue_account import Row, SimulatedAccount

dec = Decimal
TS, NS = "1791369351001", 1_791_369_351_001_000_000
SWAP = "BTC-USDT-SWAP"
TYPES = (DataType.BALANCE, DataType.POSITION, DataType.ORDER, DataType.FILL)


class Told:
    """What a simulated account tells, as its pushes are read."""

    def __init__(self, view: Any, **options: Any) -> None:
        self.view = view
        view.ask(*(Channel(EVERY, EVERY, kind) for kind in TYPES))
        self.account = SimulatedAccount("k", "s", "p", tell=self.tell, clock=lambda: NS, **options)
        self.events: list[Any] = []

    def tell(self, account: SimulatedAccount, channel: str, rows: list[Row]) -> None:
        if channel in ("fills", "balance_and_position"):
            return
        arg = {"channel": channel, "uid": account.uid} | ({} if channel == "account" else {"instType": "ANY"})
        data = [{"uTime": TS, "details": rows}] if channel == "account" else rows
        self.events += self.view.parse(json.loads(json.dumps({"arg": arg, "data": data})))

    def of(self, kind: type) -> list[Any]:
        assert not [event for event in self.events if isinstance(event, Malformed)]
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def told(make_view: Callable[..., Any]) -> Callable[..., Told]:
    return lambda **options: Told(make_view(account="main"), **options)


def test_in_hedge_mode_every_event_says_which_of_two_positions_it_is_about(told: Any) -> None:
    here = told(hedge=True)
    for slot, side, size in (
        ("long", "buy", "3"),
        ("short", "sell", "5"),
        ("short", "buy", "2"),
        ("long", "sell", "3"),
    ):
        order = here.account.place_order(SWAP, side, size, "50000", posSide=slot)
        here.account.fill(order, size)
    slots = ["long", "short", "short", "long"]
    assert [event.position_side for event in here.of(Fill)] == slots
    assert [event.position_side for event in here.of(Order)] == [slot for slot in slots for _ in range(2)]
    assert [(event.side, event.size) for event in here.of(Position)] == [
        ("long", 3), ("short", -5), ("short", -3), ("long", 0),
    ]  # fmt: skip
    assert len({event.id for event in here.of(Position)}) == 2


def test_a_hedged_order_says_which_position_it_is_for(told: Any) -> None:
    with pytest.raises(ValueError, match="posSide long or short"):
        told(hedge=True).account.place_order(SWAP, "buy", "1", "5")


def test_a_hedged_liquidation_closes_its_own_side(told: Any) -> None:
    here = told(hedge=True)
    here.account.set_position(SWAP, "3", side="short")
    here.account.liquidate(SWAP, "3", "70000")
    order = here.of(Order)[-1]
    assert (order.side, order.position_side) == ("buy", "short")
    assert here.account.fills[-1]["posSide"] == "short"


def test_fills_fetched_by_rest_say_it_too(make_view: Callable[..., Any]) -> None:
    row = {
        "side": "buy", "fillSz": "2", "fillPx": "59999", "fee": "-1", "ordId": "9", "instType": "SWAP", "instId": SWAP,
        "billId": "5", "fillTime": TS, "execType": "T", "tradeId": "77", "feeCcy": "USDT", "ts": TS, "posSide": "long",
    }  # fmt: skip
    url = "https://openapi.okx.com/api/v5/trade/fills?limit=100#left=100"
    (fill,) = make_view(account="main").read(url, {"code": "0", "msg": "", "data": [row]})
    assert fill.position_side == "long"


def test_what_a_position_has_brought_so_far(told: Any) -> None:
    here = told()
    for side, size, price, fee in (
        ("buy", "2", "100", "-1"), ("buy", "2", "110", "0"), ("sell", "3", "120", "-2"), ("sell", "3", "100", "0"),
    ):  # fmt: skip
        here.account.fill(here.account.place_order(SWAP, side, size, price), size, fee=fee)
    assert [(event.size, event.entry_price, event.realised_profit) for event in here.of(Position)] == [
        (2, 100, -1), (4, 105, -1), (1, 105, 42), (-2, 100, 37),
    ]  # fmt: skip


@pytest.mark.parametrize("fields", [{}, {"tgtCcy": ""}])
def test_an_order_for_an_amount_of_money_has_the_size_that_is_filled(told: Any, fields: dict[str, str]) -> None:
    here = told()
    order = here.account.place_order("BTC-USDT", "buy", "1000", "", "market", **fields)
    here.account.fill(order, "0.01", "50000")
    here.account.fill(order, "0.01", "50000")
    assert [(event.status, event.size, event.filled) for event in here.of(Order)] == [
        ("open", 0, 0),
        ("partially_filled", dec("0.01"), dec("0.01")),
        ("filled", dec("0.02"), dec("0.02")),
    ]


@pytest.mark.parametrize(
    ("side", "kind", "fields"),
    [("sell", "market", {}), ("buy", "market", {"tgtCcy": "base_ccy"}), ("buy", "limit", {})],
)
def test_any_other_order_keeps_its_size(told: Any, side: str, kind: str, fields: dict[str, str]) -> None:
    here = told()
    order = here.account.place_order("BTC-USDT", side, "3", "50000", kind, **fields)
    here.account.fill(order, "1")
    here.account.fill(order, "2")
    assert [(event.status, event.size, event.filled) for event in here.of(Order)] == [
        ("open", 3, 0), ("partially_filled", 3, 1), ("filled", 3, 3),
    ]  # fmt: skip


def test_contracts_bought_at_the_market_are_contracts(told: Any) -> None:
    here = told()
    here.account.place_order(SWAP, "buy", "3", "", "market")
    assert [event.size for event in here.of(Order)] == [3]


# Lists inside a row


def push(channel: str, row: dict[str, Any], **arg: str) -> dict[str, Any]:
    return {"arg": {"channel": channel, **arg}, "data": [row]}


CLOSE = {"side": "buy", "posSide": "short", "bkPx": "64000", "sz": "3", "bkLoss": "0", "ccy": "", "ts": TS}
CASH = {"ccy": "BTC", "cashBal": "1", "uTime": TS}
HELD = {"posId": "1", "instId": SWAP, "mgnMode": "cross", "posSide": "net", "pos": "2", "avgPx": "5", "uTime": TS}


@pytest.mark.parametrize(
    ("channel", "field", "good", "bad", "kind", "named"),
    [
        ("account", "details", CASH, {"cashBal": "n/a"}, Balance, "cash_bal"),
        ("account", "details", CASH, {"ccy": None}, Balance, "ccy"),
        ("balance_and_position", "balData", CASH, {"cashBal": "1e99"}, Balance, "cash_bal"),
        ("balance_and_position", "posData", HELD, {"pos": "NaN"}, Position, "pos"),
        ("balance_and_position", "posData", HELD, {"posSide": "up"}, Position, "posSide"),
        ("liquidation-orders", "details", CLOSE, {"sz": ""}, Liquidation, "is not a number"),
        ("liquidation-orders", "details", CLOSE, {"bkPx": "x"}, Liquidation, "bk_px"),
        ("liquidation-orders", "details", CLOSE, {"side": ""}, Liquidation, "side"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_element_costs_no_other(
    view: Any, channel: str, field: str, good: dict[str, Any], bad: dict[str, Any], kind: type, named: str, place: int
) -> None:
    elements = [good, good]
    elements.insert(place, good | bad)
    events = view.parse(push(channel, {"instId": SWAP, field: elements}, instType="SWAP"))
    kinds: list[type] = [kind, kind]
    kinds.insert(place, Malformed)
    assert [type(event) for event in events] == kinds
    assert named in events[place].why
    assert channel in events[place].why


# Times and counts that are none


TRADE = {"instId": SWAP, "tradeId": "77", "px": "64040.2", "sz": "0.5", "side": "sell", "ts": TS}
BOOK = {"asks": [["2", "5", "0", "1"]], "bids": [["1", "5", "0", "1"]], "ts": "0", "seqId": 5, "prevSeqId": -1}


@pytest.mark.parametrize(
    "frame",
    [
        push("trades", TRADE | {"ts": "0"}, instId=SWAP),
        push("tickers", {"instId": SWAP, "ts": "0"}, instId=SWAP),
        push("bbo-tbt", BOOK, instId=SWAP),
        push("books5", BOOK, instId=SWAP),
        push("books", BOOK, instId=SWAP) | {"action": "snapshot"},
        push("books", BOOK, instId=SWAP) | {"action": "update"},
        push("mark-price", {"instId": SWAP, "markPx": "5", "ts": "0"}, instId=SWAP),
        push("index-tickers", {"instId": "BTC-USDT", "idxPx": "5", "ts": "0"}, instId="BTC-USDT"),
        push("liquidation-orders", {"instId": SWAP, "details": [CLOSE | {"ts": "0"}]}, instType="SWAP"),
        push("account", {"details": [CASH | {"uTime": "0"}]}),
        push("positions", HELD | {"uTime": "0"}, instType="ANY"),
    ],
)
def test_a_time_of_zero_is_no_time(view: Any, frame: dict[str, Any]) -> None:
    (event,) = view.parse(frame)
    assert event.timestamp is None


def test_a_funding_time_of_zero_is_none(view: Any) -> None:
    row = {"instId": SWAP, "fundingRate": "0.1", "fundingTime": "0", "nextFundingTime": "0", "ts": TS}
    (event,) = view.parse(push("funding-rate", row, instId=SWAP))
    assert (event.timestamp, event.funding_time, event.next_funding_time) == (NS, None, None)


@pytest.mark.parametrize("count", ["0", "-1", 0])
def test_a_trade_of_no_executions_is_malformed(view: Any, count: Any) -> None:
    events = view.parse(
        {"arg": {"channel": "trades", "instId": SWAP}, "data": [TRADE | {"count": count}, TRADE | {"count": "1"}]}
    )
    assert [type(event).__name__ for event in events] == ["Malformed", "Trade"]
    assert "count" in events[0].why


@pytest.mark.parametrize("none", ["", None, 0])
def test_a_book_without_a_checksum_is_a_book(view: Any, none: Any) -> None:
    frame = push("books", BOOK | {"checksum": none}, instId=SWAP) | {"action": "snapshot"}
    assert [type(event).__name__ for event in view.parse(frame)] == ["BookSnapshot"]
