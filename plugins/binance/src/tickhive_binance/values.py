"""What Binance writes as zero where there is none."""

from __future__ import annotations

from decimal import Decimal

from tickhive.plugin.reading import NS_PER_MS, number


def above_zero(text: str) -> Decimal | None:
    """Read a number; None for zero and for an empty text."""
    return number(text) or None


def moment(millis: int) -> int | None:
    """Milliseconds as ns UTC; None for 0."""
    return millis * NS_PER_MS or None
