"""When a link may dial next: at once after what was planned, else after a backoff and what the venue asks."""

from __future__ import annotations

import re

from tickhive.budget import Backoff, Budget
from tickhive.clock import Clock
from tickhive.collector.telemetry import STABLE_SECONDS
from tickhive.errors import ConnectionFailed, ConnectionLost

PENALTY_SECONDS = {418: 60.0, 429: 10.0, 1008: 10.0}
"""How long nobody dials after these answers of a venue that does not say how long itself: the HTTP statuses of bans and
of too many requests, and the close code for a broken rule."""

CARRIED_CAP_SECONDS = 5.0
"""The longest wait after the loss of a socket that had carried everything. The venue had accepted it, so it is not a
venue to be spared; what all dial together is bounded by the dial budget. A dial that fails then backs off as ever."""

WISH_AGAIN_SECONDS = 60.0
"""How long a wish that found no better socket waits for the next attempt; doubled each time, up to an hour."""

_LONGEST_SECONDS = 3600.0
_CROWDED = re.compile(r"too many|rate limit", re.IGNORECASE)


class Pace:
    """Paces the dials of one link; what the venue forbids is forbidden to all who share the ``budget``.

    ``failing`` counts the dials in a row that did not succeed. A socket of ``STABLE_SECONDS`` clears the backoff.
    """

    def __init__(self, backoff: Backoff, budget: Budget, clock: Clock) -> None:
        self.failing = 0
        self._backoff = backoff
        self._budget = budget
        self._clock = clock
        self._not_before = 0.0
        self._unfulfilled = 0

    def wait(self) -> float:
        """Seconds until the next dial may be made; zero or less: now."""
        return self._not_before - self._clock.monotonic()

    def failed(self, error: Exception) -> float:
        """A dial did not succeed; answers the seconds to wait."""
        self.failing += 1
        wait = self._backoff.next()
        if isinstance(error, ConnectionFailed):
            penalty = error.retry_after or PENALTY_SECONDS.get(error.status or 0, 0.0)
            self._budget.penalise("dial", penalty)
            wait = max(wait, penalty)
        return self._hold(wait)

    def lost(self, lived_seconds: float, lost: ConnectionLost | None, *, carried: bool = False) -> None:
        """A socket ended that nobody had planned to end; ``lost`` where the socket ended by itself.

        ``carried``: all it was there for had been accepted, and data came.
        """
        self._settle(lived_seconds)
        self._hold(self._backoff.next(CARRIED_CAP_SECONDS if carried else None))
        if lost is not None and (lost.code in PENALTY_SECONDS or _CROWDED.search(str(lost))):
            self._budget.penalise("dial", PENALTY_SECONDS[1008])

    def planned(self, lived_seconds: float) -> None:
        """A socket is to be replaced: at once, except where sockets come and go in a hurry or cannot be had."""
        if self.failing:
            return
        self._settle(lived_seconds)
        hasty = self._backoff.failures > 0
        wait = self._backoff.next()
        self._hold(wait if hasty else 0.0)

    def unfulfilled(self) -> None:
        """Another socket was no better than the one there is."""
        self._hold(min(_LONGEST_SECONDS, WISH_AGAIN_SECONDS * 2 ** min(self._unfulfilled, 10)))
        self._unfulfilled += 1

    def fulfilled(self) -> None:
        """What was wished for has come about, or something else is wished for."""
        self._unfulfilled = 0

    def at_once(self) -> None:
        """Wait for nothing but a dial that keeps failing: an operator asks."""
        self.fulfilled()
        if not self.failing:
            self._not_before = min(self._not_before, self._clock.monotonic())

    def _settle(self, lived_seconds: float) -> None:
        if lived_seconds >= STABLE_SECONDS:
            self._backoff.reset()

    def _hold(self, seconds: float) -> float:
        self._not_before = self._clock.monotonic() + seconds
        return seconds
