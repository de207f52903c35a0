"""The REST requests Binance needs, and what their answers say: instruments, books, missed trades and candles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import ascii_letters
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import BookSnapshot, Candle, Gap, InstrumentUpdate, Level, OpenInterest, Trade
from tickhive.plugin import (
    Answer,
    Dial,
    Event,
    Fetch,
    Limit,
    Malformed,
    Poll,
    Rejected,
    Request,
    SessionView,
    Unknown,
    hookimpl,
)
from tickhive.plugin.reading import (
    NS_PER_MS,
    UNREADABLE,
    Int64,
    Millis,
    Numeral,
    Text,
    brief,
    exact,
    positive,
    read_rows,
    whole_number,
)
from tickhive_binance.account_rest import READERS as ACCOUNT_READERS
from tickhive_binance.account_rest import account_snapshot, listen_key, order_details
from tickhive_binance.codes import kind_of, reason_of
from tickhive_binance.fetches import WEIGHT, fetch_for, rows_of
from tickhive_binance.instruments import InstrumentRow, instrument
from tickhive_binance.market import weight_of
from tickhive_binance.pushes import AggTradeRow, Target, kinds, volumes
from tickhive_binance.settings import BinanceSettings
from tickhive_binance.values import moment

CANDLES_PER_PAGE = 1000

_MINUTE = 60_000
_SPANS = {"s": 1_000, "m": _MINUTE, "h": 60 * _MINUTE, "d": 1_440 * _MINUTE, "w": 10_080 * _MINUTE,
          "M": 31 * 1_440 * _MINUTE}  # fmt: skip
"""How long an interval may last, ms."""


@hookimpl
def limits(settings: BinanceSettings) -> Sequence[Limit]:
    """Sockets, messages on each, and the weight of REST requests, all by IP address."""
    market = settings.market
    return (
        Limit("dial", 300, 300.0),
        Limit("request", market.messages, 1.0, per_connection=True),
        Limit(WEIGHT, market.weight, 60.0),
    )


@hookimpl
def instruments(settings: BinanceSettings) -> Sequence[Fetch]:
    """The list of the market."""
    return [fetch_for(settings, "exchangeInfo", weight=settings.market.listing_weight)]


@hookimpl
def snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """A book, numbered like its changes (``orderbook:5`` is whole with each push); how a private channel stands."""
    settings: BinanceSettings = session.settings
    if channel.data_type.private:
        return account_snapshot(session, channel)
    if channel.data_type is not DataType.ORDERBOOK or channel.params:
        return None
    limit = settings.snapshot_limit
    weight = weight_of(settings.market.depth_weights, limit)
    return fetch_for(settings, f"depth?symbol={channel.native}&limit={limit}", channel, weight=weight)


@hookimpl
def poll(channel: Channel, settings: BinanceSettings) -> Poll | None:
    """Open interest, which is in no stream."""
    if channel.data_type is not DataType.OPEN_INTEREST or channel.params or not settings.market.futures:
        return None
    fetch = fetch_for(settings, f"openInterest?symbol={channel.native}", channel, weight=1)
    return Poll(fetch, settings.open_interest_seconds)


@hookimpl
def heartbeat(session: SessionView) -> Sequence[Request | Fetch]:
    """Keep the listen key of an account's socket valid."""
    return [listen_key(session.settings, "PUT")]


@hookimpl
def backfill(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    """Missed trades from the first on, with the one known before, which shows that nothing lies between; missed candles
    with one from either side of the gap; and how an order ended that is open no more.

    ``trade:agg`` is refilled execution by execution, by their numbers. ``trade:raw`` takes an account's key.
    """
    settings: BinanceSettings = session.settings
    if channel.data_type is DataType.ORDER:
        return order_details(session, channel, gap)
    if channel.data_type is DataType.CANDLE and gap.start is not None and gap.end is not None:
        step = _span(channel.params)
        return _candles(settings, channel, gap.start // NS_PER_MS - step, gap.end // NS_PER_MS + step)
    if channel.data_type is not DataType.TRADE or not settings.backfill_trades:
        return None
    first, last = whole_number(gap.first_id), whole_number(gap.last_id)
    if first is None or last is None:
        return None
    path = settings.market.history
    if channel.params == "raw":
        if not session.account:
            return None
        path = "historicalTrades"
    return _trades(settings, channel, path, max(first - 1, last - settings.backfill_trades, 0), last)


def _span(interval: str) -> int:
    """How long an interval may last, ms: a month 31 days."""
    digits = interval.rstrip(ascii_letters)
    return int(digits) * _SPANS[interval[len(digits) :]]


def _trades(settings: BinanceSettings, channel: Channel, path: str, first: int, last: int) -> Fetch:
    """Trades from ``first`` on. The fragment stays here (HTTP never sends one): it tells ``read`` where to stop."""
    rows = settings.market.history_rows
    weight: float = settings.market.history_weight
    if settings.market.futures and path == "historicalTrades":
        rows, weight = 500, 20
    query = f"symbol={channel.native}&fromId={first}&limit={rows}#until={last}"
    return fetch_for(settings, f"{path}?{query}", channel, weight=weight)


def _candles(settings: BinanceSettings, channel: Channel, first: int, last: int) -> Fetch:
    """Candles that open at ``first`` or later; the walk ends behind ``last``. Both are ms."""
    shortest = _span(channel.params) * (28 if channel.params.endswith("M") else 31) // 31
    limit = max(1, min(CANDLES_PER_PAGE, (last - first) // shortest + 2))
    weight = weight_of(settings.market.kline_weights, limit)
    query = f"symbol={channel.native}&interval={channel.params}&startTime={first}&limit={limit}#until={last}"
    return fetch_for(settings, f"klines?{query}", channel, weight=weight)


class _Failure(Struct, gc=False):
    code: Int64 = 0
    msg: str = ""


class _Listing(Struct, gc=False):
    symbols: list[Raw]


class _Book(Struct, gc=False, rename="camel"):
    last_update_id: Int64
    bids: list[Level]
    asks: list[Level]
    t: Millis = msgspec.field(name="T", default=0)


class _PastTrade(Struct, gc=False, rename="camel"):
    """An execution of ``trades`` and ``historicalTrades``."""

    id: Int64
    price: Numeral
    qty: Numeral
    time: Millis
    is_buyer_maker: bool


class _PastCandle(Struct, gc=False, array_like=True):
    """A row of ``klines``; what follows the quote volume is skipped."""

    start: Millis
    open: Numeral
    high: Numeral
    low: Numeral
    close: Numeral
    volume: Numeral
    end: Millis
    quote_volume: Numeral


class _Interest(Struct, gc=False, rename="camel"):
    symbol: Text
    open_interest: Numeral
    time: Millis = 0


_failure = msgspec.json.Decoder(_Failure).decode
_listing = msgspec.json.Decoder(_Listing).decode
_instrument_row = msgspec.json.Decoder(InstrumentRow).decode
_book = msgspec.json.Decoder(_Book).decode
_past_trade = msgspec.json.Decoder(_PastTrade).decode
_merged_row = msgspec.json.Decoder(AggTradeRow).decode
_candle_row = msgspec.json.Decoder(_PastCandle).decode
_interest = msgspec.json.Decoder(_Interest).decode


@hookimpl
def refused(answer: Answer) -> Rejected | None:
    """An HTTP error whose body names a code means what the code does: a wrong signature is told by 400."""
    try:
        failure = _failure(answer.body)
    except UNREADABLE:
        return None
    if not failure.code or answer.status in (418, 429):
        return None
    return Rejected(reason_of(failure.code, failure.msg), kind_of(failure.code))


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Dial | Fetch]:
    """Read an answer. A bad row is Malformed by itself; the good ones beside it are kept."""
    url = urlsplit(fetch.url)
    name = url.path.rpartition("/")[2]
    reader = _READERS.get(name)
    if reader is None:
        return [Unknown(f"answer of {url.path[:80]}")]
    query = dict(parse_qsl(url.query)) | dict(parse_qsl(url.fragment))
    body = answer.body
    try:
        if body.lstrip()[:1] == b"{" and (failure := _failure(body)).code < 0:
            channel = fetch.channel
            # An account's stream goes on when its snapshot is refused.
            asked = (channel,) if channel is not None and not channel.data_type.private else ()
            return [Rejected(reason_of(failure.code, failure.msg), kind_of(failure.code), None, asked)]
        return reader(session, fetch, body, query, at)
    except UNREADABLE as error:
        return [Malformed(f"answer of {url.path[:80]}: {brief(error)}")]


def _read_instruments(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event]:
    market, exchange = session.settings.market, session.exchange
    events: list[Event] = []
    for raw in _listing(body).symbols:
        try:
            row = _instrument_row(raw)
            found = instrument(exchange, market, row)
        except UNREADABLE as error:
            events.append(Malformed(f"exchangeInfo: {brief(error)}"))
            continue
        if found is None:
            events.append(Unknown(f"instrument {row.symbol}"))
        else:
            events.append(InstrumentUpdate(exchange, found.symbol, None, at, found))
    return events


def _read_book(session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int) -> Sequence[Event]:
    native, book = query.get("symbol", ""), _book(body)
    symbol, time = session.instruments.symbols.get(native, native), moment(book.t)
    return [BookSnapshot(session.exchange, symbol, time, at, book.bids, book.asks, book.last_update_id)]


def _read_trades(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of trades, oldest first, and the next page when the gap goes on."""
    native = query.get("symbol", "")
    symbol, exchange = session.instruments.symbols.get(native, native), session.exchange
    merged = urlsplit(fetch.url).path.endswith("aggTrades")
    build = kinds(session.settings.market)["aggTrade"].build
    target = Target(_merged_row, build, symbol)
    ids: list[int] = []

    def one(raw: bytes) -> Sequence[Event]:
        if merged:
            aggregate = _merged_row(raw)
            ids.append(aggregate.a)
            return build(aggregate, target, exchange, at)
        row = _past_trade(raw)
        ids.append(row.id)
        price, size = positive[row.price], positive[row.qty]
        side: Any = "sell" if row.is_buyer_maker else "buy"
        return [Trade(exchange, symbol, row.time * NS_PER_MS, at, str(row.id), side, price, size)]

    events: list[Event | Fetch] = [*read_rows(rows_of(body), one, "trades")]
    for event in events:
        if isinstance(event, Trade):
            event.late = True
    until, first, channel = whole_number(query.get("until")), whole_number(query.get("fromId")), fetch.channel
    full = len(ids) >= (whole_number(query.get("limit")) or 1)
    # A page that does not lead upwards would be asked for for ever.
    if full and channel is not None and until is not None and first is not None and first <= ids[-1] < until:
        path = urlsplit(fetch.url).path.rpartition("/")[2]
        events.append(_trades(session.settings, channel, path, ids[-1] + 1, until))
    return events


def _read_candles(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of candles, oldest first, and the next page when the gap goes on. The last one may still run."""
    native, interval = query.get("symbol", ""), query.get("interval", "")
    symbol, volume = session.instruments.symbols.get(native, native), volumes(session.settings.market)
    starts: list[int] = []

    def one(raw: bytes) -> Sequence[Event]:
        row = _candle_row(raw)
        starts.append(row.start)
        prices = exact(row.open), exact(row.high), exact(row.low), exact(row.close)
        about = session.exchange, symbol, None, at, interval, row.start * NS_PER_MS
        closed = row.end * NS_PER_MS < at
        return [Candle(*about, *prices, *volume(row.volume, row.quote_volume), closed, late=True)]

    events: list[Event | Fetch] = [*read_rows(rows_of(body), one, "klines")]
    until, first, channel = whole_number(query.get("until")), whole_number(query.get("startTime")), fetch.channel
    full = len(starts) >= (whole_number(query.get("limit")) or 1)
    if full and channel is not None and until is not None and first is not None and first <= starts[-1] < until:
        events.append(_candles(session.settings, channel, starts[-1] + 1, until))
    return events


def _read_interest(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event]:
    row = _interest(body)
    symbol, amount = session.instruments.symbols.get(row.symbol, row.symbol), exact(row.open_interest)
    base = None if session.settings.market.contracts else amount
    return [OpenInterest(session.exchange, symbol, moment(row.time), at, amount, base)]


_READERS: dict[str, Callable[..., Sequence[Event | Dial | Fetch]]] = {
    "exchangeInfo": _read_instruments,
    "depth": _read_book,
    "aggTrades": _read_trades,
    "historicalTrades": _read_trades,
    "klines": _read_candles,
    "openInterest": _read_interest,
    **ACCOUNT_READERS,
}
