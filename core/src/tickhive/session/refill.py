"""Refilling holes: fetch what the venue still has, hand it out in order, and say how each hole ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tickhive.channels import Channel
from tickhive.events import Candle, MarketEvent, Trade
from tickhive.plugin.contract import Answer, Fetch, Rejected
from tickhive.session.faults import tidy
from tickhive.session.holes import CandleHole, Hole, TradeHole, report
from tickhive.session.timers import SECOND

if TYPE_CHECKING:
    from tickhive.session.session import Session

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

    # Asking

    def open(self, hole: Hole, at: int, *, patient: bool = False) -> bool:
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
        self._session.fetch_desk.send(fetch, hole)

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
            session.fetch_desk.read(event, None, at, out)
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
