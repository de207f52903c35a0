"""One instrument in the seeded market: makers who quote around a fair price, takers who trade against them."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING

from tickhive.events import Side
from tickhive.simulation.ladder import Ladder
from tickhive.simulation.tape import MINUTE, Bar, Bars, Begin, Day, Fill, every

if TYPE_CHECKING:
    from tickhive.simulation.market import Listing

_HISTORY_MINUTES = 240
_SWEEP = 8
"""So many levels one taker order takes at most; beyond that the makers withdraw."""


class Stock:
    """An instrument: its two ladders, what was traded, its day, its candles, its open interest.

    ``sequence`` counts everything that happens to the book and never repeats. ``rate`` of the listing may be low, but
    each ``act`` brings the book to the fair price: the market never falls behind its index.
    """

    def __init__(self, listing: Listing, random: Random, start: int, fair: float) -> None:
        self.listing = listing
        self.random = random
        self.bids = Ladder(1)
        self.asks = Ladder(-1)
        self.sequence = 1_000_000 + int(random.random() * 1_000_000_000)
        self.trade_id = 1_000_000 + int(random.random() * 100_000_000)
        self.tape: deque[Fill] = deque(maxlen=2000)
        self._gap = max(1, round(fair * 1e-5))
        middle = max(2, round(fair))
        self._fill_up(self.bids, middle - 1)
        self._fill_up(self.asks, middle + 1)
        self._minutes = self._history(start, middle)
        self._bars: dict[str, Bars] = {"": Bars(every(MINUTE), self._minutes)}
        volume = listing.typical * 2_000_000
        self.day = Day(
            open=max(1, round(middle * (0.98 + 0.04 * random.random()))),
            high=round(middle * 1.025) + 1,
            low=max(1, round(middle * 0.975)),
            last=middle,
            last_size=listing.typical,
            volume=volume,
            turnover=volume * middle,
        )
        self.open_interest = listing.typical * 500_000 if listing.leveraged else 0

    @property
    def minutes(self) -> deque[Bar]:
        """The candles of a minute, oldest first, the last one open; a few hours before the start are invented."""
        return self._bars[""].bars

    def bars(self, name: str, begin: Begin) -> deque[Bar]:
        """The candles of an interval, oldest first, the last one open. ``name`` is any name for ``begin``.

        Intervals shorter than a minute have none from before they were first asked for.
        """
        kept = self._bars.get(name)
        if kept is None:
            minutes = self.minutes
            shorter = bool(minutes) and begin(minutes[0].start + MINUTE - 1) > minutes[0].start
            kept = self._bars[name] = Bars(begin, None if shorter else minutes)
        return kept.bars

    def act(self, at: int, fair: float) -> tuple[list[Fill], tuple[Side, int, int] | None]:
        """Let one thing happen: takers first, then makers. Answers the executions and a (side, price, size) forced."""
        self.sequence += 1
        fills = self._take(at, fair)
        forced = self._force(fills) if fills and self.listing.leveraged else None
        self._make(fair)
        return fills, forced

    # Takers.

    def _take(self, at: int, fair: float) -> list[Fill]:
        draw = self.random.random
        fills: list[Fill] = []
        ask, bid = self.asks.best, self.bids.best
        if ask is not None and ask <= fair:
            self._sweep(at, "buy", self.asks, fair, fills)
        elif bid is not None and bid >= fair:
            self._sweep(at, "sell", self.bids, fair, fills)
        elif draw() < 0.5:
            side: Side = "buy" if draw() < 0.5 else "sell"
            ladder = self.asks if side == "buy" else self.bids
            if len(ladder):
                price, size, orders = ladder.level(0)
                taken = min(size, self._some_size())
                self._fill(at, side, ladder, price, taken, size, orders, fills)
        return fills

    def _sweep(self, at: int, side: Side, ladder: Ladder, fair: float, fills: list[Fill]) -> None:
        while len(ladder):
            price, size, orders = ladder.level(0)
            if (price - fair) * ladder.sign < 0:
                return
            if len(fills) < _SWEEP:
                self._fill(at, side, ladder, price, size, size, orders, fills)
            else:
                ladder.put(price, 0, 0)

    def _fill(
        self, at: int, side: Side, ladder: Ladder, price: int, taken: int, size: int, orders: int, fills: list[Fill]
    ) -> None:
        matches = min(orders if taken == size else 1, taken)
        ladder.put(price, size - taken, max(1, orders - matches))
        self.sequence += 1
        self.trade_id += matches
        fill = Fill(at, side, price, taken, matches, self.trade_id)
        fills.append(fill)
        self.tape.append(fill)
        self.day.trade(price, taken)
        for bars in self._bars.values():
            bars.trade(fill)
        if self.listing.leveraged:
            change = taken if self.random.random() < 0.5 else -taken
            self.open_interest = max(taken, self.open_interest + change)

    def _force(self, fills: list[Fill]) -> tuple[Side, int, int] | None:
        if self.random.random() >= 0.05:
            return None
        last = fills[-1]
        return last.side, last.price, sum(fill.size for fill in fills)

    # Makers.

    def _make(self, fair: float) -> None:
        draw = self.random.random
        gap = self._gap
        # Nobody leaves a hole around the fair price for long: quotes follow it on both sides, never crossing.
        below, above = int(fair - gap * draw()), int(fair + gap * draw()) + 1
        bid, ask = self.bids.best, self.asks.best
        if (bid is None or bid < below - 2 * gap) and below >= 1 and (ask is None or below < ask):
            self.bids.put(below, self._some_size(), self._some_orders())
            bid = below
        if (ask is None or ask > above + 2 * gap) and (bid is None or above > bid):
            self.asks.put(above, self._some_size(), self._some_orders())
        for _ in range(1 + int(draw() * 4)):
            self._requote(self.bids if draw() < 0.5 else self.asks)
            self.sequence += 1
        for ladder in (self.bids, self.asks):
            while len(ladder) > self.listing.depth:
                ladder.put(ladder.worst, 0, 0)
            self._fill_up(ladder, None)

    def _requote(self, ladder: Ladder) -> None:
        """Change, withdraw or add a level, more often near the market than far from it."""
        if not len(ladder):
            return
        draw = self.random.random
        near = draw()
        price, _, _ = ladder.level(int(len(ladder) * near * near * near))
        what = draw()
        if what < 0.5:
            ladder.put(price, self._some_size(), self._some_orders())
        elif what < 0.75:
            if len(ladder) > 1:
                ladder.put(price, 0, 0)
        else:
            beyond = price - ladder.sign * (1 + int(draw() * self._gap))
            if beyond >= 1:
                ladder.put(beyond, self._some_size(), self._some_orders())

    def _fill_up(self, ladder: Ladder, first: int | None) -> None:
        """Add levels at the far end until the side is as deep as it should be, or price one is reached."""
        draw = self.random.random
        price = first if first is not None else None
        while len(ladder) < self.listing.depth:
            if price is None:
                if not len(ladder):
                    return
                price = ladder.worst - ladder.sign * (1 + int(draw() * 2 * self._gap))
            if price < 1:
                return
            ladder.put(price, self._some_size(), self._some_orders())
            price = None

    def _some_size(self) -> int:
        draw = self.random.random()
        return 1 + int(self.listing.typical * 4 * draw * draw * draw)

    def _some_orders(self) -> int:
        draw = self.random.random()
        return 1 + int(12 * draw * draw * draw)

    def _history(self, start: int, price: int) -> deque[Bar]:
        """Invent the minutes before the start, walking backwards from the price of now."""
        random = Random(f"{self.random.random()}")
        swing = max(1, price // 2000)
        bars: deque[Bar] = deque(maxlen=1500)
        begin = start - start % MINUTE
        for back in range(1, _HISTORY_MINUTES + 1):
            close = price
            price = max(1, price + int((random.random() - 0.5) * 2 * swing))
            high = max(price, close) + int(random.random() * swing)
            low = max(1, min(price, close) - int(random.random() * swing))
            volume = 1 + int(self.listing.typical * 1000 * random.random())
            opened, turnover = begin - back * MINUTE, volume * ((high + low) // 2)
            bars.appendleft(Bar(opened, price, high, low, close, volume, turnover, volume // 2, turnover // 2))
        return bars
