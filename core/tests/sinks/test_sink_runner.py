from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from tickhive.errors import ConfigurationError
from tickhive.events import MarkPrice
from tickhive.sinks import FlushPolicy, Sink, SinkBatch, SinkRunner, SinkSettings, create_sink, registry
from tickhive.spool import Spool

AT_ONCE = FlushPolicy(seconds=0.001)


def prices(*numbers: int) -> list[Any]:
    return [MarkPrice("acme", "BTC-USDT", None, n, Decimal(n)) for n in numbers]


class Memory(Sink):
    """A store that can be told to refuse, and keeps what each range held."""

    @define(kw_only=True)
    class Settings(SinkSettings):
        label: str

    promise = "exactly once: a range replaces itself"

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings or Memory.Settings(label="x"))
        self.ranges: dict[tuple[int, int], list[Any]] = {}
        self.refuse_open = self.refuse = False
        self.attempts = self.opened = self.closed = 0
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def open(self) -> None:
        if self.refuse_open:
            raise OSError("store is down at https://user:hunter2@store.example/?token=abcdefgh12345678")
        self.opened += 1

    def write(self, batch: SinkBatch) -> None:
        self.attempts += 1
        self.entered.set()
        self.gate.wait(20)
        self.ranges[batch.first, batch.last] = batch.events
        if self.refuse:
            raise ValueError("refused after storing")

    def close(self) -> None:
        self.closed += 1

    @property
    def events(self) -> list[Any]:
        return [event for key in sorted(self.ranges) for event in self.ranges[key]]


async def until(predicate: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110 - another thread makes it true
            await asyncio.sleep(0.002)


@pytest.fixture
async def spool(tmp_path: Path) -> Any:
    spool = Spool(tmp_path, commit_seconds=0.005)
    await spool.open()
    yield spool
    await spool.close()


async def test_events_reach_the_sink_and_the_spool_is_emptied(spool: Spool) -> None:
    sink = Memory()
    runner = SinkRunner(spool, "memory", sink, flush=AT_ONCE)
    await runner.start()
    spool.append(prices(1, 2))
    await until(lambda: runner.status()["events"] == 2)
    spool.append(prices(3))
    assert await runner.stop() == 0
    assert sink.events == prices(1, 2, 3)
    assert (sink.opened, sink.closed) == (1, 1)
    status = runner.status()
    assert status["state"] == "stopped"
    assert status["lag_events"] == 0
    assert status["promise"] == Memory.promise


async def test_a_drain_delivers_what_the_flush_policy_would_still_hold(spool: Spool) -> None:
    sink = Memory()
    runner = SinkRunner(spool, "memory", sink)
    await runner.start()
    spool.append(prices(*range(10)))
    await spool.flush()
    assert sink.attempts == 0
    assert runner.status()["lag_events"] == 10
    assert await runner.stop(drain=True) == 0
    assert sink.events == prices(*range(10))


async def test_without_a_drain_the_events_wait_for_the_next_start(spool: Spool) -> None:
    runner = SinkRunner(spool, "memory", Memory())
    await runner.start()
    spool.append(prices(1, 2))
    await spool.flush()
    assert await runner.stop(drain=False) == 2
    following = Memory()
    runner = SinkRunner(spool, "memory", following)
    await runner.start()
    assert await runner.stop() == 0
    assert following.events == prices(1, 2)


async def test_a_refused_batch_is_offered_again_as_the_same_range(spool: Spool) -> None:
    sink = Memory()
    sink.refuse = True
    runner = SinkRunner(spool, "memory", sink, flush=AT_ONCE)
    await runner.start()
    spool.append(prices(1, 2))
    await until(lambda: sink.attempts >= 1 and not runner.status()["healthy"])
    status = runner.status()
    assert status["state"] == "retrying"
    assert "refused after storing" in status["error"]
    spool.append(prices(3))
    await spool.flush()
    sink.refuse = False
    assert await runner.stop() == 0
    assert sorted(map(len, sink.ranges.values())) == [1, 2]
    assert sink.events == prices(1, 2, 3)


async def test_a_store_that_is_down_at_the_start_is_tried_until_it_answers(spool: Spool) -> None:
    sink = Memory()
    sink.refuse_open = True
    runner = SinkRunner(spool, "memory", sink, flush=AT_ONCE)
    await runner.start()
    await until(lambda: runner.status()["failures"] > 0)
    error = runner.status()["error"]
    assert "store is down" in error
    assert "hunter2" not in error
    assert "abcdefgh12345678" not in error
    sink.refuse_open = False
    spool.append(prices(1))
    await until(lambda: sink.events == prices(1))
    await runner.stop()
    assert runner.status()["error"] is None


async def test_a_sink_lags_alone(spool: Spool) -> None:
    slow, quick = Memory(), Memory()
    slow.gate.clear()
    runners = [SinkRunner(spool, "slow", slow, flush=AT_ONCE), SinkRunner(spool, "quick", quick, flush=AT_ONCE)]
    for runner in runners:
        await runner.start()
    spool.append(prices(1))
    await until(lambda: quick.events == prices(1))
    spool.append(prices(2))
    await until(lambda: quick.events == prices(1, 2))
    assert slow.ranges == {}
    assert runners[0].status()["lag_events"] == 2
    slow.gate.set()
    assert [await runner.stop() for runner in runners] == [0, 0]
    assert slow.events == prices(1, 2)


async def test_a_drain_that_takes_too_long_says_what_is_left_and_the_next_start_repeats_it(spool: Spool) -> None:
    stuck = Memory()
    stuck.gate.clear()
    runner = SinkRunner(spool, "memory", stuck, flush=AT_ONCE)
    await runner.start()
    spool.append(prices(1, 2))
    await until(stuck.entered.is_set)
    assert await runner.stop(timeout_seconds=0.05) == 2
    stuck.gate.set()
    await until(lambda: stuck.closed)


async def test_a_failing_store_does_not_hold_up_the_stop_beyond_its_deadline(spool: Spool) -> None:
    sink = Memory()
    sink.refuse = True
    runner = SinkRunner(spool, "memory", sink, flush=AT_ONCE)
    await runner.start()
    spool.append(prices(1))
    assert await runner.stop(timeout_seconds=0.2) == 1
    assert sink.closed == 1


def entry(value: str, name: str = "acme") -> EntryPoint:
    return EntryPoint(name, value, registry.GROUP)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "no sink of type 'acme'; installed: none. Install it: pip install tickhive-acme"),
        ([entry("json:dumps", "acmee")], "Did you mean 'acmee'"),
        ([entry("no_such_module_at_all:Sink")], "cannot be imported: ModuleNotFoundError"),
        ([entry("json:dumps")], "json:dumps is not a tickhive.sinks.Sink"),
    ],
)
def test_a_sink_that_cannot_be_used_says_why(
    monkeypatch: pytest.MonkeyPatch, entries: list[EntryPoint], message: str
) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    with pytest.raises(ConfigurationError) as caught:
        create_sink("acme", {})
    assert message in str(caught.value)


def test_settings_are_checked_with_their_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load_sink", lambda type_name: Memory)
    sink = create_sink("acme", {"label": "a", "flush_seconds": 5})
    assert sink.settings.flush == FlushPolicy(5.0)
    for wrong, field in (({"label": "a", "flush_seconds": 0}, "flush_seconds"), ({"lable": "a"}, "lable")):
        with pytest.raises(ConfigurationError) as caught:
            create_sink("acme", wrong, path="sinks[0]")
        assert any(problem.startswith("sinks[0]") and field in problem for problem in caught.value.problems)


async def test_a_store_that_is_down_delays_no_stop_when_nothing_waits_for_it(spool: Spool) -> None:
    sink = Memory()
    sink.refuse_open = True
    runner = SinkRunner(spool, "memory", sink, flush=AT_ONCE)
    await runner.start()
    await until(lambda: runner.status()["failures"] > 0)
    async with asyncio.timeout(20):
        assert await runner.stop(timeout_seconds=3600) == 0
    assert runner.status()["state"] == "stopped"


async def test_a_stop_can_be_cancelled_and_repeated_without_a_drain(spool: Spool) -> None:
    sink = Memory()
    sink.refuse = True
    runner = SinkRunner(spool, "memory", sink, flush=AT_ONCE)
    await runner.start()
    spool.append(prices(1))
    await until(lambda: runner.status()["failures"] > 0)
    draining = asyncio.ensure_future(runner.stop(timeout_seconds=3600))
    await until(lambda: runner._stopping)
    draining.cancel()
    await asyncio.wait({draining})
    assert draining.cancelled()
    assert await runner.stop(drain=False, timeout_seconds=20) == 1
    assert runner.status()["state"] == "stopped"


async def test_a_store_that_was_given_up_says_nothing_false_when_the_spool_closes(tmp_path: Path) -> None:
    spool = Spool(tmp_path, commit_seconds=0.005)
    await spool.open()
    sink = Memory()
    sink.gate.clear()
    runner = SinkRunner(spool, "memory", sink, flush=AT_ONCE)
    await runner.start()
    spool.append(prices(1))
    await until(sink.entered.is_set)
    assert await runner.stop(drain=False, timeout_seconds=0.01) == 1
    await spool.close()
    sink.gate.set()
    await until(lambda: runner.status()["state"] == "stopped")
    assert (runner.status()["error"], runner.status()["failures"]) == (None, 0)
