"""Holes in the trades: fetch what the venue still has, hand it out in order, and say how each hole ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from tickhive.channels import Channel, DataType
from tickhive.events import Gap, MarketEvent, Trade
from tickhive.plugin.contract import Answer, Fetch, Rejected
from tickhive.session.continuity import moment, trade_number
from tickhive.session.faults import tidy
from tickhive.session.timers import SECOND
from tickhive.session.trade_ids import Jump, Stray

if TYPE_CHECKING:
    from tickhive.session.session import Session

DEADLINE = 30 * SECOND
"""So long after it was found a hole is reported as it stands; time without a socket does not count."""

_MOST_TRADES = 100_000  # held for one hole
_MOST_PAGES = 1_000  # of one walk
_MOST_WALKS = 3  # a venue's history may lag behind its stream
_WALK_AGAIN = 2 * SECOND
_MOST_REMEMBERED = 20_000  # ids handed out late
_MOST_HOLES = 1_000  # open at once; any further is reported as it stands


@define(eq=False)
class Hole:
    """Missing trades that are being fetched: ids ``first`` to ``last``, both inclusive.

    ``chained``: the stream's ids are known to be consecutive, so each of them is a trade. ``found`` holds the trades
    fetched, ``known`` the counts by id of those that came live after all. ``reached``: a walk
    has met what was known before. ``fault`` says what went wrong last; ``refused``: asking again is in vain.
    """

    gap: Gap
    channel: Channel
    first: int
    last: int
    chained: bool
    deadline: int
    fetch: Fetch | None = None
    found: dict[int, Trade] = field(factory=dict)
    known: dict[int, int] = field(factory=dict)
    reached: bool = False
    pages: int = 0
    walks: int = 0
    left: int = 0
    fault: str | None = None
    refused: bool = False

    def take(self, trade: Trade) -> None:
        """Note a fetched trade, if it was missed; the same one again changes nothing."""
        number = trade_number(trade)
        if number is None:
            return
        if number < self.first:
            self.reached = True
        elif number <= self.last and number - trade.count + 1 >= self.first and len(self.found) < _MOST_TRADES:
            self.found.setdefault(number, trade)

    def missed(self) -> list[Trade]:
        """What was fetched and did not come live, in the order of the ids."""
        live = sorted(self.known.items())
        if not live:
            return [self.found[number] for number in sorted(self.found)]
        ranges = [range(number - count + 1, number + 1) for number, count in live]
        return [
            self.found[number]
            for number in sorted(self.found)
            if not any(each.start <= number and number - self.found[number].count < each.stop - 1 for each in ranges)
        ]

    def lacking(self) -> tuple[int, int] | None:
        """The lowest and the highest id that is still missing; None when nothing is."""
        have = sorted({number: trade.count for number, trade in self.found.items()} | self.known)
        if not self.chained:
            return None if self.reached else (self.first, have[0] - 1 if have else self.last)
        lowest = highest = None
        after = self.first
        counts = self.known
        for number in have:
            count = counts[number] if number in counts else self.found[number].count
            if number - count + 1 > after:
                lowest = after if lowest is None else lowest
                highest = number - count
            after = max(after, number + 1)
        if after <= self.last:
            lowest, highest = after if lowest is None else lowest, self.last
        return None if lowest is None or highest is None else (lowest, highest)


class RefillDesk:
    """The holes one socket has filled. Live trades are never held up by them.

    A hole is reported as one Gap once it is known how it ended, after the late trades that were in it: ``whole`` when
    every missing id is there (where ids are not consecutive: when the fetched trades join those known before), ``part``
    when some are, else ``none``. Holes whose socket is lost wait in the feed for the next socket of their channel.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._offered = session.feed.stack.offers("backfill")
        self._holes: dict[Hole, None] = {}

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
            if not self.open(gap, at):
                self._session.statistics.gaps += 1
                place = next(index for index, event in enumerate(out) if event is after)
                out.insert(place, gap)

    def _came(self, stray: Stray, out: list[MarketEvent]) -> None:
        """A trade came live after its successors: it need not be fetched, or was handed out already."""
        symbol, number, count = stray.trade.symbol, stray.number, stray.trade.count
        given = self._session.feed.refilled
        if (symbol, number) in given and all((symbol, each) in given for each in range(number - count + 1, number)):
            out[:] = [event for event in out if event is not stray.trade]
            return
        for hole in self._holes:
            if hole.gap.symbol == symbol and hole.first <= number <= hole.last:
                hole.known[number] = count

    def open(self, gap: Gap, at: int) -> bool:
        """Have a hole in the trades fetched; False when that cannot be, and the gap is to be reported now."""
        first, last = _number(gap.first_id), _number(gap.last_id)
        channels = self._session.asking.topic(DataType.TRADE, gap.symbol)
        if not self._offered or first is None or last is None or not channels or self._crowded():
            return False
        chained = self._session.feed.trade_ids.consecutive(gap.symbol)
        hole = Hole(gap, channels[0], first, last, chained, at + DEADLINE)
        if not self._walk(hole, at):
            return False
        self._session.feed.trade_ids.refilling(gap.symbol)
        return True

    def interrupted(self, gap: Gap, at: int) -> bool:
        """Take the gap a lost socket left: True when it is seen to or was none after all, False: report it now."""
        ids = self._session.feed.trade_ids
        first, last, highest = _number(gap.first_id), _number(gap.last_id), ids.highest(gap.symbol)
        if first is None or last is None:
            ids.forget(gap.symbol)
        elif highest is not None and highest >= first:
            # The last trade before was not the one with the highest id.
            if highest >= last:
                return True
            gap.first_id = str(highest + 1)
        return self.open(gap, at)

    def _crowded(self) -> bool:
        return len(self._holes) + len(self._session.feed.holes) >= _MOST_HOLES

    def _walk(self, hole: Hole, at: int) -> bool:
        """Ask for what is still missing; False when the plugin knows no way to."""
        session = self._session
        lacking = hole.lacking() or (hole.first, hole.last)
        wanted = evolve(hole.gap, first_id=str(lacking[0]), last_id=str(lacking[1]))
        fetch = session.hooks.one("backfill", session=session, channel=hole.channel, gap=wanted)
        if not isinstance(fetch, Fetch):
            return False
        hole.walks += 1
        hole.pages = 0
        self._holes[hole] = None
        session.timers.set(self._overdue, hole, hole.deadline)
        self._ask(hole, fetch)
        return True

    def _ask(self, hole: Hole, fetch: Fetch) -> None:
        hole.fetch = fetch
        hole.pages += 1
        self._session.send_fetch(fetch, hole)

    # Answers

    def answered(self, hole: Hole, fetch: Fetch, answer: Answer, at: int, out: list[MarketEvent]) -> None:
        """A page of missed trades came."""
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
        elif further is not None and hole.pages < _MOST_PAGES and len(hole.found) < _MOST_TRADES:
            self._ask(hole, further)
        elif hole.lacking() is not None and hole.walks < _MOST_WALKS and not hole.refused:
            session.timers.set(self._again, hole, at + _WALK_AGAIN)
        else:
            self._end(hole, out)

    def _read(self, hole: Hole, event: Any, at: int, out: list[MarketEvent]) -> Fetch | None:
        """Act on one thing an answer said; answers the next page, if that is what it is."""
        session = self._session
        if isinstance(event, Trade):
            if event.symbol == hole.gap.symbol:
                hole.take(event)
        elif isinstance(event, Fetch):
            return event
        elif isinstance(event, Rejected):
            hole.fault = session.refused(event)
            hole.refused = event.kind not in ("rate", "retry")
        else:
            session.read_event(event, None, at, out)
        return None

    def failed(self, hole: Hole, fetch: Fetch, reason: str, out: list[MarketEvent]) -> None:
        """A page could not be had."""
        if hole.fetch is fetch:
            hole.fault = tidy(reason)
            self._end(hole, out)

    def _again(self, hole: Hole, at: int, out: list[MarketEvent]) -> None:
        if hole in self._holes and hole.fetch is None and not self._walk(hole, at):
            self._end(hole, out)

    def _overdue(self, hole: Hole, at: int, out: list[MarketEvent]) -> None:
        if hole in self._holes:
            hole.fault = hole.fault or f"not complete within {DEADLINE // SECOND} s"
            self._end(hole, out)

    # The end of a hole

    def _end(self, hole: Hole, out: list[MarketEvent]) -> None:
        session = self._session
        self._holes.pop(hole, None)
        hole.fetch = None
        session.timers.cancel(self._overdue, hole)
        session.timers.cancel(self._again, hole)
        session.statistics.gaps += 1
        events = report(hole)
        out += events
        given = session.feed.refilled
        for event in events:
            if isinstance(event, Trade):
                number = int(event.id)
                given.update(((event.symbol, each), None) for each in range(number - event.count + 1, number + 1))
        while len(given) > _MOST_REMEMBERED:
            del given[next(iter(given))]

    def resume(self, at: int) -> None:
        """Subscriptions are sent: take over the holes of lost sockets whose channels are carried here."""
        waiting = self._session.feed.holes
        session = self._session
        for hole in waiting.copy():
            if hole.channel in session.asking.channels:
                hole.deadline = at + hole.left
            elif hole.channel in session.feed.ledger:
                continue  # its own socket will come
            waiting.remove(hole)
            self._holes[hole] = None
            session.timers.set(self._overdue, hole, hole.deadline)
            session.timers.set(self._again, hole, at)

    def lost(self, at: int) -> None:
        """The socket is gone: the next one goes on, with the time that was left."""
        for hole in self._holes:
            hole.left = max(0, hole.deadline - at)
            hole.fetch = None
            hole.walks = 0
            self._session.feed.holes.append(hole)
        self._holes.clear()


def report(hole: Hole) -> list[MarketEvent]:
    """How a hole ended: the trades that were in it, then its Gap."""
    trades = hole.missed()
    for trade in trades:
        trade.late = True
    gap = hole.gap
    if hole.lacking() is None:
        gap.filled = "whole"
    else:
        gap.filled = "part" if trades or hole.known else "none"
        if hole.fault is not None:
            gap.cause = f"{gap.cause}; refill: {hole.fault}"
    return [*trades, gap]


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) <= 30 else None
