"""Fills that came while no socket carried an account's: fetched for each symbol it is known to trade, the rest told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Fill, Gap, MarketEvent, Order, Position
from tickhive.plugin.contract import Fetch
from tickhive.session.account_requests import Absence, SymbolFills
from tickhive.session.continuity import StreamKey
from tickhive.session.fills import IN_FLIGHT
from tickhive.session.timers import doubled_wait

if TYPE_CHECKING:
    from tickhive.session.session import Session

_MOST_SYMBOLS = 200  # asked for after one cut; those heard of last come first
_MOST_TRIES = 4  # of one symbol
_MOST_NAMED = 5
_FILLS: StreamKey = (Fill, EVERY)


@define(eq=False)
class _Filling:
    """A time in which no socket carried the fills; ``gap`` is of every symbol, ``waiting`` are those being asked for.

    ``fetched`` are the symbols of which everything was read, ``partly``: of others at least something.
    """

    channel: Channel
    gap: Gap
    asked: bool = False
    partly: bool = False
    waiting: dict[SymbolFills, None] = field(factory=dict)
    fetched: list[str] = field(factory=list)


class MissedFills:
    """Has the fills of one absence fetched, for venues that list them by symbol only.

    Asked for are the symbols with orders, positions or fills, in a Gap of ``DataType.FILL`` each. What came is handed
    out late, then the Gap of each symbol that had missed fills, or that could not be read to the end; last one of every
    symbol, which is never ``whole``: what else the account traded nobody knows.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._absence: _Filling | None = None

    def begin(self, channel: Channel, lost: Absence | None, at: int) -> bool:
        """Take an absence since a moment (ns UTC) and for a cause; False: there is none, or nobody to ask."""
        session = self._session
        if lost is None or self._absence is not None or not session.feed.stack.offers("backfill"):
            return False
        gap = Gap(session.exchange, EVERY, None, at, DataType.FILL, lost[0], at, lost[1], params=channel.params)
        self._absence = _Filling(channel, gap)
        # What was missed is told here, not with the next fill.
        session.feed.continuity.adopt(session.line, Fill)
        return True

    def lost_since(self) -> Absence | None:
        """The absence that is being filled."""
        gap = self._absence.gap if self._absence is not None else None
        return (gap.start, gap.cause) if gap is not None and gap.start is not None else None

    def ask(self, at: int, out: list[MarketEvent]) -> None:
        """Have fetched what was missed, now that it is known which orders and positions there are."""
        absence = self._absence
        if absence is None or absence.asked:
            return
        absence.asked = True
        fills = self._session.feed.fills
        for symbol in self._known():
            self._fetch(absence, SymbolFills(absence.channel, gap=evolve(absence.gap, symbol=symbol), fills=fills), at)
        if not absence.waiting:
            self._absence = None
            self._tell(absence.gap, at, out)

    def _known(self) -> Sequence[str]:
        """The symbols the account is known to trade."""
        heard: dict[str, int] = {}
        for _, event in self._session.feed.continuity.streams():
            if isinstance(event, Fill | Order | Position) and event.account == self._session.account:
                heard[event.symbol] = max(event.received, heard.get(event.symbol, 0))
        return sorted(heard, key=lambda symbol: (-heard[symbol], symbol))[:_MOST_SYMBOLS]

    def _fetch(self, absence: _Filling, asked: SymbolFills, at: int) -> bool:
        session, gap = self._session, asked.gap
        gap = evolve(gap, start=gap.start - IN_FLIGHT if gap.start is not None else None)
        answer = session.hooks.one("backfill", session=session, channel=asked.channel, gap=gap)
        if not isinstance(answer, Fetch):
            return False
        asked.begin(at)
        absence.waiting[asked] = None
        session.fetch_desk.send(answer, asked)
        return True

    # Answers

    def ended(self, asked: SymbolFills, at: int, out: list[MarketEvent]) -> None:
        """All that was asked of a symbol was answered, or not: then once more after a while, a few times."""
        if asked.again and asked.failed < _MOST_TRIES - 1:
            asked.failed += 1
            self._session.timers.set(self._again, asked, at + doubled_wait(asked.failed - 1))
        else:
            self._done(asked, at, out)

    def _again(self, asked: SymbolFills, at: int, out: list[MarketEvent]) -> None:
        if self._absence is None or not self._fetch(self._absence, asked, at):
            asked.whole = False
            self._done(asked, at, out)

    def _done(self, asked: SymbolFills, at: int, out: list[MarketEvent]) -> None:
        absence = self._absence
        if absence is None or asked not in absence.waiting:
            return
        del absence.waiting[asked]
        self._report(absence, asked, at, out)
        if not absence.waiting:
            self._absence = None
            self._report_rest(absence, at, out)

    def lost(self, at: int, out: list[MarketEvent]) -> None:
        """The socket is gone in the midst of it: the next one asks for all of it, or where another one lives already,
        the holes are told as they stand.
        """
        absence, self._absence = self._absence, None
        if absence is None:
            return
        continuity = self._session.feed.continuity
        if not any(line.covers(_FILLS, at) for line in continuity.lines):
            continuity.unheard[_FILLS] = (absence.gap.start or at, absence.gap.cause)
            return
        for asked in absence.waiting:
            asked.whole = False
            self._report(absence, asked, at, out)
        self._report_rest(absence, at, out)

    # Gaps

    def _report(self, absence: _Filling, asked: SymbolFills, at: int, out: list[MarketEvent]) -> None:
        if asked.whole:
            absence.fetched.append(asked.gap.symbol)
        absence.partly = absence.partly or asked.came
        if asked.came or not asked.whole:
            asked.gap.filled = "whole" if asked.whole else "part" if asked.came else "none"
            self._tell(asked.gap, at, out)

    def _report_rest(self, absence: _Filling, at: int, out: list[MarketEvent]) -> None:
        gap, names = absence.gap, absence.fetched
        if names:
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            gap.cause += f"; refill: only of {', '.join(names[:_MOST_NAMED])}{more}"
        if names or absence.partly:
            gap.filled = "part"
        self._tell(gap, at, out)

    def _tell(self, gap: Gap, at: int, out: list[MarketEvent]) -> None:
        if not self._session.asking.topic(DataType.FILL, EVERY):
            return  # given up meanwhile
        gap.received = at
        self._session.tell_of(gap, out)
