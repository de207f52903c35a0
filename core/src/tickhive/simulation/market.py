"""A market that trades by itself: many instruments, order books, executions, all from one seed.

Time (ns UTC) is given by the caller. ``Market.advance(until)`` lets everything happen that happens until then and
yields it change by change; how often it is called makes no difference. Inside, prices are whole ticks and sizes whole
lots; a ``Listing`` writes them as text.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from random import Random

from attrs import Factory, define, field, frozen

from tickhive.events import Side
from tickhive.simulation.ladder import Ladder
from tickhive.simulation.stock import Stock
from tickhive.simulation.tape import Fill
from tickhive.simulation.walk import Walk

SECOND = 1_000_000_000
"""A second in ns."""


def _same(price: float) -> float:
    return price


@frozen
class Index:
    """Something whose price others follow: ``price`` at the start, ``volatility`` relative per year."""

    name: str
    price: float
    volatility: float = 0.3


@frozen(kw_only=True)
class Listing:
    """An instrument to simulate.

    ``index`` names what it follows, ``value`` turns the index's price into its own fair price. A tick is
    ``tick * 10**-price_decimals``, a lot ``lot * 10**-size_decimals``. ``depth`` levels stand on each side of its book,
    ``rate`` times per second something happens there, ``typical`` is a usual order in lots. ``leveraged``: positions
    are held, so there is open interest and there are liquidations.
    """

    name: str
    index: str
    price_decimals: int
    size_decimals: int
    tick: int = 1
    lot: int = 1
    value: Callable[[float], float] = _same
    depth: int = 400
    rate: float = 5.0
    typical: int = 1000
    leveraged: bool = False

    @property
    def tick_size(self) -> float:
        """The price of one tick."""
        return float(self.tick / 10**self.price_decimals)

    def price(self, ticks: int, places: int = 0) -> str:
        """A price as text: without trailing zeros, but with ``places`` digits after the point at least."""
        return decimal_text(ticks * self.tick, self.price_decimals, places)

    def size(self, lots: int, places: int = 0) -> str:
        """A size as text: without trailing zeros, but with ``places`` digits after the point at least."""
        return decimal_text(lots * self.lot, self.size_decimals, places)


@lru_cache(maxsize=1 << 14)  # the same prices are written again and again
def decimal_text(units: int, decimals: int, places: int = 0) -> str:
    """Write ``units * 10**-decimals`` (not negative) with no more digits than it takes, or ``places`` of them.

    >>> decimal_text(1050, 2), decimal_text(500, 2), decimal_text(5, 3), decimal_text(5, 1, 3)
    ('10.5', '5', '0.005', '0.500')
    """
    text = str(units).zfill(decimals + 1)
    whole, fraction = text[: len(text) - decimals], text[len(text) - decimals :].rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole


@frozen
class Forced:
    """A liquidation: ``side`` is the side of the liquidation order, price in ticks, size in lots."""

    at: int
    side: Side
    price: int
    size: int


@define
class Change:
    """What happened to one instrument at one moment. Which levels changed, the watchers of its ladders know."""

    at: int
    stock: Stock
    fills: Sequence[Fill] = ()
    forced: Forced | None = None


@define
class Market:
    """All instruments of a venue. ``start`` is the first moment, ns UTC."""

    listings: Sequence[Listing]
    indices: Sequence[Index]
    seed: int = 1
    start: int = 0
    stocks: dict[str, Stock] = Factory(dict)
    _common: Walk = field(init=False)
    _numbers: Iterator[int] = Factory(itertools.count)
    _walks: dict[str, tuple[float, Walk]] = Factory(dict)
    _due: list[tuple[int, int, Stock]] = Factory(list)
    _now: int = field(default=0)

    def __attrs_post_init__(self) -> None:
        """Set up every book as it stands at the start."""
        self._now = self.start
        self._common = Walk(f"{self.seed}/common", self.start, 1.0)
        for index in self.indices:
            self._follow(index)
        for listing in self.listings:
            self._open(listing)

    @property
    def now(self) -> int:
        """The moment the market has reached, ns UTC."""
        return self._now

    def next_change(self) -> int | None:
        """When something happens next, ns UTC; None for a market without instruments."""
        return self._due[0][0] if self._due else None

    def advance(self, until: int) -> Iterator[Change]:
        """Yield everything that happens up to and including ``until``. What is not taken happens at the next call."""
        due = self._due
        while due and due[0][0] <= until:
            at, number, stock = due[0]
            heapq.heapreplace(due, (self._next(stock, at), number, stock))
            self._now = max(self._now, at)
            fills, forced = stock.act(at, self._fair(stock.listing, at))
            yield Change(at, stock, fills, Forced(at, *forced) if forced else None)
        self._now = max(self._now, until)

    def add(self, listing: Listing, index: Index) -> None:
        """An instrument begins to trade now, and with it what it follows, where that is not there yet."""
        if index.name not in self._walks:
            self._follow(index)
        self._open(listing)

    def delist(self, name: str) -> None:
        """Nothing happens to an instrument any more; its last state stays."""
        self._due[:] = [due for due in self._due if due[2].listing.name != name]
        heapq.heapify(self._due)

    def _follow(self, index: Index) -> None:
        walk = Walk(f"{self.seed}/{index.name}", self.start, index.volatility, self._common, 0.7)
        self._walks[index.name] = (index.price, walk)

    def _open(self, listing: Listing) -> None:
        random = Random(f"{self.seed}/{listing.name}/book")
        stock = Stock(listing, random, self._now, self._fair(listing, self._now))
        heapq.heappush(self._due, (self._next(stock, self._now), next(self._numbers), stock))
        self.stocks[listing.name] = stock

    def index_price(self, name: str, at: int) -> float:
        """The price of an index at this time."""
        price, walk = self._walks[name]
        return price * (1.0 + walk.value(at))

    def mark_price(self, name: str, at: int) -> int:
        """The fair price of an instrument at this time, in ticks, at least one."""
        return max(1, round(self._fair(self.stocks[name].listing, at)))

    def premium(self, name: str, at: int) -> float:
        """How far the instrument's book stands above its index, relative: what funding rates are made of."""
        stock = self.stocks[name]
        bid, ask = stock.bids.best, stock.asks.best
        if bid is None or ask is None:
            return 0.0
        middle = (bid + ask) / 2 * stock.listing.tick_size
        return middle / self.index_price(stock.listing.index, at) - 1.0

    def ladders(self, name: str) -> tuple[Ladder, Ladder]:
        """Bids and asks of an instrument."""
        stock = self.stocks[name]
        return stock.bids, stock.asks

    def _fair(self, listing: Listing, at: int) -> float:
        return listing.value(self.index_price(listing.index, at)) / listing.tick_size

    @staticmethod
    def _next(stock: Stock, at: int) -> int:
        # Between a fifth and nine fifths of the mean: irregular, never two changes at one moment.
        return at + int((0.2 + 1.6 * stock.random.random()) * SECOND / stock.listing.rate) + 1
