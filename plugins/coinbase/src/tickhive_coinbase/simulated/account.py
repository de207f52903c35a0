"""An account of a simulated exchange: its money, orders and fills, changed by whoever tests. Nothing is matched."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Literal, TypeAlias
from uuid import UUID

from attrs import Factory, define, field

from tickhive.events import Side

What: TypeAlias = Literal["received", "open", "match", "done", "change", "balance"]


@define
class OwnFill:
    """A trade of an order."""

    id: int
    order: OwnOrder
    price: Decimal
    size: Decimal
    fee: Decimal
    at: int
    maker: bool


@define(eq=False)
class OwnOrder:
    """A limit order. ``status`` is ``open``, ``filled`` or ``cancelled``; times are ns UTC."""

    id: str
    product: str
    side: Side
    size: Decimal
    price: Decimal
    client_id: str
    created: int
    filled: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    fills: int = 0
    status: Literal["open", "filled", "cancelled"] = "open"
    ended: int | None = None

    @property
    def left(self) -> Decimal:
        """What is not filled yet."""
        return self.size - self.filled


Tell: TypeAlias = Callable[["SimulatedAccount", What, OwnOrder | None, OwnFill | None], None]


@define(eq=False)
class SimulatedAccount:
    """A user with one API key. ``secret`` is Base64 on Exchange, an EC key in PEM on Advanced Trade.

    Products are named as Coinbase does. ``tell`` and ``clock`` (ns UTC) are the venue's.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)
    balances: dict[str, tuple[Decimal, Decimal]] = Factory(dict)
    orders: dict[str, OwnOrder] = Factory(dict)
    fills: list[OwnFill] = Factory(list)
    tell: Tell = field(default=lambda account, what, order, fill: None, repr=False)
    clock: Callable[[], int] = field(default=lambda: 0, repr=False)
    changed: str = ""
    _order_ids: Iterator[int] = Factory(lambda: itertools.count(0xA0EE_BC99_9C0B))
    _trade_ids: Iterator[int] = Factory(lambda: itertools.count(900_000_001))

    def set_balance(self, currency: str, available: str, hold: str = "0") -> None:
        """Money came or went."""
        self.balances[currency] = Decimal(available), Decimal(hold)
        self.changed = currency
        self.tell(self, "balance", None, None)

    def place_order(self, product: str, side: Side, size: str, price: str, client_id: str = "") -> str:
        """An order rests in the book; answers its id."""
        id = str(UUID(int=next(self._order_ids) << 64 | 0x4000_8000_0000_0000_0000_0000_0000))
        order = self.orders[id] = OwnOrder(id, product, side, Decimal(size), Decimal(price), client_id, self.clock())
        self.tell(self, "received", order, None)
        self.tell(self, "open", order, None)
        return id

    def fill(self, id: str, size: str, *, maker: bool = True, quietly: bool = False) -> str:
        """A trade fills an order at its price, in part or to its end; answers the trade's id.

        ``quietly``: it happens while nobody listens, for REST alone to tell.
        """
        order, amount = self.orders[id], Decimal(size)
        fee = order.price * amount * Decimal("0.001")
        fill = OwnFill(next(self._trade_ids), order, order.price, amount, fee, self.clock(), maker)
        self.fills.append(fill)
        order.filled += amount
        order.value += order.price * amount
        order.fees += fee
        order.fills += 1
        ended = order.filled >= order.size
        if ended:
            order.status, order.ended = "filled", self.clock()
        if not quietly:
            self.tell(self, "match", order, fill)
            if ended:
                self.tell(self, "done", order, None)
        return str(fill.id)

    def cancel(self, id: str, *, quietly: bool = False) -> None:
        """An open order is gone."""
        order = self.orders[id]
        order.status, order.ended = "cancelled", self.clock()
        if not quietly:
            self.tell(self, "done", order, None)

    def change(self, id: str, size: str) -> None:
        """An open order gets another size."""
        order = self.orders[id]
        order.size = Decimal(size)
        self.tell(self, "change", order, None)

    def open_orders(self) -> list[OwnOrder]:
        """Those that rest in the book, newest first."""
        return [order for order in reversed(self.orders.values()) if order.status == "open"]
