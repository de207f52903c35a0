"""The REST requests OKX needs, and what their answers say: instruments, snapshots, missed trades and candles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import BookSnapshot, Gap, InstrumentUpdate
from tickhive.plugin import Answer, Event, Fetch, Limit, Rejected, SessionView, hookimpl
from tickhive.plugin.answers import Answered, Read, read_answer
from tickhive.plugin.paging import candle_span, lost_ids, missed_candles, missed_trades
from tickhive.plugin.reading import NS_PER_MS, UNREADABLE, Text
from tickhive_okx.account_rest import (
    BALANCE,
    FILLS,
    ORDER_DETAILS,
    ORDERS_PENDING,
    POSITIONS,
    account_snapshot,
    order_details,
)
from tickhive_okx.account_rest import READERS as ACCOUNT_READERS
from tickhive_okx.candles import CandleRow, candle, is_closed, spelled
from tickhive_okx.channels import wire_for
from tickhive_okx.codes import KIND_OF, kind_of, reason_of
from tickhive_okx.fetches import fetch_for
from tickhive_okx.instruments import InstrumentRow, index, index_of
from tickhive_okx.pushes import BookRow, Rows, TradeRow, instrument_update, trades
from tickhive_okx.settings import OKXSettings

INSTRUMENTS, BOOKS, HISTORY_TRADES = "public/instruments", "market/books", "market/history-trades"
HISTORY_CANDLES = "market/history-candles"
BOOK_DEPTHS = {"": 400, "tbt": 400, "50tbt": 50}
TRADES_PER_PAGE = 100
CANDLES_PER_PAGE = 300


@hookimpl
def limits() -> Sequence[Limit]:
    """Sockets, requests on each socket, and the REST requests made here (per two seconds), by IP address or user."""
    return (
        Limit("dial", 3, 1.0),
        Limit("request", 480, 3_600.0, per_connection=True),
        Limit(INSTRUMENTS, 20, 2.0),
        Limit(BOOKS, 40, 2.0),
        Limit(HISTORY_TRADES, 20, 2.0),
        Limit(HISTORY_CANDLES, 20, 2.0),
        Limit(BALANCE, 10, 2.0),
        Limit(POSITIONS, 10, 2.0),
        Limit(ORDERS_PENDING, 60, 2.0),
        Limit(ORDER_DETAILS, 60, 2.0),
        Limit(FILLS, 60, 2.0),
    )


@hookimpl
def instruments(settings: OKXSettings) -> Sequence[Fetch]:
    """One list for each instrument type; options only come per family."""
    queries = []
    # Derivatives announce their index, which may share its name with a spot pair: the pair has the last word.
    for kind in sorted(settings.instrument_types, key=lambda kind: kind == "SPOT"):
        if kind == "OPTION":
            queries += [f"instType=OPTION&instFamily={family}" for family in settings.option_families]
        else:
            queries.append(f"instType={kind}")
    return [fetch_for(settings, INSTRUMENTS, query) for query in queries]


@hookimpl
def snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """A book, numbered like the stream (``books5`` is whole with each push); how an account stands."""
    if channel.data_type.private:
        return account_snapshot(session, channel)
    depth = BOOK_DEPTHS.get(channel.params) if channel.data_type is DataType.ORDERBOOK else None
    if depth is None:
        return None
    source = f"&source={session.settings.book_source}" if session.settings.book_source else ""
    return fetch_for(session.settings, BOOKS, f"instId={channel.native}&sz={depth}{source}", channel)


@hookimpl
def backfill(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    """Missed trades, from the newest down to the one known before the gap, which shows that nothing is missing; missed
    candles likewise, with one from either side of the gap; and how an order ended that is open no more.
    """
    if channel.data_type is DataType.ORDER:
        return order_details(session, channel, gap)
    settings, native = session.settings, channel.native
    # The fragment stays here (HTTP never sends one): it tells `read` where to stop.
    if channel.data_type is DataType.CANDLE and gap.start is not None and gap.end is not None:
        bar = wire_for(channel).name.removeprefix("candle")
        after, until = gap.end // NS_PER_MS + candle_span(bar)[1] + 1, max(gap.start // NS_PER_MS - 1, 0)
        query = f"instId={native}&bar={bar}&after={after}&limit={CANDLES_PER_PAGE}#until={until}"
        return fetch_for(settings, HISTORY_CANDLES, query, channel)
    lost = lost_ids(gap, settings.backfill_trades)
    if channel.data_type is not DataType.TRADE or lost is None:
        return None
    until, last = lost
    query = f"instId={native}&type=1&after={last + 1}&limit={TRADES_PER_PAGE}#until={until}"
    return fetch_for(settings, HISTORY_TRADES, query, channel)


class _Envelope(Struct, gc=False):
    code: Text
    msg: str = ""
    data: list[Raw] = []


_envelope = msgspec.json.Decoder(_Envelope, strict=False).decode
_instrument_row = msgspec.json.Decoder(InstrumentRow, strict=False).decode
_book_row = msgspec.json.Decoder(BookRow, strict=False).decode
_trade_row = msgspec.json.Decoder(TradeRow, strict=False).decode
_candle_row = msgspec.json.Decoder(CandleRow, strict=False).decode


_SERVER_ERROR = 500


@hookimpl
def refused(answer: Answer) -> Rejected | None:
    """An HTTP error whose body names a code means what the code does: a clock that is off is told by 401 too.

    Codes that are not listed, and what a gateway says, are judged by the status.
    """
    if answer.status >= _SERVER_ERROR:
        return None
    try:
        envelope = _envelope(answer.body)
    except UNREADABLE:
        return None
    kind = KIND_OF.get(envelope.code)
    return None if kind is None else Rejected(reason_of(envelope.code, envelope.msg), kind)


def _unwrap(answer: Answer) -> list[Raw] | Rejected:
    envelope = _envelope(answer.body)
    if envelope.code == "0":
        return envelope.data
    return Rejected(reason_of(envelope.code, envelope.msg), kind_of(envelope.code))


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Read:
    """Read an answer. A bad row is Malformed by itself; the good ones beside it are kept."""
    return read_answer(_READERS, session, fetch, answer, at, _unwrap)


def _read_instruments(answered: Answered[list[Raw]]) -> Read:
    """Every row, and before them the indices their prices follow, which OKX lists nowhere."""
    session, at = answered.session, answered.at
    indices: dict[str, InstrumentUpdate] = {}

    def one(raw: Raw) -> Sequence[Event]:
        row = _instrument_row(raw)
        event = instrument_update(row, session, at)
        if row.inst_type != "SPOT" and isinstance(event, InstrumentUpdate):
            name = index_of(row.inst_id)
            indices[name] = InstrumentUpdate(session.exchange, name, None, at, index(session.exchange, name))
        return [event]

    listed = answered.rows(answered.content, one)
    return [*indices.values(), *listed]


def _read_books(answered: Answered[list[Raw]]) -> Read:
    about = answered.session.exchange, answered.symbol(answered.query.get("instId", ""))

    def one(raw: Raw) -> Sequence[Event]:
        row = _book_row(raw)
        if row.seq_id is None:
            raise ValueError("seqId is missing: which updates follow on it cannot be told")
        return [BookSnapshot(*about, row.ts * NS_PER_MS or None, answered.at, row.bids, row.asks, row.seq_id)]

    return answered.rows(answered.content, one)


def _read_trades(answered: Answered[list[Raw]]) -> Read:
    """A page of trades, newest first on the wire."""

    def one(raw: Raw) -> Sequence[Event]:
        return trades(Rows([_trade_row(raw)]), answered.session, answered.at)

    return missed_trades(answered, answered.content, one, below="after")


def _read_candles(answered: Answered[list[Raw]]) -> Read:
    """A page of candles, newest first on the wire."""
    session, query, channel = answered.session, answered.query, answered.channel
    native, interval = query.get("instId", ""), spelled(query.get("bar", "1m")) if channel is None else channel.params

    def one(raw: Raw) -> Sequence[Event]:
        row = _candle_row(raw)
        return [candle(row, session, native, interval, answered.at, closed=is_closed(row))]

    return missed_candles(answered, answered.content, one, below="after")


_READERS: dict[str, Callable[[Answered[list[Raw]]], Read]] = {
    INSTRUMENTS: _read_instruments,
    BOOKS: _read_books,
    HISTORY_TRADES: _read_trades,
    HISTORY_CANDLES: _read_candles,
    **ACCOUNT_READERS,
}
