"""An account's orders across sockets: which are open, and what became of those that ended while nobody listened."""

from __future__ import annotations

from tickhive.events import Order

_OPEN = frozenset(("open", "partially_filled"))
_MOST = 20_000  # ended ones remembered


class Orders:
    """Orders by account and id. A socket that lags behind cannot open one again that has ended."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Order] = {}
        self._ended: dict[tuple[str, str], None] = {}

    def note(self, order: Order) -> None:
        """An order is in this state."""
        key = (order.account, order.id)
        if order.status in _OPEN:
            if key not in self._ended:
                self._open[key] = order
            return
        self._open.pop(key, None)
        self._ended[key] = None
        if len(self._ended) > _MOST:
            del self._ended[next(iter(self._ended))]

    def forget(self, order: Order) -> bool:
        """Nobody will tell how it ended; False when something was heard of it since."""
        key = (order.account, order.id)
        if self._open.get(key) is not order:
            return False
        del self._open[key]
        return True

    def untold(self, account: str, since: int) -> list[Order]:
        """The account's open orders of which nothing was heard since then (ns UTC)."""
        return [order for order in self._open.values() if order.account == account and order.received < since]
