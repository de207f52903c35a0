"""A made-up exchange inside the process, and a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickhive.channels import Channel
from tickhive.collector.base import BaseDataCollector
from tickhive.errors import ConfigurationError
from tickhive.events import MarketEvent, Trade
from tickhive.exchanges import ExchangeFactory
from tickhive.manager import CollectorManager
from tickhive.service import ServiceConfig
from tickhive.sinks import Sink, SinkBatch, SinkSettings


class AcmeCollector(BaseDataCollector):
    """Sends what the test says through ``_received``; its settings say how it misbehaves."""

    made: list[AcmeCollector] = []  # noqa: RUF012
    journal: list[str] = []  # noqa: RUF012

    def __init__(self, config: Any, **options: Any) -> None:
        super().__init__(config, **options)
        if config.settings.get("refuse"):
            raise RuntimeError("constructor failed")
        self.paused: list[bool] = []
        self.number = 0
        AcmeCollector.made.append(self)

    async def _actual_connect(self) -> None:
        how = self.config.settings.get("connect")
        if how == "hopeless":
            raise ConfigurationError("symbols: none of them exists")
        if how == "unreachable":
            raise OSError("no route to host")

    async def _actual_disconnect(self) -> None:
        AcmeCollector.journal.append(f"{self.name} left")
        if self.config.settings.get("disconnect") == "hangs":
            await asyncio.Event().wait()
        # Data that was on its way when the stop came still belongs to the store.
        self.send(1)

    async def _subscribe_channels(self, channels: Sequence[Channel]) -> None:
        self.send(3)

    def _process_message(self, message: int, at: int) -> list[MarketEvent]:
        self.number += 1
        return [Trade("acme", self.config.symbols[0], at, at, str(self.number), "buy", Decimal(message), Decimal(1))]

    def send(self, count: int) -> None:
        for message in range(count):
            self._received(message)

    def pause_reading(self) -> None:
        self.paused.append(True)

    def resume_reading(self) -> None:
        self.paused.append(False)


class MemorySink(Sink):
    def __init__(self, journal: list[str], *, flush_seconds: float = 1000.0) -> None:
        super().__init__(SinkSettings(flush_seconds=flush_seconds))
        self.events: list[MarketEvent] = []
        self.journal = journal
        self.failing = False

    def open(self) -> None:
        self.journal.append("sink opened")

    def write(self, batch: SinkBatch) -> None:
        if self.failing:
            raise OSError("store is down")
        self.events += batch.events
        self.journal.append("sink wrote")

    def close(self) -> None:
        self.journal.append("sink closed")


@pytest.fixture(autouse=True)
def acme() -> Iterator[type[AcmeCollector]]:
    AcmeCollector.made, AcmeCollector.journal = [], []
    ExchangeFactory.register("acme", AcmeCollector)
    yield AcmeCollector
    ExchangeFactory.unregister("acme")
    CollectorManager._forget_instance()


@pytest.fixture
def sink(acme: type[AcmeCollector]) -> MemorySink:
    return MemorySink(acme.journal)


@pytest.fixture
def configured(tmp_path: Path) -> Any:
    """A ServiceConfig of collectors, each a table; the other sections as keywords."""

    def make(*collectors: dict[str, Any], **sections: Any) -> ServiceConfig:
        tables: dict[str, Any] = {"service": {"data_dir": str(tmp_path / "store"), "drain_seconds": 20}}
        tables["collectors"] = [
            {"exchange": "acme", "symbol": f"S{index}-USDT", "data_types": ["trade"], **table}
            for index, table in enumerate(collectors or ({},))
        ]
        for name, value in sections.items():
            tables[name] = {**tables.get(name, {}), **value} if isinstance(value, dict) else value
        return ServiceConfig.from_tables(tables)

    return make
