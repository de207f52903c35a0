"""What ``run`` and ``demo`` share: a service whose events are watched from the first one on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tickhive.events import MarketEvent
from tickhive.manager.managed import ManagedCollector
from tickhive.manager.manager import CollectorManager
from tickhive.recording import Recorder
from tickhive.service.config import ServiceConfig
from tickhive.service.service import DataCollectionService

Tap = Callable[[list[MarketEvent]], None]


class WatchedManager(CollectorManager):
    """Puts taps on every collector before it starts, so that not even the first event is missed."""

    def __init__(self, taps: Sequence[Tap], **options: Any) -> None:
        super().__init__(**options)
        self._taps = taps

    def add_collector(self, collector: ManagedCollector, enabled: bool = True) -> None:
        """Tap the collector, then take it into care."""
        for tap in self._taps:
            collector.add_tap(tap)  # type: ignore[attr-defined]  # the service makes nothing but data collectors
        super().add_collector(collector, enabled)


def watched_service(config: ServiceConfig, *taps: Tap, recorder: Recorder | None = None) -> DataCollectionService:
    """A service whose collectors give everything to ``taps`` too, and what they receive to ``recorder``."""
    manager = WatchedManager(taps, policy=config.restarts)
    return DataCollectionService(config, manager=manager, recorder=recorder)


def collection_tables(
    exchange: str,
    symbols: Sequence[str],
    data_types: Sequence[str],
    *,
    data_dir: str | None = None,
    sink: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The tables of a configuration for one collector, as its file would hold them."""
    tables: dict[str, Any] = {
        "exchanges": {exchange: dict(settings or {})},
        "collectors": [{"exchange": exchange, "symbols": list(symbols), "data_types": list(data_types)}],
    }
    if data_dir is not None:
        tables["service"] = {"data_dir": data_dir}
    if sink is not None:
        tables["sinks"] = [{"type": sink, "path": data_dir or "data"}]
    return tables
