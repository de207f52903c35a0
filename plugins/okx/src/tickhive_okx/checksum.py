"""The checksum OKX put under its books until June 2026; recordings still carry it."""

from __future__ import annotations

from zlib import crc32

from tickhive.plugin import BookSides, hookimpl

DEPTH = 25


@hookimpl
def checksum(book: BookSides) -> int:
    """CRC32, signed, of ``bid:size:ask:size:...`` over the best 25 levels, in the venue's text.

    Where one side is shorter the other goes on alone.
    """
    bids, asks = book.top_text(DEPTH)
    levels = [
        f"{bid}:{bid_size}:{ask}:{ask_size}" for (bid, bid_size), (ask, ask_size) in zip(bids, asks, strict=False)
    ]
    both = len(levels)
    levels += [f"{price}:{size}" for price, size in (bids[both:] or asks[both:])]
    value = crc32(":".join(levels).encode())
    return value - (1 << 32) if value >> 31 else value
