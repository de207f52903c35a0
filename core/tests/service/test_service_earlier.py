"""What a service hands its collectors of an earlier run, and what it keeps of those that say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickhive.clock import ManualClock
from tickhive.events import MarkPrice
from tickhive.exchanges import ExchangeFactory
from tickhive.service import DataCollectionService
from tickhive.service.absence import CAUSE, CHECKPOINT_SECONDS, REMEMBERED_SECONDS
from tickhive.spool import Spool

START = 1_700_000_000 * 10**9


def mark(symbol: str, at: int = START, exchange: str = "acme") -> MarkPrice:
    return MarkPrice(exchange, symbol, at, at, Decimal(1))


@pytest.fixture
def resuming(acme: Any) -> Any:
    """Collectors that note what they are handed, and stand where the test says."""

    class Resuming(acme):  # type: ignore[misc]
        handed: list[tuple[str, Sequence[Any], str]] = []  # noqa: RUF012
        stands: dict[str, list[Any]] = {}  # noqa: RUF012

        def resume_from(self, events: Sequence[Any], cause: str) -> None:
            if self.config.settings.get("resume") == "fails":
                raise RuntimeError("cannot")
            self.handed.append((self.config.symbols[0], events, cause))

        def standing(self) -> list[Any]:
            if self.config.settings.get("resume") == "fails":
                raise RuntimeError("cannot")
            return self.stands.get(self.config.symbols[0], [])

    ExchangeFactory.unregister("acme")
    ExchangeFactory.register("acme", Resuming)
    return Resuming


async def leave(folder: Path, *events: Any) -> None:
    """An earlier process stood there."""
    spool = Spool(folder / "store" / "spool")
    await spool.open()
    await spool.keep_standing(events)
    await spool.close()


async def found(folder: Path) -> list[Any]:
    spool = Spool(folder / "store" / "spool")
    await spool.open()
    await spool.close()
    return [event for event in spool.standing() if isinstance(event, MarkPrice)]


async def test_each_collector_is_handed_the_streams_of_its_exchange(configured, resuming, sink, tmp_path):
    await leave(tmp_path, mark("S0-USDT"), mark("S1-USDT"), mark("S0-USDT", exchange="other"))
    config = configured({}, {}, {"settings": {"resume": "fails"}})
    async with DataCollectionService(config, sinks={"memory": sink}, clock=ManualClock(START)) as service:
        assert service.ready, "one that cannot go on harms nobody"
    mine = [mark("S0-USDT"), mark("S1-USDT")]
    assert resuming.handed == [("S0-USDT", mine, CAUSE), ("S1-USDT", mine, CAUSE)]


async def test_streams_nobody_speaks_of_are_remembered_for_a_while(configured, resuming, sink, tmp_path):
    old = START - int(REMEMBERED_SECONDS * 10**9)
    await leave(tmp_path, mark("S0-USDT"), mark("GONE-USDT"), mark("LONG-GONE-USDT", old - 1), mark("OLD-USDT", old))
    resuming.stands = {"S0-USDT": [mark("S0-USDT", START + 5)]}
    clock = ManualClock(START)
    async with DataCollectionService(configured(), sinks={"memory": sink}, clock=clock):
        await clock.advance(CHECKPOINT_SECONDS + 1)
    assert await found(tmp_path) == [mark("S0-USDT", START + 5), mark("GONE-USDT"), mark("OLD-USDT", old)]
