"""An order book as it can be read: live, copied, or cut to a depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from tickhive.events import Level
from tickhive.plugin.reading import LEAST, MOST
from tickhive.session.book_side import BookSide

PriceSize: TypeAlias = tuple[Decimal, Decimal]


class BookState(StrEnum):
    """What is known of a book: only a ``live`` one is known to be right."""

    EMPTY = "empty"
    SYNCING = "syncing"
    LIVE = "live"
    BROKEN = "broken"


class BookReader:
    """What can be read of a book, live or copied. Text that is no number raises ValueError or ArithmeticError."""

    __slots__ = ("_asks", "_bids")

    _bids: BookSide
    _asks: BookSide

    @property
    def bids(self) -> Mapping[str, str]:
        """Price text to size text, unordered."""
        return self._bids.levels

    @property
    def asks(self) -> Mapping[str, str]:
        """Price text to size text, unordered."""
        return self._asks.levels

    def best_bid(self) -> PriceSize | None:
        """The highest bid as (price, size); None when there is none."""
        return _first(self._bids)

    def best_ask(self) -> PriceSize | None:
        """The lowest ask as (price, size); None when there is none."""
        return _first(self._asks)

    def top(self, depth: int) -> tuple[list[PriceSize], list[PriceSize]]:
        """The best ``depth`` bids and asks as (price, size), best first."""
        return _decimals(self._bids, depth), _decimals(self._asks, depth)

    def top_text(self, depth: int) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]:
        """The best ``depth`` bids and asks as (price, size) in the venue's text, best first."""
        return self._bids.best(depth), self._asks.best(depth)

    @property
    def crossed(self) -> bool:
        """Whether the best bid reaches the best ask: normal before a market opens, a sign of a wrong book after."""
        bids, asks = self._bids.best(1), self._asks.best(1)
        return bool(bids and asks) and Decimal(bids[0][0]) >= Decimal(asks[0][0])


class BookCopy(BookReader):
    """A book as it was at one moment; nothing changes it again."""

    __slots__ = ()

    def __init__(self, bids: Mapping[str, str], asks: Mapping[str, str]) -> None:
        self._bids = BookSide(True, dict(bids))
        self._asks = BookSide(False, dict(asks))

    @property
    def bids(self) -> Mapping[str, str]:
        """Price text to size text, unordered, read-only."""
        return MappingProxyType(self._bids.levels)

    @property
    def asks(self) -> Mapping[str, str]:
        """Price text to size text, unordered, read-only."""
        return MappingProxyType(self._asks.levels)


class OrderBook(BookReader):
    """All known levels of one book. Applying costs no sorting: most levels are never read."""

    __slots__ = ()

    def __init__(self) -> None:
        self._bids = BookSide(True)
        self._asks = BookSide(False)

    def apply_snapshot(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Hold exactly these levels."""
        self._bids.replace(bids)
        self._asks.replace(asks)

    def apply_delta(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Set the absolute sizes of these levels; a size of zero deletes."""
        if bids:
            self._bids.apply(bids)
        if asks:
            self._asks.apply(asks)

    @property
    def reaching(self) -> bool:
        """``crossed``, at the price of a look now and then. Text that is no number raises as there."""
        bid, ask = self._bids.peek(), self._asks.peek()
        if bid is None or ask is None or bid < ask:
            return False
        # Floats that differ are in the order of the exact prices; equal ones may stand for prices that differ.
        return bid > ask or self.crossed

    def bound(self, most: int) -> None:
        """Cut far levels off a side that has more than ``most``. What is left is right down to half of its price range,
        which ``exhausted`` watches: a level that was cut off is sent again only when its size changes.
        """
        self._bids.bound(most)
        self._asks.bound(most)

    @property
    def exhausted(self) -> bool:
        """Whether the market came so near to the levels cut off that the best ones may be missing."""
        return self._bids.exhausted or self._asks.exhausted

    def clear(self) -> None:
        """Hold nothing."""
        self.apply_snapshot((), ())

    def copy(self) -> BookCopy:
        """The book as it is now, for keeping."""
        return BookCopy(self._bids.levels, self._asks.levels)


class ShallowBook(OrderBook):
    """The book of a channel that carries the best ``depth`` levels only: others are dropped after every change.

    Some venues leave it to the client to drop what falls out of the depth, and all send a level again when it comes
    back into it; so a book cut after every change is right. One cut less often would bring stale levels back, and one
    cut on a channel that does not send them again would miss them.
    """

    __slots__ = ("depth",)

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def apply_snapshot(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Hold the best of these levels."""
        super().apply_snapshot(bids, asks)
        self._cut()

    def apply_delta(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Set the absolute sizes of these levels, a size of zero deletes; then keep the best ones."""
        super().apply_delta(bids, asks)
        self._cut()

    def _cut(self) -> None:
        self._bids.cut(self.depth)
        self._asks.cut(self.depth)


def _first(side: BookSide) -> PriceSize | None:
    best = _decimals(side, 1)
    return best[0] if best else None


def _decimals(side: BookSide, depth: int) -> list[PriceSize]:
    levels = [(Decimal(price), Decimal(size)) for price, size in side.best(depth)]
    for _, size in levels:
        # Not a number refuses the comparison, infinite and negative sizes fail it.
        if not LEAST < size < MOST:
            raise ValueError(f"the size of a level is {size}")
    return levels
