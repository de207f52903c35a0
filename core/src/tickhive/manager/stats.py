"""Statistics of the manager: computed now and then, read at any time for next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from tickhive.clock import Clock
from tickhive.manager.lifecycle import CollectorLifecycleManager
from tickhive.manager.roster import Health, Member, MemberState, Roster
from tickhive.manager.status import CollectorEntry, ManagerStatus, Overall, ProcessStatistics, json_ready
from tickhive.redaction import _sanitize_error

T = TypeVar("T")

IDLE = (MemberState.STOPPED, MemberState.DISABLED)


class CachedStatsManager(Generic[T]):
    """A value that is dear to compute and asked for often.

    ``keep_fresh`` computes it every ``every_seconds``. ``read`` answers what is there, unless something was marked as
    changed or nobody has refreshed it for two periods; then it computes it itself.
    """

    def __init__(self, compute: Callable[[], T], clock: Clock, every_seconds: float = 1.0) -> None:
        self._compute = compute
        self._clock = clock
        self._every = every_seconds
        self._value: tuple[float, T] | None = None
        self._stale = True

    def read(self) -> T:
        """The value, at most two periods old."""
        if self._value is None or self._stale:
            return self.refresh()
        at, value = self._value
        return value if self._clock.monotonic() - at < 2 * self._every else self.refresh()

    def refresh(self) -> T:
        """Compute the value now."""
        self._stale = False
        value = self._compute()
        self._value = (self._clock.monotonic(), value)
        return value

    def mark_changed(self) -> None:
        """Let the next ``read`` compute the value."""
        self._stale = True

    async def keep_fresh(self) -> None:
        """Refresh the value every period, until cancelled."""
        while True:
            self.refresh()
            await self._clock.sleep(self._every)


class ManagerStatsTracker:
    """Builds the manager's status out of its members and the process."""

    def __init__(
        self, roster: Roster, lifecycle: CollectorLifecycleManager, clock: Clock, every_seconds: float = 1.0
    ) -> None:
        self._roster = roster
        self._lifecycle = lifecycle
        self._clock = clock
        self._process: Any = None
        self.started_at: int | None = None
        self.cache: CachedStatsManager[ManagerStatus] = CachedStatsManager(self._build, clock, every_seconds)
        roster.on_change = self.cache.mark_changed

    def get_status(self) -> ManagerStatus:
        """The status, at most two periods old; see ManagerStatus for its fields. Do not change it: it is shared."""
        return self.cache.read()

    def _update_stats(self) -> ManagerStatus:
        """Compute the status now and keep it."""
        return self.cache.refresh()

    def _build(self) -> ManagerStatus:
        at, now = self._clock.time_ns(), self._clock.monotonic()
        members = list(self._roster)
        entries = {member.name: self._entry(member, now) for member in members}
        enabled = [entry for entry in entries.values() if entry["enabled"]]
        failed = [name for name, entry in entries.items() if entry["state"] == MemberState.FAILED]
        running = self._lifecycle.running
        return {
            "status": _overall(running, enabled),
            "running": running,
            "at": at,
            "started_at": self.started_at,
            "uptime_seconds": 0.0 if self.started_at is None else (at - self.started_at) / 1e9,
            "totals": {
                "collectors": len(entries),
                "enabled": len(enabled),
                "running": sum(entry["state"] == MemberState.RUNNING for entry in entries.values()),
                "healthy": sum(entry["healthy"] for entry in entries.values()),
                "failed": len(failed),
                "restarts": sum(entry["restarts"] for entry in entries.values()),
                "events": sum(_events(entry["details"]) for entry in entries.values()),
            },
            "failed_collectors": failed,
            "unhealthy_collectors": [entry["name"] for entry in enabled if not entry["healthy"]],
            "abandoned_operations": self._lifecycle.abandoned,
            "collectors": entries,
            "process": self._process_statistics(),
        }

    def _entry(self, member: Member, now: float) -> CollectorEntry:
        health = _health(member)
        reasons = list(health.reasons)
        try:
            details = json_ready(dict(member.collector.get_status()))
        except Exception as error:
            details = {}
            health.healthy = False
            reasons.append(f"get_status failed: {_sanitize_error(error)}")
        restart_at = member.restart_at
        return {
            "name": member.name,
            "state": member.state.value,
            "enabled": member.enabled,
            "healthy": health.healthy,
            "reasons": reasons,
            "error": member.error,
            "needs_operator": member.needs_operator or health.needs_operator,
            "auto_restart": bool(member.collector.auto_restart),
            "restarts": member.restarts,
            "recent_restarts": member.budget.used(now),
            "restart_in_seconds": None if restart_at is None else max(0.0, restart_at - now),
            "details": details,
        }

    def _process_statistics(self) -> ProcessStatistics:
        import psutil

        if self._process is None:
            self._process = psutil.Process()
        process = self._process
        with process.oneshot():
            return {
                "pid": process.pid,
                "cpu_percent": float(process.cpu_percent()),
                "memory_bytes": int(process.memory_info().rss),
                "threads": int(process.num_threads()),
            }


def _health(member: Member) -> Health:
    if member.active:
        health = member.health()
        if member.state is MemberState.FAILED and member.error:
            health.reasons.insert(0, member.error)
        return health
    return Health(False, [member.error] if member.error else [])


def _events(details: dict[str, Any]) -> int:
    counts = details.get("events")
    return sum(count for count in counts.values() if isinstance(count, int)) if isinstance(counts, dict) else 0


def _overall(running: bool, enabled: list[CollectorEntry]) -> Overall:
    if not running:
        return "stopped"
    healthy = sum(entry["healthy"] and entry["state"] == MemberState.RUNNING for entry in enabled)
    if healthy == len(enabled):
        return "healthy"
    return "degraded" if healthy else "failed"
