"""Time without a clock: what is due happens in order, one thing after the other."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


class Clockwork:
    """``now`` in ns UTC; it moves only in ``run``."""

    def __init__(self) -> None:
        self.now = START
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, moment: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(moment, self.now), next(self._order), action))

    def after(self, delay: int, action: Callable[[], None]) -> None:
        self.at(self.now + delay, action)

    def run(self, until: int) -> None:
        while self._due and self._due[0][0] <= until:
            moment, _, action = heapq.heappop(self._due)
            self.now = moment
            action()
        self.now = until
