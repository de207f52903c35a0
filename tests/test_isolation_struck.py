"""Who is ended, who is blamed, and what is delivered: a hook or filter that never returns, met from unusual places."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from test_isolation import House, house, market_events, running, until

from tickhive import ExchangeFactory
from tickhive.errors import PluginError
from tickhive.events import SubscriptionUpdate
from tickhive.plugin import Trade, hookimpl

__all__ = ["house"]

DEADLINE = {"hook_deadline_seconds": 0.5, "blocked_seconds": 0.4}


@pytest.fixture
def endless(house: House) -> Iterator[set[str]]:
    yield house.trouble.endless
    house.trouble.endless.clear()


class EndlessFilter:
    """Holds the loop at an event of a kind for as long as it is on, but no longer than a test may take."""

    def __init__(self, kind: type = object) -> None:
        self.kind = kind
        self.on = False

    def __call__(self, event: Any) -> Any:
        limit = time.monotonic() + 8
        while self.on and isinstance(event, self.kind):
            self.on = time.monotonic() < limit
        return event


async def test_a_generator_without_an_end_floods_nobody(house: House) -> None:
    class Wrapper:
        endless = False

        @hookimpl(wrapper=True)
        def parse(self) -> Any:
            events = list((yield))
            trades = [event for event in events if isinstance(event, Trade)]
            return self.flood(trades[0]) if self.endless and trades else events

        def flood(self, trade: Trade) -> Any:
            while True:
                yield evolve(trade, id="made up")

    wrapper = Wrapper()
    bad = ExchangeFactory.create_collector(house.config("trouble", **DEADLINE), middleware=[wrapper])
    ids = []
    bad.add_data_callback(None, lambda event: ids.append(getattr(event, "id", None)))
    async with running(bad):
        await until(lambda: market_events(bad) > 10)
        wrapper.endless = True
        await until(lambda: bad.status == "error")
        assert "its parse hook had not returned" in bad.get_status()["reason"]
        await until(lambda: len(ids) >= market_events(bad))
        assert "made up" not in ids


@pytest.mark.parametrize("transport", ["fast", "plain"])
async def test_a_filter_is_ended_after_somebody_else_resumed_reading(house: House, transport: str) -> None:
    endless = EndlessFilter()
    good = ExchangeFactory.create_collector(house.config("acme", **DEADLINE, transport=transport))
    good.add_filter(endless)
    async with running(good):
        await until(lambda: market_events(good) > 10)
        good.pause_reading()
        await asyncio.sleep(0.05)
        good.resume_reading()
        seen = market_events(good)
        await until(lambda: market_events(good) > seen + 10)
        endless.on = True
        await until(lambda: good.get_status()["filters"][0]["errors"])
        endless.on = False
        assert "had not returned after" in good.get_status()["filters"][0]["last_error"]


async def test_a_filter_is_ended_when_somebody_else_stops_the_collector(house: House) -> None:
    endless = EndlessFilter(SubscriptionUpdate)
    good = ExchangeFactory.create_collector(house.config("acme", **DEADLINE))
    good.add_filter(endless)
    async with running(good):
        await until(lambda: market_events(good) > 10)
        endless.on = True
    [told] = good.get_status()["filters"]
    assert "had not returned" in told["last_error"]


@pytest.mark.parametrize("hook", ["connect", "poll"])
async def test_a_hook_that_a_stopped_collector_asks_is_ended_too(house: House, endless: set[str], hook: str) -> None:
    bad = ExchangeFactory.create_collector(house.config("trouble", **DEADLINE))
    async with running(bad):
        await until(lambda: market_events(bad) > 10)
    endless.add(hook)
    rescue = threading.Timer(15, endless.clear)
    rescue.start()
    try:
        with pytest.raises(PluginError, match=f"its {hook} hook had not returned"):
            await bad.add(symbols=["ETH-USDT"])
    finally:
        rescue.cancel()
    endless.clear()
    async with running(bad):
        await until(lambda: market_events(bad) > 20)


async def test_what_a_callback_began_is_not_charged_to_its_collector(house: House, endless: set[str]) -> None:
    bad = ExchangeFactory.create_collector(house.config("trouble", **DEADLINE))
    ExchangeFactory.create_collector(house.config("acme"))  # from here on its hooks are asked by way of guards
    begun: list[asyncio.Task[Any]] = []
    go = asyncio.Event()

    async def later() -> Any:
        await go.wait()
        return ExchangeFactory.create_collector(house.config("acme"))

    def callback(event: Any) -> None:
        if not begun:
            begun.append(asyncio.get_running_loop().create_task(later()))

    bad.add_data_callback(None, callback)
    async with running(bad):
        await until(lambda: begun)
        endless.add("parse")
        await until(lambda: bad.status == "error")
        endless.clear()
        go.set()
        good = await begun[0]
        async with running(good):
            await until(lambda: market_events(good) > 10)


async def test_a_hook_that_a_thread_asks_holds_no_loop(house: House) -> None:
    bad = ExchangeFactory.create_collector(house.config("trouble", **{**DEADLINE, "hook_deadline_seconds": 5.0}))
    done: list[Any] = []

    async def callback(event: Any) -> None:
        if not done:
            done.append(None)
            house.trouble.blocking["poll"] = 0.6
            done.append(await asyncio.to_thread(ExchangeFactory.create_collector, house.config("trouble")))
            house.trouble.blocking.clear()

    async with running(bad):
        bad.add_data_callback(None, callback)
        await until(lambda: len(done) == 2)
        assert house.trouble.asked.count("poll") > 1
        assert bad.get_status()["plugin"]["blocks"] == 0
