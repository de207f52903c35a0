"""What a made-up exchange lists: plausible prices and ticks for any currency, and the dates on which futures end."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

WELL_KNOWN = {"BTC": 60_000.0, "ETH": 2_500.0, "SOL": 150.0, "XRP": 0.6, "DOGE": 0.15}
"""Currencies much is traded in, and a usual price of each in dollars."""


def usual_price(base: str) -> float:
    """A price in dollars for a currency: the usual one of the well-known, some fixed one for any other."""
    return WELL_KNOWN.get(base) or 1.0 + zlib.crc32(base.encode()) % 1_000


def is_busy(base: str) -> bool:
    """Whether a currency is one that much is traded in."""
    return base in WELL_KNOWN


def price_decimals(price: float) -> int:
    """So many digits after the point that a tick is about a hundred-thousandth of the price.

    >>> price_decimals(60_000.0), price_decimals(0.6)
    (1, 5)
    """
    decimals = 1
    while price * 10**decimals < 50_000:
        decimals += 1
    return decimals


def quarterly_expiries(at: int, count: int = 2) -> list[str]:
    """The next quarterly expiries, ``YYYYMMDD``, more than a week after ``at`` (ns UTC), earliest first.

    They are the last Fridays of March, June, September and December.

    >>> quarterly_expiries(1_791_369_351_000_000_000)
    ['20261225', '20270326']
    """
    day = datetime.fromtimestamp(at // 1_000_000_000, UTC) + timedelta(days=7)
    dates: list[str] = []
    year, month = day.year, (day.month + 2) // 3 * 3
    while len(dates) < count:
        after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        friday = after - timedelta(days=(after.weekday() - 4) % 7 or 7)
        if friday > day:
            dates.append(f"{friday:%Y%m%d}")
        year, month = (year, month + 3) if month < 12 else (year + 1, 3)
    return dates
