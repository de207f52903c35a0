"""An order book kept as the venue's own text, sorted only where and when somebody reads it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from operator import itemgetter
from types import MappingProxyType
from typing import TypeAlias

from tickhive.events import Level

PriceSize: TypeAlias = tuple[Decimal, Decimal]

_PLACES = range(1, 19)
ZEROS = frozenset(
    ["0", "0.", "-0", "+0", "00"]
    + [f"0.{'0' * places}" for places in _PLACES]
    + [f".{'0' * places}" for places in _PLACES]
    + [f"-0.{'0' * places}" for places in _PLACES]
    + [f"0{mark}{sign}{places}" for mark in "eE" for sign in ("", "+", "-") for places in range(19)]
    + [f"0.0{mark}{sign}{places}" for mark in "eE" for sign in ("", "+", "-") for places in range(19)]
)
"""The spellings of a size of zero: a set lookup costs a tenth of a conversion."""

_TRACKED = 64  # best levels kept in order after a full sort
_MOST_TRACKED = 96  # insertions may grow the ordered part to this before it is cut back
_LARGEST_TRACKED_READ = 50  # deeper reads sort everything
_IDLE = 64  # deltas without a read after which a side stops being kept in order


class BookState(StrEnum):
    """What is known of a book: only a ``live`` one is known to be right."""

    EMPTY = "empty"
    SYNCING = "syncing"
    LIVE = "live"
    BROKEN = "broken"


class BookSide:
    """The bids or the asks: price text to size text, with the best few kept in order while somebody reads them.

    Order is that of the exact decimal values. Conversion to float never reverses an order, it can only make two
    prices equal; where that happens the side is read through ``Decimal`` until the next snapshot.
    """

    __slots__ = ("_bound", "_descending", "_exact", "_idle", "_keys", "_prices", "_sign", "levels")

    def __init__(self, descending: bool, levels: dict[str, str] | None = None) -> None:
        self.levels: dict[str, str] = {} if levels is None else levels
        self._descending = descending
        self._sign = -1.0 if descending else 1.0
        self._forget()
        self._exact = False

    def _forget(self) -> None:
        """Stop keeping the best levels in order."""
        # While `_keys` is set, it and `_prices` have all levels at or before `_bound`, best first.
        self._keys: list[float] | None = None
        self._prices: list[str] = []
        self._bound = 0.0
        self._idle = 0

    def replace(self, levels: Iterable[Level]) -> None:
        """Forget what was known and hold these levels."""
        zeros = ZEROS
        self.levels = {level.price: level.size for level in levels if level.size not in zeros}
        self._forget()
        self._exact = False

    def apply(self, changes: Iterable[Level]) -> None:
        """Set absolute sizes; zero deletes, deleting an unknown level is harmless."""
        if self._keys is not None:
            self._apply_in_order(changes, self._keys)
            return
        levels = self.levels
        zeros = ZEROS
        for level in changes:
            size = level.size
            if size in zeros:
                levels.pop(level.price, None)
            else:
                levels[level.price] = size

    def _apply_in_order(self, changes: Iterable[Level], keys: list[float]) -> None:
        """``apply`` that also keeps the ordered part right; only levels that come or go there cost a search."""
        self._idle += 1
        if self._idle > _IDLE:
            self._forget()
            self.apply(changes)
            return
        levels, prices = self.levels, self._prices
        sign, bound, zeros = self._sign, self._bound, ZEROS
        rest = iter(changes)
        for level in rest:
            size = level.size
            price = level.price
            if size in zeros:
                if levels.pop(price, None) is not None:
                    key = sign * float(price)
                    if key <= bound:
                        place = bisect_left(keys, key)
                        del keys[place], prices[place]
            elif price in levels:
                levels[price] = size
            else:
                levels[price] = size
                key = sign * float(price)
                if key <= bound:
                    place = bisect_left(keys, key)
                    if place < len(keys) and keys[place] == key:
                        self._exact = True
                        self._forget()
                        self.apply(rest)
                        return
                    keys.insert(place, key)
                    prices.insert(place, price)
        if len(keys) > _MOST_TRACKED:
            del keys[_TRACKED:], prices[_TRACKED:]
            self._bound = keys[-1]

    def best(self, depth: int) -> Sequence[tuple[str, str]]:
        """The best ``depth`` levels as (price, size), best first. Non-numbers raise ValueError or ArithmeticError."""
        if depth <= _LARGEST_TRACKED_READ and not self._exact:
            keys = self._keys
            if keys is None or (len(keys) < depth and self._bound != math.inf):
                keys = self._sort()
            if keys is not None:
                self._idle = 0
                return self._sizes(self._prices[:depth])
        return self._sizes(sorted(self.levels, key=Decimal, reverse=self._descending)[:depth])

    def _sizes(self, prices: list[str]) -> Sequence[tuple[str, str]]:
        levels = self.levels
        if len(prices) < 2:
            return [(price, levels[price]) for price in prices]
        return list(zip(prices, itemgetter(*prices)(levels), strict=True))  # two thirds of a loop's time

    def _sort(self) -> list[float] | None:
        """Put the best levels in order; None where two prices share a float."""
        sign, levels = self._sign, self.levels
        prices = sorted(levels, key=float, reverse=self._descending)
        keys = [sign * float(price) for price in prices[: _TRACKED + 1]]
        if any(key != key for key in keys):
            raise ValueError("a price of the book is not a number")
        if any(keys[place] == keys[place + 1] for place in range(len(keys) - 1)):
            self._exact = True
            self._forget()
            return None
        self._bound = math.inf if len(prices) <= _TRACKED else keys[_TRACKED - 1]
        del keys[_TRACKED:], prices[_TRACKED:]
        self._keys, self._prices, self._idle = keys, prices, 0
        return keys


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

    def clear(self) -> None:
        """Hold nothing."""
        self.apply_snapshot((), ())

    def copy(self) -> BookCopy:
        """The book as it is now, for keeping."""
        return BookCopy(self._bids.levels, self._asks.levels)


def _first(side: BookSide) -> PriceSize | None:
    for price, size in side.best(1):
        return Decimal(price), Decimal(size)
    return None


def _decimals(side: BookSide, depth: int) -> list[PriceSize]:
    return [(Decimal(price), Decimal(size)) for price, size in side.best(depth)]
