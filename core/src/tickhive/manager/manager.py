"""CollectorManager: one place to start, stop, watch and count all collectors of a process."""

from __future__ import annotations

import random
from typing import ClassVar

from tickhive.clock import Clock, SystemClock
from tickhive.manager.health import ManagerHealthMonitor
from tickhive.manager.lifecycle import CollectorLifecycleManager
from tickhive.manager.logger import ManagerLogger
from tickhive.manager.managed import ManagedCollector
from tickhive.manager.restart_budget import RestartPolicy
from tickhive.manager.roster import Roster
from tickhive.manager.stats import ManagerStatsTracker
from tickhive.manager.status import ManagerStatus
from tickhive.tasks import AsyncTaskManager

HEALTH_TASK = "manager: health"
STATISTICS_TASK = "manager: statistics"


class CollectorManager:
    """Manages collectors: the work is done by a lifecycle manager, a health monitor and a statistics tracker.

    The process's one manager is ``CollectorManager.instance()``: the first that was made. More may be made beside it,
    each with collectors of its own. A collector that raises harms only itself and is shown as failed. Not thread-safe:
    use it from the thread of its event loop.
    """

    _instance: ClassVar[CollectorManager | None] = None

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        policy: RestartPolicy | None = None,
        logger: ManagerLogger | None = None,
        rng: random.Random | None = None,
        statistics_seconds: float = 1.0,
    ) -> None:
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._log = logger if logger is not None else ManagerLogger()
        policy = policy if policy is not None else RestartPolicy()
        roster = Roster()
        self._roster = roster
        self._tasks = AsyncTaskManager("manager", clock=self._clock)
        self._lifecycle = CollectorLifecycleManager(
            roster, self._tasks, self._clock, self._log, policy, rng if rng is not None else random.Random()
        )
        self._health = ManagerHealthMonitor(roster, self._lifecycle, self._clock, self._log, policy)
        self._stats = ManagerStatsTracker(roster, self._lifecycle, self._clock, statistics_seconds)
        if CollectorManager._instance is None:
            CollectorManager._instance = self

    @classmethod
    def instance(cls) -> CollectorManager:
        """The process's manager, made at the first call."""
        return CollectorManager._instance if CollectorManager._instance is not None else cls()

    @classmethod
    def _forget_instance(cls) -> None:
        """Let the next manager be the process's, so that one test does not see the collectors of another."""
        CollectorManager._instance = None

    def add_collector(self, collector: ManagedCollector, enabled: bool = True) -> None:
        """Take a collector into care; CollectorError when its name is taken.

        While the manager runs an enabled one is started in the background.
        """
        self._lifecycle.add_collector(collector, enabled)

    async def remove_collector(self, name: str) -> None:
        """Stop a collector and let it go."""
        await self._lifecycle.remove_collector(name)

    async def enable_collector(self, name: str) -> bool:
        """Let a collector run and forget its failures; True when it runs, or will when the manager starts."""
        return await self._lifecycle.enable_collector(name)

    async def disable_collector(self, name: str) -> bool:
        """Stop a collector until it is enabled; True when it stopped without complaint."""
        return await self._lifecycle.disable_collector(name)

    async def restart_collector(self, name: str) -> bool:
        """Restart a collector and forget its failures; True when it runs afterwards."""
        return await self._lifecycle.restart_collector(name)

    async def restart_all_collectors(self) -> dict[str, bool]:
        """Restart every enabled collector one after the other; answers by name who came back."""
        return await self._lifecycle.restart_all_collectors()

    async def start_all(self) -> dict[str, bool]:
        """Start every enabled collector and the watch over them; answers by name who started."""
        if not self._lifecycle.running:
            self._stats.started_at = self._clock.time_ns()
            self._tasks.add_task(HEALTH_TASK, self._health._global_health_monitor())
            self._tasks.add_task(STATISTICS_TASK, self._stats.cache.keep_fresh())
        started = await self._lifecycle.start_all()
        await self._stats.catch_up()
        return started

    async def stop_all(self) -> dict[str, bool]:
        """Stop the watch and every collector; answers by name who stopped without complaint."""
        self._tasks.remove_task(HEALTH_TASK)
        self._tasks.remove_task(STATISTICS_TASK)
        stopped = await self._lifecycle.stop_all()
        await self._tasks.cancel_all_tasks()
        self._stats.started_at = None
        self._stats.cache.mark_changed()
        return stopped

    def get_status(self) -> ManagerStatus:
        """Everything the manager knows, JSON-ready and at most two seconds old; see ManagerStatus for its fields."""
        return self._stats.get_status()

    def list_collectors(self) -> list[str]:
        """The names of all collectors, in the order they were added."""
        return [member.name for member in self._roster]

    def get_collector(self, name: str) -> ManagedCollector:
        """The collector of this name; CollectorError lists those there are."""
        return self._roster.get(name).collector

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._lifecycle.running

    @property
    def watching(self) -> bool:
        """Whether its health monitor is at work; False while the manager runs means that it died."""
        return HEALTH_TASK in self._tasks
