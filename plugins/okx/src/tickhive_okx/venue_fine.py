"""The tick-by-tick books of the simulated OKX: the best levels, told whenever one of them has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from attrs import define, field, frozen

from tickhive.simulation.ladder import Row
from tickhive.simulation.stock import Stock
from tickhive_okx.venue_channels import TICK_BY_TICK, Frame, Key
from tickhive_okx.venue_listing import MILLISECOND

KEEP_ALIVE = 60_000 * MILLISECOND
"""After so long (ns) without a change a book says that it is still the same."""

Write: TypeAlias = Callable[[Key, int, str, list[Row], list[Row], tuple[int, int]], Frame]
"""Makes a frame of a book: stream, time (ns UTC), action, bids, asks, and the numbers before and after."""


@frozen
class _Told:
    bids: list[Row]
    asks: list[Row]
    sequence: int
    at: int


@define
class FineBooks:
    """What each such stream told last. ``sequence`` is the number of an instrument's book as it stands."""

    _write: Write
    _stocks: Mapping[str, Stock]
    _sequence: Callable[[str], int]
    _told: dict[Key, _Told] = field(factory=dict, init=False)

    def open(self, key: Key, at: int) -> Frame:
        """The book as it is; whoever listens already has to be told of changes first."""
        now = self._told[key] = self._now(key, at)
        return self._write(key, at, "snapshot", now.bids, now.asks, (-1, now.sequence))

    def update(self, key: Key, at: int) -> Iterable[Frame]:
        """What has changed since the last frame, if anything has."""
        told = self._told.get(key)
        if told is None:
            return ()
        now = self._now(key, at)
        bids, asks = _difference(told.bids, now.bids), _difference(told.asks, now.asks)
        if not bids and not asks:
            if at - told.at < KEEP_ALIVE:
                return ()
            now = _Told(now.bids, now.asks, told.sequence, at)
        self._told[key] = now
        return (self._write(key, at, "update", bids, asks, (told.sequence, now.sequence)),)

    def _now(self, key: Key, at: int) -> _Told:
        channel, native = key
        stock, depth = self._stocks[native], TICK_BY_TICK[channel]
        return _Told(stock.bids.top(depth), stock.asks.top(depth), self._sequence(native), at)


def _difference(before: Sequence[Row], after: Sequence[Row]) -> list[Row]:
    """The rows of ``after`` that are not in ``before``, and what is gone with size 0."""
    prices, known = {row[0] for row in after}, set(before)
    return [*(row for row in after if row not in known), *((row[0], 0, 0) for row in before if row[0] not in prices)]
