"""Fills are handed out once, whether they streamed in, were fetched, or both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from tickhive.events import Fill
from tickhive.session.continuity import moment
from tickhive.session.timers import SECOND

IN_FLIGHT = 10 * SECOND
"""When a line fell silent is our time: what happened so long before by the venue's may still have been on its way."""

_MOST = 20_000
_MOST_KEPT = 2_000  # whole, for the next run of the process


class Fills:
    """Which fills were handed out; a trade with oneself fills two orders.

    ``since``: older ones than this (ns UTC) are history, not news. ``late_at``: when one that had been missed was
    handed out last, 0 for never.
    """

    def __init__(self) -> None:
        self.since: int | None = None
        self.late_at = 0
        self._seen: dict[tuple[str, str, str, str], int] = {}
        self._last: deque[Fill] = deque(maxlen=_MOST_KEPT)

    def lacks(self, fill: Fill) -> bool:
        """Whether it is to be handed out: it was not before, nor is it a fetched one from before anybody asked."""
        return not self._is_history(fill) and _key(fill) not in self._seen

    def known(self, fill: Fill, at: int) -> bool:
        """Whether it had been handed out by then (ns UTC), or is from before anybody asked."""
        received = self._seen.get(_key(fill))
        return self._is_history(fill) if received is None else received <= at

    def take(self, fill: Fill) -> bool:
        """Note a fill; False when it is not to be handed out."""
        if not self.lacks(fill):
            return False
        self._seen[_key(fill)] = fill.received
        self._last.append(fill)
        if fill.late:
            self.late_at = fill.received
        if len(self._seen) > _MOST:
            del self._seen[next(iter(self._seen))]
        return True

    def told(self, absent: int | None) -> list[Fill]:
        """Those that the next run of the process must know, lest they come twice: the newest ones, and if fills are
        missing since ``absent`` (ns UTC), all since then.
        """
        since = _since(self._last, absent)
        return [fill for fill in self._last if since is not None and moment(fill) >= since]

    def resume(self, fills: Sequence[Fill], absent: int | None) -> None:
        """Know what an earlier run told; ``absent`` as in ``told``."""
        for fill in fills:
            self._seen[_key(fill)] = fill.received
            self._last.append(fill)
        self.since = _since(fills, absent)

    def _is_history(self, fill: Fill) -> bool:
        return fill.late and self.since is not None and moment(fill) < self.since


def _since(fills: Iterable[Fill], absent: int | None) -> int | None:
    """From when on a fetched fill may be news."""
    newest = max(map(moment, fills), default=None)
    if absent is None:
        return newest
    return absent - IN_FLIGHT if newest is None else min(newest, absent - IN_FLIGHT)


def _key(fill: Fill) -> tuple[str, str, str, str]:
    return fill.account, fill.symbol, fill.id, fill.order_id
