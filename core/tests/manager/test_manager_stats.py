"""The status: every field there, JSON-ready, cheap to read and never broken by one collector."""

from __future__ import annotations

import json
import os
from typing import get_type_hints

import pytest

from tickhive.manager import CachedStatsManager
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
