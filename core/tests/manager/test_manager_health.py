"""The system-wide watch: patience, budget, stagger, and a crash loop that ends where an operator sees it."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tickhive.errors import ConfigurationError
from tickhive.manager.restart_budget import RestartBudget, RestartPolicy


def entry(manager, name):
    return manager._stats._update_stats()["collectors"][name]


async def test_one_that_stays_unhealthy_is_restarted_after_the_patience_and_not_before(manager, probe, clock, policy):
    one, other = probe("one"), probe("other")
    one.cures = True
    await manager.start_all()
    one.sick = ["BTC-USDT is silent"]
    await clock.advance(policy.patience_seconds)
    assert one.calls == ["start"]
    assert entry(manager, "one")["reasons"] == ["BTC-USDT is silent"]
    await clock.advance(policy.check_seconds)
    assert one.calls == ["start", "restart"]
    shown = entry(manager, "one")
    assert (shown["state"], shown["healthy"], shown["restarts"], shown["recent_restarts"]) == ("running", True, 1, 1)
    await clock.advance(200)
    assert one.calls == ["start", "restart"]
    assert other.calls == ["start"]


async def test_a_short_illness_is_none_of_the_managers_business(manager, probe, clock, policy):
    one = probe("one")
    await manager.start_all()
    for _ in range(10):
        one.sick = ["redialling"]
        await clock.advance(policy.patience_seconds - 1)
        one.sick = []
        await clock.advance(policy.check_seconds + 1)
    assert one.calls == ["start"]


async def test_without_auto_restart_it_is_only_shown(manager, probe, clock):
    one = probe("one", auto_restart=False)
    await manager.start_all()
    one.sick = ["silent"]
    await clock.advance(500)
    assert one.calls == ["start"]
    assert manager.get_status()["unhealthy_collectors"] == ["one"]
    assert manager.get_status()["status"] == "failed"


async def test_a_crash_loop_ends_in_a_visible_failed_state_until_an_operator_acts(manager, probe, clock, policy):
    loop, good = probe("loop", start=RuntimeError("boom")), probe("good")
    await manager.start_all()
    assert entry(manager, "loop")["restart_in_seconds"] is None
    await clock.advance(policy.check_seconds)
    assert entry(manager, "loop")["restart_in_seconds"] > 0
    await clock.advance(590)
    starts = [at for verb, at in loop.times if verb == "start"]
    assert len(starts) == 1 + policy.max_restarts
    waits = [later - earlier for earlier, later in pairwise(starts)]
    assert waits == sorted(waits), "each wait is longer than the last"
    shown = entry(manager, "loop")
    assert shown["state"] == "failed"
    assert shown["needs_operator"] is True
    assert shown["error"].startswith(
        "gave up after 3 restarts within 600 s; last seen: start failed: RuntimeError: boom"
    )
    await clock.advance(1_500)
    assert len(loop.calls) == 2 * (1 + policy.max_restarts), "not even when the window has passed"
    assert manager._stats._update_stats()["status"] == "degraded"
    assert good.calls == ["start"]

    loop.script.clear()
    assert await manager.enable_collector("loop")
    shown = entry(manager, "loop")
    assert (shown["state"], shown["needs_operator"], shown["recent_restarts"]) == ("running", False, 0)
    assert manager.get_status()["status"] == "healthy"


async def test_one_that_runs_but_stays_sick_is_given_up_without_being_stopped(manager, probe, clock, policy):
    one = probe("one")
    await manager.start_all()
    one.sick = ["ETH-USDT is silent"]
    await clock.advance(580)
    assert one.calls == ["start"] + ["restart"] * policy.max_restarts
    assert one.started
    shown = entry(manager, "one")
    assert (shown["state"], shown["needs_operator"]) == ("failed", True)
    assert "ETH-USDT is silent" in shown["reasons"][1]
    one.sick = []
    await clock.advance(policy.patience_seconds + 2 * policy.check_seconds)
    shown = entry(manager, "one")
    assert (shown["state"], shown["healthy"], shown["needs_operator"]) == ("running", True, False)
    assert one.calls == ["start"] + ["restart"] * policy.max_restarts


@pytest.mark.parametrize("word", ["waits", "needs_operator"])
async def test_one_that_says_a_restart_cannot_help_is_left_alone_and_the_count_begins_anew(
    manager, probe, clock, policy, word
):
    one = probe("one", get_health_status={"healthy": False, "reasons": ["waits for its turn"], word: True})
    await manager.start_all()
    await clock.advance(20 * policy.patience_seconds)
    assert one.calls == ["start"]
    assert entry(manager, "one")["reasons"] == ["waits for its turn"]
    assert entry(manager, "one")["restart_in_seconds"] is None
    one.script.clear()
    one.sick, one.cures = ["silent"], True
    await clock.advance(policy.patience_seconds - 1)
    assert one.calls == ["start"]
    await clock.advance(2 * policy.check_seconds)
    assert one.calls == ["start", "restart"]


async def test_one_that_begins_to_wait_before_its_restart_has_its_turn_is_left_alone(manager, probe, clock, policy):
    first, second = probe("first"), probe("second")
    await manager.start_all()
    for each in (first, second):
        each.sick, each.cures = ["venue down"], True
    await clock.advance(policy.patience_seconds + policy.check_seconds)
    assert (first.calls, second.calls) == (["start", "restart"], ["start"]), "the second waits out the stagger"
    second.script["get_health_status"] = {"healthy": False, "reasons": ["waits for its turn"], "waits": True}
    await clock.advance(60)
    assert second.calls == ["start"]
    assert entry(manager, "second")["recent_restarts"] == 0


async def test_restart_by_an_operator_gives_the_budget_back(manager, probe, clock, policy):
    one = probe("one")
    await manager.start_all()
    one.sick = ["silent"]
    await clock.advance(580)
    assert entry(manager, "one")["needs_operator"]
    one.cures = True
    assert await manager.restart_collector("one")
    assert entry(manager, "one")["state"] == "running"
    assert entry(manager, "one")["recent_restarts"] == 0


async def test_what_starting_again_cannot_cure_is_left_to_the_operator_at_once(manager, probe, clock):
    one = probe("one", start=ValueError("plain"))
    await manager.start_all()
    one.script["start"] = ConfigurationError("symbols: none exists")
    await clock.advance(1000)
    assert one.calls == ["start", "stop"] * 2
    assert entry(manager, "one")["needs_operator"]


async def test_many_that_fall_ill_together_are_restarted_in_turn(manager, probe, clock, policy):
    probes = [probe(f"p{number}") for number in range(5)]
    await manager.start_all()
    for each in probes:
        each.sick, each.cures = ["venue down"], True
    await clock.advance(120)
    begins = sorted(dict(each.times)["restart"] for each in probes)
    gaps = [later - earlier for earlier, later in pairwise(begins)]
    assert all(gap >= policy.stagger_seconds for gap in gaps), gaps
    assert all(each.calls == ["start", "restart"] for each in probes)


async def test_one_that_gets_well_while_the_others_take_their_turns_is_left_alone(manager, probe, clock, policy):
    first, second = probe("first", restart=10.0), probe("second")
    await manager.start_all()
    first.sick, second.sick = ["venue down"], ["venue down"]
    first.cures = True
    await clock.advance(policy.patience_seconds + policy.check_seconds + 1)
    assert first.calls == ["start", "restart"]
    second.sick = []
    await clock.advance(60)
    assert second.calls == ["start"]
    assert entry(manager, "second")["recent_restarts"] == 0


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("secret=abcdefgh1234"), {}, {"healthy": "yes"}, {"healthy": 1, "reasons": 5}, {"healthy": False}, 7],
)
async def test_a_health_answer_that_cannot_be_used_is_unhealthy_and_harms_no_other(manager, probe, answer):
    probe("odd", get_health_status=answer)
    probe("good")
    await manager.start_all()
    shown = entry(manager, "odd")
    assert shown["healthy"] is False
    assert shown["reasons"]
    assert "abcdefgh1234" not in str(shown)
    assert entry(manager, "good")["healthy"] is True


async def test_a_disabled_one_is_not_watched(manager, probe, clock):
    one = probe("one")
    await manager.start_all()
    one.sick = ["silent"]
    await manager.disable_collector("one")
    await clock.advance(500)
    assert one.calls == ["start", "stop"]


def test_the_budget_forgets_what_is_older_than_its_window_and_its_waits_are_capped():
    policy = RestartPolicy(max_restarts=2, window_seconds=100, first_wait_seconds=1, longest_wait_seconds=8, jitter=0)
    budget = RestartBudget(policy, random.Random(0))
    assert [budget.spend(0.0), budget.spend(50.0), budget.spend(99.9)] == [True, True, False]
    assert budget.used(99.9) == 2
    assert budget.spend(100.0)
    assert not budget.spend(149.9)
    assert budget.wait_seconds(149.9) == 4.0
    assert RestartBudget(policy, random.Random(0)).wait_seconds(0.0) == 1.0
    many = RestartBudget(RestartPolicy(max_restarts=5000, jitter=0), random.Random(0))
    for _ in range(2000):
        many.spend(0.0)
    assert many.wait_seconds(0.0) == 60.0


async def test_a_restart_that_hangs_delays_neither_the_checks_nor_the_restarts_of_others(manager, probe, clock, policy):
    stuck, other, third = probe("stuck", restart="hang"), probe("other"), probe("third")
    await manager.start_all()
    stuck.sick = ["silent"]
    await clock.advance(policy.patience_seconds + policy.check_seconds + 1)
    assert entry(manager, "stuck")["state"] == "restarting"
    other.sick, other.cures = ["silent"], True
    await clock.advance(policy.patience_seconds + 2 * policy.check_seconds + 1)
    assert entry(manager, "stuck")["state"] == "restarting", "within its deadline"
    assert other.calls == ["start", "restart"]
    assert entry(manager, "other")["healthy"]
    assert third.calls == ["start"]
    assert await manager.stop_all() == {"stuck": True, "other": True, "third": True}
    assert stuck.calls == ["start", "restart", "stop"]
