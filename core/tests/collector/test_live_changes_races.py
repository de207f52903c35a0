"""Changes that meet each other, a stop or a restart while the plugin still makes its requests: none is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from tickhive.collector import listings, plugin_collector
from tickhive.errors import ConfigurationError, FetchError


class Gate:
    """Lets plans be made one at a time: ``waiting`` counts who stands before it."""

    def __init__(self, make_plan: Any) -> None:
        self.waiting = 0
        self.closed = False
        self.error: Exception | None = None
        self._make_plan = make_plan
        self._open = asyncio.Event()
        self._arrived = asyncio.Event()

    async def __call__(self, *given: Any) -> Any:
        self.waiting += 1
        self._arrived.set()
        if self.closed:
            await self._open.wait()
        self.waiting -= 1
        if self.error is not None:
            raise self.error
        return await self._make_plan(*given)

    async def arrival(self) -> None:
        self._arrived.clear()
        async with asyncio.timeout(5):
            await self._arrived.wait()

    def open(self) -> None:
        self.closed = False
        self._open.set()


@pytest.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate(plugin_collector.make_plan)
    monkeypatch.setattr(plugin_collector, "make_plan", gate)
    return gate


async def test_two_changes_at_once_are_both_made(make_collector: Any, gate: Gate) -> None:
    collector = make_collector("trade")
    await collector.start()
    gate.closed = True
    changes = [
        asyncio.create_task(collector.add(symbols=["ethusdt"])),
        asyncio.create_task(collector.add(data_types=["ticker"])),
        asyncio.create_task(collector.add(symbols=["nope"])),
    ]
    await gate.arrival()
    gate.open()
    async with asyncio.timeout(5):
        first, second, third = await asyncio.gather(*changes, return_exceptions=True)
    assert (first, second) == (None, None)
    assert isinstance(third, ConfigurationError)
    status = collector.get_status()
    assert status["symbols"] == ["BTC-USDT", "ethusdt"]
    assert status["data_types"] == ["trade", "ticker"]


async def test_a_stop_in_the_middle_of_a_change_leaves_nothing_running(make_collector: Any, gate: Gate) -> None:
    collector = make_collector("trade")
    await collector.start()
    gate.closed = True
    change = asyncio.create_task(collector.add(symbols=["ethusdt"], data_types=["ticker"]))
    await gate.arrival()
    await collector.stop()
    gate.open()
    async with asyncio.timeout(5):
        await change
    assert collector.get_status()["tasks"]["running"] == {}
    await collector.start()
    assert {each["symbol"] for each in collector.get_status()["subscriptions"]} == {"BTC-USDT", "ETH-USDT"}


async def test_a_cancelled_change_changes_nothing(make_collector: Any, gate: Gate) -> None:
    collector = make_collector("trade")
    await collector.start()
    gate.closed = True
    change = asyncio.create_task(collector.add(symbols=["ethusdt"]))
    await gate.arrival()
    change.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change
    gate.open()
    assert collector.get_status()["symbols"] == ["BTC-USDT"]
    await collector.add(data_types=["ticker"])
    assert collector.get_status()["symbols"] == ["BTC-USDT"]


async def test_listings_that_cannot_be_followed_are_followed_later(
    make_collector: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "FOLLOW_AGAIN_SECONDS", 0.01)
    collector = make_collector("trade", symbols=("*-USDT",))
    await collector.start()
    before = {each["symbol"] for each in collector.get_status()["subscriptions"]}
    assert "BTC-USDT" in before
    gate.error = FetchError("down")
    instruments = collector._access.instruments
    gone = instruments.get("BTC-USDT")
    instruments.add(evolve(gone, status="expired"))
    await gate.arrival()
    gate.error = None
    async with asyncio.timeout(5):
        while "BTC-USDT" in {each["symbol"] for each in collector.get_status()["subscriptions"]}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("change", [{"symbols": "ethusdt"}, {"data_types": "ticker"}])
async def test_a_single_text_is_no_list(make_collector: Any, change: dict[str, Any]) -> None:
    collector = make_collector("trade")
    for method in (collector.add, collector.remove):
        with pytest.raises(ConfigurationError, match="expected a list, such as"):
            await method(**change)
