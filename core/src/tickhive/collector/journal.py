"""What one link has been through: its state and since when, what happened to it, and what its sockets have seen."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from tickhive.clock import NANOSECONDS, Clock
from tickhive.collector.leg import Leg
from tickhive.collector.legs import Legs
from tickhive.collector.totals import add_up, no_totals
from tickhive.session.statistics import SessionStatistics


class LinkState(StrEnum):
    """Where a link is in its life. One that rolls over is ``open``: it receives all the while."""

    WAITING = "waiting"
    DIALLING = "dialling"
    OPEN = "open"
    CLOSING = "closing"
    FAILED = "failed"
    STOPPED = "stopped"


class LinkJournal:
    """``since`` is when the link came into its ``state``, ns UTC."""

    def __init__(self, clock: Clock, on_change: Callable[[], None]) -> None:
        self.state = LinkState.WAITING
        self.since = clock.time_ns()
        self.connects = 0
        self.failures = 0
        self.rollovers = 0
        self.last_error: str | None = None
        self.fatal: str | None = None
        """Why dialling again cannot help."""
        self._clock = clock
        self._on_change = on_change
        self._totals = no_totals()
        self._bytes = 0

    def enter(self, state: LinkState) -> None:
        """The link is in this state now."""
        if state is not self.state:
            self.state = state
            self.since = self._clock.time_ns()
            self._on_change()

    def ended(self, statistics: SessionStatistics) -> None:
        """A session has ended."""
        add_up(self._totals, statistics)

    def gone(self, leg: Leg) -> None:
        """A socket is gone."""
        self._bytes += _bytes(leg)

    def statistics(self, legs: Legs) -> dict[str, Any]:
        """What its sockets have seen, those there were and these, all together."""
        totals = self._totals.copy()
        for leg in legs:
            if leg.session is not None:
                add_up(totals, leg.session.statistics)
        return totals

    def unhealthy(self, patience_seconds: float, *, queued: bool, failing: bool) -> str | None:
        """Why the link is not well; None when it is, or has been troubled for less than ``patience_seconds``.

        ``queued``: it waits for its turn at the venue's limit; ``failing``: its last dial did not succeed.
        """
        if self.fatal is not None:
            return f"gave up: {self.fatal}"
        if self.state is LinkState.OPEN:
            return None
        if (self._clock.time_ns() - self.since) / NANOSECONDS < patience_seconds and not failing:
            return None
        state = "waits for its turn to dial" if queued else f"is {self.state.value}"
        return state + (f": {self.last_error}" if self.last_error else "")

    def counts(self, legs: Legs) -> dict[str, Any]:
        """How often what happened, and what its sockets have seen, JSON-ready."""
        statistics = self.statistics(legs)
        return {
            "connects": self.connects,
            "failures": self.failures,
            "rollovers": self.rollovers,
            "frames": statistics["frames"],
            "bytes": self._bytes + sum(map(_bytes, legs)),
            "last_received": statistics["last_received"],
            "last_error": self.last_error,
        }


def _bytes(leg: Leg) -> int:
    return leg.connection.bytes_received if leg.connection is not None else 0
