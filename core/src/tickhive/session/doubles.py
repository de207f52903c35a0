"""What several sockets bring is handed out once: trades by their id, everything else by its content."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from attrs import define, field

from tickhive.events import BookDelta, BookSnapshot, Candle, Fill, Gap, MarketEvent, SubscriptionUpdate, Trade
from tickhive.rows import row_writer
from tickhive.session.continuity import Continuity, Line, StreamKey, trade_number
from tickhive.session.timers import SECOND
from tickhive.session.trade_ids import TradeIds

_HORIZON = 60 * SECOND
"""By how much one socket may lag behind another."""

_MOST_IDS = 20_000  # trades of one symbol
_MOST_ECHOES = 2_000  # events of any other stream

_PASSED = (BookSnapshot, BookDelta, Gap, SubscriptionUpdate)  # books are merged by their own numbers


@define(eq=False)
class _Ids:
    """The ids of one symbol's trades since its sockets overlap; ``floor``: those up to here came before."""

    floor: int
    seen: dict[str, None] = field(factory=dict)

    def take(self, id: str) -> bool:
        """Note an id; False when it is there already."""
        if id in self.seen:
            return False
        self.seen[id] = None
        if len(self.seen) > _MOST_IDS:
            del self.seen[next(iter(self.seen))]
        return True


@define(eq=False)
class _Echo:
    """A content that was handed out, and the lines that brought it."""

    at: int
    content: Hashable
    lines: list[Line]


@define(eq=False)
class _Echoes:
    """The last contents of one stream. The same content may come twice on one socket, and is then two events; on
    another socket each of them is an echo.
    """

    by_content: dict[Hashable, list[_Echo]] = field(factory=dict)
    in_order: deque[_Echo] = field(factory=deque)

    def add(self, at: int, content: Hashable, lines: list[Line]) -> None:
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
            if line not in echo.lines and echo.at >= line.since:
                echo.lines.append(line)
                return False
        self.add(at, content, [line])
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
        self._ids: dict[tuple[type, str], _Ids] = {}
        self._echoes: dict[StreamKey, _Echoes] = {}
        self._contents: dict[type, Callable[[Any], tuple[Any, ...]]] = {}

    def drop(self, events: list[MarketEvent], line: Line, at: int) -> list[MarketEvent]:
        """Those of a line's events that no other line brought before, in their order."""
        left = [event for event in events if isinstance(event, _PASSED) or self._takes(event, line, at)]
        self.hidden += len(events) - len(left)
        return left

    def clear(self) -> None:
        """No two sockets share a channel any more."""
        self._ids.clear()
        self._echoes.clear()

    def _takes(self, event: MarketEvent, line: Line, at: int) -> bool:
        if isinstance(event, Trade | Fill):
            return self._takes_id(event)
        key: Hashable = (event.symbol, event.interval) if isinstance(event, Candle) else event.symbol
        stream = (event.__class__, key)
        echoes = self._echoes.get(stream)
        if echoes is None:
            echoes = self._echoes[stream] = _Echoes()
            # What another socket brought last may be what the venue tells a newcomer first.
            for other in self._continuity.lines:
                before = other.latest(stream)
                if other is not line and before is not None:
                    echoes.add(line.since, self._content(before), [other])
        return echoes.take(at, self._content(event), line)

    def _takes_id(self, event: Trade | Fill) -> bool:
        symbol = event.symbol
        ids = self._ids.get((event.__class__, symbol))
        if ids is None:
            proven = isinstance(event, Trade) and self._trade_ids.consecutive(symbol)
            ids = _Ids((self._trade_ids.highest(symbol) or 0) if proven else -1)
            self._ids[event.__class__, symbol] = ids
        if ids.floor >= 0 and isinstance(event, Trade):
            number = trade_number(event)
            if number is not None and number <= ids.floor and not self._missing(symbol, number):
                return False
        return ids.take(event.id)

    def _content(self, event: MarketEvent) -> Hashable:
        """Everything an event says but when we received it."""
        kind = event.__class__
        write = self._contents.get(kind)
        if write is None:
            write = self._contents[kind] = row_writer(kind, "")
        row = write(event)
        return row[:4] + row[5:]
