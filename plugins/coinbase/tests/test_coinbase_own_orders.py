"""An account's orders and fills on Coinbase Exchange, where messages and REST answers overtake each other."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tickhive.channels import EVERY, Channel, DataType, Instrument, InstrumentTable
from tickhive.events import Fill, Gap, Order
from tickhive.plugin import Answer, Credentials, Fetch
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import Feed, Session
from tickhive_coinbase.exchange import plugin
from tickhive_coinbase.exchange.settings import CoinbaseExchangeSettings

SECOND = 1_000_000_000
TIME = "2026-10-07T10:30:00.123456Z"
ABOUT = {"product_id": "BTC-USD", "side": "buy", "time": TIME, "sequence": 1}
OPEN = {
    "id": "o-1", "product_id": "BTC-USD", "side": "buy", "status": "open", "size": "2", "price": "50000",
    "type": "limit", "filled_size": "0", "executed_value": "0", "fill_fees": "0", "client_oid": "mine",
    "created_at": TIME,
}  # fmt: skip
PARTLY = OPEN | {"filled_size": "1", "executed_value": "50000", "fill_fees": "5"}


def match(trade: int, order: str = "o-1", size: str = "1", **more: Any) -> dict[str, Any]:
    ids = {"maker_order_id": order, "taker_order_id": "a-stranger"}
    return ABOUT | ids | {"type": "match", "trade_id": trade, "size": size, "price": "50000"} | more


def done(left: str = "0", order: str = "o-1") -> dict[str, Any]:
    reason = "filled" if left == "0" else "canceled"
    return ABOUT | {"type": "done", "order_id": order, "reason": reason, "remaining_size": left, "price": "50000"}


def fill(trade: int, order: str = "o-1", size: str = "1") -> dict[str, Any]:
    return {
        "trade_id": trade, "product_id": "BTC-USD", "order_id": order, "side": "buy", "price": "50000", "size": size,
        "created_at": TIME, "liquidity": "M", "fee": "5",
    }  # fmt: skip


def said(events: list[Any]) -> list[tuple[Any, ...]]:
    """Orders as (status, filled, size), fills as ("fill", id), gaps as ("gap", data type, id)."""
    short: list[tuple[Any, ...]] = []
    for event in events:
        if isinstance(event, Order):
            short.append((event.status, f"{event.filled:f}", f"{event.size:f}"))
        elif isinstance(event, Fill):
            short.append(("fill", event.id))
        elif isinstance(event, Gap):
            short.append(("gap", event.data_type.value, event.first_id))
    return short


class Account:
    """A socket that carries an account, the venue's answers given when the test wants."""

    def __init__(self, credentials: Credentials, *types: str, products: tuple[str, ...] = ("BTC-USD",)) -> None:
        stack = ExchangeStack.from_plugin("coinbase-exchange", plugin)
        settings = CoinbaseExchangeSettings(account_products=products, recent_fills=0)
        table = InstrumentTable("coinbase-exchange")
        table.add(Instrument("coinbase-exchange", "BTC-USD", "BTC-USD", "spot", "BTC", "USD"))
        channels = [Channel(EVERY, EVERY, DataType(kind)) for kind in types or ("order", "fill")]
        dials = stack.call.connect(channels=channels, settings=settings, credentials=credentials, dials=())
        feed = Feed(stack, "coinbase-exchange", settings, table)
        self.session = Session(stack, dials[0], feed, credentials=credentials)
        self.at = 1_791_369_351 * SECOND
        self.session.opened(self.at)
        state = [{"name": name, "product_ids": ["BTC-USD"], "account_ids": None} for name in ("user", "heartbeat")]
        self.hear({"type": "subscriptions", "channels": state})

    def hear(self, *frames: dict[str, Any]) -> list[tuple[Any, ...]]:
        raw = [json.dumps(frame, separators=(",", ":")).encode() for frame in frames]
        return said(self.session.receive(raw, self.at))

    def wait(self, seconds: float) -> list[tuple[Any, ...]]:
        """Time passes, with the heartbeat of every second."""
        out: list[tuple[Any, ...]] = []
        for _ in range(int(seconds)):
            self.at += SECOND
            out += said(self.session.tick(self.at))
            out += self.hear({"type": "heartbeat", "last_trade_id": 5, "product_id": "BTC-USD", "time": TIME})
        return out

    def asked(self, begin: str) -> Fetch:
        """The first request for a path, whatever else was asked dropped."""
        found = [fetch for fetch in self.session.fetches if fetch.url.partition(".com/")[2].startswith(begin)]
        self.session.fetches.clear()
        assert found, f"nobody asked for {begin}"
        return found[0]

    def answer(self, fetch: Fetch, *rows: dict[str, Any]) -> list[tuple[Any, ...]]:
        return said(self.session.answered(fetch, Answer(200, json.dumps(rows).encode()), self.at))


@pytest.fixture
def account(keys: dict[str, Credentials]) -> Account:
    return Account(keys["coinbase-exchange"])


def test_a_match_before_the_orders_are_read_waits_for_them(account: Account) -> None:
    orders = account.asked("orders")
    assert account.hear(match(9)) == []
    assert account.answer(orders, OPEN) == [("open", "0", "2"), ("fill", "9"), ("partially_filled", "1", "2")]
    assert account.hear(match(10), done()) == [
        ("fill", "10"), ("partially_filled", "2", "2"), ("filled", "2", "2"),
    ]  # fmt: skip


def test_an_order_that_ended_before_the_orders_are_read_is_told_by_its_fills(account: Account) -> None:
    orders = account.asked("orders")
    account.hear(match(9))
    assert account.hear(done()) == [("fill", "9")]  # its end says whose the match was
    assert account.answer(orders) == []
    account.wait(1)
    fills = account.asked("fills?order_id=o-1")
    assert account.answer(fills, fill(9), fill(8)) == [("partially_filled", "2", "2"), ("filled", "2", "2")]
    assert account.wait(60) == []


def test_an_answer_that_holds_the_next_match_counts_it_once(account: Account) -> None:
    assert account.answer(account.asked("orders"), PARTLY) == [("partially_filled", "1", "2")]
    assert account.hear(match(9)) == [("fill", "9")]
    account.wait(1)
    # A further one while its fills are on their way.
    fills = account.asked("fills?order_id=o-1")
    assert account.hear(match(10)) == [("fill", "10")]
    assert account.answer(fills, fill(9)) == [("partially_filled", "1", "2"), ("partially_filled", "2", "2")]
    assert account.hear(done()) == [("filled", "2", "2")]


def test_a_match_after_the_answer_counts_on_top_of_it(account: Account) -> None:
    account.answer(account.asked("orders"), PARTLY)
    assert account.hear(match(9)) == [("fill", "9")]
    account.wait(1)
    fills = account.asked("fills?order_id=o-1")
    assert account.answer(fills, fill(9), fill(5)) == [("partially_filled", "2", "2")]
    assert account.hear(match(10, size="0.5")) == [("fill", "10"), ("partially_filled", "2.5", "2.5")]


def test_an_answer_older_than_the_stream_changes_nothing(account: Account) -> None:
    orders = account.asked("orders")
    begun = ABOUT | {"type": "received", "order_id": "o-1", "order_type": "limit", "size": "2", "price": "50000"}
    assert account.hear(begun, match(9)) == [("open", "0", "2"), ("fill", "9"), ("partially_filled", "1", "2")]
    assert account.answer(orders, OPEN) == []
    assert account.hear(match(10), done())[-1] == ("filled", "2", "2")


def test_an_end_that_leaves_what_rest_said_is_told_at_once(account: Account) -> None:
    account.answer(account.asked("orders"), PARTLY)
    assert account.hear(match(9), done("1")) == [("fill", "9"), ("cancelled", "1", "2")]
    assert account.wait(1) == []
    assert not account.session.memory.orders.held


def test_a_match_names_its_user_on_the_accounts_own_side(account: Account) -> None:
    both = {"taker_user_id": "5844", "user_id": "5844", "side": "sell"}
    assert account.hear(match(9, "a-maker", **both) | {"taker_order_id": "o-7"}) == [("fill", "9")]


def test_whose_a_match_was_is_asked_for(account: Account) -> None:
    orders = account.asked("orders")
    assert account.hear(match(9, "o-5")) == []
    account.wait(2)
    assert not account.session.fetches  # before the orders are read there is nothing to ask
    account.answer(orders)
    account.wait(1)
    fetch = account.asked("fills?product_id=BTC-USD")
    recent = fill(9, "o-5") | {"created_at": "2026-10-07T10:36:30Z"}
    found = account.session.answered(fetch, Answer(200, json.dumps([recent]).encode()), account.at)
    # As it streamed, and not once more as it was fetched.
    assert [(event.id, event.late) for event in found if isinstance(event, Fill)] == [("9", False)]
    account.wait(1)
    assert account.answer(account.asked("fills?order_id=o-5"), fill(9, "o-5")) == [("partially_filled", "1", "1")]


def test_what_stays_unknown_is_a_gap(account: Account) -> None:
    account.answer(account.asked("orders"), PARTLY | {"id": "o-2"})
    assert account.hear(match(9, "o-5"), match(10, "o-2"), done(order="o-3")) == [("fill", "10")]
    told = account.wait(31)
    assert told == [
        ("gap", "fill", "9"), ("gap", "order", None),
        ("gap", "order", "o-2"), ("partially_filled", "2", "2"),
        ("gap", "order", "o-3"), ("filled", "0", "0"),
    ]  # fmt: skip
    assert account.session.fetches
    account.session.fetches.clear()
    assert account.wait(5) == []
    assert not account.session.fetches


def test_a_list_of_fills_that_lags_behind_settles_nothing(account: Account) -> None:
    account.answer(account.asked("orders"), PARTLY)
    account.hear(match(9))
    account.wait(1)
    assert account.answer(account.asked("fills?order_id=o-1")) == []
    account.wait(1)
    assert ("partially_filled", "2", "2") in account.answer(account.asked("fills?order_id=o-1"), fill(9), fill(5))


def test_few_lists_are_asked_for_at_once_and_again_where_they_do_not_come(account: Account) -> None:
    rows = [PARTLY | {"id": f"o-{number}"} for number in range(30)]
    account.answer(account.asked("orders"), *rows)
    account.hear(*(match(number, f"o-{number}") for number in range(30)))

    found: set[str] = set()

    def asked() -> int:
        account.session.tick(account.at)
        count = len(account.session.fetches)
        found.update(fetch.url for fetch in account.session.fetches)
        account.session.fetches.clear()
        return count

    counts = []
    for _ in range(11):
        account.at += SECOND
        counts.append(asked())
    assert counts == [10, 0, 0, 0, 0, 10, 0, 0, 0, 0, 10]
    assert len(found) == 30


def test_fills_alone_need_no_orders(keys: dict[str, Credentials]) -> None:
    account = Account(keys["coinbase-exchange"], "fill")
    assert account.hear(match(9), done()) == [("fill", "9")]
    assert account.hear(match(10, "o-4")) == []
    account.wait(1)
    assert account.answer(account.asked("fills?product_id=BTC-USD"), fill(10, "o-4")) == [("fill", "10")]
    assert account.wait(31) == []


def test_orders_alone_hand_out_no_fills(keys: dict[str, Credentials]) -> None:
    account = Account(keys["coinbase-exchange"], "order")
    account.answer(account.asked("orders"), PARTLY)
    assert account.hear(match(9)) == []
    account.wait(1)
    recent = fill(9) | {"created_at": "2026-10-07T10:36:30Z"}
    assert account.answer(account.asked("fills?order_id=o-1"), recent) == [("partially_filled", "1", "2")]


def test_the_fills_of_an_order_come_in_pages(account: Account) -> None:
    account.answer(account.asked("orders"), OPEN | {"size": "2000", "filled_size": "1002", "executed_value": "1"})
    account.hear(match(5_000))
    account.wait(1)
    first = account.asked("fills?order_id=o-1")
    page = json.dumps([fill(id) for id in range(5_000, 4_000, -1)]).encode()
    assert said(account.session.answered(first, Answer(200, page, {"cb-after": "77"}), account.at)) == []
    second = account.asked("fills?order_id=o-1&limit=1000&after=77")
    # Each page may hold what the one before ended with.
    rest = [fill(4_001), fill(4_000), fill(3_999)]
    assert account.answer(second, *rest) == [("partially_filled", "1002", "2000")]


def test_a_fill_is_told_once_while_its_order_waits(make_view: Any, keys: Any) -> None:
    view = make_view("coinbase-exchange")
    view.account, view.settings.account_products = "main", ("BTC-USD",)
    for kind in (DataType.ORDER, DataType.FILL):
        view.ask(Channel(EVERY, EVERY, kind), credentials=keys["coinbase-exchange"])
    view.read("https://api.exchange.coinbase.com/orders?limit=1000", [PARTLY])
    assert said(list(view.parse(match(9)))) == [("fill", "9")]
    beat = {"type": "heartbeat", "last_trade_id": 5, "product_id": "BTC-USD", "time": TIME}
    assert said(list(view.parse(beat))) == []
    assert len(view.plugin.heartbeat(view, 1_791_369_352 * SECOND)) == 1


def test_the_price_an_order_was_filled_at_and_its_fee_come_from_its_fills(account: Account) -> None:
    account.answer(account.asked("orders"), PARTLY)
    account.hear(match(9))
    account.wait(1)
    fetch = account.asked("fills?order_id=o-1")
    rows = [fill(9), fill(5) | {"price": "40000"}]
    events = account.session.answered(fetch, Answer(200, json.dumps(rows).encode()), account.at)
    order = next(event for event in events if isinstance(event, Order))
    assert (order.average_price, order.fee, order.fee_currency) == (Decimal(45_000), Decimal(10), "USD")


@pytest.mark.parametrize(
    ("frame", "gaps"),
    [
        (match(9, size="NaN"), [("gap", "fill", None), ("gap", "order", None)]),
        (done() | {"side": 5}, [("gap", "order", None)]),
        ({"type": "balance", "currency": 5}, []),
    ],
)
def test_what_cannot_be_read_is_a_gap(account: Account, frame: dict[str, Any], gaps: list[Any]) -> None:
    account.answer(account.asked("orders"), OPEN)
    assert account.hear(frame) == gaps
    assert account.session.statistics.malformed == 1


def test_after_a_match_that_cannot_be_read_the_fills_are_asked_for(account: Account) -> None:
    account.answer(account.asked("orders"), OPEN)
    account.hear(match(9, size="0.5", price="?"))
    assert account.hear(match(10)) == [("fill", "10")]
    account.wait(1)
    assert account.answer(account.asked("fills?order_id=o-1"), fill(10), fill(9, size="0.5")) == [
        ("partially_filled", "1.5", "2"),
    ]  # fmt: skip


def test_messages_that_wait_are_bounded(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickhive_coinbase.exchange.account._MOST_HELD", 3)
    for number in range(5):
        told = account.hear(match(number, f"o-{number}"))
    assert told == [("gap", "fill", "1"), ("gap", "order", None)]
    assert len(account.session.memory.orders.held) == 3


def test_a_recording_is_read_without_asking(make_view: Any) -> None:
    view = make_view("coinbase-exchange")
    view.memory.account = True
    assert said(list(view.parse(done()))) == [("gap", "order", "o-1"), ("filled", "0", "0")]
