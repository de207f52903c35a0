"""What the channel ``user`` of Advanced Trade says: the account's orders, and how many fills each has.

Fills themselves come by REST, see ``fills``.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import EVERY, DataType
from tickhive.events import Gap, Order, OrderStatus
from tickhive.plugin import Event, Malformed, Numbered, SessionView, Unknown
from tickhive.plugin.reading import UNREADABLE, Count, Numeral, Text, brief, number
from tickhive_coinbase.advanced.pushes import Push
from tickhive_coinbase.values import SIDES, Moment, nanos, side_of

USER = ("user", "")
STATUS: dict[str, OrderStatus] = {
    "PENDING": "open",
    "OPEN": "open",
    "CANCEL_QUEUED": "open",
    "FILLED": "filled",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
    "FAILED": "rejected",
}
"""What the order states mean; an order that waits to be cancelled is open still."""

_NONE = Decimal(0)


class OrderRow(Struct, gc=False):
    """An order after a change. ``cumulative_quantity`` is done, ``leaves_quantity`` is left."""

    order_id: Text
    product_id: Text
    order_side: Text
    status: Text
    client_order_id: Text = ""
    order_type: Text = ""
    limit_price: Numeral = ""
    avg_price: Numeral = ""
    cumulative_quantity: Numeral = ""
    leaves_quantity: Numeral = ""
    # A number in one place, text in others.
    number_of_fills: Count = 0
    total_fees: Numeral = ""
    cancel_reason: str = ""
    reject_reason: str = ""
    creation_time: Moment | None = None
    end_time: Moment | None = None


class User(Struct, gc=False):
    """Orders; the positions beside them are skipped."""

    type: Text = ""
    orders: list[Raw] = []


_user = msgspec.json.Decoder(Push[User], strict=False).decode
_row = msgspec.json.Decoder(OrderRow, strict=False).decode


def paid_in(native: str) -> str:
    """The currency fees of a pair are paid in; "" for futures, whose names do not tell."""
    return native.split("-")[1] if native.count("-") == 1 else ""


def order(row: OrderRow, session: SessionView, timestamp: int | None, at: int) -> Event:
    """An order as it stands; a state nobody knows is not guessed at."""
    status = STATUS.get(row.status)
    if status is None:
        return Unknown(f"order status {row.status[:40]}")
    filled = number(row.cumulative_quantity) or _NONE
    if status == "open" and filled:
        status = "partially_filled"
    fee = number(row.total_fees)
    return Order(
        session.exchange,
        session.instruments.symbols.get(row.product_id, row.product_id),
        timestamp,
        at,
        session.account,
        row.order_id,
        side_of(SIDES, row.order_side),
        row.order_type.lower(),
        status,
        filled + (number(row.leaves_quantity) or _NONE),
        filled,
        number(row.limit_price) or None,
        number(row.avg_price) or None,
        row.client_order_id,
        False,
        fee,
        paid_in(row.product_id) if fee is not None else "",
        nanos(row.creation_time),
        (row.cancel_reason or row.reject_reason)[:300] if status in ("cancelled", "rejected", "expired") else "",
    )


def user(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``user``: the open orders in batches of fifty, then each order that changes.

    One that cannot be read costs no other; whose it was is not known, so its Gap is of every symbol.
    """
    push, memory = _user(frame), session.memory
    timestamp = nanos(push.timestamp)
    events: list[Event] = [Numbered(push.sequence_num)]
    for each in push.events:
        for raw in each.orders:
            try:
                events += _changed(_row(raw), session, timestamp, at, begun=each.type == "snapshot")
            except UNREADABLE as error:
                cause = f"an order could not be read: {brief(error)}"
                span = timestamp, timestamp, cause
                events.append(Malformed(f"user: {brief(error)}"))
                events += [
                    Gap(session.exchange, EVERY, None, at, kind, *span)
                    for kind in (DataType.ORDER, DataType.FILL)
                    if memory.wants(USER, kind)
                ]
    return [*events, *memory.fills.given_up(session.exchange, at)] if memory.fills.lost else events


def _changed(row: OrderRow, session: SessionView, timestamp: int | None, at: int, *, begun: bool) -> Sequence[Event]:
    memory, symbol = session.memory, session.instruments.symbols.get(row.product_id, row.product_id)
    wanted = memory.wants(USER, DataType.ORDER)
    told = [order(row, session, nanos(row.end_time) or timestamp, at)] if wanted else ()
    memory.fills.note(row.order_id, row.number_of_fills, symbol, at, begun=begun)
    return told
