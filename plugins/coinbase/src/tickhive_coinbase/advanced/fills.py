"""Which fills are still to be read: the channel ``user`` only counts them, REST tells them.

The socket's memory keeps how many fills each order was said to have and which were read; while some are missing, REST
is asked again every moment.
"""

from __future__ import annotations

from attrs import define, field

_MOST_ORDERS = 10_000
_MOST_ASKED = 120  # times in a row without anything coming of it


@define(eq=False)
class OrderFills:
    """The fills of one order: ``said`` to be, ``before`` this socket subscribed, ``ids`` read, ``fresh`` since then."""

    said: int = 0
    before: int = 0
    ids: set[str] = field(factory=set)
    fresh: int = 0

    @property
    def lacking(self) -> bool:
        """Whether some are missing. Those from before need not be read."""
        return self.said > len(self.ids) and self.said - self.before > self.fresh


@define(eq=False)
class FillCounts:
    """Fills by order. ``since`` is when this socket began to count (ns UTC)."""

    orders: dict[str, OrderFills] = field(factory=dict)
    lacking: set[str] = field(factory=set)
    since: int = 0
    asked: int = 0

    def note(self, order: str, fills: int, *, begun: bool) -> None:
        """An order has so many fills; ``begun``: it had them before this socket subscribed, they are not waited for."""
        known = self._of(order)
        if begun and order not in self.lacking:
            known.before = max(fills - known.fresh, known.before)
        known.said = max(fills, known.said)
        self._look(order, known)

    def came(self, order: str, id: str, *, fresh: bool) -> None:
        """A fill was read; ``fresh``: among those since this socket subscribed."""
        known = self._of(order)
        if id not in known.ids:
            known.ids.add(id)
            known.fresh += fresh
            self._look(order, known)

    def due(self) -> bool:
        """Whether to ask now. What never comes is given up."""
        if not self.lacking:
            return False
        self.asked += 1
        if self.asked > _MOST_ASKED:
            self.lacking.clear()
        return bool(self.lacking)

    def _of(self, order: str) -> OrderFills:
        known = self.orders.get(order)
        if known is None:
            known = self.orders[order] = OrderFills()
            if len(self.orders) > _MOST_ORDERS:
                oldest = next(iter(self.orders))
                del self.orders[oldest]
                self.lacking.discard(oldest)
        return known

    def _look(self, order: str, known: OrderFills) -> None:
        self.asked = 0
        if known.lacking:
            self.lacking.add(order)
        else:
            self.lacking.discard(order)
