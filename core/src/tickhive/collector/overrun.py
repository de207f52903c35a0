"""Ends a call that does not return: an exception is raised in the thread it runs in, again until the call is over.

How it is made sure that the exception strikes nobody else. The call's owner sets ``CallWatch.holder`` before it and
clears that after it, which costs a store; another thread looks from time to time. When the deadline has passed it says
``overdue``, looks once more whether the call is still held, and raises, under a lock. Who has cleared the holder after
a call that took so long looks at ``overdue``, and ``settle`` waits for that lock and has strike what has not struck
yet. So a late exception strikes between the end of the call and the end of ``settle``, where its owner expects it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from time import perf_counter
from types import FrameType
from typing import Any, TypeAlias, TypeVar

from attrs import Factory, define, field, frozen

from tickhive.session.faults import FAULTS

T = TypeVar("T")

RELUCTANCE_SECONDS = 1.0
"""So long only a line of the plugin itself is interrupted; then also what it called, but for what holds locks."""

SHOWN = 5
"""So many lines of a stack are told."""

_OURS = frozenset(("tickhive", "pluggy"))
_LOCKING = frozenset(("logging", "threading", "_thread", "importlib", "_frozen_importlib", "queue", "structlog"))
"""Modules that take a lock and give it back in two steps: between them nobody is interrupted."""

_DEBUGGERS = frozenset(("bdb", "pdb", "pydevd", "_pydevd_bundle"))


@frozen(eq=False)
class Held:
    """A call that may be ended: ``who`` as messages name it, after how many ``seconds``, ``how``, by what exception.

    Only code that is called from the module ``home`` and is of the top-level ``packages`` is interrupted, or what that
    has called; None: whatever is neither the core's nor the standard library's. ``anywhere``: in time the core's code
    too, which must not hold anything of value then. ``stuck`` is called, once, when the call is not over
    ``grace_seconds`` after the deadline.
    """

    who: str
    seconds: float
    how: type[BaseException]
    home: str
    packages: frozenset[str] | None = None
    hook: str = ""
    anywhere: bool = False
    stuck: Callable[[Overrun], None] | None = None
    grace_seconds: float = 5.0


@frozen
class Overrun:
    """A call that was ended: how many ``seconds`` it was seen to run, and the ``lines`` it stood at, innermost first,
    up to its home.
    """

    held: Held
    seconds: float
    lines: tuple[Line, ...]

    @property
    def where(self) -> str:
        """``FILE:LINE in NAME`` of the innermost line of the plugin, or where there is none, of all."""
        own = (line for line in self.lines if owns(self.held, line.package))
        return str(next(own, self.lines[0] if self.lines else "a place unknown"))


@frozen
class Line:
    """A line of a stack."""

    package: str
    file: str
    number: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number} in {self.name}"


_Around: TypeAlias = "tuple[Held, float, _Around] | None"
"""The calls around a call: the nearest with when it began, and those around that."""


@define(eq=False)
class _Sight:
    """A call the watching thread has seen: when it ``began`` (the number itself, not its value: every call reads the
    clock into one of its own), for how many ``seconds``, and whether it was ``told`` that it does not end.
    """

    held: Held
    began: float
    seconds: float = 0.0
    told: bool = False


@define(eq=False)
class CallWatch:
    """Which call that may be ended runs in a thread, since when (``perf_counter``), and which calls are ``around`` it.

    Each has its own deadline, the time of those within it included.
    """

    thread: int = field(factory=threading.get_ident)
    holder: Held | None = None
    began: float = 0.0
    around: _Around = None
    overdue: bool = False
    over: Overrun | None = None
    lock: Any = Factory(threading.Lock)
    _struck: float | None = None
    _sights: list[_Sight] = Factory(list)
    _looked_at: float = 0.0

    def look(self, at_most: float) -> None:
        """End the call that is overdue. What passes between two looks counts for ``at_most`` seconds: a machine that
        was asleep is no plugin's fault. Called by another thread.
        """
        now = perf_counter()
        passed = min(now - self._looked_at, at_most)
        self._looked_at = now
        sights: list[_Sight] = []
        for held, began in self._calls():
            sight = next((each for each in self._sights if each.began is began), None)
            if sight is None:
                sight = _Sight(held, began)
            else:
                sight.held = held
                sight.seconds += passed
            sights.append(sight)
        self._sights = sights
        late = _to_be_ended(sights)
        if late is None:
            return
        over = self._end(late)
        held = late.held
        if held.stuck is not None and late.seconds >= held.seconds + held.grace_seconds and not late.told:
            late.told = True
            held.stuck(over)

    def _calls(self) -> Iterator[tuple[Held, float]]:
        """The calls that run in the thread, the innermost first."""
        # In this order: who begins a call says first what is around it, and who ends one says so last.
        held, began, around = self.holder, self.began, self.around
        if held is None:
            return
        yield held, began
        while around is not None:
            outer, since, around = around
            if since is not began:
                yield outer, since

    def _end(self, late: _Sight) -> Overrun:
        held, began = late.held, late.began
        with self.lock:
            # First this, then the look: who clears the holder meanwhile sees it, and waits for the lock.
            self.overdue = True
            lines = stack_of(sys._current_frames().get(self.thread), held.home)
            over = Overrun(held, late.seconds, lines)
            willing = late.seconds >= held.seconds + min(RELUCTANCE_SECONDS, held.seconds)
            runs = any(each is held and since is began for each, since in self._calls())
            if runs and may_strike(lines, held, willing):
                self.over, self._struck = over, began
                _raise_in(self.thread, held.how)
            return over

    def run(self, held: Held, call: Callable[[], T]) -> tuple[T | None, Overrun | None]:
        """What a call in the watched thread answers, and how it was ended where it did not return in time. What it
        raises comes through; of a call that was ended only what is no fault of its own, such as KeyboardInterrupt.
        """
        before, since, around = self.holder, self.began, self.around
        answer: T | None = None
        over: Overrun | None = None
        self.around = None if before is None else (before, since, around)
        self.began = began = perf_counter()
        self.holder = held
        try:
            try:
                answer = call()
            finally:
                self.holder, self.began, self.around = before, since, around
                if self.overdue:
                    over = self.settle(began)
        except BaseException as error:
            # Perhaps it struck when the call had returned, if only just; from here on it strikes nobody.
            self.holder, self.began, self.around = before, since, around
            over = over or (self.settle(began) if self.overdue else None)
            if over is None or not isinstance(error, (held.how, *FAULTS)):
                raise
        return answer, over

    def settle(self, began: float | None = None) -> Overrun | None:
        """To be called in the watched thread when the holder was cleared: from here on nothing strikes any more.
        Answers how the call was ended, None where it was not. ``began``: of a call within others; what is to strike one
        of those goes on to it.
        """
        with self.lock:
            if began is not None and self._struck is not None and self._struck is not began:
                return None
            if self.over is not None:
                _draw(self.over.held.how)
            over, self.over, self._struck, self.overdue = self.over, None, None, False
            return over


def _to_be_ended(sights: list[_Sight]) -> _Sight | None:
    """Which of these calls is overdue, the innermost first. One that is only because of a long call within it is left
    alone: the deadline of that one will come.
    """
    for number, sight in enumerate(sights):
        if sight.seconds >= sight.held.seconds:
            long = any(2 * each.seconds > sight.seconds for each in sights[:number])
            return None if long else sight
    return None


def stack_of(frame: FrameType | None, home: str = "") -> tuple[Line, ...]:
    """The lines a thread is at, the innermost first, up to the first of the module ``home``."""
    lines: list[Line] = []
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module == home:
            break
        code = frame.f_code
        lines.append(Line(module.partition(".")[0], code.co_filename, frame.f_lineno or 0, code.co_name))
        frame = frame.f_back
    return tuple(lines)


def owns(held: Held, package: str) -> bool:
    """Tell whether a top-level package is one whose code may be interrupted."""
    if held.packages is not None:
        return package in held.packages
    return package not in _OURS and package not in sys.stdlib_module_names


def may_strike(lines: tuple[Line, ...], held: Held, willing: bool) -> bool:
    """Tell whether an exception may be raised where this stack stands."""
    if not lines or any(line.package in _DEBUGGERS for line in lines):
        return False
    if owns(held, lines[0].package):
        return True
    if not willing or lines[0].package in _LOCKING:
        return False
    return held.anywhere or any(owns(held, line.package) for line in lines)


@cache
def _raiser() -> Callable[[int, Any], int] | None:
    """The interpreter's way to raise an exception in another thread; None where it has none."""
    try:
        import ctypes

        form = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.py_object)
        return form(("PyThreadState_SetAsyncExc", ctypes.pythonapi))
    except (ImportError, AttributeError):
        return None


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise in a thread when it comes to its next line, in place of what was to be raised there."""
    raiser = _raiser()
    if raiser is not None:
        raiser(thread, error)


def _draw(error: type[BaseException]) -> None:
    """Have strike here, where it does no harm, what has not struck yet; where nothing is left, one more is raised.

    To take it back instead, with NULL, makes code that is profiled afterwards stand still for ever (CPython 3.11.7).
    """
    if _raiser() is not None:
        try:
            _raise_in(threading.get_ident(), error)
            while True:
                pass
        except error:
            pass
