"""Which event of a socket goes to whom: one table, by the event's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tickhive.events import (
    Balance,
    BookDelta,
    BookSnapshot,
    Candle,
    Fill,
    Gap,
    InstrumentUpdate,
    Order,
    Position,
)
from tickhive.plugin.contract import BookChecksum, LastTrade
from tickhive.session.continuity import Line
from tickhive.session.conversation import Handler

if TYPE_CHECKING:
    from tickhive.session.session import Session

PlainStreams: TypeAlias = dict[type, dict[Any, Any]]
"""The last event of every stream, by class and key."""


def plain_streams(line: Line) -> PlainStreams:
    """The streams of a line whose events need no thought but "when was the last one"."""
    thought = (Candle, InstrumentUpdate, Balance, Position, Order, Fill)
    return {kind: last for kind, last in line.last.items() if kind not in thought}


def handlers(session: Session, plain: PlainStreams) -> dict[type, Handler]:
    """Who is called with an event, in a frame or an answer by REST; of plain streams only for the first of each."""
    return {
        **dict.fromkeys(plain, session.streams.first),
        Candle: session.streams.candle,
        InstrumentUpdate: session.streams.instrument,
        Balance: session.account_desk.holding,
        Position: session.account_desk.holding,
        Order: session.account_desk.order,
        Fill: session.streams.fill,
        BookSnapshot: session.desk.snapshot,
        BookDelta: session.desk.delta,
        BookChecksum: session.desk.checksum,
        LastTrade: session.finder.last_trade,
        Gap: session.streams.gap,
        **session.conversation.routes,
    }
