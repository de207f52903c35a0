"""The plain ways an event reaches a callback: at once, or as a list of what one read brought."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tickhive.channels import DataType
from tickhive.events import MarketEvent
from tickhive.logs import get_logger
from tickhive.redaction import _sanitize_error

FAULTS = (Exception, asyncio.CancelledError)
"""What a callback's failure is. A cancellation that nobody asked for is one too, and must not look like the end."""

_log = get_logger("tickhive.dispatcher")


class Subscriber:
    """One callback and what became of the events meant for it. ``call`` is what the dispatcher calls per event."""

    mode = "direct"

    def __init__(self, data_types: frozenset[DataType], callback: Callable[[Any], Any], batch: bool = False) -> None:
        self.data_types = data_types
        self.callback = callback
        self.batch = batch
        self.name = _name(callback)
        self.call: Callable[[Any], Any] = callback
        self.baseline = 0
        self.errors = 0
        self.dropped = 0
        self.last_error: str | None = None

    def failed(self, error: BaseException) -> None:
        """Count an error; say so for the 1st, 10th, 100th, ... so that a broken callback cannot flood the log."""
        self.errors += 1
        self.last_error = _sanitize_error(error)
        if is_power_of_ten(self.errors):
            _log.warning("a callback raised", callback=self.name, errors=self.errors, error=self.last_error)

    def inherit(self, other: Subscriber) -> None:
        """Go on with another subscriber's counts."""
        self.baseline, self.errors, self.dropped = other.baseline, other.errors, other.dropped
        self.last_error = other.last_error

    async def close(self) -> None:
        """Deliver what is queued, within a bound, and end."""

    def abandon(self) -> None:
        """End at once; what is queued is given up."""

    def waiting(self) -> int:
        """How many events are queued for it."""
        return 0

    def status(self, seen: int) -> dict[str, Any]:
        """Its counts; ``delivered`` is what was seen for it less what was dropped or still waits."""
        return {
            "name": self.name,
            "data_types": sorted(self.data_types),
            "mode": self.mode,
            "delivered": seen - self.dropped - self.waiting(),
            "waiting": self.waiting(),
            "dropped": self.dropped,
            "errors": self.errors,
            "last_error": self.last_error,
        }


class DirectSubscriber(Subscriber):
    """A function, called in the event loop for each event."""


class BatchSubscriber(Subscriber):
    """A function that takes the list of everything one read brought."""

    mode = "batch"

    def __init__(self, data_types: frozenset[DataType], callback: Callable[[Any], Any]) -> None:
        super().__init__(data_types, callback, batch=True)
        self.pending: list[MarketEvent] = []
        self.call = self.pending.append

    def flush(self) -> Any:
        """Call it with what has come since the last flush."""
        events = self.pending.copy()
        self.pending.clear()
        try:
            return self.callback(events)
        except FAULTS as error:
            self.failed(error)
            return None


def _name(callback: Callable[[Any], Any]) -> str:
    return getattr(callback, "__qualname__", None) or type(callback).__qualname__


def is_power_of_ten(count: int) -> bool:
    """Whether the 1st, 10th, 100th, ... of something is worth a line in the log."""
    return count in (1, 10, 100) or (count >= 1000 and count % 1000 == 0 and str(count).strip("0") == "1")
