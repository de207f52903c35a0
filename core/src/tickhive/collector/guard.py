"""What the hooks of a plugin cost the event loop: who holds it too long, too often, or for good, is stopped."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any, TypeVar

from tickhive.collector.overrun import Held, Overrun
from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.collector.watchdog import WATCHDOG, LoopWatch
from tickhive.errors import PluginError
from tickhive.events import MarketEvent
from tickhive.exchanges.config import HOOK_DEADLINE_SECONDS
from tickhive.plugin.stack import ExchangeStack
from tickhive.session.faults import HookEnded
from tickhive.session.session import Session

T = TypeVar("T")

WINDOW_SECONDS = 60.0
"""Blocks that lie further apart are not added up."""

GUARD: ContextVar[LoopGuard | None] = ContextVar("tickhive_guard", default=None)
"""For whom hooks are asked: set where a collector's work begins, and inherited by all it starts."""


_NOTHING: list[MarketEvent] = []


class LoopGuard:
    """Measures the hooks of one collector. A call that held the loop for more than ``blocked_seconds`` is a block;
    ``blocked_times`` of them within ``WINDOW_SECONDS`` end the collector by ``give_up``. So does a single call that has
    not returned after ``deadline_seconds``, and was ended by the watchdog.
    """

    def __init__(
        self,
        stack: ExchangeStack,
        telemetry: CollectorStateAndTelemetry,
        blocked_seconds: float,
        blocked_times: int,
        give_up: Callable[[Exception], None],
        deadline_seconds: float = HOOK_DEADLINE_SECONDS,
    ) -> None:
        self.blocked_seconds = blocked_seconds
        self.deadline_seconds = deadline_seconds
        self.watch = LoopWatch()
        self.ended: Overrun | None = None
        """How a hook was ended that did not return; until the collector is started again no hook is asked any more."""
        self._long_seconds = min(blocked_seconds, deadline_seconds / 2)
        self._parsing = Asked(stack, "parse").held(deadline_seconds)
        self.hook_seconds = 0.0
        self.receive: Callable[[Session, list[bytes], int], list[MarketEvent]] = self._receive
        """Have a session read a slice of frames. Another function after a block, so that nobody else pays for it."""
        self.blocks = 0
        self.blocked_in: dict[str, float] = {}
        self._stack = stack
        self._telemetry = telemetry
        self._give_up = give_up
        self._recent: deque[tuple[float, float, str]] = deque(maxlen=blocked_times)
        self._joined = False
        self._condemned = False
        stack.observe(_observer(stack))

    def begin(self) -> None:
        """The collector works in the running event loop."""
        GUARD.set(self)
        if not self._joined:
            self._joined = True
            self.watch = WATCHDOG.join(self.deadline_seconds)
        if self._condemned:
            # Started again after the verdict; a mere reconnection forgives nothing.
            self._condemned = False
            self.ended = None
            self._forgive()

    def end(self) -> None:
        """It does not work any more."""
        if self._joined:
            self._joined = False
            WATCHDOG.leave(self.watch)
            self.watch = LoopWatch()

    def _receive(self, session: Session, frames: list[bytes], at: int) -> list[MarketEvent]:
        """Measured as a whole: the clock is asked twice for up to 100 frames."""
        watch = self.watch
        watch.began = began = perf_counter()
        watch.holder = self._parsing
        events = _NOTHING
        try:
            try:
                events = session.receive(frames, at)
            finally:
                watch.holder = None
                took = perf_counter() - began
                self.hook_seconds += took
                if took > self._long_seconds:
                    self.was_long("parse", began, took, watch.settle())
        except HookEnded:
            # It struck when the hook had returned, if only just; from here on it strikes nobody.
            watch.holder = None
            self.was_long("parse", began, perf_counter() - began, watch.settle())
        return events

    def _receive_carefully(self, session: Session, frames: list[bytes], at: int) -> list[MarketEvent]:
        """The same after a block: one frame at a time, none any more once the verdict is spoken. A slice that takes too
        long in all is a block too, though none of its frames takes long.
        """
        events: list[MarketEvent] = []
        began = perf_counter()
        for frame in frames:
            if self._condemned:
                break
            before = self.blocks
            events += self._receive(session, [frame], at)
            now = perf_counter()
            if self.blocks == before and now - began > self.blocked_seconds:
                self.blocked("parse", began, now - began)
            if self.blocks != before:
                began = now
        if self._recent and perf_counter() - self._recent[-1][0] > WINDOW_SECONDS:
            self._forgive()
        return events

    def _forgive(self) -> None:
        self._recent.clear()
        self.receive = self._receive

    def concerns(self, stack: ExchangeStack) -> bool:
        """Whether a hook that is asked here and now is asked on behalf of its collector: whatever was begun by a
        callback of it, in another thread too, inherits the context.
        """
        return self._stack.origin is stack.origin and self.here

    @property
    def here(self) -> bool:
        """Whether this is the thread it works in."""
        return self.watch.thread == threading.get_ident()

    def run(self, held: Held, call: Callable[[], T]) -> tuple[T | None, Overrun | None]:
        """What a call in its thread answers, and how it was ended. While the collector does not work the watchdog looks
        at it for as long as the call takes.
        """
        return self.watch.run(held, call) if self._joined else WATCHDOG.bounded(held, call, self.watch)

    def ask(self, asked: Asked, ask: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """What a hook answers, measured, and named while it runs. PluginError when it was ended, or another was."""
        if self.ended is not None:
            raise self._refusal(self.ended)
        began = perf_counter()
        over: Overrun | None = None
        try:
            answer, over = self.run(asked.held(self.deadline_seconds), lambda: _whole(ask(**arguments)))
        finally:
            took = perf_counter() - began
            self.hook_seconds += took
            self.was_long(asked.hook, began, took, over)
        if over is not None:
            raise self._refusal(over)
        return answer

    def was_long(self, hook: str, began: float, took: float, over: Overrun | None) -> None:
        """Judge a call: it was ended, or has blocked, or neither."""
        if over is not None:
            self.blocks += 1
            self.blocked_in[hook] = max(took, self.blocked_in.get(hook, 0.0))
            self.ended = over
            self._condemned = True
            self.receive = self._receive_carefully
            self._give_up(self._refusal(over))
        elif took > self.blocked_seconds:
            self.blocked(hook, began, took)

    def _refusal(self, over: Overrun) -> PluginError:
        return self._stack.refuse(
            f"its {over.held.hook} hook had not returned after {over.seconds:.1f} s and was ended at {over.where}"
            f"{_or_middleware(self._stack, over.held.hook)}",
            "Report this to its authors and upgrade it; allow more with hook_deadline_seconds",
        )

    def blocked(self, hook: str, began: float, took: float) -> None:
        """A hook held the loop from ``began`` on for ``took`` seconds."""
        if self._condemned or (self._recent and began < self._recent[-1][0]):
            return  # a hook within this one is to blame, and was
        ended = began + took
        self.blocks += 1
        self.blocked_in[hook] = max(took, self.blocked_in.get(hook, 0.0))
        self._recent.append((ended, took, hook))
        self.receive = self._receive_carefully
        words = f"its {hook} hook held the event loop for {took:.2f} s"
        self._telemetry.warn_of(f"{hook} hook of {self._stack.package}", words)
        if len(self._recent) == self._recent.maxlen and ended - self._recent[0][0] <= WINDOW_SECONDS:
            self._condemned = True
            self._give_up(self._verdict())

    def status(self) -> dict[str, Any]:
        """Counters, JSON-ready."""
        return {
            "hook_seconds": self.hook_seconds,
            "blocks": self.blocks,
            "blocked_in": {hook: round(longest, 3) for hook, longest in self.blocked_in.items()},
        }

    def _verdict(self) -> PluginError:
        seconds = sum(took for _, took, _ in self._recent)
        hooks = tuple(dict.fromkeys(hook for _, _, hook in self._recent))
        times = f"{len(self._recent)} times" if len(self._recent) > 1 else "once"
        return self._stack.refuse(
            f"it blocked the event loop {times}, for {seconds:.1f} s in {' and '.join(hooks)}"
            f"{_or_middleware(self._stack, *hooks)}",
            "Report this to its authors and upgrade it; allow more with blocked_seconds and blocked_times",
        )


def _whole(answer: Any) -> Any:
    """What is made while it is read is made at once: that is the hook's time too."""
    return list(answer) if hasattr(answer, "__next__") else answer


class Asked:
    """A hook of an exchange as messages name it, and whose code runs in it."""

    def __init__(self, stack: ExchangeStack, hook: str) -> None:
        self.hook = hook
        self._who = f"the {hook} hook of the exchange plugin {stack.title}{_or_middleware(stack, hook)}"
        self._packages = stack.packages

    def held(self, seconds: float) -> Held:
        """The same as a call that may be ended."""
        return Held(self._who, seconds, HookEnded, __name__, self._packages, self.hook)


def _observer(stack: ExchangeStack) -> Callable[[str, Callable[..., Any]], Callable[..., Any]]:
    """How the hooks of an exchange are asked on behalf of a collector: measured, and named while they run."""

    def around(hook: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        asked = Asked(stack, hook)

        def measured(**arguments: Any) -> Any:
            guard = GUARD.get()
            if guard is None or not guard.concerns(stack):
                return ask(**arguments)
            return guard.ask(asked, ask, arguments)

        return measured

    return around


def _or_middleware(stack: ExchangeStack, *hooks: str) -> str:
    """Who else may be to blame."""
    return ", or the application's middleware around it" if stack.wraps(*hooks) else ""
