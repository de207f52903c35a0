"""The REST requests Binance needs, and what their answers say: instruments, books, missed trades and candles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import BookSnapshot, Candle, Gap, Level, OpenInterest, Trade
from tickhive.plugin import Answer, Event, Fetch, Limit, Poll, Rejected, Request, SessionView, hookimpl
from tickhive.plugin.answers import Answered, Read, read_answer
from tickhive.plugin.paging import candle_span, lost_ids, missed_candles, missed_trades, onwards
from tickhive.plugin.reading import NS_PER_MS, UNREADABLE, Int64, Millis, Numeral, Text, exact, positive
from tickhive_binance.account_fills import READERS as FILL_READERS
from tickhive_binance.account_fills import missed_fills
from tickhive_binance.account_rest import READERS as ACCOUNT_READERS
from tickhive_binance.account_rest import account_snapshot, listen_key, order_details
from tickhive_binance.codes import LIMITED, kind_of, listed_kind, reason_of
from tickhive_binance.fetches import WEIGHT, fetch_for, rows_of
from tickhive_binance.instruments import InstrumentRow, instrument
from tickhive_binance.market import weight_of
from tickhive_binance.pushes import AggTradeRow, Target, kinds, volumes
from tickhive_binance.settings import BinanceSettings
from tickhive_binance.values import moment

CANDLES_PER_PAGE = 1000


@hookimpl
def limits(settings: BinanceSettings) -> Sequence[Limit]:
    """Sockets, messages on each, and the weight of REST requests, all by IP address."""
    market = settings.market
    return (
        Limit("dial", settings.dials_per_five_minutes, 300.0),
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
    with one from either side of the gap; an account's missed fills of a symbol; and how an order ended that is open no
    more.

    ``trade:agg`` is refilled execution by execution, by their numbers. ``trade:raw`` takes an account's key.
    """
    settings: BinanceSettings = session.settings
    if channel.data_type is DataType.ORDER:
        return order_details(session, channel, gap)
    if channel.data_type is DataType.FILL:
        return missed_fills(session, channel, gap)
    if channel.data_type is DataType.CANDLE and gap.start is not None and gap.end is not None:
        step = candle_span(channel.params)[1]
        return _candles(settings, channel, gap.start // NS_PER_MS - step, gap.end // NS_PER_MS + step)
    lost, raw = lost_ids(gap, settings.backfill_trades), channel.params == "raw"
    if channel.data_type is not DataType.TRADE or lost is None or (raw and not session.account):
        return None
    market, (first, last) = settings.market, lost
    path, rows, weight = market.history, market.history_rows, market.history_weight
    if raw:
        path, rows, weight = "historicalTrades", 500, 20
    # The fragment stays here (HTTP never sends one): it tells `read` where to stop.
    query = f"symbol={channel.native}&fromId={first}&limit={rows}#until={last}"
    return fetch_for(settings, f"{path}?{query}", channel, weight=weight)


def _candles(settings: BinanceSettings, channel: Channel, first: int, last: int) -> Fetch:
    """Candles that open at ``first`` or later; the walk ends behind ``last``. Both are ms."""
    shortest, _ = candle_span(channel.params)
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
    """An HTTP error whose body names a code means what the code does: a wrong signature is told by 400. The status
    decides of limits, and of a failing server's answer (5xx) whose code is not listed.
    """
    try:
        failure = _failure(answer.body)
    except UNREADABLE:
        return None
    if not failure.code or answer.status in LIMITED:
        return None
    if answer.status >= 500 and listed_kind(failure.code) is None:
        return None
    return Rejected(reason_of(failure.code, failure.msg), kind_of(failure.code))


def _unwrap(answer: Answer) -> bytes | Rejected:
    body = answer.body
    if body.lstrip()[:1] == b"{" and (failure := _failure(body)).code < 0:
        return Rejected(reason_of(failure.code, failure.msg), kind_of(failure.code))
    return body


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Read:
    """Read an answer. A bad row is Malformed by itself; the good ones beside it are kept."""
    return read_answer(_READERS, session, fetch, answer, at, _unwrap)


def _read_instruments(answered: Answered[bytes]) -> Read:
    session = answered.session

    def one(raw: Raw) -> Sequence[Event]:
        row = _instrument_row(raw)
        return [answered.listed(instrument(session.exchange, session.settings.market, row), row.symbol)]

    return answered.rows(_listing(answered.content).symbols, one)


def _read_book(answered: Answered[bytes]) -> Read:
    book, symbol = _book(answered.content), answered.symbol(answered.query.get("symbol", ""))
    about = answered.session.exchange, symbol, moment(book.t), answered.at
    return [BookSnapshot(*about, book.bids, book.asks, book.last_update_id)]


def _read_trades(answered: Answered[bytes]) -> Read:
    """A page of trades, oldest first."""
    symbol, exchange, at = answered.symbol(answered.query.get("symbol", "")), answered.session.exchange, answered.at

    def one(raw: Raw) -> Sequence[Event]:
        row = _past_trade(raw)
        price, size = positive[row.price], positive[row.qty]
        side: Any = "sell" if row.is_buyer_maker else "buy"
        return [Trade(exchange, symbol, row.time * NS_PER_MS, at, str(row.id), side, price, size)]

    return missed_trades(answered, rows_of(answered.content), one, above="fromId")


def _read_merged(answered: Answered[bytes]) -> Read:
    """A page of trades as the stream ``aggTrade`` tells them, oldest first."""
    build = kinds(answered.session.settings.market)["aggTrade"].build
    target = Target(_merged_row, build, answered.symbol(answered.query.get("symbol", "")))

    def one(raw: Raw) -> Sequence[Event]:
        return build(_merged_row(raw), target, answered.session.exchange, answered.at)

    return missed_trades(answered, rows_of(answered.content), one, above="fromId")


def _read_candles(answered: Answered[bytes]) -> Read:
    """A page of candles, oldest first, and the next page when the gap goes on. The last one may still run."""
    session, at, query = answered.session, answered.at, answered.query
    symbol, interval, volume = (
        answered.symbol(query.get("symbol", "")),
        query.get("interval", ""),
        volumes(session.settings.market),
    )

    def one(raw: Raw) -> Sequence[Event]:
        row = _candle_row(raw)
        prices = exact(row.open), exact(row.high), exact(row.low), exact(row.close)
        about = session.exchange, symbol, None, at, interval, row.start * NS_PER_MS
        return [Candle(*about, *prices, *volume(row.volume, row.quote_volume), row.end * NS_PER_MS < at)]

    rows = rows_of(answered.content)
    events = missed_candles(answered, rows, one)
    starts = [event.start // NS_PER_MS for event in events if isinstance(event, Candle)]
    first, until = onwards(answered, rows, starts, above="startTime"), answered.number("until")
    if first is not None and until is not None and answered.channel is not None:
        events.append(_candles(session.settings, answered.channel, first, until))
    return events


def _read_interest(answered: Answered[bytes]) -> Read:
    row, session = _interest(answered.content), answered.session
    amount = exact(row.open_interest)
    base = None if session.settings.market.contracts else amount
    return [OpenInterest(session.exchange, answered.symbol(row.symbol), moment(row.time), answered.at, amount, base)]


_READERS: dict[str, Callable[[Answered[bytes]], Read]] = {
    "exchangeInfo": _read_instruments,
    "depth": _read_book,
    "aggTrades": _read_merged,
    "historicalTrades": _read_trades,
    "klines": _read_candles,
    "openInterest": _read_interest,
    **ACCOUNT_READERS,
    **FILL_READERS,
}
