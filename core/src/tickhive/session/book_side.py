"""One side of an order book: the venue's own text, put in order only where and when somebody reads it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import Decimal
from operator import itemgetter

from tickhive.events import Level

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
_IDLE_AFTER_PEEK = 8  # the same after a mere ``peek``: beyond that, searching for the best costs less than keeping it


class BookSide:
    """The bids or the asks: price text to size text, with the best few kept in order while somebody reads them.

    Order is that of the exact decimal values. Conversion to float never reverses an order, it can only make two
    prices equal; where that happens the side is read through ``Decimal`` until the next snapshot.

    ``horizon`` is set once far levels were cut off to bound memory: half way between the best price and the last one
    kept, signed so that smaller is better. A side whose best price is behind it has been eaten through to where levels
    may be missing.
    """

    __slots__ = (
        "_bound",
        "_descending",
        "_exact",
        "_hasty",
        "_idle",
        "_keys",
        "_prices",
        "_sign",
        "horizon",
        "levels",
    )

    def __init__(self, descending: bool, levels: dict[str, str] | None = None) -> None:
        self.levels: dict[str, str] = {} if levels is None else levels
        self._descending = descending
        self._sign = -1.0 if descending else 1.0
        self._forget()
        self._exact = self._hasty = False
        self.horizon: float | None = None

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
        self._exact = self._hasty = False
        self.horizon = None

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
            self._hasty = True
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
                self._hasty = False
                return self._sizes(self._prices[:depth])
        return self._sizes(sorted(self.levels, key=Decimal, reverse=self._descending)[:depth])

    def peek(self) -> float | None:
        """The best price as a float, for a look now and then; None when there is none. Non-numbers raise ValueError.

        A side that changes often between looks is searched, any other is kept in order until the next one.
        """
        if not self.levels:
            return None
        keys = self._keys
        if not keys and not self._hasty and not self._exact:
            keys = self._sort()
        if keys:
            self._idle = min(self._idle, _IDLE - _IDLE_AFTER_PEEK)
            return self._sign * keys[0]
        return max(map(float, self.levels)) if self._descending else min(map(float, self.levels))

    def cut(self, depth: int) -> None:
        """Keep the best ``depth`` levels only."""
        levels = self.levels
        if len(levels) <= depth:
            return
        keys = self._keys if self._keys is not None or self._exact else self._sort()
        if keys is not None and self._bound == math.inf:
            for price in self._prices[depth:]:
                del levels[price]
            del keys[depth:], self._prices[depth:]
            self._idle = 0
            return
        prices = sorted(levels, key=float, reverse=self._descending)
        if float(prices[depth - 1]) == float(prices[depth]):
            prices = sorted(levels, key=Decimal, reverse=self._descending)
        self.levels = {price: levels[price] for price in prices[:depth]}
        self._forget()

    def bound(self, most: int) -> None:
        """Cut far levels off, a quarter of them, when there are more than ``most``."""
        if len(self.levels) > most:
            self.cut(most - most // 4)
            keys = [self._sign * float(price) for price in self.levels]
            self.horizon = (min(keys) + max(keys)) / 2

    @property
    def exhausted(self) -> bool:
        """Whether the best price is behind the horizon."""
        return self.horizon is not None and (best := self.peek()) is not None and self._sign * best > self.horizon

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
