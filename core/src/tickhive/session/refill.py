"""Refilling holes: fetch what the venue still has, hand it out in order, and say how each hole ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tickhive.channels import Channel, DataType
from tickhive.events import Candle, Gap, MarketEvent, Trade
from tickhive.plugin.contract import Answer, Fetch, Rejected
from tickhive.session.candle_starts import Series
from tickhive.session.continuity import moment
from tickhive.session.faults import tidy
from tickhive.session.holes import CandleHole, Hole, TradeHole, missing, report
from tickhive.session.timers import SECOND
from tickhive.session.trade_ids import Jump, Stray

if TYPE_CHECKING:
    from tickhive.session.session import Session

__all__ = ["DEADLINE", "PATIENCE", "Hole", "RefillDesk", "report"]

DEADLINE = 30 * SECOND
"""So long after it was found a hole is reported as it stands; time without a socket does not count."""

PATIENCE = SECOND
"""So long a hole that one of several sockets shows may be filled by another before anybody hears of it."""

_MOST_PAGES = 1_000  # of one walk
_MOST_WALKS = 3  # a venue's history may lag behind its stream
_WALK_AGAIN = 2 * SECOND
_MOST_HOLES = 1_000  # open at once; any further is reported as it stands


class RefillDesk:
    """The holes one socket has filled. Live events are never held up by them.

    A hole is reported as one Gap once it is known how it ended, after what was in it: ``whole`` when nothing is missing
    any more, ``part`` when some of it is there, else ``none``. While other sockets carry the stream a hole is given
    ``PATIENCE``: what they bring was never missing. Holes whose socket is lost wait in the feed for another one that
    carries their channel.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._offered = session.feed.stack.offers("backfill")
        self._holes: dict[Hole, None] = {}

    @property
    def holes(self) -> Iterable[Hole]:
        """Those this socket has filled."""
        return self._holes

    # Finding holes

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
            if hole is None or not self._open(hole, at, patient=True):
                self._session.statistics.gaps += 1
                place = next(index for index, event in enumerate(out) if event is after)
                out.insert(place, gap)
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
        low, last, highest = _number(gap.first_id), _number(gap.last_id), ids.highest(gap.symbol)
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
        if hole is not None and self._open(hole, at):
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
        if hole is not None and self._open(hole, at, patient=series.cut is None):
            return
        if series.cut is not None or series.dense:
            self._session.statistics.gaps += 1
            out.append(gap)
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
        return hole is not None and self._open(hole, at)

    def _trade_hole(self, gap: Gap, at: int) -> TradeHole | None:
        first, last = _number(gap.first_id), _number(gap.last_id)
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

    def _open(self, hole: Hole, at: int, *, patient: bool = False) -> bool:
        """Have a hole filled; False when that cannot be, and the gap is to be reported now."""
        session = self._session
        if len(self._holes) + len(session.feed.holes) >= _MOST_HOLES:
            return False
        if patient and session.overlaps:
            hole.patience = at + PATIENCE
            session.timers.set(self._again, hole, hole.patience)
        elif not self._offered or not self._walk(hole, at):
            return False
        self._holes[hole] = None
        session.timers.set(self._overdue, hole, hole.deadline)
        if isinstance(hole, TradeHole):
            session.feed.trade_ids.refilling(hole.gap.symbol)
        if session.feed.on_hole is not None:
            session.feed.on_hole(evolve(hole.gap))
        return True

    def _give_up(self, gap: Gap) -> None:
        """A hole in the trades is reported without having been asked for: count what is known to be missing."""
        first, last = _number(gap.first_id), _number(gap.last_id)
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

    # Asking

    def _walk(self, hole: Hole, at: int) -> bool:
        """Ask for what is still missing; False when the plugin knows no way to."""
        session = self._session
        fetch = session.hooks.one("backfill", session=session, channel=hole.channel, gap=hole.wanted())
        if not isinstance(fetch, Fetch):
            return False
        hole.walks += 1
        hole.pages = 0
        self._ask(hole, fetch)
        return True

    def _ask(self, hole: Hole, fetch: Fetch) -> None:
        hole.fetch = fetch
        hole.pages += 1
        self._session.send_fetch(fetch, hole)

    def _again(self, hole: Hole, at: int, out: list[MarketEvent]) -> None:
        if hole not in self._holes or hole.fetch is not None:
            return
        if hole.patience is not None and hole.lacking() is not None:
            hole.patience = None
            hole.narrow()
        if hole.lacking() is None or not self._offered or not self._walk(hole, at):
            self._end(hole, out)

    # Answers

    def answered(self, hole: Hole, fetch: Fetch, answer: Answer, at: int, out: list[MarketEvent]) -> None:
        """A page of what was missed came."""
        if hole.fetch is not fetch:
            return
        hole.fetch = None
        session = self._session
        said, fault = session.hooks.many("read", session=session, fetch=fetch, answer=answer, at=at)
        further: Fetch | None = None
        try:
            for event in said:
                further = self._read(hole, event, at, out) or further
        except Exception as error:
            fault = session.hooks.failed("read", error)
        if fault is not None:
            hole.fault = fault
            self._end(hole, out)
        elif further is not None and hole.pages < _MOST_PAGES and not hole.full():
            self._ask(hole, further)
        elif hole.lacking() is not None and hole.walks < _MOST_WALKS and not hole.refused:
            session.timers.set(self._again, hole, at + _WALK_AGAIN)
        else:
            self._end(hole, out)

    def _read(self, hole: Hole, event: Any, at: int, out: list[MarketEvent]) -> Fetch | None:
        """Act on one thing an answer said; answers the next page, if that is what it is."""
        session = self._session
        if isinstance(event, Trade | Candle):
            hole.take(event)
        elif isinstance(event, Fetch):
            return event
        elif isinstance(event, Rejected):
            hole.fault = session.conversation.refused(event)
            hole.refused = event.kind not in ("rate", "retry")
        else:
            session.read_event(event, None, at, out)
        return None

    def failed(self, hole: Hole, fetch: Fetch, reason: str, out: list[MarketEvent]) -> None:
        """A page could not be had."""
        if hole.fetch is fetch:
            hole.fault = tidy(reason)
            self._end(hole, out)

    def _overdue(self, hole: Hole, at: int, out: list[MarketEvent]) -> None:
        if hole in self._holes:
            hole.fault = hole.fault or f"not complete within {DEADLINE // SECOND} s"
            self._end(hole, out)

    # The end of a hole

    def _end(self, hole: Hole, out: list[MarketEvent]) -> None:
        session, feed = self._session, self._session.feed
        self._holes.pop(hole, None)
        hole.fetch = None
        session.timers.cancel(self._overdue, hole)
        session.timers.cancel(self._again, hole)
        if isinstance(hole, CandleHole) and hole.void() and hole.patience is None:
            series = feed.candle_starts.get(hole.gap.symbol, hole.name)
            if series is not None:
                series.trials += 1
        events = report(hole, feed.missed_trades)
        for first, last in hole.open():
            feed.trade_ids.lost(hole.gap.symbol, first, last)
        if not events:
            return
        session.statistics.gaps += 1
        out += events
        feed.refilled.add(hole.stream, hole.given())

    def forget(self, channel: Channel) -> None:
        """Nobody wants what is missing of this channel any more."""
        timers = self._session.timers
        for hole in [hole for hole in self._holes if hole.channel == channel]:
            del self._holes[hole]
            hole.fetch = None
            timers.cancel(self._overdue, hole)
            timers.cancel(self._again, hole)

    def resume(self, at: int) -> None:
        """Subscriptions are sent: take over the holes of lost sockets whose channels are carried here."""
        session = self._session
        waiting = session.feed.holes
        for hole in waiting.copy():
            if hole.channel in session.asking.channels:
                hole.deadline = at + hole.left
            elif hole.channel in session.feed.ledger:
                continue  # another socket carries it, or will
            waiting.remove(hole)
            self._holes[hole] = None
            session.timers.set(self._overdue, hole, hole.deadline)
            session.timers.set(self._again, hole, max(at, hole.patience or at))

    def lost(self, at: int) -> None:
        """The socket is gone: another one goes on, with the time that was left."""
        for hole in self._holes:
            hole.left = max(0, hole.deadline - at)
            hole.fetch = None
            hole.walks = 0
            self._session.feed.holes.append(hole)
        self._holes.clear()


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) <= 30 else None
