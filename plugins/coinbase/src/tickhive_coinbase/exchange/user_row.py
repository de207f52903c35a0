"""One message of the channel ``user`` of Coinbase Exchange, and what it does to the order it is about."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
from msgspec import Struct

from tickhive.events import Side
from tickhive.plugin.reading import NS_PER_SECOND, Count, Numeral, Text, exact, number, positive
from tickhive_coinbase.exchange.orders import ZERO, OwnOrder
from tickhive_coinbase.values import Moment, nanos


class UserRow(Struct, gc=False):
    """What happened to an order; which fields there are depends on ``type``.

    A match names the user on the account's own side only (API reference, read 2026).
    """

    type: Text
    product_id: Text
    side: Side
    order_id: Text = ""
    time: Moment | None = None
    timestamp: Numeral = ""
    size: Numeral | None = ""
    remaining_size: Numeral | None = ""
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
    maker_user_id: Text = ""
    taker_user_id: Text = ""

    @property
    def moment(self) -> int | None:
        """When it happened, ns UTC; ``activate`` writes seconds."""
        return int(exact(self.timestamp) * NS_PER_SECOND) if self.timestamp else nanos(self.time)

    def executed(self) -> tuple[int, Decimal, Decimal]:
        """The trade's id, price and size; ValueError where this is no match."""
        if self.trade_id is None:
            raise ValueError("a match without trade_id")
        return self.trade_id, positive[self.price or ""], positive[self.size or ""]


read_row = msgspec.json.Decoder(UserRow).decode


def _received(order: OwnOrder, row: UserRow) -> None:
    order.order_type = row.order_type.lower() or order.order_type
    order.size = number(row.size or "") or ZERO
    order.client_id = row.client_oid
    order.created = row.moment


def _open(order: OwnOrder, row: UserRow) -> None:
    order.size = order.filled + (number(row.remaining_size or "") or ZERO)
    order.status = None


def _done(order: OwnOrder, row: UserRow) -> None:
    order.status = "filled" if row.reason == "filled" else "cancelled"
    left = number(row.remaining_size or "")
    if left is not None and order.size < order.filled + left:
        order.size = order.filled + left
    order.reason = "" if order.status == "filled" else row.cancel_reason


def _change(order: OwnOrder, row: UserRow) -> None:
    size = number(row.new_size)
    order.size = order.size if size is None else order.filled + size
    order.price = number(row.new_price) or order.price


def _activate(order: OwnOrder, row: UserRow) -> None:
    order.order_type = "stop"
    order.size = number(row.size or "") or order.size
    order.created = order.created or row.moment


CHANGES: dict[str, Callable[[OwnOrder, UserRow], None]] = {
    "received": _received,
    "open": _open,
    "done": _done,
    "change": _change,
    "activate": _activate,
}
"""What each type of message does to the order it names; a match names two, see ``account``."""
BEGINNINGS = ("received", "activate")
"""Before these there was nothing of an order."""
