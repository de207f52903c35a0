"""The times that a frame says, whatever unit or form its venue writes them in."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from tickhive.testing.wire import SECOND

_NUMBER = re.compile(rb"(?<![\w.+-])(\d{10}(?:\d{3}|\d{6}|\d{9})?)(?:\.(\d{1,9})\d*)?(?![\w.])")
"""Seconds, milliseconds, microseconds or nanoseconds since 1970: the count of digits tells which."""

_DATE = re.compile(
    rb"(\d{4})-?(\d\d)-?(\d\d)[T -](\d\d):?(\d\d):?(\d\d)(?:[.,](\d{1,9}))?\d*(?:([+-])(\d\d):?(\d\d))?(?!\d)"
)


def times_in(frame: bytes) -> Sequence[int]:
    """What may be a time in a frame of text, in ns UTC and in order; a long number of another meaning is among them.

    >>> times_in(b'{"t": 1790000000123, "made": "2026-09-21T14:13:20.5Z"}')
    [1790000000123000000, 1790000000500000000]
    """
    return sorted({*_numbers(frame), *_dates(frame)})


def _numbers(frame: bytes) -> Iterator[int]:
    for found in _NUMBER.finditer(frame):
        whole, fraction = found[1], found[2] or b""
        unit = 10 ** (19 - len(whole))
        yield int(whole) * unit + int(fraction.ljust(9, b"0")) * unit // SECOND


def _dates(frame: bytes) -> Iterator[int]:
    for found in _DATE.finditer(frame):
        try:
            year, month, day, hour, minute, second = map(int, found.groups()[:6])
            moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            continue
        if found[8] is not None:
            ahead = timedelta(hours=int(found[9]), minutes=int(found[10]))
            moment -= ahead if found[8] == b"+" else -ahead
        yield int(moment.timestamp()) * SECOND + int((found[7] or b"").ljust(9, b"0"))


def nearest(times: Sequence[int], time: int) -> int | None:
    """The one that is nearest to ``time``; None where there is none."""
    place = bisect_left(times, time)
    return min(times[max(0, place - 1) : place + 1], key=lambda each: abs(each - time), default=None)
