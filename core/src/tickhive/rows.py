"""Events as flat rows of plain values: what the spool stores and the digest reads.

A row is a tag followed by every field of the event in the order of its class; an instrument is a row within it, a book
level the pair ``(price, size)``. Rows are written by functions generated once per class, because attribute access
spelt out costs half of ``attrgetter``; they are read by msgspec into structs, which builds levels and decimals without
a list or a text object for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_origin, get_type_hints

import attrs
import msgspec

from tickhive.channels import Instrument
from tickhive.events import Level, MarketEvent

RowWriter: TypeAlias = Callable[[MarketEvent], tuple[Any, ...]]
RowReader: TypeAlias = Callable[[Any], MarketEvent]


def fields_of(cls: type) -> tuple[str, ...]:
    """Name the fields of an event class (or of Instrument) in the order of its rows."""
    return tuple(field.name for field in attrs.fields(cls))


def row_writer(cls: type, tag: int | str) -> RowWriter:
    """Make the function that turns an event of ``cls`` into ``(tag, field, field, ...)``."""
    writer: RowWriter = _make(_writer_source(cls, repr(tag)), {"write_instrument": _write_instrument})
    return writer


def row_struct(cls: type, tag: int | None) -> type[msgspec.Struct]:
    """Make the struct that a row of ``cls`` decodes into.

    Fields missing at the end of a row take their defaults, so a row written before an optional field existed is read;
    a row that is too long or holds a wrong type is refused.
    """
    hints = get_type_hints(cls)
    fields: list[Any] = [
        (field.name, _row_type(hints[field.name]))
        if field.default is attrs.NOTHING
        else (field.name, _row_type(hints[field.name]), field.default)
        for field in attrs.fields(cls)
    ]
    return msgspec.defstruct(
        f"{cls.__name__}Row", fields, array_like=True, tag=tag, gc=False, forbid_unknown_fields=True
    )


def row_reader(cls: type) -> RowReader:
    """Make the function that turns a decoded row struct into an event of ``cls``."""
    hints = get_type_hints(cls)
    values = [f"read_instrument(row.{n})" if hints[n] is Instrument else f"row.{n}" for n in fields_of(cls)]
    reader: RowReader = _make(
        f"lambda row: cls({', '.join(values)})", {"cls": cls, "read_instrument": _read_instrument}
    )
    return reader


def _writer_source(cls: type, *leading: str) -> str:
    hints = get_type_hints(cls)
    parts = [f"write_instrument(event.{n})" if hints[n] is Instrument else f"event.{n}" for n in fields_of(cls)]
    return f"lambda event: ({', '.join([*leading, *parts])})"


def _row_type(hint: Any) -> Any:
    if get_origin(hint) is Literal:
        return str  # a word that a later version adds is still readable
    if hint == Sequence[Level]:
        return list[Level]
    return _INSTRUMENT_ROW if hint is Instrument else hint


def _make(source: str, names: dict[str, Any]) -> Any:
    # The text holds only field names of our own classes.
    return eval(source, names)


_INSTRUMENT_ROW = row_struct(Instrument, None)
_write_instrument: Callable[[Instrument], tuple[Any, ...]] = _make(_writer_source(Instrument), {})
_read_instrument: Callable[[Any], Instrument] = _make(
    f"lambda row: cls({', '.join(f'row.{name}' for name in fields_of(Instrument))})", {"cls": Instrument}
)
