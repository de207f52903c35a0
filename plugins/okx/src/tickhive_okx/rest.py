"""The REST requests OKX needs, and what their answers say: instruments, snapshots, missed trades and candles."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from string import ascii_letters
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import BookSnapshot, Candle, Gap, InstrumentUpdate, Trade
from tickhive.plugin import Answer, Event, Fetch, Limit, Malformed, Rejected, SessionView, Unknown, hookimpl
from tickhive.plugin.reading import NS_PER_MS, UNREADABLE, Text, read_rows, whole_number
from tickhive_okx.account_rest import FILLS, ORDER_DETAILS, ORDERS_PENDING, account_snapshot, order_details
from tickhive_okx.account_rest import READERS as ACCOUNT_READERS
from tickhive_okx.channels import wire_for
from tickhive_okx.codes import kind_of, reason_of
from tickhive_okx.fetches import fetch_for
from tickhive_okx.instruments import InstrumentRow, index, index_of
from tickhive_okx.pushes import (
    Arg,
    BookRow,
    CandleRow,
    Push,
    Rows,
    TradeRow,
    candles,
    instrument_update,
    trades,
)
from tickhive_okx.settings import OKXSettings

INSTRUMENTS, BOOKS, HISTORY_TRADES = "public/instruments", "market/books", "market/history-trades"
HISTORY_CANDLES = "market/history-candles"
BOOK_DEPTHS = {"": 400, "tbt": 400, "50tbt": 50}
TRADES_PER_PAGE = 100
CANDLES_PER_PAGE = 300

_MINUTE = 60_000
_LONGEST = {"s": 1_000, "m": _MINUTE, "H": 60 * _MINUTE, "D": 1_440 * _MINUTE, "W": 10_080 * _MINUTE,
            "M": 31 * 1_440 * _MINUTE}  # fmt: skip
"""How long a bar may last, ms."""


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
    """A book, numbered like the stream (``books5`` is whole with each push); open orders or the last fills."""
    if channel.data_type.private:
        return account_snapshot(session, channel)
    depth = BOOK_DEPTHS.get(channel.params) if channel.data_type is DataType.ORDERBOOK else None
    if depth is None:
        return None
    return fetch_for(session.settings, BOOKS, f"instId={channel.native}&sz={depth}", channel)


@hookimpl
def backfill(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    """Missed trades, from the newest down to the one known before the gap, which shows that nothing is missing; missed
    candles likewise, with one from either side of the gap; and how an order ended that is open no more.
    """
    if channel.data_type is DataType.ORDER:
        return order_details(session, channel, gap)
    if channel.data_type is DataType.CANDLE and gap.start is not None and gap.end is not None:
        bar = wire_for(channel).name.removeprefix("candle")
        digits = bar.rstrip(ascii_letters)
        newest = gap.end // NS_PER_MS + int(digits) * _LONGEST[bar[len(digits)]]
        return _candle_page(session.settings, channel, bar, newest + 1, gap.start // NS_PER_MS)
    if channel.data_type is not DataType.TRADE or not session.settings.backfill_trades:
        return None
    first, last = whole_number(gap.first_id), whole_number(gap.last_id)
    if first is None or last is None:
        return None
    until = max(first - 1, last - session.settings.backfill_trades)
    return _page(session.settings, channel, channel.native, last + 1, until)


def _page(settings: OKXSettings, channel: Channel | None, native: str, after: int, until: int) -> Fetch:
    # The fragment stays here (HTTP never sends one): it tells `read` where to stop.
    query = f"instId={native}&type=1&after={after}&limit={TRADES_PER_PAGE}#until={until}"
    return fetch_for(settings, HISTORY_TRADES, query, channel)


def _candle_page(settings: OKXSettings, channel: Channel, bar: str, after: int, until: int) -> Fetch:
    """Bars that opened before ``after``; the walk ends below ``until``. Both are ms."""
    query = f"instId={channel.native}&bar={bar}&after={after}&limit={CANDLES_PER_PAGE}#until={until}"
    return fetch_for(settings, HISTORY_CANDLES, query, channel)


class _Envelope(Struct, gc=False):
    code: Text
    msg: str = ""
    data: list[Raw] = []


_envelope = msgspec.json.Decoder(_Envelope, strict=False).decode
_instrument_row = msgspec.json.Decoder(InstrumentRow, strict=False).decode
_book_row = msgspec.json.Decoder(BookRow, strict=False).decode
_trade_row = msgspec.json.Decoder(TradeRow, strict=False).decode
_candle_row = msgspec.json.Decoder(CandleRow, strict=False).decode


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Fetch]:
    """Read an answer. A bad row is Malformed by itself; the good ones beside it are kept."""
    url = urlsplit(fetch.url)
    reader = _READERS.get(url.path.partition("/api/v5/")[2])
    if reader is None:
        return [Unknown(f"answer of {url.path[:80]}")]
    try:
        envelope = _envelope(answer.body)
    except UNREADABLE as error:
        return [Malformed(f"answer of {url.path}: {error}"[:200])]
    if envelope.code != "0":
        channel = fetch.channel
        # An account's stream goes on when its snapshot is refused.
        asked = (channel,) if channel is not None and not channel.data_type.private else ()
        return [Rejected(reason_of(envelope.code, envelope.msg), kind_of(envelope.code), None, asked)]
    query = dict(parse_qsl(url.query)) | dict(parse_qsl(url.fragment))
    return reader(session, fetch, envelope.data, query, at)


def _read_instruments(
    session: SessionView, fetch: Fetch, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event]:
    """Every row, and before them the indices their prices follow, which OKX lists nowhere."""
    indices: dict[str, InstrumentUpdate] = {}

    def one(raw: Raw) -> Sequence[Event]:
        row = _instrument_row(raw)
        event = instrument_update(row, session, at)
        if row.inst_type != "SPOT" and isinstance(event, InstrumentUpdate):
            name = index_of(row.inst_id)
            indices[name] = InstrumentUpdate(session.exchange, name, None, at, index(session.exchange, name))
        return [event]

    listed = read_rows(rows, one, INSTRUMENTS)
    return [*indices.values(), *listed]


def _read_books(
    session: SessionView, fetch: Fetch, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event]:
    native = query.get("instId", "")
    symbol = session.instruments.symbols.get(native, native)

    def one(raw: Raw) -> Sequence[Event]:
        row = _book_row(raw)
        timestamp = row.ts * NS_PER_MS
        return [BookSnapshot(session.exchange, symbol, timestamp, at, row.bids, row.asks, row.seq_id)]

    return read_rows(rows, one, BOOKS)


def _read_trades(
    session: SessionView, fetch: Fetch, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of trades, newest first on the wire, oldest first from here; the next page when the gap goes on."""
    events = read_rows(rows, lambda raw: trades(Rows([_trade_row(raw)]), session, at), HISTORY_TRADES)
    until = whole_number(query.get("until"))
    found: list[tuple[int, Trade]] = []
    others: list[Event] = []
    for event in events:
        id = whole_number(event.id) if isinstance(event, Trade) else None
        if isinstance(event, Trade) and id is not None:
            event.late = True
            found.append((id, event))
        else:
            others.append(event)
    found.sort(key=lambda numbered: numbered[0])
    known = 0 if until is None else bisect_right(found, until, key=lambda numbered: numbered[0])
    # One that was known comes along: it shows the core that nothing lies in between.
    missed = [trade for _, trade in found[max(known - 1, 0) :]]
    if until is not None and found and len(rows) >= TRADES_PER_PAGE:
        oldest, before = found[0][0], whole_number(query.get("after"))
        # A page that does not lead downwards would be asked for for ever.
        if oldest > until and (before is None or oldest < before):
            further = _page(session.settings, fetch.channel, query.get("instId", ""), oldest, until)
            return [*others, *missed, further]
    return [*others, *missed]


def _read_candles(
    session: SessionView, fetch: Fetch, rows: Sequence[Raw], query: Mapping[str, str], at: int
) -> Sequence[Event | Fetch]:
    """A page of candles, newest first on the wire, oldest first from here; the next page when the gap goes on."""
    bar, channel = query.get("bar", "1m"), fetch.channel
    arg = Arg(f"candle{bar}", query.get("instId", ""))
    events = read_rows(rows, lambda raw: candles(Push(arg, [_candle_row(raw)]), session, at)[:1], HISTORY_CANDLES)
    found: list[Candle] = []
    others: list[Event | Fetch] = []
    for event in events:
        if isinstance(event, Candle):
            event.late = True
            if channel is not None:
                event.interval = channel.params
            found.append(event)
        else:
            others.append(event)
    found.sort(key=lambda candle: candle.start)
    until = whole_number(query.get("until"))
    if channel is not None and until is not None and found and len(rows) >= CANDLES_PER_PAGE:
        oldest, before = found[0].start // NS_PER_MS, whole_number(query.get("after"))
        # A page that does not lead downwards would be asked for for ever.
        if oldest >= until and (before is None or oldest < before):
            others.append(_candle_page(session.settings, channel, bar, oldest, until))
    return [*found, *others]


_READERS: dict[str, Callable[..., Sequence[Any]]] = {
    INSTRUMENTS: _read_instruments,
    BOOKS: _read_books,
    HISTORY_TRADES: _read_trades,
    HISTORY_CANDLES: _read_candles,
    **ACCOUNT_READERS,
}
