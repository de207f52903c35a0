"""What becomes of a frame whose reading did not end: none of its market data is believed, nothing is lost unsaid."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from tickhive.events import Balance, Fill, Gap, MarketEvent, Order, Position, Trade
from tickhive.session.continuity import Line, moment

_STAYING = (Balance, Fill, Gap, Order, Position)
"""What cannot be had again, because it is noted as told: what becomes of an account, and gaps."""

_MOST_STAYING = 1000


def disbelieve(out: list[MarketEvent], before: Any, line: Line, heard_at: int) -> None:
    """Take out of ``out`` the market data that came after ``before``, the last event of the frames before this one: a
    generator without an end makes up any number of events. All of it goes where ``before`` is not among them, because
    it was no data: to count the events of every frame would cost every frame.

    Their streams stand where the line was heard last before (``heard_at``, ns UTC), so that the next Gap begins there.
    """
    begun = next((number for number, event in enumerate(out, 1) if event is before), 0)
    struck = out[begun:]
    del out[begun:]
    firsts: dict[Any, MarketEvent] = {}
    for event in struck:
        if not isinstance(event, _STAYING):
            firsts.setdefault((event.__class__, event.symbol, getattr(event, "interval", None)), event)
        elif len(out) - begun < _MOST_STAYING:
            out.append(event)
    for (kind, symbol, interval), event in firsts.items():
        last = line.last.get(kind, {})
        key = symbol if interval is None else (symbol, interval)
        if key in last:
            before = evolve(event, timestamp=min(moment(event), heard_at))
            # Its id may be made up; without one the times of the Gap say what is missing.
            last[key] = evolve(before, id="") if isinstance(before, Trade) else before
