"""Template's side of every conversation, driven without a socket: frames in, events out, and what would be sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from tickhive import BookDelta, BookSnapshot, Channel, DataType, Gap, Trade
from tickhive.plugin import (
    Accepted,
    Alive,
    Answer,
    Event,
    Fetch,
    InstrumentTable,
    Malformed,
    Rejected,
    Unknown,
    Unsubscribed,
)
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import Feed, Session
from tickhive_template import plugin

STACK = ExchangeStack.from_plugin("template", plugin)
SETTINGS = STACK.settings_type()
TRADES = Channel("BTC-USDT", "BTCUSDT", DataType.TRADE)
BOOK = Channel("BTC-USDT", "BTCUSDT", DataType.ORDERBOOK)
AT = 1_790_000_000_500_000_000
TIME = {"market": "BTCUSDT", "time": 1_790_000_000_000}
ROW = TIME | {"id": 7, "side": "sell", "price": "60000.10", "size": "0.25"}
LISTED = {"markets": [{"market": "BTCUSDT", "base": "BTC", "quote": "USDT", "tick": "0.01", "lot": "0.0001"}]}


@pytest.fixture
def session() -> Session:
    """A socket that carries trades and a book of BTC-USDT, opened and subscribed."""
    [dial] = STACK.call.connect(channels=[TRADES, BOOK], settings=SETTINGS, credentials=None, dials=())
    session = Session(STACK, dial, Feed(STACK, "template", SETTINGS, InstrumentTable("template")))
    [listed] = STACK.call.instruments(settings=SETTINGS)
    session.instruments.extend(event.instrument for event in read(session, listed, LISTED))
    session.opened(at=AT)
    return session


def frame(type: str, **fields: Any) -> bytes:
    return json.dumps({"type": type, **fields}).encode()


def parse(session: Session, *frames: bytes) -> list[Event]:
    return [event for each in frames for event in STACK.call.parse(session=session, frame=each, at=AT)]


def read(session: Session, fetch: Fetch, said: Any) -> Sequence[Any]:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    answer: Sequence[Any] = STACK.call.read(session=session, fetch=fetch, answer=Answer(200, body), at=AT)
    return answer


# What is asked for


def test_one_socket_carries_everything(session: Session) -> None:
    assert session.dial.urls == ["wss://stream.template.example/v1"]
    assert session.dial.channels == [TRADES, BOOK]


def test_requests_name_market_stream_and_an_id(session: Session) -> None:
    assert [json.loads(request.frame) for request in session.outbox] == [
        {"op": "subscribe", "id": "1", "stream": "trades", "market": "BTCUSDT"},
        {"op": "subscribe", "id": "2", "stream": "book", "market": "BTCUSDT"},
    ]


@pytest.mark.parametrize(
    "wrong", [Channel("BTC-USDT", "BTCUSDT", DataType.TICKER), Channel("X", "X", DataType.TRADE, "1")]
)
def test_what_is_not_streamed_is_refused_by_name(wrong: Channel) -> None:
    with pytest.raises(ValueError, match=str(wrong)):
        plugin.connect([TRADES, wrong], SETTINGS)


def test_a_simulated_exchange_is_reached_by_two_settings() -> None:
    settings = STACK.settings_type(url="ws://127.0.0.1:1", rest_url="http://127.0.0.1:2")
    [dial] = plugin.connect([TRADES], settings)
    [fetch] = plugin.instruments(settings)
    assert (dial.urls, fetch.url) == (["ws://127.0.0.1:1/v1"], "http://127.0.0.1:2/v1/markets")


# What frames say


def test_a_trade(session: Session) -> None:
    [trade] = parse(session, frame("trade", **ROW))
    price, size = Decimal("60000.10"), Decimal("0.25")
    assert trade == Trade("template", "BTC-USDT", 1_790_000_000_000_000_000, AT, "7", "sell", price, size)


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (frame("subscribed", id="1"), Accepted("1")),
        (frame("unsubscribed", id="1"), Unsubscribed("1")),
        (frame("refused", id="1", code="unknown_market", reason="no"), Rejected("no", "symbol", "1")),
        (frame("refused", id="1", code="too_fast", reason="no"), Rejected("no", "rate", "1")),
        (frame("refused", id="1", code="anything", reason="no"), Rejected("no", "request", "1")),
        (frame("pong"), Alive()),
        (frame("auction", market="BTCUSDT"), Unknown("type 'auction'")),
    ],
)
def test_answers_and_signs_of_life(session: Session, said: bytes, event: Event) -> None:
    assert parse(session, said) == [event]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"type":"trade"',
        frame("trade", **TIME),
        frame("trade", **ROW | {"price": "NaN"}),
        frame("trade", **ROW | {"size": "1e999999"}),
        frame("trade", **ROW | {"size": "0"}),
        frame("trade", **ROW | {"side": "up"}),
        frame("trade", **ROW | {"time": 10**18}),
        frame("update", **TIME, number=-1, bids=[], asks=[]),
    ],
)
def test_what_cannot_be_read_is_malformed(session: Session, said: bytes) -> None:
    [event] = parse(session, said)
    assert isinstance(event, Malformed)


# Books


def test_a_lost_update_is_noticed_and_the_book_asked_for_again(session: Session) -> None:
    session.outbox.clear()
    snapshot = frame("snapshot", **TIME, number=4, bids=[["60000", "1"]], asks=[["60001", "2"]])
    follows = frame("update", **TIME, number=5, bids=[["60000", "3"]], asks=[["60001", "0"], ["60002", "1"]])
    skips = frame("update", **TIME, number=7, bids=[["59999", "1"]], asks=[])
    book = session.feed.book("BTC-USDT")

    events = session.receive([snapshot, follows], at=AT)
    assert [type(event) for event in events if isinstance(event, BookSnapshot | BookDelta)] == [BookSnapshot, BookDelta]
    assert book.best_bid() == (Decimal(60000), Decimal(3))
    assert book.best_ask() == (Decimal(60002), Decimal(1))

    events = session.receive([skips], at=AT)
    assert [event.data_type for event in events if isinstance(event, Gap)] == [DataType.ORDERBOOK]
    assert not book.live
    assert [json.loads(request.frame)["op"] for request in session.outbox] == ["unsubscribe"]


# REST


def test_an_instrument(session: Session) -> None:
    instrument = session.instruments.find("BTCUSDT")
    assert (instrument.symbol, instrument.type, instrument.size_unit) == ("BTC-USDT", "spot", "base")
    assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.01"), Decimal("0.0001"))


def test_missed_trades_are_fetched_page_by_page(session: Session) -> None:
    gap = Gap("template", "BTC-USDT", None, AT, DataType.TRADE, None, None, "lost", "7", "9")
    first = plugin.backfill(session, TRADES, gap)
    assert first is not None
    assert first.url == "https://api.template.example/v1/trades?market=BTCUSDT&first=7&last=9"

    *trades, second = read(session, first, {"trades": [ROW, ROW | {"id": 8}]})
    assert [(trade.id, trade.late) for trade in trades] == [("7", True), ("8", True)]
    assert second.url.endswith("&first=9&last=9")

    [last] = read(session, second, {"trades": [ROW | {"id": 9}]})
    assert last.id == "9"


def test_a_gap_in_a_book_is_not_fetched(session: Session) -> None:
    gap = Gap("template", "BTC-USDT", None, AT, DataType.ORDERBOOK, None, None, "lost", "7", "9")
    assert plugin.backfill(session, BOOK, gap) is None


def test_answers_that_cannot_be_read(session: Session) -> None:
    [unreadable] = read(session, Fetch("https://api.template.example/v1/markets"), b"<html>")
    [unknown] = read(session, Fetch("https://api.template.example/v1/fees"), {})
    assert (type(unreadable), type(unknown)) == (Malformed, Unknown)
