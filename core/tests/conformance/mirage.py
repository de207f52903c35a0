"""The plugin of mirage, a made-up venue: four ways to number a book, ids that are acknowledged, history by REST."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tickhive.channels import Channel, DataType
from tickhive.events import BookDelta, BookSnapshot, Candle, Gap, Level, Quote, Ticker, Trade
from tickhive.plugin.contract import (
    Accepted,
    Answer,
    BookChecksum,
    BookSides,
    Event,
    Fetch,
    Goodbye,
    Malformed,
    Numbered,
    Rejected,
    Request,
    SessionView,
    Unsubscribed,
)
from tickhive.plugin.hookspecs import hookimpl

from .market import STYLES

NAME = "mirage"
REST = "https://rest.mirage.test"
_PAGE = 4  # channels of one request


def seal(said: Any) -> bytes:
    """One frame: a checksum of the text, then the text, so that a damaged one is known as such."""
    text = json.dumps(said, separators=(",", ":")).encode()
    return b"%08x" % zlib.crc32(text) + text


def book_sum(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> int:
    """The venue's checksum over a book's best levels."""
    return zlib.crc32(repr((list(bids), list(asks))).encode())


def name_of(channel: Channel) -> str:
    return f"{channel.data_type.value} {channel.native}"


class Mirage:
    """Streams everything, lets channels be given up, has snapshots by REST for two kinds of books."""

    @hookimpl
    def connect(self) -> Sequence[Any]:
        return ()

    @hookimpl
    def subscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        return [
            _request(session, "subscribe", channels[begin : begin + _PAGE]) for begin in range(0, len(channels), _PAGE)
        ]

    @hookimpl
    def unsubscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        return [_request(session, "unsubscribe", channels)]

    @hookimpl
    def snapshot(self, channel: Channel) -> Fetch | None:
        if STYLES[channel.native] not in ("merged", "bridged"):
            return None
        return Fetch(f"{REST}/book/{channel.native}", channel=channel)

    @hookimpl
    def checksum(self, book: BookSides) -> int:
        return book_sum(*book.top_text(25))

    @hookimpl
    def read(self, fetch: Fetch, answer: Answer, at: int) -> list[Any]:
        said = json.loads(answer.body)
        events: list[Any] = [_event(item, at) for item in said["rows"]]
        if said.get("next") is not None:
            events.append(Fetch(said["next"], channel=fetch.channel))
        return events

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
        text = frame[8:]
        if frame[:8] != b"%08x" % zlib.crc32(text):
            return [Malformed("damaged")]
        return [_event(item, at) for item in json.loads(text)]


class Remembering(Mirage):
    """Also has the history of its trades and candles by REST."""

    @hookimpl
    def backfill(self, channel: Channel, gap: Gap) -> Fetch | None:
        if channel.data_type is DataType.TRADE:
            return Fetch(f"{REST}/trades/{channel.native}/{gap.first_id}/{gap.last_id}", channel=channel)
        if channel.data_type is DataType.CANDLE:
            return Fetch(f"{REST}/candles/{channel.native}/{gap.start}/{gap.end}", channel=channel)
        return None


class Clinging(Remembering):
    """Knows no way to give a channel up."""

    unsubscribe = None  # type: ignore[assignment]


PLUGINS = {"plain": Mirage, "remembering": Remembering, "clinging": Clinging}


def _request(session: SessionView, verb: str, channels: Sequence[Channel]) -> Request:
    id = session.next_id()
    return Request(json.dumps([verb, id, [name_of(channel) for channel in channels]]), channels, id)


def _levels(rows: Sequence[Sequence[str]]) -> list[Level]:
    return [Level(*row) for row in rows]


def _event(item: Sequence[Any], at: int) -> Event:
    match item:
        case ["trade", symbol, time, id, price, size, count]:
            return Trade(NAME, symbol, time, at, id, "buy", Decimal(price), Decimal(size), count)
        case ["quote", symbol, time, bid, ask]:
            return Quote(NAME, symbol, time, at, Decimal(bid), Decimal(1), Decimal(ask), Decimal(1))
        case ["ticker", symbol, time, last]:
            return Ticker(NAME, symbol, time, at, Decimal(last), *[None] * 9)
        case ["candle", symbol, time, interval, start, *figures, closed]:
            first, high, low, last, volume = map(Decimal, figures)
            return Candle(NAME, symbol, time, at, interval, start, first, high, low, last, volume, closed=closed)
        case ["snap", symbol, time, bids, asks, sequence]:
            return BookSnapshot(NAME, symbol, time, at, _levels(bids), _levels(asks), sequence)
        case ["delta", symbol, time, bids, asks, sequence, previous, first]:
            return BookDelta(NAME, symbol, time, at, _levels(bids), _levels(asks), sequence, previous, first)
        case ["sum", symbol, value]:
            return BookChecksum(symbol, value)
        case ["number", number]:
            return Numbered(number)
        case ["ok", id]:
            return Accepted(id)
        case ["off", id]:
            return Unsubscribed(id)
        case ["no", id, kind, why]:
            return Rejected(why, kind, id)
        case ["bye", why]:
            return Goodbye(why)
        case _:
            return Malformed("unheard of")
