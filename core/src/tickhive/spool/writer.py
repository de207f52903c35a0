"""The one thread that writes to the spool: it takes events from the buffer, encodes them and commits them.

Everything that changes the file happens here, in order: batches, and the calls by which sinks move their positions.
A commit that fails keeps its batch and is tried again, later and later, at once when a sink made room.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from tickhive.budget import Backoff
from tickhive.clock import Clock
from tickhive.errors import SpoolError
from tickhive.events import MarketEvent
from tickhive.logs import get_logger
from tickhive.redaction import _sanitize_error
from tickhive.spool import codec
from tickhive.spool.buffer import Buffer
from tickhive.spool.database import Database, StoredBatch
from tickhive.spool.notes import Notes

T = TypeVar("T")

_LIMIT = 2**63

_log = get_logger("tickhive.spool")


class Writer(threading.Thread):
    """Owns the database.

    ``on_settled`` is called in this thread after every batch, written or given up; ``on_ended`` is the last it does.
    """

    def __init__(
        self,
        path: Path,
        buffer: Buffer,
        notes: Notes,
        clock: Clock,
        *,
        max_bytes: int,
        commit_seconds: float,
        commit_events: int,
        on_settled: Callable[[], None],
        on_ended: Callable[[], None],
    ) -> None:
        super().__init__(name=f"spool {path.name}", daemon=True)
        self.opened: Future[None] = Future()
        self.failure: str | None = None
        self.failures = 0
        self.commits = 0
        self.discarded = 0
        self.used_bytes = 0
        self.database: Database
        self.stood: list[MarketEvent] = []
        self._path = path
        self._buffer = buffer
        self._notes = notes
        self._clock = clock
        self._max_bytes = max_bytes
        self._commit_seconds = commit_seconds
        self._commit_events = commit_events
        self._on_settled = on_settled
        self._on_ended = on_ended
        self._wake = threading.Event()
        self._jobs: deque[tuple[Callable[[Database], Any], Future[Any]]] = deque()
        self._jobs_lock = threading.Lock()
        self._flush_to = 0
        self._stop_at: float | None = None
        self._ended = False
        self._backoff = Backoff(0.2, 10.0)
        self._retry_at = 0.0
        self._in_flight: tuple[StoredBatch | None, int, list[MarketEvent]] | None = None

    # Called from other threads.

    def nudge(self) -> None:
        """Look at the buffer: it is no longer empty, or full enough."""
        self._wake.set()

    def flush_to(self, accepted: int) -> None:
        """Commit what was accepted so far without waiting for more."""
        self._flush_to = max(self._flush_to, accepted)
        self._wake.set()

    def stop(self, timeout_seconds: float) -> None:
        """Commit what is buffered, for so long at most, and end. A later call can shorten the time."""
        stop_at = time.monotonic() + timeout_seconds
        self._stop_at = stop_at if self._stop_at is None else min(self._stop_at, stop_at)
        self._wake.set()

    def call(self, job: Callable[[Database], T]) -> Future[T]:
        """Run ``job`` with the database between two commits."""
        future: Future[T] = Future()
        with self._jobs_lock:
            if self._ended:
                future.set_exception(SpoolError("The spool is closed"))
            else:
                self._jobs.append((job, future))
        self._wake.set()
        return future

    # The thread itself.

    def run(self) -> None:
        """Open the file, write until stopped, close the file."""
        try:
            self._work()
        finally:
            self._on_ended()

    def _work(self) -> None:
        try:
            self.database = Database(self._path, now=self._clock.time_ns(), max_bytes=self._max_bytes)
            self.used_bytes = self.database.used_bytes()
            self.stood = self.database.standing()
        except BaseException as error:
            self._ended = True
            self.opened.set_exception(
                error
                if isinstance(error, SpoolError)
                else SpoolError(f"The spool {self._path} cannot be opened: {error}. Check the directory and its disk")
            )
            return
        self.opened.set_result(None)
        try:
            self._write_until_stopped()
        except BaseException as error:
            self.failure = f"the spool's writer ended: {_sanitize_error(error)}; restart the service"
            _log.critical(self.failure, path=str(self._path), exc_info=True)
        finally:
            with self._jobs_lock:
                self._ended = True
                left, self._jobs = self._jobs, deque()
            for _, future in left:
                if future.set_running_or_notify_cancel():
                    future.set_exception(SpoolError("The spool is closed"))
            self.database.close()

    def _write_until_stopped(self) -> None:
        gather_until: float | None = None
        due: float | None = None
        while True:
            self._wake.wait(None if due is None else max(0.0, due - time.monotonic()))
            self._wake.clear()
            self._run_jobs()
            now = time.monotonic()
            stopping = self._stop_at is not None
            if self._in_flight is None and not self._buffer.waiting:
                self._write_notes()
                if stopping:
                    return
                gather_until = due = None
                continue
            if stopping and self._stop_at is not None and now >= self._stop_at:
                return
            if gather_until is None:
                gather_until = now + self._commit_seconds
            hurried = stopping or self._flush_to > self._buffer.settled
            ready = hurried or self._buffer.waiting >= self._commit_events or now >= gather_until
            if self._in_flight is not None or ready:
                if now >= self._retry_at and self._commit():
                    due = now  # look again at once: there may be more than one batch of it
                    if not self._buffer.waiting:
                        gather_until = None
                else:
                    due = self._retry_at if self._stop_at is None else min(self._retry_at, self._stop_at)
            else:
                due = gather_until

    def _run_jobs(self) -> None:
        while True:
            with self._jobs_lock:
                if not self._jobs:
                    return
                job, future = self._jobs.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = job(self.database)
            except BaseException as error:
                future.set_exception(error)
            else:
                self.used_bytes = self.database.used_bytes()
                self._retry_at = 0.0  # the sink may have made room
                future.set_result(result)

    def _commit(self) -> bool:
        """Write one batch. False when it has to be tried again."""
        if self._in_flight is None:
            self._in_flight = self._prepare(self._buffer.take(self._commit_events))
        batch, taken, unfit = self._in_flight
        try:
            if batch is None:
                pass
            elif self.database.sinks:
                notes = self._notes.due(self._buffer.settled + taken)
                self.database.insert(batch, notes.rows if notes is not None else None)
                if notes is not None:
                    self._notes.done(notes)
                self.commits += 1
                self.used_bytes = self.database.used_bytes()
            else:
                self.discarded += batch.count
        except sqlite3.Error as error:
            self._failed(error, len(batch.payload) if batch is not None else 0)
            return False
        self._in_flight = None
        if self.failure is not None:
            _log.info("the spool is being written again", path=str(self._path), failures=self.failures)
            self.failure = None
            self.database.short_of_room = False
        self._backoff.reset()
        self._buffer.settle(taken, self._clock.time_ns(), unfit)
        self._on_settled()
        return True

    def _write_notes(self) -> None:
        """Nothing waits: what is noted of it all needs no batch to go with. If that fails it goes with the next."""
        notes = self._notes.due(self._buffer.settled)
        if notes is None or not self.database.sinks:
            return
        try:
            self.database.keep_standing(notes.rows)
        except sqlite3.Error as error:
            _log.warning("where the streams stand could not be written; later again", error=_sanitize_error(error))
        else:
            self._notes.done(notes)

    def _prepare(self, events: list[MarketEvent]) -> tuple[StoredBatch | None, int, list[MarketEvent]]:
        """Encode events: the batch (None when nothing is left), how many were taken, and those that do not fit."""
        try:
            return self._encode(events), len(events), []
        except Exception as error:
            fit: list[MarketEvent] = []
            unfit: list[MarketEvent] = []
            for event in events:
                (fit if codec.storable(event) else unfit).append(event)
            _log.error(
                "events with values that cannot be stored were left out",
                count=len(unfit),
                cause=_sanitize_error(error),
                first=_sanitize_error(repr(unfit[0])) if unfit else None,
            )
            return self._encode(fit) if fit else None, len(events), unfit

    def _encode(self, events: list[MarketEvent]) -> StoredBatch:
        received = [event.received for event in events]
        earliest, latest = min(received), max(received)
        if not (isinstance(earliest, int) and earliest >= -_LIMIT and latest < _LIMIT):
            raise ValueError("a receive time is not a 64-bit integer")
        return StoredBatch(len(events), self._clock.time_ns(), earliest, latest, codec.encode(events))

    def _failed(self, error: sqlite3.Error, size: int) -> None:
        self.failures += 1
        wait = max(0.05, self._backoff.next())
        self._retry_at = time.monotonic() + wait
        limited = "full" in str(error) and self.used_bytes + size * 1.05 >= self._max_bytes
        reason = f"its limit of {self._max_bytes} bytes is reached" if limited else _sanitize_error(error)
        first_time = self.failure is None
        self.database.short_of_room = True
        self.failure = f"spool cannot be written: {reason}"
        if first_time:
            _log.error(
                self.failure,
                path=str(self._path),
                remedy="free disk space, mend the sink that lags, or raise the spool's max_bytes; nothing is lost "
                "while the buffer lasts",
            )
