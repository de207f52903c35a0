"""The account's own orders as one socket knows them: the channel ``user`` tells changes, never how things stand.

REST tells how an order stands, without saying after which of the changes. What of an order is filled is therefore only
known once each trade in that sum is known by its id: from its beginning on this socket, where nothing was filled, or
from the list of its fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field, frozen

from tickhive.events import Order, OrderStatus, Side

if TYPE_CHECKING:
    from tickhive_coinbase.exchange.user_row import UserRow

_MOST = 20_000
"""So many orders are remembered on a socket."""

ZERO = Decimal(0)

_Key = TypeVar("_Key")


@frozen
class Execution:
    """What one trade did to an order; the fee is None where it is not told."""

    price: Decimal
    size: Decimal
    fee: Decimal | None


@define(eq=False)
class OwnOrder:
    """An order: ``filled`` of ``size`` is done, for ``value`` in quote currency. ``created`` is ns UTC.

    ``counted`` are the ids of the trades in ``filled`` that the socket might tell again; None: it is not known which
    trades are in it. The size of a market order for an amount of money is what of it is filled.
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
    counted: set[int] | None = field(factory=set)

    def take(self, trade: int, price: Decimal, size: Decimal) -> bool:
        """A trade filled some of it; False when it was counted already."""
        if self.counted and trade in self.counted:
            return False
        self.filled += size
        self.value += price * size
        self.size = max(self.size, self.filled)
        return True

    def settle(self, fills: Mapping[int, Execution]) -> None:
        """These are the trades that filled it so far."""
        self.counted = set(fills)
        self.filled = sum((each.size for each in fills.values()), ZERO)
        self.value = sum((each.price * each.size for each in fills.values()), ZERO)
        self.size = max(self.size, self.filled)
        fees = [each.fee for each in fills.values() if each.fee is not None]
        self.fee = sum(fees, ZERO) if fees else self.fee

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
class Held:
    """A message of the channel ``user`` that waits for what REST knows; ``at`` is when it came (ns UTC).

    ``wanted`` are the lists of fills that would help, as parameters of their request. Of a match, ``told``: the fill
    was handed out; ``taken`` are the orders it was counted in.
    """

    row: UserRow
    at: int
    wanted: list[str] = field(factory=list)
    told: bool = False
    taken: set[str] = field(factory=set)


@define(eq=False)
class OwnOrders:
    """Orders by id, the oldest forgotten first.

    ``listed``: the open orders were read since the socket subscribed. ``held`` are the messages that wait, in the order
    they came. ``ours`` are ids of orders that messages were about, ``owners`` the orders of trades that REST told,
    ``fills`` the trades of orders whose whole list was read, ``pages`` of those whose list is being read. ``asked`` are
    the lists that were asked for and have not come, each with when (ns UTC).
    """

    known: dict[str, OwnOrder] = field(factory=dict)
    listed: bool = False
    held: list[Held] = field(factory=list)
    ours: dict[str, None] = field(factory=dict)
    owners: dict[int, list[str]] = field(factory=dict)
    fills: dict[str, dict[int, Execution]] = field(factory=dict)
    pages: dict[str, dict[int, Execution]] = field(factory=dict)
    asked: dict[str, int] = field(factory=dict)

    def get(self, id: str) -> OwnOrder | None:
        """Look an order up."""
        return self.known.get(id)

    def put(self, order: OwnOrder) -> OwnOrder:
        """Remember an order."""
        _keep(self.known, order.id, order)
        return order

    def name(self, id: str) -> None:
        """A message was about this order, so it is the account's own."""
        if id:
            _keep(self.ours, id, None)

    def owns(self, id: str, trade: int) -> bool:
        """Whether an order that took part in a trade is known to be the account's own."""
        return id in self.known or id in self.ours or id in self.owners.get(trade, ())

    def executed(self, id: str, trade: int, execution: Execution) -> None:
        """REST told a fill."""
        owners = self.owners.get(trade)
        if owners is None:
            _keep(self.owners, trade, [id])
        elif id not in owners:
            owners.append(id)
        if id in self.pages:
            self.pages[id][trade] = execution

    def begin_fills(self, id: str) -> None:
        """The first page of an order's fills is read."""
        _keep(self.pages, id, {})

    def end_fills(self, id: str) -> None:
        """The last page of an order's fills was read, which settles it. A list that holds less than the order was said
        to have lags behind, and settles nothing.
        """
        fills = self.pages.pop(id, {})
        order = self.known.get(id)
        if order is None:
            _keep(self.fills, id, fills)
        elif order.counted is None and sum((each.size for each in fills.values()), ZERO) >= order.filled:
            order.settle(fills)


def _keep(where: dict[_Key, Any], key: _Key, value: Any) -> None:
    where[key] = value
    if len(where) > _MOST:
        del where[next(iter(where))]
