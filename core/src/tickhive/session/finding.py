"""Finding holes: what the ids of trades, the starts of candles and lost sockets say is missing of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tickhive.channels import DataType
from tickhive.events import Candle, Gap, MarketEvent
from tickhive.plugin.contract import LastTrade
from tickhive.session.candle_starts import Series
from tickhive.session.continuity import moment, number_of
from tickhive.session.holes import CandleHole, TradeHole, missing
from tickhive.session.refill import DEADLINE, PATIENCE
from tickhive.session.timers import SECOND
from tickhive.session.trade_ids import Jump, Stray

if TYPE_CHECKING:
    from tickhive.session.session import Session


class HoleFinder:
    """The holes that the events of one socket reveal. Each is handed to the session's ``RefillDesk``; one that cannot
    be filled is told of at once. What comes live after all is taken out of the holes it belongs to.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._named: dict[str, int] = {}  # last trades the venue named that had not come by then

    # What is missing

    def odd(self, found: Sequence[Jump | Stray], at: int, out: list[MarketEvent]) -> None:
        """Act on what the ids of the trades in ``out`` revealed."""
        for each in found:
            if isinstance(each, Stray):
                self._came(each, out)
                continue
            before, after = each.before, each.after
            cause = f"trade ids jump from {before.id} to {after.id}"
            channels = self._session.asking.topic(DataType.TRADE, after.symbol)
            params = channels[0].params if channels else ""
            gap = Gap(
                after.exchange, after.symbol, None, at, DataType.TRADE, moment(before), moment(after), cause,
                str(each.first), str(each.last), params=params,
            )  # fmt: skip
            hole = self._trade_hole(gap, at)
            if hole is None or not self._session.refill.open(hole, at, patient=True):
                self._session.statistics.gaps += 1
                place = next(index for index, event in enumerate(out) if event is after)
                out.insert(place, gap)
                self._give_up(gap)

    def last_trade(self, event: LastTrade, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """The venue names the last trade of a symbol. It may be on its way: a moment later it is here, or missing."""
        number, symbol = number_of(event.id), event.symbol
        highest = self._session.feed.trade_ids.highest(symbol)
        if number is None or highest is None or number <= highest or symbol in self._named:
            return
        self._named[symbol] = number
        self._session.timers.set(self._look_for, symbol, at + PATIENCE)

    def _look_for(self, symbol: str, at: int, out: list[MarketEvent]) -> None:
        """Whether a trade that was named has come."""
        number, session = self._named.pop(symbol), self._session
        channels = session.asking.topic(DataType.TRADE, symbol)
        missed = session.feed.trade_ids.overtaken(symbol, number) if channels else None
        if missed is None:
            return
        before, first = missed
        cause = f"the venue's last trade is {number}, and {first - 1} the last that came"
        gap = Gap(
            before.exchange, symbol, None, at, DataType.TRADE, moment(before), at, cause, str(first), str(number),
            params=channels[0].params,
        )  # fmt: skip
        hole = self._trade_hole(gap, at)
        if hole is None or not session.refill.open(hole, at, patient=True):
            session.tell_of(gap, out)
            self._give_up(gap)

    def interrupted(self, gap: Gap, before: MarketEvent, first: MarketEvent, at: int) -> bool:
        """Take the gap a lost socket left between two events of a stream: True when it is seen to or was none after
        all, False: report it now.
        """
        if isinstance(before, Candle) and isinstance(first, Candle):
            return self._candles_interrupted(gap, before, first, at)
        if gap.data_type is not DataType.TRADE:
            return False
        ids = self._session.feed.trade_ids
        low, last, highest = number_of(gap.first_id), number_of(gap.last_id), ids.highest(gap.symbol)
        if low is None or last is None:
            ids.forget(gap.symbol)
            self._session.feed.missed_trades.pop(gap.symbol, None)
            return False
        if highest is not None and highest >= low:
            # The last trade before was not the one with the highest id.
            if highest >= last:
                return True
            gap.first_id = str(highest + 1)
        hole = self._trade_hole(gap, at)
        if hole is not None and self._session.refill.open(hole, at):
            return True
        self._give_up(gap)
        return False

    def candle(self, candle: Candle, at: int, out: list[MarketEvent]) -> bool:
        """Note a live candle; a hole it reveals is acted on. Answers whether the candle is to be handed out."""
        series = self._session.feed.candle_starts.of(candle)
        latest = series.latest
        if candle.start < latest.start:
            return self._candle_came(candle)
        if candle.start > latest.start and (series.cut is not None or not series.follows(candle)):
            self._skipped(series, candle, at, out)
        series.go_on(candle)
        return True

    def _skipped(self, series: Series, candle: Candle, at: int, out: list[MarketEvent]) -> None:
        """A stream left out intervals: a loss, or there was nothing to tell of them. The venue's history knows."""
        span = series.between(candle)
        if span is None or (series.sparse and series.cut is None):
            return
        cause = series.cut or f"no candle came in {(candle.start - series.latest.start) // SECOND} s"
        gap = Gap(
            candle.exchange, candle.symbol, None, at, DataType.CANDLE, *span, cause, params=candle.interval
        )  # fmt: skip
        hole = self._candle_hole(gap, series, candle, at)
        if hole is not None and self._session.refill.open(hole, at, patient=series.cut is None):
            return
        if series.cut is not None or series.dense:
            self._session.tell_of(gap, out)
        series.trials += 1

    def _candles_interrupted(self, gap: Gap, before: Candle, first: Candle, at: int) -> bool:
        series = self._session.feed.candle_starts.of(before)
        if series.interval is None:
            return first.start == before.start
        if before.start < first.start <= series.latest.start:
            # Another socket has gone on since. How the candle ended that ran here may have come on neither.
            if before.start not in series.unclosed:
                return True
            series.unclosed.remove(before.start)
            return self._candles_missing(gap, (before.start, before.start), series, first, at)
        if first.start < series.latest.start:
            series.cut = gap.cause  # it shows nothing yet
            return True
        span = series.between(first)
        if span is None:
            aligned = first.start == series.latest.start or series.follows(first)
            series.go_on(first)
            return aligned
        seen_to = self._candles_missing(gap, span, series, first, at)
        series.go_on(first)
        return seen_to

    def _candles_missing(self, gap: Gap, span: tuple[int, int], series: Series, first: Candle, at: int) -> bool:
        gap.start, gap.end = span
        hole = self._candle_hole(gap, series, first, at)
        return hole is not None and self._session.refill.open(hole, at)

    def _trade_hole(self, gap: Gap, at: int) -> TradeHole | None:
        first, last = number_of(gap.first_id), number_of(gap.last_id)
        channels = self._session.asking.topic(DataType.TRADE, gap.symbol)
        if first is None or last is None or not channels:
            return None
        chained = self._session.feed.trade_ids.consecutive(gap.symbol)
        return TradeHole(gap, channels[0], first, last, at + DEADLINE, chained)

    def _candle_hole(self, gap: Gap, series: Series, candle: Candle, at: int) -> CandleHole | None:
        channels = self._session.asking.topic(DataType.CANDLE, gap.symbol)
        channels = [each for each in channels if len(channels) == 1 or each.params == candle.interval]
        if not channels or series.interval is None or gap.start is None or gap.end is None:
            return None
        gap.params = channels[0].params
        return CandleHole(
            gap, channels[0], gap.start, gap.end, at + DEADLINE, series.interval, candle.interval
        )  # fmt: skip

    def _give_up(self, gap: Gap) -> None:
        """A hole in the trades is reported without having been asked for: count what is known to be missing."""
        first, last = number_of(gap.first_id), number_of(gap.last_id)
        feed = self._session.feed
        if first is not None and last is not None and feed.trade_ids.consecutive(gap.symbol):
            missing(gap.symbol, last - first + 1, feed.missed_trades)
            feed.trade_ids.lost(gap.symbol, first, last)

    # What comes live after all

    def _came(self, stray: Stray, out: list[MarketEvent]) -> None:
        """A trade came live after its successors: it need not be fetched, or was handed out already."""
        symbol, number, count = stray.trade.symbol, stray.number, stray.trade.count
        feed = self._session.feed
        holes = [hole for hole in feed.open_holes() if isinstance(hole, TradeHole) and hole.holds(symbol, number)]
        lacking = [hole for hole in holes if number not in hole.known]
        if stray.known:
            double = not lacking and not feed.trade_ids.lacks(symbol, number)
        else:
            double = feed.refilled.holds(symbol, number - count + 1, number + 1)
        if double:
            out[:] = [event for event in out if event is not stray.trade]
            return
        for hole in lacking:
            hole.known[number] = count
        feed.trade_ids.found(symbol, number - count + 1, number)

    def _candle_came(self, candle: Candle) -> bool:
        """A candle came live after its successors; answers whether it is to be handed out."""
        if self._session.feed.refilled.holds((candle.symbol, candle.interval), candle.start, candle.start + 1):
            return False
        if candle.closed:
            feed = self._session.feed
            unclosed = feed.candle_starts.of(candle).unclosed
            if candle.start in unclosed:
                unclosed.remove(candle.start)
            for hole in feed.open_holes():
                if isinstance(hole, CandleHole) and hole.holds(candle):
                    hole.known.add(candle.start)
        return True
