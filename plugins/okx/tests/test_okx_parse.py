"""Every frame OKX documents, in its documented shape, and what it becomes."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tickhive.plugin import (
    Accepted,
    Alive,
    BookChecksum,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    DataType,
    FundingRate,
    Goodbye,
    IndexPrice,
    Instrument,
    InstrumentUpdate,
    Level,
    Liquidation,
    Malformed,
    MarkPrice,
    OpenInterest,
    PriceLimit,
    Quote,
    Ready,
    Rejected,
    Reply,
    Ticker,
    Trade,
    Unknown,
    Unsubscribed,
)
from tickhive_okx.channels import BARS, BY_NAME, LOGIN

dec = Decimal

AT = 1_791_369_351_500_000_000
TS, NS = "1791369351001", 1_791_369_351_001_000_000
HEAD = ("okx", "BTC-USDT-PERP", NS, AT)
SWAP = Channel("BTC-USDT-PERP", "BTC-USDT-SWAP", DataType.TRADE)


def channel(data_type, params="", symbol="BTC-USDT-PERP", native="BTC-USDT-SWAP"):
    return Channel(symbol, native, data_type, params)


def push(name, *data, id="BTC-USDT-SWAP", by="instId", **more):
    return {"arg": {"channel": name, by: id}, **more, "data": list(data)}


@pytest.fixture
def swap(view):
    view.instruments.add(Instrument("okx", "BTC-USDT-PERP", "BTC-USDT-SWAP", "perpetual", "BTC", "USDT"))
    return view


TRADE = {"instId": "BTC-USDT-SWAP", "tradeId": "77", "px": "64040.2", "sz": "0.5", "side": "sell", "ts": TS}
BOOK = {"asks": [["8446", "95", "0", "3"]], "bids": [["8445", "9", "0", "3"]], "ts": TS}
LEVELS = ([Level("8445", "9")], [Level("8446", "95")])
LIQUIDATION = {
    "instType": "SWAP",
    "instId": "BTC-USDT-SWAP",
    "uly": "BTC-USDT",
    "details": [
        {"side": "buy", "posSide": "short", "bkPx": "64000", "sz": "3", "bkLoss": "0", "ccy": "", "ts": TS},
        {"side": "sell", "posSide": "long", "bkPx": "63000", "sz": "4", "bkLoss": "0", "ccy": "", "ts": TS},
    ],
}
TICKER = {
    "instType": "SWAP", "instId": "BTC-USDT-SWAP", "last": "10", "lastSz": "1", "askPx": "11", "askSz": "2",
    "bidPx": "9", "bidSz": "", "open24h": "8", "high24h": "12", "low24h": "7", "volCcy24h": "5", "vol24h": "500",
    "sodUtc0": "1", "sodUtc8": "1", "ts": TS,
}  # fmt: skip

STATISTICS = (dec(10), dec(1), dec(9), None, dec(11), dec(2), dec(8), dec(12), dec(7))
BAR = (dec(1), dec(4), dec("0.5"), dec(2), dec(100), dec(10), dec(20))

FRAMES = {
    "trades": (
        push("trades", TRADE | {"count": "3", "source": "0", "seqId": 1}),
        [Trade(*HEAD, "77", "sell", dec("64040.2"), dec("0.5"), 3)],
    ),
    "trades-all": (push("trades-all", TRADE), [Trade(*HEAD, "77", "sell", dec("64040.2"), dec("0.5"))]),
    "bbo-tbt": (
        push("bbo-tbt", BOOK | {"seqId": 36}),
        [Quote(*HEAD, dec("8445"), dec("9"), dec("8446"), dec("95"), 36)],
    ),
    "bbo-tbt, no asks": (
        push("bbo-tbt", BOOK | {"asks": [], "seqId": 36}),
        [Quote(*HEAD, dec("8445"), dec("9"), None, None, 36)],
    ),
    "tickers of a swap": (
        push("tickers", TICKER),
        [Ticker(*HEAD, *STATISTICS, dec(500), dec(5), None)],
    ),
    "tickers of a spot pair": (
        push("tickers", TICKER | {"instType": "SPOT"}),
        [Ticker(*HEAD, *STATISTICS, dec(500), dec(500), dec(5))],
    ),
    "books snapshot": (
        push("books", BOOK | {"checksum": 0, "prevSeqId": -1, "seqId": 123}, action="snapshot"),
        [BookSnapshot(*HEAD, *LEVELS, 123)],
    ),
    "books snapshot without a previous number": (
        push("books", BOOK | {"seqId": 123}, action="snapshot"),
        [BookSnapshot(*HEAD, *LEVELS, 123)],
    ),
    "books update": (
        push("books", BOOK | {"checksum": 0, "prevSeqId": 123, "seqId": 130}, action="update"),
        [BookDelta(*HEAD, *LEVELS, 130, 123)],
    ),
    "books update with a checksum": (
        push("books", BOOK | {"checksum": -7, "prevSeqId": 123, "seqId": 130}, action="update"),
        [BookDelta(*HEAD, *LEVELS, 130, 123), BookChecksum("BTC-USDT-PERP", -7)],
    ),
    "books keep-alive": (
        push("books", BOOK | {"asks": [], "bids": [], "prevSeqId": 130, "seqId": 130}, action="update"),
        [BookDelta(*HEAD, [], [], 130, 130)],
    ),
    "books after maintenance": (
        push("books", BOOK | {"prevSeqId": 130, "seqId": 3}, action="update"),
        [BookDelta(*HEAD, *LEVELS, 3, 130)],
    ),
    "books5": (
        push("books5", BOOK | {"instId": "BTC-USDT-SWAP", "seqId": 9}),
        [BookSnapshot(*HEAD, *LEVELS, 9, 5)],
    ),
    "candle": (
        push("candle4H", [TS, "1", "4", "0.5", "2", "100", "10", "20", "1"]),
        [
            Candle(
                 "okx", "BTC-USDT-PERP", None, AT, "4h", NS, *BAR, True
            )
        ],
    ),
    "mark-price": (
        push("mark-price", {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "markPx": "42310.6", "ts": TS}),
        [MarkPrice(*HEAD, dec("42310.6"))],
    ),
    "funding-rate": (
        push(
            "funding-rate",
            {
                "instType": "SWAP", "instId": "BTC-USDT-SWAP", "method": "current_period", "fundingRate": "-0.0004",
                "nextFundingRate": "", "fundingTime": "1785888000000", "nextFundingTime": "1785916800000", "ts": TS,
            },
        ),
        [FundingRate(*HEAD, dec("-0.0004"), 1785888000000000000, None, 1785916800000000000)],
    ),
    "open-interest": (
        push(
            "open-interest",
            {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "oi": "500", "oiCcy": "5", "oiUsd": "320000", "ts": TS},
        ),
        [OpenInterest(*HEAD, dec(500), dec(5), dec(320000))],
    ),
    "liquidation-orders": (
        push("liquidation-orders", LIQUIDATION, id="SWAP", by="instType"),
        [Liquidation(*HEAD, "buy", dec(64000), dec(3)), Liquidation(*HEAD, "sell", dec(63000), dec(4))],
    ),
    "price-limit": (
        push("price-limit", {"instId": "BTC-USDT-SWAP", "buyLmt": "200", "sellLmt": "100", "ts": TS, "enabled": True}),
        [PriceLimit(*HEAD, dec(200), dec(100))],
    ),
    "price-limit switched off": (
        push("price-limit", {"instId": "BTC-USDT-SWAP", "buyLmt": "", "sellLmt": "", "ts": TS, "enabled": False}),
        [PriceLimit(*HEAD, None, None)],
    ),
    "index-tickers": (
        push("index-tickers", {"instId": "BTC-USDT", "idxPx": "0.1", "high24h": "0.5", "ts": TS}, id="BTC-USDT"),
        [IndexPrice("okx", "BTC-USDT", NS, AT, dec("0.1"))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_becomes_its_events(swap, name):
    frame, events = FRAMES[name]
    assert swap.parse(frame) == events


@pytest.mark.parametrize("name", FRAMES)
def test_the_form_of_a_frame_does_not_matter(swap, name):
    frame, events = FRAMES[name]
    assert swap.parse(json.dumps(dict(reversed(frame.items())), indent=1)) == events


def test_every_channel_has_a_frame_here():
    named = {frame["arg"]["channel"] for frame, _ in FRAMES.values()}
    public = {name for name, wire in BY_NAME.items() if wire.place not in LOGIN}
    assert named | {f"candle{bar}" for bar in BARS} | {"instruments"} == public


def test_instruments_channel(view):
    row = {
        "instType": "SWAP", "instId": "BTC-USD-SWAP", "uly": "BTC-USD", "instFamily": "BTC-USD", "settleCcy": "BTC",
        "ctVal": "100", "ctMult": "1", "ctValCcy": "USD", "ctType": "inverse", "tickSz": "0.1", "lotSz": "1",
        "minSz": "1", "listTime": TS, "expTime": "", "state": "suspend", "upcChg": [], "instIdCode": 7,
    }  # fmt: skip
    (update,) = view.parse(push("instruments", row, id="SWAP", by="instType"))
    assert update == InstrumentUpdate(
        "okx",
        "BTC-USD-PERP",
        None,
        AT,
        Instrument(
            "okx", "BTC-USD-PERP", "BTC-USD-SWAP", "perpetual", "BTC", "USD", "BTC",
            tick_size=dec("0.1"), lot_size=dec(1), min_size=dec(1), size_unit="contracts", contract_size=dec(100),
            contract_currency="USD", inverse=True, listed=NS, status="suspended",
        ),
    )  # fmt: skip


def test_candles_carry_the_interval_as_it_was_asked_for(swap):
    frame = push("candle1H", [TS, "1", "4", "0.5", "2", "100", "10", "20", "0"])
    swap.ask(channel(DataType.CANDLE, "1H"))
    assert [event.interval for event in swap.parse(frame)] == ["1H"]
    swap.ask(channel(DataType.CANDLE, "1h"))
    assert [event.interval for event in swap.parse(frame)] == ["1H", "1h"]


def test_candles_of_a_spot_pair_count_base_and_quote(view):
    (candle,) = view.parse(push("candle1m", [TS, "1", "4", "0.5", "2", "100", "200", "200", "0"], id="BTC-USDT"))
    assert (candle.volume, candle.base_volume, candle.quote_volume) == (dec(100), dec(100), dec(200))
    assert not candle.closed


def test_an_index_price_goes_to_every_instrument_that_asked(view):
    view.ask(
        channel(DataType.INDEX_PRICE),
        channel(DataType.INDEX_PRICE, symbol="BTC-USDT-20261225", native="BTC-USDT-261225"),
    )
    events = view.parse(push("index-tickers", {"instId": "BTC-USDT", "idxPx": "64000", "ts": TS}, id="BTC-USDT"))
    assert [event.symbol for event in events] == ["BTC-USDT-PERP", "BTC-USDT-20261225"]


def test_liquidations_of_others_are_dropped(swap):
    swap.ask(channel(DataType.LIQUIDATION))
    other = LIQUIDATION | {"instId": "ETH-USDT-SWAP"}
    events = swap.parse(push("liquidation-orders", other, LIQUIDATION, id="SWAP", by="instType"))
    assert [event.symbol for event in events] == ["BTC-USDT-PERP"] * 2


def ack(event="subscribe", name="trades", **more):
    return {"event": event, "arg": {"channel": name, "instId": "BTC-USDT-SWAP"}, "connId": "a4d3ae55", **more}


def test_an_acknowledgement_names_id_and_channel(swap):
    swap.ask(SWAP)
    assert swap.parse(ack(id="1")) == [Accepted("1", (SWAP,))]
    assert swap.parse(ack()) == [Accepted(None, (SWAP,))]


def test_an_acknowledgement_of_a_shared_argument_names_all(swap):
    asked = [channel(DataType.LIQUIDATION, symbol=f"{c}-USDT-PERP", native=f"{c}-USDT-SWAP") for c in ("BTC", "ETH")]
    swap.ask(*asked)
    said = {"event": "subscribe", "arg": {"channel": "liquidation-orders", "instType": "SWAP"}}
    assert swap.parse(said) == [Accepted(None, tuple(asked))]


def test_an_acknowledgement_in_a_recording_names_what_it_means(swap):
    assert swap.parse(ack(name="candle1H")) == [Accepted(None, (channel(DataType.CANDLE, "1h"),))]


def test_unsubscribed(swap):
    swap.ask(SWAP)
    assert swap.parse(ack("unsubscribe", id="9")) == [Unsubscribed("9", (SWAP,))]
    assert not swap.memory.carried(("trades", "BTC-USDT-SWAP"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("60018", "symbol"),
        ("60012", "request"),
        ("64003", "request"),
        ("60014", "rate"),
        ("60023", "rate"),
        ("63999", "retry"),
        ("60009", "credentials"),
        ("99999", "request"),
    ],
)
def test_an_error_says_what_can_be_done(swap, code, kind):
    swap.ask(SWAP)
    said = {"event": "error", "id": "1", "code": code, "msg": "Something about it.", "connId": "a"}
    assert swap.parse(said) == [Rejected(f"{code} Something about it.", kind, "1", ())]


def test_an_error_names_the_channel_when_its_text_does(swap):
    swap.ask(SWAP)
    message = "Wrong URL or channel:trades,instId:BTC-USDT-SWAP doesn't exist. Please use the correct URL."
    (rejected,) = swap.parse({"event": "error", "code": "60018", "msg": message, "connId": "a"})
    assert (rejected.kind, rejected.id, rejected.channels) == ("symbol", None, (SWAP,))


@pytest.mark.parametrize(
    ("frame", "events"),
    [
        ("pong", [Alive()]),
        ("ping", [Reply("pong")]),
        ({"event": "notice", "code": "64008", "msg": "Going."}, [Goodbye("64008 Going.")]),
        ({"event": "notice", "code": "64999", "msg": "Hm."}, [Alive()]),
        ({"event": "error", "code": "60031", "msg": "already"}, [Ready()]),
        ({"event": "login", "code": "0", "msg": "", "connId": "a"}, [Ready()]),
        ({"event": "channel-conn-count", "channel": "orders", "connCount": "2"}, [Alive()]),
        ({"event": "party"}, [Unknown("event party")]),
        ({"arg": {"channel": "status"}, "data": []}, [Unknown("channel status")]),
        ({"arg": {"channel": "trades", "instId": "X"}, "data": []}, []),
        ({}, [Unknown("a frame that is neither an event nor data")]),
    ],
)
def test_control_frames(view, frame, events):
    assert view.parse(frame) == events


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"px": "abc"}, "px"),
        ({"px": "NaN"}, "px"),
        ({"sz": "Infinity"}, "sz"),
        ({"px": "1e999999999"}, "px"),
        ({"sz": "1e-999999999"}, "sz"),
        ({"px": "-1"}, "px"),
        ({"px": "0"}, "px"),
        ({"sz": "0"}, "sz"),
        ({"side": "hold"}, "side"),
        ({"ts": "9" * 30}, "ts"),
        ({"ts": "-1"}, "ts"),
        ({"tradeId": None}, "tradeId"),
        ({"count": 2**70}, "count"),
    ],
)
def test_a_bad_value_is_named_and_harms_nothing_else(swap, change, named):
    good = TRADE | {"tradeId": "78"}
    events = swap.parse(push("trades", TRADE | change, good))
    assert [type(event) for event in events] == [Malformed, Trade]
    assert named in events[0].why
    assert "BTC-USDT-SWAP" in events[0].why


@pytest.mark.parametrize("frame", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b"42", b'{"arg":5}', b'{"event":{}}'])
def test_what_cannot_be_read_is_malformed(view, frame):
    assert [type(event) for event in view.parse(frame)] == [Malformed]


def test_a_deep_value_does_not_exhaust_the_stack(view):
    frame = b'{"arg":{"channel":"trades","instId":"X"},"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"data":[]}'
    assert len(view.parse(frame)) <= 1


def test_books_without_an_action_are_malformed(view):
    (event,) = view.parse(push("books", BOOK))
    assert isinstance(event, Malformed)
    assert "action" in event.why
