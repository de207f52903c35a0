"""Columns of exact values: decimals and book sides from their text, and what becomes of a value that does not fit.

Arrow refuses to round: a value that needs more than 18 digits after the point or 20 before it is refused, becomes null
in its column, and its text is kept in the row's ``unfit`` column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from tickhive.events import Level

DECIMAL = pa.decimal128(38, 18)
TIME = pa.timestamp("ns", tz="UTC")
_PAIR = pa.struct([pa.field("price", DECIMAL), pa.field("size", DECIMAL)])
LEVELS = pa.list_(_PAIR)

_SAFE_LENGTH = 20
_REFUSALS = (pa.ArrowException, ArithmeticError, ValueError, TypeError, AttributeError)

Unfit: TypeAlias = dict[int, dict[str, Any]]
"""Row to field to the text of a value that its column cannot hold."""


def column(name: str, values: Sequence[Any], kind: pa.DataType, unfit: Unfit) -> pa.Array[Any]:
    """Make a column of ``kind``; values it cannot hold exactly become null and are added to ``unfit``."""
    make = _MAKERS.get(kind, _plain)
    try:
        return make(values, kind)
    except _REFUSALS:
        kept = list(values)
        for row, value in enumerate(kept):
            try:
                make([value], kind)
            except _REFUSALS:
                kept[row] = None
                unfit.setdefault(row, {})[name] = _text(value)
        return make(kept, kind)


def _plain(values: Sequence[Any], kind: pa.DataType) -> pa.Array[Any]:
    return pa.array(values, type=kind)


def _decimals(values: Sequence[Decimal | None], kind: pa.DataType) -> pa.Array[Any]:
    found = _from_plain_texts([None if value is None else str(value) for value in values])
    return pa.array(values, type=kind) if found is None else found


def _decimals_of_texts(texts: list[str]) -> pa.Array[Any]:
    found = _from_plain_texts(texts)
    return pa.array([Decimal(text) for text in texts], type=DECIMAL) if found is None else found


def _from_plain_texts(texts: Sequence[str | None]) -> pa.Array[Any] | None:
    """Let Arrow read the texts, in an eighth of the time of Decimal objects; None when that would not be safe.

    Its reading wraps around, without a word, where the scaled value exceeds 128 bits. No text of up to 20 characters
    without an exponent comes near.
    """
    array = pa.array(texts, type=pa.string())
    longest = pc.max(pc.binary_length(array)).as_py() or 0
    if longest > _SAFE_LENGTH:
        return None
    if pc.any(pc.or_(pc.match_substring(array, "E"), pc.match_substring(array, "e"))).as_py():
        return None
    return array.cast(DECIMAL)


def _levels(sides: Sequence[Sequence[Level] | None], kind: pa.DataType) -> pa.Array[Any]:
    offsets = [0]
    total = 0
    for side in sides:
        total += 0 if side is None else len(side)
        offsets.append(total)
    levels = [level for side in sides if side is not None for level in side]
    pairs = pa.StructArray.from_arrays(
        [
            _decimals_of_texts([level.price for level in levels]),
            _decimals_of_texts([level.size for level in levels]),
        ],
        fields=list(_PAIR),
    )
    mask = pa.array([side is None for side in sides], type=pa.bool_()) if None in sides else None
    return pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), pairs, type=kind, mask=mask)


_MAKERS: dict[pa.DataType, Callable[[Sequence[Any], pa.DataType], pa.Array[Any]]] = {
    DECIMAL: _decimals,
    LEVELS: _levels,
}


def _text(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [[level.price, level.size] for level in value]
    return str(value)
