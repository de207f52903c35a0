"""Who gets a collector's events: callbacks, filters before them, taps, and streams to iterate over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tickhive.channels import DataType
from tickhive.collector.dispatcher import QUEUE_EVENTS, CallbackDispatcher, Tap
from tickhive.collector.filters import Filter
from tickhive.collector.queues import EventStream
from tickhive.tasks import AsyncTaskManager


class EventSource:
    """What events can be had from, in whatever way suits who wants them."""

    def __init__(self, name: str, tasks: AsyncTaskManager) -> None:
        self._dispatcher = CallbackDispatcher(name, tasks)

    def add_data_callback(
        self, data_type: DataType | None, callback: Callable[[Any], Any], *, batch: bool | None = None
    ) -> None:
        """Call ``callback`` with every event of ``data_type`` (None: all); see CallbackDispatcher for the kinds."""
        self._dispatcher.register(data_type, callback, batch=batch)

    def remove_data_callback(self, data_type: DataType | None, callback: Callable[[Any], Any]) -> None:
        """Stop calling ``callback`` for this data type."""
        self._dispatcher.unregister(data_type, callback)

    def add_filter(self, function: Filter, *data_types: DataType | str) -> None:
        """Ask ``function`` about every event of these types (none: all events, Gaps too) before anybody gets it.

        It answers the event, a changed copy (``attrs.evolve``), None to drop it, or a list of events in its place.
        Filters are asked in the order they were added; callbacks, streams and the spool see what is left. One that
        raises is counted in ``get_status`` and the event goes on unchanged. ConfigurationError when it cannot be one.
        """
        self._dispatcher.add_filter(function, data_types)

    def remove_filter(self, function: Filter) -> None:
        """Ask this filter no more; ValueError when it was never added."""
        self._dispatcher.remove_filter(function)

    def add_tap(self, tap: Tap) -> None:
        """Give every list of events to ``tap``, straight from the road: for trusted consumers such as the spool."""
        self._dispatcher.add_tap(tap)

    def remove_tap(self, tap: Tap) -> None:
        """Take a tap off."""
        self._dispatcher.remove_tap(tap)

    def stream(self, *data_types: DataType | str, queue_events: int = QUEUE_EVENTS) -> EventStream:
        """Iterate over events: ``async for trade in collector.stream(DataType.TRADE)``; no types: all of them.

        Ends when the collector stops. A reader that falls ``queue_events`` behind loses the oldest, counted in
        ``dropped``.
        """
        return self._dispatcher.stream([DataType(data_type) for data_type in data_types], queue_events)

    def event_counts(self) -> dict[str, int]:
        """How many events were delivered, by event class name."""
        return {kind.__name__: count for kind, count in self._dispatcher.counts.items() if count}
