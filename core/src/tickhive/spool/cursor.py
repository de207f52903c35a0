"""A sink's place in the spool: which range it gets next, and that range's events, the same after every crash."""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from attrs import define, frozen

from tickhive.clock import NANOSECONDS
from tickhive.errors import SpoolError
from tickhive.events import MarketEvent
from tickhive.logs import get_logger
from tickhive.spool import codec
from tickhive.spool.database import SinkPosition
from tickhive.spool.writer import Writer

_log = get_logger("tickhive.spool")


@frozen
class FlushPolicy:
    """When a range is closed and delivered: its oldest event waited ``seconds``, or it has ``events`` or ``bytes``.

    ``bytes`` counts the spooled form, a third to a tenth of what the events take in memory.
    """

    seconds: float = 60.0
    events: int = 500_000
    bytes: int = 32 * 1024 * 1024


@define
class Range:
    """Consecutive event numbers, both ends included."""

    first: int
    last: int


@define
class Lag:
    """What a sink has not delivered: events, and for how long the oldest has waited."""

    events: int
    seconds: float


class SpoolCursor:
    """Reads for one sink, in the sink's own thread, and moves its position.

    ``next_range`` answers the range that was being delivered when the last process died before any other, so the
    sink sees the very same first and last number again.
    """

    def __init__(self, name: str, path: Path, position: SinkPosition, writer: Writer, news: threading.Event) -> None:
        self.name = name
        self.news = news
        self.damaged = 0
        self._path = path
        self._position = position
        self._writer = writer
        self._reader: sqlite3.Connection | None = None
        self._oldest: int | None = None

    @property
    def position(self) -> int:
        """The number of the last event delivered."""
        return self._position.position

    def _connection(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            self._reader.execute("PRAGMA query_only = ON")
        return self._reader

    def next_range(self, policy: FlushPolicy, now: int, *, all_of_it: bool = False) -> tuple[Range | None, float]:
        """Choose what to deliver now (at ``now``, ns UTC), or None and the seconds until asking again makes sense.

        ``all_of_it`` closes the range whatever its age and size. A range consists of whole committed batches, so one
        batch may exceed the policy.
        """
        position, planned = self._position.position, self._position.planned
        first = last = oldest = None
        events = size = 0
        full = False
        rows = self._connection().execute(
            "SELECT first, last, size, created FROM batch WHERE first > ? ORDER BY first", (position,)
        )
        for batch_first, batch_last, batch_size, created in rows:
            if planned > position and batch_first > planned:
                break
            count = batch_last - batch_first + 1
            if planned <= position and events and (events + count > policy.events or size + batch_size > policy.bytes):
                full = True
                break
            first = batch_first if first is None else first
            oldest = created if oldest is None else oldest
            last = batch_last
            events += count
            size += batch_size
        rows.close()
        self._oldest = oldest
        if first is None or last is None or oldest is None:
            return None, policy.seconds
        waited = (now - oldest) / NANOSECONDS
        full = full or events >= policy.events or size >= policy.bytes
        if planned > position or full or all_of_it or waited >= policy.seconds:
            return Range(first, last), 0.0
        return None, policy.seconds - waited

    def plan(self, last: int) -> None:
        """Commit to delivering up to ``last``."""
        if last != self._position.planned:
            self._writer.call(lambda database: database.plan(self.name, last)).result()
            self._position = SinkPosition(self._position.position, last)

    def advance(self, last: int) -> None:
        """Record the delivery up to ``last``; events every sink has are deleted."""
        self._writer.call(lambda database: database.advance(self.name, last)).result()
        self._position = SinkPosition(last, last)
        self._oldest = None

    def chunks(self, span: Range) -> Iterator[tuple[int, list[MarketEvent]]]:
        """Read the events of a range batch by batch, each with the number of its first event.

        What cannot be read (a wrong checksum, a value of a wrong type) is left out, logged and counted, and its batch
        put beside the spool. UnknownFormat when a later version of tickhive wrote it: nothing is left out then.
        """
        after = span.first - 1
        while after < span.last:
            row = (
                self._connection()
                .execute(
                    "SELECT first, last, crc, payload FROM batch WHERE first > ? AND last <= ? ORDER BY first LIMIT 1",
                    (after, span.last),
                )
                .fetchone()
            )
            if row is None:
                return
            first, after, crc, payload = row
            if zlib.crc32(payload) != crc:
                self._put_aside(first, after, payload, after - first + 1)
                continue
            try:
                yield first, codec.decode(payload)
            except codec.UnknownFormat:
                raise
            except SpoolError:
                yield from self._salvage(first, after, payload)

    def _salvage(self, first: int, last: int, payload: bytes) -> Iterator[tuple[int, list[MarketEvent]]]:
        """Read what can be read of a batch that holds a wrong value, each event with its own number."""
        try:
            found = codec.salvage(payload)
        except SpoolError:
            found = [None] * (last - first + 1)
        self._put_aside(first, last, payload, found.count(None))
        for number, event in enumerate(found, first):
            if event is not None:
                yield number, [event]

    def _put_aside(self, first: int, last: int, payload: bytes, lost: int) -> None:
        target = self._path.with_name(f"damaged-{first}-{last}.msgpack")
        if not target.exists():
            target.write_bytes(payload)
            self.damaged += lost
            _log.error(
                "a spooled batch cannot be read whole; the rest is delivered",
                sink=self.name,
                events_left_out=lost,
                kept_in=str(target),
            )

    def lag(self, now: int) -> Lag:
        """Say how far behind the sink is, at ``now`` (ns UTC). May be called from any thread."""
        events = self._writer.database.next_number - 1 - self.position
        oldest = self._oldest
        return Lag(events, 0.0 if not events or oldest is None else max(0.0, (now - oldest) / NANOSECONDS))

    def close(self) -> None:
        """Close the reading connection; to be called in the thread that read."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
