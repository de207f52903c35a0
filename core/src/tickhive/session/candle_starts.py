"""Candles that follow on each other: how long their interval is, and the holes a skip reveals."""

from __future__ import annotations

import re
from collections import deque

from attrs import define, field

from tickhive.errors import ConfigurationError
from tickhive.events import Candle
from tickhive.session.candle_intervals import DAY, Interval

PROOF = 8
"""So many candles in a row, each following on the one before, and a skip is taken for a loss without asking."""

_MOST_TRIALS = 4  # a stream that skips so often without a loss has no candles for intervals without trades
_FORGIVEN = 128  # unless this many follow on each other
_MOST_STREAMS = 100_000
_MOST_UNCLOSED = 8
_NAME = re.compile(r"([1-9]\d{0,3})([smhHdDwWM])(?:utc)?")


def interval_of(name: str, start: int) -> Interval | None:
    """The interval of this name that has a candle starting at ``start``, whatever clock the venue's days follow.

    None where the name does not tell the length. Venues write hours, days and weeks in capitals too.

    >>> days = interval_of("1D", 16 * 3600 * 10**9)
    >>> days.after(16 * 3600 * 10**9) // 3600 // 10**9
    40
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    unit = match[2] if match[2] == "M" else match[2].lower()
    try:
        interval = Interval(match[1] + unit)
    except ConfigurationError:
        return None
    if unit == "M":
        past = start % DAY
        interval = Interval(interval.name, -past if past < DAY // 2 else DAY - past)
    else:
        interval = Interval(interval.name, interval.begin(start) - start)
    return interval if interval.begin(start) == start else None


@define(eq=False, slots=True)
class Series:
    """Where one stream of candles stands.

    ``latest`` is the candle with the highest start. ``run`` counts how many followed on each other, ``trials`` how
    often a skip was no loss. ``cut`` is why the stream was interrupted, until a candle shows what was missed.
    ``unclosed`` are the starts of the last candles that were followed by the next one before they came closed.
    """

    interval: Interval | None
    latest: Candle
    run: int = 0
    trials: int = 0
    cut: str | None = None
    unclosed: deque[int] = field(factory=lambda: deque(maxlen=_MOST_UNCLOSED))

    def between(self, candle: Candle) -> tuple[int, int] | None:
        """The starts of the first and the last closed candle missing before this one; None when none is.

        The latest one is among them when it was never seen closed.
        """
        interval, latest = self.interval, self.latest
        if interval is None or candle.start <= latest.start or interval.begin(candle.start) != candle.start:
            return None
        first = interval.after(latest.start) if latest.closed else latest.start
        return (first, interval.begin(candle.start - 1)) if first < candle.start else None

    def follows(self, candle: Candle) -> bool:
        """Whether this candle is of the interval right after the latest one's."""
        return self.interval is None or candle.start == self.interval.after(self.latest.start)

    def go_on(self, candle: Candle) -> None:
        """Take a candle that is not older than the latest one."""
        if candle.start > self.latest.start:
            if not self.follows(candle):
                self.run = 0
            else:
                self.run += 1
                if not self.latest.closed:
                    self.unclosed.append(self.latest.start)
            if self.run >= _FORGIVEN:
                self.trials = 0
            self.cut = None
            self.latest = candle
        elif candle.closed or not self.latest.closed:
            self.latest = candle

    @property
    def dense(self) -> bool:
        """Whether the stream was seen to have a candle for every interval."""
        return self.run >= PROOF << self.trials

    @property
    def sparse(self) -> bool:
        """Whether the stream was seen to leave out intervals."""
        return self.trials >= _MOST_TRIALS


class CandleStarts:
    """Every candle stream of one collector, by symbol and interval."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], Series] = {}

    def of(self, candle: Candle) -> Series:
        """Where a candle's stream stands; it begins with this candle when it is the first."""
        key = (candle.symbol, candle.interval)
        series = self._series.get(key)
        if series is None:
            series = Series(interval_of(candle.interval, candle.start), candle)
            if len(self._series) < _MOST_STREAMS:
                self._series[key] = series
        return series

    def get(self, symbol: str, interval: str) -> Series | None:
        """Where a stream stands; None before its first candle."""
        return self._series.get((symbol, interval))

    def forget(self, symbol: str, interval: str) -> None:
        """The stream is not wanted any more."""
        self._series.pop((symbol, interval), None)
