"""Starting, stopping and restarting: what one collector does wrong stays with it."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest

from tickhive.errors import CollectorError, ConfigurationError, UnknownSymbolError
from tickhive.manager import CollectorManager, RestartPolicy


def entry(manager, name):
    return manager.get_status()["collectors"][name]


async def test_collectors_are_started_and_stopped_together(manager, probe):
    one, two, off = probe("one"), probe("two"), probe("off", enabled=False)
    assert manager.list_collectors() == ["one", "two", "off"]
    assert manager.get_status()["status"] == "stopped"
    assert await manager.start_all() == {"one": True, "two": True}
    assert (one.started, two.started, off.started) == (True, True, False)
    status = manager.get_status()
    assert status["status"] == "healthy"
    assert [entry["state"] for entry in status["collectors"].values()] == ["running", "running", "disabled"]
    assert await manager.stop_all() == {"one": True, "two": True, "off": True}
    assert (one.calls, two.calls, off.calls) == (["start", "stop"], ["start", "stop"], [])
    assert manager.get_status()["status"] == "stopped"
    assert len(manager._tasks) == 0


async def test_a_second_start_all_starts_only_what_is_not_running(manager, probe):
    one = probe("one")
    await manager.start_all()
    probe("late")
    await manager.start_all()
    assert one.calls == ["start"]
    assert entry(manager, "late")["state"] == "running"


@pytest.mark.parametrize(
    ("error", "needs_operator"),
    [
        (RuntimeError("no route, password=hunter2hunter2"), False),
        (ConfigurationError("symbols: none exists"), True),
        (UnknownSymbolError("acme", "NO-SUCH"), True),
    ],
)
async def test_one_that_cannot_start_is_shown_and_harms_no_other(manager, probe, error, needs_operator):
    bad, good = probe("bad", start=error), probe("good")
    assert await manager.start_all() == {"bad": False, "good": True}
    status = manager.get_status()
    assert status["status"] == "degraded"
    assert status["failed_collectors"] == ["bad"]
    shown = status["collectors"]["bad"]
    assert shown["state"] == "failed"
    assert type(error).__name__ in shown["error"]
    assert "hunter2" not in json.dumps(status)
    assert shown["needs_operator"] is needs_operator
    assert shown["reasons"] == [shown["error"]]
    assert bad.calls == ["start", "stop"], "what a half start holds is given back"
    assert good.started


async def test_a_cause_that_is_hopeless_is_seen_behind_the_collectors_own_error(manager, probe):
    error = CollectorError("cannot start")
    error.__cause__ = ConfigurationError("symbols: none exists")
    probe("bad", start=error)
    await manager.start_all()
    assert entry(manager, "bad")["needs_operator"]


async def test_a_start_that_answers_false_failed(manager, probe):
    one = probe("one")

    async def no() -> bool:
        return False

    one.start = no
    assert await manager.start_all() == {"one": False}
    assert entry(manager, "one")["state"] == "failed"


@pytest.mark.parametrize("verb", ["hang", "ignore cancellation"])
async def test_a_start_that_never_ends_is_given_up_at_its_deadline(manager, probe, clock, policy, verb):
    stuck, good = probe("stuck", start=verb), probe("good")
    starting = asyncio.ensure_future(manager.start_all())
    await clock.advance(policy.deadline_seconds - 1)
    assert not starting.done()
    assert good.started
    assert entry(manager, "stuck")["state"] == "starting"
    await clock.advance(2)
    assert await starting == {"stuck": False, "good": True}
    assert "TimeoutError" in entry(manager, "stuck")["error"]
    assert manager.get_status()["abandoned_operations"] == (verb != "hang")
    stuck.deaf.set()
    await clock.advance(0)
    manager._stats._update_stats()
    assert manager.get_status()["abandoned_operations"] == 0


async def test_an_operation_cancelled_from_inside_is_a_failure_of_that_collector(manager, probe):
    probe("one", start=asyncio.CancelledError())
    assert await manager.start_all() == {"one": False}
    assert "cancelled from inside" in entry(manager, "one")["error"]


async def test_one_that_cannot_stop_is_shown_and_the_others_stop(manager, probe):
    bad, good = probe("bad", stop=OSError("disk")), probe("good")
    await manager.start_all()
    assert await manager.stop_all() == {"bad": False, "good": True}
    assert entry(manager, "bad")["state"] == "failed"
    assert "stop failed: OSError: disk" in entry(manager, "bad")["error"]
    assert not good.started
    assert bad.calls == ["start", "stop"]


async def test_disable_stops_and_keeps_stopped_until_enabled(manager, probe):
    one = probe("one")
    await manager.start_all()
    assert await manager.disable_collector("one")
    assert entry(manager, "one")["state"] == "disabled"
    await manager.start_all()
    assert not one.started
    assert await manager.enable_collector("one")
    assert one.started
    assert entry(manager, "one")["state"] == "running"
    assert await manager.enable_collector("one")
    assert one.calls == ["start", "stop", "start"]


async def test_enabling_before_the_manager_runs_only_marks(manager, probe):
    one = probe("one", enabled=False)
    assert await manager.enable_collector("one")
    assert one.calls == []
    await manager.start_all()
    assert one.started


async def test_remove_stops_and_frees_the_name(manager, probe):
    one = probe("one", stop=RuntimeError("no"))
    await manager.start_all()
    await manager.remove_collector("one")
    assert one.calls == ["start", "stop"]
    assert manager.list_collectors() == []
    probe("one")
    assert manager.list_collectors() == ["one"]


async def test_adding_while_running_starts_in_the_background(manager, probe, clock):
    await manager.start_all()
    one = probe("one")
    assert not one.started
    await clock.advance(0)
    assert one.started


async def test_names_are_unique_and_unknown_ones_are_named(manager, probe):
    probe("one")
    with pytest.raises(CollectorError, match="'one' is already managed"):
        probe("one")
    with pytest.raises(CollectorError, match=r"No collector named 'two' is managed\. Managed: one"):
        await manager.restart_collector("two")
    with pytest.raises(CollectorError, match="No collector"):
        manager.get_collector("two")
    await manager.disable_collector("one")
    with pytest.raises(CollectorError, match="disabled; enable it"):
        await manager.restart_collector("one")


async def test_restart_by_an_operator_counts_and_brings_a_failed_one_back(manager, probe):
    one = probe("one", start=RuntimeError("no"))
    await manager.start_all()
    one.script.clear()
    assert await manager.restart_collector("one")
    assert entry(manager, "one")["error"] is None
    assert await manager.restart_collector("one")
    assert one.calls == ["start", "stop", "start", "restart"]
    assert entry(manager, "one")["restarts"] == 1


async def test_a_restart_that_raises_leaves_the_collector_failed_and_stopped(manager, probe):
    one = probe("one", restart=RuntimeError("no"))
    await manager.start_all()
    assert not await manager.restart_collector("one")
    assert entry(manager, "one")["state"] == "failed"
    assert one.calls == ["start", "restart", "stop"]


async def test_restart_all_goes_one_at_a_time_with_a_stagger_between(manager, probe, clock, policy):
    probes = [probe(f"p{number}", restart=1.0) for number in range(4)]
    await manager.start_all()
    restarting = asyncio.ensure_future(manager.restart_all_collectors())
    await clock.run_until(restarting.done)
    assert set(restarting.result().values()) == {True}
    begins = [dict(probe.times)["restart"] for probe in probes]
    gaps = [later - earlier for earlier, later in pairwise(begins)]
    assert all(1.0 + policy.stagger_seconds <= gap <= 1.0 + policy.stagger_seconds * 1.5 + 1e-6 for gap in gaps), gaps
    assert len(set(gaps)) > 1, "the stagger is jittered"


async def test_operations_on_one_collector_wait_for_each_other(manager, probe, clock):
    one = probe("one", restart=5.0)
    await manager.start_all()
    restarting = asyncio.ensure_future(manager.restart_collector("one"))
    await clock.advance(1)
    stopping = asyncio.ensure_future(manager.disable_collector("one"))
    await clock.advance(1)
    assert one.calls == ["start", "restart"]
    await clock.advance(5)
    assert await restarting
    assert await stopping
    assert one.calls == ["start", "restart", "stop"]


async def test_the_first_manager_is_the_processs_one(manager):
    assert CollectorManager.instance() is manager
    assert CollectorManager() is not manager
    assert CollectorManager.instance() is manager
    CollectorManager._forget_instance()
    assert CollectorManager.instance() is not manager


def test_rules_that_cannot_work_are_refused_all_at_once():
    with pytest.raises(ConfigurationError) as refused:
        RestartPolicy(check_seconds=0, max_restarts=-1, patience_seconds=float("nan"))
    assert len(refused.value.problems) == 3
