"""Events on their way to the disk: a bounded buffer, and an account of what it had to turn away."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from attrs import define

from tickhive.channels import DataType
from tickhive.events import DATA_TYPE_OF, BookDelta, BookSnapshot, Candle, Gap, MarketEvent, SubscriptionUpdate


@define
class Loss:
    """How many events of one stream were not kept, and the receive times (ns UTC) of the first and last of them."""

    count: int
    start: int
    end: int


_Stream = tuple[str, str, DataType, str]


class Losses:
    """Events that were not kept, counted by stream and cause until a Gap can tell of them."""

    def __init__(self) -> None:
        self.total = 0
        self._open: dict[tuple[_Stream, str], Loss] = {}

    def add(self, events: Iterable[MarketEvent], cause: str) -> None:
        """Count events that are lost for ``cause`` (a short phrase)."""
        for event in events:
            self.total += 1
            stream = _stream(event)
            if stream is None:
                continue
            received = event.received if isinstance(event.received, int) else 0
            loss = self._open.get((stream, cause))
            if loss is None:
                self._open[stream, cause] = Loss(1, received, received)
            else:
                loss.count += 1
                loss.start = min(loss.start, received)
                loss.end = max(loss.end, received)

    def gaps(self, at: int) -> list[MarketEvent]:
        """Turn what was counted into Gap events received ``at``, one for each stream and cause, and begin anew."""
        found: list[MarketEvent] = [
            Gap(
                exchange,
                symbol,
                None,
                at,
                data_type,
                loss.start,
                loss.end,
                f"{cause}: {loss.count} events not stored",
                params=params,
            )
            for ((exchange, symbol, data_type, params), cause), loss in self._open.items()
        ]
        self._open.clear()
        return found

    def __len__(self) -> int:
        """How many Gaps it takes to tell of everything."""
        return len(self._open)


def _stream(event: MarketEvent) -> _Stream | None:
    """Name the stream an event belongs to; None for an object that is no event at all."""
    if isinstance(event, Gap | SubscriptionUpdate):
        return event.exchange, event.symbol, event.data_type, event.params
    data_type = DATA_TYPE_OF.get(event.__class__)
    if data_type is None:
        return None
    params = ""
    if isinstance(event, Candle):
        params = event.interval
    elif isinstance(event, BookSnapshot | BookDelta) and event.depth:
        params = str(event.depth)
    return event.exchange, event.symbol, data_type, params


class Buffer:
    """Holds at most ``bound`` events between the event loop that puts and the writer thread that takes.

    What was taken counts as held until it is ``settle``d, so the bound covers the batch being written as well.
    """

    def __init__(self, bound: int) -> None:
        self.losses = Losses()
        self.accepted = 0
        self.settled = 0
        self._bound = bound
        self._events: list[MarketEvent] = []
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Events accepted and not yet settled."""
        return self.accepted - self.settled

    @property
    def waiting(self) -> int:
        """Events that nobody took yet."""
        return len(self._events)

    def put(self, events: Sequence[MarketEvent], cause: str) -> bool:
        """Append events; those beyond the bound, the newest, are counted as lost for ``cause``.

        Answers whether nobody waited before them, so that the taker has to be woken.
        """
        with self._lock:
            was_empty = not self._events
            # Behind a loss that no Gap tells of yet nothing is let in, so that its Gap keeps its place in the order.
            room = 0 if self.losses else max(0, self._bound - self.held)
            if len(events) > room:
                self.losses.add(events[room:], cause)
                events = events[:room]
            self._events.extend(events)
            self.accepted += len(events)
            return was_empty

    def take(self, most: int) -> list[MarketEvent]:
        """Remove up to ``most`` of the oldest events."""
        with self._lock:
            taken = self._events[:most]
            del self._events[:most]
            return taken

    def settle(self, count: int, at: int, unfit: Sequence[MarketEvent] = ()) -> None:
        """Free the place of ``count`` taken events, and tell of losses in Gaps received ``at`` (ns UTC).

        ``unfit`` are those among them that can never be written. A lost Gap is not told of by another Gap, which
        would be as unfit. Gaps wait until they fit within the bound, or until nothing waits before them.
        """
        with self._lock:
            self.settled += count
            self.losses.total += sum(isinstance(event, Gap) for event in unfit)
            self.losses.add((event for event in unfit if not isinstance(event, Gap)), "values that cannot be stored")
            if self.losses and (not self._events or self.held + len(self.losses) <= self._bound):
                gaps = self.losses.gaps(at)
                self._events.extend(gaps)
                self.accepted += len(gaps)
