"""A thread that looks after event loops and calls: it says who holds a loop, and ends what does not return."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TypeVar

from tickhive.collector.overrun import SHOWN, CallWatch, Held, Overrun, stack_of
from tickhive.logs import get_logger

T = TypeVar("T")

STALLED_SECONDS = 2.0
"""An event loop that has not turned for so long is said to stand still."""

BEAT_SECONDS = 0.5
"""How often a watched loop shows that it turns."""

EXIT_STALLED = 70
"""What the process ends with when a loop stands still for too long: an error of the software, as sysexits.h has it."""

LOOKS = 4
"""So many looks at least fall into the deadline of a call."""

_FAREWELL_SECONDS = 5.0
_GOODBYE_SECONDS = 0.1
_log = get_logger("tickhive.watchdog")


class LoopWatch(CallWatch):
    """One event loop under watch. ``holder`` is the plugin's hook that runs in it now; None while none does.

    A loop that stands still for ``exit_seconds`` ends the process; None: never.
    """

    __slots__ = (
        "_armed",
        "_asleep",
        "_handle",
        "_loop",
        "_round_at",
        "_told",
        "beat_at",
        "exit_seconds",
        "stalls",
        "users",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, exit_seconds: float | None = None) -> None:
        super().__init__()
        self.exit_seconds = exit_seconds
        self.beat_at = monotonic()
        self.users = 0
        self.stalls = 0
        self._told = 0.0
        self._asleep = 0.0
        self._round_at = self.beat_at
        self._armed = False
        self._loop = loop
        self._handle: asyncio.Handle | None = None

    def beat(self) -> None:
        """The loop turns; called by it again and again."""
        now = monotonic()
        if self._told:
            _log.warning("the event loop turns again", stood_seconds=round(now - self.beat_at, 1))
            self._told = 0.0
        self.beat_at = now
        self._asleep = 0.0
        self._arm()
        self._handle = self._loop.call_later(BEAT_SECONDS, self.beat) if self._loop is not None else None

    def end(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()
        self.disarm()

    def rest(self) -> None:
        """Its loop does not run: nothing stands still, and the process belongs to the application."""
        self.beat_at = self._round_at = monotonic()
        self._asleep = 0.0
        self.disarm()

    def limit(self, exit_seconds: float | None) -> None:
        """Set after how long the process is ended from now on."""
        self.exit_seconds = exit_seconds
        if exit_seconds is None:
            self.disarm()

    def _arm(self) -> None:
        """A call in C that keeps the interpreter to itself stops every thread of Python, ours too: a timer in C ends
        the process then.
        """
        if self.exit_seconds is not None:
            self._armed = True
            _exit_later(max(BEAT_SECONDS + self.exit_seconds - self.awake(), 0.0) + _FAREWELL_SECONDS)

    def disarm(self) -> None:
        """Stop the timer in C."""
        if self._armed:
            self._armed = False
            faulthandler.cancel_dump_traceback_later()

    @property
    def turns(self) -> bool:
        """Whether its loop runs."""
        return self._loop is not None and self._loop.is_running()

    def stood(self) -> float:
        """For how many seconds the loop has not shown that it turns."""
        return monotonic() - self.beat_at

    def awake(self) -> float:
        """The same without the time in which the process was stopped too, as far as looks show it."""
        return max(self.stood() - self._asleep, 0.0)

    def look(self, at_most: float) -> None:
        """End the call that is overdue, and note for how long nobody looked: the process was stopped then, or a call in
        C kept the interpreter to itself, for which there is the timer.
        """
        now = monotonic()
        missed = now - max(self._round_at, self.beat_at) - at_most
        self._round_at = now
        if missed > 0:
            self._asleep += missed
            if self._armed:
                self._arm()
        super().look(at_most)

    def look_at_loop(self, stalled_seconds: float) -> None:
        """Say so when the loop stands still: at once, then each time it has stood twice as long. Called by a thread."""
        stood = self.stood()
        if stood < max(BEAT_SECONDS + stalled_seconds, 2 * self._told):
            return
        self.stalls += not self._told
        self._told = stood
        _log.error(
            "the event loop does not turn: nothing is received", seconds=round(stood, 1), **self._circumstances()
        )

    def exit_when_stalled(self) -> None:
        """End the process, with whatever waits in it, when the loop has stood still for too long."""
        stood = self.awake()
        if self.exit_seconds is None or stood < BEAT_SECONDS + self.exit_seconds:
            return
        _exit_later(_FAREWELL_SECONDS)  # the log may be what the loop waits for
        try:
            _log.critical(
                "the event loop does not turn: the process ends itself, to be started again",
                seconds=round(stood, 1),
                exit_code=EXIT_STALLED,
                **self._circumstances(),
            )
        finally:
            os._exit(EXIT_STALLED)

    def _circumstances(self) -> dict[str, str]:
        holder = self.holder
        return {
            "held_by": holder.who if holder else "no plugin's hook: a callback, or what else the application runs here",
            "at": ", called at ".join(map(str, stack_of(sys._current_frames().get(self.thread))[:SHOWN])),
        }


class Watchdog:
    """Looks after every event loop collectors run in, and single calls; the thread lives from the first to the last.

    ``exit_seconds`` holds for every loop under watch.
    """

    def __init__(self) -> None:
        self.stalled_seconds = STALLED_SECONDS
        self._exit_seconds: float | None = None
        self._watches: dict[asyncio.AbstractEventLoop, LoopWatch] = {}
        self._calls: list[CallWatch] = []
        self._shortest = BEAT_SECONDS
        self._lock = threading.Lock()
        self._over: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._failed = False

    @property
    def exit_seconds(self) -> float | None:
        """For how long a loop may stand still before the process is ended; None: for ever."""
        return self._exit_seconds

    @exit_seconds.setter
    def exit_seconds(self, seconds: float | None) -> None:
        with self._lock:
            self._exit_seconds = seconds
            for watch in self._watches.values():
                watch.limit(seconds)

    def join(self, deadline_seconds: float = BEAT_SECONDS) -> LoopWatch:
        """A collector begins in the running event loop; its calls end after ``deadline_seconds``, or later."""
        loop = asyncio.get_running_loop()
        with self._lock:
            watch = self._watches.get(loop)
            if watch is None:
                watch = self._watches[loop] = LoopWatch(loop, self.exit_seconds)
                watch.beat()
            watch.users += 1
            self._begin(deadline_seconds)
        return watch

    def leave(self, watch: LoopWatch) -> None:
        """It has ended."""
        with self._lock:
            watch.users -= 1
            if watch.users == 0:
                watch.end()
                self._watches = {loop: each for loop, each in self._watches.items() if each is not watch}
            self._end_if_idle()

    def bounded(
        self, held: Held, call: Callable[[], T], watch: CallWatch | None = None
    ) -> tuple[T | None, Overrun | None]:
        """What a call in this thread answers, and how it was ended where it did not return in time; what it raises
        comes through, unless it was ended. ``watch``: of this thread, to note the call in.
        """
        watch = CallWatch() if watch is None else watch
        with self._lock:
            self._calls.append(watch)
            self._begin(held.seconds)
        try:
            return watch.run(held, call)
        finally:
            with self._lock:
                self._calls.remove(watch)
                self._end_if_idle()
                thread = self._thread if self._over is None else None
            if thread is not None:
                thread.join(_GOODBYE_SECONDS)  # it wakes up and goes: calls of applications leave no thread behind

    def _begin(self, deadline_seconds: float) -> None:
        self._shortest = min(self._shortest, deadline_seconds)
        if self._over is None:
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._over,), name="tickhive watchdog", daemon=True)
            self._thread.start()

    def _end_if_idle(self) -> None:
        if not self._watches and not self._calls and self._over is not None:
            self._shortest = BEAT_SECONDS
            self._over.set()
            self._over = None

    def _run(self, over: threading.Event) -> None:
        interval = 0.0
        while not over.wait(interval):
            interval = min(BEAT_SECONDS / 2, self.stalled_seconds / 2, self._shortest / LOOKS)
            with self._lock:
                # Loops that were closed without a farewell: nobody will ever beat for them.
                for loop in [loop for loop in self._watches if loop.is_closed()]:
                    self._watches.pop(loop).end()
                self._end_if_idle()
                watches = [watch for watch in self._watches.values() if watch.turns]
                resting = [watch for watch in self._watches.values() if not watch.turns]
                calls = [*self._calls, *watches]
            for watch in resting:
                self._try(watch.rest)
            for call in calls:
                self._try(call.look, 2 * interval)
            for watch in watches:
                self._try(watch.look_at_loop, self.stalled_seconds)
                self._try(watch.exit_when_stalled)

    def _try(self, do: Callable[..., None], *arguments: float) -> None:
        """Do a part of a round. What raises in it, such as a handler of the log, ends neither the round nor the thread:
        the first time it is told as what ends a thread is.
        """
        try:
            do(*arguments)
        except Exception as error:
            if not self._failed:
                self._failed = True
                told = threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
                with suppress(Exception):
                    threading.excepthook(told)

    def before_fork(self) -> None:
        """A timer in C has no thread in the child, which would wait for it for ever; the next beat sets it again."""
        for watch in [*self._watches.values()]:
            watch.disarm()

    def forked(self) -> None:
        """The child of a fork has neither this thread nor the loops; it begins afresh when it asks for either."""
        self._calls = [call for call in self._calls if call.thread == threading.get_ident()]
        for call in (*self._calls, *self._watches.values()):
            call.lock = threading.Lock()
        self._watches = {}
        self._lock = threading.Lock()
        self._over = None


WATCHDOG = Watchdog()
"""The process's own."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=WATCHDOG.before_fork, after_in_child=WATCHDOG.forked)


@contextmanager
def exit_after(seconds: float) -> Iterator[None]:
    """The process ends with exit code 1, and says where it stood, when the block has not ended after so long."""
    _exit_later(seconds)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _exit_later(seconds: float) -> None:
    """Have the process end after so long, whatever it does then, with exit code 1 and where its threads stood."""
    try:
        if sys.__stderr__ is None:
            raise ValueError("no standard error")
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
    except (AttributeError, OSError, RuntimeError, ValueError):
        _log.warning("without a standard error a process that stands still in C code cannot end itself")
