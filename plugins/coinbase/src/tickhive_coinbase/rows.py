"""The rows of a REST answer, each read by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw

from tickhive.plugin import Malformed
from tickhive.plugin.reading import UNREADABLE


def read_rows(rows: Sequence[Raw], reader: Callable[[Raw], Sequence[Any]], what: str) -> list[Any]:
    """Read each row; a bad one is Malformed by itself."""
    events: list[Any] = []
    for row in rows:
        try:
            events += reader(row)
        except UNREADABLE as error:
            events.append(Malformed(f"{what}: {error}"[:200]))
    return events


def whole_number(text: str | None) -> int | None:
    """Read an id that is a number; None for one that is not."""
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) <= 19 else None
