"""What several sockets bring is handed out once: trades by their id, everything else by its content."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from attrs import define, field

from tickhive.events import BookDelta, BookSnapshot, Candle, Fill, Gap, MarketEvent, SubscriptionUpdate, Trade
from tickhive.rows import row_writer
from tickhive.session.continuity import Continuity, Line, StreamKey, moment, trade_number
from tickhive.session.timers import SECOND
from tickhive.session.trade_ids import TradeIds

_HORIZON = 60 * SECOND
"""By how much one socket may lag behind another."""

_FEW_IDS = 250  # trades of one symbol: as many as a venue may tell a newcomer of what was before, however long ago
_MOST_IDS = 10_000  # trades of one symbol within the horizon
_MOST_ECHOES = 2_000  # events of any other stream

_PASSED = (BookSnapshot, BookDelta, Fill, Gap, SubscriptionUpdate)
"""Books are merged by their own numbers, fills are never handed out twice anyway."""


@define(eq=False)
class _Ids:
    """The ids of one symbol's trades since its sockets overlap, those of a while and of the while before it, which
    began at ``since``. ``floor``: those up to here came before, if they are not later than ``floor_time`` (ns UTC).
    """

    since: int
    floor: int = -1
    floor_time: int = 0
    young: set[str] = field(factory=set)
    old: set[str] = field(factory=set)

    def take(self, id: str, at: int) -> bool:
        """Note an id; False when it is there already."""
        young = self.young
        if id in young or id in self.old:
            return False
        young.add(id)
        if len(young) >= _FEW_IDS and (at - self.since > _HORIZON or len(young) >= _MOST_IDS):
            self.old, self.young, self.since = young, set(), at
        return True

    def before(self, trade: Trade) -> bool:
        """Whether a trade came before the sockets overlapped. A venue may begin its ids anew, at a later time."""
        number = trade_number(trade) if self.floor >= 0 else None
        later = trade.timestamp is not None and trade.timestamp > self.floor_time
        return number is not None and number <= self.floor and not later


@define(eq=False)
class _Echo:
    """A content that was handed out, and the tokens of the lines that brought it."""

    at: int
    content: Hashable
    lines: list[object]


@define(eq=False)
class _Echoes:
    """The last contents of one stream. The same content may come twice on one socket, and is then two events; on
    another socket each of them is an echo.
    """

    by_content: dict[Hashable, list[_Echo]] = field(factory=dict)
    in_order: deque[_Echo] = field(factory=deque)

    def add(self, at: int, content: Hashable, lines: list[object]) -> None:
        """Note what is handed out."""
        echo = _Echo(at, content, lines)
        self.by_content.setdefault(content, []).append(echo)
        self.in_order.append(echo)
        while len(self.in_order) > _MOST_ECHOES or at - self.in_order[0].at > _HORIZON:
            gone = self.in_order.popleft()
            alike = self.by_content[gone.content]
            alike.remove(gone)
            if not alike:
                del self.by_content[gone.content]

    def take(self, at: int, content: Hashable, line: Line) -> bool:
        """Note what a line brings; False when another line brought it before."""
        for echo in self.by_content.get(content, ()):
            if line.token not in echo.lines and echo.at >= line.since:
                echo.lines.append(line.token)
                return False
        self.add(at, content, [line.token])
        return True


class Doubles:
    """Asked for the events of a socket only while it shares a channel with another one.

    ``hidden`` counts what was dropped. ``missing`` tells whether a trade is one that is known to be missing.
    """

    def __init__(self, continuity: Continuity, trade_ids: TradeIds, missing: Callable[[str, int], bool]) -> None:
        self.hidden = 0
        self._continuity = continuity
        self._trade_ids = trade_ids
        self._missing = missing
        self._ids: dict[str, _Ids] = {}
        self._echoes: dict[StreamKey, _Echoes] = {}
        self._contents: dict[type, Callable[[Any], tuple[Any, ...]]] = {}

    def drop(self, events: list[MarketEvent], line: Line, at: int) -> list[MarketEvent]:
        """Those of a line's events that no other line brought before, in their order."""
        left = [event for event in events if isinstance(event, _PASSED) or self._fresh(event, line, at)]
        self.hidden += len(events) - len(left)
        return left

    def clear(self) -> None:
        """No two sockets share a channel any more."""
        self._ids.clear()
        self._echoes.clear()

    def forget(self, stream: StreamKey) -> None:
        """The stream is not wanted any more."""
        self._echoes.pop(stream, None)
        if stream[0] is Trade:
            self._ids.pop(str(stream[1]), None)

    def _fresh(self, event: MarketEvent, line: Line, at: int) -> bool:
        try:
            return self._takes(event, line, at)
        except TypeError:
            return True  # a plugin put something into it that cannot be compared

    def _takes(self, event: MarketEvent, line: Line, at: int) -> bool:
        if isinstance(event, Trade):
            return self._takes_id(event, at)
        key: Hashable = (event.symbol, event.interval) if isinstance(event, Candle) else event.symbol
        stream = (event.__class__, key)
        echoes = self._echoes.get(stream)
        if echoes is None:
            echoes = self._echoes[stream] = _Echoes()
            # What another socket brought last may be what the venue tells a newcomer first.
            for other in self._continuity.lines:
                before = other.latest(stream)
                if other is not line and before is not None:
                    echoes.add(line.since, self._content(before), [other.token])
        return echoes.take(at, self._content(event), line)

    def _takes_id(self, trade: Trade, at: int) -> bool:
        symbol = trade.symbol
        ids = self._ids.get(symbol)
        if ids is None:
            ids = self._ids[symbol] = _Ids(at)
            latest = self._trade_ids.latest(symbol)
            if latest is not None and self._trade_ids.consecutive(symbol):
                ids.floor, ids.floor_time = self._trade_ids.highest(symbol) or 0, moment(latest)
        if ids.before(trade) and not self._missing(symbol, int(trade.id)):
            return False
        return ids.take(trade.id, at)

    def _content(self, event: MarketEvent) -> Hashable:
        """Everything an event says but when we received it."""
        kind = event.__class__
        write = self._contents.get(kind)
        if write is None:
            write = self._contents[kind] = row_writer(kind, "")
        row = write(event)
        return row[:4] + row[5:]
