"""What was traded: executions, running statistics of the day, and candles of any interval."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from attrs import define, frozen
from msgspec import Struct

from tickhive.events import Side

MINUTE = 60_000_000_000
"""A minute in ns."""

Begin: TypeAlias = Callable[[int], int]
"""When the interval began that holds this moment (both ns UTC)."""


def every(length: int, offset: int = 0) -> Begin:
    """Intervals of ``length`` ns that begin ``offset`` ns after multiples of it.

    >>> every(60)(125)
    120
    """
    return lambda at: at - (at - offset) % length


@frozen
class Fill:
    """One taker order at one price: ``matches`` executions with the ids ``id - matches + 1`` to ``id``.

    Price in ticks, size in lots, time in ns UTC.
    """

    at: int
    side: Side
    price: int
    size: int
    matches: int
    id: int

    def parts(self) -> list[tuple[int, int]]:
        """(id, size in lots) of each match, in order; the sizes add up to ``size``."""
        share, rest = divmod(self.size, self.matches)
        first = self.id - self.matches + 1
        return [(first + index, share + (1 if index < rest else 0)) for index in range(self.matches)]


class Bar(Struct, gc=False):  # a market holds 480 for every instrument: too many to be looked at again and again
    """A candle in ticks and lots. ``turnover`` is the sum of price times size, in ticks times lots.

    ``bought`` and ``bought_turnover`` are the part of it that takers bought. ``matches`` executions are known one by
    one, the last with the id ``last_id``; those of the invented past are not.
    """

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    turnover: int = 0
    bought: int = 0
    bought_turnover: int = 0
    matches: int = 0
    last_id: int = -1

    def trade(self, fill: Fill) -> None:
        """Take in what one taker order did at one price."""
        price, turnover = fill.price, fill.price * fill.size
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += fill.size
        self.turnover += turnover
        if fill.side == "buy":
            self.bought += fill.size
            self.bought_turnover += turnover
        self.matches += fill.matches
        self.last_id = fill.id

    def merge(self, later: Bar) -> None:
        """Take in a later, shorter bar."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.turnover += later.turnover
        self.bought += later.bought
        self.bought_turnover += later.bought_turnover
        self.matches += later.matches
        self.last_id = max(self.last_id, later.last_id)


class Bars:
    """Candles of one interval, oldest first; the last one is still open. Intervals without a trade have none."""

    __slots__ = ("_begin", "bars")

    def __init__(self, begin: Begin, minutes: deque[Bar] | None = None, keep: int = 1500) -> None:
        self._begin = begin
        self.bars: deque[Bar] = deque(maxlen=keep)
        for minute in minutes or ():
            start = begin(minute.start)
            if self.bars and self.bars[-1].start == start:
                self.bars[-1].merge(minute)
            else:
                amounts = (minute.volume, minute.turnover, minute.bought, minute.bought_turnover)
                prices = (minute.open, minute.high, minute.low, minute.close)
                self.bars.append(Bar(start, *prices, *amounts, minute.matches, minute.last_id))

    def trade(self, fill: Fill) -> None:
        """Take in what one taker order did at one price."""
        start = self._begin(fill.at)
        bars, price = self.bars, fill.price
        if not bars or bars[-1].start != start:
            bars.append(Bar(start, price, price, price, price))
        bars[-1].trade(fill)


@define
class Day:
    """Statistics as a ticker shows them: of the day before the market began (invented) and all since."""

    open: int
    high: int
    low: int
    last: int
    last_size: int
    volume: int
    turnover: int

    def trade(self, price: int, size: int) -> None:
        """Take in an execution."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.last = price
        self.last_size = size
        self.volume += size
        self.turnover += price * size
