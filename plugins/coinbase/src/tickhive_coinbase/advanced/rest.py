"""The REST requests Advanced Trade needs, and what their answers say: products, missed trades and candles, funding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel, DataType
from tickhive.events import FundingRate, Gap, OpenInterest, Trade
from tickhive.plugin import Answer, Event, Fetch, Limit, Poll, SessionView, Unknown, hookimpl
from tickhive.plugin.answers import Answered, Read, read_answer
from tickhive.plugin.paging import again, lost_ids, missed_candles, missed_trades
from tickhive.plugin.reading import NS_PER_SECOND, exact, positive
from tickhive_coinbase.advanced.account_rest import READERS as ACCOUNT_READERS
from tickhive_coinbase.advanced.account_rest import account_snapshot, balances, order_details
from tickhive_coinbase.advanced.instruments import ProductRow, instrument
from tickhive_coinbase.advanced.pushes import CANDLE_SECONDS, CandleRow, TradeRow, candle
from tickhive_coinbase.advanced.settings import CoinbaseSettings
from tickhive_coinbase.values import TAKER, nanos

PRODUCTS_PER_PAGE = 1_000
TRADES_PER_PAGE = 1_000
CANDLES_PER_PAGE = 350


@hookimpl
def limits(settings: CoinbaseSettings) -> Sequence[Limit]:
    """Sockets, frames and public REST requests a second, by IP address; private ones by user.

    What the two kinds of REST requests are allowed is uncertain, so both are settings.
    """
    return (
        Limit("dial", 8, 1.0),
        Limit("request", 8, 1.0),
        Limit("public", settings.public_requests, 1.0),
        Limit("private", settings.private_requests, 1.0),
    )


def _fetch(settings: CoinbaseSettings, path: str, channel: Channel | None = None) -> Fetch:
    return Fetch(settings.rest(path), costs={"public": 1.0}, channel=channel)


@hookimpl
def instruments(settings: CoinbaseSettings) -> Sequence[Fetch]:
    """One list for each type of product."""
    query = f"limit={PRODUCTS_PER_PAGE}&offset=0"
    return [_fetch(settings, f"market/products?product_type={kind}&{query}") for kind in settings.product_types]


@hookimpl
def poll(channel: Channel, settings: CoinbaseSettings) -> Poll | None:
    """Balances, funding and open interest exist only by REST. ``connect`` refuses them with a parameter."""
    if channel.params:
        return None
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
    path = f"market/products/{market_of(session, channel)}"
    start, end = gap.start // NS_PER_SECOND, -(-gap.end // NS_PER_SECOND)
    # The fragment stays here (HTTP never sends one): it tells `read` where to stop.
    if channel.data_type is DataType.CANDLE:
        until, end = start - CANDLE_SECONDS, end + CANDLE_SECONDS
        query = f"start={_page_start(until, end)}&end={end}&granularity=FIVE_MINUTE&limit={CANDLES_PER_PAGE}"
        return _fetch(settings, f"{path}/candles?{query}#until={until}", channel)
    lost = lost_ids(gap, settings.backfill_trades)
    if channel.data_type is not DataType.TRADE or lost is None:
        return None
    until, last = lost
    # Whether the bounds belong to it is not said, so a second is added on either side.
    query = f"limit={TRADES_PER_PAGE}&start={start - 1}&end={end + 1}#until={until}&below={last + 2}"
    return _fetch(settings, f"{path}/ticker?{query}", channel)


def market_of(session: SessionView, channel: Channel) -> str:
    """The product whose market an instrument trades in: its own, or the one it shares."""
    known = session.instruments.get(channel.symbol)
    return known.alias if known is not None and known.alias else channel.native


def _page_start(until: int, end: int) -> int:
    """Where the page of candles begins that ends here, seconds."""
    return max(until, end - (CANDLES_PER_PAGE - 1) * CANDLE_SECONDS)


# The list is required: an error comes with HTTP 200 too, and is no empty list.
class _Products(Struct, gc=False):
    products: list[Raw]


class _Trades(Struct, gc=False):
    trades: list[Raw]


class _Candles(Struct, gc=False):
    candles: list[Raw]


class _PastCandle(Struct, gc=False):
    start: int
    low: str
    high: str
    open: str
    close: str
    volume: str


_products = msgspec.json.Decoder(_Products).decode
_trades = msgspec.json.Decoder(_Trades).decode
_candles = msgspec.json.Decoder(_Candles).decode
_product = msgspec.json.Decoder(ProductRow).decode
_trade = msgspec.json.Decoder(TradeRow).decode
_past_candle = msgspec.json.Decoder(_PastCandle, strict=False).decode


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Read:
    """Read an answer. A bad row is Malformed by itself; the good ones beside it are kept."""
    return read_answer(_READERS, session, fetch, answer, at)


def _read_products(answered: Answered[bytes]) -> Read:
    """A page of the list, and the next one."""

    def one(raw: Raw) -> Sequence[Event]:
        row = _product(raw)
        return [answered.listed(instrument(answered.session.exchange, row), f"{row.product_id} ({row.product_type})")]

    rows = _products(answered.content).products
    events, offset = answered.rows(rows, one), answered.number("offset")
    if offset is None or not answered.full(rows):
        return events
    return [*events, again(answered.fetch, offset=offset + len(rows))]


def _read_product(answered: Answered[bytes]) -> Read:
    """Funding or open interest of one perpetual future: what was asked for, both where nobody here asked."""
    row = _product(answered.content)
    details = row.future_product_details
    perpetual = details.perpetual_details if details is not None else None
    if perpetual is None:
        return ()
    wanted = None if answered.channel is None else answered.channel.data_type
    about = answered.session.exchange, answered.symbol(row.product_id), None, answered.at
    events: list[Event] = []
    if perpetual.funding_rate and wanted in (None, DataType.FUNDING_RATE):
        events.append(FundingRate(*about, exact(perpetual.funding_rate), nanos(perpetual.funding_time)))
    if perpetual.open_interest and wanted in (None, DataType.OPEN_INTEREST):
        events.append(OpenInterest(*about, exact(perpetual.open_interest)))
    return events


def _symbol(answered: Answered[bytes]) -> str:
    """Whose history was asked for: not always the product's whose market it is."""
    return answered.channel.symbol if answered.channel is not None else answered.symbol(answered.parts[0])


def _read_trades(answered: Answered[bytes]) -> Read:
    """A page of trades, newest first on the wire. Pages are asked for by time, and told apart by id."""
    exchange, symbol, at = answered.session.exchange, _symbol(answered), answered.at

    def one(raw: Raw) -> Sequence[Event]:
        row = _trade(raw)
        about = row.trade_id, TAKER[row.side], positive[row.price], positive[row.size]
        return [Trade(exchange, symbol, nanos(row.time), at, *about)]

    def ending(oldest: Trade) -> dict[str, int]:
        return {"end": (oldest.timestamp or 0) // NS_PER_SECOND + 1}

    return missed_trades(answered, _trades(answered.content).trades, one, below="below", also=ending)


def _read_candles(answered: Answered[bytes]) -> Read:
    """A page of candles, newest first on the wire; the next page when the gap goes on."""
    session, at, native, symbol = answered.session, answered.at, answered.parts[0], _symbol(answered)
    if answered.query.get("granularity", "FIVE_MINUTE") != "FIVE_MINUTE":
        return [Unknown(f"candles of {answered.query['granularity'][:40]}")]

    def one(raw: Raw) -> Sequence[Event]:
        row = _past_candle(raw)
        whole = CandleRow(native, row.start, row.open, row.high, row.low, row.close, row.volume)
        return [candle(whole, session.exchange, symbol, None, at, at)]

    events = missed_candles(answered, _candles(answered.content).candles, one)
    until, start = answered.number("until"), answered.number("start")
    # A page of candles covers a span of time, however many there are in it.
    if until is not None and start is not None and start > until:
        events.append(again(answered.fetch, start=_page_start(until, start), end=start))
    return events


_READERS: dict[str, Callable[[Answered[bytes]], Read]] = {
    "market/products": _read_products,
    "market/products/*": _read_product,
    "market/products/*/ticker": _read_trades,
    "market/products/*/candles": _read_candles,
    **ACCOUNT_READERS,
}
