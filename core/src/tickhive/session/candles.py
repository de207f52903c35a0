"""Candles from trades: exact, by the venue's own time, corrected when a trade comes late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Literal

from tickhive.channels import Instrument
from tickhive.errors import ConfigurationError
from tickhive.events import Candle, Trade
from tickhive.session.candle_ids import SeenTrades
from tickhive.session.candle_intervals import DAY, SECOND, Interval, read_intervals
from tickhive.session.candle_series import EXACT, Bar, Series
from tickhive.session.continuity import number_of

MOST_IDS = 100_000
"""Ids (runs of consecutive numbers count once) remembered of one symbol; beyond it the oldest are let go."""

_NEVER = -(1 << 62)


class _Market:
    """One symbol of one exchange: its candles of every interval, its trades of late, its own watermark."""

    __slots__ = ("exchange", "ids", "series", "symbol", "tidied", "watermark")

    def __init__(self, exchange: str, symbol: str, ids: SeenTrades) -> None:
        self.exchange = exchange
        self.symbol = symbol
        self.ids = ids
        self.series: list[Series] = []
        self.watermark = _NEVER
        self.tidied = _NEVER


class CandleBuilder:
    """Builds the candles of any number of symbols, of all ``intervals`` at once, from their trades.

    A trade belongs to the interval of its ``timestamp`` (of ``received`` where the venue sends none). Within one
    timestamp the numbers of the ids say which came first; ids that are no numbers go by arrival. So the candles do not
    depend on the order in which trades arrive.

    An interval is closed ``grace_seconds`` after its end, by the time of the symbol's own trades or by ``advance``,
    whichever comes first. A later trade corrects it: the candle is handed out again with the next ``revision``. This
    goes on for ``revise_seconds``; within them a trade that comes twice (by id) counts once, and older trades are
    dropped from all intervals alike. ``empty`` says what becomes of an interval without a trade: ``skip`` it, or a
    ``flat`` candle of volume 0 at the close before it. ``utc_offset_hours`` moves the beginning of days, weeks and
    months to another clock's (8: midnight at UTC+8).

    ``volume`` counts the unit of the trades' sizes. For spot pairs, and other instruments once ``learn`` was told
    of them, ``base_volume`` and ``quote_volume`` are given where they are exact (of inverse contracts only the latter).
    ``timestamp`` is the last trade's, ``received`` the time of the call that handed the candle out.

    Feed one trade stream a symbol: executions and the same ones merged would both count.

    >>> trade = Trade("acme", "BTC-USDT", 61_000_000_000, 61_000_000_000, "7", "buy", Decimal("9.5"), Decimal(2))
    >>> builder = CandleBuilder(["1m"])
    >>> builder.add(trade)
    []
    >>> [candle] = builder.advance(122_000_000_000)
    >>> candle.start, candle.close, candle.volume, candle.quote_volume, candle.closed, candle.revision
    (60000000000, Decimal('9.5'), Decimal('2'), Decimal('19.0'), True, 0)
    """

    def __init__(
        self,
        intervals: Iterable[str],
        *,
        empty: Literal["skip", "flat"] = "skip",
        grace_seconds: float = 2.0,
        revise_seconds: float = 3600,
        utc_offset_hours: float = 0,
    ) -> None:
        if empty not in ("skip", "flat"):
            raise ConfigurationError(f"empty: expected 'skip' or 'flat', got {empty!r}")
        for name, seconds in (("grace_seconds", grace_seconds), ("revise_seconds", revise_seconds)):
            if not 0 <= seconds < 10 * 365 * 86_400:
                raise ConfigurationError(f"{name}: expected seconds from 0 up to ten years, got {seconds!r}")
        if not -24 < utc_offset_hours < 24:
            raise ConfigurationError(f"utc_offset_hours: expected less than 24 either way, got {utc_offset_hours!r}")
        self.duplicates = 0
        """Trades that came again."""
        self.dropped = 0
        """Trades too old to be taken in, or dated more than a day after their arrival."""
        self._intervals = read_intervals(intervals, round(utc_offset_hours * 3600) * SECOND)
        self._flat = empty == "flat"
        self._grace = round(grace_seconds * SECOND)
        self._revise = round(revise_seconds * SECOND)
        self._markets: dict[str, dict[str, _Market]] = {}
        self._instruments: dict[tuple[str, str], Instrument] = {}
        self._watermark = _NEVER
        self._arrivals = 0

    def learn(self, instrument: Instrument) -> None:
        """Note what the sizes of an instrument count, for base and quote volumes."""
        self._instruments[instrument.exchange, instrument.symbol] = instrument

    def forget(self, symbol: str, *, exchange: str | None = None) -> None:
        """Let go of a symbol that does not trade any more: what was not closed is not handed out."""
        for market in tuple(self._listed(symbol, exchange)):
            del self._markets[symbol][market.exchange]
            self._instruments.pop((market.exchange, symbol), None)
        if not self._markets.get(symbol):
            self._markets.pop(symbol, None)

    def add(self, trade: Trade) -> list[Candle]:
        """Take in a trade; answers the closed candles it corrects, then those that close by it."""
        at = trade.received if trade.timestamp is None else trade.timestamp
        market = self._markets.get(trade.symbol, {}).get(trade.exchange)
        watermark = self._watermark if market is None else max(self._watermark, market.watermark)
        if at < watermark - self._revise or at < 0 or at - trade.received > DAY:
            self.dropped += 1
            return []
        if market is None:
            market = self._open_market(trade, at)
        number = number_of(trade.id)
        if at < market.ids.since:
            self.dropped += 1
            return []
        if market.ids.seen(trade.id, number, at, exact=trade.timestamp is not None):
            self.duplicates += 1
            return []
        market.ids.note(trade.id, number, trade.count, at)
        self._arrivals += 1
        order = (at, -1 if number is None else number, self._arrivals)
        candles: list[Candle] = []
        for series in market.series:
            for bar in series.take(order, trade):
                candles.append(self._candle(market, series.interval, bar, trade.received))
        # A trade dated after its arrival does not close what others will still be counted in.
        market.watermark = max(market.watermark, min(at, trade.received) - self._grace)
        return self._close(market, trade.received, candles)

    def advance(self, at_ns: int) -> list[Candle]:
        """Close what is due at this time, ns UTC: every interval that ended ``grace_seconds`` before it."""
        self._watermark = max(self._watermark, at_ns - self._grace)
        candles: list[Candle] = []
        for markets in self._markets.values():
            for market in markets.values():
                self._close(market, at_ns, candles)
        return candles

    def current(self, symbol: str, interval: str, *, exchange: str | None = None) -> Candle | None:
        """Give the candle that runs now, as far as it got; None when there is none. Changes nothing.

        ValueError: an interval that is not built, or a symbol of several exchanges and none named.
        """
        names = [each.name for each in self._intervals]
        if interval not in names:
            raise ConfigurationError(f"interval: {interval!r} is not built here; there is {', '.join(names)}")
        found = tuple(self._listed(symbol, exchange))
        if not found:
            return None
        if len(found) > 1:
            listed = ", ".join(market.exchange for market in found)
            raise ConfigurationError(f"exchange: {symbol} has trades of {listed}; name one of them")
        market = found[0]
        series = market.series[names.index(interval)]
        bar = series.current()
        return None if bar is None else self._candle(market, series.interval, bar, bar.received, closed=False)

    def held(self) -> int:
        """How much is remembered: candles that may still change, and ids (a run of consecutive ones counts once)."""
        return sum(
            len(market.ids) + sum(map(len, market.series))
            for markets in self._markets.values()
            for market in markets.values()
        )

    def _open_market(self, trade: Trade, at: int) -> _Market:
        market = _Market(trade.exchange, trade.symbol, SeenTrades(self._revise, MOST_IDS))
        # Intervals that may still get trades within the grace are open from the start.
        reached = max(self._watermark, min(at, trade.received) - self._grace)
        market.series = [Series(interval, self._flat, min(at, reached)) for interval in self._intervals]
        self._markets.setdefault(trade.symbol, {})[trade.exchange] = market
        return market

    def _listed(self, symbol: str, exchange: str | None) -> Iterator[_Market]:
        for market in self._markets.get(symbol, {}).values():
            if exchange is None or market.exchange == exchange:
                yield market

    def _close(self, market: _Market, received: int, candles: list[Candle]) -> list[Candle]:
        watermark = max(self._watermark, market.watermark)
        for series in market.series:
            if series.due <= watermark:
                for bar in series.close(watermark, watermark - self._revise):
                    candles.append(self._candle(market, series.interval, bar, received))
        if watermark - market.tidied >= market.ids.width:
            market.tidied = watermark
            market.ids.forget(watermark - self._revise, watermark)
        return candles

    def _candle(self, market: _Market, interval: Interval, bar: Bar, received: int, closed: bool = True) -> Candle:
        base, quote = self._volumes(market, bar)
        return Candle(
            market.exchange, market.symbol, bar.timestamp, received, interval.name, bar.start,
            bar.open, bar.high, bar.low, bar.close, bar.volume, base, quote, closed, bar.revision,
        )  # fmt: skip

    def _volumes(self, market: _Market, bar: Bar) -> tuple[Decimal | None, Decimal | None]:
        instrument = self._instruments.get((market.exchange, market.symbol))
        if instrument is None:
            # A symbol of two parts is a spot pair, and sizes of spot pairs count the base currency.
            return (bar.volume, bar.turnover) if market.symbol.count("-") == 1 else (None, None)
        if instrument.size_unit == "base":
            return bar.volume, bar.turnover
        size = instrument.contract_size
        if size is None:
            return None, None
        if instrument.contract_currency == instrument.base:
            return EXACT.multiply(bar.volume, size), EXACT.multiply(bar.turnover, size)
        if instrument.contract_currency == instrument.quote:
            return None, EXACT.multiply(bar.volume, size)
        return None, None
