"""What a store has to implement to receive events: open, write a batch, close."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import attrs
from attrs import define

from tickhive.events import MarketEvent
from tickhive.spool import FlushPolicy, Range, SpoolCursor


@define(kw_only=True)
class SinkSettings:
    """What every sink lets its user set; a sink's own settings are an attrs class derived from it.

    A batch is delivered when its oldest event has waited ``flush_seconds``, or when ``flush_events`` events or
    ``flush_bytes`` bytes of spooled data have come together.
    """

    flush_seconds: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    flush_events: int = attrs.field(default=500_000, validator=attrs.validators.gt(0))
    flush_bytes: int = attrs.field(default=32 * 1024 * 1024, validator=attrs.validators.gt(0))

    @property
    def flush(self) -> FlushPolicy:
        """The three as one value."""
        return FlushPolicy(self.flush_seconds, self.flush_events, self.flush_bytes)


class SinkBatch:
    """The events numbered ``first`` to ``last`` in the order they were accepted.

    A batch that was not confirmed is offered again with the same ``first`` and ``last`` and the same events, also by
    the next process: the two numbers are a key that a store can recognise a repeat by. Iterating reads the events
    from disk piece by piece, any number of times; ``events`` holds them all in memory at once.
    """

    def __init__(self, span: Range, cursor: SpoolCursor) -> None:
        self.first = span.first
        self.last = span.last
        self.delivered = 0
        self._span = span
        self._cursor = cursor

    def chunks(self) -> Iterator[tuple[int, Sequence[MarketEvent]]]:
        """Read the events in pieces of a few thousand, each piece with the number of its first event."""
        self.delivered = 0
        for number, events in self._cursor.chunks(self._span):
            self.delivered += len(events)
            yield number, events

    def __iter__(self) -> Iterator[MarketEvent]:
        for _, events in self.chunks():
            yield from events

    @property
    def events(self) -> list[MarketEvent]:
        """All events of the batch in one list."""
        return list(self)


class Sink(ABC):
    """A store of events. All methods are called in one thread of the sink's own and may block.

    Subclasses are registered as entry points of the group ``tickhive.sinks`` and built with an instance of their
    ``Settings``. Whatever a method raises is logged, and the call repeated with growing pauses; other sinks go on.
    """

    Settings: ClassVar[type[SinkSettings]] = SinkSettings
    promise: ClassVar[str] = "at least once"
    """What the store guarantees, in words for its user: exactly once and how, or at least once and by which key."""

    def __init__(self, settings: Any) -> None:
        self.settings: Any = settings

    @abstractmethod
    def open(self) -> None:
        """Connect, and clear away what an interrupted write left behind. Repeated until it succeeds."""

    @abstractmethod
    def write(self, batch: SinkBatch) -> None:
        """Store a batch durably, then return. A repeat of a batch replaces what its first attempt stored."""

    def close(self) -> None:
        """Let go of everything; nothing is written afterwards."""
        return
