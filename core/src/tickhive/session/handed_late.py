"""What was handed out late, so that the same thing coming live after all is known for a double."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator

from attrs import define, field

_MOST_RUNS = 256  # of one stream; older ones lie so far back that nothing of them comes live any more

Run = tuple[int, int]
"""Numbers from the first up to, not including, the second: trade ids, or starts of candles (ns UTC)."""


def runs(items: Iterable[Run]) -> Iterator[Run]:
    """Join neighbours; ``items`` come in order.

    >>> list(runs([(1, 2), (2, 5), (7, 8)]))
    [(1, 5), (7, 8)]
    """
    begin = end = None
    for first, stop in items:
        if end is not None and begin is not None and first <= end:
            end = max(end, stop)
            continue
        if begin is not None and end is not None:
            yield begin, end
        begin, end = first, stop
    if begin is not None and end is not None:
        yield begin, end


@define
class HandedLate:
    """The runs of numbers handed out late, by stream (the key its events have in the feed's continuity)."""

    _streams: dict[Hashable, deque[Run]] = field(factory=dict, init=False)

    def add(self, stream: Hashable, given: Iterable[Run]) -> None:
        """Note what was handed out, in order."""
        kept = self._streams.setdefault(stream, deque(maxlen=_MOST_RUNS))
        kept.extend(given)

    def holds(self, stream: Hashable, first: int, stop: int) -> bool:
        """Whether all of these numbers were handed out late."""
        kept = self._streams.get(stream, ())
        return any(begin <= first and stop <= end for begin, end in kept)

    def forget(self, stream: Hashable) -> None:
        """Nobody wants this stream any more."""
        self._streams.pop(stream, None)
