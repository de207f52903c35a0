"""Requests by REST: what is asked, at which weight, and what the answers say."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest

from tickhive.plugin import (
    BookSnapshot,
    Candle,
    DataType,
    Fetch,
    Gap,
    Malformed,
    OpenInterest,
    Trade,
    Unknown,
)
from tickhive_binance.settings import CoinmSettings, SpotSettings, UsdmSettings

D = Decimal
AT = 1_793_000_001_500_000_000
MS = 1_000_000
T = 1_793_000_000_000
BASES = {
    "binance": "https://api.binance.com/api/v3",
    "binance-usdm": "https://fapi.binance.com/fapi/v1",
    "binance-coinm": "https://dapi.binance.com/dapi/v1",
}


def query_of(fetch):
    url = urlsplit(fetch.url)
    return dict(parse_qsl(url.query)) | dict(parse_qsl(url.fragment))


def gap(view, data_type=DataType.TRADE, first=None, last=None, start=None, end=None, symbol=""):
    symbol = symbol or view.channel("trade").symbol
    return Gap(view.exchange, symbol, None, AT, data_type, start, end, "lost", first, last)


# Instruments


def test_instruments(view, composed):
    (listing,) = [line for line in composed(view.exchange, "http") if "exchangeInfo" in line.url]
    (fetch,) = view.plugin.instruments(view.settings)
    assert fetch.url == listing.url == f"{BASES[view.exchange]}/exchangeInfo"
    view.learn(view.read(fetch.url, listing.frame))
    found = {instrument.native: instrument for instrument in view.instruments}
    if view.exchange == "binance":
        btc, luna = found["BTCUSDT"], found["LUNAUSDT"]
        assert (btc.symbol, btc.type, btc.size_unit, btc.status) == ("BTC-USDT", "spot", "base", "live")
        assert (btc.tick_size, btc.lot_size, btc.min_size) == (D("0.01"), D("0.00001"), D("0.00001"))
        assert luna.status == "suspended"
        return
    coinm = view.exchange == "binance-coinm"
    perpetual = found["BTCUSD_PERP" if coinm else "BTCUSDT"]
    dated = found["BTCUSD_261225" if coinm else "BTCUSDT_261225"]
    later = found["BTCUSD_270326" if coinm else "BTCUSDT_270326"]
    quote = "USD" if coinm else "USDT"
    assert (perpetual.symbol, perpetual.type, perpetual.expiry) == (f"BTC-{quote}-PERP", "perpetual", None)
    assert (dated.symbol, dated.type, dated.status) == (f"BTC-{quote}-20261225", "future", "live")
    assert (dated.expiry, dated.listed) == (1798185600000 * MS, 1569398400000 * MS)
    assert later.status == "preopen"
    unit = ("contracts", D(100), "USD", True, "BTC") if coinm else ("base", None, "", False, "USDT")
    told = (
        perpetual.size_unit,
        perpetual.contract_size,
        perpetual.contract_currency,
        perpetual.inverse,
        perpetual.settle,
    )
    assert told == unit


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("TRADING", "live"),
        ("PENDING_TRADING", "preopen"),
        ("PRE_TRADING", "preopen"),
        ("SETTLING", "settling"),
        ("PRE_SETTLE", "settling"),
        ("DELIVERING", "settling"),
        ("PRE_DELIVERING", "settling"),
        ("CLOSE", "expired"),
        ("DELIVERED", "expired"),
        ("HALT", "suspended"),
        ("BREAK", "suspended"),
        ("END_OF_DAY", "suspended"),
        ("CANCEL_ONLY", "suspended"),
        ("", "suspended"),
    ],
)
def test_a_status_is_read_where_its_market_has_it(view, said, status):
    row = {"symbol": "AB_PERP", "baseAsset": "A", "quoteAsset": "B"}
    row["contractStatus" if view.exchange == "binance-coinm" else "status"] = said
    (event,) = view.read(f"{BASES[view.exchange]}/exchangeInfo", {"symbols": [row]})
    assert event.instrument.status == status


@pytest.mark.parametrize(
    ("native", "date", "expiry"),
    [
        ("AB_261225", 1798185600000, 1798185600000 * MS),
        ("AB_261225", 0, None),
        ("AB", 4133404800000, None),
        ("AB", 0, None),
    ],
)
def test_only_what_ends_has_an_expiry(make_view, native, date, expiry):
    row = {"symbol": native, "status": "TRADING", "baseAsset": "A", "quoteAsset": "B", "deliveryDate": date}
    (event,) = make_view("binance-usdm").read(f"{BASES['binance-usdm']}/exchangeInfo", {"symbols": [row]})
    assert event.instrument.expiry == expiry


def test_steps_and_the_smallest_size_are_told_apart(view):
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "5", "tickSize": "0.1"},
        {"filterType": "LOT_SIZE", "minQty": "0.005", "maxQty": "9", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "7", "maxQty": "8", "stepSize": "6"},
    ]
    row = {"symbol": "AB", "status": "TRADING", "baseAsset": "A", "quoteAsset": "B", "filters": filters}
    (event,) = view.read(f"{BASES[view.exchange]}/exchangeInfo", {"symbols": [row]})
    found = event.instrument
    assert (found.tick_size, found.lot_size, found.min_size) == (D("0.1"), D("0.001"), D("0.005"))


def test_a_bad_row_of_the_list_costs_no_other(make_view):
    view = make_view("binance")
    good = {"symbol": "AB", "status": "TRADING", "baseAsset": "A", "quoteAsset": "B", "filters": []}
    rows = [good, {**good, "symbol": 5}, {**good, "symbol": "A-B", "baseAsset": "A-C"}]
    events = view.read("https://api.binance.com/api/v3/exchangeInfo", {"symbols": rows})
    assert [type(event).__name__ for event in events] == ["InstrumentUpdate", "Malformed", "Unknown"]


# Books


@pytest.mark.parametrize(
    ("settings", "weight"),
    [
        (SpotSettings(snapshot_limit=100), 5),
        (SpotSettings(snapshot_limit=500), 25),
        (SpotSettings(), 50),
        (SpotSettings(snapshot_limit=5000), 250),
        (UsdmSettings(snapshot_limit=50), 2),
        (UsdmSettings(snapshot_limit=100), 5),
        (CoinmSettings(snapshot_limit=500), 10),
        (CoinmSettings(), 20),
    ],
)
def test_a_snapshot_weighs_by_its_levels(make_view, settings, weight):
    exchange = {"spot": "binance", "usdm": "binance-usdm", "coinm": "binance-coinm"}[settings.market.name]
    view = make_view(exchange, settings=settings)
    fetch = view.plugin.snapshot(view, view.channel("orderbook"))
    assert fetch.costs == {"weight": weight}
    assert query_of(fetch) == {"symbol": view.channel("orderbook").native, "limit": str(settings.snapshot_limit)}
    assert view.plugin.snapshot(view, view.channel("orderbook:5")) is None
    assert view.plugin.snapshot(view, view.channel("trade")) is None


def test_a_snapshot_is_numbered_like_the_stream(view):
    native = view.channel("orderbook").native
    body = {"lastUpdateId": 1027024, "bids": [["4.0", "431"]], "asks": [["4.2", "12"]]}
    if view.exchange != "binance":
        body |= {"E": T + 5, "T": T}
    (book,) = view.read(f"{BASES[view.exchange]}/depth?symbol={native}&limit=1000", body)
    assert isinstance(book, BookSnapshot)
    assert (book.symbol, book.sequence, book.depth) == (view.channel("orderbook").symbol, 1027024, 0)
    assert book.timestamp == (None if view.exchange == "binance" else T * MS)


# What was missed


def executions(first, count):
    return [
        {"id": first + n, "price": "1.5", "qty": "2", "quoteQty": "3", "time": T + n, "isBuyerMaker": n % 2 == 0}
        for n in range(count)
    ]


def aggregates(first, count):
    rows = range(first, first + count)
    return [{"a": n, "p": "1.5", "q": "2", "f": 2 * n, "l": 2 * n + 1, "T": T + n, "m": n % 2 == 0} for n in rows]


def test_missed_trades_are_asked_for_from_the_one_known_before(view):
    path = "historicalTrades" if view.exchange == "binance" else "aggTrades"
    fetch = view.plugin.backfill(view, view.channel("trade"), gap(view, first="1001", last="2500"))
    assert urlsplit(fetch.url).path.endswith(f"/{path}")
    assert fetch.costs == {"weight": 25 if view.exchange == "binance" else 20}
    query = query_of(fetch)
    assert (query["fromId"], query["limit"], query["until"]) == ("1000", "1000", "2500")
    rows = executions(1000, 1000) if view.exchange == "binance" else aggregates(1000, 1000)
    *trades, further = view.read(fetch.url, rows, view.channel("trade"))
    assert [trade.id for trade in trades] == [str(n) for n in range(1000, 2000)]
    assert all(isinstance(trade, Trade) and trade.late and trade.count == 1 for trade in trades)
    assert [trade.side for trade in trades[:2]] == ["sell", "buy"]
    assert query_of(further)["fromId"] == "2000"
    rows = executions(2000, 1000) if view.exchange == "binance" else aggregates(2000, 1000)
    assert not [event for event in view.read(further.url, rows, view.channel("trade")) if isinstance(event, Fetch)]


def test_merged_trades_of_spot_are_refilled_execution_by_execution(make_view):
    view = make_view("binance")
    fetch = view.plugin.backfill(view, view.channel("trade:agg"), gap(view, first="101", last="105"))
    assert urlsplit(fetch.url).path.endswith("/historicalTrades")
    assert query_of(fetch)["fromId"] == "100"


def test_single_trades_of_futures_take_a_key(make_view):
    raw, lost = make_view("binance-usdm").channel("trade:raw"), {"first": "101", "last": "105"}
    view = make_view("binance-usdm")
    assert view.plugin.backfill(view, raw, gap(view, **lost)) is None
    view = make_view("binance-usdm", account="main")
    fetch = view.plugin.backfill(view, raw, gap(view, **lost))
    assert query_of(fetch)["limit"] == "500"
    assert fetch.costs == {"weight": 20}


def test_a_refill_is_bounded(make_view):
    view = make_view("binance", settings=SpotSettings(backfill_trades=500))
    fetch = view.plugin.backfill(view, view.channel("trade"), gap(view, first="1", last="9000"))
    assert query_of(fetch)["fromId"] == "8500"
    view = make_view("binance", settings=SpotSettings(backfill_trades=0))
    assert view.plugin.backfill(view, view.channel("trade"), gap(view, first="1", last="9000")) is None
    view = make_view("binance")
    assert view.plugin.backfill(view, view.channel("trade"), gap(view, first="x", last="9000")) is None
    assert view.plugin.backfill(view, view.channel("quote"), gap(view, DataType.QUOTE)) is None


def test_a_page_that_does_not_lead_upwards_ends_the_walk(make_view):
    view = make_view("binance")
    url = f"{BASES['binance']}/historicalTrades?symbol=BTCUSDT&fromId=5000&limit=3#until=9000"
    assert not [e for e in view.read(url, executions(10, 3), view.channel("trade")) if isinstance(e, Fetch)]


def candle_row(start, end=None):
    return [start, "1", "5", "0.5", "4", "10", start + 59_999 if end is None else end, "30", 9, "1", "1", "0"]


def test_missed_candles_come_with_one_from_either_side(view):
    lost = gap(view, DataType.CANDLE, start=(T + 60_000) * MS, end=(T + 120_000) * MS)
    fetch = view.plugin.backfill(view, view.channel("candle:1m"), lost)
    query = query_of(fetch)
    assert (query["startTime"], query["until"], query["interval"]) == (str(T), str(T + 180_000), "1m")
    assert int(query["limit"]) >= 4
    assert fetch.costs == {"weight": 2 if view.exchange == "binance" else 1}
    rows = [candle_row(T - 180_000), candle_row(T - 60_000), candle_row(T)]
    candles = view.read(fetch.url, rows, view.channel("candle:1m"))
    assert all(isinstance(candle, Candle) and candle.late for candle in candles)
    assert [candle.closed for candle in candles] == [True, True, False]
    amounts = (D(10), D(30), None) if view.exchange == "binance-coinm" else (D(10), D(10), D(30))
    assert (candles[0].volume, candles[0].base_volume, candles[0].quote_volume) == amounts


def test_many_missed_candles_take_pages(make_view):
    view = make_view("binance-usdm")
    lost = gap(view, DataType.CANDLE, start=T * MS, end=(T + 1_500 * 60_000) * MS)
    fetch = view.plugin.backfill(view, view.channel("candle:1m"), lost)
    assert query_of(fetch)["limit"] == "1000"
    assert fetch.costs == {"weight": 5}
    rows = [candle_row(T + (n - 1) * 60_000) for n in range(1000)]
    *candles, further = view.read(fetch.url, rows, view.channel("candle:1m"))
    assert len(candles) == 1000
    assert query_of(further)["startTime"] == str(rows[-1][0] + 1)
    assert int(query_of(further)["limit"]) < 520


@pytest.mark.parametrize(("interval", "days"), [("1d", 1), ("3d", 3), ("1w", 7), ("1M", 31)])
def test_intervals_are_long_enough_to_reach_the_one_before(make_view, interval, days):
    view = make_view("binance")
    lost = gap(view, DataType.CANDLE, start=T * MS, end=T * MS)
    query = query_of(view.plugin.backfill(view, view.channel(f"candle:{interval}"), lost))
    assert int(query["startTime"]) == T - days * 86_400_000


# Polls


def test_open_interest_is_asked_for(view):
    poll = view.plugin.poll(view.channel("open_interest"), view.settings)
    if view.exchange == "binance":
        assert poll is None
        return
    assert view.plugin.poll(view.channel("trade"), view.settings) is None
    assert (poll.every, poll.fetch.costs) == (15.0, {"weight": 1})
    native, symbol = view.channel("trade").native, view.channel("trade").symbol
    (event,) = view.read(poll.fetch.url, {"symbol": native, "openInterest": "10659.509", "time": T})
    base = None if view.exchange == "binance-coinm" else D("10659.509")
    assert event == OpenInterest(view.exchange, symbol, T * MS, AT, D("10659.509"), base)


# Answers that are none


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"[5]", b'{"code":"x"}', b"<html>", b'{"symbols":5}'])
def test_answers_that_cannot_be_read(view, body):
    for path in ("exchangeInfo", "depth?symbol=BTCUSDT", "aggTrades", "historicalTrades", "klines", "openInterest"):
        for event in view.read(f"{BASES[view.exchange]}/{path}", body):
            assert isinstance(event, Malformed)


def test_an_answer_nobody_asked_for(view):
    (event,) = view.read(f"{BASES[view.exchange]}/time", {"serverTime": 1})
    assert isinstance(event, Unknown)
