"""The texts OKX writes numbers and times in, and what they become."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Annotated, TypeAlias

from msgspec import Meta

NS_PER_MS = 1_000_000
LAST_MS = (2**63 - 1) // NS_PER_MS

Text: TypeAlias = Annotated[str, Meta(max_length=64)]
Numeral: TypeAlias = Annotated[str, Meta(max_length=40)]
"""A number as OKX writes it, in a string; empty where there is none."""
Millis: TypeAlias = Annotated[int, Meta(ge=0, le=LAST_MS)]
"""Milliseconds since 1970, from a string or a number."""
Count: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer that fits in 64 bits, as everything behind us assumes."""

LEAST, MOST = Decimal("1e-30"), Decimal("1e30")
"""No price or size lies outside. The comparison also refuses NaN and Infinity, and exponents made to exhaust memory."""

REMEMBERED = 4096
"""How many numbers are kept by their text: half a megabyte of them."""


def exact(text: str) -> Decimal:
    """Read a number; ValueError for what is none or lies out of all reason."""
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


@lru_cache(maxsize=REMEMBERED)
def number(text: str) -> Decimal | None:
    """Read a number, None for an empty text.

    Remembered, because most fields of a ticker or a quote repeat from one push to the next.
    """
    return exact(text) if text else None


def moment(text: str) -> int | None:
    """Read milliseconds into ns UTC, None for an empty text."""
    if not text:
        return None
    millis = int(text)
    if not 0 <= millis <= LAST_MS:
        raise ValueError(f"{text[:20]!r} is not a time")
    return millis * NS_PER_MS
