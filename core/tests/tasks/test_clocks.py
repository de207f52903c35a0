"""A manual clock wakes everybody in the order of deadlines; the machine's clock keeps the same interface."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.clock import NANOSECONDS, Clock, ManualClock, SystemClock


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_sleepers_wake_in_the_order_of_their_deadlines(tenths: list[int]) -> None:
    async def run() -> list[tuple[int, int]]:
        clock = ManualClock(0)
        woken: list[tuple[int, int]] = []

        async def sleeper(index: int, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append((clock.time_ns(), index))

        tasks = [asyncio.create_task(sleeper(index, each / 10)) for index, each in enumerate(tenths)]
        await clock.advance(10)
        await asyncio.gather(*tasks)
        assert clock.time_ns() == 10 * NANOSECONDS
        return woken

    woken = asyncio.run(run())
    assert [at for at, _ in woken] == sorted(at for at, _ in woken)
    assert [index for _, index in woken] == [index for _, index in sorted((each, i) for i, each in enumerate(tenths))]
    assert all(abs(at - tenths[index] * NANOSECONDS // 10) <= 1 for at, index in woken)


async def test_chained_sleeps_go_on_within_one_advance() -> None:
    clock = ManualClock(0)
    seen: list[float] = []

    async def chain() -> None:
        for _ in range(100):
            await clock.sleep(0.1)
            seen.append(clock.monotonic())

    task = asyncio.create_task(chain())
    await clock.advance(5.05)
    assert len(seen) == 50
    await clock.run_until(task.done)
    assert seen[-1] == pytest.approx(10, abs=1e-6)


async def test_calls_run_when_due_and_not_when_called_off() -> None:
    clock = ManualClock(100)
    seen: list[str] = []
    clock.call_at(100 + NANOSECONDS, lambda: seen.append("second"))
    clock.call_at(50, lambda: seen.append("past"))
    off = clock.call_at(100 + 10, lambda: seen.append("never"))
    off.cancel()
    off.cancel()
    assert clock.next_deadline() == 50
    await clock.advance(0.5)
    assert seen == ["past"]
    await clock.advance(0.5)
    assert seen == ["past", "second"]
    assert clock.next_deadline() is None


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(5))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert task.cancelled()
    assert clock.next_deadline() is None


async def test_run_until_gives_up_after_its_limit() -> None:
    clock = ManualClock()

    async def tick() -> None:
        while True:
            await clock.sleep(1)

    task = asyncio.create_task(tick())
    with pytest.raises(TimeoutError, match="within 60 s"):
        await clock.run_until(lambda: False, limit_seconds=60)
    task.cancel()


async def test_run_until_lets_real_sockets_go_on() -> None:
    clock = ManualClock()
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, done.set)
    await clock.run_until(done.is_set)


async def test_the_machines_clock() -> None:
    clock: Clock = SystemClock()
    assert abs(clock.time_ns() - time.time_ns()) < 5 * NANOSECONDS
    before = clock.monotonic()
    await clock.sleep(-1)
    await clock.sleep(0.001)
    assert clock.monotonic() >= before
    called = asyncio.Event()
    clock.call_at(clock.time_ns() - 5, called.set)
    never = clock.call_at(clock.time_ns() + 3600 * NANOSECONDS, called.clear)
    await asyncio.wait_for(called.wait(), 10)
    never.cancel()
