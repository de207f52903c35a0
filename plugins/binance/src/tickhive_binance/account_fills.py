"""An account's fills that no socket brought: asked for by symbol, one window of time after the other.

Pages "Account trade list" of the spot documentation (2026-07-21) and of the derivatives documentation (2026-05-28):
``symbol`` must be named; from ``startTime`` to ``endTime`` are at most 24 hours on spot and 7 days on futures, 1000
rows at most. Which rows are left out of a fuller window is not said, so a full page is dropped and half its window
asked for: what is handed out is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel
from tickhive.events import Fill, Gap
from tickhive.plugin import Event, Fetch, Malformed, SessionView
from tickhive.plugin.answers import Answered, Read
from tickhive.plugin.reading import NS_PER_MS, Int64, Millis, Numeral, Text, exact, number
from tickhive_binance.account import SIDES, SLOTS, BuySell, Slot, symbol_of
from tickhive_binance.fetches import fetch_for, rows_of
from tickhive_binance.settings import BinanceSettings

ROWS_PER_PAGE = 1000

_HOUR = 3_600_000
_DAY = 24 * _HOUR
_MARGIN = 10_000
"""How far our clock may be off, ms: with more, Binance refuses what we sign (``recvWindow``)."""


def missed_fills(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    """The first window of a symbol's missed fills; None where they are too old to be asked for, or it is not listed."""
    settings: BinanceSettings = session.settings
    instrument = session.instruments.get(gap.symbol)
    if instrument is None or gap.start is None or gap.end is None:
        return None
    start, until = gap.start // NS_PER_MS - _MARGIN, gap.end // NS_PER_MS + _MARGIN
    if gap.end - gap.start > settings.backfill_fill_days * _DAY * NS_PER_MS:
        return None
    return _window(settings, channel, instrument.native, start, settings.market.fills_hours * _HOUR, until)


def _window(
    settings: BinanceSettings, channel: Channel | None, native: str, start: int, length: int, until: int
) -> Fetch:
    """Fills from ``start`` on, for ``length`` ms. The last window has no end: fills may come while it is asked for.

    The fragment stays here (HTTP never sends one): it tells ``read`` which window it was, and where to stop.
    """
    market = settings.market
    end = min(start + length, until)
    bound = f"&endTime={end}" if end < until else ""
    query = f"symbol={native}&startTime={start}{bound}&limit={ROWS_PER_PAGE}#end={end}&until={until}"
    return fetch_for(settings, f"{market.fills}?{query}", channel, weight=market.fills_weight)


class _FillRow(Struct, gc=False, rename="camel"):
    """A trade of the account. Spot says ``isBuyer`` and ``isMaker``, futures ``side`` and ``maker``."""

    symbol: Text
    id: Int64
    order_id: Int64
    price: Numeral
    qty: Numeral
    time: Millis
    commission: Numeral = ""
    commission_asset: Text = ""
    side: BuySell | None = None
    is_buyer: bool | None = None
    maker: bool | None = None
    is_maker: bool | None = None
    position_side: Slot = "BOTH"


_fill_row = msgspec.json.Decoder(_FillRow).decode


def _fill(answered: Answered[bytes], raw: Raw) -> Sequence[Fill]:
    row, session = _fill_row(raw), answered.session
    side = row.side if row.side is not None else {True: "BUY", False: "SELL", None: ""}[row.is_buyer]
    if not side:
        raise ValueError("neither side nor isBuyer is there")
    makes = row.maker if row.maker is not None else row.is_maker
    liquidity: Literal["maker", "taker", ""] = "" if makes is None else "maker" if makes else "taker"
    about = session.exchange, symbol_of(session, row.symbol), row.time * NS_PER_MS, answered.at, session.account
    amounts = exact(row.price), exact(row.qty), liquidity, number(row.commission), row.commission_asset
    return [Fill(*about, str(row.id), str(row.order_id), SIDES[side], *amounts, "", True, SLOTS[row.position_side])]


def _read_fills(answered: Answered[bytes]) -> Read:
    """A window of fills, oldest first, and the next one while there is time left."""
    settings: BinanceSettings = answered.session.settings
    rows, channel, native = rows_of(answered.content), answered.channel, answered.query.get("symbol", "")
    start, end, until = answered.number("startTime"), answered.number("end"), answered.number("until")
    full = answered.full(rows)
    if start is None or end is None or until is None:
        start = end = until = 0  # a recorded answer: there is only this page
    if full and start < end:
        return [_window(settings, channel, native, start, (end - start) // 2, until)]
    found = answered.rows(rows, lambda raw: _fill(answered, raw))
    fills = [each for each in found if isinstance(each, Fill)]
    fills.sort(key=lambda fill: (fill.timestamp or 0, int(fill.id)))
    events: list[Event | Fetch] = [*fills, *(each for each in found if not isinstance(each, Fill))]
    if full and until:
        events.append(Malformed(f"{len(rows)} fills in a millisecond: whether there were more cannot be asked"))
    if end < until:
        length = min(2 * (end - start) + 1, settings.market.fills_hours * _HOUR)
        events.append(_window(settings, channel, native, end + 1, length, until))
    return events


READERS: dict[str, Callable[[Answered[bytes]], Read]] = {"myTrades": _read_fills, "userTrades": _read_fills}
"""Who reads the answer of each path."""
