"""Fills are handed out once, whether they streamed in, were fetched, or both."""

from __future__ import annotations

from tickhive.events import Fill
from tickhive.session.continuity import moment

_MOST = 20_000


class Fills:
    """Which fills were handed out; a trade with oneself fills two orders.

    ``since``: older ones than this (ns UTC) are history, not news.
    """

    def __init__(self) -> None:
        self.since: int | None = None
        self._seen: dict[tuple[str, str, str, str], None] = {}

    def take(self, fill: Fill) -> bool:
        """Note a fill; False when it was handed out before, or is a fetched one from before anybody asked."""
        key = (fill.account, fill.symbol, fill.id, fill.order_id)
        if key in self._seen or (fill.late and self.since is not None and moment(fill) < self.since):
            return False
        self._seen[key] = None
        if len(self._seen) > _MOST:
            del self._seen[next(iter(self._seen))]
        return True
