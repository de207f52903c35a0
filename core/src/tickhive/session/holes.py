"""A hole in a stream: what lies in it, what of that is there by now, and how it is said to have ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence

from attrs import define, evolve, field

from tickhive.channels import Channel
from tickhive.events import Candle, Gap, MarketEvent, Trade
from tickhive.plugin.contract import Fetch
from tickhive.session.candle_intervals import Interval
from tickhive.session.continuity import trade_number
from tickhive.session.handed_late import Run, runs

_MOST_EVENTS = 100_000  # held for one hole


@define(eq=False)
class Hole(ABC):
    """What is missing of one stream between two of its events, while it is being fetched: the numbers ``first`` to
    ``last``, both inclusive.

    Until ``patience`` another socket may bring it before it is asked for; None when nobody waits for that. ``fault``
    says what went wrong last; ``refused``: asking again is in vain. Times are ns UTC.
    """

    gap: Gap
    channel: Channel
    first: int
    last: int
    deadline: int
    patience: int | None = field(default=None, kw_only=True)
    fetch: Fetch | None = field(default=None, init=False)
    pages: int = field(default=0, init=False)
    walks: int = field(default=0, init=False)
    left: int = field(default=0, init=False)
    fault: str | None = field(default=None, init=False)
    refused: bool = field(default=False, init=False)

    @abstractmethod
    def take(self, event: MarketEvent) -> None:
        """Note a fetched event, if it was missed; the same one again changes nothing."""

    @abstractmethod
    def full(self) -> bool:
        """Whether no more events are held."""

    @abstractmethod
    def missed(self) -> Sequence[Trade | Candle]:
        """What was fetched and did not come live, in order."""

    @property
    @abstractmethod
    def stream(self) -> Hashable:
        """The key of its stream among all of its data type."""

    @abstractmethod
    def given(self) -> Iterator[Run]:
        """What is handed out, by its numbers."""

    @abstractmethod
    def lacking(self) -> tuple[int, int] | None:
        """The lowest and the highest number that is still missing; None when nothing is."""

    @abstractmethod
    def wanted(self) -> Gap:
        """The gap as it stands now: what `backfill` is asked for."""

    @abstractmethod
    def came(self) -> bool:
        """Whether a part of it came live after all."""

    @abstractmethod
    def narrow(self) -> None:
        """What came live at either end is in no gap."""

    def open(self) -> Iterable[tuple[int, int]]:
        """The first and the last id of each run of trades that are known to be missing still."""
        return ()

    def lost(self) -> int:
        """How many trades are known to be missing still."""
        return sum(last - first + 1 for first, last in self.open())

    def void(self) -> bool:
        """Whether nothing was missing after all, so that there is nothing to report."""
        return self.patience is not None and self.lacking() is None


@define(eq=False)
class TradeHole(Hole):
    """Missing trades: ids ``first`` to ``last``, both inclusive.

    ``chained``: the stream's ids are known to be consecutive, so each of them is a trade. ``found`` holds the trades
    fetched, ``known`` the counts by id of those that came live after all. ``reached``: a walk has met what was known
    before.
    """

    chained: bool
    found: dict[int, Trade] = field(factory=dict, init=False)
    known: dict[int, int] = field(factory=dict, init=False)
    reached: bool = field(default=False, init=False)

    def holds(self, symbol: str, number: int) -> bool:
        """Whether this id of a symbol is one of the missing ones."""
        return self.first <= number <= self.last and self.gap.symbol == symbol

    def take(self, event: MarketEvent) -> None:
        """Note a fetched trade; one from below the hole shows that nothing lies between."""
        number = trade_number(event) if isinstance(event, Trade) and event.symbol == self.gap.symbol else None
        if number is None or not isinstance(event, Trade):
            return
        if number < self.first:
            self.reached = True
        elif number <= self.last and number - event.count + 1 >= self.first and not self.full():
            self.found.setdefault(number, event)

    def full(self) -> bool:
        """Whether no more trades are held."""
        return len(self.found) >= _MOST_EVENTS

    def missed(self) -> list[Trade]:
        """The trades fetched that did not come live, in the order of their ids."""
        live = sorted(self.known.items())
        if not live:
            return [self.found[number] for number in sorted(self.found)]
        ranges = [range(number - count + 1, number + 1) for number, count in live]
        return [
            self.found[number]
            for number in sorted(self.found)
            if not any(each.start <= number and number - self.found[number].count < each.stop - 1 for each in ranges)
        ]

    @property
    def stream(self) -> Hashable:
        """Its symbol."""
        return self.gap.symbol

    def given(self) -> Iterator[Run]:
        """The ids of the trades handed out, those of merged executions too."""
        return runs((int(trade.id) - trade.count + 1, int(trade.id) + 1) for trade in self.missed())

    def lacking(self) -> tuple[int, int] | None:
        """The lowest and the highest id that is still missing; where ids jump anyway, all below the lowest one had."""
        if not self.chained:
            if self.reached:
                return None
            return self.first, min([*self.found, *self.known], default=self.last + 1) - 1
        ranges = list(self.open())
        return (ranges[0][0], ranges[-1][1]) if ranges else None

    def open(self) -> Iterator[tuple[int, int]]:
        """The first and the last id of each run that is missing; none are known to be where ids jump anyway."""
        if not self.chained:
            return
        counts = {number: trade.count for number, trade in self.found.items()} | self.known
        due = self.first
        for number in sorted(counts):
            if number - counts[number] + 1 > due:
                yield due, number - counts[number]
            due = max(due, number + 1)
        if due <= self.last:
            yield due, self.last

    def wanted(self) -> Gap:
        """The gap with the ids that are still missing."""
        first, last = self.lacking() or (self.first, self.last)
        return evolve(self.gap, first_id=str(first), last_id=str(last))

    def came(self) -> bool:
        """Whether some of the trades came live."""
        return bool(self.known)

    def narrow(self) -> None:
        """Leave out the ids at either end that came live."""
        lacking = self.lacking()
        if lacking is not None:
            self.first, self.last = lacking
            self.known = {number: count for number, count in self.known.items() if self.first <= number <= self.last}
            self.gap.first_id, self.gap.last_id = str(self.first), str(self.last)


@define(eq=False)
class CandleHole(Hole):
    """Missing candles: those that start from ``first`` to ``last`` (ns UTC), both inclusive.

    A venue may have no candle for an interval without trades: what its history answers is the truth once it was seen
    to reach ``below`` and ``above``. ``found`` holds the closed candles fetched, ``known`` the starts of those that
    came live after all, ``running`` those the history still calls open. ``name`` is how the venue spells the interval.
    """

    interval: Interval
    name: str
    found: dict[int, Candle] = field(factory=dict, init=False)
    known: set[int] = field(factory=set, init=False)
    running: set[int] = field(factory=set, init=False)
    below: bool = field(default=False, init=False)
    above: bool = field(default=False, init=False)

    def holds(self, candle: Candle) -> bool:
        """Whether this is one of the missing candles."""
        ours = candle.symbol == self.gap.symbol and candle.interval == self.name
        return ours and self.first <= candle.start <= self.last

    def take(self, event: MarketEvent) -> None:
        """Note a fetched candle; those from beyond the hole show how far the history reaches."""
        if not isinstance(event, Candle) or event.symbol != self.gap.symbol or event.interval != self.name:
            return
        start = event.start
        if start < self.first:
            self.below = True
        elif start > self.last:
            self.above = True
        elif not event.closed:
            self.running.add(start)
        elif not self.full():
            self.running.discard(start)
            self.found.setdefault(start, event)

    def full(self) -> bool:
        """Whether no more candles are held."""
        return len(self.found) >= _MOST_EVENTS

    def missed(self) -> list[Candle]:
        """The candles fetched that did not come live, oldest first."""
        return [self.found[start] for start in sorted(self.found) if start not in self.known]

    @property
    def stream(self) -> Hashable:
        """Its symbol and interval."""
        return self.gap.symbol, self.name

    def given(self) -> Iterator[Run]:
        """The starts of the candles handed out."""
        return runs((candle.start, self.interval.after(candle.start)) for candle in self.missed())

    def lacking(self) -> tuple[int, int] | None:
        """The first and the last start without a closed candle, unless the venue has none for them."""
        have = self.found.keys() | self.known
        running = self.running - have
        if (self.below or self.first in have) and (self.above or self.last in have):
            return (min(running), max(running)) if running else None
        lowest: int | None = None
        highest, due = self.last, self.first
        for start in sorted(have):
            if start > due:
                lowest = due if lowest is None else lowest
                highest = self.interval.begin(start - 1)
            due = self.interval.after(start)
        if due <= self.last:
            lowest, highest = due if lowest is None else lowest, self.last
        return None if lowest is None else (lowest, highest)

    def wanted(self) -> Gap:
        """The gap with the starts that are still missing."""
        first, last = self.lacking() or (self.first, self.last)
        return evolve(self.gap, start=first, end=last)

    def came(self) -> bool:
        """Whether some of the candles came live."""
        return bool(self.known)

    def narrow(self) -> None:
        """Leave out the candles at either end that came live."""
        lacking = self.lacking()
        if lacking is not None:
            self.first, self.last = self.gap.start, self.gap.end = lacking
            self.known = {start for start in self.known if self.first <= start <= self.last}

    def void(self) -> bool:
        """Whether nothing was missing: another socket brought it, or the venue has no candle there."""
        return self.lacking() is None and (self.patience is not None or not (self.found or self.known))


def report(hole: Hole, missed_trades: dict[str, int]) -> list[MarketEvent]:
    """How a hole ended: what was in it, then its Gap; nothing when nothing was missing.

    The trades that are still missing are added to ``missed_trades``, by symbol.
    """
    if hole.void():
        return []
    events = hole.missed()
    for event in events:
        event.late = True
    gap = hole.gap
    if hole.lacking() is None:
        gap.filled = "whole"
    else:
        gap.filled = "part" if events or hole.came() else "none"
        if hole.fault is not None:
            gap.cause = f"{gap.cause}; refill: {hole.fault}"
        missing(gap.symbol, hole.lost(), missed_trades)
    return [*events, gap]


def missing(symbol: str, count: int, missed_trades: dict[str, int]) -> None:
    """Count trades of a symbol that are known to be missing for good."""
    if count:
        missed_trades[symbol] = missed_trades.get(symbol, 0) + count
