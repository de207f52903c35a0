"""The candles of one symbol and interval: which run, which are closed, and what a late trade changes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import TypeAlias

from tickhive.events import Trade
from tickhive.session.candle_intervals import Interval

Order: TypeAlias = tuple[int, int, int]
"""The place of a trade among others: its time, the number of its id, its place in the order of arrival."""

MOST_FLAT = 10_000
"""Flat candles that one call closes at most; the next one goes on where it stopped."""

# Sums have all their digits: the 28 of the default context are too few for small prices of large sizes.
EXACT = Context(prec=200)
_ZERO = Decimal(0)


class Bar:
    """A candle in the making. Without a trade it is flat: ``first`` is None, all prices are one."""

    __slots__ = (
        "close",
        "first",
        "high",
        "last",
        "low",
        "open",
        "received",
        "revision",
        "start",
        "timestamp",
        "turnover",
        "volume",
    )

    def __init__(self, start: int, price: Decimal) -> None:
        self.start = start
        self.first: Order | None = None
        self.last: Order = (0, 0, 0)
        self.volume = self.turnover = _ZERO
        self.timestamp: int | None = None
        self.received = 0
        self.revision = 0
        self.set_price(price)

    def set_price(self, price: Decimal) -> None:
        """Set all four prices."""
        self.open = self.high = self.low = self.close = price

    def take(self, order: Order, trade: Trade) -> None:
        """Take in a trade. The order in which trades come makes no difference to what they add up to."""
        price = trade.price
        if self.first is None:
            self.set_price(price)
            self.first = self.last = order
            self.timestamp = trade.timestamp
        else:
            # Of equal prices that are written differently (1.0, 1.00) these choose the same one in any order.
            self.high = EXACT.max(self.high, price)
            self.low = EXACT.min(self.low, price)
            if order > self.last:
                self.last, self.close, self.timestamp = order, price, trade.timestamp
            elif order < self.first:
                self.first, self.open = order, price
        self.volume = EXACT.add(self.volume, trade.size)
        self.turnover = EXACT.fma(price, trade.size, self.turnover)
        self.received = max(self.received, trade.received)


class Series:
    """All candles of one symbol and interval that may still change.

    Intervals before ``following`` are closed. ``due`` is when the first one that is not will be, ns UTC. ``tail`` is
    the price at which the last closed one ended, known and needed only where empty intervals are ``flat``.
    """

    __slots__ = ("_closed", "_flat", "_open", "_tail", "due", "following", "interval")

    def __init__(self, interval: Interval, flat: bool, at: int) -> None:
        self.interval = interval
        self._flat = flat
        self._open: dict[int, Bar] = {}
        self._closed: dict[int, Bar] = {}
        self._tail: Decimal | None = None
        self._move(interval.begin(at))

    def __len__(self) -> int:
        """How many candles are held."""
        return len(self._open) + len(self._closed)

    def current(self) -> Bar | None:
        """The newest candle that is not closed; None while no trade fell into one."""
        return self._open[max(self._open)] if self._open else None

    def take(self, order: Order, trade: Trade) -> Sequence[Bar]:
        """Take in a trade; answers the closed candles it changes."""
        start = self.interval.begin(order[0])
        if start < self.following:
            return self._correct(start, order, trade)
        bar = self._open.get(start)
        if bar is None:
            bar = self._open[start] = Bar(start, trade.price)
        bar.take(order, trade)
        return ()

    def close(self, watermark: int, keep_after: int) -> list[Bar]:
        """Close every interval that ended by ``watermark``; forget those that ended by ``keep_after``."""
        done = self._close_all(watermark) if self._flat else self._close_traded(watermark)
        closed, after = self._closed, self.interval.after
        closed.update((bar.start, bar) for bar in done)
        while closed and after(oldest := next(iter(closed))) <= keep_after:
            del closed[oldest]
        return done

    def _close_traded(self, watermark: int) -> list[Bar]:
        done = []
        for start in sorted(self._open):
            if self.interval.after(start) > watermark:
                break
            done.append(self._open.pop(start))
        self._move(self.interval.begin(watermark))
        return done

    def _close_all(self, watermark: int) -> list[Bar]:
        done: list[Bar] = []
        while self.due <= watermark and len(done) < MOST_FLAT:
            bar = self._open.pop(self.following, None)
            if bar is None:
                if self._tail is None:
                    # Before the first trade there is no price to be flat at.
                    self._move(min(min(self._open), self.interval.begin(watermark)))
                    continue
                bar = Bar(self.following, self._tail)
            self._tail = bar.close
            done.append(bar)
            self._move(self.due)
        return done

    def _move(self, following: int) -> None:
        self.following = following
        self.due = self.interval.after(following)

    def _correct(self, start: int, order: Order, trade: Trade) -> list[Bar]:
        bar = self._closed.get(start)
        if bar is None:
            bar = self._closed[start] = Bar(start, trade.price)
        else:
            bar.revision += 1
        bar.take(order, trade)
        return [bar, *self._carry(bar)] if self._flat else [bar]

    def _carry(self, bar: Bar) -> list[Bar]:
        """Carry the close of a corrected candle into the flat ones that follow it."""
        changed: list[Bar] = []
        close, start = bar.close, self.interval.after(bar.start)
        while start < self.following:
            later = self._closed.get(start)
            if later is None:
                later = self._closed[start] = Bar(start, close)
            elif later.first is not None or later.close == close:
                return changed
            else:
                later.set_price(close)
                later.revision += 1
            changed.append(later)
            start = self.interval.after(start)
        self._tail = close
        return changed
