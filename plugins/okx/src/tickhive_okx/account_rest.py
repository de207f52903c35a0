"""How an account stands, read by REST: its balances, positions, open orders and last fills.

The stream begins with the balances and positions there are; which of those held before are gone, only a list that was
asked for can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw

from tickhive.channels import Channel, DataType
from tickhive.events import Gap
from tickhive.plugin import Event, Fetch, SessionView
from tickhive.plugin.answers import Answered, Read
from tickhive.plugin.paging import following
from tickhive_okx.account import AccountRow, FillRow, OrderRow, PositionRow, currencies, fill, order, position
from tickhive_okx.fetches import fetch_for
from tickhive_okx.settings import OKXSettings

ORDERS_PENDING, ORDER_DETAILS, FILLS = "trade/orders-pending", "trade/order", "trade/fills"
BALANCE, POSITIONS = "account/balance", "account/positions"
ROWS_PER_PAGE = 100

_account_row = msgspec.json.Decoder(AccountRow, strict=False).decode
_position_row = msgspec.json.Decoder(PositionRow, strict=False).decode
_order_row = msgspec.json.Decoder(OrderRow, strict=False).decode
_fill_row = msgspec.json.Decoder(FillRow, strict=False).decode


def account_snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """All balances, positions or open orders, or the last fills.

    ``fill:vip`` brings the matches of a taker order as one fill, REST one by one: fetched, they would count twice.
    """
    settings: OKXSettings = session.settings
    if channel.data_type is DataType.BALANCE:
        return fetch_for(settings, BALANCE, channel=channel)
    if channel.data_type is DataType.POSITION:
        return fetch_for(settings, POSITIONS, channel=channel)
    if channel.data_type is DataType.ORDER:
        return fetch_for(settings, ORDERS_PENDING, f"limit={ROWS_PER_PAGE}", channel)
    left = settings.recent_fills
    if channel.data_type is DataType.FILL and not channel.params and left:
        # The fragment stays here (HTTP never sends one): it tells how many are still wanted.
        return fetch_for(settings, FILLS, f"limit={min(left, ROWS_PER_PAGE)}#left={left}", channel)
    return None


def order_details(session: SessionView, channel: Channel, gap: Gap) -> Fetch:
    """One order, open or not; OKX forgets those cancelled without a fill after two hours."""
    native = session.instruments.native(gap.symbol)
    return fetch_for(session.settings, ORDER_DETAILS, f"instId={native}&ordId={gap.first_id}", channel)


def _read_balances(answered: Answered[list[Raw]]) -> Read:
    """The account; a currency that is not listed has no funds."""
    session, at = answered.session, answered.at
    return answered.rows(answered.content, lambda raw: currencies(_account_row(raw), session.account, session, at))


def _read_positions(answered: Answered[list[Raw]]) -> Read:
    """All open positions."""
    session, at = answered.session, answered.at
    return answered.rows(answered.content, lambda raw: [position(_position_row(raw), session.account, session, at)])


def _read_orders(answered: Answered[list[Raw]]) -> Read:
    """A page of open orders, newest first, and the next one. Their trades are not fills: REST tells the last only."""
    session, rows, last = answered.session, answered.content, ""

    def one(raw: Raw) -> Sequence[Event]:
        nonlocal last
        row = _order_row(raw)
        last = row.ord_id
        return [order(row, session.account, session, answered.at)]

    events = answered.rows(rows, one)
    return [*events, *following(answered, "after", last)] if answered.full(rows) else events


def _read_order(answered: Answered[list[Raw]]) -> Read:
    """One order."""
    session, at = answered.session, answered.at
    return answered.rows(answered.content, lambda raw: [order(_order_row(raw), session.account, session, at)])


def _read_fills(answered: Answered[list[Raw]]) -> Read:
    """A page of fills, newest first on the wire, oldest first from here, and the next one while more are wanted."""
    session, rows, last = answered.session, answered.content, ""

    def one(raw: Raw) -> Sequence[Event]:
        nonlocal last
        row = _fill_row(raw)
        last = row.bill_id
        return [fill(row, session.account, session, answered.at, late=True)]

    events = answered.rows(rows, one)[::-1]
    left = (answered.number("left") or 0) - len(rows)
    if left <= 0 or not answered.full(rows):
        return events
    return [*events, *following(answered, "after", last, limit=min(left, ROWS_PER_PAGE), left=left)]


READERS: dict[str, Callable[[Answered[list[Raw]]], Read]] = {
    BALANCE: _read_balances,
    POSITIONS: _read_positions,
    ORDERS_PENDING: _read_orders,
    ORDER_DETAILS: _read_order,
    FILLS: _read_fills,
}
"""Who reads the answer of each path."""
