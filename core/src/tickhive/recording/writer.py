"""Writes a recording while it happens, in a thread of its own: the event loop only hands over what it received.

The disk never holds up who records. What it cannot take in time, or at all, is left out of the recording and counted:
in a ``note`` line where it would have stood, in the status, and in one line of the log.
"""

from __future__ import annotations

import io
import os
import queue
import re
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tickhive.errors import RecordingError
from tickhive.logs import get_logger
from tickhive.recording.compression import Packer, packer_of
from tickhive.recording.lines import header, rows
from tickhive.redaction import _sanitize_error, default_redactor

MAX_BYTES = 1024**3
"""A file of a recording that has grown so long (bytes on disk) is ended and the next part begun."""

MAX_PENDING = 64 * 1024**2
"""So many bytes may wait in memory for the disk."""

FLUSH_SECONDS = 1.0
"""What was received longer ago than this can be read from the file, whatever happens to the process."""

RETRY_SECONDS = 2.0
"""How long a disk that took nothing is left alone."""

_QUIET_SECONDS = 60.0
_LINE_COST = 200

_ENDINGS = re.compile(r"(?:\.jsonl?)?(?:\.gz|\.zst)?$", re.IGNORECASE)


class _Item(NamedTuple):
    """What is to be written: the lines of ``frames``, which differ in nothing else. ``cost``: bytes in memory."""

    at: int
    kind: str
    direction: str
    url: str
    connection: int
    frames: Sequence[bytes | str]
    status: int | None = None
    mask: bool = False
    cost: int = 0


class Recorder:
    """Records what collectors send and receive into ``path``: JSON lines, compressed when the name ends in .zst or .gz.

    ::

        with Recorder("monday.jsonl.zst") as recorder:
            collector.record(recorder)
            ...

    A file that is there already is never written to: RecordingError. One that has grown to ``max_bytes`` is followed by
    ``monday.2.jsonl.zst``, and so on; they are replayed together. ``private``: also record what belongs to an account
    (its sockets, its signed answers); what would let somebody else act for it is never recorded. ``max_pending`` bounds
    the bytes that wait for the disk.

    ``close`` writes what waits; to be called after the collectors have stopped, and harmless twice. All methods may be
    called from any thread.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        private: bool = False,
        max_bytes: int = MAX_BYTES,
        max_pending: int = MAX_PENDING,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        for name, value in (("max_bytes", max_bytes), ("max_pending", max_pending), ("flush_seconds", flush_seconds)):
            if value <= 0:
                raise ValueError(f"{name}: expected a number above 0, got {value}")
        self.path = Path(path)
        self.private = private
        self._max_bytes = max_bytes
        self._max_pending = max_pending
        self._flush_seconds = flush_seconds
        self._id = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._pending = 0
        self._connections = 0
        self._lines = 0
        self._dropped = 0
        self._dropped_now = 0
        self._withheld = 0
        self._quiet_until = 0.0
        self._error: str | None = None
        self._closing = threading.Event()
        self._ended = False
        self._log = get_logger("tickhive.recording").bind(file=str(self.path))
        # The thread's own from here on.
        self._make_packer = packer_of(self.path)
        self._part = self._parts = 0
        self._unsure = 0
        self._now_writing = self.path
        self._bytes_before = self._part_bytes = 0
        self._file = self._begin_part()
        self._packer: Packer = self._make_packer()
        self._thread = threading.Thread(target=self._run, name=f"recorder of {self.path.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits and end the file; a disk that still takes nothing is given up."""
        with self._lock:
            if not self._closing.is_set():
                self._note_dropped()
                if self._withheld and not self._ended:
                    self._note(f"{self._withheld} lines that belong to an account are not in this recording")
                self._closing.set()
                self._queue.put(None)
        self._thread.join()

    def status(self) -> dict[str, Any]:
        """``file`` (the part being written), ``parts``, ``lines`` and ``bytes`` written, bytes ``pending``, lines
        ``dropped`` because the disk did not take them, lines ``withheld`` because they belong to an account, ``error``:
        what is wrong with the disk now.
        """
        return {
            "file": str(self._now_writing),
            "parts": self._parts,
            "lines": self._lines,
            "bytes": self._bytes_before + self._part_bytes,
            "pending": self._pending,
            "dropped": self._dropped,
            "withheld": self._withheld,
            "error": self._error,
        }

    # What collectors call

    def connection(self) -> int:
        """A number for one more socket."""
        with self._lock:
            self._connections += 1
            return self._connections

    def withhold(self, lines: int) -> None:
        """Count what is not recorded because it belongs to an account."""
        with self._lock:
            self._withheld += lines

    def write(
        self,
        at: int,
        kind: str,
        direction: str,
        url: str,
        connection: int,
        frames: Sequence[bytes | str],
        *,
        status: int | None = None,
        mask: bool = False,
    ) -> None:
        """Record these frames, received or sent at ``at`` (ns UTC); returns at once. ``mask``: take secrets out."""
        cost = sum(map(len, frames)) + _LINE_COST * len(frames)
        with self._lock:
            # Once behind, half of what waits has to go first: one hole says more than a thousand small ones.
            room = self._max_pending // 2 if self._dropped_now else self._max_pending
            if self._closing.is_set() or self._ended or self._pending + cost > room:
                self._drop(len(frames))
                return
            self._note_dropped()
            self._pending += cost
            self._queue.put(_Item(at, kind, direction, url, connection, frames, status, mask, cost))

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        self._dropped_now += lines
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_SECONDS
            late = "the recorder is closed" if self._closing.is_set() else "the disk does not keep up"
            why = self._error or late
            self._log.warning("frames are left out of the recording; collecting goes on", reason=why)

    def _note_dropped(self) -> None:
        """Say in the recording what is missing from it here."""
        if self._dropped_now and not self._ended:
            self._note(f"{self._dropped_now} lines are missing here: the disk did not take them in time")
            self._dropped_now = 0

    def _note(self, text: str) -> None:
        self._queue.put(_Item(time.time_ns(), "note", "in", "", 0, (text,)))

    # The thread

    def _run(self) -> None:
        try:
            self._write_all()
        except _GaveUpError:
            pass
        except Exception as error:
            self._fault(error, "a defect ended the recording; collecting goes on")
            told = self._error
            with suppress(Exception):
                self._put(self._packer.end())
                self._unsure = 0
            self._error = told
        self._end()

    def _write_all(self) -> None:
        self._put(self._header())
        due: float | None = None
        while True:
            try:
                item = self._queue.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
            except queue.Empty:
                due = None
                self._flush()
                continue
            if item is None:
                break
            self._take(item)
            if due is None:
                due = time.monotonic() + self._flush_seconds
            elif time.monotonic() >= due:
                due = None
                self._flush()
        self._put(self._packer.end())
        self._unsure = 0

    def _take(self, item: _Item) -> None:
        mask = default_redactor.mask_frame if item.mask else None
        data = rows(*item[:7], mask)
        self._unsure += len(item.frames)
        with self._lock:
            self._lines += len(item.frames)
        self._put(self._packer.pack(data))
        if not self._packer.holds:
            self._unsure = 0
        with self._lock:
            self._pending -= item.cost

    def _flush(self) -> None:
        self._put(self._packer.flush())
        self._unsure = 0
        if self._part_bytes < self._max_bytes:
            return
        self._put(self._packer.end())
        self._file.close()
        while True:
            try:
                self._file = self._begin_part()
                break
            except RecordingError as error:
                self._wait(error)
        self._packer = self._make_packer()
        self._put(self._header())

    def _header(self) -> bytes:
        return self._packer.pack(header(self._id, self._part)) + self._packer.flush()

    def _put(self, data: bytes) -> None:
        """Write all of it, however long the disk takes nothing; while we wait the queue fills, up to its bound."""
        left = memoryview(data)
        while left:
            try:
                count = self._file.write(left) or 0
            except OSError as error:
                self._wait(error)
            else:
                left = left[count:]
                self._part_bytes += count
                self._error = None

    def _begin_part(self) -> io.FileIO:
        """Make the next file, never one that is there already."""
        number = self._part + 1
        path = self.path if number == 1 else part_name(self.path, number)
        while number > 1 and path.exists():
            number += 1
            path = part_name(self.path, number)
        if path.exists():
            raise RecordingError(
                f"{path} is there already, and a recording is never overwritten: name another file, or move this one"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = io.FileIO(path, "x", opener=_only_ours)
        except OSError as error:
            raise RecordingError(f"{path}: cannot be written ({error.strerror or error})") from error
        self._part, self._parts = number, self._parts + 1
        self._now_writing = path
        self._bytes_before += self._part_bytes
        self._part_bytes = 0
        return file

    def _wait(self, error: Exception) -> None:
        """Leave the disk alone for a while; when the recording is to end, give up."""
        if self._error is None:
            self._fault(error, "the recording cannot be written; collecting goes on")
        if self._closing.is_set():
            raise _GaveUpError
        self._closing.wait(RETRY_SECONDS)

    def _fault(self, error: Exception, what: str) -> None:
        self._error = _sanitize_error(error)
        self._quiet_until = time.monotonic() + _QUIET_SECONDS
        self._log.error(what, error=self._error)

    def _end(self) -> None:
        with self._lock:
            self._ended = True
            while not self._queue.empty():
                item = self._queue.get()
                self._dropped += len(item.frames) if item is not None else 0
            self._pending = 0
            # What was packed, or half written, and could not be flushed is in no file.
            self._lines -= self._unsure
            self._dropped += self._unsure
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or _sanitize_error(error)


class _GaveUpError(Exception):
    """The recording ends, and the disk still takes nothing."""


def part_name(path: Path, number: int) -> Path:
    """The name of a further part: its number stands before the endings."""
    endings = _ENDINGS.search(path.name)
    assert endings is not None
    return path.with_name(f"{path.name[: endings.start()]}.{number}{endings[0]}")


def _only_ours(path: str, flags: int) -> int:
    # An account's data may be in it.
    return os.open(path, flags, 0o600)
