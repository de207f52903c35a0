"""The status: every field there, JSON-ready, cheap to read and never broken by one collector."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import get_type_hints

import pytest

from tickhive.manager import CachedStatsManager, health
from tickhive.manager.answers import PER_TURN
from tickhive.manager.lifecycle import STARTS_PER_TURN
from tickhive.manager.status import CollectorEntry, ManagerStatus, ProcessStatistics, Totals, json_ready


@pytest.fixture
def statistics_seconds() -> float:
    return 1.0


async def test_the_status_has_exactly_its_documented_fields_and_is_json(manager, probe, clock):
    probe("one")
    await manager.start_all()
    await clock.advance(10)
    status = manager.get_status()
    assert status.keys() == get_type_hints(ManagerStatus).keys()
    assert status["totals"].keys() == get_type_hints(Totals).keys()
    assert status["process"].keys() == get_type_hints(ProcessStatistics).keys()
    assert status["collectors"]["one"].keys() == get_type_hints(CollectorEntry).keys()
    assert json.loads(json.dumps(status, allow_nan=False)) == status
    assert status["totals"] == {
        "collectors": 1, "enabled": 1, "running": 1, "healthy": 1, "failed": 0, "restarts": 0, "events": 5,
    }  # fmt: skip
    assert status["uptime_seconds"] == 10.0
    assert status["process"]["pid"] == os.getpid()
    assert status["process"]["memory_bytes"] > 1_000_000


async def test_reading_often_asks_the_collectors_rarely(manager, probe, clock):
    one = probe("one")
    await manager.start_all()
    await clock.advance(1)
    before = one.status_calls
    first = manager.get_status()
    for _ in range(100):
        assert manager.get_status() is first
    assert one.status_calls <= before + 1
    await clock.advance(10)
    assert manager.get_status()["at"] == clock.time_ns()
    assert before + 9 <= one.status_calls <= before + 12


async def test_a_change_is_seen_at_the_next_read(manager, probe):
    assert manager.get_status()["totals"]["collectors"] == 0
    probe("one")
    assert manager.get_status()["totals"]["collectors"] == 1
    await manager.remove_collector("one")
    assert manager.get_status()["totals"]["collectors"] == 0


@asynccontextmanager
async def most_per_turn(count: Callable[[], int]) -> AsyncIterator[Callable[[], int]]:
    """Watch by how much a count grows from one turn of the event loop to the next."""
    grown: list[int] = [0]

    async def watch() -> None:
        while True:
            before = count()
            await asyncio.sleep(0)
            grown.append(count() - before)

    watching = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    try:
        yield lambda: max(grown)
    finally:
        watching.cancel()


async def test_of_many_collectors_a_few_are_asked_in_one_turn_of_the_loop(manager, probe, clock):
    probes = [probe(f"p{number:03}") for number in range(5 * PER_TURN)]
    async with most_per_turn(lambda: sum(each.status_calls for each in probes)) as most:
        await manager.start_all()
        assert manager.get_status()["totals"]["healthy"] == len(probes), "all are known when the start is done"
        await clock.advance(3)
        assert all(3 <= each.status_calls <= 5 for each in probes)
        for each in probes:
            each.sick = ["silent"]
        manager.get_status()
        await clock.advance(2)
        assert len(manager.get_status()["unhealthy_collectors"]) == len(probes), "at most two periods old"
        assert 0 < most() <= PER_TURN


async def test_of_many_collectors_a_few_begin_to_start_in_one_turn_of_the_loop(manager, probe):
    probes = [probe(f"p{number:03}") for number in range(5 * STARTS_PER_TURN)]
    async with most_per_turn(lambda: sum(each.started for each in probes)) as most:
        assert all((await manager.start_all()).values())
        assert 0 < most() <= STARTS_PER_TURN
    assert all(each.calls == ["start"] for each in probes)


async def test_of_many_collectors_a_few_begin_to_stop_in_one_turn_of_the_loop(manager, probe):
    probes = [probe(f"p{number:03}") for number in range(5 * STARTS_PER_TURN)]
    await manager.start_all()
    async with most_per_turn(lambda: sum(not each.started for each in probes)) as most:
        assert all((await manager.stop_all()).values())
        assert 0 < most() <= STARTS_PER_TURN


async def test_of_many_collectors_the_health_of_a_few_is_looked_at_in_one_turn_of_the_loop(
    manager, probe, clock, policy
):
    probes = [probe(f"p{number:03}") for number in range(5 * health.PER_TURN)]
    await manager.start_all()
    async with most_per_turn(lambda: sum(each.health_calls for each in probes)) as most:
        before = sum(each.health_calls - each.status_calls for each in probes)
        await clock.advance(policy.check_seconds)
        assert sum(each.health_calls - each.status_calls for each in probes) == before + len(probes)
        assert 0 < most() <= PER_TURN + health.PER_TURN, "the statistics ask at the same time"


async def test_what_stays_the_same_and_what_several_say_alike_is_kept_once(manager, probe, clock):
    one, other = probe("one"), probe("other")
    await manager.start_all()
    before = manager.get_status()["collectors"]
    one.sick = ["silent"]
    await clock.advance(2)
    after = manager.get_status()["collectors"]
    assert after["one"]["details"] is before["one"]["details"]
    assert after["one"]["details"]["events"] is after["other"]["details"]["events"]
    assert (after["one"]["details"]["name"], after["other"]["details"]["name"]) == (one.name, other.name)


async def test_a_read_after_many_changes_shows_all_states_and_asks_a_few(manager, probe, clock):
    probes = [probe(f"p{number:03}") for number in range(5 * PER_TURN)]
    await manager.start_all()
    for each in probes:
        each.script["restart"] = 5.0
    restarting = [asyncio.ensure_future(manager.restart_collector(each.name)) for each in probes]
    await asyncio.sleep(0)
    before = sum(each.status_calls for each in probes)
    for _ in range(3):
        states = [entry["state"] for entry in manager.get_status()["collectors"].values()]
        assert states == ["restarting"] * len(probes)
    assert sum(each.status_calls for each in probes) - before == PER_TURN
    await clock.advance(5)
    assert all(await asyncio.gather(*restarting))


async def test_one_that_was_not_asked_yet_is_not_called_healthy(manager, probe, clock):
    await manager.start_all()
    await clock.advance(0.5)
    probes = [probe(f"p{number:03}") for number in range(2 * PER_TURN)]
    async with asyncio.timeout(10):
        while any(member.state != "running" for member in manager._roster):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert not any(each.status_calls for each in probes)
    entries = list(manager.get_status()["collectors"].values())
    assert [entry["healthy"] for entry in entries] == [True] * PER_TURN + [False] * PER_TURN
    assert entries[-1]["reasons"] == ["it has not been asked yet how it is"]
    await clock.advance(1)
    assert manager.get_status()["totals"]["healthy"] == 2 * PER_TURN


async def test_a_stopped_manager_asks_everybody_who_changed(manager, probe):
    probes = [probe(f"p{number:03}") for number in range(3 * PER_TURN)]
    assert all(entry["details"] for entry in manager.get_status()["collectors"].values())
    await manager.start_all()
    before = [each.status_calls for each in probes]
    await manager.stop_all()
    manager.get_status()
    assert all(each.status_calls > calls for each, calls in zip(probes, before, strict=True))


async def test_what_a_removed_collector_said_is_not_kept(manager, probe, clock):
    probe("one")
    probe("two")
    await manager.start_all()
    await manager.remove_collector("one")
    await clock.advance(2)
    assert [member.name for member in manager._stats._answers._kept] == ["two"]


async def test_a_collector_whose_status_raises_harms_only_itself(manager, probe):
    probe("bad", get_status=RuntimeError("token=abcdef123456"))
    probe("good")
    await manager.start_all()
    status = manager.get_status()
    assert status["collectors"]["bad"]["healthy"] is False
    assert any("get_status failed" in reason for reason in status["collectors"]["bad"]["reasons"])
    assert "abcdef123456" not in json.dumps(status)
    assert status["collectors"]["good"]["healthy"] is True
    assert status["status"] == "degraded"


async def test_a_cache_that_nobody_refreshes_refreshes_itself(clock):
    computed = iter(range(100))
    cache = CachedStatsManager(lambda: next(computed), clock, every_seconds=1.0)
    assert [cache.read(), cache.read()] == [0, 0]
    await clock.advance(1.9)
    assert cache.read() == 0
    await clock.advance(0.2)
    assert cache.read() == 1
    cache.mark_changed()
    assert cache.read() == 2
    assert cache.refresh() == 3


def test_what_json_cannot_write_becomes_text():
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    deep: list[object] = []
    deep.append(deep)
    out = json_ready({"a": {1, 2}, "b": Broken(), "c": ValueError("x"), "d": float("nan"), "e": True, "f": deep})
    json.dumps(out, allow_nan=False)
    assert out["a"] == [1, 2]
    assert out["b"] == "(a Broken that cannot be shown)"
    assert out["c"] == "ValueError: x"
    assert out["d"] is None
    assert out["e"] is True
