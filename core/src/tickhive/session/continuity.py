"""Whether data follows on what came before it: the one rule of book sequences, trade ids, and the gaps in between."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import Enum

from tickhive.channels import DataType
from tickhive.events import BookDelta, Gap, MarketEvent, Trade


class Verdict(Enum):
    """What a delta is to the book it names."""

    ACCEPT = "accept"
    DROP = "drop"
    GAP = "gap"


ACCEPT, DROP, GAP = Verdict.ACCEPT, Verdict.DROP, Verdict.GAP


def judge(delta: BookDelta, last: int | None, bridging: bool) -> Verdict:
    """Tell whether a delta follows on the book numbered ``last``. The first rule that fits decides:

    1. ``previous`` is ``last``: accept, also when ``sequence`` is lower (the venue restarted its numbers) or equal
       with empty sides (a keep-alive).
    2. ``sequence`` is not above ``last``: drop, already known.
    3. The first delta after a fetched snapshot (``bridging``): accept when ``previous`` <= ``last`` <= ``sequence``,
       or without ``previous`` when ``first`` <= ``last`` + 1 <= ``sequence``.
    4. Without ``previous``: accept when ``first`` is ``last`` + 1. A venue without ``first`` merges nothing: there
       ``sequence`` takes its place.
    5. Anything else is a gap.

    A venue that sends no numbers gives nothing to check: its deltas are accepted.
    """
    sequence = delta.sequence
    if sequence is None or last is None:
        return ACCEPT
    previous = delta.previous
    if previous == last and (sequence != last or not (delta.bids or delta.asks)):
        return ACCEPT
    if sequence <= last:
        return DROP
    if previous is not None:
        return ACCEPT if bridging and previous <= last else GAP
    first = sequence if delta.first is None else delta.first
    return ACCEPT if first == last + 1 or (bridging and first <= last) else GAP


def chains(delta: BookDelta, before: BookDelta) -> bool:
    """Whether one delta says that it follows directly on another."""
    if delta.previous is not None:
        return delta.previous == before.sequence
    return delta.first is not None and before.sequence is not None and delta.first == before.sequence + 1


_LONGEST_ID = 30


def trade_number(trade: Trade) -> int | None:
    """The trade's id as a number, None where the venue's ids are not numbers."""
    text = trade.id
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID else None


class TradeStep(Enum):
    """What a trade is to the last one known before an interruption."""

    NEXT = "next"
    KNOWN = "known"
    APART = "apart"


def trade_step(last: Trade, trade: Trade) -> TradeStep:
    """Compare ids: ``NEXT`` proves that nothing was missed, ``KNOWN`` says nothing yet, ``APART`` is a hole or unknown.

    A trade of ``count`` merged executions carries the last one's id, so the ids before it end at ``id`` - ``count``.
    """
    old, new = trade_number(last), trade_number(trade)
    if old is None or new is None:
        return TradeStep.APART
    if new <= old:
        # A lower id at a later time is a venue that restarted its numbers.
        return TradeStep.KNOWN if moment(trade) <= moment(last) else TradeStep.APART
    return TradeStep.NEXT if new - trade.count <= old else TradeStep.APART


def moment(event: MarketEvent) -> int:
    """When an event happened: the venue's time where it sends one, else when we received it (ns UTC)."""
    return event.received if event.timestamp is None else event.timestamp


def interruption_gap(
    last: MarketEvent, first: MarketEvent, data_type: DataType, params: str, cause: str, at: int
) -> Gap:
    """The hole between the last event before an interruption and the first one after it.

    Trades whose ids are numbers: the first and the last missing id; none when the venue restarted its numbers. Other
    trades: the ids on either side.
    """
    gap = Gap(first.exchange, first.symbol, None, at, data_type, moment(last), moment(first), cause, params=params)
    if isinstance(last, Trade) and isinstance(first, Trade):
        old, new = trade_number(last), trade_number(first)
        if old is None or new is None:
            gap.first_id, gap.last_id = last.id, first.id
        elif new > old:
            gap.first_id, gap.last_id = str(old + 1), str(new - first.count)
    return gap


_MOST_REMEMBERED = 100_000  # keys per event class; far above what any venue lists


class Continuity:
    """The last event of every stream, and those whose socket was lost since.

    ``last`` maps an event class to its streams: the symbol (a candle: symbol and interval) to the last event. The
    session writes it for every event, so it holds plain dictionaries. A stream missing there has not begun, or was
    interrupted and waits in ``interrupted`` for its first event.
    """

    def __init__(self, classes: Iterable[type[MarketEvent]]) -> None:
        self.last: dict[type[MarketEvent], dict[Hashable, MarketEvent]] = {kind: {} for kind in classes}
        self.interrupted: dict[tuple[type[MarketEvent], Hashable], tuple[MarketEvent, str]] = {}

    def begin(self, event: MarketEvent, key: Hashable, data_type: DataType, params: str, at: int) -> Gap | None:
        """Take the first event of a stream; answers the gap before it, if it was interrupted and missed something."""
        kind = event.__class__
        lost = self.interrupted.get((kind, key))
        gap = None
        if lost is not None:
            last, cause = lost
            step = TradeStep.APART
            if isinstance(last, Trade) and isinstance(event, Trade):
                step = trade_step(last, event)
                if step is TradeStep.KNOWN:
                    return None
            if step is TradeStep.APART:
                gap = interruption_gap(last, event, data_type, params, cause, at)
            del self.interrupted[(kind, key)]
        streams = self.last[kind]
        if len(streams) < _MOST_REMEMBERED:
            streams[key] = event
        return gap

    def interrupt(self, kind: type[MarketEvent], key: Hashable, cause: str) -> None:
        """The socket of a stream is gone."""
        event = self.last[kind].pop(key, None)
        if event is not None:
            self.interrupted[(kind, key)] = (event, cause)

    def forget(self, kind: type[MarketEvent], key: Hashable) -> None:
        """The stream is not wanted any more."""
        self.last[kind].pop(key, None)
        self.interrupted.pop((kind, key), None)

    def latest(self, kind: type[MarketEvent], key: Hashable) -> MarketEvent | None:
        """The last event of a stream, before an interruption too."""
        event = self.last[kind].get(key)
        if event is None and (lost := self.interrupted.get((kind, key))) is not None:
            return lost[0]
        return event
