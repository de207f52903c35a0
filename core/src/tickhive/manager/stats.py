"""Statistics of the manager: computed now and then, read at any time for next to nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from tickhive.clock import Clock
from tickhive.manager.answers import Answer, Answers
from tickhive.manager.lifecycle import CollectorLifecycleManager
from tickhive.manager.roster import Health, Member, MemberState, Roster
from tickhive.manager.status import CollectorEntry, ManagerStatus, Overall, ProcessStatistics

T = TypeVar("T")


class CachedStatsManager(Generic[T]):
    """A value that is dear to compute and asked for often.

    ``keep_fresh`` computes it every ``every_seconds``, from what ``prepare`` gathered without haste. ``read`` answers
    what is there, unless something was marked as changed or nobody has refreshed it for two periods; then it computes
    it itself.
    """

    def __init__(
        self,
        compute: Callable[[], T],
        clock: Clock,
        every_seconds: float = 1.0,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._compute = compute
        self._clock = clock
        self._every = every_seconds
        self._prepare = prepare
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
            if self._prepare is not None:
                await self._prepare()
            self.refresh()
            await self._clock.sleep(self._every)


class ManagerStatsTracker:
    """Builds the manager's status out of its members, what their collectors answered, and the process.

    What the manager does with a collector is in the status at once. What the collector says of itself is asked every
    period and after every change; of many, a few at a time while the manager runs (see ``Answers``).
    """

    def __init__(
        self, roster: Roster, lifecycle: CollectorLifecycleManager, clock: Clock, every_seconds: float = 1.0
    ) -> None:
        self._roster = roster
        self._lifecycle = lifecycle
        self._clock = clock
        self._every = every_seconds
        self._answers = Answers(roster, lambda: lifecycle.running)
        self._process: Any = None
        self._process_seen: tuple[float, ProcessStatistics] | None = None
        self.started_at: int | None = None
        self.cache: CachedStatsManager[ManagerStatus] = CachedStatsManager(
            self._build, clock, every_seconds, self._answers.refresh
        )
        roster.on_change = self._changed

    def get_status(self) -> ManagerStatus:
        """The status, at most two periods old; see ManagerStatus for its fields. Do not change it: it is shared."""
        return self.cache.read()

    def _update_stats(self) -> ManagerStatus:
        """Ask every collector at once, compute the status and keep it."""
        self._answers.ask_all()
        return self.cache.refresh()

    async def catch_up(self) -> None:
        """Let every collector that has changed say how it is now."""
        await self._answers.refresh(only_changed=True)
        self.cache.mark_changed()

    def _changed(self, member: Member) -> None:
        self._answers.changed(member)
        self.cache.mark_changed()

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
            "process": self._process_statistics(now),
        }

    def _entry(self, member: Member, now: float) -> CollectorEntry:
        answer = self._answers.of(member)
        health = _health(member, answer)
        restart_at = member.restart_at
        return {
            "name": member.name,
            "state": member.state.value,
            "enabled": member.enabled,
            "healthy": health.healthy,
            "reasons": health.reasons,
            "error": member.error,
            "needs_operator": member.needs_operator or health.needs_operator,
            "auto_restart": bool(member.collector.auto_restart),
            "restarts": member.restarts,
            "recent_restarts": member.budget.used(now),
            "restart_in_seconds": None if restart_at is None else max(0.0, restart_at - now),
            "details": answer.details,
        }

    def _process_statistics(self, now: float) -> ProcessStatistics:
        # A share of CPU over less than a period would be noise.
        if self._process_seen is None or now - self._process_seen[0] >= self._every:
            self._process_seen = now, self._look_at_process()
        return self._process_seen[1]

    def _look_at_process(self) -> ProcessStatistics:
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


def _health(member: Member, answer: Answer) -> Health:
    """How a collector is: what the manager knows by itself goes before what the collector answered."""
    told = answer.health if member.active else None
    reasons = [member.error] if member.error and (not member.active or member.state is MemberState.FAILED) else []
    if told is not None:
        reasons += told.reasons
    elif member.active:
        reasons.append("it has not been asked yet how it is")
    if answer.fault is not None:
        reasons.append(answer.fault)
    healthy = told is not None and told.healthy and answer.fault is None
    return Health(healthy, reasons, told is not None and told.needs_operator)


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
