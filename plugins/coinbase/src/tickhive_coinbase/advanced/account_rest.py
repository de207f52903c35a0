"""What of an account is read by REST: its fills, its balances, and the orders that are open or have ended.

Paths below ``orders/historical`` and ``accounts``. Which of their fields are always there is uncertain, so only what
names an order or a fill is required.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import Balance, Fill, Gap
from tickhive.plugin import Event, Fetch, SessionView
from tickhive.plugin.answers import Answered, Read
from tickhive.plugin.paging import following
from tickhive.plugin.reading import NS_PER_SECOND, Count, Numeral, Text, exact, number
from tickhive_coinbase.advanced.account import OrderRow, order, paid_in
from tickhive_coinbase.advanced.settings import CoinbaseSettings
from tickhive_coinbase.values import SIDES, nanos, side_of

ORDERS, ORDER, FILLS, ACCOUNTS = "orders/historical/batch", "orders/historical/", "orders/historical/fills", "accounts"
ROWS_PER_PAGE = 250
_LIQUIDITY: dict[str, Literal["maker", "taker", ""]] = {"MAKER": "maker", "TAKER": "taker"}


def _fetch(settings: CoinbaseSettings, path: str, channel: Channel | None = None) -> Fetch:
    return Fetch(settings.rest(path), costs={"private": 1.0}, channel=channel)


def balances(settings: CoinbaseSettings) -> Fetch:
    """All funds."""
    return _fetch(settings, f"{ACCOUNTS}?limit={ROWS_PER_PAGE}")


def account_snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """Open orders, which tells what became of those known before; and the last fills."""
    settings: CoinbaseSettings = session.settings
    if channel.data_type is DataType.ORDER:
        return _fetch(settings, f"{ORDERS}?order_status=OPEN&limit={ROWS_PER_PAGE}", channel)
    if channel.data_type is DataType.FILL and settings.recent_fills:
        limit = min(settings.recent_fills, ROWS_PER_PAGE)
        # The fragment stays here (HTTP never sends one): it tells how many are still wanted.
        return _fetch(settings, f"{FILLS}?limit={limit}#left={settings.recent_fills}", channel)
    return None


def latest_fills(session: SessionView) -> Fetch:
    """The fills since this socket subscribed."""
    since = session.memory.fills.since
    moment = f"{datetime.fromtimestamp(since // NS_PER_SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"
    path = f"{FILLS}?limit={ROWS_PER_PAGE}&start_sequence_timestamp={moment}#since={since}"
    return _fetch(session.settings, path)


def order_details(session: SessionView, gap: Gap, channel: Channel) -> Fetch:
    """One order, open or not."""
    return _fetch(session.settings, f"{ORDER}{gap.first_id}", channel)


class _Past(Struct, gc=False):
    """An order as REST tells it: other names for some fields, what was ordered one level deeper."""

    order_id: Text
    product_id: Text
    side: Text
    status: Text
    client_order_id: Text = ""
    order_type: Text = ""
    order_configuration: dict[str, dict[str, Any]] | None = None
    filled_size: Numeral = ""
    average_filled_price: Numeral = ""
    number_of_fills: Count = 0
    total_fees: Numeral = ""
    created_time: datetime | None = None
    last_fill_time: datetime | None = None
    cancel_message: str = ""
    reject_message: str = ""

    def row(self) -> OrderRow:
        """The same as the stream would tell it."""
        asked: dict[str, Any] = next(iter((self.order_configuration or {}).values()), {})
        size, filled = exact(str(asked.get("base_size") or "0")), number(self.filled_size) or Decimal(0)
        about = self.client_order_id, self.order_type, str(asked.get("limit_price") or ""), self.average_filled_price
        amounts = self.filled_size, f"{max(size - filled, Decimal(0)):f}", self.number_of_fills, self.total_fees
        why = self.cancel_message, self.reject_message, self.created_time, self.last_fill_time
        return OrderRow(self.order_id, self.product_id, self.side, self.status, *about, *amounts, *why)


class FillRow(Struct, gc=False):
    """An execution of one of the account's orders."""

    trade_id: Text
    order_id: Text
    product_id: Text
    side: Text
    price: Numeral
    size: Numeral
    trade_time: datetime
    commission: Numeral = ""
    liquidity_indicator: Text = ""
    size_in_quote: bool = False


class _Amount(Struct, gc=False):
    value: Numeral = ""
    currency: Text = ""


class WalletRow(Struct, gc=False):
    """The funds of one wallet."""

    currency: Text
    available_balance: _Amount | None = None
    hold: _Amount | None = None


# What was asked for is required: an error comes with HTTP 200 too, and is neither an empty list nor an order.
class _Orders(Struct, gc=False):
    orders: list[Raw]
    cursor: Text = ""


class _Order(Struct, gc=False):
    order: Raw


class _Fills(Struct, gc=False):
    fills: list[Raw]
    cursor: Text = ""


class _Accounts(Struct, gc=False):
    accounts: list[Raw]
    cursor: Text = ""


_orders = msgspec.json.Decoder(_Orders).decode
_order = msgspec.json.Decoder(_Order).decode
_fills = msgspec.json.Decoder(_Fills).decode
_accounts = msgspec.json.Decoder(_Accounts).decode
_past = msgspec.json.Decoder(_Past, strict=False).decode
_fill = msgspec.json.Decoder(FillRow).decode
_wallet = msgspec.json.Decoder(WalletRow).decode


def _read_orders(answered: Answered[bytes]) -> Read:
    """A page of orders."""
    page = _orders(answered.content)
    return [*_told(answered, page.orders), *following(answered, "cursor", page.cursor)]


def _read_order(answered: Answered[bytes]) -> Read:
    """One order by itself."""
    return _told(answered, [_order(answered.content).order])


def _told(answered: Answered[bytes], rows: Sequence[Raw]) -> list[Event]:
    session = answered.session

    def one(raw: Raw) -> Sequence[Event]:
        row = _past(raw).row()
        if session.memory is not None:
            counts = session.memory.fills
            begun = row.order_id not in counts.orders
            counts.note(row.order_id, row.number_of_fills, answered.symbol(row.product_id), answered.at, begun=begun)
        return [order(row, session, nanos(row.end_time) or nanos(row.creation_time), answered.at)]

    return answered.rows(rows, one)


def _read_fills(answered: Answered[bytes]) -> Read:
    """A page of fills, newest first on the wire, oldest first from here, and the next while more are wanted.

    Those from before ``since`` were missed and are late; without it all are.
    """
    session, at = answered.session, answered.at
    page, since = _fills(answered.content), answered.number("since")

    def one(raw: Raw) -> Sequence[Event]:
        row = _fill(raw)
        symbol, side = answered.symbol(row.product_id), side_of(SIDES, row.side)
        time, fee, price, size = nanos(row.trade_time), number(row.commission), exact(row.price), exact(row.size)
        if row.size_in_quote and price:
            size = size / price
        if session.memory is not None:
            session.memory.fills.came(row.order_id, row.trade_id, symbol, at, fresh=since is not None)
        about = symbol, time, at, session.account, row.trade_id, row.order_id, side, price, size
        late = since is None or time is None or time < since
        charged = fee, paid_in(row.product_id) if fee is not None else ""
        return [Fill(session.exchange, *about, _LIQUIDITY.get(row.liquidity_indicator, ""), *charged, late=late)]

    events = answered.rows(page.fills, one)[::-1]
    left = (answered.number("left") or 0) - len(page.fills)
    if since is not None or left <= 0 or not page.fills:
        return events
    return [*events, *following(answered, "cursor", page.cursor, limit=min(left, ROWS_PER_PAGE), left=left)]


def _read_accounts(answered: Answered[bytes]) -> Read:
    """A page of funds; after the last one follow the balances: the wallets of a currency lie on any of them."""
    session, page = answered.session, _accounts(answered.content)
    funds: dict[str, tuple[Decimal, Decimal]] = session.memory.funds if session.memory is not None else {}
    if "cursor" not in answered.query:
        funds.clear()

    def one(raw: Raw) -> Sequence[Event]:
        row = _wallet(raw)
        free, held = (number(each.value if each else "") or Decimal(0) for each in (row.available_balance, row.hold))
        before = funds.get(row.currency, (Decimal(0), Decimal(0)))
        funds[row.currency] = before[0] + free, before[1] + held
        return ()

    events = answered.rows(page.accounts, one)
    further = following(answered, "cursor", page.cursor)
    if further and session.memory is not None:
        return [*events, *further]
    for currency, (free, held) in funds.items():
        amounts = free + held, free, held
        events.append(Balance(session.exchange, currency, None, answered.at, session.account, *amounts))
    return [*events, *further]


READERS: dict[str, Callable[[Answered[bytes]], Read]] = {
    ORDERS: _read_orders,
    FILLS: _read_fills,
    f"{ORDER}*": _read_order,
    ACCOUNTS: _read_accounts,
}
"""Who reads the answer of each path."""
