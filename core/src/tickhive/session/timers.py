"""What a session waits for, and when: actions due at a moment, without a clock."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

from tickhive.events import MarketEvent

Action: TypeAlias = Callable[[Any, int, list[MarketEvent]], None]
"""Called with what it is about, the time now (ns UTC) and the list of events going out."""

SECOND = 1_000_000_000
"""Nanoseconds."""


def doubled_wait(failures: int) -> int:
    """How long to wait after so many failures before this one, ns: 1 s, twice as long each time, at most a minute."""
    return min(60, 1 << min(max(failures, 0), 6)) * SECOND


class Timers:
    """Actions and their moments, at most one moment for each action and subject.

    ``next`` is never later than the earliest moment; it may be earlier after a cancellation, which costs one idle call.
    """

    __slots__ = ("_moments", "next")

    def __init__(self) -> None:
        self._moments: dict[tuple[Action, Hashable], int] = {}
        self.next: int | None = None

    def set(self, action: Action, about: Hashable, at: int) -> None:
        """Have ``action`` called about ``about`` at ``at``; replaces an earlier wish for the same two."""
        self._moments[(action, about)] = at
        if self.next is None or at < self.next:
            self.next = at

    def cancel(self, action: Action, about: Hashable) -> None:
        """Forget a wish; unknown ones are harmless."""
        self._moments.pop((action, about), None)

    def clear(self) -> None:
        """Forget everything."""
        self._moments.clear()
        self.next = None

    def run(self, at: int, out: list[MarketEvent]) -> None:
        """Call all that is due, earliest first, equal moments in the order they were set."""
        if self.next is None or at < self.next:
            return
        due = [(key, moment) for key, moment in self._moments.items() if moment <= at]
        due.sort(key=lambda item: item[1])
        for key, moment in due:
            # An action before this one may have cancelled or moved it.
            if self._moments.get(key) == moment:
                del self._moments[key]
                action, about = key
                action(about, at, out)
        self.next = min(self._moments.values(), default=None)
