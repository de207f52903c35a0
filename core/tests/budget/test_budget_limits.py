"""No window ever holds more than the venue allows, whoever asks in whatever order; and those who wait are served."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.budget import Backoff, Budget
from tickhive.clock import NANOSECONDS, ManualClock
from tickhive.plugin.contract import Limit


def budget_of(*limits: Limit, jitter_seconds: float = 0.0) -> tuple[Budget, ManualClock]:
    clock = ManualClock()
    return Budget(limits, clock, random.Random(7), jitter_seconds=jitter_seconds), clock


@given(
    limits=st.lists(
        st.builds(
            Limit,
            st.just("request"),
            st.integers(3, 9).map(float),
            st.sampled_from([0.25, 1.0, 2.5]),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
    calls=st.lists(
        st.tuples(st.sampled_from([0.0, 0.0, 0.1, 0.25, 1.0]), st.sampled_from([1.0, 2.0, 0.5]), st.sampled_from("ab")),
        min_size=1,
        max_size=30,
    ),
    jitter=st.sampled_from([0.0, 0.05]),
)
def test_no_window_holds_more_than_its_limit(
    limits: list[Limit], calls: list[tuple[float, float, str]], jitter: float
) -> None:
    granted: list[tuple[int, float, str]] = []

    async def run() -> None:
        budget, clock = budget_of(*limits, jitter_seconds=jitter)

        async def ask(amount: float, connection: str) -> None:
            await budget.acquire("request", amount, connection)
            granted.append((clock.time_ns(), amount, connection))

        tasks = []
        for pause, amount, connection in calls:
            if pause:
                await clock.advance(pause)
            tasks.append(asyncio.create_task(ask(amount, connection)))
        await clock.run_until(lambda: all(task.done() for task in tasks))
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert len(granted) == len(calls)
    for limit in limits:
        groups: dict[Any, list[tuple[int, float]]] = defaultdict(list)
        for at, amount, connection in granted:
            groups[connection if limit.per_connection else None].append((at, amount))
        for events in groups.values():
            for begin, _ in events:
                end = begin + round(limit.seconds * NANOSECONDS)
                assert sum(amount for at, amount in events if begin <= at <= end) <= limit.amount + 1e-6


async def test_those_who_wait_are_served_in_the_order_they_came() -> None:
    budget, clock = budget_of(Limit("request", 2, 1.0))
    served: list[int] = []

    async def ask(number: int, amount: float) -> None:
        await budget.acquire("request", amount)
        served.append(number)

    # A large request in front is not overtaken by small ones that would fit.
    tasks = [asyncio.create_task(ask(number, amount)) for number, amount in enumerate([1, 2, 1, 1, 2, 1])]
    await clock.run_until(lambda: len(served) == 6)
    assert served == [0, 1, 2, 3, 4, 5]
    assert budget.status()["request"]["waits"] > 0
    await asyncio.gather(*tasks)


async def test_a_busy_connection_does_not_hold_up_another() -> None:
    budget, clock = budget_of(Limit("request", 1, 60.0, per_connection=True))
    await budget.acquire("request", connection="a")
    waiting = asyncio.create_task(budget.acquire("request", connection="a"))
    await clock.advance(1)
    await budget.acquire("request", connection="b")
    assert not waiting.done()
    assert budget.status()["request"]["waiting"] == 1
    await clock.advance(60)
    assert waiting.done()
    budget.forget("a")
    await budget.acquire("request", connection="a")


async def test_who_gives_up_waiting_spends_nothing_and_blocks_nobody() -> None:
    budget, clock = budget_of(Limit("dial", 1, 10.0))
    await budget.acquire("dial")
    first, second = (asyncio.create_task(budget.acquire("dial")) for _ in range(2))
    await clock.advance(1)
    first.cancel()
    await clock.advance(9.1)
    assert first.cancelled()
    assert second.done()
    assert budget.status()["dial"]["acquired"] == 2


async def test_a_penalty_holds_everybody_back_even_without_a_limit() -> None:
    budget, clock = budget_of(Limit("dial", 5, 1.0))
    await budget.acquire("unknown", 1e9)
    for scope in ("dial", "unknown"):
        budget.penalise(scope, 30)
        budget.penalise(scope, 1)
        waiting = asyncio.create_task(budget.acquire(scope))
        await clock.advance(29)
        assert not waiting.done()
        assert budget.status()[scope]["penalised_seconds"] == pytest.approx(1)
        await clock.advance(1.1)
        assert waiting.done()


async def test_what_could_never_be_granted_is_refused() -> None:
    budget, _ = budget_of(Limit("weight", 10, 1.0))
    with pytest.raises(ValueError, match=r"'weight'.*allows 10"):
        await budget.acquire("weight", 11)
    with pytest.raises(ValueError, match="above zero"):
        budget_of(Limit("weight", 0, 1.0))


async def test_windows_of_idle_connections_are_dropped() -> None:
    budget, clock = budget_of(Limit("request", 1, 1.0, per_connection=True))
    for number in range(600):
        await budget.acquire("request", connection=number)
        if number % 100 == 0:
            await clock.advance(2)
    assert len(budget._scopes["request"].windows) < 400


class Highest:
    """Draws the most that is allowed."""

    def uniform(self, a: float, b: float, /) -> float:
        return b


@given(first=st.floats(0.01, 5), doublings=st.integers(0, 8), failures=st.integers(1, 2000), seed=st.integers(0, 1000))
def test_backoff_stays_under_a_ceiling_that_doubles_up_to_its_cap(
    first: float, doublings: int, failures: int, seed: int
) -> None:
    cap = first * 2**doublings
    backoff = Backoff(first, cap, random.Random(seed))
    for failure in range(failures):
        assert 0 <= backoff.next() <= min(cap, first * 2.0 ** min(failure, 20))
    assert backoff.failures == failures
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next() <= first


def test_a_lower_cap_holds_for_the_wait_and_for_where_the_ceiling_goes_on_from() -> None:
    backoff = Backoff(0.5, 60.0, Highest())
    assert [backoff.next() for _ in range(6)] == [0.5, 1, 2, 4, 8, 16]
    assert [backoff.next(5.0) for _ in range(3)] == [5, 5, 5]
    assert [backoff.next() for _ in range(4)] == [5, 10, 20, 40]
    assert Backoff(0.5, 2.0, Highest()).next(5.0) == 0.5


def test_backoff_uses_the_whole_range() -> None:
    backoff = Backoff(1.0, 60.0, random.Random(1))
    waits = [backoff.next() for _ in range(500)][10:]
    assert min(waits) < 5
    assert max(waits) > 55


@pytest.mark.parametrize(("first", "cap"), [(0, 1), (-1, 1), (2, 1)])
def test_backoff_refuses_what_makes_no_sense(first: float, cap: float) -> None:
    with pytest.raises(ValueError, match="first_seconds"):
        Backoff(first, cap)
