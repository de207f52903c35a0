"""What the hooks of a collector's plugin cost the event loop: who holds it too long, too often, is stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.collector.watchdog import WATCHDOG, LoopWatch
from tickhive.errors import PluginError
from tickhive.events import MarketEvent
from tickhive.plugin.stack import ExchangeStack
from tickhive.session.session import Session

WINDOW_SECONDS = 60.0
"""Blocks that lie further apart are not added up."""

GUARD: ContextVar[LoopGuard | None] = ContextVar("tickhive_guard", default=None)
"""For whom hooks are asked: set where a collector's work begins, and inherited by all it starts."""


class LoopGuard:
    """Measures the hooks of one collector. A call that held the loop for more than ``blocked_seconds`` is a block;
    ``blocked_times`` of them within ``WINDOW_SECONDS`` end the collector by ``give_up``.
    """

    def __init__(
        self,
        stack: ExchangeStack,
        telemetry: CollectorStateAndTelemetry,
        blocked_seconds: float,
        blocked_times: int,
        give_up: Callable[[Exception], None],
    ) -> None:
        self.blocked_seconds = blocked_seconds
        self.watch = LoopWatch()
        self._parsing = _holder(stack, "parse")
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
            self.watch = WATCHDOG.join()
        if self._condemned:
            # Started again after the verdict; a mere reconnection forgives nothing.
            self._condemned = False
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
        watch.holder = self._parsing
        began = perf_counter()
        try:
            return session.receive(frames, at)
        finally:
            watch.holder = None
            took = perf_counter() - began
            self.hook_seconds += took
            if took > self.blocked_seconds:
                self.blocked("parse", began, took)

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


def _observer(stack: ExchangeStack) -> Callable[[str, Callable[..., Any]], Callable[..., Any]]:
    """How the hooks of an exchange are asked on behalf of a collector: measured, and named while they run."""

    def around(hook: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        holder = _holder(stack, hook)

        def measured(**arguments: Any) -> Any:
            guard = GUARD.get()
            if guard is None:
                return ask(**arguments)
            watch = guard.watch
            before, watch.holder = watch.holder, holder
            began = perf_counter()
            try:
                return ask(**arguments)
            finally:
                took = perf_counter() - began
                watch.holder = before
                guard.hook_seconds += took
                if took > guard.blocked_seconds:
                    guard.blocked(hook, began, took)

        return measured

    return around


def _holder(stack: ExchangeStack, hook: str) -> str:
    return f"the {hook} hook of the exchange plugin {stack.title}{_or_middleware(stack, hook)}"


def _or_middleware(stack: ExchangeStack, *hooks: str) -> str:
    """Who else may be to blame."""
    return ", or the application's middleware around it" if stack.wraps(*hooks) else ""
