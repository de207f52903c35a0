"""What Template is asked by REST: which pairs it trades, and the trades that were missed."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tickhive.plugin import (
    Answer,
    Channel,
    DataType,
    Event,
    ExchangeSettings,
    Fetch,
    Gap,
    Instrument,
    InstrumentUpdate,
    Malformed,
    SessionView,
    Unknown,
    hookimpl,
    make_symbol,
)
from tickhive.plugin.reading import UNREADABLE, brief
from tickhive_template import messages
from tickhive_template.parsing import trade

REST_URL = "https://api.template.example"
MARKETS, TRADES = "/v1/markets", "/v1/trades"


def _fetch(settings: ExchangeSettings, path: str, channel: Channel | None = None) -> Fetch:
    # Every request weighs one in the limit of that name.
    return Fetch(f"{settings.rest_url or REST_URL}{path}", costs={"rest": 1.0}, channel=channel)


@hookimpl
def instruments(settings: ExchangeSettings) -> Sequence[Fetch]:
    """Where all pairs are listed; ``read`` gets the answer."""
    return [_fetch(settings, MARKETS)]


@hookimpl
def backfill(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    """Where missed trades are found, by the ids they must have had. Books need none: a fresh snapshot replaces them."""
    if channel.data_type is not DataType.TRADE or gap.first_id is None or gap.last_id is None:
        return None
    return _missed(session.settings, channel.native, gap.first_id, gap.last_id, channel)


def _missed(settings: ExchangeSettings, market: str, first: str, last: str, channel: Channel | None) -> Fetch:
    return _fetch(settings, f"{TRADES}?market={market}&first={first}&last={last}", channel)


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Fetch]:
    """The events of one answer. It is recognised by its address: in a recording there is nothing else."""
    url = urlsplit(fetch.url)
    try:
        if url.path.endswith(MARKETS):
            return [_listing(session, row, at) for row in messages.decode_markets(answer.body).markets]
        if url.path.endswith(TRADES):
            return _missed_trades(session, fetch, messages.decode_trades(answer.body).trades, at)
    except UNREADABLE as error:
        return [Malformed(f"{url.path}: {brief(error)}")]
    return [Unknown(f"the answer of {url.path[:80]}")]


def _listing(session: SessionView, row: msgspec.Raw, at: int) -> Event:
    try:
        market = messages.decode_market(row)
    except UNREADABLE as error:
        return Malformed(f"{MARKETS}: {brief(error)}")
    instrument = Instrument(
        exchange=session.exchange,
        symbol=make_symbol(market.base, market.quote),
        native=market.market,
        type="spot",
        base=market.base,
        quote=market.quote,
        tick_size=market.tick,
        lot_size=market.lot,
    )
    return InstrumentUpdate(session.exchange, instrument.symbol, None, at, instrument)


def _missed_trades(
    session: SessionView, fetch: Fetch, page: Sequence[messages.Trade], at: int
) -> Sequence[Event | Fetch]:
    """The trades of one page, and the request for the next where this one does not reach the last."""
    events: list[Event | Fetch] = [trade(session, row, at, late=True) for row in page]
    asked = dict(parse_qsl(urlsplit(fetch.url).query))
    first, last = asked.get("first", ""), asked.get("last", "")
    # A page that does not lead onwards would be asked for again and again.
    if page and first.isdecimal() and last.isdecimal() and int(first) <= page[-1].id < int(last):
        events.append(_missed(session.settings, page[-1].market, str(page[-1].id + 1), last, fetch.channel))
    return events
