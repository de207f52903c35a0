"""Starts, stops and restarts collectors one by one; what one of them raises stays with it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeAlias

from tickhive.clock import Clock
from tickhive.errors import (
    CollectorError,
    ConfigurationError,
    CredentialsError,
    PluginError,
    TickhiveError,
    UnknownExchangeError,
    UnknownSymbolError,
)
from tickhive.manager.deadline import Deadlines
from tickhive.manager.logger import ManagerLogger
from tickhive.manager.managed import ManagedCollector
from tickhive.manager.restart_budget import RestartBudget, RestartPolicy
from tickhive.manager.roster import Member, MemberState, Roster
from tickhive.redaction import _sanitize_error
from tickhive.tasks import AsyncTaskManager

STARTS_PER_TURN = 10
"""So many collectors begin to start, or to stop, within one turn of the event loop: each plans its channels and sockets
then, or has them closed.
"""

Operation: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]

HOPELESS = (ConfigurationError, CredentialsError, UnknownExchangeError, UnknownSymbolError, PluginError)
"""What starting again cannot cure: such a failure waits for an operator at once."""


class CollectorLifecycleManager:
    """The operations on collectors.

    Coroutines that start or stop answer whether it worked; the reason of a failure is in the status and the log. Only a
    name that is not managed raises (CollectorError). Operations on one collector wait for each other.
    """

    def __init__(
        self,
        roster: Roster,
        tasks: AsyncTaskManager,
        clock: Clock,
        logger: ManagerLogger,
        policy: RestartPolicy,
        rng: random.Random,
    ) -> None:
        self._roster = roster
        self._tasks = tasks
        self._clock = clock
        self._log = logger
        self._policy = policy
        self._rng = rng
        self._deadlines = Deadlines(clock)
        self._starts = itertools.count(1)
        self.running = False

    @property
    def abandoned(self) -> int:
        """Operations that ignored their deadline and have not ended since."""
        return len(self._deadlines.abandoned)

    def add_collector(self, collector: ManagedCollector, enabled: bool = True) -> None:
        """Take a collector into care. While the manager runs an enabled one is started at once, in the background."""
        name = collector.name
        state = MemberState.STOPPED if enabled else MemberState.DISABLED
        member = Member(collector, name, enabled, RestartBudget(self._policy, self._rng), state)
        self._roster.add(member)
        self._log._log_info(f"collector {name} added{'' if enabled else ', disabled'}")
        if enabled and self.running:
            self._tasks.add_task(f"start {name} ({next(self._starts)})", self._start(member))

    async def remove_collector(self, name: str) -> None:
        """Stop a collector and let it go; it is let go even when it fails to stop."""
        member = self._roster.get(name)
        async with member.lock:
            member.enabled = False
            await self._stop_held(member)
            if name in self._roster:
                self._roster.remove(name)
        self._log._log_info(f"collector {name} removed")

    async def enable_collector(self, name: str) -> bool:
        """Let a collector run, forgetting its failures; started when the manager runs and it is not running yet."""
        member = self._roster.get(name)
        async with member.lock:
            was_failed = member.state is MemberState.FAILED
            member.enabled = True
            member.pardon()
            if not self.running:
                self._set(member, MemberState.STOPPED)
                return True
            if member.active and not was_failed:
                return True
            return await (self._restart_held(member) if member.active else self._start_held(member))

    async def disable_collector(self, name: str) -> bool:
        """Stop a collector and keep it stopped, through restarts of the manager too, until it is enabled."""
        member = self._roster.get(name)
        async with member.lock:
            member.enabled = False
            member.pardon()
            stopped = await self._stop_held(member)
            if stopped:
                self._set(member, MemberState.DISABLED)
            return stopped

    async def restart_collector(self, name: str) -> bool:
        """Restart a collector by an operator's wish: its failures are forgotten and no budget is charged."""
        member = self._roster.get(name)
        async with member.lock:
            if not member.enabled:
                raise CollectorError(f"Collector {name!r} is disabled; enable it instead of restarting it")
            member.pardon()
            return await self._restart_held(member)

    async def restart_all_collectors(self) -> dict[str, bool]:
        """Restart every enabled collector, one after the other with the policy's stagger; answer who came back."""

        def pardon(member: Member) -> bool:
            member.pardon()
            return True

        return await self.restart_in_turn(self._roster, pardon)

    async def restart_in_turn(self, members: Iterable[Member], permit: Callable[[Member], bool]) -> dict[str, bool]:
        """Restart members one at a time, a jittered stagger apart, so that no venue sees all of them dial at once.

        ``permit`` is asked about each when its turn comes; False leaves it as it is.
        """
        results: dict[str, bool] = {}
        restarted = 0
        for member in members:
            if len(results) > restarted:
                restarted = len(results)
                await self.stagger()
            answer = await self.restart_if(member, permit)
            if answer is not None:
                results[member.name] = answer
        return results

    async def restart_if(self, member: Member, permit: Callable[[Member], bool]) -> bool | None:
        """Restart a member unless it was disabled or removed meanwhile, or ``permit`` says no (None then)."""
        async with member.lock:
            if member.enabled and member.name in self._roster and permit(member):
                return await self._restart_held(member)
            return None

    async def stagger(self) -> None:
        """Wait the policy's jittered stagger."""
        await self._clock.sleep(self._policy.stagger_seconds * (1.0 + self._policy.jitter * self._rng.random()))

    async def start_all(self) -> dict[str, bool]:
        """Start every enabled collector side by side; answer who started."""
        self.running = True
        waiting = [member for member in self._roster if member.enabled and not member.active]
        started = await asyncio.gather(
            *(self._in_turn(number, self._start, member) for number, member in enumerate(waiting))
        )
        return {member.name: ok for member, ok in zip(waiting, started, strict=True)}

    async def stop_all(self) -> dict[str, bool]:
        """Stop every collector side by side, the failed ones too; answer who stopped without complaint."""
        self.running = False
        members = list(self._roster)
        stopped = await asyncio.gather(
            *(self._in_turn(number, self._stop, member) for number, member in enumerate(members))
        )
        return {member.name: ok for member, ok in zip(members, stopped, strict=True)}

    async def _start_collector(self, name: str) -> bool:
        """Start one collector, unless it is running; True when it runs afterwards."""
        return await self._start(self._roster.get(name))

    async def _in_turn(self, number: int, operation: Callable[[Member], Awaitable[bool]], member: Member) -> bool:
        for _ in range(number // STARTS_PER_TURN):
            await asyncio.sleep(0)
        return await operation(member)

    async def _start(self, member: Member) -> bool:
        async with member.lock:
            if member.active:
                return True
            if not member.enabled:
                return False
            return await self._start_held(member)

    async def _stop(self, member: Member) -> bool:
        async with member.lock:
            return await self._stop_held(member)

    # The methods below expect the member's lock to be held.

    async def _start_held(self, member: Member) -> bool:
        member.active = True
        if member.stop_unended:
            # It refuses to start until it has stopped; stopping again waits for the stop that is under way.
            self._set(member, MemberState.STOPPING)
            await self._attempt(member, "stop", member.collector.stop)
            if member.stop_unended:
                member.active = False
                member.forget_symptoms()
                return False
        self._set(member, MemberState.STARTING)
        return await self._bring_up(member, "start", member.collector.start)

    async def _stop_held(self, member: Member) -> bool:
        failed = member.state is MemberState.FAILED
        if not member.active and not member.stop_unended:
            if not failed:
                self._set(member, MemberState.STOPPED if member.enabled else MemberState.DISABLED)
            return True
        self._set(member, MemberState.STOPPING)
        stopped = await self._attempt(member, "stop", member.collector.stop)
        member.active = False
        member.forget_symptoms()
        if stopped:
            member.error = None
            self._set(member, MemberState.STOPPED if member.enabled else MemberState.DISABLED)
            self._log._log_info(f"collector {member.name} stopped")
        return stopped

    async def _restart_held(self, member: Member) -> bool:
        if not member.active:
            return await self._start_held(member)
        self._set(member, MemberState.RESTARTING)
        member.restarts += 1
        return await self._bring_up(member, "restart", member.collector.restart)

    async def _bring_up(self, member: Member, verb: str, operation: Operation) -> bool:
        if await self._attempt(member, verb, operation):
            member.error = None
            member.needs_operator = False
            member.forget_symptoms()
            self._set(member, MemberState.RUNNING)
            self._log._log_info(f"collector {member.name} {verb}ed")
            return True
        # Half a start may hold sockets and tasks; stopping gives them back.
        error, needs_operator = member.error or "", member.needs_operator
        await self._attempt(member, "stop", member.collector.stop, quiet=True)
        member.active = False
        member.forget_symptoms()
        member.fail(error, needs_operator=needs_operator)
        self._roster.on_change(member)
        return False

    async def _attempt(self, member: Member, verb: str, operation: Operation, *, quiet: bool = False) -> bool:
        """Do one thing within its deadline; a failure is noted on the member and answered as False."""
        try:
            if verb == "stop":
                member.stop_unended = False
            answer = await self._deadlines.within(self._policy.deadline_seconds, operation())
        except Exception as error:
            if verb == "stop":
                member.stop_unended = isinstance(error, TimeoutError)
            reason = f"{verb} failed: {_sanitize_error(error)}"
            member.fail(reason, needs_operator=isinstance(error, HOPELESS) or isinstance(error.__cause__, HOPELESS))
            if not quiet:
                # What we say ourselves needs no places in the code to be understood.
                unforeseen = not isinstance(error.__cause__ or error, TickhiveError)
                self._log._log_error(f"collector {member.name}: {reason}", exc_info=unforeseen)
            self._roster.on_change(member)
            return False
        if answer is False:
            member.fail(f"{verb} failed: the collector answered that it could not")
            if not quiet:
                self._log._log_error(f"collector {member.name}: {member.error}", exc_info=False)
            self._roster.on_change(member)
            return False
        return True

    def _set(self, member: Member, state: MemberState) -> None:
        member.state = state
        self._roster.on_change(member)
