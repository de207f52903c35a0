"""Notices that the event loop does not turn while that lasts, and says who holds it: a thread of its own looks."""

from __future__ import annotations

import asyncio
import sys
import threading
from time import monotonic
from types import FrameType

from tickhive.logs import get_logger

STALLED_SECONDS = 2.0
"""An event loop that has not turned for so long is said to stand still."""

BEAT_SECONDS = 0.5
"""How often a watched loop shows that it turns."""

_FRAMES_SHOWN = 5
_log = get_logger("tickhive.watchdog")


class LoopWatch:
    """One event loop under watch. ``holder`` names the plugin's hook that runs in it now; None while none does."""

    __slots__ = ("_handle", "_loop", "_told", "beat_at", "holder", "stalls", "thread", "users")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.holder: str | None = None
        self.beat_at = monotonic()
        self.thread = threading.get_ident()
        self.users = 0
        self.stalls = 0
        self._told = 0.0
        self._loop = loop
        self._handle: asyncio.Handle | None = None

    def beat(self) -> None:
        """The loop turns; called by it again and again."""
        now = monotonic()
        if self._told:
            _log.warning("the event loop turns again", stood_seconds=round(now - self.beat_at, 1))
            self._told = 0.0
        self.beat_at = now
        self._handle = self._loop.call_later(BEAT_SECONDS, self.beat) if self._loop is not None else None

    def end(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()

    def look(self, stalled_seconds: float) -> None:
        """Say so when the loop stands still: at once, then each time it has stood twice as long. Called by a thread."""
        stood = monotonic() - self.beat_at
        if stood < max(BEAT_SECONDS + stalled_seconds, 2 * self._told):
            return
        self.stalls += not self._told
        self._told = stood
        holder = self.holder or "no plugin's hook: a callback, or what else the application runs in this loop"
        _log.error(
            "the event loop does not turn: nothing is received",
            seconds=round(stood, 1),
            held_by=holder,
            at=_where(sys._current_frames().get(self.thread)),
        )


class Watchdog:
    """Looks after every event loop collectors run in; the thread lives from the first collector to the last."""

    def __init__(self) -> None:
        self.stalled_seconds = STALLED_SECONDS
        self._watches: dict[asyncio.AbstractEventLoop, LoopWatch] = {}
        self._lock = threading.Lock()
        self._over: threading.Event | None = None

    def join(self) -> LoopWatch:
        """A collector begins in the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            watch = self._watches.get(loop)
            if watch is None:
                watch = self._watches[loop] = LoopWatch(loop)
                watch.beat()
            watch.users += 1
            if self._over is None:
                self._over = threading.Event()
                threading.Thread(target=self._run, args=(self._over,), name="tickhive watchdog", daemon=True).start()
        return watch

    def leave(self, watch: LoopWatch) -> None:
        """It has ended."""
        with self._lock:
            watch.users -= 1
            if watch.users == 0:
                watch.end()
                # Loops that were closed without a farewell go too: nobody will ever beat for them.
                self._watches = {
                    loop: each for loop, each in self._watches.items() if each is not watch and not loop.is_closed()
                }
            if not self._watches and self._over is not None:
                self._over.set()
                self._over = None

    def _run(self, over: threading.Event) -> None:
        while not over.wait(min(BEAT_SECONDS, self.stalled_seconds) / 2):
            with self._lock:
                watches = [watch for loop, watch in self._watches.items() if loop.is_running()]
            for watch in watches:
                watch.look(self.stalled_seconds)


WATCHDOG = Watchdog()
"""The process's own."""


def _where(frame: FrameType | None) -> str:
    """The innermost lines a thread is at, the very innermost first."""
    lines: list[str] = []
    while frame is not None and len(lines) < _FRAMES_SHOWN:
        lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        frame = frame.f_back
    return ", called at ".join(lines)
