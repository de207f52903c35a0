"""What of an account is read by REST: its open orders, its last fills, its balances.

The endpoints are those of the API reference; which of their fields are always there is uncertain, so only what names
an order or a fill is required.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import Balance, Fill, Gap, OrderStatus, Side
from tickhive.plugin import Answer, Event, Fetch, SessionView, Unknown
from tickhive.plugin.reading import Count, Numeral, Text, exact, number, read_rows, whole_number
from tickhive_coinbase.exchange.orders import ZERO, OwnOrder
from tickhive_coinbase.exchange.settings import CoinbaseExchangeSettings
from tickhive_coinbase.values import nanos

ORDERS_PER_PAGE = 1_000
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
        return _fills(settings, channel, 0)
    return None


def order_details(session: SessionView, channel: Channel, gap: Gap) -> Fetch:
    """One order; the venue forgets those cancelled without a fill."""
    return _fetch(session.settings, f"orders/{gap.first_id}", channel)


def _fetch(settings: CoinbaseExchangeSettings, path: str, channel: Channel | None) -> Fetch:
    return Fetch(settings.rest(path), costs={"private": 1.0}, channel=channel)


def _fills(settings: CoinbaseExchangeSettings, channel: Channel | None, place: int) -> Fetch:
    # The fragment stays here (HTTP never sends one): it tells which of the configured products comes next.
    product = settings.account_products[place]
    return _fetch(settings, f"fills?product_id={product}&limit={settings.recent_fills}#next={place + 1}", channel)


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


def _symbol(native: str, session: SessionView) -> str:
    return session.instruments.symbols.get(native, native)


def _told(row: OrderRow, session: SessionView, at: int) -> Event:
    if row.status in ("done", "settled"):
        status: OrderStatus | None = "filled" if row.done_reason in ("", "filled") else "cancelled"
    elif row.status == "rejected":
        status = "rejected"
    elif row.status in _STATES:
        status = _STATES[row.status]
    else:
        return Unknown(f"order status {row.status[:40]}")
    filled = number(row.filled_size) or ZERO
    order = OwnOrder(
        row.id,
        _symbol(row.product_id, session),
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
    )
    if session.memory is not None:
        session.memory.orders.put(order)
    return order.event(session.exchange, session.account, nanos(row.done_at or row.created_at), at)


def read_orders(
    session: SessionView, fetch: Fetch, answer: Answer, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of open orders, newest first; ``CB-AFTER`` is the cursor of the next one."""
    events = read_rows(rows, lambda raw: [_told(_order(raw), session, at)], "orders")
    cursor = answer.headers.get("cb-after", "")
    if len(rows) < ORDERS_PER_PAGE or not cursor or cursor == query.get("after"):
        return events
    path = f"orders?status=open&status=pending&status=active&limit={ORDERS_PER_PAGE}&after={cursor}"
    return [*events, _fetch(session.settings, path, fetch.channel)]


def read_fills(
    session: SessionView, fetch: Fetch, answer: Answer, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """The last fills of one product, newest first on the wire, oldest first from here; then the next product's."""

    def one(raw: Raw) -> Sequence[Event]:
        row = _fill(raw)
        symbol, fee = _symbol(row.product_id, session), number(row.fee)
        about = symbol, nanos(row.created_at), at, session.account, str(row.trade_id), row.order_id, row.side
        amounts = exact(row.price), exact(row.size), _LIQUIDITY.get(row.liquidity, ""), fee
        paid_in = row.product_id.partition("-")[2] if fee is not None else ""
        return [Fill(session.exchange, *about, *amounts, paid_in, late=True)]

    events = read_rows(rows, one, "fills")[::-1]
    following = whole_number(query.get("next"))
    if following is None or following >= len(session.settings.account_products):
        return events
    return [*events, _fills(session.settings, fetch.channel, following)]


def read_accounts(
    session: SessionView, fetch: Fetch, answer: Answer, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event]:
    """All wallets."""

    def one(raw: Raw) -> Sequence[Event]:
        row = _wallet(raw)
        amounts = number(row.balance), number(row.available), number(row.hold)
        return [Balance(session.exchange, row.currency, None, at, session.account, *amounts)]

    return read_rows(rows, one, "accounts")


READERS: dict[str, Callable[..., Sequence[Any]]] = {
    "orders": read_orders,
    "order": read_orders,
    "fills": read_fills,
    "accounts": read_accounts,
}
