"""What the channels ``user`` and ``balance`` of Coinbase Exchange say: orders, fills and balances.

``user`` is the part of the full order feed that is about the account. It tells changes only, so each order is kept in
the socket's memory and told as it stands after every one. Fees come by REST alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tickhive.channels import DataType
from tickhive.events import Balance, Fill, Side
from tickhive.plugin import Alive, Event, SessionView
from tickhive.plugin.reading import NS_PER_SECOND, Count, Numeral, Text, exact, number, positive
from tickhive_coinbase.exchange.orders import ZERO, OwnOrder
from tickhive_coinbase.exchange.pushes import Reader
from tickhive_coinbase.values import TAKER, Moment, nanos

USER = ("user", "")
_ALIVE = (Alive(),)


class UserRow(Struct, gc=False):
    """What happened to an order; which fields there are depends on ``type``."""

    type: Text
    product_id: Text
    side: Side
    order_id: Text = ""
    time: Moment | None = None
    timestamp: Numeral = ""
    size: Numeral = ""
    remaining_size: Numeral = ""
    new_size: Numeral = ""
    price: Numeral | None = ""
    new_price: Numeral = ""
    order_type: Text = ""
    client_oid: Text = ""
    reason: Text = ""
    cancel_reason: Text = ""
    stop_type: Text = ""
    trade_id: Count | None = None
    maker_order_id: Text = ""
    taker_order_id: Text = ""

    @property
    def moment(self) -> int | None:
        """When it happened, ns UTC; ``activate`` writes seconds."""
        return int(exact(self.timestamp) * NS_PER_SECOND) if self.timestamp else nanos(self.time)


_row = msgspec.json.Decoder(UserRow).decode


def _symbol(native: str, session: SessionView) -> str:
    return session.instruments.symbols.get(native, native)


def _known(row: UserRow, session: SessionView) -> OwnOrder:
    """The order a message is about; one from before the socket is made up of what the message says."""
    orders = session.memory.orders
    known: OwnOrder | None = orders.get(row.order_id)
    if known is None:
        known = orders.put(OwnOrder(row.order_id, _symbol(row.product_id, session), row.side))
        known.price = number(row.price or "")
    return known


def _received(order: OwnOrder, row: UserRow) -> None:
    order.order_type = row.order_type.lower() or order.order_type
    order.size = number(row.size) or ZERO
    order.client_id = row.client_oid
    order.created = row.moment


def _open(order: OwnOrder, row: UserRow) -> None:
    order.size = order.filled + (number(row.remaining_size) or ZERO)
    order.status = None


def _done(order: OwnOrder, row: UserRow) -> None:
    order.status = "filled" if row.reason == "filled" else "cancelled"
    left = number(row.remaining_size)
    if left is not None and order.size < order.filled + left:
        order.size = order.filled + left
    order.reason = "" if order.status == "filled" else row.cancel_reason


def _change(order: OwnOrder, row: UserRow) -> None:
    size = number(row.new_size)
    order.size = order.size if size is None else order.filled + size
    order.price = number(row.new_price) or order.price


def _activate(order: OwnOrder, row: UserRow) -> None:
    order.order_type = "stop"
    order.size = number(row.size) or order.size
    order.created = order.created or row.moment


def _told(change: Callable[[OwnOrder, UserRow], None]) -> Reader:
    def read(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
        row = _row(frame)
        order = _known(row, session)
        change(order, row)
        if not session.memory.wants(USER, DataType.ORDER):
            return _ALIVE
        return [order.event(session.exchange, session.account, row.moment, at)]

    return read


def matched(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``match``: one of the account's orders was filled, or two of them by each other. ``side`` is the maker's."""
    row = _row(frame)
    memory, timestamp = session.memory, row.moment
    if row.trade_id is None:
        raise ValueError("a match without trade_id")
    price, size = positive[row.price or ""], positive[row.size]
    sides: tuple[tuple[str, Side, Literal["maker", "taker"]], ...] = (
        (row.maker_order_id, row.side, "maker"),
        (row.taker_order_id, TAKER[row.side], "taker"),
    )
    events: list[Event] = []
    for id, side, liquidity in sides:
        order = memory.orders.get(id)
        if order is None:
            continue
        if memory.wants(USER, DataType.FILL):
            about = (order.symbol, timestamp, at, session.account, str(row.trade_id), id, side, price, size, liquidity)
            events.append(Fill(session.exchange, *about, client_id=order.client_id))
        order.take(price, size)
        if memory.wants(USER, DataType.ORDER):
            events.append(order.event(session.exchange, session.account, timestamp, at))
    return events or _ALIVE


class BalanceRow(Struct, gc=False):
    """The funds of one wallet."""

    currency: Text
    holds: Numeral = ""
    available: Numeral = ""
    updated: Moment | None = None
    timestamp: Moment | None = None


_balance = msgspec.json.Decoder(BalanceRow).decode


def balance(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``balance``: the funds of a wallet after a change."""
    row = _balance(frame)
    held, available = number(row.holds), number(row.available)
    total = None if held is None or available is None else held + available
    moment = nanos(row.updated) or nanos(row.timestamp)
    return [Balance(session.exchange, row.currency, moment, at, session.account, total, available, held)]


READERS: dict[str, Any] = {
    "received": _told(_received),
    "open": _told(_open),
    "done": _told(_done),
    "change": _told(_change),
    "activate": _told(_activate),
    "match": matched,
    "balance": balance,
}
