"""What one frame of Template says, as events."""

from __future__ import annotations

from collections.abc import Sequence

from tickhive.plugin import (
    Accepted,
    Alive,
    BookDelta,
    BookSnapshot,
    Event,
    Malformed,
    Rejected,
    RejectionKind,
    SessionView,
    Trade,
    Unknown,
    Unsubscribed,
    hookimpl,
)
from tickhive.plugin.reading import UNREADABLE
from tickhive_template import messages

NS_PER_MS = 1_000_000
REFUSALS: dict[str, RejectionKind] = {"unknown_market": "symbol", "too_fast": "rate", "busy": "retry"}
"""What can be done about a refusal, by Template's code; any other request cannot succeed as it is."""


@hookimpl
def parse(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    """Read a frame that was received ``at`` (ns UTC). It never raises: what cannot be read is an event too."""
    try:
        said: messages.Frame = messages.decode_frame(frame)
    except UNREADABLE as error:
        return [_unreadable(frame, error)]
    match said:  # the most frequent first
        case messages.Trade():
            return [trade(session, said, at)]
        case messages.Update(market, number, time, bids, asks):
            symbol = session.instruments.symbols.get(market, market)
            # The numbers rise by one: that is how the core notices that an update was lost.
            return [BookDelta(session.exchange, symbol, time * NS_PER_MS, at, bids, asks, number)]
        case messages.Snapshot(market, number, time, bids, asks):
            symbol = session.instruments.symbols.get(market, market)
            return [BookSnapshot(session.exchange, symbol, time * NS_PER_MS, at, bids, asks, number)]
        case messages.Subscribed(id):
            return [Accepted(id)]
        case messages.Unsubscribed(id):
            return [Unsubscribed(id)]
        case messages.Refused(id, code, reason):
            return [Rejected(reason, REFUSALS.get(code, "request"), id)]
        case messages.Pong():
            return [Alive()]


def trade(session: SessionView, said: messages.Trade, at: int) -> Trade:
    """An execution, under its normalised symbol."""
    symbol = session.instruments.symbols.get(said.market, said.market)
    time, id = said.time * NS_PER_MS, str(said.id)
    # Events are built by position: that is faster, and there may be a hundred thousand a second.
    return Trade(session.exchange, symbol, time, at, id, said.side, said.price, said.size)


def _unreadable(frame: bytes, error: Exception) -> Event:
    """A kind of frame that this file does not know is Unknown, everything else Malformed; neither quotes the frame."""
    try:
        kind = messages.decode_kind(frame).type
    except UNREADABLE:
        return Malformed(str(error)[:200])
    return Malformed(f"{kind}: {error}"[:200]) if kind in messages.KINDS else Unknown(f"type {kind[:40]!r}")
