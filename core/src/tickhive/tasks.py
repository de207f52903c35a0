"""The owner of every long-lived task: each has a name, an end, and nobody loses its exception."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import frozen

from tickhive.clock import NANOSECONDS, Clock, SystemClock
from tickhive.redaction import _sanitize_error

_FAILURES_KEPT = 100


@frozen
class TaskFailure:
    """A task that ended with an exception: its name, what it was (safe to show) and when (ns UTC)."""

    name: str
    error: str
    at: int


class AsyncTaskManager:
    """Owns tasks from their start to their end.

    A task that ends leaves by itself. One that ends with an exception is counted, and reported to its ``on_error``, or
    logged as an error where there is none. Meant for one event loop; not thread-safe.
    """

    def __init__(self, name: str = "tasks", *, clock: Clock | None = None) -> None:
        self.name = name
        self.started = 0
        self.failed = 0
        self.failures: deque[TaskFailure] = deque(maxlen=_FAILURES_KEPT)
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._leaving: set[asyncio.Task[Any]] = set()
        self._began: dict[asyncio.Task[Any], int] = {}
        self._cancelling = 0

    def add_task(
        self,
        name: str,
        coroutine: Coroutine[Any, Any, Any],
        *,
        on_error: Callable[[BaseException], object] | None = None,
    ) -> asyncio.Task[Any]:
        """Start a task and own it. ``ValueError`` while another task of this name lives.

        ``on_error`` is called from the event loop with the exception the task ended with. While all tasks are being
        cancelled a task that is added is cancelled at once.
        """
        if name in self._tasks:
            coroutine.close()
            raise ValueError(
                f"{self.name}: a task named {name!r} is still running; remove it first or use another name"
            )
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self.started += 1
        self._tasks[name] = task
        self._began[task] = self._clock.time_ns()
        task.add_done_callback(lambda done: self._ended(name, done, on_error))
        if self._cancelling:
            task.cancel()
        return task

    def remove_task(self, name: str) -> bool:
        """Cancel a task; its name is free at once. Answers whether there was one.

        The task is still waited for by ``cancel_all_tasks`` and ``wait_for_all_tasks`` until it has really ended.
        """
        task = self._tasks.pop(name, None)
        if task is None:
            return False
        self._leaving.add(task)
        task.cancel()
        return True

    async def cancel_all_tasks(self, timeout_seconds: float = 10.0) -> tuple[str, ...]:
        """Cancel every task, those that start meanwhile too, and wait until they ended.

        Answers the names of those that did not end in time (they stay owned). The task that calls is not cancelled.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        asked: set[asyncio.Task[Any]] = set()
        self._cancelling += 1
        try:
            while True:
                pending = self._others()
                for task in pending - asked - self._leaving:
                    task.cancel()
                asked |= pending
                left = deadline - loop.time()
                if not pending or left <= 0:
                    break
                await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._cancelling -= 1
        stuck = tuple(sorted(task.get_name() for task in self._others()))
        if stuck:
            _log().error("tasks did not end", owner=self.name, tasks=list(stuck), timeout_seconds=timeout_seconds)
        return stuck

    async def wait_for_all_tasks(self, timeout_seconds: float | None = None) -> tuple[str, ...]:
        """Wait until every task ended by itself; answers the names of those still running after ``timeout_seconds``."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout_seconds is None else loop.time() + timeout_seconds
        while pending := self._others():
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                break
            await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return tuple(sorted(task.get_name() for task in self._others()))

    def status(self) -> dict[str, Any]:
        """``running`` (name to age in seconds), ``leaving`` (names), ``started``, ``failed``, the last ``failures``."""
        now = self._clock.time_ns()
        return {
            "running": {name: (now - self._began[task]) / NANOSECONDS for name, task in self._tasks.items()},
            "leaving": sorted(task.get_name() for task in self._leaving),
            "started": self.started,
            "failed": self.failed,
            "failures": [{"name": each.name, "error": each.error, "at": each.at} for each in self.failures],
        }

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __len__(self) -> int:
        return len(self._tasks) + len(self._leaving)

    def _others(self) -> set[asyncio.Task[Any]]:
        mine = asyncio.current_task()
        return {task for task in (*self._tasks.values(), *self._leaving) if task is not mine}

    def _ended(self, name: str, task: asyncio.Task[Any], on_error: Callable[[BaseException], object] | None) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
        self._leaving.discard(task)
        self._began.pop(task, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        self.failed += 1
        text = _sanitize_error(error)
        self.failures.append(TaskFailure(name, text, self._clock.time_ns()))
        # Who is told of it says so in words of his own.
        write = _log().error if on_error is None else _log().debug
        write("task failed", owner=self.name, task=name, error=text)
        if on_error is not None:
            try:
                on_error(error)
            except Exception as second:
                _log().error(
                    "the error handler of a task failed", owner=self.name, task=name, error=_sanitize_error(second)
                )


def _log() -> Any:
    # structlog takes a noticeable part of a second to import, and most processes never log from here.
    from tickhive.logs import get_logger

    return get_logger("tickhive.tasks")
