"""The text OKX writes times in, and what it becomes."""

from __future__ import annotations

from tickhive.plugin.reading import NS_PER_MS

LAST_MS = (2**63 - 1) // NS_PER_MS


def moment(text: str) -> int | None:
    """Read milliseconds into ns UTC, None for an empty text and for 0, which OKX writes where it has no time."""
    if not text:
        return None
    millis = int(text)
    if not 0 <= millis <= LAST_MS:
        raise ValueError(f"{text[:20]!r} is not a time")
    return millis * NS_PER_MS or None
