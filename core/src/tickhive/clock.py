"""Where time comes from: the machine's clock, or one that a test moves by hand.

Everything above the sans-IO rooms asks a ``Clock`` instead of the machine, so that a day of deadlines passes in a
test within milliseconds and in the same order every time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""


class Handle(Protocol):
    """A call that was asked for and may still be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has run or was called off before."""


class Clock(Protocol):
    """The passing of time as the rooms above the session see it."""

    def time_ns(self) -> int:
        """The time now, ns UTC."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never runs backwards."""

    async def sleep(self, seconds: float) -> None:
        """Wait this long; zero or less lets others run once."""

    def call_at(self, when_ns: int, callback: Callable[[], object]) -> Handle:
        """Call ``callback`` from the event loop once ``when_ns`` (ns UTC) has come; at once if it has passed."""


class SystemClock:
    """The machine's own clock. Needs a running event loop for ``sleep`` and ``call_at`` only."""

    __slots__ = ()

    def time_ns(self) -> int:
        """The time now, ns UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never runs backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait this long; zero or less lets others run once."""
        await asyncio.sleep(max(0.0, seconds))

    def call_at(self, when_ns: int, callback: Callable[[], object]) -> Handle:
        """Call ``callback`` once ``when_ns`` has come.

        The delay is fixed when asked for: a step of the machine's clock afterwards does not move it, and the callback
        may run a few milliseconds early by ``time_ns`` where the event loop's timer is coarse.
        """
        delay_seconds = max(0, when_ns - time.time_ns()) / NANOSECONDS
        return asyncio.get_running_loop().call_later(delay_seconds, callback)


class _Alarm:
    """One thing the manual clock owes somebody at ``when`` (ns UTC)."""

    __slots__ = ("callback", "cancelled", "when")

    def __init__(self, when: int, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
        self.callback = _nothing  # what it would have called need not live until then


class ManualClock:
    """A clock that stands still until ``advance`` moves it.

    Sleepers and callbacks wake in the order of their deadlines, those with the same deadline in the order they asked.
    Between two of them the event loop gets ``turns`` turns, so that whoever woke can go on to its next sleep, which
    then counts within the same ``advance``.
    """

    def __init__(self, start_ns: int = 1_700_000_000 * NANOSECONDS, *, turns: int = 10) -> None:
        self._start = start_ns
        self._now = start_ns
        self._turns = turns
        self._order = itertools.count()
        self._alarms: list[tuple[int, int, _Alarm]] = []

    def time_ns(self) -> int:
        """The time now, ns UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return (self._now - self._start) / NANOSECONDS

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody advanced the clock this far; zero or less lets others run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Rounded up: a sleeper that wakes a nanosecond early would find that its time has not come and ask again.
        alarm = self.call_at(self._now + max(1, -int(-seconds * NANOSECONDS // 1)), lambda: _wake(woken))
        try:
            await woken
        finally:
            alarm.cancel()

    def call_at(self, when_ns: int, callback: Callable[[], object]) -> Handle:
        """Call ``callback`` once the clock was advanced to ``when_ns``, within the next ``advance`` if that is past."""
        alarm = _Alarm(when_ns, callback)
        heapq.heappush(self._alarms, (when_ns, next(self._order), alarm))
        return alarm

    def next_deadline(self) -> int | None:
        """When the next sleeper or callback is due, ns UTC; None when nobody waits."""
        while self._alarms and self._alarms[0][2].cancelled:
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    async def advance(self, seconds: float) -> None:
        """Let this much time pass, waking everybody whose deadline lies within it."""
        await self.advance_to(self._now + round(seconds * NANOSECONDS))

    async def advance_to(self, when_ns: int) -> None:
        """Let time pass until ``when_ns`` (ns UTC), waking everybody whose deadline lies before it or on it."""
        await self._settle()
        while (due := self.next_deadline()) is not None and due <= when_ns:
            self._fire()
            await self._settle()
        self._now = max(self._now, when_ns)
        await self._settle()

    async def run_until(
        self, predicate: Callable[[], object], *, limit_seconds: float = 86_400.0, io_seconds: float = 0.0
    ) -> None:
        """Jump from deadline to deadline until ``predicate()`` is true.

        ``io_seconds`` is the real time real sockets are given before each jump. With nobody waiting on this clock it
        gives them up to ten real seconds. ``TimeoutError`` after ``limit_seconds`` of this clock.
        """
        limit = self._now + round(limit_seconds * NANOSECONDS)
        idle = 0
        while True:
            await self._settle()
            if io_seconds and not predicate():
                await asyncio.sleep(io_seconds)
            if predicate():
                return
            due = self.next_deadline()
            if due is not None and due <= limit:
                idle = 0
                self._fire()
            elif due is not None:
                raise TimeoutError(f"what was waited for did not happen within {limit_seconds:g} s of the manual clock")
            elif idle >= 10_000:
                raise TimeoutError("what was waited for did not happen, and nobody waits on the manual clock")
            else:
                idle += 1
                await asyncio.sleep(0.001)

    def _fire(self) -> None:
        _, _, alarm = heapq.heappop(self._alarms)
        self._now = max(self._now, alarm.when)
        if not alarm.cancelled:
            alarm.callback()

    async def _settle(self) -> None:
        for _ in range(self._turns):
            await asyncio.sleep(0)


def _nothing() -> None:
    """What a cancelled alarm does."""


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
