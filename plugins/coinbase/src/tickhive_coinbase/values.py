"""The texts both exchanges write times and sides in, and what they become."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta

from tickhive.plugin import Side

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""A time in ISO 8601, to the microsecond."""

TAKER: dict[str, Side] = {"buy": "sell", "sell": "buy", "BUY": "sell", "SELL": "buy"}
"""Trades name the maker's side; the taker did the opposite. Other words are an error of the row."""

SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell", "BUY": "buy", "SELL": "sell"}
"""The side of an order, or of a ticker's last trade."""


def side_of(sides: dict[str, Side], text: str) -> Side:
    """Read a side; ValueError for a word that is none."""
    side = sides.get(text)
    if side is None:
        raise ValueError(f"{text[:20]!r} is not a side")
    return side


def nanos(time: datetime | None) -> int | None:
    """A time in ns UTC; None for none, and for the beginnings of the calendars (years 1 and 1970) that mean none.

    Both exchanges were seen to send ``0001-01-01T00:00:00Z`` and ``1970-01-01T00:00:00Z``.
    """
    if time is None:
        return None
    # A double still tells the microseconds of this century apart.
    micros = round(time.timestamp() * 1e6)
    return micros * 1_000 if micros > 0 else None
