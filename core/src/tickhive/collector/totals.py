"""Adding up what several sockets have seen."""

from __future__ import annotations

from typing import Any

import attrs

from tickhive.session.statistics import SessionStatistics

COUNTERS = tuple(f.name for f in attrs.fields(SessionStatistics) if f.type in ("int", int))
LATEST = tuple(f.name for f in attrs.fields(SessionStatistics) if f.name.startswith("last_"))


def no_totals() -> dict[str, Any]:
    """The totals of no socket: every counter 0, every latest thing None."""
    return {**dict.fromkeys(COUNTERS, 0), **dict.fromkeys(LATEST)}


def add_up(totals: dict[str, Any], more: SessionStatistics | dict[str, Any]) -> dict[str, Any]:
    """Add a socket's statistics (or totals) to totals, in place: counters are summed, the latest things replaced."""
    values = more if isinstance(more, dict) else {name: getattr(more, name) for name in (*COUNTERS, *LATEST)}
    for name in COUNTERS:
        totals[name] += values[name]
    newer = (values["last_received"] or 0) >= (totals["last_received"] or 0)
    for name in LATEST:
        if values[name] is not None and (newer or totals[name] is None):
            totals[name] = values[name]
    return totals
