"""A socket that had carried all it was there for and is lost is soon dialled again, however often that happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tickhive.clock import ManualClock
from tickhive.collector.link import Link
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin import ExchangeSettings
from tickhive.plugin.stack import ExchangeStack

LOSSES = 14


class Loser:
    """One collector of one symbol, by a clock of its own, whose socket can be taken from it."""

    def __init__(self, venue: Any, stack: ExchangeStack) -> None:
        self.venue = venue
        self.clock = ManualClock()
        config = ExchangeCollectorConfig(exchange="acme", symbols=["BTC-USDT"], data_types=["trade"])
        self.collector = PluginCollector(stack, config, ExchangeSettings(**venue.settings), clock=self.clock)
        self.trades = 0

    @property
    def link(self) -> Link:
        assert self.collector._connections is not None
        return self.collector._connections.links[0]

    @property
    def accepted(self) -> bool:
        (row,) = self.collector.get_status()["subscriptions"]
        return row["state"] in ("acknowledged", "receiving")

    async def until(self, predicate: Callable[[], object]) -> None:
        await self.clock.run_until(predicate, io_seconds=0.005)

    async def trade(self) -> None:
        self.trades += 1
        await self.venue.send(e="trade", s="btcusdt", n=self.trades, p="1", q="1")
        await self.until(lambda: self.collector.get_status()["statistics"]["events"] >= self.trades)

    async def back(self) -> float:
        """Wait until the socket is gone, then until the next is open; answers the seconds between the two."""
        await self.until(lambda: self.link.leg is None)
        lost_at = self.clock.monotonic()
        await self.until(lambda: self.link.leg is not None)
        return self.clock.monotonic() - lost_at

    async def lose(self, *, data: bool) -> float:
        """Lose a socket on which data came, or none; answers how long it took until the next was open."""
        await self.until(lambda: self.accepted)
        if data:
            await self.trade()
        self.venue.connections[-1].transport.abort()
        return await self.back()


@pytest.fixture
async def loser(venue: Any, stack: ExchangeStack) -> AsyncIterator[Loser]:
    loser = Loser(venue, stack)
    await loser.collector.start()
    yield loser
    await loser.collector.stop()


async def test_one_that_had_carried_everything_is_dialled_again_within_5_s(loser: Loser) -> None:
    waits = [await loser.lose(data=True) for _ in range(LOSSES)]
    assert max(waits) < 5.5
    assert len({round(wait, 3) for wait in waits}) > LOSSES / 2, "those cut off together would come back together"


async def test_one_on_which_nothing_came_is_dialled_again_ever_later(loser: Loser) -> None:
    waits = [await loser.lose(data=False) for _ in range(LOSSES)]
    assert max(waits) > 5.5


async def test_one_closed_for_a_broken_rule_is_not_excused(loser: Loser) -> None:
    await loser.until(lambda: loser.accepted)
    await loser.trade()
    await loser.venue.connections[-1].close(1008, "rule broken")
    assert await loser.back() > 9
