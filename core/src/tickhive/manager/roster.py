"""Who the manager looks after: one record per collector with what the manager decided about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from enum import StrEnum

from attrs import Factory, define

from tickhive.errors import CollectorError
from tickhive.manager.managed import ManagedCollector
from tickhive.manager.restart_budget import RestartBudget
from tickhive.redaction import _sanitize_error


class MemberState(StrEnum):
    """What the manager last did with a collector; whether data flows is the collector's ``healthy``."""

    DISABLED = "disabled"
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    FAILED = "failed"


@define
class Health:
    """One answer to "how are you", made safe: never raises, never carries raw error text."""

    healthy: bool
    reasons: list[str]
    needs_operator: bool = False
    waits: bool = False

    @property
    def is_beyond_a_restart(self) -> bool:
        """Whether a restart can help nothing, by the collector's own word."""
        return self.needs_operator or self.waits


@define(eq=False)
class Member:
    """One collector in the manager's care. Moments are the clock's monotonic seconds.

    ``active`` is true while the manager holds the collector started, whatever its state is called. ``error`` is why
    it failed, redacted. ``needs_operator`` is true when its restarts are used up or cannot help: the manager then
    leaves it alone until ``enable_collector`` or ``restart_collector``. ``stop_unended`` is true when its last stop
    was not done at its deadline: it may still be under way, and comes before the next start.
    """

    collector: ManagedCollector
    name: str
    enabled: bool
    budget: RestartBudget
    state: MemberState
    lock: asyncio.Lock = Factory(asyncio.Lock)
    active: bool = False
    error: str | None = None
    needs_operator: bool = False
    stop_unended: bool = False
    restarts: int = 0
    unhealthy_since: float | None = None
    healthy_since: float | None = None
    restart_at: float | None = None

    def health(self) -> Health:
        """Ask the collector how it is; a collector that raises or answers nonsense is unhealthy and says so."""
        try:
            answer = self.collector.get_health_status()
            healthy = answer["healthy"] is True
            reasons = [_sanitize_error(str(reason)) for reason in answer.get("reasons") or ()]
        except Exception as error:
            return Health(False, [f"get_health_status failed: {_sanitize_error(error)}"])
        if not healthy and not reasons:
            reasons = ["the collector gives no reason"]
        needs_operator, waits = (not healthy and answer.get(key) is True for key in ("needs_operator", "waits"))
        return Health(healthy, reasons, needs_operator, waits)

    def fail(self, reason: str, *, needs_operator: bool = False) -> None:
        """Show the collector as failed."""
        self.state = MemberState.FAILED
        self.error = reason
        self.needs_operator = needs_operator

    def pardon(self) -> None:
        """Forget everything held against the collector."""
        self.error = None
        self.needs_operator = False
        self.forget_symptoms()
        self.budget.reset()

    def forget_symptoms(self) -> None:
        """Begin the count of healthy and unhealthy time again."""
        self.unhealthy_since = None
        self.healthy_since = None
        self.restart_at = None


class Roster:
    """The members by name, in the order they were added; ``on_change`` is called with a member after it changed."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self.on_change: Callable[[Member], None] = lambda member: None

    def add(self, member: Member) -> None:
        """Take a member in; a name can be used once."""
        if member.name in self._members:
            raise CollectorError(
                f"A collector named {member.name!r} is already managed; remove it first or give this one another name"
            )
        self._members[member.name] = member
        self.on_change(member)

    def remove(self, name: str) -> None:
        """Let a member go."""
        self.on_change(self._members.pop(name))

    def get(self, name: str) -> Member:
        """Look a member up; CollectorError names those there are."""
        member = self._members.get(name)
        if member is None:
            known = ", ".join(self._members) or "none"
            raise CollectorError(f"No collector named {name!r} is managed. Managed: {known}")
        return member

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._members.values()))

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members
