"""Order books as venues send them: whole, and what changed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from attrs import define


class Level(msgspec.Struct, array_like=True, gc=False):
    """One price level of a book as the venue wrote it. Decodes straight from a JSON row ``["price", "size", ...]``.

    A size of zero (any spelling) deletes the level. Further elements of the row are skipped.
    """

    price: str
    size: str


@define
class BookSnapshot:
    """A whole book down to ``depth`` levels a side (0: as deep as the venue's channel goes); replaces what was known.

    ``sequence`` numbers this state where the venue numbers its books. ``levels``: the venue keeps only so many a side
    up to date and leaves it to its clients to drop what falls out of them (0: all of them); a book with a depth is cut
    to that anyway.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    sequence: int | None = None
    depth: int = 0
    levels: int = 0


@define
class BookDelta:
    """The levels of a book that changed: absolute sizes, zero deletes.

    ``previous`` is the ``sequence`` this delta builds on, ``first`` the lowest number merged into it; each is None
    where the venue does not send it. ``depth`` names the book it belongs to, as in BookSnapshot.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    sequence: int | None = None
    previous: int | None = None
    first: int | None = None
    depth: int = 0
