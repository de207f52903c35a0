"""What of an account has no snapshot on the stream and is read by REST: its open orders and its last fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from tickhive.channels import Channel, DataType
from tickhive.events import Gap
from tickhive.plugin import Event, Fetch, SessionView
from tickhive.plugin.reading import read_rows
from tickhive_okx.account import FillRow, OrderRow, fill, order
from tickhive_okx.fetches import fetch_for
from tickhive_okx.settings import OKXSettings

ORDERS_PENDING, ORDER_DETAILS, FILLS = "trade/orders-pending", "trade/order", "trade/fills"
ROWS_PER_PAGE = 100

_order_row = msgspec.json.Decoder(OrderRow, strict=False).decode
_fill_row = msgspec.json.Decoder(FillRow, strict=False).decode


def account_snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """All open orders, or the last fills. Balances and positions begin with a snapshot on the stream.

    ``fill:vip`` brings the matches of a taker order as one fill, REST one by one: fetched, they would count twice.
    """
    settings: OKXSettings = session.settings
    if channel.data_type is DataType.ORDER:
        return _page(settings, ORDERS_PENDING, channel)
    if channel.data_type is DataType.FILL and not channel.params and settings.recent_fills:
        return _page(settings, FILLS, channel, left=settings.recent_fills)
    return None


def order_details(session: SessionView, channel: Channel, gap: Gap) -> Fetch:
    """One order, open or not; OKX forgets those cancelled without a fill after two hours."""
    native = session.instruments.native(gap.symbol)
    return fetch_for(session.settings, ORDER_DETAILS, f"instId={native}&ordId={gap.first_id}", channel)


def _page(settings: OKXSettings, path: str, channel: Channel | None, after: str = "", left: int = 0) -> Fetch:
    limit = min(left, ROWS_PER_PAGE) if left else ROWS_PER_PAGE
    # The fragment stays here (HTTP never sends one): it tells how many are still wanted.
    query = f"limit={limit}{f'&after={after}' if after else ''}{f'#left={left}' if left else ''}"
    return fetch_for(settings, path, query, channel)


def _read_orders(
    session: SessionView, fetch: Fetch, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of open orders, newest first, and the next one. Their trades are not fills: REST tells the last only."""
    last = ""

    def one(raw: Raw) -> Sequence[Event]:
        nonlocal last
        row = _order_row(raw)
        last = row.ord_id
        return [order(row, session.account, session, at)]

    events = read_rows(rows, one, ORDERS_PENDING)
    if len(rows) < ROWS_PER_PAGE or last in ("", query.get("after")):
        return events
    return [*events, _page(session.settings, ORDERS_PENDING, fetch.channel, last)]


def _read_order(
    session: SessionView, fetch: Fetch, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event]:
    """One order."""
    return read_rows(rows, lambda raw: [order(_order_row(raw), session.account, session, at)], ORDER_DETAILS)


def _read_fills(
    session: SessionView, fetch: Fetch, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of fills, newest first on the wire, oldest first from here, and the next one while more are wanted."""
    last = ""

    def one(raw: Raw) -> Sequence[Event]:
        nonlocal last
        row = _fill_row(raw)
        last = row.bill_id
        return [fill(row, session.account, session, at, late=True)]

    events = read_rows(rows, one, FILLS)[::-1]
    text = query.get("left", "")
    left = (int(text) if text.isdecimal() else 0) - len(rows)
    if left <= 0 or len(rows) < ROWS_PER_PAGE or last in ("", query.get("after")):
        return events
    return [*events, _page(session.settings, FILLS, fetch.channel, last, left)]


READERS: dict[str, Callable[..., Sequence[Any]]] = {
    ORDERS_PENDING: _read_orders,
    ORDER_DETAILS: _read_order,
    FILLS: _read_fills,
}
