"""The plugin of the fuller Wren: one more method for each thing it sends."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec
from attrs import evolve

from tickhive.plugin import (
    BookSnapshot,
    Candle,
    Channel,
    DataType,
    Fetch,
    FundingRate,
    Gap,
    Quote,
    SessionView,
    SimulatedVenue,
    Ticker,
    VenueOptions,
    hookimpl,
)

from .faults import wrongly
from .full_venue import TOP, FullVenue
from .wren import Message, Reply, Wren
from .wren_venue import MS

STREAMS = {
    (DataType.QUOTE, ""): "quote",
    (DataType.CANDLE, "1m"): "candle",
    (DataType.FUNDING_RATE, ""): "funding",
    (DataType.ORDERBOOK, "5"): "top",
    (DataType.TRADE, "agg"): "gathered",
}


class Bar(msgspec.Struct, array_like=True, gc=False):
    """A candle."""

    t: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    base: Decimal
    quote: Decimal
    closed: bool


class FullMessage(Message, gc=False):
    """Whatever the fuller Wren says."""

    q: tuple[Decimal, Decimal, Decimal, Decimal] | None = None
    k: Bar | None = None
    rate: Decimal | None = None
    due: int = 0
    low: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    base: Decimal | None = None
    quote: Decimal | None = None


class FullReply(Reply):
    """Whatever it answers by REST."""

    candles: list[Bar] = []  # noqa: RUF012  # msgspec copies it


class FullWren(Wren):
    """A correct plugin with more data types and parameters."""

    decode = staticmethod(msgspec.json.Decoder(FullMessage).decode)
    reply = staticmethod(msgspec.json.Decoder(FullReply).decode)

    def judge(self, channels: Sequence[Channel], credentials: Any) -> None:
        plain = [each for each in channels if (each.data_type, each.params) not in STREAMS]
        super().judge(plain, credentials)

    def stream(self, channel: Channel) -> str:
        kind = STREAMS.get((channel.data_type, channel.params))
        return f"{kind}.{channel.native}" if kind is not None else super().stream(channel)

    def events(self, session: SessionView, message: Any, at: int) -> Any:
        read = {
            "quote": self.quote,
            "candle": self.candle,
            "funding": self.funding,
            "top": self.top,
            "gathered": self.gathered,
        }.get(message.s)
        if read is None:
            return super().events(session, message, at)
        about = session.exchange, self.symbol(session, message.m), self.time(message.t), at
        return read(session, message, about)

    def quote(self, session: SessionView, message: Any, about: Any) -> Any:
        if message.q is None:
            raise ValueError("a quote without prices")
        return [Quote(*about, *map(self.number, message.q))]

    def prices(self, bar: Bar) -> Any:
        return tuple(map(self.number, (bar.open, bar.high, bar.low, bar.close)))

    def volumes(self, base: Decimal, quote: Decimal) -> Any:
        """Volume, and volumes in base and quote currency."""
        return self.number(base), self.number(base), self.number(quote)

    def begin(self, bar: Bar) -> int:
        return bar.t * MS

    def closed(self, bar: Bar) -> bool:
        return bar.closed

    def candle(self, session: SessionView, message: Any, about: Any) -> Any:
        bar = message.k
        if bar is None:
            raise ValueError("a candle without prices")
        return [self.bar(bar, about)]

    def bar(self, bar: Bar, about: Any) -> Candle:
        start, volumes = self.begin(bar), self.volumes(bar.base, bar.quote)
        return Candle(*about, "1m", start, *self.prices(bar), *volumes, self.closed(bar))

    def funding(self, session: SessionView, message: Any, about: Any) -> Any:
        if message.rate is None:
            raise ValueError("funding without a rate")
        return [FundingRate(*about, self.number(message.rate), self.due(message))]

    def due(self, message: Any) -> int:
        return message.due * MS  # type: ignore[no-any-return]

    def top(self, session: SessionView, message: Any, about: Any) -> Any:
        bids, asks = self.sides(message)
        return [BookSnapshot(*about, bids, asks, None, TOP)]

    def gathered(self, session: SessionView, message: Any, about: Any) -> Any:
        found = super().trades(session, message, about[3])
        return [evolve(trade, count=self.count(row)) for trade, row in zip(found, message.rows, strict=True)]

    def count(self, row: Any) -> int:
        return row.count  # type: ignore[no-any-return]

    def day(self, message: Any) -> Any:
        """Bid, ask, high and low."""
        return message.bid, message.ask, message.high, message.low

    def ticker(self, session: SessionView, message: Any, at: int) -> Any:
        (told,) = super().ticker(session, message, at)
        if not isinstance(told, Ticker):
            return [told]
        if message.base is None or message.quote is None or message.low is None:
            raise ValueError("a ticker without volumes")
        bid, ask, high, low = (None if each is None else self.number(each) for each in self.day(message))
        volume, base, quote = self.volumes(message.base, message.quote)
        return [evolve(told, bid=bid, ask=ask, high=high, low=low, volume=volume, base_volume=base, quote_volume=quote)]

    # REST

    @hookimpl
    def backfill(self, session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
        if channel.data_type is DataType.CANDLE and gap.start is not None and gap.end is not None:
            path = f"candles?m={channel.native}&from={gap.start // MS}&to={gap.end // MS}"
            return Fetch(self.rest(session.settings, path), costs={"rest": 1.0}, channel=channel)
        if channel.params:
            return None
        found: Fetch | None = super().backfill(session, channel, gap)
        return found

    def answers(self, session: SessionView, fetch: Fetch, reply: Any, at: int) -> Any:
        if not urlsplit(fetch.url).path.endswith("/candles"):
            return super().answers(session, fetch, reply, at)
        about = session.exchange, self.symbol(session, reply.m), None, at
        return [evolve(self.past_bar(self.bar(row, about)), late=True) for row in reply.candles]

    def past_bar(self, candle: Candle) -> Candle:
        return candle

    @hookimpl
    def venue(self, options: VenueOptions) -> SimulatedVenue:
        return FullVenue(options)


def fully(**members: Any) -> object:
    """The fuller plugin with some of its members written otherwise."""
    return wrongly(FullWren, members)
