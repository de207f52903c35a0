"""The REST requests Coinbase Exchange needs, and what their answers say: products, missed trades, the account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import Gap, Side, Trade
from tickhive.plugin import Answer, Event, Fetch, Limit, SessionView, hookimpl
from tickhive.plugin.answers import Answered, Read, read_answer
from tickhive.plugin.paging import lost_ids, missed_trades
from tickhive.plugin.reading import Count, Numeral, positive
from tickhive_coinbase.exchange.account_rest import READERS as ACCOUNT_READERS
from tickhive_coinbase.exchange.account_rest import account_snapshot, order_details
from tickhive_coinbase.exchange.instruments import ProductRow, instrument
from tickhive_coinbase.exchange.settings import CoinbaseExchangeSettings
from tickhive_coinbase.values import TAKER, nanos

TRADES_PER_PAGE = 1_000


@hookimpl
def limits(settings: CoinbaseExchangeSettings) -> Sequence[Limit]:
    """Sockets, frames and REST requests a second, by IP address; what is private by user.

    Of frames Coinbase's pages say 10 and 100 (read 2026), so their number is a setting.
    """
    return (
        Limit("dial", 8, 1.0),
        Limit("request", settings.messages, 1.0),
        Limit("public", 10, 1.0),
        Limit("private", 15, 1.0),
    )


@hookimpl
def instruments(settings: CoinbaseExchangeSettings) -> Sequence[Fetch]:
    """One list of everything."""
    return [Fetch(settings.rest("products"), costs={"public": 1.0})]


@hookimpl
def snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """Open orders, last fills, balances. Books only stream in: one by REST has a number, their updates have none."""
    return account_snapshot(session, channel) if channel.data_type.private else None


@hookimpl
def backfill(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    """Missed trades, from the newest down to the one known before the gap; and how an order ended."""
    if channel.data_type is DataType.ORDER:
        return order_details(session, channel, gap)
    settings: CoinbaseExchangeSettings = session.settings
    lost = lost_ids(gap, settings.backfill_trades)
    if channel.data_type is not DataType.TRADE or lost is None:
        return None
    until, last = lost
    # The fragment stays here (HTTP never sends one): it tells `read` where to stop.
    path = f"products/{channel.native}/trades?limit={TRADES_PER_PAGE}&after={last + 1}#until={until}"
    return Fetch(settings.rest(path), costs={"public": 1.0}, channel=channel)


class TradeRow(Struct, gc=False):
    """An execution; ``side`` is the maker's."""

    trade_id: Count
    side: Side
    size: Numeral
    price: Numeral
    time: datetime


_rows = msgspec.json.Decoder(list[Raw]).decode
_product = msgspec.json.Decoder(ProductRow).decode
_trade = msgspec.json.Decoder(TradeRow).decode


def _unwrap(answer: Answer) -> list[Raw]:
    # A single object is a list of one; an empty body is neither.
    return _rows(b"[" + answer.body + b"]" if answer.body.lstrip()[:1] == b"{" else answer.body)


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Read:
    """Read an answer. A bad row is Malformed by itself; the good ones beside it are kept."""
    return read_answer(_READERS, session, fetch, answer, at, _unwrap)


def _read_products(answered: Answered[list[Raw]]) -> Read:
    def one(raw: Raw) -> Sequence[Event]:
        row = _product(raw)
        return [answered.listed(instrument(answered.session.exchange, row), row.id)]

    return answered.rows(answered.content, one)


def _read_trades(answered: Answered[list[Raw]]) -> Read:
    """A page of trades, newest first on the wire."""
    exchange, symbol, at = answered.session.exchange, answered.symbol(answered.parts[0]), answered.at

    def one(raw: Raw) -> Sequence[Event]:
        row = _trade(raw)
        about = str(row.trade_id), TAKER[row.side], positive[row.price], positive[row.size]
        return [Trade(exchange, symbol, nanos(row.time), at, *about)]

    return missed_trades(answered, answered.content, one, below="after")


_READERS: dict[str, Callable[[Answered[list[Raw]]], Read]] = {
    "products": _read_products,
    "products/*/trades": _read_trades,
    **ACCOUNT_READERS,
}
