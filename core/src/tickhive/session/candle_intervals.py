"""The intervals of candles: when the one that holds a moment began, and when it ends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from tickhive.errors import ConfigurationError

SECOND = 1_000_000_000
DAY = 86_400 * SECOND

_NAME = re.compile(r"([1-9]\d{0,3})([smhdwM])")
_LENGTHS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": 7 * DAY}
_EPOCH = date(1970, 1, 1).toordinal()
_MONDAY = 4 * DAY
"""The first Monday after the epoch, which was a Thursday."""


class Interval:
    """One interval by its name (``1s``, ``5m``, ``4h``, ``1d``, ``1w``, ``1M``), for a clock ``offset`` ns before UTC.

    Days begin at the offset's midnight, weeks on Monday, months on their first day; several months count from January.
    Shorter intervals divide the day of the same clock, so that longer candles are made of whole shorter ones.

    >>> minutes = Interval("5m")
    >>> minutes.begin(7 * 60 * SECOND) // SECOND, minutes.after(300 * SECOND) // SECOND
    (300, 600)
    """

    __slots__ = ("_length", "_months", "_offset", "_phase", "name")

    def __init__(self, name: str, offset: int = 0) -> None:
        match = _NAME.fullmatch(name)
        if match is None:
            raise ConfigurationError(
                f"intervals: {name!r} is none; write a number and one of s, m, h, d, w (weeks), M (months): 1m, 4h, 1M"
            )
        count, unit = int(match[1]), match[2]
        self.name = name
        self._offset = offset
        self._months = count if unit == "M" else 0
        self._length = count * _LENGTHS.get(unit, 0)
        self._phase = (_MONDAY if unit == "w" else 0) - offset

    def begin(self, at: int) -> int:
        """When the interval that holds this moment began; all times are ns UTC."""
        if self._length:
            return at - (at - self._phase) % self._length
        day = date.fromordinal(_EPOCH + (at + self._offset) // DAY)
        month = day.year * 12 + day.month - 1
        return self._first_of(month - month % self._months)

    def after(self, start: int) -> int:
        """When the interval that began at ``start`` ends and the next one begins."""
        if self._length:
            return start + self._length
        day = date.fromordinal(_EPOCH + (start + self._offset) // DAY)
        return self._first_of(day.year * 12 + day.month - 1 + self._months)

    def _first_of(self, month: int) -> int:
        day = date(month // 12, month % 12 + 1, 1)
        return (day.toordinal() - _EPOCH) * DAY - self._offset


def read_intervals(names: Iterable[str], offset: int = 0) -> tuple[Interval, ...]:
    """Read intervals in the order given; ConfigurationError names what is none, or says that none was given."""
    if isinstance(names, str):
        names = (names,)
    intervals = tuple(Interval(name, offset) for name in dict.fromkeys(names))
    if not intervals:
        raise ConfigurationError("intervals: name at least one, such as '1m'")
    return intervals
