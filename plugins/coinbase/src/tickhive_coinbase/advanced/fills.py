"""Which fills are still to be read: the channel ``user`` only counts them, REST tells them.

The socket's memory keeps how many fills each order was said to have and which were read; while some are missing, REST
is asked again every moment.
"""

from __future__ import annotations

from attrs import define, field

from tickhive.channels import DataType
from tickhive.events import Gap

_MOST_ORDERS = 10_000
_MOST_ASKED = 120  # times in a row without anything coming of it


@define(eq=False)
class OrderFills:
    """The fills of one order: ``said`` to be, ``before`` this socket subscribed, ``ids`` read, ``fresh`` since then.

    ``counted_at`` is when they were last said to be more (ns UTC).
    """

    symbol: str
    counted_at: int
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
    """Fills by order. ``since`` is when this socket began to count (ns UTC), ``lost`` the orders whose fills are waited
    for no more, which nobody was told yet.
    """

    orders: dict[str, OrderFills] = field(factory=dict)
    lacking: dict[str, None] = field(factory=dict)
    since: int = 0
    asked: int = 0
    lost: dict[str, OrderFills] = field(factory=dict)

    def note(self, order: str, fills: int, symbol: str, at: int, *, begun: bool) -> None:
        """An order has so many fills; ``begun``: it had them before this socket subscribed, they are not waited for."""
        known = self._of(order, symbol, at)
        if begun and order not in self.lacking:
            known.before = max(fills - known.fresh, known.before)
        if fills > known.said:
            known.said, known.counted_at = fills, at
        self._look(order, known)

    def came(self, order: str, id: str, symbol: str, at: int, *, fresh: bool) -> None:
        """A fill was read; ``fresh``: among those since this socket subscribed."""
        known = self._of(order, symbol, at)
        if id not in known.ids:
            known.ids.add(id)
            known.fresh += fresh
            self._look(order, known)

    def due(self) -> bool:
        """Whether to ask now. What never comes is given up, see ``given_up``."""
        if not self.lacking:
            return False
        self.asked += 1
        if self.asked > _MOST_ASKED:
            for order in list(self.lacking):
                self._give_up(order, self.orders[order])
        return bool(self.lacking)

    def given_up(self, exchange: str, at: int) -> list[Gap]:
        """Tell of the fills that were counted and never came, once; of an order one Gap."""
        gaps = [
            Gap(
                exchange, known.symbol, None, at, DataType.FILL, known.counted_at, at,
                f"order {order} has {known.said} fills, {len(known.ids)} of which could be read",
            )
            for order, known in self.lost.items()
        ]  # fmt: skip
        self.lost.clear()
        return gaps

    def _of(self, order: str, symbol: str, at: int) -> OrderFills:
        known = self.orders.get(order)
        if known is None:
            known = self.orders[order] = OrderFills(symbol, at)
            if len(self.orders) > _MOST_ORDERS:
                oldest = next(iter(self.orders))
                forgotten = self.orders.pop(oldest)
                if oldest in self.lacking:
                    self._give_up(oldest, forgotten)
        return known

    def _look(self, order: str, known: OrderFills) -> None:
        self.asked = 0
        if known.lacking:
            self.lacking[order] = None
        else:
            self.lacking.pop(order, None)
            self.lost.pop(order, None)

    def _give_up(self, order: str, known: OrderFills) -> None:
        self.lacking.pop(order, None)
        self.lost[order] = known
