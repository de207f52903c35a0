"""A hook that never returns is ended where it stands: its collector is stopped, its neighbour gets its events again."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from test_isolation import House, house, market_events, running, until

from tickhive import ExchangeFactory
from tickhive.errors import CollectorError, PluginError
from tickhive.plugin import Answer, Fetch, hookimpl
from tickhive.plugin.registry import default_registry

__all__ = ["house"]

DEADLINE = {"hook_deadline_seconds": 0.5, "blocked_seconds": 0.4}
STOOD = re.compile(r"hook had not returned after \d\.\d s and was ended at \S+tickhive_trouble\.py:(\d+) in act")


def ended_in(status: dict[str, Any], hook: str) -> None:
    """The collector is condemned, and its reason names exchange, package, hook, line and time."""
    assert status["status"] == "error"
    assert "Exchange plugin 'trouble' (tickhive-trouble 1.0): its " + hook in status["reason"]
    assert STOOD.search(status["reason"]), status["reason"]
    assert "hook_deadline_seconds" in status["reason"]
    assert status["health"]["needs_operator"] is True


@pytest.fixture
def endless(house: House) -> Iterator[set[str]]:
    yield house.trouble.endless
    house.trouble.endless.clear()


@pytest.mark.parametrize("hook", ["parse", "subscribe", "connect"])
async def test_a_hook_that_never_returns_is_ended_and_the_neighbour_goes_on(
    house: House,
    endless: set[str],
    hook: str,
) -> None:
    bad = ExchangeFactory.create_collector(house.config("trouble", **DEADLINE))
    good = ExchangeFactory.create_collector(house.config("acme"))
    async with running(good, bad):
        await until(lambda: market_events(bad) > 10 and market_events(good) > 10)
        endless.add(hook)
        seen = market_events(good)
        if hook != "parse":
            with pytest.raises(PluginError) if hook == "connect" else nullcontext():
                await bad.add(symbols=["ETH-USDT"])
        await until(lambda: bad.status == "error")
        status = bad.get_status()
        ended_in(status, hook)
        assert status["plugin"]["blocks"] == 1
        assert status["plugin"]["blocked_in"].keys() == {hook}
        await until(lambda: market_events(good) > seen + 10)
        assert good.get_health_status()["healthy"]
        assert await house.equal(good, "acme") > seen
        endless.clear()
        await bad.start()
        await until(lambda: market_events(bad) > 20)
        assert bad.status == "running", "mended and started again"


@pytest.mark.parametrize("hook", ["limits", "instruments", "read", "connect", "poll", "memory"])
async def test_one_that_never_returns_at_the_start_ends_the_start(
    house: House,
    endless: set[str],
    hook: str,
) -> None:
    server = house.servers["trouble"]
    server.venue.request = lambda *_: Answer(200, b"[]")
    house.trouble.fetches.append(Fetch(server.url.replace("ws://", "http://") + "/markets"))
    bad = ExchangeFactory.create_collector(house.config("trouble", **DEADLINE))
    good = ExchangeFactory.create_collector(house.config("acme"))
    async with running(good):
        endless.add(hook)
        with pytest.raises(CollectorError, match=f"its {hook} hook had not returned"):
            await bad.start()
        ended_in(bad.get_status(), hook)
        seen = market_events(good)
        await until(lambda: market_events(good) > seen + 10)
        await bad.stop()


async def test_nothing_is_read_after_it(house: House, endless: set[str]) -> None:
    bad = ExchangeFactory.create_collector(house.config("trouble", **DEADLINE))
    async with running(bad):
        await until(lambda: market_events(bad) > 10)
        house.trouble.asked.clear()
        endless.add("parse")
        await until(lambda: bad.status == "error")
        await asyncio.sleep(0.05)
        assert house.trouble.asked.count("parse") == 1


async def test_wrappers_of_the_application_are_ended_and_named(house: House) -> None:
    wrapper = SimpleNamespace(endless=False)

    class Wrapper:
        @hookimpl(wrapper=True)
        def parse(self, frame: bytes) -> Any:
            events = yield
            while wrapper.endless:
                pass
            return events

    bad = ExchangeFactory.create_collector(house.config("trouble", **DEADLINE), middleware=[Wrapper()])
    good = ExchangeFactory.create_collector(house.config("acme"))
    async with running(good, bad):
        await until(lambda: market_events(bad) > 10)
        wrapper.endless = True
        await until(lambda: bad.status == "error")
        reason = bad.get_status()["reason"]
        assert "test_isolation_endless.py" in reason
        assert " in parse, or the application's middleware around it" in reason
        seen = market_events(good)
        await until(lambda: market_events(good) > seen + 10)
        wrapper.endless = False


async def test_a_filter_that_never_returns_is_asked_no_more(
    house: House,
    caplog: pytest.LogCaptureFixture,
) -> None:
    endless = SimpleNamespace(on=False)

    def endless_filter(event: Any) -> Any:
        while endless.on:
            pass
        return event

    good = ExchangeFactory.create_collector(house.config("acme", **DEADLINE))
    good.add_filter(endless_filter)
    async with running(good):
        await until(lambda: market_events(good) > 10)
        endless.on = True
        seen = market_events(good)
        await until(lambda: market_events(good) > seen + 10)
        assert good.status == "running"
        [told] = good.get_status()["filters"]
        assert told["errors"] == 1
        assert "had not returned after" in told["last_error"]
        [line] = [each.getMessage() for each in caplog.records if "a filter was ended" in each.getMessage()]
        assert "test_isolation_endless.py" in line
        assert await house.equal(good, "acme") > seen, "the events go on unchanged"


async def test_a_hook_that_swallows_it_once_is_ended_again(house: House) -> None:
    swallowed: list[BaseException] = []

    class Wrapper:
        endless = False

        @hookimpl(wrapper=True)
        def parse(self) -> Any:
            while self.endless:
                try:
                    while True:
                        pass
                except BaseException as error:
                    swallowed.append(error)
                    if len(swallowed) > 1:
                        raise
            return (yield)

    wrapper = Wrapper()
    bad = ExchangeFactory.create_collector(house.config("trouble", **DEADLINE), middleware=[wrapper])
    async with running(bad):
        await until(lambda: market_events(bad) > 10)
        wrapper.endless = True
        await until(lambda: bad.status == "error")
        assert len(swallowed) == 2
        wrapper.endless = False


async def test_sleep_cannot_be_ended_but_what_follows_it_is(house: House) -> None:
    bad = ExchangeFactory.create_collector(house.config("trouble", **DEADLINE, blocked_times=50))
    good = ExchangeFactory.create_collector(house.config("acme"))
    async with running(good, bad):
        await until(lambda: market_events(bad) > 10)
        house.trouble.blocking["parse"] = 1.0
        await until(lambda: bad.status == "error")
        assert "its parse hook had not returned" in bad.get_status()["reason"]
        seen = market_events(good)
        await until(lambda: market_events(good) > seen + 10)


@pytest.mark.parametrize("hook", ["settings", "connect", "poll"])
def test_one_that_never_returns_at_creation_is_refused_by_name(
    house: House,
    endless: set[str],
    hook: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ExchangeFactory.create_collector(house.config("trouble"))
    monkeypatch.setattr("tickhive.exchanges.factory.CREATION_SECONDS", 0.5)
    default_registry().refresh()
    endless.add(hook)
    with pytest.raises(PluginError, match=r"tickhive-trouble 1.0.*had not said what it offers.*tickhive_trouble.py:"):
        ExchangeFactory.create_collector(house.config("trouble", **DEADLINE))
    endless.clear()
    monkeypatch.setattr("tickhive.exchanges.factory.CREATION_SECONDS", 10.0)
    default_registry().refresh()
    assert ExchangeFactory.create_collector(house.config("acme", **DEADLINE)).exchange == "acme"


async def test_hooks_that_return_at_the_deadline_harm_nobody(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Fifty verdicts in a row, each about a call of just the deadline's length; the loop and the neighbour survive."""
    caplog.set_level(logging.ERROR)
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))

    class Wrapper:
        seconds = 0.0

        @hookimpl(wrapper=True)
        def limits(self) -> Any:
            until = time.perf_counter() + self.seconds
            while time.perf_counter() < until:
                pass
            return (yield)

    wrapper = Wrapper()
    config = house.config("trouble", hook_deadline_seconds=0.02, blocked_seconds=5.0)
    good = ExchangeFactory.create_collector(house.config("acme"))
    outcomes = set()
    async with running(good):
        await until(lambda: market_events(good) > 10)
        for round_ in range(50):
            bad = ExchangeFactory.create_collector(config, middleware=[wrapper])
            wrapper.seconds = 0.018 + round_ * 0.0004
            async with running(bad):
                outcomes.add(bad.status)
        assert {str(each) for each in outcomes} <= {"running", "error", "restarting", "starting"}
        seen = market_events(good)
        await until(lambda: market_events(good) > seen + 10)
        assert await house.equal(good, "acme") > seen
    assert unhandled == []
    assert not [each for each in caplog.records if "HookEnded" in each.getMessage()]
