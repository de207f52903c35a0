"""The spool's file: its tables, the lock that gives it one owner, and what becomes of a damaged one.

SQLite in WAL mode with ``synchronous=FULL``: a commit returns after its WAL frames were synced, so a committed batch
survives ``kill -9`` and, as far as the disk keeps its word, a power cut. Event numbers of a new file begin at the
microsecond it was made, so a spool that takes the place of a lost one never gives a number twice.
"""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

from attrs import define

from tickhive.errors import SpoolError
from tickhive.logs import get_logger

SCHEMA_VERSION = 1
_PAGE_BYTES = 4096
_SPARE_PAGES = 4096  # 16 MiB stay in the file for the next batches; what is free beyond goes back to the disk
_CHECKED_BYTES = 256 * 1024 * 1024

_SCHEMA = f"""
CREATE TABLE batch (
    first INTEGER PRIMARY KEY,    -- number of its first event
    last INTEGER NOT NULL,        -- number of its last event
    size INTEGER NOT NULL,        -- bytes of payload
    created INTEGER NOT NULL,     -- when it was committed, ns UTC
    earliest INTEGER NOT NULL,    -- smallest and largest `received` in it, ns UTC
    latest INTEGER NOT NULL,
    crc INTEGER NOT NULL,         -- CRC-32 of the payload
    payload BLOB NOT NULL         -- last, so that reading the others skips its pages
);
CREATE TABLE sink (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,    -- delivered up to this number
    planned INTEGER NOT NULL      -- being delivered up to this number
) WITHOUT ROWID;
CREATE TABLE numbering (next INTEGER NOT NULL);
PRAGMA user_version = {SCHEMA_VERSION};
"""

_log = get_logger("tickhive.spool")


@define
class StoredBatch:
    """A batch that is to be stored: its number is given at the commit."""

    count: int
    created: int
    earliest: int
    latest: int
    payload: bytes


@define
class SinkPosition:
    """How far a sink is: delivered up to ``position``; up to ``planned`` a delivery was begun."""

    position: int
    planned: int


class SpoolLock:
    """Ownership of a spool directory: held by an exclusive lock that the system gives back when its owner dies.

    SQLite's own file locking does the work, because it is the same on every platform.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "spool.lock"
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            self._connection.close()
            raise SpoolError(
                f"The spool {directory} is in use (its lock {path.name} is held: {error}). Stop the other service that "
                "collects into it, or give this one a data directory of its own"
            ) from error

    def release(self) -> None:
        """Let the next owner have the directory."""
        self._connection.close()


class Database:
    """The open file. All methods belong to one thread; an sqlite3.Error leaves everything as it was before the call."""

    def __init__(self, path: Path, *, now: int, max_bytes: int) -> None:
        self.path = path
        self.moved_aside: Path | None = None
        try:
            self._connection = self._open(now)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            self.moved_aside = _move_aside(path, now, error)
            self._connection = self._open(now)
        self._execute(f"PRAGMA max_page_count = {max(64, max_bytes // _PAGE_BYTES)}")
        self.next_number: int = self._execute("SELECT next FROM numbering").fetchone()[0]
        self.sinks: dict[str, SinkPosition] = {
            name: SinkPosition(position, planned)
            for name, position, planned in self._execute("SELECT name, position, planned FROM sink")
        }

    def _open(self, now: int) -> sqlite3.Connection:
        fresh = not self.path.exists() or self.path.stat().st_size == 0
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            if fresh:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # writes to the file, so to a fresh one only
            for pragma in ("journal_mode = WAL", "synchronous = FULL"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            # macOS: fsync alone leaves the data in the drive's cache.
            for pragma in ("fullfsync = ON", "checkpoint_fullfsync = ON", "journal_size_limit = 16777216"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                connection.executescript(f"BEGIN;{_SCHEMA}INSERT INTO numbering VALUES ({max(1, now // 1000)});COMMIT;")
            elif version > SCHEMA_VERSION:
                raise SpoolError(
                    f"The spool {self.path} has layout {version}, this version of tickhive knows {SCHEMA_VERSION}. "
                    "Deliver it with the version that wrote it, or move it away"
                )
            elif self.path.stat().st_size <= _CHECKED_BYTES:
                # A large file is not read twice; each batch has its own checksum anyway.
                verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise sqlite3.DatabaseError(verdict)
            if connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0] < 3:
                raise sqlite3.DatabaseError("tables are missing")
        except BaseException:
            connection.close()
            raise
        return connection

    def _execute(self, statement: str, parameters: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, parameters)

    def _commit(self, *steps: tuple[str, tuple[object, ...]]) -> None:
        """Do all steps or none. An IMMEDIATE transaction fails at its begin, not halfway, when it cannot write."""
        try:
            self._execute("BEGIN IMMEDIATE")
            for statement, parameters in steps:
                self._execute(statement, parameters)
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            raise

    def insert(self, batch: StoredBatch) -> int:
        """Commit a batch and return the number of its last event."""
        first = self.next_number
        following = first + batch.count
        self._commit(
            (
                "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    first,
                    following - 1,
                    len(batch.payload),
                    batch.created,
                    batch.earliest,
                    batch.latest,
                    zlib.crc32(batch.payload),
                    batch.payload,
                ),
            ),
            ("UPDATE numbering SET next = ?", (following,)),
        )
        self.next_number = following
        return following - 1

    def attach(self, name: str) -> SinkPosition:
        """Give the sink a place in the spool; one not known yet begins with the oldest event that is kept."""
        known = self.sinks.get(name)
        if known is None:
            oldest = self._execute("SELECT MIN(first) FROM batch").fetchone()[0]
            start = (self.next_number if oldest is None else oldest) - 1
            known = SinkPosition(start, start)
            self._commit(("INSERT INTO sink VALUES (?, ?, ?)", (name, start, start)))
            self.sinks[name] = known
        return known

    def plan(self, name: str, last: int) -> None:
        """Commit to delivering up to ``last`` in one piece, before the delivery begins."""
        self._commit(("UPDATE sink SET planned = ? WHERE name = ?", (last, name)))
        self.sinks[name].planned = last

    def advance(self, name: str, last: int) -> None:
        """Record that the sink has everything up to ``last``, and delete what every sink has."""
        others = [other.position for key, other in self.sinks.items() if key != name]
        self._commit(
            ("UPDATE sink SET position = ?, planned = ? WHERE name = ?", (last, last, name)),
            ("DELETE FROM batch WHERE first <= ?", (min([last, *others]),)),
        )
        self.sinks[name] = SinkPosition(last, last)
        self._shrink()

    def forget(self, name: str) -> None:
        """Give up a sink's place; what only it still needed is deleted."""
        others = [other.position for key, other in self.sinks.items() if key != name]
        kept_after = min(others, default=self.next_number)
        self._commit(
            ("DELETE FROM sink WHERE name = ?", (name,)), ("DELETE FROM batch WHERE first <= ?", (kept_after,))
        )
        self.sinks.pop(name, None)
        self._shrink()

    def _shrink(self) -> None:
        free = self._execute("PRAGMA freelist_count").fetchone()[0]
        if free > _SPARE_PAGES:
            # Only executescript steps this statement to its end: each step frees one page and has no columns.
            self._connection.executescript(f"PRAGMA incremental_vacuum({free - _SPARE_PAGES})")
            self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # the file shrinks when the log is folded in

    def used_bytes(self) -> int:
        """Size of the file without its free pages; the write-ahead log, some MiB, comes on top."""
        pages: int = self._execute("PRAGMA page_count").fetchone()[0]
        free: int = self._execute("PRAGMA freelist_count").fetchone()[0]
        return (pages - free) * _PAGE_BYTES

    def close(self) -> None:
        """Close the file; the write-ahead log is folded into it."""
        self._connection.close()


def _move_aside(path: Path, now: int, cause: Exception) -> Path:
    """Keep a damaged file for whoever can save something from it, together with its write-ahead log."""
    target = path.with_name(f"{path.stem}.damaged-{now}{path.suffix}")
    for ending in ("", "-wal", "-shm"):
        source = path.with_name(path.name + ending)
        if source.exists():
            source.replace(target.with_name(target.name + ending))
    _log.error(
        "the spool is damaged and was moved aside; events that were not delivered are in it",
        path=str(path),
        moved_to=str(target),
        cause=str(cause),
        remedy="sqlite3's .recover command may save its batches",
    )
    return target
