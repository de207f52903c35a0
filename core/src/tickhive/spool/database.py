"""The spool's file: its tables, the lock that gives it one owner, and what becomes of a damaged one.

SQLite in WAL mode with ``synchronous=FULL``: a commit returns after its WAL frames were synced, so a committed batch
survives ``kill -9`` and, as far as the disk keeps its word, a power cut. Event numbers of a new file begin at the
microsecond it was made, so a spool that takes the place of a lost one never gives a number twice.

Beside the batches stands where every stream was when the batches up to ``through`` had been committed. Those after it
are kept, whoever has them, so that the next process can tell exactly where each stream ended.
"""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

from attrs import define

from tickhive.errors import SpoolError
from tickhive.events import MarketEvent
from tickhive.logs import get_logger
from tickhive.spool import codec
from tickhive.spool.notes import STREAMS, Rows
from tickhive.spool.standing import Standing

SCHEMA_VERSION = 2
_PAGE_BYTES = 4096
_SPARE_PAGES = 4096  # 16 MiB stay in the file for the next batches; what is free beyond goes back to the disk
_CHECKED_BYTES = 256 * 1024 * 1024

_STANDING = """
CREATE TABLE standing (
    name TEXT PRIMARY KEY,        -- `streams`: the last event of each; `holes`: those found since
    through INTEGER NOT NULL,     -- the streams stood there once events up to this number were committed, or later
    crc INTEGER NOT NULL,         -- CRC-32 of the payload
    payload BLOB NOT NULL
) WITHOUT ROWID;
"""

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
{_STANDING}
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
        self.short_of_room = False
        self._through: int | None = None
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
            if version == 1:  # it has no standing, and is the same otherwise
                connection.executescript(f"BEGIN IMMEDIATE;{_STANDING}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
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

    def insert(self, batch: StoredBatch, notes: Rows | None = None) -> int:
        """Commit a batch, and notes with it, and return the number of its last event."""
        first = self.next_number
        through = first - 1
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
            *_standing_rows(notes or {}, through),
        )
        self.next_number = following
        if notes is not None and STREAMS in notes:
            self._through = through
        return following - 1

    def keep_standing(self, notes: Rows) -> None:
        """Commit where the streams stand after the last batch; from here on every batch is kept until the next note."""
        through = self.next_number - 1
        self._commit(*_standing_rows(notes, through))
        if STREAMS in notes:
            self._through = through

    def standing(self, until: int | None = None) -> list[MarketEvent]:
        """Where every stream stands after the last batch, or that ``until`` this number; nothing when it was never
        noted or cannot be read.
        """
        rows = {name: row for name, *row in self._execute("SELECT name, through, crc, payload FROM standing")}
        if STREAMS not in rows:
            return []
        standing = Standing()
        try:
            for _, crc, payload in rows.values():
                if zlib.crc32(payload) != crc:
                    raise SpoolError("a wrong checksum")
                standing.begin(codec.decode(payload))
            batches = self._execute(
                "SELECT crc, payload FROM batch WHERE first > ? AND last <= ? ORDER BY first",
                (rows[STREAMS][0], self.next_number if until is None else until),
            )
            for crc, payload in batches:
                if zlib.crc32(payload) == crc:  # no sink gets a damaged one either
                    standing.follow(_readable(payload))
        except SpoolError as error:
            _log.error("where the streams stood cannot be read; the time since is not told of", cause=str(error))
            return []
        return standing.events()

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
            *self._deletion(min([last, *others])),
        )
        self.sinks[name] = SinkPosition(last, last)
        self._shrink()

    def forget(self, name: str) -> None:
        """Give up a sink's place; what only it still needed is deleted."""
        others = [other.position for key, other in self.sinks.items() if key != name]
        kept_after = min(others, default=self.next_number)
        self._commit(("DELETE FROM sink WHERE name = ?", (name,)), *self._deletion(kept_after))
        self.sinks.pop(name, None)
        self._shrink()

    def _deletion(self, kept_after: int) -> list[tuple[str, tuple[object, ...]]]:
        """Delete batches nobody needs. Where no standing is kept, one of an earlier process would be wrong by then."""
        through = self._through
        if through is None:
            return [("DELETE FROM batch WHERE first <= ?", (kept_after,)), ("DELETE FROM standing", ())]
        steps: list[tuple[str, tuple[object, ...]]] = []
        if kept_after > through and self.short_of_room:
            # No checkpoint can be written until there is room: the batches in its way are folded into one.
            payload = codec.encode(self.standing(kept_after))
            steps = _standing_rows({STREAMS: payload}, kept_after)
            through = kept_after
        return [("DELETE FROM batch WHERE last <= ?", (min(kept_after, through),)), *steps]

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


def _standing_rows(notes: Rows, through: int) -> list[tuple[str, tuple[object, ...]]]:
    return [
        ("INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?)", (name, through, zlib.crc32(payload), payload))
        for name, payload in notes.items()
    ]


def _readable(payload: bytes) -> list[MarketEvent]:
    try:
        return codec.decode(payload)
    except codec.UnknownFormat:
        raise
    except SpoolError:
        return [event for event in codec.salvage(payload) if event is not None]


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
