"""What came out, held against the truth: never wrong, never twice, nothing missing without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from tickhive.channels import Channel, DataType
from tickhive.events import DATA_TYPE_OF, BookDelta, Candle, Gap, MarketEvent, Quote, SubscriptionUpdate, Ticker, Trade
from tickhive.session import BookState, Feed, SubscriptionState

from .market import SYMBOLS, Fact, Market

TIMED = {Quote: "quote", Ticker: "ticker", Candle: "candle"}
"""Streams whose events carry no ids: what is missing must lie in the time of a Gap."""


class Witness:
    """Takes every event handed out. A breach is an AssertionError that begins with the number of its invariant."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.trades: Counter[tuple[str, int]] = Counter()
        self.deltas: set[Hashable] = set()
        self.times: dict[tuple[str, str], Counter[int]] = {}
        self.gaps: dict[tuple[str, str], list[Gap]] = {}
        self.states: dict[tuple[str, str], str] = {}
        self.silent: set[tuple[str, str]] = set()
        self.owed: dict[str, dict[int, None]] = {}
        self.owed_times: dict[tuple[str, str], dict[int, None]] = {}
        self.given_up: set[tuple[DataType | None, str]] = set()
        self.repeats: Counter[tuple[str, str, int]] = Counter()
        self._interrupted: set[tuple[str, str]] = set()
        self._judged: dict[Hashable, object] = {}

    # What happened

    def owe(self, facts: Iterable[Fact]) -> None:
        """These happened while somebody wanted to know: each has to be handed out, or lie in a Gap."""
        for fact in facts:
            name = fact.kind, fact.symbol
            if fact.kind == "trade" and not fact.row[3].startswith("t-"):
                if fact.symbol in self.owed:
                    number = int(fact.row[3])
                    self.owed[fact.symbol].update(dict.fromkeys(range(number - fact.row[6] + 1, number + 1)))
            elif fact.kind == "candle":
                # A candle tells all of its minute each time; only its last word is owed.
                if name in self.owed_times and fact.row[-1]:
                    self.owed_times[name][fact.row[4]] = None
            elif name in self.owed_times:
                self.owed_times[name][fact.time] = None

    def want(self, channel: Channel) -> None:
        """From now on what happens to this channel is owed."""
        self.given_up.discard((channel.data_type, channel.symbol))
        if channel.data_type is DataType.TRADE and not self._worded(channel.symbol):
            self.owed[channel.symbol] = {}
        elif channel.data_type is not DataType.ORDERBOOK and channel.symbol in SYMBOLS:
            self.owed_times[channel.data_type.value, channel.symbol] = {}

    def release(self, channel: Channel) -> None:
        """Nobody wants it any more; what still comes is not looked at."""
        self.given_up.add((channel.data_type, channel.symbol))
        self.owed.pop(channel.symbol, None) if channel.data_type is DataType.TRADE else None
        self.owed_times.pop((channel.data_type.value, channel.symbol), None)
        self._interrupted.discard((channel.data_type.value, channel.symbol))
        self.states.pop((channel.data_type.value, channel.symbol), None)

    def excuse(self, facts: Iterable[Fact]) -> None:
        """Nobody can know that these are missing: they carry no ids, and no frame after them tells."""
        for fact in facts:
            time = fact.row[4] if fact.kind == "candle" else fact.time
            self.owed_times.get((fact.kind, fact.symbol), {}).pop(time, None)

    def repeated(self, facts: Iterable[Fact]) -> None:
        """The venue itself says these once more."""
        self.repeats.update((fact.kind, fact.symbol, fact.time) for fact in facts)

    def interrupted(self, channel: Channel) -> None:
        """The last socket that carried this is gone: the stream may not go on as if nothing had been."""
        name = channel.data_type.value, channel.symbol
        numbered = channel.data_type is DataType.TRADE and not self._worded(channel.symbol)
        if (
            channel.data_type is not DataType.CANDLE
            and not numbered
            and (name in self.times or name in self._interrupted)
        ):
            self._interrupted.add(name)

    def _worded(self, symbol: str) -> bool:
        return self.market.books[symbol].style == "summed" if symbol in SYMBOLS else True

    # What came out

    def take(self, events: Iterable[MarketEvent]) -> None:
        for event in events:
            if isinstance(event, SubscriptionUpdate):
                self.states[event.data_type.value, event.symbol] = event.state
                if event.state == SubscriptionState.SILENT:
                    self.silent.add((event.data_type.value, event.symbol))
            elif (DATA_TYPE_OF.get(type(event)), event.symbol) in self.given_up:
                continue
            elif isinstance(event, Gap):
                name = event.data_type.value, event.symbol
                self.gaps.setdefault(name, []).append(event)
                self._interrupted.discard(name)
                if event.first_id is not None and event.last_id is not None and event.data_type is DataType.TRADE:
                    self._bounds(event)
            elif isinstance(event, Trade):
                self._trade(event)
            elif isinstance(event, BookDelta):
                self._delta(event)
            elif type(event) in TIMED:
                self._timed(TIMED[type(event)], event)

    def _trade(self, trade: Trade) -> None:
        if trade.id.startswith("t-"):
            self._timed("trade", trade)
            return
        last = int(trade.id)
        for number in range(last - trade.count + 1, last + 1):
            self.trades[trade.symbol, number] += 1
            count = self.trades[trade.symbol, number]
            assert count == 1, f"I3: trade {number} of {trade.symbol} is handed out {count} times"

    def _delta(self, delta: BookDelta) -> None:
        if delta.sequence is None or not (delta.bids or delta.asks):
            return  # nothing tells these apart, and a sign of life may come twice
        key = delta.symbol, delta.sequence, delta.previous, delta.timestamp
        assert key not in self.deltas, f"I3: the change {key} is handed out twice"
        self.deltas.add(key)

    def _timed(self, kind: str, event: MarketEvent) -> None:
        assert event.timestamp is not None
        name, time = (kind, event.symbol), event.timestamp
        if isinstance(event, Candle):
            self._candle(event)
            return
        assert name not in self._interrupted, f"I7: {kind} {event.symbol} was interrupted and goes on without a Gap"
        seen = self.times.setdefault(name, Counter())
        seen[time] += 1
        allowed = 1 + self.repeats[kind, event.symbol, time]
        assert seen[time] <= allowed, f"I3: {kind} {event.symbol} of {time} is handed out {seen[time]} times"

    def _candle(self, candle: Candle) -> None:
        name, time = ("candle", candle.symbol), candle.timestamp or 0
        seen = self.times.setdefault(name, Counter())
        if candle.closed:
            seen[candle.start] += 1
            allowed = 1 + self.repeats["candle", candle.symbol, time]
            count = seen[candle.start]
            assert count <= allowed, f"I3: the closed candle of {candle.start} is handed out {count} times"

    def _bounds(self, gap: Gap) -> None:
        assert gap.start is None or gap.end is None or gap.start <= gap.end, f"I2: a Gap ends before it begins: {gap}"

    # Books

    def look(self, feed: Feed) -> None:
        """Whatever is served as live is the truth at its number."""
        for (symbol, depth), keeper in feed.books.items():
            if keeper.state is not BookState.LIVE or self._judged.get((symbol, depth)) is keeper.latest:
                continue
            latest = keeper.latest
            assert latest is not None, f"I1: {symbol} is live and nothing was applied"
            sequence, (bids, asks) = self.market.books[symbol].states[latest.timestamp or 0]
            if keeper.sequence is not None:
                assert keeper.sequence == sequence, f"I1: {symbol} says {keeper.sequence}, the truth is {sequence}"
            right = dict(keeper.book.bids) == bids and dict(keeper.book.asks) == asks
            assert right, f"I1: {symbol} is live and wrong at {sequence}"
            self._judged[symbol, depth] = latest

    def told(self, channel: Channel) -> str | None:
        """The last word on a subscription."""
        return self.states.get((channel.data_type.value, channel.symbol))

    def look_closely(self, feed: Feed, symbol: str) -> None:
        """After a quiet while a book is not only right but up to date."""
        latest, truth = feed.keeper((symbol, 0)).latest, self.market.books[symbol]
        behind = latest is None or (latest.timestamp or 0) < truth.told
        assert not behind, f"I1: the book of {symbol} stands still, at {latest and latest.sequence} of {truth.sequence}"

    # The end

    def settle(self) -> None:
        """All that is owed was handed out, or lies in a Gap."""
        for symbol, numbers in self.owed.items():
            gaps = self.gaps.get(("trade", symbol), [])
            told = [(int(gap.first_id or 0), int(gap.last_id or 0), gap.filled) for gap in gaps if gap.first_id]
            for number in numbers:
                if self.trades[symbol, number]:
                    continue
                fates = [filled for first, last, filled in told if first <= number <= last]
                assert fates, f"I2: trade {number} of {symbol} is missing and in no Gap"
                assert "whole" not in fates, f"I2: trade {number} of {symbol} is missing, its Gap says whole"
        for name, times in self.owed_times.items():
            seen, gaps = self.times.get(name, Counter()), self.gaps.get(name, [])
            for time in times:
                if not seen[time]:
                    around = [gap for gap in gaps if (gap.start or 0) <= time <= (gap.end or time)]
                    assert around, f"I2: {name} of {time} is missing and in no Gap"
