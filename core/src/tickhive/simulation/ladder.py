"""One side of an order book, in whole ticks and lots, as the exchange itself keeps it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TypeAlias

Row: TypeAlias = tuple[int, int, int]
"""(price in ticks, size in lots, number of orders); size 0: the level is gone."""


class Ladder:
    """Price levels of one side, best last inside, best first wherever they are handed out.

    Inside, a level's key is its price (bids) or the price negated (asks), so that the best is the greatest key on
    both sides. ``watch`` gives a set that collects the keys of changed levels until ``changes`` empties it.
    """

    __slots__ = ("_keys", "_levels", "_watchers", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self._keys: list[int] = []
        self._levels: dict[int, tuple[int, int]] = {}
        self._watchers: list[set[int]] = []

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def best(self) -> int | None:
        """The best price in ticks; None when the side is empty."""
        return self._keys[-1] * self.sign if self._keys else None

    def watch(self) -> set[int]:
        """A fresh set that every later change is noted in."""
        changed: set[int] = set()
        self._watchers.append(changed)
        return changed

    def changes(self, changed: set[int]) -> list[Row]:
        """The levels noted in a watcher's set as they are now, best first; empties the set."""
        levels, sign = self._levels, self.sign
        rows = []
        for key in sorted(changed, reverse=True):
            size, orders = levels.get(key, (0, 0))
            rows.append((key * sign, size, orders))
        changed.clear()
        return rows

    def top(self, depth: int) -> list[Row]:
        """The best ``depth`` levels, best first."""
        levels, sign = self._levels, self.sign
        return [(key * sign, *levels[key]) for key in self._keys[: -depth - 1 : -1]]

    def put(self, price: int, size: int, orders: int) -> None:
        """Set a level; size 0 removes it."""
        key = price * self.sign
        levels = self._levels
        if size > 0:
            if key not in levels:
                self._keys.insert(bisect_left(self._keys, key), key)
            levels[key] = (size, orders)
        elif levels.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]
        else:
            return
        for changed in self._watchers:
            changed.add(key)

    def level(self, rank: int) -> Row:
        """The level of this rank, 0 being the best."""
        key = self._keys[-1 - rank]
        return (key * self.sign, *self._levels[key])

    @property
    def worst(self) -> int:
        """The price farthest from the market. The side must not be empty."""
        return self._keys[0] * self.sign

    def __iter__(self) -> Iterator[Row]:
        return iter(self.top(len(self._keys)))
