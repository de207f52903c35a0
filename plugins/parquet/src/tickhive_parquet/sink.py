"""The sink: each batch becomes one file per exchange, data type and day, complete from the moment it can be seen."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias
from urllib.parse import quote

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
from attrs import define

from tickhive.errors import SinkError
from tickhive.events import MarketEvent
from tickhive.logs import get_logger
from tickhive.sinks import Sink, SinkBatch, SinkSettings
from tickhive_parquet.tables import TABLES, Table

_log = get_logger("tickhive.sinks.parquet")

_DAY = 86_400 * 1_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()
_UNFINISHED = ".part"
_ROW_GROUP = 128 * 1024
_DELTA_ENCODED = ("number", "timestamp", "received")
_MOSTLY_UNIQUE = ("id",)
_ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [("symbol", "ascending"), ("number", "ascending")]

_Partition: TypeAlias = tuple[str, str, int]
"""Exchange, data type and day (counted from 1970-01-01)."""


@define(kw_only=True)
class ParquetSettings(SinkSettings):
    """``path`` is the root of the files; ``compression_level`` that of zstd, 1 (fast) to 22 (small)."""

    path: Path
    compression_level: int = attrs.field(default=3, validator=[attrs.validators.ge(1), attrs.validators.le(22)])


class ParquetSink(Sink):
    """Writes ``exchange=E/type=T/date=D/FIRST-LAST.parquet`` below its path.

    FIRST and LAST number the batch's events in the spool, D is the UTC day the events were received. Files are
    written beside their place under a name readers skip, synced and renamed: a repeated batch replaces its own files.
    """

    Settings: ClassVar[type[SinkSettings]] = ParquetSettings
    promise = "exactly once: a batch that is repeated replaces its own files"

    def __init__(self, settings: ParquetSettings) -> None:
        super().__init__(settings)
        self.path = settings.path

    def open(self) -> None:
        """Make the root directory, check that it can be written, and remove files an interrupted write left."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".writable{_UNFINISHED}"
            probe.touch()
            left = list(self.path.rglob(f".*{_UNFINISHED}"))
            for unfinished in left:
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise SinkError(
                f"Parquet files cannot be written below {self.path}: {error.strerror or error}. "
                "Check that it is a directory this user may write to and that its disk has room"
            ) from error
        if len(left) > 1:
            _log.info("unfinished files were removed; their batches are written again", count=len(left) - 1)

    def write(self, batch: SinkBatch) -> None:
        """Write the files of a batch; on return they and their names are on disk."""
        pieces: dict[_Partition, list[pa.Table]] = {}
        for number, events in batch.chunks():
            for partition, (table, numbers, rows) in _group(number, events).items():
                pieces.setdefault(partition, []).append(table.build(numbers, rows))
        name = f"{batch.first:016d}-{batch.last:016d}.parquet"
        while pieces:
            # Popped, so that the memory of each is free before the next is sorted.
            (exchange, kind, day), tables = pieces.popitem()
            directory = self.path / f"exchange={quote(exchange, safe='')}" / f"type={kind}" / f"date={_day_name(day)}"
            try:
                self._write_file(directory, name, pa.concat_tables(tables), exchange, kind)
            except OSError as error:
                raise SinkError(
                    f"{directory / name} cannot be written: {error.strerror or error}. Its events stay in the spool; "
                    "free space on the disk, or close the program that has the file open"
                ) from error

    def _write_file(self, directory: Path, name: str, rows: pa.Table, exchange: str, kind: str) -> None:
        rows = rows.sort_by(_ORDER)
        first, last = name.removesuffix(".parquet").split("-")
        notes = {"tickhive.exchange": exchange, "tickhive.type": kind, "tickhive.first": first, "tickhive.last": last}
        rows = rows.replace_schema_metadata(notes)
        _make_directory(directory)
        unfinished = directory / f".{name}{_UNFINISHED}"
        # Names of columns are accepted as well as a bool; the stubs know only the latter.
        dictionary: Any = [path for path in _leaves(rows.schema) if path not in (*_DELTA_ENCODED, *_MOSTLY_UNIQUE)]
        try:
            with unfinished.open("wb") as file:
                pq.write_table(
                    rows,
                    file,
                    row_group_size=_ROW_GROUP,
                    compression="zstd",
                    compression_level=self.settings.compression_level,
                    use_dictionary=dictionary,
                    column_encoding=dict.fromkeys(_DELTA_ENCODED, "DELTA_BINARY_PACKED"),
                    sorting_columns=pq.SortingColumn.from_ordering(rows.schema, _ORDER),
                )
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(directory / name)
            _sync_directory(directory)
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise


def _group(number: int, events: Iterable[MarketEvent]) -> dict[_Partition, tuple[Table, list[int], list[MarketEvent]]]:
    """Sort the events of one piece, the first of which has ``number``, into the partitions they belong to."""
    groups: dict[_Partition, tuple[Table, list[int], list[MarketEvent]]] = {}
    for position, event in enumerate(events, number):
        table = TABLES[event.__class__]
        partition = (event.exchange, table.name, event.received // _DAY)
        group = groups.get(partition)
        if group is None:
            group = groups[partition] = (table, [], [])
        group[1].append(position)
        group[2].append(event)
    return groups


@lru_cache(maxsize=64)
def _day_name(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()


def _leaves(schema: Any) -> list[str]:
    """Name the leaf columns of a schema as Parquet does."""
    found = []
    for field in schema:
        if pa.types.is_list(field.type):
            found += [f"{field.name}.list.element.{leaf.name}" for leaf in field.type.value_type]
        else:
            found.append(field.name)
    return found


def _make_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    made = [directory, *(parent for parent in directory.parents if not parent.exists())]
    directory.mkdir(parents=True, exist_ok=True)
    for one in made:
        _sync_directory(one.parent)


def _sync_directory(directory: Path) -> None:
    """Bring a directory's names to disk. Windows cannot open directories and writes its names through anyway."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
