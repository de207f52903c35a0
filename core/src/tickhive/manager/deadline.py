"""A deadline on an operation of a collector, measured by the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from tickhive.clock import Clock
from tickhive.errors import CollectorError

T = TypeVar("T")


class Deadlines:
    """Runs operations that must end in time.

    An operation that ignores its cancellation is left behind rather than waited for; ``abandoned`` holds it until it
    ends, so that it is not collected half way and can be counted.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.abandoned: set[asyncio.Task[Any]] = set()

    async def within(self, seconds: float, operation: Coroutine[Any, Any, T]) -> T:
        """Await the operation; TimeoutError when it has not ended after so many seconds, else its own error."""
        work = asyncio.ensure_future(operation)
        alarm = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({work, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if work.cancelled():
                # Its own doing, not a wish of whoever awaits us: let it not pass for one.
                raise CollectorError("the operation was cancelled from inside")
            if work.done():
                return work.result()
            raise TimeoutError(f"not done after {seconds:g} s")
        finally:
            alarm.cancel()
            if not work.done():
                work.cancel()
                # One turn of the loop lets an operation that honours its cancellation end here.
                await asyncio.sleep(0)
                self._leave(work)

    def _leave(self, work: asyncio.Task[Any]) -> None:
        def forget(done: asyncio.Task[Any]) -> None:
            self.abandoned.discard(done)
            with suppress(asyncio.CancelledError):
                done.exception()

        self.abandoned.add(work)
        work.add_done_callback(forget)
