"""REST answers of both exchanges: instruments, pages of missed trades and candles, funding, and bad rows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickhive.events import Balance, Candle, FundingRate, Gap, InstrumentUpdate, OpenInterest, Trade
from tickhive.plugin import Answer, DataType, Fetch, Malformed, Unknown
from tickhive.testing import frames_of

FRAMES = Path(__file__).parent / "frames"
SECOND = 1_000_000_000
EX, ADV = "https://api.exchange.coinbase.com/", "https://api.coinbase.com/api/v3/brokerage/"
START = 1_791_369_000


def gap(data_type: str, first: int | None, last: int | None, start: int = START, end: int = START + 60) -> Gap:
    ids = [None if each is None else str(each) for each in (first, last)]
    span = start * SECOND, end * SECOND
    return Gap("x", "BTC-USD", None, 0, DataType(data_type), *span, "a cut", *ids)


def listed(view: Any) -> dict[str, Any]:
    lines = frames_of(FRAMES / view.exchange / "market.jsonl", "http")
    events = [e for line in lines for e in view.read(line.url, line.frame)]
    return {event.symbol: event.instrument for event in events if isinstance(event, InstrumentUpdate)}


def test_products_of_exchange(exchange_view: Any) -> None:
    found = listed(exchange_view)
    assert {symbol: each.status for symbol, each in found.items()} == {
        "BTC-USD": "live", "ETH-USD": "live", "OLD-USD": "expired",
    }  # fmt: skip
    assert (found["BTC-USD"].tick_size, found["BTC-USD"].lot_size) == (Decimal("0.01"), Decimal("0.00000001"))


@pytest.mark.parametrize("what", ["trading_disabled", "cancel_only"])
def test_what_may_not_be_traded_on_exchange_is_suspended(exchange_view: Any, what: str) -> None:
    row = {"id": "A-USD", "base_currency": "A", "quote_currency": "USD", "status": "online", what: True}
    (found,) = exchange_view.read(f"{EX}products", [row])
    assert found.instrument.status == "suspended"


@pytest.mark.parametrize("what", ["is_disabled", "trading_disabled", "cancel_only", "view_only"])
def test_what_may_not_be_traded_on_advanced_trade_is_suspended(advanced_view: Any, what: str) -> None:
    row = {"product_id": "A-USD", "base_currency_id": "A", "quote_currency_id": "USD", "status": "online", what: True}
    (found,) = advanced_view.read(f"{ADV}market/products?limit=9", {"products": [row]})
    assert found.instrument.status == "suspended"


def test_products_of_advanced_trade(advanced_view: Any) -> None:
    found = listed(advanced_view)
    assert {symbol: (each.native, each.type, each.alias) for symbol, each in found.items()} == {
        "BTC-USD": ("BTC-USD", "spot", ""),
        "BTC-USDC": ("BTC-USDC", "spot", "BTC-USD"),
        "USDT-USDC": ("USDT-USDC", "spot", ""),
        "OLD-USD": ("OLD-USD", "spot", ""),
        "BIT-USD-20261225": ("BIT-25DEC26-CDE", "future", ""),
        "BTC-USDC-PERP": ("BTC-PERP-INTX", "perpetual", ""),
    }
    future = found["BIT-USD-20261225"]
    assert (future.size_unit, future.contract_size, future.contract_currency) == ("contracts", Decimal("0.01"), "BTC")
    assert future.expiry == 1_798_214_400 * SECOND
    assert found["OLD-USD"].status == "suspended"


def test_a_long_list_comes_in_pages(advanced_view: Any) -> None:
    row = {"product_id": "A-USD", "base_currency_id": "A", "quote_currency_id": "USD"}
    url = f"{ADV}market/products?product_type=SPOT&limit=2&offset=0"
    *_, further = advanced_view.read(url, {"products": [row, row]})
    assert isinstance(further, Fetch)
    assert further.url.endswith("offset=2")
    assert not [e for e in advanced_view.read(url, {"products": [row]}) if isinstance(e, Fetch)]


def ex_row(id: int, side: str = "sell") -> dict[str, Any]:
    return {"trade_id": id, "side": side, "size": "1", "price": "2", "time": "2026-10-07T10:30:00.5Z"}


def adv_row(id: int, second: int = 0) -> dict[str, Any]:
    return {"trade_id": str(id), "product_id": "BTC-USD", "price": "2", "size": "1", "side": "SELL", "exchange": "",
            "time": f"2026-10-07T10:30:{second:02d}Z"}  # fmt: skip


def test_missed_trades_of_exchange_are_walked_downwards(exchange_view: Any, channel: Any) -> None:
    trade = channel("trade")
    fetch = exchange_view.plugin.backfill(exchange_view, trade, gap("trade", 101, 2_500))
    assert fetch.url == f"{EX}products/BTC-USD/trades?limit=1000&after=2501#until=100"
    *trades, further = exchange_view.read(fetch.url, [ex_row(id) for id in range(2_500, 1_500, -1)], trade)
    assert [int(each.id) for each in trades] == list(range(1_501, 2_501))
    assert {(each.side, each.late) for each in trades} == {("buy", True)}
    assert further.url.endswith("after=1501#until=100")
    last = exchange_view.read(further.url, [ex_row(id) for id in range(150, 50, -1)], trade)
    # The one that was known comes along.
    assert [int(each.id) for each in last] == list(range(100, 151))
    # A page that leads nowhere is not asked for again.
    assert not [e for e in exchange_view.read(further.url, [ex_row(5_000)] * 1_000, trade) if isinstance(e, Fetch)]


def test_missed_trades_of_advanced_trade_are_walked_by_time(advanced_view: Any, channel: Any) -> None:
    trade = channel("trade")
    fetch = advanced_view.plugin.backfill(advanced_view, trade, gap("trade", 101, 2_500))
    assert fetch.url == (
        f"{ADV}market/products/BTC-USD/ticker?limit=1000&start={START - 1}&end={START + 61}#until=100&below=2502"
    )
    *trades, further = advanced_view.read(
        fetch.url, {"trades": [adv_row(id, 30) for id in range(2_500, 1_500, -1)]}, trade
    )
    assert [int(each.id) for each in trades] == list(range(1_501, 2_501))
    assert further.url.endswith(f"start={START - 1}&end={START + 31}#until=100&below=1501")
    # More trades in one second than a page holds: the walk ends instead of turning in a circle.
    again = advanced_view.read(further.url, {"trades": [adv_row(id, 30) for id in range(2_500, 1_500, -1)]}, trade)
    assert not [event for event in again if isinstance(event, Fetch)]


def test_missed_candles_are_closed_where_they_are_over(advanced_view: Any, channel: Any) -> None:
    candle = channel("candle:5m")
    begin = START // 300 * 300
    fetch = advanced_view.plugin.backfill(advanced_view, candle, gap("candle", None, None, begin, begin + 300))
    assert f"start={begin - 300}&end={begin + 600}&granularity=FIVE_MINUTE&limit=350" in fetch.url
    row = {"low": "1", "high": "4", "open": "2", "close": "3", "volume": "5"}
    body = {"candles": [row | {"start": str(begin + 300 * n)} for n in (1, 0)]}
    events = advanced_view.read(fetch.url, body, candle)
    assert [(type(e), e.start // SECOND - begin, e.closed, e.late) for e in events] == [
        (Candle, 0, True, True), (Candle, 300, False, True),
    ]  # fmt: skip
    # A long hole takes several requests.
    long = advanced_view.plugin.backfill(advanced_view, candle, gap("candle", None, None, begin - 300 * 500, begin))
    *_, further = advanced_view.read(long.url, {"candles": []}, candle)
    assert isinstance(further, Fetch)


def test_funding_and_open_interest(advanced_view: Any, channel: Any) -> None:
    details = {"open_interest": "12.5", "funding_rate": "-0.00001", "funding_time": "2026-10-07T11:00:00Z"}
    body = {"product_id": "BTC-PERP-INTX", "future_product_details": {"perpetual_details": details}}
    for data_type, kind in (("funding_rate", FundingRate), ("open_interest", OpenInterest)):
        wanted = channel(data_type, "BTC-PERP-INTX", "BTC-USDC-PERP")
        poll = advanced_view.plugin.poll(wanted, advanced_view.settings)
        (event,) = advanced_view.read(poll.fetch.url, body, wanted)
        assert isinstance(event, kind)
    assert advanced_view.plugin.poll(channel("trade"), advanced_view.settings) is None
    assert advanced_view.read(poll.fetch.url, {"product_id": "BTC-USD"}, wanted) == ()


@pytest.mark.parametrize("data_type", ["funding_rate:1s", "open_interest:x", "balance:spot"])
def test_what_is_polled_has_no_parameters(advanced_view: Any, channel: Any, data_type: str) -> None:
    wanted = channel(data_type)
    assert advanced_view.plugin.poll(wanted, advanced_view.settings) is None
    with pytest.raises(ValueError, match=f"Coinbase has no {data_type} .*it has {data_type.partition(':')[0]}$"):
        advanced_view.plugin.connect([wanted], advanced_view.settings, None, ())


def wallet(currency: str, free: str, held: str = "0") -> dict[str, Any]:
    return {"currency": currency, "available_balance": {"value": free}, "hold": {"value": held}}


def test_wallets_of_one_currency_are_added_up_over_pages(advanced_view: Any, channel: Any) -> None:
    poll = advanced_view.plugin.poll(channel("balance"), advanced_view.settings)
    for _ in range(2):  # what one list said is not added to the next
        (further,) = advanced_view.read(
            poll.fetch.url, {"accounts": [wallet("USD", "1"), wallet("BTC", "2")], "cursor": "p2"}
        )
        assert further.url.endswith("cursor=p2")
        bad, further = advanced_view.read(further.url, {"accounts": [{}, wallet("USD", "4", "8")], "cursor": "p3"})
        assert isinstance(bad, Malformed)
        found = advanced_view.read(further.url, {"accounts": [wallet("ETH", "16"), wallet("USD", "0", "32")]})
        assert {each.symbol: (each.total, each.available, each.frozen) for each in found} == {
            "USD": (45, 5, 40), "BTC": (2, 2, 0), "ETH": (16, 16, 0),
        }  # fmt: skip
        assert all(isinstance(each, Balance) for each in found)


@pytest.mark.parametrize(
    ("exchange", "url", "body", "kinds"),
    [
        ("coinbase-exchange", f"{EX}products/BTC-USD/trades", [ex_row(1), {"trade_id": "x"}], [Trade, Malformed]),
        ("coinbase-exchange", f"{EX}products", [{"id": "A-B"}], [Malformed]),
        ("coinbase-exchange", f"{EX}products", b"<html>", [Malformed]),
        ("coinbase-exchange", f"{EX}conversions", [], [Unknown]),
        ("coinbase", f"{ADV}market/products/BTC-USD/ticker", {"trades": [adv_row(1), {}]}, [Trade, Malformed]),
        (
            "coinbase",
            f"{ADV}market/products",
            {"products": [{"product_id": "X-Y-Z", "product_type": "EVENT"}]},
            [Unknown],
        ),
        ("coinbase", f"{ADV}market/products", b"", [Malformed]),
        *(
            ("coinbase", f"{ADV}{path}", body, [Malformed])
            for path in (
                "market/products",
                "market/products/BTC-USD/ticker",
                "market/products/BTC-USD/candles",
                "accounts",
                "orders/historical/batch",
                "orders/historical/fills",
                "orders/historical/o-1",
            )
            for body in ({"error": "INTERNAL", "code": 13, "message": "x", "details": []}, {}, {"cursor": ""})
        ),
        *(
            ("coinbase-exchange", f"{EX}{path}", body, [Malformed])
            for path in ("products", "products/BTC-USD/trades", "orders", "orders/o-1", "fills", "accounts")
            for body in (b"", b" \n", {"message": "Internal server error"})
        ),
        ("coinbase", f"{ADV}key_permissions", {}, [Unknown]),
    ],
)
def test_a_bad_row_costs_no_other(make_view: Any, exchange: str, url: str, body: Any, kinds: list[type]) -> None:
    assert [type(event) for event in make_view(exchange).read(url, body)] == kinds


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b'{"message":"request timestamp expired"}', "retry"),
        (401, b'{"message":"invalid signature"}', None),
        (401, b"<html>", None),
        (500, b'{"message":"timestamp"}', None),
    ],
)
@pytest.mark.parametrize("exchange", ["coinbase", "coinbase-exchange"])
def test_a_clock_that_is_off_is_no_wrong_key(
    make_view: Any, exchange: str, status: int, body: bytes, kind: str | None
) -> None:
    rejected = make_view(exchange).plugin.refused(Fetch(f"{EX}accounts"), Answer(status, body))
    assert (rejected.kind if rejected else None) == kind
