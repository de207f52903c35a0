"""An account's orders across sockets: which are open, and what became of those that ended while nobody listened."""

from __future__ import annotations

from typing import TypeAlias

from tickhive.events import Order

_OPEN = frozenset(("open", "partially_filled"))
_MOST = 20_000  # ended ones remembered
_Key: TypeAlias = tuple[str, str, str]


class Orders:
    """Orders by account, symbol and id. Whoever lags behind cannot open one again that has ended."""

    def __init__(self) -> None:
        self._open: dict[_Key, Order] = {}
        self._ended: dict[_Key, None] = {}

    def note(self, order: Order) -> None:
        """An order is in this state."""
        key = _key(order)
        if order.status in _OPEN:
            if key not in self._ended:
                self._open[key] = order
            return
        self._open.pop(key, None)
        self._ended[key] = None
        if len(self._ended) > _MOST:
            del self._ended[next(iter(self._ended))]

    def outdated(self, order: Order, asked_at: int | None = None, *, lagging: bool = False) -> bool:
        """Whether this was so before what was told last: an order that has ended is open no more. ``asked_at``: it was
        fetched, asked for then (ns UTC). ``lagging``: another socket may have been faster.
        """
        key = _key(order)
        if key in self._ended:
            return order.status in _OPEN or asked_at is not None
        known = self._open.get(key)
        if known is None or order.status not in _OPEN or (asked_at is None and not lagging):
            return False
        if order.timestamp is not None and known.timestamp is not None:
            return order.timestamp < known.timestamp
        return asked_at is not None and known.received >= asked_at

    def open(self) -> list[Order]:
        """Those that are open, as they were told last."""
        return list(self._open.values())

    def forget(self, order: Order) -> bool:
        """Nobody will tell how it ended; False when something was heard of it since."""
        key = _key(order)
        if self._open.get(key) is not order:
            return False
        del self._open[key]
        return True

    def untold(self, account: str, since: int) -> list[Order]:
        """The account's open orders of which nothing was heard since then (ns UTC)."""
        return [order for order in self._open.values() if order.account == account and order.received < since]


def _key(order: Order) -> _Key:
    """Some venues number the orders of each symbol by themselves."""
    return order.account, order.symbol, order.id
