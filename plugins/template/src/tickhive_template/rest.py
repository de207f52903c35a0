"""What Template is asked by REST: which pairs it trades, and the trades that were missed."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from tickhive.plugin import (
    Answer,
    Channel,
    DataType,
    Event,
    ExchangeSettings,
    Fetch,
    Gap,
    Instrument,
    SessionView,
    hookimpl,
    make_symbol,
)
from tickhive.plugin.answers import Answered, Read, read_answer
from tickhive.plugin.paging import missed_trades
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
    query = f"market={channel.native}&first={gap.first_id}&last={gap.last_id}"
    return _fetch(session.settings, f"{TRADES}?{query}", channel)


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Read:
    """The events of one answer. It is recognised by its address: in a recording there is nothing else."""
    return read_answer({MARKETS: _markets, TRADES: _trades}, session, fetch, answer, at)


def _markets(answered: Answered[bytes]) -> Read:
    """The pairs of the list."""

    def one(row: Raw) -> Sequence[Event]:
        market = messages.decode_market(row)
        instrument = Instrument(
            exchange=answered.session.exchange,
            symbol=make_symbol(market.base, market.quote),
            native=market.market,
            type="spot",
            base=market.base,
            quote=market.quote,
            tick_size=market.tick,
            lot_size=market.lot,
        )
        return [answered.listed(instrument, market.market)]

    # Rows are read one by one: a bad one costs no other.
    return answered.rows(messages.decode_markets(answered.content).markets, one)


def _trades(answered: Answered[bytes]) -> Read:
    """The trades of one page, and the request for the next where this one does not reach the last."""

    def one(row: Raw) -> Sequence[Event]:
        return [trade(answered.session, messages.decode_trade(row), answered.at)]

    return missed_trades(answered, messages.decode_trades(answered.content).trades, one, above="first", until="last")
