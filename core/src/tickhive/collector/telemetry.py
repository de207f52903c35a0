"""CollectorStateAndTelemetry: what a collector is doing, how long it has been doing it, and what went wrong."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Any

from tickhive.clock import Clock
from tickhive.logs import get_logger
from tickhive.redaction import _sanitize_error

ERRORS_KEPT = 20
HEARTBEAT_SECONDS = 30.0

QUIET_SECONDS = 60.0
"""How long a failure that comes again and again is not logged once more."""

STABLE_SECONDS = 30.0
"""A connection that lived this long clears the backoff before the next attempt."""


class CollectorStatus(StrEnum):
    """The life of a collector. ``running`` means its work goes on; whether data flows is what health says."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    ERROR = "error"


class CollectorStateAndTelemetry:
    """A collector's status, heartbeat, restarts, errors and bound logger.

    The heartbeat is stamped by the collector's own loop: when it grows old, the loop is stuck. All times are ns UTC.
    """

    def __init__(self, name: str, exchange: str, clock: Clock) -> None:
        self.name = name
        self.exchange = exchange
        self._clock = clock
        self.log = get_logger("tickhive.collector").bind(collector=name, exchange=exchange)
        self.status = CollectorStatus.STOPPED
        self.reason: str | None = None
        self.started_at: int | None = None
        self.heartbeat_at: int | None = None
        self.restarts = 0
        self.errors = 0
        self.recent_errors: deque[dict[str, Any]] = deque(maxlen=ERRORS_KEPT)
        self._quiet_until: dict[str, float] = {}

    def set_status(self, status: CollectorStatus, reason: str | None = None) -> None:
        """Move to a status; ``reason`` says why, where that is not plain."""
        if status is self.status and reason == self.reason:
            return
        changed = status is not self.status
        self.status, self.reason = status, reason
        if status is CollectorStatus.RUNNING and self.started_at is None:
            self.started_at = self._clock.time_ns()
        elif status in (CollectorStatus.STOPPED, CollectorStatus.ERROR):
            self.started_at = None
        if changed:
            write = self.log.error if status is CollectorStatus.ERROR else self.log.info
            write("status", status=status.value, **({"reason": reason} if reason else {}))

    def beat(self) -> None:
        """Stamp the heartbeat."""
        self.heartbeat_at = self._clock.time_ns()

    def record_error(self, what: str, error: BaseException | str) -> str:
        """Count an error and keep its sanitised text; answers that text."""
        text = _sanitize_error(error)
        self.errors += 1
        self.recent_errors.append({"at": self._clock.time_ns(), "what": what, "error": text})
        return text

    def warn_of(self, what: str, error: BaseException | str) -> str:
        """Count an error and log it, the next one of the same ``what`` not before ``QUIET_SECONDS`` have passed."""
        text = self.record_error(what, error)
        now = self._clock.monotonic()
        if now >= self._quiet_until.get(what, now):
            self._quiet_until[what] = now + QUIET_SECONDS
            self.log.warning(f"{what} failed", error=text)
        return text

    @property
    def uptime_seconds(self) -> float:
        """Since it was last running from a stop; 0 when it is not."""
        return 0.0 if self.started_at is None else (self._clock.time_ns() - self.started_at) / 1e9

    @property
    def heartbeat_age_seconds(self) -> float | None:
        """How long ago the collector's loop last showed life; None before it first did."""
        return None if self.heartbeat_at is None else (self._clock.time_ns() - self.heartbeat_at) / 1e9

    def health_reasons(self) -> list[str]:
        """What is wrong with the collector itself, apart from its connections and data."""
        if self.status is not CollectorStatus.RUNNING:
            return [f"status is {self.status.value}" + (f": {self.reason}" if self.reason else "")]
        age = self.heartbeat_age_seconds
        if age is not None and age > HEARTBEAT_SECONDS:
            return [f"no heartbeat for {age:.0f} s: its loop is stuck"]
        return []
