"""What of an account is read by REST: its open orders, its last fills, its balances.

The endpoints are those of the API reference; which of their fields are always there is uncertain, so only what names
an order or a fill is required.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import Balance, Fill, Gap, OrderStatus, Side
from tickhive.plugin import Event, Fetch, SessionView, Unknown
from tickhive.plugin.answers import Answered, Read
from tickhive.plugin.paging import again, following
from tickhive.plugin.reading import NS_PER_SECOND, Count, Numeral, Text, exact, number
from tickhive_coinbase.exchange.account import USER, released
from tickhive_coinbase.exchange.orders import ZERO, Execution, OwnOrder, OwnOrders
from tickhive_coinbase.exchange.settings import CoinbaseExchangeSettings
from tickhive_coinbase.values import nanos

ORDERS_PER_PAGE = FILLS_PER_PAGE = 1_000
_LISTS_AT_ONCE = 10
_ASKED_AGAIN = 5 * NS_PER_SECOND
_LIQUIDITY: dict[str, Literal["maker", "taker", ""]] = {"M": "maker", "T": "taker"}
_STATES: dict[str, OrderStatus | None] = {"open": None, "pending": None, "active": None, "received": None}


def account_snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """How a private channel stands. Fills are asked for by product, hence only where products are configured."""
    settings: CoinbaseExchangeSettings = session.settings
    if channel.data_type is DataType.ORDER:
        return _fetch(settings, f"orders?status=open&status=pending&status=active&limit={ORDERS_PER_PAGE}", channel)
    if channel.data_type is DataType.BALANCE:
        return _fetch(settings, "accounts", channel)
    if channel.data_type is DataType.FILL and settings.recent_fills and settings.account_products:
        # The fragment stays here (HTTP never sends one): it tells which of the configured products comes next.
        product, limit = settings.account_products[0], settings.recent_fills
        return _fetch(settings, f"fills?product_id={product}&limit={limit}#next=1", channel)
    return None


def order_details(session: SessionView, channel: Channel, gap: Gap) -> Fetch:
    """One order; the venue forgets those cancelled without a fill."""
    return _fetch(session.settings, f"orders/{gap.first_id}", channel)


def wanted_fills(session: SessionView, at: int) -> Sequence[Fetch]:
    """The lists of fills that messages about orders wait for, once the open orders were read; a few at once. One that
    does not come is asked for again, behind those that were not asked for yet.
    """
    memory = session.memory
    orders: OwnOrders = memory.orders
    if not orders.held or (memory.wants(USER, DataType.ORDER) and not orders.listed):
        return ()
    wanted_now = dict.fromkeys(wanted for each in orders.held for wanted in each.wanted)
    orders.asked = {wanted: then for wanted, then in orders.asked.items() if wanted in wanted_now}
    due = [wanted for wanted in wanted_now if at - orders.asked.get(wanted, 0) >= _ASKED_AGAIN]
    on_their_way = len(wanted_now) - len(due)
    lists = sorted(due, key=lambda wanted: orders.asked.get(wanted, 0))[: max(0, _LISTS_AT_ONCE - on_their_way)]
    orders.asked |= dict.fromkeys(lists, at)
    channel = next(iter(memory.carried(USER)), None)
    return [_fetch(session.settings, f"fills?{wanted}&limit={FILLS_PER_PAGE}", channel) for wanted in lists]


def _fetch(settings: CoinbaseExchangeSettings, path: str, channel: Channel | None) -> Fetch:
    return Fetch(settings.rest(path), costs={"private": 1.0}, channel=channel)


class OrderRow(Struct, gc=False):
    """An order as REST tells it."""

    id: Text
    product_id: Text
    side: Side
    status: Text
    size: Numeral = ""
    price: Numeral = ""
    type: Text = "limit"
    filled_size: Numeral = ""
    executed_value: Numeral = ""
    fill_fees: Numeral = ""
    client_oid: Text = ""
    done_reason: Text = ""
    cancel_reason: Text = ""
    created_at: datetime | None = None
    done_at: datetime | None = None


class FillRow(Struct, gc=False):
    """An execution of one of the account's orders."""

    trade_id: Count
    product_id: Text
    order_id: Text
    side: Side
    price: Numeral
    size: Numeral
    created_at: datetime
    liquidity: Text = ""
    fee: Numeral = ""


class WalletRow(Struct, gc=False):
    """The funds in one currency."""

    currency: Text
    balance: Numeral = ""
    hold: Numeral = ""
    available: Numeral = ""


_order = msgspec.json.Decoder(OrderRow).decode
_fill = msgspec.json.Decoder(FillRow).decode
_wallet = msgspec.json.Decoder(WalletRow).decode


def _told(row: OrderRow, answered: Answered[list[Raw]]) -> Sequence[Event]:
    """An order as REST has it, unless the socket has told all of it: that is never older."""
    session = answered.session
    orders: OwnOrders | None = session.memory.orders if session.memory is not None else None
    if row.status in ("done", "settled"):
        status: OrderStatus | None = "filled" if row.done_reason in ("", "filled") else "cancelled"
    elif row.status == "rejected":
        status = "rejected"
    elif row.status in _STATES:
        status = _STATES[row.status]
    else:
        return [Unknown(f"order status {row.status[:40]}")]
    known = orders.get(row.id) if orders is not None else None
    if status is None and known is not None and known.counted is not None:
        return ()
    filled = number(row.filled_size) or ZERO
    order = OwnOrder(
        row.id,
        answered.symbol(row.product_id),
        row.side,
        max(number(row.size) or ZERO, filled),
        number(row.price),
        row.type.lower(),
        filled,
        number(row.executed_value) or ZERO,
        row.client_oid,
        nanos(row.created_at),
        status,
        number(row.fill_fees),
        row.cancel_reason if status == "cancelled" else "",
        None if status is None and filled else set(),
    )
    if orders is not None:
        orders.put(order)
    return [order.event(session.exchange, session.account, nanos(row.done_at or row.created_at), answered.at)]


def _read_order(answered: Answered[list[Raw]]) -> Read:
    """One order by itself."""
    return answered.rows(answered.content, lambda raw: _told(_order(raw), answered))


def _read_orders(answered: Answered[list[Raw]]) -> Read:
    """A page of open orders, newest first; ``CB-AFTER`` is the cursor of the next one. After the last one follows what
    was said of them meanwhile.
    """
    session = answered.session
    events = list(_read_order(answered))
    if answered.full(answered.content) and (further := _next_page(answered)):
        return [*events, *further]
    if session.memory is not None:
        session.memory.orders.listed = True
        events += released(session, answered.at)
    return events


def _next_page(answered: Answered[list[Raw]]) -> Sequence[Fetch]:
    return following(answered, "after", answered.answer.headers.get("cb-after", ""))


def _read_fills(answered: Answered[list[Raw]]) -> Read:
    """Fills, newest first on the wire, oldest first from here: the last ones of a product, then the next product's; or
    all of an order, or the last ones of a product, that messages wait for.
    """
    session, at = answered.session, answered.at
    orders: OwnOrders | None = session.memory.orders if session.memory is not None else None
    asked_for = answered.query.get("order_id", "")
    if orders is not None and "next" not in answered.query:
        orders.asked.pop(
            f"order_id={asked_for}" if asked_for else f"product_id={answered.query.get('product_id')}", None
        )
    if orders is not None and asked_for and "after" not in answered.query:
        orders.begin_fills(asked_for)

    def one(raw: Raw) -> Sequence[Event]:
        row = _fill(raw)
        symbol, fee = answered.symbol(row.product_id), number(row.fee)
        if orders is not None:
            orders.executed(row.order_id, row.trade_id, Execution(exact(row.price), exact(row.size), fee))
        about = symbol, nanos(row.created_at), at, session.account, str(row.trade_id), row.order_id, row.side
        amounts = exact(row.price), exact(row.size), _LIQUIDITY.get(row.liquidity, ""), fee
        paid_in = row.product_id.partition("-")[2] if fee is not None else ""
        return [Fill(session.exchange, *about, *amounts, paid_in, late=True)]

    fills = answered.rows(answered.content, one)[::-1]
    place, products = answered.number("next"), session.settings.account_products
    if orders is None:
        return fills
    wanted = fills if place is not None or session.memory.wants(USER, DataType.FILL) else ()
    if asked_for and answered.full(answered.content) and (further := _next_page(answered)):
        return [*wanted, *further]
    if asked_for:
        orders.end_fills(asked_for)
    # Those that streamed are handed out as such, before the same by REST.
    events: list[Event | Fetch] = [*released(session, at), *wanted]
    if place is None or place >= len(products):
        return events
    return [*events, again(answered.fetch, product_id=products[place], next=place + 1)]


def _read_accounts(answered: Answered[list[Raw]]) -> Read:
    """All wallets."""
    session = answered.session

    def one(raw: Raw) -> Sequence[Event]:
        row = _wallet(raw)
        amounts = number(row.balance), number(row.available), number(row.hold)
        return [Balance(session.exchange, row.currency, None, answered.at, session.account, *amounts)]

    return answered.rows(answered.content, one)


READERS: dict[str, Callable[[Answered[list[Raw]]], Read]] = {
    "orders": _read_orders,
    "orders/*": _read_order,
    "fills": _read_fills,
    "accounts": _read_accounts,
}
"""Who reads the answer of each path."""
