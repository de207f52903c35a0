"""What the files hold: one table for each data type, its columns derived from the fields of its events."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, get_args, get_type_hints

import attrs
import pyarrow as pa
from attrs import frozen

from tickhive.channels import Instrument
from tickhive.events import (
    DATA_TYPE_OF,
    EVENT_TYPES,
    BookDelta,
    BookSnapshot,
    Gap,
    Level,
    MarketEvent,
    SubscriptionUpdate,
)
from tickhive_parquet.values import DECIMAL, LEVELS, TIME, Unfit, column

_TIMES = frozenset(
    {"timestamp", "received", "start", "end", "funding_time", "next_funding_time", "listed", "expiry", "created"}
)
_IN_PATH = frozenset({"exchange"})
_NO_DATA: dict[type[MarketEvent], str] = {Gap: "gap", SubscriptionUpdate: "subscription"}
KIND = "kind"


@frozen
class Column:
    """A column: its name and type, and how its value is read from an event."""

    name: str
    type: pa.DataType
    read: Callable[[Any], Any]


@frozen
class Table:
    """The columns of one data type, without ``number`` (first) and ``unfit`` (last), which every table has."""

    name: str
    columns: tuple[Column, ...]
    schema: pa.Schema

    def build(self, numbers: Sequence[int], events: Sequence[MarketEvent]) -> pa.Table:
        """Make rows of events of this table's types, each with its number in the spool."""
        unfit: Unfit = {}
        arrays: list[pa.Array[Any]] = [pa.array(numbers, type=pa.int64())]
        for one in self.columns:
            read = one.read
            arrays.append(column(one.name, [read(event) for event in events], one.type, unfit))
        notes = [json.dumps(unfit[row]) if row in unfit else None for row in range(len(events))] if unfit else None
        arrays.append(pa.array(notes or [None] * len(events), type=pa.string()))
        return pa.Table.from_arrays(arrays, schema=self.schema)


def _kind_of(name: str, hint: Any) -> pa.DataType:
    options = get_args(hint)
    if hint is Decimal or Decimal in options:
        return DECIMAL
    if Level in options:
        return LEVELS
    if hint is bool:
        return pa.bool_()
    if hint is int or int in options:
        return TIME if name in _TIMES else pa.int64()
    return pa.string()


def _reader(name: str) -> Callable[[Any], Any]:
    # Spelt out, attribute access costs half of what attrgetter does.
    read: Callable[[Any], Any] = eval(f"lambda event: event.{name}")
    return read


def _columns(cls: type, prefix: str = "") -> list[Column]:
    hints = get_type_hints(cls)
    return [
        Column(field.name, _kind_of(field.name, hints[field.name]), _reader(prefix + field.name))
        for field in attrs.fields(cls)
        if field.name not in _IN_PATH
    ]


def _event_columns(cls: type[MarketEvent]) -> list[Column]:
    columns = _columns(cls)
    if any(one.name == "instrument" for one in columns):
        columns = [one for one in columns if one.name != "instrument"]
        known = {one.name for one in columns}
        columns += [one for one in _columns(Instrument, "instrument.") if one.name not in known]
    return columns


def _book_columns() -> list[Column]:
    """Snapshots and deltas share a table, told apart by ``kind``: only both in order are a book."""

    def only_in(cls: type[MarketEvent], one: Column) -> Column:
        read = one.read
        return Column(one.name, one.type, lambda event: read(event) if event.__class__ is cls else None)

    snapshots = {one.name: one for one in _columns(BookSnapshot)}
    columns = [
        one if snapshots.pop(one.name, None) is not None else only_in(BookDelta, one) for one in _columns(BookDelta)
    ]
    columns += [only_in(BookSnapshot, one) for one in snapshots.values()]
    kind = Column(KIND, pa.string(), lambda event: "delta" if event.__class__ is BookDelta else "snapshot")
    return [*columns[:3], kind, *columns[3:]]


def _table(name: str, columns: Sequence[Column]) -> Table:
    fields = [
        pa.field("number", pa.int64(), nullable=False),
        *(pa.field(one.name, one.type) for one in columns),
        pa.field("unfit", pa.string()),
    ]
    return Table(name, tuple(columns), pa.schema(fields))


def _tables() -> dict[type[MarketEvent], Table]:
    book = _table("orderbook", _book_columns())
    found: dict[type[MarketEvent], Table] = {BookSnapshot: book, BookDelta: book}
    for cls in EVENT_TYPES:
        if cls not in found:
            found[cls] = _table(_NO_DATA.get(cls) or DATA_TYPE_OF[cls].value, _event_columns(cls))
    return found


TABLES: dict[type[MarketEvent], Table] = _tables()
"""The table each event type is a row of."""
