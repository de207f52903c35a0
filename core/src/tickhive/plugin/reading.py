"""What most plugins read frames with: exact numbers from text, bounded types, and what decoding may raise.

Nobody has to use it. The types are for the fields of msgspec structs: what does not fit is refused while it is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Raw

from tickhive.plugin.contract import Malformed

NS_PER_MS = 1_000_000
NS_PER_SECOND = 1_000_000_000

Text: TypeAlias = Annotated[str, Meta(max_length=128)]
"""A name, an id, a word."""
Numeral: TypeAlias = Annotated[str, Meta(max_length=64)]
"""A number written as text; many venues leave it empty where there is none."""
Millis: TypeAlias = Annotated[int, Meta(ge=0, le=(2**63 - 1) // NS_PER_MS)]
"""A time in milliseconds since 1970; it fits in 64 bits as ns too."""
Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer that fits in 64 bits, as everything behind a plugin assumes."""
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""The same from zero on: an id, a number in a sequence."""

UNREADABLE = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What a frame of any bytes can make a reader raise: wrong shapes, text that is no UTF-8, numbers that are none,
absurdly deep nesting."""

LEAST, MOST = Decimal("1e-30"), Decimal("1e30")
"""No price or size lies outside. The comparison also refuses NaN and Infinity, and exponents made to exhaust memory."""

REMEMBERED = 2048
"""How many numbers are kept by their text: a quarter of a megabyte of them."""


def exact(text: str) -> Decimal:
    """Read a number; ValueError for what is none or lies out of all reason.

    >>> exact("-0.5"), exact("0")
    (Decimal('-0.5'), Decimal('0'))
    """
    try:
        value = Decimal(text)
        if not value or LEAST < abs(value) < MOST:
            return value
    except ArithmeticError:
        pass
    raise ValueError(f"{text[:20]!r} is not a number")


class _Positive(dict[str, Decimal]):
    """Numbers above zero by their text. Two in three prices of a market were seen shortly before.

    A dictionary's own miss: a number that is remembered costs a fifth of one that is read, with no call at all.
    """

    def __missing__(self, text: str) -> Decimal:
        value = Decimal(text)
        if not LEAST < value < MOST:
            raise ValueError(f"{text[:20]!r} is not a number above zero")
        if len(self) >= REMEMBERED:
            self.clear()
        self[text] = value
        return value


positive = _Positive()
"""``positive["0.5"]`` reads a number above zero; ValueError or ArithmeticError for anything else."""


@lru_cache(maxsize=REMEMBERED)
def number(text: str) -> Decimal | None:
    """Read a number, None for an empty text.

    Remembered, because most fields of a ticker or a quote repeat from one push to the next.
    """
    return exact(text) if text else None


def written(value: Raw) -> str:
    """The text of a JSON number, for the levels of books and their checksums: in full, as the venue wrote its digits.

    For fields of the type ``msgspec.Raw``, where a venue sends numbers and not texts. ValueError for anything else.

    >>> written(Raw(b"60000.10")), written(Raw(b"5e-05"))
    ('60000.10', '0.00005')
    """
    text = str(bytes(value), "ascii", "replace")
    if not text[-1:].isdecimal() or text[0] == '"':
        raise ValueError(f"{text[:20]} is not a number")
    return text if text.isdecimal() or not text.strip("-.0123456789") else f"{exact(text):f}"


def brief(error: Exception) -> str:
    """An error in a short line, for ``Malformed``."""
    return f"{type(error).__name__}: {error}"[:160]


def whole_number(text: str | None) -> int | None:
    """Read an id that is a number; None for one that is not, or that fits no 64 bits.

    >>> whole_number("280232"), whole_number("2a0da34e")
    (280232, None)
    """
    if text is None or len(text) > 19 or not (text.isascii() and text.isdecimal()):
        return None
    value = int(text)
    return value if value < 2**63 else None


def read_rows(rows: Iterable[Raw], reader: Callable[[Raw], Sequence[Any]], what: str) -> list[Any]:
    """Read the rows of a list each by itself: a bad one is Malformed and costs no other. ``what`` names the list."""
    events: list[Any] = []
    for row in rows:
        try:
            events += reader(row)
        except UNREADABLE as error:
            events.append(Malformed(f"{what}: {brief(error)}"))
    return events
