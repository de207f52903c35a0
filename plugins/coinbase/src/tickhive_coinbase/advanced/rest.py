"""The REST requests Advanced Trade needs, and what their answers say: products, missed trades and candles, funding."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import Candle, FundingRate, Gap, InstrumentUpdate, OpenInterest, Trade
from tickhive.plugin import Answer, Event, Fetch, Limit, Malformed, Poll, SessionView, Unknown, hookimpl
from tickhive.plugin.reading import NS_PER_SECOND, UNREADABLE, exact, positive, read_rows, whole_number
from tickhive_coinbase.advanced.account_rest import ORDER as ORDER_PATH
from tickhive_coinbase.advanced.account_rest import READERS as ACCOUNT_READERS
from tickhive_coinbase.advanced.account_rest import account_snapshot, balances, order_details, read_orders
from tickhive_coinbase.advanced.instruments import ProductRow, instrument
from tickhive_coinbase.advanced.pushes import CANDLE_SECONDS, CandleRow, TradeRow, candle
from tickhive_coinbase.advanced.settings import PREFIX, CoinbaseSettings
from tickhive_coinbase.values import TAKER, nanos

PRODUCTS_PER_PAGE = 1_000
TRADES_PER_PAGE = 1_000
CANDLES_PER_PAGE = 350


@hookimpl
def limits() -> Sequence[Limit]:
    """Sockets, frames and public REST requests a second, by IP address; private ones by user."""
    return (
        Limit("dial", 8, 1.0),
        Limit("request", 8, 1.0),
        Limit("public", 10, 1.0),
        Limit("private", 30, 1.0),
    )


def _fetch(settings: CoinbaseSettings, path: str, channel: Channel | None = None) -> Fetch:
    return Fetch(settings.rest(path), costs={"public": 1.0}, channel=channel)


@hookimpl
def instruments(settings: CoinbaseSettings) -> Sequence[Fetch]:
    """One list for each type of product."""
    return [_products(settings, kind, 0) for kind in settings.product_types]


def _products(settings: CoinbaseSettings, kind: str, offset: int) -> Fetch:
    return _fetch(settings, f"market/products?product_type={kind}&limit={PRODUCTS_PER_PAGE}&offset={offset}")


@hookimpl
def poll(channel: Channel, settings: CoinbaseSettings) -> Poll | None:
    """Balances, funding and open interest exist only by REST."""
    if channel.data_type is DataType.BALANCE:
        return Poll(balances(settings), settings.balance_seconds)
    if channel.data_type in (DataType.FUNDING_RATE, DataType.OPEN_INTEREST):
        return Poll(_fetch(settings, f"market/products/{channel.native}", channel), settings.poll_seconds)
    return None


@hookimpl
def snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """Open orders, last fills. Books only stream in: the one by REST has no number to fit it in by."""
    return account_snapshot(session, channel) if channel.data_type.private else None


@hookimpl
def backfill(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    """Missed trades by time, from the newest down to the one known before the gap; missed candles, with one from either
    side; and how an order ended.
    """
    settings: CoinbaseSettings = session.settings
    if channel.data_type is DataType.ORDER:
        return order_details(session, gap, channel)
    if gap.start is None or gap.end is None:
        return None
    native = market_of(session, channel)
    start, end = gap.start // NS_PER_SECOND, -(-gap.end // NS_PER_SECOND)
    if channel.data_type is DataType.CANDLE:
        return _candle_page(settings, channel, native, start - CANDLE_SECONDS, end + CANDLE_SECONDS)
    first, last = whole_number(gap.first_id), whole_number(gap.last_id)
    if channel.data_type is not DataType.TRADE or not settings.backfill_trades or first is None or last is None:
        return None
    until = max(first - 1, last - settings.backfill_trades)
    # Whether the bounds belong to it is not said, so a second is added on either side.
    return _trade_page(settings, channel, native, (start - 1, end + 1), until, last + 2)


def market_of(session: SessionView, channel: Channel) -> str:
    """The product whose market an instrument trades in: its own, or the one it shares."""
    known = session.instruments.get(channel.symbol)
    return known.alias if known is not None and known.alias else channel.native


def _trade_page(
    settings: CoinbaseSettings, channel: Channel | None, native: str, span: tuple[int, int], until: int, below: int
) -> Fetch:
    """Trades of these seconds; the walk ends at the id ``until`` or where it comes no lower than ``below``."""
    # The fragment stays here (HTTP never sends one): it tells `read` where to stop.
    query = f"limit={TRADES_PER_PAGE}&start={span[0]}&end={span[1]}#until={until}&below={below}"
    return _fetch(settings, f"market/products/{native}/ticker?{query}", channel)


def _candle_page(settings: CoinbaseSettings, channel: Channel | None, native: str, until: int, end: int) -> Fetch:
    start = max(until, end - (CANDLES_PER_PAGE - 1) * CANDLE_SECONDS)
    query = f"start={start}&end={end}&granularity=FIVE_MINUTE&limit={CANDLES_PER_PAGE}#until={until}"
    return _fetch(settings, f"market/products/{native}/candles?{query}", channel)


class _Page(Struct, gc=False):
    products: list[Raw] = []
    trades: list[Raw] = []
    candles: list[Raw] = []


class _PastCandle(Struct, gc=False):
    start: int
    low: str
    high: str
    open: str
    close: str
    volume: str


_page = msgspec.json.Decoder(_Page).decode
_product = msgspec.json.Decoder(ProductRow).decode
_trade = msgspec.json.Decoder(TradeRow).decode
_past_candle = msgspec.json.Decoder(_PastCandle, strict=False).decode


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Fetch]:
    """Read an answer. A bad row is Malformed by itself; the good ones beside it are kept."""
    url = urlsplit(fetch.url)
    path = url.path.partition(PREFIX)[2]
    query = dict(parse_qsl(url.query)) | dict(parse_qsl(url.fragment))
    reader: Callable[..., Sequence[Any]] | None = ACCOUNT_READERS.get(path)
    match path.split("/"):
        case _ if reader is not None:
            pass
        case ["market", "products"]:
            reader = _read_products
        case ["market", "products", _]:
            reader = _read_product
        case ["market", "products", native, "ticker" | "candles" as what]:
            reader, query = (_read_trades if what == "ticker" else _read_candles), query | {"native": native}
        case _ if path.startswith(ORDER_PATH):
            reader = read_orders
        case _:
            return [Unknown(f"answer of {url.path[:80]}")]
    try:
        return reader(session, fetch, answer.body, query, at)
    except UNREADABLE as error:
        return [Malformed(f"answer of {url.path}: {error}"[:200])]


def _read_products(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of the list, and the next one."""

    def one(raw: Raw) -> Sequence[Event]:
        row = _product(raw)
        found = instrument(session.exchange, row)
        if found is None:
            return [Unknown(f"product {row.product_id} of type {row.product_type}")]
        return [InstrumentUpdate(session.exchange, found.symbol, None, at, found)]

    rows = _page(body).products
    events = read_rows(rows, one, "products")
    limit, offset = whole_number(query.get("limit")), whole_number(query.get("offset"))
    if limit and offset is not None and len(rows) >= limit:
        return [*events, _products(session.settings, query.get("product_type", "SPOT"), offset + len(rows))]
    return events


def _read_product(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event]:
    """Funding and open interest of one perpetual future: what was asked for."""
    row = _product(body)
    details = row.future_product_details
    perpetual = details.perpetual_details if details is not None else None
    if perpetual is None:
        return ()
    exchange, symbol = session.exchange, session.instruments.symbols.get(row.product_id, row.product_id)
    events: list[Event] = []
    if perpetual.funding_rate:
        events.append(
            FundingRate(exchange, symbol, None, at, exact(perpetual.funding_rate), nanos(perpetual.funding_time))
        )
    if perpetual.open_interest:
        events.append(OpenInterest(exchange, symbol, None, at, exact(perpetual.open_interest)))
    kind = None if fetch.channel is None else fetch.channel.data_type
    wanted = {DataType.FUNDING_RATE: FundingRate, DataType.OPEN_INTEREST: OpenInterest}.get(kind)  # type: ignore[arg-type]
    return [event for event in events if wanted is None or isinstance(event, wanted)]


def _symbol(session: SessionView, fetch: Fetch, native: str) -> str:
    """Whose history was asked for."""
    return fetch.channel.symbol if fetch.channel is not None else session.instruments.symbols.get(native, native)


def _read_trades(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of trades, newest first on the wire, oldest first from here; the next page when the gap goes on."""
    native, until, below = query["native"], whole_number(query.get("until")), whole_number(query.get("below"))
    symbol = _symbol(session, fetch, native)
    found: list[tuple[int, Trade]] = []

    def one(raw: Raw) -> Sequence[Event]:
        row = _trade(raw)
        id = whole_number(row.trade_id)
        if id is None:
            return [Malformed(f"ticker: trade_id {row.trade_id[:40]!r} is no number")]
        about = row.trade_id, TAKER[row.side], positive[row.price], positive[row.size], 1, True
        found.append((id, Trade(session.exchange, symbol, nanos(row.time), at, *about)))
        return ()

    rows = _page(body).trades
    others: list[Event | Fetch] = [*read_rows(rows, one, "ticker")]
    found.sort(key=lambda numbered: numbered[0])
    known = 0 if until is None else bisect_right(found, until, key=lambda numbered: numbered[0])
    # One that was known comes along: it shows the core that nothing lies in between.
    missed = [trade for _, trade in found[max(known - 1, 0) :]]
    if until is not None and found and len(rows) >= TRADES_PER_PAGE:
        oldest, first = found[0]
        start = whole_number(query.get("start")) or 0
        # A page that does not lead downwards would be asked for for ever.
        if oldest > until and (below is None or oldest < below) and first.timestamp is not None:
            span = start, first.timestamp // NS_PER_SECOND + 1
            others.append(_trade_page(session.settings, fetch.channel, native, span, until, oldest))
    return [*missed, *others]


def _read_candles(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of candles, newest first on the wire, oldest first from here; the next page when the gap goes on."""
    native = query["native"]
    symbol = _symbol(session, fetch, native)
    if query.get("granularity", "FIVE_MINUTE") != "FIVE_MINUTE":
        return [Unknown(f"candles of {query['granularity'][:40]}")]
    found: list[Candle] = []

    def one(raw: Raw) -> Sequence[Event]:
        row = _past_candle(raw)
        whole = CandleRow(native, row.start, row.open, row.high, row.low, row.close, row.volume)
        event = candle(whole, session.exchange, symbol, None, at, at)
        event.late = True
        found.append(event)
        return ()

    others: list[Event | Fetch] = [*read_rows(_page(body).candles, one, "candles")]
    found.sort(key=lambda event: event.start)
    until, start = whole_number(query.get("until")), whole_number(query.get("start"))
    if until is not None and start is not None and start > until:
        others.append(_candle_page(session.settings, fetch.channel, native, until, start))
    return [*found, *others]
