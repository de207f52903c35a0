"""Carries events from the spool to one sink, in a thread of its own, so that a slow store holds up nobody else."""

from __future__ import annotations

import threading
import time
from typing import Any

from tickhive.budget import Backoff
from tickhive.errors import SinkError, SpoolError
from tickhive.logs import get_logger
from tickhive.redaction import _sanitize_error
from tickhive.sinks.base import Sink, SinkBatch
from tickhive.spool import FlushPolicy, Spool, SpoolCursor
from tickhive.spool.ending import ThreadEnd

_LONGEST_WAIT_SECONDS = 1.0


class SinkRunner:
    """Delivers to ``sink`` what the spool holds for ``name``; the name is the sink's identity over restarts.

    Start it before the collectors: a spool without sinks keeps nothing.
    """

    def __init__(self, spool: Spool, name: str, sink: Sink, *, flush: FlushPolicy | None = None) -> None:
        self.name = name
        self.sink = sink
        self._spool = spool
        self._flush = flush or sink.settings.flush
        self._log = get_logger("tickhive.sinks").bind(sink=name)
        self._cursor: SpoolCursor | None = None
        self._thread: threading.Thread | None = None
        self._ended: ThreadEnd | None = None
        self._stopping = False
        self._given_up = False
        self._drain_until: float | None = None
        self._state = "stopped"
        self._error: str | None = None
        self._failures = 0
        self._batches = 0
        self._events = 0
        self._last_delivery: int | None = None

    async def start(self) -> None:
        """Take the sink's place in the spool and begin to deliver. A store that is down is tried until it answers."""
        if self._ended is not None and not self._ended.over:
            if self._stopping:
                raise SinkError(f"The sink {self.name} still works on the batch it was stopped in; start it later")
            return
        self._stopping = self._given_up = False
        self._drain_until = None
        self._cursor = cursor = await self._spool.attach(self.name)
        self._ended = ended = ThreadEnd()
        self._thread = threading.Thread(target=self._run, args=(cursor, ended), name=f"sink {self.name}", daemon=True)
        self._state = "opening"
        self._thread.start()

    async def stop(self, drain: bool = True, timeout_seconds: float = 30.0) -> int:
        """End the delivery and return how many events are left in the spool, to be delivered by the next start.

        With ``drain`` everything spooled is delivered first, for ``timeout_seconds`` at most. A write that is still
        running then is given up waiting for; its batch is repeated by the next start.
        May be cancelled and called again.
        """
        cursor, ended = self._cursor, self._ended
        if cursor is None or ended is None or self._thread is None:
            return 0
        deadline = time.monotonic() + timeout_seconds
        if drain:
            try:
                await self._spool.flush(timeout_seconds)
            except SpoolError as error:
                self._log.warning("not everything could be spooled before the drain", error=_sanitize_error(error))
        self._drain_until = deadline if drain else None
        self._stopping = True
        cursor.news.set()
        grace = max(0.1, deadline - time.monotonic()) + (0.5 if drain else 0.0)
        in_time = await ended.within(grace)
        self._given_up = not in_time
        self._spool.detach(cursor)
        left = self._left(cursor)
        if not in_time:
            self._log.warning("the sink did not finish its write in time; the batch will be repeated", left=left)
        elif left and drain:
            self._log.warning("events are left in the spool for the next start", left=left, error=self._error)
        if in_time:
            self._thread = None
        return left

    def status(self) -> dict[str, Any]:
        """Describe the delivery.

        ``name``, ``state`` (opening, delivering, retrying, stopped), ``healthy`` and ``error`` (the last failure while
        it lasts); ``promise`` of the store; ``position`` (number of the last event delivered); ``lag_events`` and
        ``lag_seconds`` (age of the oldest undelivered event's commit); ``batches`` and ``events`` delivered since the
        start, ``failures``, ``damaged`` (spooled events that could not be read), ``last_delivery`` (ns UTC).
        """
        cursor = self._cursor
        lag = cursor.lag(self._spool.clock.time_ns()) if cursor is not None else None
        return {
            "name": self.name,
            "state": self._state,
            "healthy": self._error is None and not (cursor is not None and cursor.damaged),
            "error": self._error,
            "promise": self.sink.promise,
            "position": cursor.position if cursor is not None else None,
            "lag_events": lag.events if lag is not None else 0,
            "lag_seconds": lag.seconds if lag is not None else 0.0,
            "batches": self._batches,
            "events": self._events,
            "failures": self._failures,
            "damaged": cursor.damaged if cursor is not None else 0,
            "last_delivery": self._last_delivery,
        }

    # The rest runs in the sink's thread.

    def _run(self, cursor: SpoolCursor, ended: ThreadEnd) -> None:
        backoff = Backoff(0.5, 60.0)
        opened = False
        try:
            while not self._out_of_time():
                # Read once: a stop that comes during this turn gets a turn of its own.
                stopping = self._stopping
                if stopping and not self._left(cursor):
                    return
                try:
                    if not opened:
                        self.sink.open()
                        opened = True
                    pause = self._deliver_next(cursor, all_of_it=stopping)
                except BaseException as error:  # a store that calls sys.exit must not end its thread unseen
                    if self._given_up:
                        return  # said by stop(); the spool may be closed by now, which is no fault of the store
                    pause = max(0.05, backoff.next())
                    self._failed(error, pause)
                else:
                    if self._error is not None:
                        self._log.info("the sink works again", failures=self._failures)
                        self._error = None
                        backoff.reset()
                    self._state = "delivering"
                    if pause > 0 and stopping:
                        return
                self._wait(cursor, pause)
        finally:
            try:
                self._close(cursor)
            finally:
                ended.announce()

    def _left(self, cursor: SpoolCursor) -> int:
        return cursor.lag(self._spool.clock.time_ns()).events

    def _deliver_next(self, cursor: SpoolCursor, *, all_of_it: bool) -> float:
        """Deliver one batch if one is due; answer the seconds until it makes sense to look again."""
        span, wait = cursor.next_range(self._flush, self._spool.clock.time_ns(), all_of_it=all_of_it)
        if span is None:
            return wait
        cursor.plan(span.last)
        batch = SinkBatch(span, cursor)
        self.sink.write(batch)
        cursor.advance(span.last)
        self._batches += 1
        self._events += batch.delivered
        self._last_delivery = self._spool.clock.time_ns()
        return 0.0

    def _failed(self, error: BaseException, pause: float) -> None:
        self._failures += 1
        first_time = self._error is None
        self._error = f"{type(error).__name__}: {_sanitize_error(error)}"
        self._state = "retrying"
        if first_time:
            self._log.error(
                "the sink failed; its events stay in the spool and are offered again",
                error=self._error,
                again_in_seconds=round(pause, 2),
            )

    def _out_of_time(self) -> bool:
        if not self._stopping:
            return False
        return self._drain_until is None or time.monotonic() >= self._drain_until

    def _wait(self, cursor: SpoolCursor, seconds: float) -> None:
        if self._error is None:
            if seconds > 0:
                cursor.news.wait(min(seconds, _LONGEST_WAIT_SECONDS))
                cursor.news.clear()
            return
        # News of further batches is no reason to try a failing store sooner; being stopped is.
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            cursor.news.wait(left)
            cursor.news.clear()
        if self._stopping:
            time.sleep(max(0.0, min(until - time.monotonic(), 0.2)))

    def _close(self, cursor: SpoolCursor) -> None:
        try:
            self.sink.close()
        except Exception as error:
            self._log.warning("the sink failed to close", error=_sanitize_error(error))
        finally:
            cursor.close()
            self._state = "stopped"
