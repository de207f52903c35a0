"""Something to wait for, but no longer than so long."""

from __future__ import annotations

import asyncio
import math

from tickhive.clock import NANOSECONDS, Clock


class Bell:
    """Whoever waits goes on when it rings, or when the time is over, and looks for itself what has become of things."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake whoever waits, or will wait next."""
        self._rung.set()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until it rings, at most so long (None: however long that takes)."""
        alarm = None
        if seconds is not None:
            alarm = self._clock.call_at(self._clock.time_ns() + math.ceil(seconds * NANOSECONDS), self.ring)
        try:
            await self._rung.wait()
        finally:
            if alarm is not None:
                alarm.cancel()
        self._rung.clear()
