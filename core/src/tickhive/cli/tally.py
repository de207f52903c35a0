"""Counts what collectors hand out: per symbol and data type, with the last price and the gaps."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal

from attrs import Factory, define, field

from tickhive.channels import DataType
from tickhive.events import DATA_TYPE_OF, Gap, MarketEvent, SubscriptionUpdate, Ticker, Trade

_WINDOW = 5.0


@define
class Row:
    """What came of one symbol."""

    counts: Counter[DataType] = Factory(Counter)
    gaps: int = 0
    price: Decimal | None = None


@define
class Tally:
    """A tap for collectors; the events of a book's snapshots and deltas count as ``orderbook``.

    What is about subscriptions is no data and not counted.
    """

    rows: dict[tuple[str, str], Row] = Factory(dict)
    total: int = 0
    gaps: int = 0
    _now: Callable[[], float] = time.monotonic
    _marks: deque[tuple[float, int]] = field(factory=deque)

    def __attrs_post_init__(self) -> None:
        """Begin to measure the rate."""
        self._marks.append((self._now(), 0))

    def take(self, events: list[MarketEvent]) -> None:
        """Count these events."""
        rows = self.rows
        for event in events:
            kind = event.__class__
            if kind is SubscriptionUpdate:
                continue
            self.total += 1
            key = (event.exchange, event.symbol)
            row = rows.get(key)
            if row is None:
                row = rows[key] = Row()
            if kind is Gap:
                row.gaps += 1
                self.gaps += 1
                continue
            row.counts[DATA_TYPE_OF[kind]] += 1
            if isinstance(event, Trade):
                row.price = event.price
            elif isinstance(event, Ticker) and event.last is not None:
                row.price = event.last

    def rate(self) -> float:
        """Events per second over the last few seconds; call it a few times a second at most."""
        now = self._now()
        self._marks.append((now, self.total))
        while len(self._marks) > 2 and now - self._marks[0][0] > _WINDOW:
            self._marks.popleft()
        (began, before), (ended, after) = self._marks[0], self._marks[-1]
        return (after - before) / (ended - began) if ended > began else 0.0

    def by_type(self) -> Counter[DataType]:
        """Counts per data type over all symbols; gaps are not among them."""
        totals: Counter[DataType] = Counter()
        for row in self.rows.values():
            totals.update(row.counts)
        return totals

    def by_stream(self) -> dict[tuple[str, DataType], int]:
        """Counts per symbol and data type, as a simulated venue keeps its own log."""
        return {
            (symbol, data_type): count
            for (_, symbol), row in self.rows.items()
            for data_type, count in row.counts.items()
        }
