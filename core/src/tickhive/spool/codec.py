"""A batch of events as bytes and back, exactly: msgpack rows, each tagged with its event type.

A batch is ``[format, rows]``, a row ``[tag, field, field, ...]`` in the order of the event's class. Decimals travel as
text, so exponents and trailing zeros survive. Optional fields may be added at the end of an event without a change of
format: rows written before them are read with their defaults. Anything else is a change of ``FORMAT``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Union

import msgspec

from tickhive import events as ev
from tickhive.errors import SpoolError
from tickhive.events import MarketEvent
from tickhive.rows import row_reader, row_struct, row_writer

FORMAT: Final = 1

# The numbers are in files on disk: give a number to a type once, never reuse one.
TAGS: Final[dict[type[MarketEvent], int]] = {
    ev.Trade: 1,
    ev.Quote: 2,
    ev.Ticker: 3,
    ev.BookSnapshot: 4,
    ev.BookDelta: 5,
    ev.Candle: 6,
    ev.FundingRate: 7,
    ev.OpenInterest: 8,
    ev.Liquidation: 9,
    ev.MarkPrice: 10,
    ev.IndexPrice: 11,
    ev.PriceLimit: 12,
    ev.InstrumentUpdate: 13,
    ev.Gap: 14,
    ev.SubscriptionUpdate: 15,
    ev.Balance: 16,
    ev.Position: 17,
    ev.Order: 18,
    ev.Fill: 19,
}

_WRITERS = {cls: row_writer(cls, tag) for cls, tag in TAGS.items()}
_ROWS = {cls: row_struct(cls, tag) for cls, tag in TAGS.items()}
_READERS = {struct: row_reader(cls) for cls, struct in _ROWS.items()}
_ROW: Any = Union[tuple(_ROWS.values())]  # noqa: UP007 - the operator cannot be applied to a computed list
_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_decode = msgspec.msgpack.Decoder(tuple[int, list[_ROW]]).decode
_decode_raw = msgspec.msgpack.Decoder(tuple[int, list[msgspec.Raw]]).decode
_decode_row = msgspec.msgpack.Decoder(_ROW).decode


class UnknownFormat(SpoolError):
    """A batch was written by a later version of tickhive, which can still deliver it."""


def encode(events: Sequence[MarketEvent]) -> bytes:
    """Write a batch of events. An event with a value that msgpack cannot hold raises what msgspec raises for it."""
    writers = _WRITERS
    return _encode((FORMAT, [writers[event.__class__](event) for event in events]))


def decode(payload: bytes) -> list[MarketEvent]:
    """Read a batch of events; SpoolError when a row cannot be read, UnknownFormat when a later version wrote it."""
    try:
        written, rows = _decode(payload)
        if written == FORMAT:
            readers = _READERS
            return [readers[row.__class__](row) for row in rows]
    except Exception as error:
        _check_format(payload)
        raise SpoolError(f"A spooled batch of {len(payload)} bytes cannot be read: {error}") from error
    raise _unknown(written)


def salvage(payload: bytes) -> list[MarketEvent | None]:
    """Read a batch row by row, with None for each row that cannot be read; SpoolError when no row can be told apart."""
    _check_format(payload)
    try:
        _, rows = _decode_raw(payload)
    except Exception as error:
        raise SpoolError(f"A spooled batch of {len(payload)} bytes cannot be read: {error}") from error
    return [_read_or_none(row) for row in rows]


def _read_or_none(row: msgspec.Raw) -> MarketEvent | None:
    try:
        decoded = _decode_row(row)
        return _READERS[decoded.__class__](decoded)
    except Exception:
        return None


def _check_format(payload: bytes) -> None:
    try:
        written = msgspec.msgpack.decode(payload)[0]
    except Exception:
        return
    if written != FORMAT:
        raise _unknown(written)


def _unknown(written: object) -> UnknownFormat:
    return UnknownFormat(
        f"These events were spooled in format {written!r}; this version reads format {FORMAT}. "
        "Install the version that wrote them to deliver them"
    )


def storable(event: MarketEvent) -> bool:
    """Tell whether an event survives the round trip: its type is known and its values fit."""
    try:
        decode(encode((event,)))
        return isinstance(event.received, int) and -(2**63) <= event.received < 2**63
    except Exception:
        return False
