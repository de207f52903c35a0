"""Undelivered events on disk: what was accepted reaches every sink, whatever happens to the process.

**Accepted means committed.** ``append`` only hands events to a bounded buffer; they are accepted once their batch is
committed (every ``commit_seconds`` or ``commit_events``; ``flush`` waits for it). A killed process loses at most what
was appended since. The commit is synced to disk (SQLite WAL, ``synchronous=FULL``).

**Full.** A disk or a file at its ``max_bytes`` that takes no more keeps the batch in memory and tries again with
growing pauses; ``status`` is unhealthy and says why. Above half of ``buffer_events`` the spool asks its source to pause
(``on_pressure(True)``), below a quarter to go on. What arrives in spite of that when the buffer is full is dropped, the
newest first, counted per stream, and told of by Gap events as soon as the spool writes again.

**Retention.** A batch is deleted when every attached sink has it. A sink that is attached holds its batches until it
comes back or ``forget_sink`` is called, also over restarts and while it is missing from the configuration. Without any
sink nothing is kept. The file gives freed pages back to the disk beyond 16 MiB.

**Standing.** Whoever feeds the spool may say from time to time where every stream stands (``keep_standing``, then
``checkpoint``) and at once when it begins to fill a hole (``expect``). The batches since the last checkpoint are kept
until the next. After a restart, an orderly one or a ``kill -9``, ``standing`` answers from both where each stream
ended, to the event. A spool that is not told so keeps no standing.

**Damage.** A file that SQLite finds damaged at the opening is moved aside, never deleted, and a fresh one is begun.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tickhive.clock import Clock, SystemClock
from tickhive.errors import SpoolError
from tickhive.events import Gap, MarketEvent
from tickhive.logs import get_logger
from tickhive.redaction import _sanitize_error
from tickhive.spool.buffer import Buffer
from tickhive.spool.cursor import SpoolCursor
from tickhive.spool.database import SpoolLock
from tickhive.spool.ending import ThreadEnd
from tickhive.spool.notes import Notes
from tickhive.spool.writer import Writer

_log = get_logger("tickhive.spool")

FILE_NAME = "spool.sqlite"

_LAST_WRITE_SECONDS = 1.0


class Spool:
    """Keeps events between the collectors and the sinks. One per directory; belongs to one event loop."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock | None = None,
        max_bytes: int = 10 * 1024**3,
        commit_seconds: float = 0.2,
        commit_events: int = 2000,
        buffer_events: int = 200_000,
        on_pressure: Callable[[bool], None] | None = None,
    ) -> None:
        self.directory = Path(directory)
        self.path = self.directory / FILE_NAME
        self.clock: Clock = clock or SystemClock()
        self._max_bytes = max_bytes
        self._commit_seconds = commit_seconds
        self._commit_events = commit_events
        self._high = buffer_events // 2
        self._low = buffer_events // 4
        self._buffer = Buffer(buffer_events)
        self._notes = Notes()
        self._noted = 0
        self._standing: list[MarketEvent] = []
        self._on_pressure = on_pressure
        self._pressed = False
        self._lock: SpoolLock | None = None
        self._writer: Writer | None = None
        self._written: ThreadEnd | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []
        self._news: set[threading.Event] = set()
        self._closing = False

    async def open(self) -> None:
        """Take the directory, open or make the file and start writing.

        SpoolError when another process has the directory, when it cannot be written, or when a later version of
        tickhive wrote the file.
        """
        if self._writer is not None:
            raise SpoolError(f"The spool {self.directory} is open already")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = SpoolLock(self.directory)
        except OSError as error:
            raise SpoolError(f"The spool directory {self.directory} cannot be used: {error}") from error
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._written = written = ThreadEnd()
        writer = Writer(
            self.path,
            self._buffer,
            self._notes,
            self.clock,
            max_bytes=self._max_bytes,
            commit_seconds=self._commit_seconds,
            commit_events=self._commit_events,
            on_settled=self._settled,
            on_ended=written.announce,
        )
        writer.start()
        try:
            await asyncio.wrap_future(writer.opened)
        except BaseException:
            self._lock.release()
            self._lock = None
            raise
        self._standing = writer.stood
        self._writer = writer

    @property
    def is_open(self) -> bool:
        """Whether it was opened and not closed since."""
        return self._writer is not None

    def append(self, events: Sequence[MarketEvent]) -> None:
        """Take events for storage; returns at once. To be called in the event loop's thread, after ``open``."""
        writer = self._writer
        if writer is None or self._closing:
            raise SpoolError(f"The spool {self.directory} is not open; {len(events)} events were not accepted")
        buffer = self._buffer
        was_empty = buffer.put(events, "spool full")
        if was_empty or buffer.waiting >= self._commit_events:
            writer.nudge()
        if not self._pressed and buffer.held > self._high:
            self._press(True)
            if buffer.held < self._low and self._loop is not None:
                # The writer settled everything before it could see that somebody waits to be let go.
                self._loop.call_soon(self._after_commit)

    def standing(self) -> list[MarketEvent]:
        """Where every stream stood when the spool was opened: its last accepted event, books without their levels.

        Of trades that is the one with the highest id. A Gap among them is a hole that was being filled. Empty when no
        standing was kept.
        """
        return self._standing

    async def keep_standing(self, events: Sequence[MarketEvent]) -> None:
        """Keep the standing from here on, beginning with ``events``, in the form of ``standing``.

        To be called after ``open``, before anything is appended.
        """
        self._notes.checkpoint(self._buffer.accepted, list(events))
        notes = self._notes.due(self._buffer.accepted)
        assert notes is not None
        await asyncio.wrap_future(self._open_writer().call(lambda database: database.keep_standing(notes.rows)))
        self._notes.done(notes)

    def checkpoint(self, events: Sequence[MarketEvent]) -> None:
        """Say where every stream stands after all that was appended, in the form of ``standing``; returns at once."""
        if self._buffer.accepted > self._noted:
            self._noted = self._buffer.accepted
            self._notes.checkpoint(self._noted, list(events))
            self._open_writer().nudge()

    def expect(self, gap: Gap) -> None:
        """Remember a hole that is being filled until its Gap was appended; to be called before what revealed it is."""
        self._notes.hole(self._buffer.accepted, gap)

    async def flush(self, timeout_seconds: float | None = None) -> None:
        """Return once everything appended so far is committed; SpoolError after ``timeout_seconds``."""
        writer = self._open_writer()
        target = self._buffer.accepted
        if self._buffer.settled >= target:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (target, done)
        self._flushes.append(entry)
        writer.flush_to(target)
        try:
            if self._buffer.settled >= target:
                return
            await asyncio.wait_for(done, timeout_seconds)
        except TimeoutError:
            raise SpoolError(
                f"{self._buffer.held} events are not committed after {timeout_seconds:g} s"
                f" ({writer.failure or 'the disk is slow'}); they are in memory and are being tried again"
            ) from None
        finally:
            if entry in self._flushes:
                self._flushes.remove(entry)

    async def close(self, timeout_seconds: float = 10.0) -> None:
        """Commit what is buffered and give the directory free; SpoolError when something could not be committed.

        May be cancelled and called again, also while another call waits: the shortest time counts. A disk that does
        not answer a write at all is not waited for (SpoolError); the directory then stays taken until the process ends.
        """
        writer, written = self._writer, self._written
        if writer is None or written is None:
            return
        self._closing = True
        writer.stop(timeout_seconds)
        if not await written.within(timeout_seconds + _LAST_WRITE_SECONDS):
            raise SpoolError(
                f"The disk of the spool {self.directory} does not answer; {self._buffer.held} events are not committed"
            )
        if self._writer is not writer:
            return
        self._writer = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        for news in list(self._news):
            news.set()
        self._after_commit()
        if self._buffer.held:
            error = SpoolError(
                f"{self._buffer.held} events could not be committed before the spool {self.directory} was closed and "
                f"are lost: {writer.failure or 'the time was too short'}"
            )
            for _, done in self._flushes:
                if not done.done():
                    done.set_exception(error)
            raise error

    async def attach(self, name: str) -> SpoolCursor:
        """Give the sink called ``name`` its place: where it was before, or else at the oldest event that is kept."""
        writer = self._open_writer()
        position = await asyncio.wrap_future(writer.call(lambda database: database.attach(name)))
        news = threading.Event()
        self._news.add(news)
        return SpoolCursor(name, self.path, position, writer, news)

    def detach(self, cursor: SpoolCursor) -> None:
        """Stop telling a sink of new batches; its place is kept."""
        self._news.discard(cursor.news)

    async def forget_sink(self, name: str) -> None:
        """Give up the place of a sink that will not come back, and delete what only it still needed."""
        await asyncio.wrap_future(self._open_writer().call(lambda database: database.forget(name)))

    def status(self) -> dict[str, Any]:
        """Describe the spool.

        ``healthy`` and ``reason``; ``directory``; ``accepted``, ``buffered``, ``dropped`` (events: handed in, not yet
        committed, lost); ``discarded`` (there was no sink to keep them for); ``committed`` (number of the last
        event); ``commits``; ``bytes`` and ``max_bytes`` of the file; ``pressure`` (the source was asked to pause);
        ``sinks`` (name to position, planned and events not yet delivered); ``moved_aside`` (a damaged file found at
        the opening).
        """
        writer, buffer = self._writer, self._buffer
        result: dict[str, Any] = {
            "healthy": writer is not None and writer.failure is None and writer.is_alive(),
            "reason": "spool is not open" if writer is None else writer.failure,
            "directory": str(self.directory),
            "accepted": buffer.accepted,
            "buffered": buffer.held,
            "dropped": buffer.losses.total,
            "pressure": self._pressed,
            "max_bytes": self._max_bytes,
        }
        if writer is not None:
            if result["reason"] is None and not writer.is_alive():
                result["reason"] = "the writing thread ended; restart the service"
            head = writer.database.next_number - 1
            result |= {
                "committed": head,
                "commits": writer.commits,
                "discarded": writer.discarded,
                "bytes": writer.used_bytes,
                "moved_aside": str(writer.database.moved_aside) if writer.database.moved_aside else None,
                "sinks": {
                    name: {"position": at.position, "planned": at.planned, "lag_events": head - at.position}
                    for name, at in list(writer.database.sinks.items())
                },
            }
        return result

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise SpoolError(f"The spool {self.directory} is not open")
        return self._writer

    # The writer's thread calls this one; the rest runs in the event loop.

    def _settled(self) -> None:
        for news in list(self._news):
            news.set()
        if (self._pressed or self._flushes) and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._after_commit)

    def _after_commit(self) -> None:
        settled = self._buffer.settled
        for target, done in self._flushes:
            if settled >= target and not done.done():
                done.set_result(None)
        if self._pressed and self._buffer.held < self._low:
            self._press(False)

    def _press(self, pressed: bool) -> None:
        self._pressed = pressed
        if self._on_pressure is None:
            return
        try:
            self._on_pressure(pressed)
        except Exception as error:
            _log.error("on_pressure raised; the spool goes on", error=_sanitize_error(error))
