"""Which trades were counted already: the ids of a window of time, runs of consecutive numbers kept as ranges."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

SLICES = 64
"""Into how many parts the window is cut: they are forgotten one by one."""


class IdRanges:
    """A set of whole numbers, as sorted ranges that do not touch.

    >>> ids = IdRanges()
    >>> ids.add(7, 9)
    >>> ids.add(5, 6)
    >>> 8 in ids, 10 in ids, len(ids)
    (True, False, 1)
    """

    __slots__ = ("_firsts", "_lasts")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

    def __len__(self) -> int:
        """How many ranges it takes."""
        return len(self._firsts)

    def add(self, first: int, last: int) -> None:
        """Add all numbers from ``first`` to ``last``, both included."""
        firsts, lasts = self._firsts, self._lasts
        if not firsts or first > lasts[-1] + 1:
            firsts.append(first)
            lasts.append(last)
            return
        # All ranges from `low` up to `high` touch the added one and become one with it.
        low = bisect_right(lasts, first - 2)
        high = bisect_right(firsts, last + 1)
        if low < high:
            first, last = min(first, firsts[low]), max(last, lasts[high - 1])
        firsts[low:high] = [first]
        lasts[low:high] = [last]


class _Slice:
    __slots__ = ("numbers", "texts")

    def __init__(self) -> None:
        self.numbers = IdRanges()
        self.texts: set[str] = set()

    def holds(self, trade_id: str, number: int | None) -> bool:
        return number in self.numbers if number is not None else trade_id in self.texts

    def __len__(self) -> int:
        return len(self.numbers) + len(self.texts)


class SeenTrades:
    """The ids of one symbol's trades of the last ``window`` ns, at most ``most`` entries but for the newest.

    What is asked about has to be younger than ``since``: the ids of trades before it are forgotten. They go in parts,
    each ``width`` ns of time.
    """

    __slots__ = ("_held", "_highest", "_most", "_slices", "since", "width")

    def __init__(self, window: int, most: int) -> None:
        self.width = max(window // SLICES, 1_000_000_000)
        self._most = most
        self._slices: dict[int, _Slice] = {}
        self._held = 0
        self._highest = -1
        self.since = 0

    def __len__(self) -> int:
        """How many ranges and texts are held."""
        return self._held

    def seen(self, trade_id: str, number: int | None, at: int, *, exact: bool) -> bool:
        """Tell whether a trade was noted. ``at`` is its time; not ``exact``: two copies of it may differ in time."""
        if not trade_id or (number is not None and number > self._highest):
            return False
        place = at // self.width
        # The two ways a trade comes, stream and history, may write its time more or less precisely.
        near: Iterable[int] = (place - 1, place, place + 1) if exact else tuple(self._slices)
        for each in near:
            part = self._slices.get(each)
            if part is not None and part.holds(trade_id, number):
                return True
        return False

    def note(self, trade_id: str, number: int | None, count: int, at: int) -> None:
        """Note a trade, and with it those merged into it: ``count`` executions up to its id."""
        if not trade_id:
            return
        part = self._slices.get(at // self.width)
        if part is None:
            part = self._slices[at // self.width] = _Slice()
        before = len(part)
        if number is None:
            part.texts.add(trade_id)
        else:
            # Ids grow from match to match, so no other trade can lie between those merged here.
            part.numbers.add(number - max(count, 1) + 1, number)
            self._highest = max(self._highest, number)
        self._held += len(part) - before

    def forget(self, before: int, watermark: int) -> None:
        """Let go of trades before this moment, and of more when too many are held, but of none after ``watermark``."""
        while self._slices:
            oldest = min(self._slices)
            end = (oldest + 1) * self.width
            if end > before and (self._held <= self._most or end > watermark):
                return
            self._held -= len(self._slices.pop(oldest))
            self.since = max(self.since, end)
