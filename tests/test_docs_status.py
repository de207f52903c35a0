"""The page of statuses is complete: real statuses have exactly the fields it lists, each of the type it says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define

from tickhive import (
    BaseDataCollector,
    Channel,
    CollectorManager,
    DataCollectionService,
    DataType,
    ExchangeCollectorConfig,
    ExchangeFactory,
    MarketEvent,
    ServiceConfig,
    Sink,
    SinkBatch,
    Trade,
)
from tickhive.recording import Recorder
from tickhive.sinks import SinkSettings
from tickhive.spool import Spool


@define
class Fields:
    """The documented fields of a status, by section; ``seen`` grows with every status that is compared.

    Those marked * are there ``sometimes``.
    """

    sections: dict[str, dict[str, str]]
    sometimes: set[tuple[str, str]] = Factory(set)
    seen: set[tuple[str, str]] = Factory(set)
    problems: list[str] = Factory(list)

    @classmethod
    def of(cls, page: Any) -> Fields:
        tables = {heading: rows[1:] for heading, rows in page.rows.items() if rows[0][0] == "field"}
        return cls(
            {heading: {row[0].strip("`"): row[1] for row in rows} for heading, rows in tables.items()},
            {
                (heading, row[0].strip("`"))
                for heading, rows in tables.items()
                for row in rows
                if row[2].startswith("*")
            },
        )

    def compare(self, section: str, status: dict[str, Any]) -> None:
        """Note what the status has and the page does not, and what has another type."""
        also = ["Plugin collector"] if section == "Collector" and "plugin" in status else []
        for key, value in status.items():
            home = next((each for each in [section, *also] if key in self.sections[each]), None)
            if home is None:
                self.problems.append(f"{section}: {key} is not documented")
            else:
                self._compare(home, key, value)

    def complete(self, section: str, status: dict[str, Any], *also: str) -> None:
        """Note what the page has on the first level and the status has not."""
        wanted = {
            path
            for each in (section, *also)
            for path in self.sections[each]
            if not re.search(r"[.\[]", path) and (each, path) not in self.sometimes
        }
        self.problems += [f"{section}: {path} is gone" for path in sorted(wanted - status.keys())]
        self.compare(section, status)

    def unseen(self) -> list[str]:
        """Documented fields that no status had."""
        everything = {(section, path) for section, paths in self.sections.items() for path in paths}
        return sorted(f"{section}: {path}" for section, path in everything - self.seen)

    def _compare(self, section: str, path: str, value: Any) -> None:
        kind = self.sections[section].get(path)
        if kind is None:
            self.problems.append(f"{section}: {path} is not documented")
            return
        self.seen.add((section, path))
        if value is None:
            if "or null" not in kind:
                self.problems.append(f"{section}: {path} is null, documented as {kind}")
            return
        kind = kind.removesuffix(" or null")
        link = re.match(r"\[([^\]]+)\]", kind)
        if link is not None:
            self.complete(link[1], value, *(["Plugin collector"] if "plugin" in value else []))
            return
        if not _is_a(value, kind):
            self.problems.append(f"{section}: {path} is {value!r}, documented as {kind}")
        elif kind == "dict":
            named = [each for each in self.sections[section] if re.fullmatch(re.escape(path) + r"\.[A-Z]+", each)]
            for key, item in value.items():
                self._compare(section, named[0] if named else f"{path}.{key}", item)
            self._missing(section, path, f"{path}.", value)
        elif kind == "list":
            for item in value:
                for key, each in item.items():
                    self._compare(section, f"{path}[].{key}", each)
                self._missing(section, path, f"{path}[].", item)

    def _missing(self, section: str, path: str, prefix: str, value: dict[str, Any]) -> None:
        wanted = {each.removeprefix(prefix) for each in self.sections[section] if each.startswith(prefix)}
        wanted = {each for each in wanted if re.fullmatch(r"[a-z_]+", each)}
        self.problems += [f"{section}: {prefix}{key} is gone" for key in sorted(wanted - value.keys())]


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (float, int), "bool": (bool,), "dict": (dict,), "list": (list,)
}  # fmt: skip


def _is_a(value: Any, kind: str) -> bool:
    if kind == "list of str":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))


class ListSink(Sink):
    """Keeps events in memory."""

    def __init__(self) -> None:
        super().__init__(SinkSettings(flush_seconds=0.05))
        self.got: list[MarketEvent] = []

    def open(self) -> None:
        """Nothing to open."""

    def write(self, batch: SinkBatch) -> None:
        self.got += batch.events


class BareCollector(BaseDataCollector):
    """A collector without a plugin."""

    async def _actual_connect(self) -> None: ...

    async def _actual_disconnect(self) -> None: ...

    async def _subscribe_channels(self, channels: Sequence[Channel]) -> None: ...

    def _process_message(self, message: Any, at: int) -> list[MarketEvent]:
        return []


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not what():  # noqa: ASYNC110 - a status is asked for, not awaited
            await asyncio.sleep(0.02)


@pytest.fixture
def fields(read_page: Any) -> Iterator[Fields]:
    fields = Fields.of(read_page("reference/status.md"))
    yield fields
    assert fields.problems == []


async def fail() -> None:
    raise RuntimeError("on purpose")


async def test_every_field_of_every_status_is_documented(
    fields: Fields, acme_server: Any, beside_us: Any, tmp_path: Path
) -> None:
    from tickhive_okx.venue import OKXVenue

    # A collector whose venue lists instruments, with a symbol that does not exist and a callback that raises.
    okx = beside_us.serve(OKXVenue())
    collector = ExchangeFactory.create_collector(
        ExchangeCollectorConfig(
            exchange="okx",
            symbols=["BTC-USDT", "NOPE-USDT"],
            data_types=["trade", "orderbook"],
            settings={"url": okx.url, "rest_url": okx.rest_url},
            blocked_seconds=1e-9,  # every hook is too slow for that
            blocked_times=10**6,
        )
    )
    collector.add_filter(lambda event: event, DataType.TRADE)
    raised = asyncio.Event()

    def broken(trade: Trade) -> None:
        raised.set()
        raise ValueError("on purpose")

    collector.add_data_callback(DataType.TRADE, broken)
    fields.complete("Collector", collector.get_status(), "Plugin collector")
    collector.record(Recorder(tmp_path / "recording.jsonl"))
    await collector.start()
    collector._tasks.add_task("doomed", fail())
    async with asyncio.timeout(20):
        await raised.wait()
    await until(lambda: collector.get_health_status()["healthy"])
    fields.complete("Collector", collector.get_status(), "Plugin collector")
    fields.complete("Collector health", collector.get_health_status())
    await collector.stop()
    fields.complete("Collector", collector.get_status(), "Plugin collector")

    # One that has no plugin.
    bare = BareCollector(ExchangeCollectorConfig(exchange="bare", symbol="X", data_types=["trade"]))
    fields.complete("Collector", bare.get_status())
    assert "plugin" not in bare.get_status()

    # A service with a sink, with one collector that runs, one that reaches nobody and one that cannot be made.
    def table(name: str, exchange: str, url: str) -> dict[str, Any]:
        wanted = {"symbols": ["BTC-USDT"], "data_types": ["trade"], "settings": {"url": url}}
        return {"name": name, "exchange": exchange, **wanted}

    config = ServiceConfig.from_tables(
        {
            "service": {"data_dir": str(tmp_path)},
            "collectors": [
                table("runs", "acme", acme_server.url),
                table("reaches nobody", "acme", "ws://127.0.0.1:1"),
                table("unknown", "nowhere", "ws://127.0.0.1:1"),
            ],
        }
    )
    CollectorManager._forget_instance()
    sink = ListSink()
    service = DataCollectionService(config, sinks={"memory": sink})
    fields.complete("Service", dict(service.get_status()))
    async with service:
        await until(lambda: sink.got and service.ready)
        fields.complete("Service", dict(service.get_status()))
        fields.complete("Manager", dict(service.manager.get_status()))
    fields.complete("Service", dict(service.get_status()))
    CollectorManager._forget_instance()
    closed = Spool(tmp_path / "closed").status()
    fields.compare("Spool", closed)
    assert fields.unseen() == []


async def test_a_field_nobody_documented_is_found(read_page: Any) -> None:
    fields = Fields.of(read_page("reference/status.md"))
    fields.compare("Spool", {"healthy": "yes", "colour": "red", "reason": None, "bytes": None})
    assert len(fields.problems) == 3
