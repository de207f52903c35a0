"""A small collector that does what it is told, and a manager on a clock that the test moves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from tickhive.clock import ManualClock
from tickhive.manager import CollectorManager, RestartPolicy


class Probe:
    """Fits ManagedCollector. ``script`` maps a method to what it raises or awaits before it goes on."""

    def __init__(self, name: str, clock: ManualClock, *, auto_restart: bool = True, **script: Any) -> None:
        self.name = name
        self.clock = clock
        self.auto_restart = auto_restart
        self.script = script
        self.started = False
        self.sick: list[str] = []
        self.calls: list[str] = []
        self.times: list[tuple[str, float]] = []
        self.status_calls = 0
        self.health_calls = 0
        self.cures = False
        self.deaf = asyncio.Event()

    async def _do(self, verb: str) -> None:
        self.calls.append(verb)
        self.times.append((verb, self.clock.monotonic()))
        wanted = self.script.get(verb)
        if isinstance(wanted, BaseException):
            raise wanted
        if wanted == "hang":
            await asyncio.Event().wait()
        if wanted == "ignore cancellation":
            while not self.deaf.is_set():
                try:
                    await self.deaf.wait()
                except asyncio.CancelledError:
                    continue
        if isinstance(wanted, float):
            await self.clock.sleep(wanted)

    async def start(self) -> None:
        await self._do("start")
        self.started = True

    async def stop(self) -> None:
        await self._do("stop")
        self.started = False

    async def restart(self) -> None:
        await self._do("restart")
        self.started = True
        if self.cures:
            self.sick = []

    def get_status(self) -> dict[str, Any]:
        self.status_calls += 1
        if isinstance(self.script.get("get_status"), BaseException):
            raise self.script["get_status"]
        return {"name": self.name, "events": {"Trade": 3, "Ticker": 2}, "odd": {1: (object, float("inf"))}}

    def get_health_status(self) -> dict[str, Any]:
        self.health_calls += 1
        answer = self.script.get("get_health_status")
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            return answer
        return {"healthy": self.started and not self.sick, "reasons": list(self.sick)}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def policy() -> RestartPolicy:
    return RestartPolicy(check_seconds=5, patience_seconds=20, max_restarts=3, window_seconds=600, stagger_seconds=2)


@pytest.fixture
def statistics_seconds() -> float:
    return 60.0


@pytest.fixture
async def manager(clock: ManualClock, policy: RestartPolicy, statistics_seconds: float):
    manager = CollectorManager(clock=clock, policy=policy, rng=random.Random(1), statistics_seconds=statistics_seconds)
    yield manager
    await manager.stop_all()
    CollectorManager._forget_instance()


@pytest.fixture
def probe(clock: ManualClock, manager: CollectorManager) -> Callable[..., Probe]:
    def make(name: str, *, enabled: bool = True, **options: Any) -> Probe:
        made = Probe(name, clock, **options)
        manager.add_collector(made, enabled)
        return made

    return make
