"""The ways an event reaches a callback through a bounded queue: awaited by a task, from a thread, or by iteration."""

from __future__ import annotations

import asyncio
import itertools
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from tickhive.channels import DataType
from tickhive.collector.subscribers import FAULTS, Subscriber, is_power_of_ten
from tickhive.events import MarketEvent
from tickhive.logs import get_logger
from tickhive.tasks import AsyncTaskManager

_numbers = itertools.count(1)
_log = get_logger("tickhive.dispatcher")


class _QueuedSubscriber(Subscriber, ABC):
    """Something with a bounded queue: when it is full, the oldest event is dropped and counted."""

    def __init__(
        self, data_types: frozenset[DataType], callback: Callable[[Any], Any], batch: bool, queue_events: int
    ) -> None:
        super().__init__(data_types, callback, batch)
        self._queue: deque[Any] = deque(maxlen=queue_events)
        self.call = self.offer

    def offer(self, item: Any) -> None:
        """Queue an event and wake whoever takes it."""
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
            if is_power_of_ten(self.dropped):
                _log.warning(
                    "a callback is too slow; its oldest events are dropped", callback=self.name, n=self.dropped
                )
        self._queue.append(item)
        self._wake()

    def waiting(self) -> int:
        """How many events are queued."""
        return len(self._queue)

    def abandon(self) -> None:
        """Give up what is queued and end."""
        self._queue.clear()

    @abstractmethod
    def _wake(self) -> None:
        """Tell whoever takes from the queue that there is something."""

    def _take(self) -> Any:
        """The next argument for the callback: an event, or the list of all that wait."""
        if not self.batch:
            return self._queue.popleft()
        taken = list(self._queue)
        self._queue.clear()
        return taken


class _Started:
    """An awaitable a callback has already answered, to be finished in its turn."""

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable


class AsyncSubscriber(_QueuedSubscriber):
    """A coroutine function, awaited for one event after the other by a task of its own."""

    mode = "async"
    CLOSE_SECONDS = 5.0

    def __init__(
        self,
        data_types: frozenset[DataType],
        callback: Callable[[Any], Any],
        batch: bool,
        tasks: AsyncTaskManager,
        owner: str,
        queue_events: int,
    ) -> None:
        super().__init__(data_types, callback, batch, queue_events)
        self._tasks = tasks
        self._task_name = f"{owner}: callback {self.name} #{next(_numbers)}"
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._running = False

    @classmethod
    def taking_over(cls, other: Subscriber, tasks: AsyncTaskManager, owner: str, queue_events: int) -> AsyncSubscriber:
        """The successor of a function that turned out to answer coroutines."""
        successor = cls(other.data_types, other.callback, other.batch, tasks, owner, queue_events)
        successor.inherit(other)
        return successor

    def offer_awaitable(self, awaitable: Awaitable[Any]) -> None:
        """Queue a coroutine the callback has already made."""
        self.offer(_Started(awaitable))

    async def close(self) -> None:
        """Deliver what is queued, within a bound."""
        if self._running:
            try:
                await asyncio.wait_for(self._idle.wait(), self.CLOSE_SECONDS)
            except TimeoutError:
                _log.warning("a callback did not finish in time", callback=self.name, waiting=self.waiting())
        self.abandon()

    def abandon(self) -> None:
        """Give up what is queued and end."""
        super().abandon()
        if self._running:
            self._running = False
            self._tasks.remove_task(self._task_name)

    def _wake(self) -> None:
        self._idle.clear()
        self._ready.set()
        if not self._running:
            self._running = True
            self._tasks.add_task(self._task_name, self._work())

    def _take(self) -> Any:
        if self._queue and isinstance(self._queue[0], _Started):
            return self._queue.popleft()
        return super()._take()

    async def _work(self) -> None:
        while True:
            while self._queue:
                item = self._take()
                try:
                    result = item.awaitable if isinstance(item, _Started) else self.callback(item)
                    if result is not None:
                        await result
                except FAULTS as error:
                    task = asyncio.current_task()
                    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                        raise
                    self.failed(error)
            self._ready.clear()
            self._idle.set()
            await self._ready.wait()


class ThreadSubscriber(_QueuedSubscriber):
    """A function that blocks, called from a thread of its own so that it blocks nobody else."""

    mode = "thread"
    CLOSE_SECONDS = 5.0

    def __init__(
        self, data_types: frozenset[DataType], callback: Callable[[Any], Any], batch: bool, queue_events: int
    ) -> None:
        super().__init__(data_types, callback, batch, queue_events)
        self._changed = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None

    @classmethod
    def taking_over(cls, other: Subscriber, queue_events: int) -> ThreadSubscriber:
        """The successor of a function that held the event loop."""
        successor = cls(other.data_types, other.callback, other.batch, queue_events)
        successor.inherit(other)
        return successor

    async def close(self) -> None:
        """Deliver what is queued, within a bound."""
        with self._changed:
            self._ended = True
            self._changed.notify()
            thread = self._thread
        if thread is None:
            return
        await asyncio.to_thread(thread.join, self.CLOSE_SECONDS)
        if thread.is_alive():
            _log.warning("a callback did not finish in time", callback=self.name, waiting=self.waiting())
            self.abandon()

    def abandon(self) -> None:
        """Give up what is queued and end."""
        with self._changed:
            self._queue.clear()
            self._ended = True
            self._changed.notify()

    def offer(self, item: Any) -> None:
        """Queue an event, while the thread takes no list of them."""
        with self._changed:
            super().offer(item)

    def _wake(self) -> None:
        with self._changed:
            if self._thread is None:
                self._ended = False
                name = f"tickhive callback {self.name}"
                self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    if self._ended:
                        self._thread = None
                        return
                    self._changed.wait()
                item = self._take()
            try:
                self.callback(item)
            except FAULTS as error:
                self.failed(error)


class EventStream(_QueuedSubscriber):
    """Events to iterate over: ``async for event in collector.stream(DataType.TRADE)``.

    Ends when the collector stops. A reader that falls ``queue_events`` behind loses the oldest ones, counted in
    ``dropped``. Leaving the loop early: call ``aclose`` (or use it as an async context manager).
    """

    mode = "stream"

    def __init__(
        self, data_types: Sequence[DataType], queue_events: int, on_close: Callable[[Subscriber], None]
    ) -> None:
        super().__init__(frozenset(data_types), self.offer, False, queue_events)
        self.name = f"stream #{next(_numbers)}"
        self._on_close = on_close
        self._ready = asyncio.Event()
        self._ended = False

    def __aiter__(self) -> AsyncIterator[MarketEvent]:
        return self

    async def __anext__(self) -> MarketEvent:
        """The next event, as soon as there is one."""
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        event: MarketEvent = self._queue.popleft()
        return event

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop receiving; what is queued is given up."""
        self._on_close(self)

    async def close(self) -> None:
        """Deliver what is queued, within a bound."""
        self._ended = True
        self._ready.set()

    def abandon(self) -> None:
        """Give up what is queued and end."""
        super().abandon()
        self._ended = True
        self._ready.set()

    def _wake(self) -> None:
        self._ready.set()
