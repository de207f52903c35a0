"""Lets an event loop wait for the end of a thread in a way that can be given up at any moment.

A wait in the loop's executor could not: cancelling it leaves its thread waiting, and the end of the loop joins it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress


class ThreadEnd:
    """The end of one thread. Made in the event loop that wants to know; ``announce`` is called by the thread."""

    def __init__(self) -> None:
        self.over = False
        self._loop = asyncio.get_running_loop()
        self._seen = asyncio.Event()

    def announce(self) -> None:
        """Say that the thread is done, as the last thing it does."""
        self.over = True
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._seen.set)

    async def within(self, seconds: float) -> bool:
        """Wait for the end, so long at most; answer whether it has come."""
        if not self.over:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._seen.wait()
        return self.over
