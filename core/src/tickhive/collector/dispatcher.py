"""CallbackDispatcher hands events to whoever asked for them; a slow or raising callback harms only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any, TypeAlias

from tickhive.channels import DataType
from tickhive.collector.filters import EventFilter, Filter
from tickhive.collector.queues import AsyncSubscriber, EventStream, ThreadSubscriber
from tickhive.collector.serving import subscriber_for
from tickhive.collector.subscribers import FAULTS, BatchSubscriber, DirectSubscriber, Subscriber
from tickhive.events import DATA_TYPE_OF, EVENT_TYPES, Gap, MarketEvent
from tickhive.logs import get_logger
from tickhive.tasks import AsyncTaskManager

Tap: TypeAlias = Callable[[list[MarketEvent]], None]
Route: TypeAlias = tuple[Callable[[Any], Any], Subscriber]

SLOW_SECONDS = 0.1
QUEUE_EVENTS = 20_000
TIMED_BATCHES = 50


class CallbackDispatcher:
    """Deliver events to callbacks, registered per data type (None: all of them).

    A callback may be

    * a function: called at once, in the event loop. One that holds the loop for more than ``slow_seconds`` is moved
      to a thread of its own, with a bounded queue;
    * a coroutine function: awaited one event after the other by a task of its own, from a bounded queue;
    * either of them taking a list (``batch=True``, or its parameter annotated as a list or Sequence): called with
      everything that one read brought.

    A full queue drops its oldest event. Errors, drops and moves are counted in ``status()``. Gap events go to those who
    take the data type the gap is in, SubscriptionUpdate events to those who take all.
    """

    def __init__(
        self,
        name: str,
        tasks: AsyncTaskManager,
        *,
        slow_seconds: float = SLOW_SECONDS,
        queue_events: int = QUEUE_EVENTS,
    ) -> None:
        self._name = name
        self._tasks = tasks
        self._slow_seconds = slow_seconds
        self._queue_events = queue_events
        self._log = get_logger("tickhive.dispatcher").bind(collector=name)
        self._subscribers: list[Subscriber] = []
        self._taps: tuple[Tap, ...] = ()
        self._routes: dict[type, tuple[Route, ...]] = {}
        self._batches: tuple[BatchSubscriber, ...] = ()
        self._timed_batches = 0
        self._filters: tuple[EventFilter, ...] = ()
        self.deliver: Callable[[list[MarketEvent]], None] = self._deliver
        """Hand out what one read brought. Never raises. Another function where there are filters, so that who has none
        does not pay for asking."""
        self.counts: dict[type, int] = dict.fromkeys(EVENT_TYPES, 0)

    def register(
        self, data_type: DataType | None, callback: Callable[[Any], Any], *, batch: bool | None = None
    ) -> None:
        """Call ``callback`` for every event of ``data_type`` (None: of all types); twice is the same as once."""
        if self._find(data_type, callback) is None:
            self._add(subscriber_for(data_type, callback, batch, self._tasks, self._name, self._queue_events))

    def unregister(self, data_type: DataType | None, callback: Callable[[Any], Any]) -> None:
        """Stop calling ``callback`` for this data type; ValueError when it was never registered for it."""
        found = self._find(data_type, callback)
        if found is None:
            raise ValueError(f"{self._name}: {callback!r} is not registered for {data_type or 'all data types'}")
        self._remove(found)

    def stream(self, data_types: Sequence[DataType], queue_events: int) -> EventStream:
        """Open a queue of events to iterate over; no types: all of them."""
        stream = EventStream(data_types, queue_events, self._remove)
        self._add(stream)
        return stream

    def add_tap(self, tap: Tap) -> None:
        """Give every list of events to ``tap``, straight from the road: for trusted consumers such as the spool."""
        if tap not in self._taps:
            self._taps = (*self._taps, tap)

    def remove_tap(self, tap: Tap) -> None:
        """Take a tap off; unknown ones are ignored."""
        self._taps = tuple(known for known in self._taps if known != tap)

    def add_filter(self, function: Filter, data_types: Iterable[DataType | str] = ()) -> None:
        """Ask ``function`` about every event of these types (none: all events) before anybody gets it, taps included;
        after the filters that were added before. ConfigurationError when it cannot be one.
        """
        self._filters = (*self._filters, EventFilter(function, data_types, self._log.warning))
        self.deliver = self._deliver_filtered

    def remove_filter(self, function: Filter) -> None:
        """Ask it no more; ValueError when it was never added."""
        left = tuple(each for each in self._filters if each.function != function)
        if left == self._filters:
            raise ValueError(f"{self._name}: {function!r} is no filter here")
        self._filters = left
        self.deliver = self._deliver_filtered if left else self._deliver

    def _deliver_filtered(self, events: list[MarketEvent]) -> None:
        for each in self._filters:
            events = each.apply(events)
        if events:
            self._deliver(events)

    def _deliver(self, events: list[MarketEvent]) -> None:
        if self._timed_batches:
            self._deliver_timed(events)
            return
        began = perf_counter()
        counts = self.counts
        routes = self._routes
        # Events of one kind come in runs: its callbacks are looked up once for each run.
        kind: type | None = None
        route: tuple[Route, ...] = ()
        for event in events:
            if event.__class__ is not kind:
                kind = event.__class__
                route = routes.get(kind, ())
            counts[kind] += 1
            for call, subscriber in route:
                try:
                    result = call(event)
                except FAULTS as error:
                    subscriber.failed(error)
                else:
                    if result is not None:
                        self._returned(subscriber, result)
        self._finish(events)
        if perf_counter() - began > self._slow_seconds:
            self._timed_batches = TIMED_BATCHES

    async def close(self) -> None:
        """End the streams, and wait (within a bound) until queued events are delivered; callbacks stay registered."""
        for subscriber in tuple(self._subscribers):
            await subscriber.close()
        self._subscribers = [s for s in self._subscribers if not isinstance(s, EventStream)]
        self._route()

    def status(self) -> list[dict[str, Any]]:
        """One dictionary per callback: name, data_type, mode, delivered, errors, dropped, last_error."""
        return [subscriber.status(self._seen(subscriber)) for subscriber in self._subscribers]

    def filter_status(self) -> list[dict[str, Any]]:
        """One dictionary per filter, in their order: name, data_types, seen, dropped, errors, last_error."""
        return [each.status() for each in self._filters]

    def _deliver_timed(self, events: list[MarketEvent]) -> None:
        """Like ``deliver``, with a clock on every callback, to find out which one holds the loop."""
        self._timed_batches -= 1
        slow: set[Subscriber] = set()
        for event in events:
            kind = event.__class__
            self.counts[kind] += 1
            for call, subscriber in self._routes.get(kind, ()):
                began = perf_counter()
                try:
                    result = call(event)
                except FAULTS as error:
                    subscriber.failed(error)
                else:
                    if result is not None:
                        self._returned(subscriber, result)
                if perf_counter() - began > self._slow_seconds:
                    slow.add(subscriber)
        slow.update(self._finish(events, timed=True))
        for subscriber in slow:
            if isinstance(subscriber, DirectSubscriber | BatchSubscriber):
                self._move_to_thread(subscriber)

    def _finish(self, events: list[MarketEvent], *, timed: bool = False) -> list[Subscriber]:
        """Flush the callbacks that take lists, then the taps; answers the slow ones when timed."""
        slow: list[Subscriber] = []
        for batch in self._batches:
            if batch.pending:
                began = perf_counter() if timed else 0.0
                result = batch.flush()
                if result is not None:
                    self._returned(batch, result)
                if timed and perf_counter() - began > self._slow_seconds:
                    slow.append(batch)
        for tap in self._taps:
            try:
                tap(events)
            except FAULTS as error:
                self._log.error("a tap failed; its events are lost to it", error=type(error).__name__)
        return slow

    def _move_to_thread(self, subscriber: DirectSubscriber | BatchSubscriber) -> None:
        self._log.warning(
            "a callback holds the event loop; it goes on in a thread of its own",
            callback=subscriber.name,
            slow_seconds=self._slow_seconds,
        )
        self._replace(subscriber, ThreadSubscriber.taking_over(subscriber, self._queue_events))

    def _returned(self, subscriber: Subscriber, result: Any) -> None:
        """A function answered something: when that is a coroutine, it is an async callback in disguise."""
        if isinstance(subscriber, DirectSubscriber | BatchSubscriber) and hasattr(result, "__await__"):
            taken = AsyncSubscriber.taking_over(subscriber, self._tasks, self._name, self._queue_events)
            taken.offer_awaitable(result)
            if subscriber in self._subscribers:
                self._replace(subscriber, taken)

    def _find(self, data_type: DataType | None, callback: Callable[[Any], Any]) -> Subscriber | None:
        for subscriber in self._subscribers:
            if subscriber.data_types == _types(data_type) and subscriber.callback == callback:
                return subscriber
        return None

    def _add(self, subscriber: Subscriber) -> None:
        subscriber.baseline = self._total(subscriber)
        self._subscribers.append(subscriber)
        self._route()

    def _remove(self, subscriber: Subscriber) -> None:
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)
            subscriber.abandon()
            self._route()

    def _replace(self, subscriber: Subscriber, successor: Subscriber) -> None:
        self._subscribers[self._subscribers.index(subscriber)] = successor
        self._route()

    def _route(self) -> None:
        """Rebuild the table the hot loop reads: for each event class, what to call."""
        routes: dict[type, tuple[Route, ...]] = {}
        for kind in EVENT_TYPES:
            found: list[Route] = []
            for subscriber in self._subscribers:
                if kind is Gap and subscriber.data_types:
                    found.append((_gap_filter(subscriber), subscriber))
                elif not subscriber.data_types or DATA_TYPE_OF.get(kind) in subscriber.data_types:
                    found.append((subscriber.call, subscriber))
            if found:
                routes[kind] = tuple(found)
        self._routes = routes
        self._batches = tuple(s for s in self._subscribers if isinstance(s, BatchSubscriber))

    def _total(self, subscriber: Subscriber) -> int:
        types = subscriber.data_types
        return sum(n for kind, n in self.counts.items() if not types or DATA_TYPE_OF.get(kind) in types)

    def _seen(self, subscriber: Subscriber) -> int:
        return self._total(subscriber) - subscriber.baseline


def _types(data_type: DataType | None) -> frozenset[DataType]:
    return frozenset() if data_type is None else frozenset((data_type,))


def _gap_filter(subscriber: Subscriber) -> Callable[[Gap], Any]:
    def call(gap: Gap) -> Any:
        return subscriber.call(gap) if gap.data_type in subscriber.data_types else None

    return call
