"""Watches all collectors at once and restarts those that stay unhealthy, in turn and within a budget."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque

from tickhive.clock import Clock
from tickhive.manager.lifecycle import CollectorLifecycleManager
from tickhive.manager.logger import ManagerLogger
from tickhive.manager.restart_budget import RestartPolicy
from tickhive.manager.roster import Member, MemberState, Roster
from tickhive.tasks import AsyncTaskManager

PER_TURN = 10
"""So many collectors are looked at within one turn of the event loop."""

_TURNS = "restarts: turns"


class ManagerHealthMonitor:
    """The system-wide health check.

    A collector redials its own sockets; the manager restarts it only when that has not helped for the policy's
    patience. When the restarts of a collector are used up it is shown as failed and no longer restarted, so that a
    crash loop ends where an operator sees it. It is not stopped: what still flows keeps flowing, and when it has been
    healthy by itself for the policy's patience it counts as running again.

    Restarts begin one after the other, the policy's stagger apart, and go on beside the checks: one that hangs delays
    neither the checks nor the restarts of the others.
    """

    def __init__(
        self,
        roster: Roster,
        lifecycle: CollectorLifecycleManager,
        clock: Clock,
        logger: ManagerLogger,
        policy: RestartPolicy,
    ) -> None:
        self._roster = roster
        self._lifecycle = lifecycle
        self._clock = clock
        self._log = logger
        self._policy = policy
        self._restarts = AsyncTaskManager("manager restarts", clock=clock)
        self._waiting: deque[Member] = deque()
        self._turns = itertools.count(1)

    async def _global_health_monitor(self) -> None:
        """Check all collectors every ``check_seconds``, until cancelled; the restarts under way end with it."""
        try:
            while True:
                await self._clock.sleep(self._policy.check_seconds)
                try:
                    await self.check()
                except Exception:
                    self._log._log_error("the health check failed; it is repeated at its next turn")
        finally:
            self._waiting.clear()
            await self._restarts.cancel_all_tasks()

    async def check(self) -> None:
        """Look at every collector once, at a few in one turn of the event loop, and give those whose time has come a
        turn to be restarted.
        """
        now = self._clock.monotonic()
        due: list[Member] = []
        for number, member in enumerate(self._roster, 1):
            if self._is_due(member, now):
                due.append(member)
            if number % PER_TURN == 0:
                await asyncio.sleep(0)
        due.sort(key=lambda member: member.restart_at or 0.0)
        self._waiting.extend(due)
        if self._waiting and _TURNS not in self._restarts:
            self._restarts.add_task(_TURNS, self._take_turns())

    async def _take_turns(self) -> None:
        """Begin the restarts that wait; the stagger after the last of them keeps the next check at its distance."""
        while self._waiting:
            member = self._waiting.popleft()
            name = f"restart {member.name} ({next(self._turns)})"
            self._restarts.add_task(name, self._lifecycle.restart_if(member, self._permit))
            await self._lifecycle.stagger()

    def _is_due(self, member: Member, now: float) -> bool:
        """Judge one collector; True when it is to be restarted now."""
        if not member.enabled or member.lock.locked() or member in self._waiting:
            return False
        if member.state not in (MemberState.RUNNING, MemberState.FAILED):
            return False
        patience = self._policy.patience_seconds
        health = member.health() if member.active else None
        if health is not None and health.healthy:
            member.unhealthy_since = None
            member.restart_at = None
            if member.healthy_since is None:
                member.healthy_since = now
            if member.state is MemberState.FAILED and now - member.healthy_since >= patience:
                self._log._log_info(f"collector {member.name} recovered by itself")
                member.pardon()
                member.state = MemberState.RUNNING
                self._roster.on_change(member)
            return False
        member.healthy_since = None
        if member.unhealthy_since is None:
            member.unhealthy_since = now
        if member.needs_operator or not member.collector.auto_restart:
            return False
        if health is not None and health.is_beyond_a_restart:
            # It would only cost what still flows, or the place in a queue. Once that changes, the count begins anew.
            member.restart_at = member.unhealthy_since = None
            return False
        if member.restart_at is None:
            # One that could not start is known to be down: no patience, only the growing wait.
            if member.active and now - member.unhealthy_since < patience:
                return False
            wait = member.budget.wait_seconds(now) if member.budget.used(now) or not member.active else 0.0
            member.restart_at = now + wait
            self._roster.on_change(member)
        return member.restart_at <= now

    def _permit(self, member: Member) -> bool:
        """Charge a restart to the collector's budget; False when it has become well meanwhile, or none is left."""
        health = member.health()
        if member.active and (health.healthy or health.is_beyond_a_restart):
            member.forget_symptoms()
            return False
        reasons = "; ".join(health.reasons) if member.active else (member.error or "it could not start")
        if member.budget.spend(self._clock.monotonic()):
            self._log._log_warning(f"collector {member.name} is restarted: {reasons}")
            return True
        policy = self._policy
        member.restart_at = None
        member.fail(
            f"gave up after {policy.max_restarts} restarts within {policy.window_seconds:g} s; last seen: {reasons}. "
            "Restart or enable it when the cause is gone",
            needs_operator=True,
        )
        self._roster.on_change(member)
        self._log._log_critical(f"collector {member.name}: {member.error}", exc_info=False)
        return False
