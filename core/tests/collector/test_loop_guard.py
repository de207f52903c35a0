"""The guard over a plugin's hooks: what counts as a block, who is blamed; and polls that cannot be read."""

from __future__ import annotations

import asyncio
from time import sleep
from typing import Any

import pytest

from tickhive.collector import guard
from tickhive.collector.guard import GUARD, LoopGuard
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.collector.watchdog import LoopWatch
from tickhive.errors import CollectorError
from tickhive.events import Trade
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin import ExchangeSettings, hookimpl
from tickhive.plugin.stack import ExchangeStack


class Time:
    """A clock that hooks move on."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(guard, "perf_counter", time)
    return time


class Session:
    """Reads frames; each takes as many seconds as it says."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.read: list[bytes] = []
        self.inside: Any = None

    def receive(self, frames: list[bytes], at: int) -> list[Any]:
        for frame in frames:
            self.time.now += float(frame)
            if self.inside is not None:
                self.inside()
            self.read.append(frame)
        return list(frames)


@pytest.fixture
def verdicts() -> list[Exception]:
    return []


@pytest.fixture
def watched(stack: ExchangeStack, time: Time, verdicts: list[Exception]) -> LoopGuard:
    collector = PluginCollector(
        stack, ExchangeCollectorConfig(exchange="acme", symbol="A-B", data_types=["trade"]), ExchangeSettings()
    )
    return LoopGuard(stack, collector._telemetry, 0.5, 3, verdicts.append)


def receive(watched: LoopGuard, session: Session, *frames: bytes) -> list[Any]:
    return watched.receive(session, list(frames), 1)  # type: ignore[arg-type]


def test_fast_slices_are_no_blocks(watched: LoopGuard, time: Time, verdicts: list[Exception]) -> None:
    session = Session(time)
    for _ in range(100):
        assert receive(watched, session, b"0.1", b"0.4") == [b"0.1", b"0.4"]
    assert watched.status() == {"hook_seconds": pytest.approx(50.0), "blocks": 0, "blocked_in": {}}
    assert verdicts == []


def test_the_third_block_within_a_minute_is_the_verdict_and_nothing_is_read_after_it(
    watched: LoopGuard, time: Time, verdicts: list[Exception]
) -> None:
    session = Session(time)
    receive(watched, session, b"0.6")
    assert (watched.blocks, verdicts) == (1, [])
    assert receive(watched, session, b"0.1", b"0.7", b"0.8", b"0.9") == [b"0.1", b"0.7", b"0.8"]
    assert receive(watched, session, b"0.1") == []
    [verdict] = verdicts
    assert "it blocked the event loop 3 times, for 2.1 s in parse" in str(verdict)
    assert watched.status()["blocked_in"] == {"parse": 0.8}


def test_many_small_delays_in_one_slice_add_up_once_it_is_under_suspicion(watched: LoopGuard, time: Time) -> None:
    session = Session(time)
    receive(watched, session, b"0.6")
    receive(watched, session, *[b"0.2"] * 4)
    assert watched.blocks == 2


def test_blocks_that_lie_apart_are_forgiven(watched: LoopGuard, time: Time, verdicts: list[Exception]) -> None:
    session = Session(time)
    for _ in range(6):
        receive(watched, session, b"0.6")
        time.now += 40
    assert watched.blocks == 6
    assert verdicts == []
    time.now += 100
    receive(watched, session, b"0")
    receive(watched, session, b"0.3", b"0.3")
    assert watched.blocks == 7, "and after a quiet minute a slice is measured as a whole again"


def test_a_hook_within_a_frame_is_blamed_alone(watched: LoopGuard, time: Time, stack: ExchangeStack) -> None:
    session = Session(time)
    slow = stack.with_middleware([Slow(time)])
    blamed = LoopGuard(slow, watched._telemetry, 0.5, 3, lambda error: None)
    session.inside = lambda: slow.call.snapshot(session=None, channel=None)
    before = GUARD.set(blamed)
    try:
        receive(blamed, session, b"0.0")
    finally:
        GUARD.reset(before)
    assert blamed.status()["blocked_in"] == {"snapshot": 2.0}
    assert blamed.blocks == 1


class Slow:
    """Middleware that takes its time."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.held: list[str | None] = []

    @hookimpl(wrapper=True)
    def snapshot(self) -> Any:
        self.time.now += 2
        current = GUARD.get()
        self.held.append(current.watch.holder.who if current and current.watch.holder else None)
        return (yield)


def test_who_runs_is_noted_while_it_runs(watched: LoopGuard, time: Time, stack: ExchangeStack) -> None:
    middleware = Slow(time)
    slow = stack.with_middleware([middleware])
    blamed = LoopGuard(slow, watched._telemetry, 0.5, 3, lambda error: None)
    session = Session(time)
    seen: list[str | None] = []

    def inside() -> None:
        seen.append(blamed.watch.holder.who if blamed.watch.holder else None)
        slow.call.snapshot(session=None, channel=None)
        seen.append(blamed.watch.holder.who if blamed.watch.holder else None)

    session.inside = inside
    before = GUARD.set(blamed)
    try:
        receive(blamed, session, b"0")
    finally:
        GUARD.reset(before)
    parse = "the parse hook of the exchange plugin 'acme' (no installed distribution)"
    assert seen == [parse, parse]
    assert middleware.held == [parse.replace("parse", "snapshot") + ", or the application's middleware around it"]
    assert blamed.watch.holder is None


def test_without_a_collector_hooks_are_asked_as_they_are(watched: LoopGuard, time: Time, stack: ExchangeStack) -> None:
    slow = stack.with_middleware([Slow(time)])
    LoopGuard(slow, watched._telemetry, 0.5, 1, lambda error: pytest.fail(str(error)))
    slow.call.snapshot(session=None, channel=None)


def test_a_loop_that_turns_is_left_alone(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tickhive.collector.watchdog.monotonic", lambda: now[0])
    watch = LoopWatch()
    said = []
    for now[0] in (1.0, 2.4, 2.6, 3.0, 5.0, 5.3, 10.0, 11.0, 20.0, 21.0):
        watch.look_at_loop(2.0)
        said.append(len(caplog.records))
    assert said == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3], "at once, then each time it has stood twice as long"
    assert "held_by=no plugin's hook" in caplog.records[0].getMessage()
    assert "test_loop_guard.py" in caplog.records[0].getMessage()
    assert watch.stalls == 1


async def test_the_verdict_ends_a_collector_that_would_try_again(venue: Any, stack: ExchangeStack) -> None:
    class Sluggish:
        @hookimpl(wrapper=True)
        def limits(self) -> Any:
            sleep(0.05)
            return (yield)

    venue.rest_status = 503  # the list of instruments cannot be had now, which is worth another attempt
    config = ExchangeCollectorConfig(
        exchange="acme", symbol="BTC-USDT", data_types=["trade"], blocked_seconds=0.02, blocked_times=1
    )
    collector = PluginCollector(stack.with_middleware([Sluggish()]), config, ExchangeSettings(**venue.settings))
    try:
        with pytest.raises(CollectorError, match="it blocked the event loop once"):
            await collector.start()
        assert collector.get_health_status()["needs_operator"]
    finally:
        await collector.stop()


async def test_a_poll_whose_answer_cannot_be_read_is_named_and_asked_again(venue: Any, stack: ExchangeStack) -> None:
    class Broken:
        broken = False

        @hookimpl(wrapper=True)
        def read(self, fetch: Any) -> Any:
            events = yield
            if self.broken and "ticker" in fetch.url:
                raise LookupError("nothing there")
            return events

    middleware = Broken()
    config = ExchangeCollectorConfig(exchange="acme", symbol="BTC-USDT", data_types=["trade", "ticker"])
    collector = PluginCollector(stack.with_middleware([middleware]), config, ExchangeSettings(**venue.settings))

    async def until(predicate: Any) -> None:
        async with asyncio.timeout(10):
            while not predicate():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    await collector.start()
    try:
        await until(lambda: collector.event_counts().get("Ticker", 0) > 2)
        middleware.broken = True
        await until(lambda: not collector.get_health_status()["healthy"])
        [reason] = collector.get_health_status()["reasons"]
        assert reason.startswith("ticker BTC-USDT: PluginError: Exchange plugin 'acme'")
        assert "its read hook failed: LookupError: nothing there" in reason
        trades: list[Trade] = []
        collector.add_data_callback(None, trades.append)
        await venue.send(e="trade", s="btcusdt", p="1", q="1", n=1)
        await until(lambda: trades)
        middleware.broken = False
        await until(lambda: collector.get_health_status()["healthy"])
    finally:
        await collector.stop()
