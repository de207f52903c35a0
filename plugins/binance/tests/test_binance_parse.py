"""Frame by frame: what Binance says, and the events it becomes."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tickhive.plugin import (
    Accepted,
    Alive,
    BookDelta,
    BookSnapshot,
    Candle,
    FundingRate,
    Goodbye,
    IndexPrice,
    Instrument,
    InstrumentUpdate,
    Level,
    Liquidation,
    Malformed,
    MarkPrice,
    Quote,
    Rejected,
    Ticker,
    Trade,
    Unknown,
    Unsubscribed,
)

D = Decimal
AT = 1_793_000_001_500_000_000
MS = 1_000_000
T = 1_793_000_000_000
NS = T * MS
SPOT, USDM, COINM = "binance", "binance-usdm", "binance-coinm"
BTC, PERP, INVERSE = "BTC-USDT", "BTC-USDT-PERP", "BTC-USD-PERP"

TRADE = {"e": "trade", "E": T + 1, "s": "BTCUSDT", "t": 7, "p": "64117.99", "q": "0.1", "T": T, "m": False, "M": True}
AGG = {
    "e": "aggTrade",
    "E": T + 1,
    "s": "BTCUSDT",
    "a": 26,
    "p": "1.5",
    "q": "2",
    "f": 100,
    "l": 105,
    "T": T,
    "m": True,
}
DIFF = {"e": "depthUpdate", "E": T + 1, "s": "BTCUSDT", "U": 157, "u": 160, "b": [["1.0", "2"]], "a": [["1.1", "0"]]}
CHAIN = {**DIFF, "T": T, "ps": "BTCUSDT", "pu": 149, "st": 1}
TOP = {"lastUpdateId": 160, "bids": [["1.0", "2"]], "asks": [["1.1", "3"]]}
BEST = {"u": 400, "s": "BTCUSDT", "b": "25.35", "B": "31.21", "a": "25.36", "A": "40.66"}
BAR = {"t": T, "T": T + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 2, "o": "1", "c": "4", "h": "5", "l": "0.5",
       "v": "10", "n": 2, "x": True, "q": "30", "V": "1", "Q": "1", "B": "0"}  # fmt: skip
KLINE = {"e": "kline", "E": T + 1, "s": "BTCUSDT", "k": BAR}
MINI = {"e": "24hrMiniTicker", "E": T, "s": "BTCUSDT", "c": "4", "o": "1", "h": "5", "l": "0.5", "v": "10", "q": "30"}
DAY = {**MINI, "e": "24hrTicker", "p": "3", "P": "300", "w": "2", "Q": "0.2", "O": T, "C": T, "F": 1, "L": 2, "n": 2}
BIDDEN = {**DAY, "x": "1", "b": "3.9", "B": "7", "a": "4.1", "A": "8"}
MARK = {
    "e": "markPriceUpdate",
    "E": T,
    "s": "BTCUSDT",
    "p": "11.1",
    "i": "11.2",
    "P": "11.3",
    "r": "0.0001",
    "T": T + 9,
}
FORCED = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9900", "X": "FILLED",
          "l": "0.014", "z": "0.013", "T": T}  # fmt: skip
FORCE = {"e": "forceOrder", "E": T + 1, "o": FORCED}
INDEX = {"e": "indexPriceUpdate", "E": T, "i": "BTCUSD", "p": "64000.5"}

BIDS, ASKS = [Level("1.0", "2")], [Level("1.1", "0")]
BAR_PRICES = D(1), D(5), D("0.5"), D(4)
DAY_PRICES = D(1), D(5), D("0.5")


def combined(name, data):
    return {"stream": name, "data": data}


TABLE = [
    ("spot trade", SPOT, "btcusdt@trade", TRADE, [Trade(SPOT, BTC, NS, AT, "7", "buy", D("64117.99"), D("0.1"))]),
    ("spot merged", SPOT, "btcusdt@aggTrade", AGG, [Trade(SPOT, BTC, NS, AT, "105", "sell", D("1.5"), D(2), 6)]),
    ("futures trade", USDM, "btcusdt@aggTrade", {**AGG, "nq": "2", "st": 1},
     [Trade(USDM, PERP, NS, AT, "26", "sell", D("1.5"), D(2))]),
    ("futures execution", USDM, "btcusdt@trade", {**TRADE, "X": "MARKET", "st": 1},
     [Trade(USDM, PERP, NS, AT, "7", "buy", D("64117.99"), D("0.1"))]),
    ("no execution", USDM, "btcusdt@trade", {**TRADE, "q": "0", "X": "NA"}, []),
    ("spot quote", SPOT, "btcusdt@bookTicker", BEST,
     [Quote(SPOT, BTC, None, AT, D("25.35"), D("31.21"), D("25.36"), D("40.66"), 400)]),
    ("futures quote", USDM, "btcusdt@bookTicker", {**BEST, "e": "bookTicker", "T": T, "E": T + 1, "st": 1},
     [Quote(USDM, PERP, NS, AT, D("25.35"), D("31.21"), D("25.36"), D("40.66"), 400)]),
    ("no bids", SPOT, "btcusdt@bookTicker", {**BEST, "b": "0.00000000", "B": "0.00000000"},
     [Quote(SPOT, BTC, None, AT, None, None, D("25.36"), D("40.66"), 400)]),
    ("spot changes", SPOT, "btcusdt@depth@100ms", DIFF,
     [BookDelta(SPOT, BTC, NS + MS, AT, BIDS, ASKS, 160, None, 157)]),
    ("futures changes", USDM, "btcusdt@depth@100ms", CHAIN,
     [BookDelta(USDM, PERP, NS, AT, BIDS, ASKS, 160, 149, 157)]),
    ("slower changes", USDM, "btcusdt@depth", CHAIN, [BookDelta(USDM, PERP, NS, AT, BIDS, ASKS, 160, 149, 157)]),
    ("spot top", SPOT, "btcusdt@depth10@100ms", TOP,
     [BookSnapshot(SPOT, BTC, None, AT, BIDS, [Level("1.1", "3")], 160, 10)]),
    ("futures top", USDM, "btcusdt@depth5@100ms", CHAIN, [BookSnapshot(USDM, PERP, NS, AT, BIDS, ASKS, 160, 5)]),
    ("spot candle", SPOT, "btcusdt@kline_1m", KLINE,
     [Candle(SPOT, BTC, NS + MS, AT, "1m", NS, *BAR_PRICES, D(10), D(10), D(30), True)]),
    ("inverse candle", COINM, "btcusd_perp@kline_1m", KLINE,
     [Candle(COINM, INVERSE, NS + MS, AT, "1m", NS, *BAR_PRICES, D(10), D(30), None, True)]),
    ("spot ticker", SPOT, "btcusdt@ticker", BIDDEN,
     [Ticker(SPOT, BTC, NS, AT, D(4), D("0.2"), D("3.9"), D(7), D("4.1"), D(8), *DAY_PRICES, D(10), D(10), D(30))]),
    ("futures ticker", USDM, "btcusdt@ticker", {**DAY, "st": 1},
     [Ticker(USDM, PERP, NS, AT, D(4), D("0.2"), *[None] * 4, *DAY_PRICES, D(10), D(10), D(30))]),
    ("inverse ticker", COINM, "btcusd_perp@miniTicker", {**MINI, "ps": "BTCUSD"},
     [Ticker(COINM, INVERSE, NS, AT, D(4), *[None] * 5, *DAY_PRICES, D(10), D(30), None)]),
    ("mark", USDM, "btcusdt@markPrice@1s", MARK,
     [MarkPrice(USDM, PERP, NS, AT, D("11.1")), IndexPrice(USDM, PERP, NS, AT, D("11.2")),
      FundingRate(USDM, PERP, NS, AT, D("0.0001"), NS + 9 * MS)]),
    ("no funding", USDM, "btcusdt_261225@markPrice@1s", {**MARK, "r": "", "T": 0, "i": ""},
     [MarkPrice(USDM, "BTC-USDT-20261225", NS, AT, D("11.1"))]),
    ("liquidation", USDM, "btcusdt@forceOrder", FORCE,
     [Liquidation(USDM, PERP, NS, AT, "sell", D(9900), D("0.013"))]),
    ("unfilled liquidation", USDM, "btcusdt@forceOrder", {**FORCE, "o": {**FORCED, "ap": "0", "z": "0"}},
     [Liquidation(USDM, PERP, NS, AT, "sell", D(9910), D("0.014"))]),
    ("index of a pair", COINM, "btcusd@indexPrice@1s", INDEX,
     [IndexPrice(COINM, name, NS, AT, D("64000.5")) for name in (INVERSE, "BTC-USD-20261225")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("exchange", "name", "data", "expected"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_payloads(make_view, exchange, name, data, expected):
    view = make_view(exchange)
    frame = combined(name, data)
    assert list(view.parse(frame)) == expected
    # The second frame of a stream takes the short way, one with spaces never does.
    assert list(view.parse(frame)) == expected
    assert list(view.parse(json.dumps(frame, indent=1))) == expected
    assert list(view.parse({"data": data, "stream": name})) == expected


@pytest.mark.parametrize(
    ("exchange", "data", "expected"),
    [
        (row[1], row[3], row[4])
        for row in TABLE
        if "depth" not in row[2] or row[0] in ("spot changes", "futures changes", "slower changes")
        if row[1] == SPOT or "btcusd_" not in row[2]
        if row[0] != "no funding"
    ],
)
def test_bare_payloads_say_it_all_themselves(make_view, exchange, data, expected):
    assert list(make_view(exchange).parse(data)) == expected


def test_a_partial_book_without_the_name_of_its_stream_is_unknown(make_view):
    (event,) = make_view(SPOT).parse(TOP)
    assert isinstance(event, Unknown)


@pytest.mark.parametrize(
    ("exchange", "name", "data"),
    [
        (USDM, "btcusdt@rpiDepth@500ms", CHAIN),
        (SPOT, "btcusdt@kline_1d@+08:00", {**KLINE, "k": {**BAR, "i": "1d"}}),
        (USDM, "btcusdt_perpetual@continuousKline_1m", KLINE),
        (SPOT, "btcusdt@blockTrade", TRADE),
        (SPOT, "btcusdt@depth7", DIFF),
        (SPOT, "btcusdt", TRADE),
        (SPOT, "!rates", BEST),
        (USDM, "!rates@arr", [MARK]),
        (USDM, "btcusdt@rpiDepth@500ms", [CHAIN]),
        (USDM, "!markPrice@arr", [DAY]),
    ],
)
def test_the_name_of_a_stream_decides_what_its_payloads_are(make_view, exchange, name, data):
    """RPI books are not numbered like the ordinary ones, days of another time zone are other candles."""
    view = make_view(exchange)
    for _ in range(2):
        (event,) = view.parse(combined(name, data))
        assert isinstance(event, Unknown)
        assert name in event.what


@pytest.mark.parametrize(
    ("exchange", "name", "data", "told"),
    [
        (USDM, "!markPrice@arr", MARK, MarkPrice),
        (USDM, "!ticker@arr", DAY, Ticker),
        (USDM, "!miniTicker@arr", MINI, Ticker),
        (USDM, "!forceOrder@arr", FORCE, Liquidation),
        (USDM, "!bookTicker", {**BEST, "e": "bookTicker", "T": T}, Quote),
        (SPOT, "!bookTicker", BEST, Quote),
        (COINM, "btcusd@markPrice", {**MARK, "s": "BTCUSD_PERP"}, MarkPrice),
    ],
)
def test_the_streams_of_all_instruments(make_view, exchange, name, data, told):
    view = make_view(exchange)
    rows = [data] if "Price" in name or name.endswith("icker@arr") else data
    assert {type(event) for event in view.parse(combined(name, rows))} >= {told}


def test_the_short_way_is_taken_from_the_second_frame_on(make_view):
    view = make_view(SPOT)
    view.parse(combined("btcusdt@trade", TRADE))
    assert set(view.memory.targets) == {b'{"stream":"btcusdt@trade'}


def test_an_instrument_that_is_listed_later_goes_by_its_name_from_then_on(make_view):
    view = make_view(SPOT)
    frame = combined("newusdt@trade", {**TRADE, "s": "NEWUSDT"})
    for _ in range(2):
        (event,) = view.parse(frame)
        assert event.symbol == "NEWUSDT"
    view.instruments.add(Instrument(SPOT, "NEW-USDT", "NEWUSDT", "spot", "NEW", "USDT"))
    for _ in range(2):
        (event,) = view.parse(frame)
        assert event.symbol == "NEW-USDT"


def test_one_stream_serves_mark_index_and_funding_as_they_are_asked_for(make_view):
    view = make_view(USDM)
    (request,) = view.ask("mark_price", "funding_rate")
    assert json.loads(request.frame)["params"] == ["btcusdt@markPrice@1s"]
    frame = combined("btcusdt@markPrice@1s", MARK)
    assert [type(event) for event in view.parse(frame)] == [MarkPrice, FundingRate]
    view.ask("index_price")
    assert [type(event) for event in view.parse(frame)] == [MarkPrice, IndexPrice, FundingRate]
    view.plugin.unsubscribe(view, [view.channel("mark_price"), view.channel("funding_rate")])
    assert [type(event) for event in view.parse(frame)] == [IndexPrice]


def test_arrays_hold_both_families_and_ours_is_taken(make_view):
    rows = [{**MARK, "st": 1}, {**MARK, "s": "BTCUSD_PERP", "st": 2}]
    frame = combined("!markPrice@arr@1s", rows)
    assert {event.symbol for event in make_view(USDM).parse(frame)} == {PERP}
    assert {event.symbol for event in make_view(COINM).parse(frame)} == {INVERSE}
    assert {event.symbol for event in make_view(USDM).parse(rows)} == {PERP}


def test_a_bad_row_of_an_array_harms_no_other(make_view):
    rows = [{**MARK, "st": 1}, {**MARK, "p": "much", "st": 1}, 5]
    events = make_view(USDM).parse(combined("!markPrice@arr@1s", rows))
    assert [type(event) for event in events] == [MarkPrice, IndexPrice, FundingRate, Malformed, Malformed]


def test_listings(make_view):
    view = make_view(USDM)
    row = {"e": "contractInfo", "E": T, "s": "BTCUSDT_261225", "ps": "BTCUSDT", "ct": "CURRENT_QUARTER", "dt": T,
           "ot": 5, "cs": "SETTLING", "bks": []}  # fmt: skip
    (event,) = view.parse(combined("!contractInfo", row))
    assert isinstance(event, InstrumentUpdate)
    assert (event.symbol, event.instrument.status) == ("BTC-USDT-20261225", "settling")
    (event,) = view.parse(combined("!contractInfo", {**row, "s": "SOLUSDT", "ps": "SOLUSDT", "cs": "PENDING_TRADING"}))
    found = event.instrument
    assert (found.symbol, found.type, found.base, found.quote) == ("SOL-USDT-PERP", "perpetual", "SOL", "USDT")
    assert (found.status, found.listed, found.native) == ("preopen", 5 * MS, "SOLUSDT")
    (event,) = view.parse(combined("!contractInfo", {**row, "s": "USDT", "ps": "USDT"}))
    assert isinstance(event, Unknown)
    view.plugin.subscribe(view, [view.channel("instrument")], None, AT)
    assert not view.parse(combined("!contractInfo", {**row, "s": "SOLUSDT"}))


CONTROL = [
    ({"result": None, "id": 1}, Accepted("1")),
    ({"result": ["btcusdt@trade"], "id": 3}, Accepted("3")),
    ({"result": None, "id": 9}, Unsubscribed("9")),
    ({"result": True}, Alive()),
    ({"code": 2, "msg": "Invalid request: missing method"}, Rejected("2 Invalid request: missing method")),
    ({"error": {"code": 3, "msg": "Invalid JSON"}, "id": 4}, Rejected("3 Invalid JSON", "request", "4")),
    ({"error": {"code": 4, "msg": "Too many subscriptions"}}, Rejected("4 Too many subscriptions")),
    ({"e": "serverShutdown", "E": T}, Goodbye("serverShutdown")),
    ({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": T}}, Goodbye("serverShutdown")),
]


@pytest.mark.parametrize(("frame", "expected"), CONTROL)
def test_the_conversation(make_view, frame, expected):
    view = make_view(SPOT)
    view.memory.leaving.add("9")
    assert list(view.parse(frame)) == [expected]


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b"", Malformed),
        (b"nonsense", Malformed),
        (b'{"stream":"btcusdt@trade","data":{"e":"trade","t":1}}', Malformed),
        (b'{"stream":"btcusdt@trade","data":{"e":"trade","t":1,"p":"NaN","q":"1","T":1,"m":true}}', Malformed),
        (b'{"stream":"btcusdt@trade","data":{"e":"trade","t":1,"p":"-1","q":"1","T":1,"m":true}}', Malformed),
        (b'{"stream":"btcusdt@trade","data":{"e":"trade","t":1,"p":"1e99999999","q":"1","T":1,"m":true}}', Malformed),
        (b'{"stream":"btcusdt@avgPrice","data":{"e":"avgPrice","E":1,"s":"BTCUSDT"}}', Unknown),
        (b'{"stream":"btcusdt@markPrice","data":{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"1"}}', Unknown),
        (b"{}", Unknown),
    ],
)
def test_what_cannot_be_understood(make_view, frame, kind):
    (event,) = make_view(SPOT).parse(frame)
    assert isinstance(event, kind)


def test_every_composed_frame_is_understood(make_view, exchange, composed):
    view = make_view(exchange)
    for line in composed(exchange, "ws"):
        assert not [e for e in view.parse(line.frame) if isinstance(e, Malformed | Unknown)], line.frame
    for line in composed(exchange, "http"):
        found = view.read(line.url, line.frame)
        assert found
        assert not [event for event in found if isinstance(event, Malformed | Unknown | Rejected)], line.url
