"""Consecutive trade ids: which streams have them, shown by their own trades, and the holes a jump reveals."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from tickhive.events import MarketEvent, Trade
from tickhive.session.continuity import moment, trade_number

PROOF = 16
"""So many trades in a row, each following on the one before, show that a stream's ids are consecutive."""

_MOST_TRIALS = 4  # a stream whose ids jump in each of these trials, the needed run doubling, has ids of another kind
_MOST_STALE = 1000  # trades in a row below the highest id: the venue restarted its numbers
_MOST_STREAMS = 100_000
_MOST_MISSING = 100  # ranges of one stream that are known to be missing for good
_OFF = -1  # no id follows on this one


@define(eq=False, slots=True)
class Mark:
    """Where one stream of trades stands.

    ``number`` is the id that the next trade follows on while the stream's ids are known to be consecutive and its
    socket lives, else out of reach; ``highest`` is the highest id delivered, whatever the state, ``first`` the one that
    the unbroken ids begin with. A ``hopeless`` stream showed that its ids are not consecutive, and nothing of it was
    ever ``refilled``: its ids are read no more. A ``loose`` one was refilled: of its ids only the order counts.
    ``missing`` are the ids that were told to be missing for good.
    """

    number: int
    trade: Trade
    highest: int
    first: int
    proven: bool = False
    paused: bool = False
    hopeless: bool = False
    loose: bool = False
    refilled: bool = False
    run: int = 0
    trials: int = 0
    stale: int = 0
    stale_below: int = 0
    missing: list[range] = field(factory=list)


@define
class Jump:
    """Ids ``first`` to ``last`` are missing between two trades."""

    before: Trade
    after: Trade
    first: int
    last: int


@define
class Stray:
    """A trade that came after one with a higher id: perhaps it is there already. ``known``: each id is a trade, so it
    is there unless it is known to be missing.
    """

    trade: Trade
    number: int
    known: bool = False


class TradeIds:
    """The ids of every trade stream of one collector. A stream whose ids are not consecutive is never accused."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}

    def check(self, events: Sequence[MarketEvent]) -> list[Jump | Stray]:
        """Take the trades among delivered events; answers what is odd about them, which is next to never anything."""
        marks = self._marks
        odd: list[Jump | Stray] = []
        for event in events:
            if type(event) is Trade:
                mark = marks.get(event.symbol)
                if mark is not None:
                    if mark.hopeless:
                        mark.trade = event
                        continue
                    try:
                        number = int(event.id)
                        if mark.number == number - event.count:
                            mark.number = number
                            mark.trade = event
                            continue
                    except (ValueError, TypeError):
                        self._unnumbered(mark)
                        continue
                    if mark.loose and number > mark.highest:
                        mark.highest = number
                        mark.trade = event
                        continue
                if (found := self._unusual(event, mark)) is not None:
                    odd.append(found)
        return odd

    def _unusual(self, trade: Trade, mark: Mark | None) -> Jump | Stray | None:
        number = trade_number(trade) if isinstance(trade.count, int) else None
        if mark is None:
            if len(self._marks) < _MOST_STREAMS:
                highest, first = (_OFF, _OFF) if number is None else (number, number - trade.count + 1)
                self._marks[trade.symbol] = Mark(_OFF, trade, highest, first)
            return None
        if number is None:
            return None
        highest = max(mark.highest, mark.number)
        if number <= highest:
            if _known(mark, trade, number):
                return Stray(trade, number, known=True)
            mark.stale = mark.stale + 1 if mark.stale_below == highest else 1
            mark.stale_below = highest
            if mark.stale > _MOST_STALE:
                del self._marks[trade.symbol]
            return Stray(trade, number) if mark.refilled else None
        before, missing = mark.trade, number - trade.count - highest
        resumed, mark.paused = mark.paused, False
        mark.trade, mark.highest = trade, number
        if mark.proven:
            mark.number = number
            if missing > 0 and not resumed:
                mark.refilled = True
                return Jump(before, trade, highest + 1, number - trade.count)
            return None
        if missing:
            mark.first = number - trade.count + 1
        if not resumed:
            self._try(mark, number, missing == 0)
        return None

    def _unnumbered(self, mark: Mark) -> None:
        """An id that is no number speaks against a stream whose ids are not known to be consecutive."""
        if not mark.proven:
            self._try(mark, _OFF, False)

    def _try(self, mark: Mark, number: int, follows: bool) -> None:
        """One step towards the proof, or back to its beginning."""
        if mark.trials >= _MOST_TRIALS:
            return
        if not follows:
            mark.trials += 1
            mark.run = 0
            mark.hopeless, mark.loose = _given_up(mark)
            return
        mark.run += 1
        if mark.run >= PROOF << mark.trials:
            mark.proven, mark.number = True, number

    def overtaken(self, symbol: str, number: int) -> tuple[Trade, int] | None:
        """The venue has gone on to this id: the last trade that came and the first id that did not, where each id is a
        trade and its socket lives. What follows is judged from ``number`` on; None where nothing is missing.
        """
        mark = self._marks.get(symbol)
        if mark is None or mark.number == _OFF:
            return None
        highest = max(mark.highest, mark.number)
        if number <= highest:
            return None
        mark.number = mark.highest = number
        mark.refilled = True
        return mark.trade, highest + 1

    def consecutive(self, symbol: str) -> bool:
        """Whether the ids of this stream were shown to be consecutive."""
        mark = self._marks.get(symbol)
        return mark is not None and mark.proven

    def span(self, symbol: str) -> tuple[int, int] | None:
        """The first and the highest id since the stream was wanted, all those between being trades; None where ids were
        not shown to be consecutive. Trades merged by the venue count by their executions.
        """
        mark = self._marks.get(symbol)
        return (mark.first, _highest(mark)) if mark is not None and mark.proven else None

    def highest(self, symbol: str) -> int | None:
        """The highest id delivered; None before the first."""
        mark = self._marks.get(symbol)
        return None if mark is None else _highest(mark)

    def latest(self, symbol: str) -> Trade | None:
        """The trade that `highest` is the id of, where the ids are numbers."""
        mark = self._marks.get(symbol)
        return None if mark is None else mark.trade

    def refilling(self, symbol: str) -> None:
        """Trades of this stream are being fetched: from now on every id counts, lest a trade come twice."""
        mark = self._marks.get(symbol)
        if mark is not None:
            mark.highest = _highest(mark)
            mark.refilled = True
            mark.hopeless, mark.loose = _given_up(mark)

    def lost(self, symbol: str, first: int, last: int) -> None:
        """These ids are missing for good, as far as anybody knows: the trade of one of them would be news."""
        mark = self._marks.get(symbol)
        if mark is not None:
            mark.missing.append(range(first, last + 1))
            del mark.missing[:-_MOST_MISSING]

    def lacks(self, symbol: str, number: int) -> bool:
        """Whether this id is missing for good."""
        mark = self._marks.get(symbol)
        return mark is not None and any(number in ids for ids in mark.missing)

    def found(self, symbol: str, first: int, last: int) -> None:
        """These ids are not missing any more."""
        mark = self._marks.get(symbol)
        if mark is not None:
            left = [
                (range(ids.start, min(ids.stop, first)), range(max(ids.start, last + 1), ids.stop))
                for ids in mark.missing
            ]
            mark.missing = [ids for pair in left for ids in pair if ids]

    def pause(self, symbol: str) -> None:
        """The stream's socket is gone: the next id is no jump, whatever was missed is an interruption."""
        mark = self._marks.get(symbol)
        if mark is not None:
            mark.highest, mark.number, mark.paused = _highest(mark), _OFF, True

    def forget(self, symbol: str) -> None:
        """The stream is not wanted any more, or begins anew with other numbers."""
        self._marks.pop(symbol, None)


def _known(mark: Mark, trade: Trade, number: int) -> bool:
    """Whether a trade that is not above the highest id was there before. One that is later than the highest by the
    venue's clock is of other numbers: the venue began them anew.
    """
    if not mark.proven or number - trade.count < mark.first - 1:
        return False
    return number == _highest(mark) if trade.timestamp is None else trade.timestamp <= moment(mark.trade)


def _given_up(mark: Mark) -> tuple[bool, bool]:
    """Whether a stream is hopeless, and whether it is loose."""
    spent = not mark.proven and mark.trials >= _MOST_TRIALS
    return spent and not mark.refilled, spent and mark.refilled


def _highest(mark: Mark) -> int:
    latest = trade_number(mark.trade) if mark.hopeless else None
    return max(mark.highest, mark.number, latest or 0)
