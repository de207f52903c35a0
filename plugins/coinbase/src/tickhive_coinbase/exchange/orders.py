"""The account's own orders as one socket knows them: the channel ``user`` tells changes, never how things stand."""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field

from tickhive.events import Order, OrderStatus, Side

_MOST = 20_000
"""So many orders are remembered on a socket."""

ZERO = Decimal(0)


@define(eq=False)
class OwnOrder:
    """An order: ``filled`` of ``size`` is done, for ``value`` in quote currency. ``created`` is ns UTC.

    The size of a market order for an amount of money is what of it is filled.
    """

    id: str
    symbol: str
    side: Side
    size: Decimal = ZERO
    price: Decimal | None = None
    order_type: str = "limit"
    filled: Decimal = ZERO
    value: Decimal = ZERO
    client_id: str = ""
    created: int | None = None
    status: OrderStatus | None = None
    fee: Decimal | None = None
    reason: str = ""

    def take(self, price: Decimal, size: Decimal) -> None:
        """A trade filled some of it."""
        self.filled += size
        self.value += price * size
        self.size = max(self.size, self.filled)

    def event(self, exchange: str, account: str, timestamp: int | None, at: int) -> Order:
        """The order as it stands."""
        status: OrderStatus = self.status or ("partially_filled" if self.filled else "open")
        return Order(
            exchange,
            self.symbol,
            timestamp,
            at,
            account,
            self.id,
            self.side,
            self.order_type,
            status,
            self.size,
            self.filled,
            self.price,
            self.value / self.filled if self.filled else None,
            self.client_id,
            False,
            self.fee,
            # Fees are paid in what the price is written in.
            self.symbol.split("-")[1] if self.fee is not None and "-" in self.symbol else "",
            self.created,
            self.reason,
        )


@define(eq=False)
class OwnOrders:
    """Orders by id, the oldest forgotten first."""

    known: dict[str, OwnOrder] = field(factory=dict)

    def get(self, id: str) -> OwnOrder | None:
        """Look an order up."""
        return self.known.get(id)

    def put(self, order: OwnOrder) -> OwnOrder:
        """Remember an order."""
        self.known[order.id] = order
        if len(self.known) > _MOST:
            del self.known[next(iter(self.known))]
        return order
