"""The manager's status, field by field: what ``CollectorManager.get_status()`` answers. Every value is JSON-ready."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, TypeAlias, TypedDict

from tickhive.redaction import _sanitize_error

Overall: TypeAlias = Literal["stopped", "healthy", "degraded", "failed"]


class CollectorEntry(TypedDict):
    """One collector as the manager sees it."""

    name: str
    """Its name, unique within the manager."""
    state: str
    """What the manager last did with it: disabled, stopped, starting, running, stopping, restarting or failed."""
    enabled: bool
    """False: it stays stopped until it is enabled."""
    healthy: bool
    """Its own answer; False while it does not run."""
    reasons: list[str]
    """A sentence for everything that is wrong with it; empty when it is healthy, stopped or disabled."""
    error: str | None
    """Why it failed, redacted; None when it did not."""
    needs_operator: bool
    """True: the manager no longer restarts it by itself; enable or restart it when the cause is gone."""
    auto_restart: bool
    """Whether the manager may restart it."""
    restarts: int
    """How often the manager restarted it, operators' restarts included."""
    recent_restarts: int
    """Automatic restarts charged to its budget within the policy's window."""
    restart_in_seconds: float | None
    """Until its next automatic restart; None when none is planned."""
    details: dict[str, Any]
    """Its own ``get_status()``."""


class Totals(TypedDict):
    """Counts over all collectors."""

    collectors: int
    """Managed."""
    enabled: int
    """Of them enabled."""
    running: int
    """In the state running."""
    healthy: int
    """Healthy by their own answer."""
    failed: int
    """In the state failed."""
    restarts: int
    """Restarts by the manager since it was made."""
    events: int
    """Events delivered by all collectors since they were made."""


class ProcessStatistics(TypedDict):
    """The operating system's view of this process."""

    pid: int
    """Process id."""
    cpu_percent: float
    """CPU used since the statistics before these, in percent of one core; 0.0 the first time."""
    memory_bytes: int
    """Resident memory."""
    threads: int
    """Threads."""


class ManagerStatus(TypedDict):
    """Everything the manager knows."""

    status: Overall
    """stopped: not started; healthy: every enabled collector is; failed: none is; degraded: all else."""
    running: bool
    """Whether the manager was started."""
    at: int
    """When this was computed, ns UTC. A status may be as old as the cache lets it (two seconds by default)."""
    started_at: int | None
    """When the manager was last started, ns UTC; None when it is stopped."""
    uptime_seconds: float
    """Since then; 0.0 when it is stopped."""
    totals: Totals
    """Counts over all collectors."""
    failed_collectors: list[str]
    """The names of those in the state failed."""
    unhealthy_collectors: list[str]
    """The names of enabled collectors that are not healthy, the failed ones included."""
    abandoned_operations: int
    """Starts and stops that overran their deadline and have not ended since."""
    collectors: dict[str, CollectorEntry]
    """Each collector, by name, in the order they were added."""
    process: ProcessStatistics
    """The process's CPU and memory."""


_PLAIN = frozenset({str, int, bool, type(None)})
"""What stays as it is. Of subclasses nothing is known: they take the long way."""


def json_ready(value: Any, depth: int = 12) -> Any:
    """Turn a value into what ``json`` writes without complaint: odd objects become redacted text, NaN becomes None.

    >>> json_ready({"price": Decimal("1.50"), 3: (1, float("nan"))})
    {'price': '1.50', '3': [1, None]}
    """
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is list and depth > 0:
        return [item if item.__class__ in _PLAIN else json_ready(item, depth - 1) for item in value]
    if kind is dict and depth > 0:
        return {
            key if key.__class__ is str else str(json_ready(key, 0)): (
                item if item.__class__ in _PLAIN else json_ready(item, depth - 1)
            )
            for key, item in value.items()
        }
    if isinstance(value, Enum):
        return json_ready(value.value, depth)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if depth > 0 and isinstance(value, Mapping):
        return {str(json_ready(key, 0)): json_ready(item, depth - 1) for key, item in value.items()}
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [json_ready(item, depth - 1) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    try:
        return _sanitize_error(value if isinstance(value, BaseException) else str(value))
    except Exception:
        return f"(a {type(value).__name__} that cannot be shown)"


def keep_unchanged(before: Any, now: Any) -> Any:
    """What is so now, both JSON-ready, with every part that is as it was before taken from there.

    Of hundreds of statuses, taken again and again, nearly all stays the same. What is kept is as old as it looks; made
    afresh each time it would have Python's garbage collector go through the whole process every few seconds.

    >>> before = {"name": "a", "frames": 7, "limits": [{"per": 1}, {"per": 2}]}
    >>> after = keep_unchanged(before, {"name": "a", "frames": 8, "limits": [{"per": 1}, {"per": 3}]})
    >>> after, after["limits"][0] is before["limits"][0]
    ({'name': 'a', 'frames': 8, 'limits': [{'per': 1}, {'per': 3}]}, True)
    """
    if now.__class__ is not before.__class__:
        return now
    if now.__class__ is dict:
        if now == before:
            return before
        for key, item in now.items():
            if item.__class__ not in _PLAIN and key in before:
                now[key] = keep_unchanged(before[key], item)
    elif now.__class__ is list:
        if now == before:
            return before
        now[:] = [keep_unchanged(*pair) for pair in zip(before, now, strict=False)] + now[len(before) :]
    return now
