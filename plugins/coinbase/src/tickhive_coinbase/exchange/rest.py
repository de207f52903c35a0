"""The REST requests Coinbase Exchange needs, and what their answers say: products, missed trades, the account."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import Gap, InstrumentUpdate, Side, Trade
from tickhive.plugin import Answer, Event, Fetch, Limit, Malformed, SessionView, Unknown, hookimpl
from tickhive.plugin.reading import UNREADABLE, Count, Numeral, positive, read_rows, whole_number
from tickhive_coinbase.exchange.account_rest import READERS as ACCOUNT_READERS
from tickhive_coinbase.exchange.account_rest import account_snapshot, order_details
from tickhive_coinbase.exchange.instruments import ProductRow, instrument
from tickhive_coinbase.exchange.settings import CoinbaseExchangeSettings
from tickhive_coinbase.values import TAKER, nanos

TRADES_PER_PAGE = 1_000


@hookimpl
def limits() -> Sequence[Limit]:
    """Sockets, frames and REST requests a second, by IP address; what is private by user."""
    return (
        Limit("dial", 8, 1.0),
        Limit("request", 10, 1.0),
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
    first, last = whole_number(gap.first_id), whole_number(gap.last_id)
    settings: CoinbaseExchangeSettings = session.settings
    if channel.data_type is not DataType.TRADE or not settings.backfill_trades or first is None or last is None:
        return None
    return _page(settings, channel, channel.native, last + 1, max(first - 1, last - settings.backfill_trades))


def _page(settings: CoinbaseExchangeSettings, channel: Channel | None, native: str, after: int, until: int) -> Fetch:
    """Trades older than ``after``; the walk ends at ``until``."""
    # The fragment stays here (HTTP never sends one): it tells `read` where to stop.
    url = settings.rest(f"products/{native}/trades?limit={TRADES_PER_PAGE}&after={after}#until={until}")
    return Fetch(url, costs={"public": 1.0}, channel=channel)


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


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Fetch]:
    """Read an answer. A bad row is Malformed by itself; the good ones beside it are kept."""
    url = urlsplit(fetch.url)
    parts = url.path.strip("/").split("/")
    query = dict(parse_qsl(url.query)) | dict(parse_qsl(url.fragment))
    match parts:
        case [*_, "products"]:
            reader: Callable[..., Sequence[Any]] = _read_products
        case [*_, "products", native, "trades"]:
            reader, query = _read_trades, query | {"native": native}
        case [*_, "orders", _]:
            reader = ACCOUNT_READERS["order"]
        case [*_, last] if last in ACCOUNT_READERS:
            reader = ACCOUNT_READERS[last]
        case _:
            return [Unknown(f"answer of {url.path[:80]}")]
    try:
        # A single object is a list of one.
        rows = _rows(answer.body if answer.body.lstrip()[:1] == b"[" else b"[" + answer.body + b"]")
    except UNREADABLE as error:
        return [Malformed(f"answer of {url.path}: {error}"[:200])]
    return reader(session, fetch, answer, rows, query, at)


def _read_products(
    session: SessionView, fetch: Fetch, answer: Answer, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event]:
    def one(raw: Raw) -> Sequence[Event]:
        found = instrument(session.exchange, _product(raw))
        return [InstrumentUpdate(session.exchange, found.symbol, None, at, found)]

    return read_rows(rows, one, "products")


def _read_trades(
    session: SessionView, fetch: Fetch, answer: Answer, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of trades, newest first on the wire, oldest first from here; the next page when the gap goes on."""
    native = query["native"]
    symbol, until = session.instruments.symbols.get(native, native), whole_number(query.get("until"))
    found: list[tuple[int, Trade]] = []

    def one(raw: Raw) -> Sequence[Event]:
        row = _trade(raw)
        about = str(row.trade_id), TAKER[row.side], positive[row.price], positive[row.size]
        found.append((row.trade_id, Trade(session.exchange, symbol, nanos(row.time), at, *about, 1, True)))
        return ()

    others: list[Event | Fetch] = [*read_rows(rows, one, "trades")]
    found.sort(key=lambda numbered: numbered[0])
    known = 0 if until is None else bisect_right(found, until, key=lambda numbered: numbered[0])
    # One that was known comes along: it shows the core that nothing lies in between.
    missed = [trade for _, trade in found[max(known - 1, 0) :]]
    if until is not None and found and len(rows) >= TRADES_PER_PAGE:
        oldest, before = found[0][0], whole_number(query.get("after"))
        # A page that does not lead downwards would be asked for for ever.
        if oldest > until and (before is None or oldest < before):
            others.append(_page(session.settings, fetch.channel, native, oldest, until))
    return [*missed, *others]
