"""Runs a service against a simulated venue and keeps the two accounts side by side: the venue's and ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from attrs import define

from tickhive.channels import DataType
from tickhive.cli.collecting import collection_tables, watched_service
from tickhive.cli.faults import faults_line
from tickhive.cli.tally import Tally
from tickhive.cli.view import shown
from tickhive.errors import ConfigurationError, PluginError
from tickhive.plugin.registry import PluginRegistry
from tickhive.plugin.venue import SimulatedVenue, VenueOptions
from tickhive.service.config import ServiceConfig
from tickhive.service.service import DataCollectionService
from tickhive.service.signals import stop_signals
from tickhive.simulation import VenueServer
from tickhive.sinks.registry import load_sink, sink_types

ARRIVAL_SECONDS = 10.0
"""How long what is under way may take to arrive once the market stands still."""


@define
class DemoReport:
    """What came of a demo. ``sent`` is the venue's own log, ``stored`` None where no store is installed."""

    exchange: str
    symbols: list[str]
    seconds: float
    sent: Mapping[DataType, int]
    collected: Mapping[DataType, int]
    differing: list[str]
    gaps: int
    stored: Mapping[str, Mapping[str, int]] | None
    directory: Path | None
    example: Mapping[str, Any] | None = None

    @property
    def problems(self) -> list[str]:
        """Where the accounts differ, in words; empty when everything that was sent was collected and stored, once."""
        found = list(self.differing)
        if not self.collected:
            found.append("nothing was collected")
        if self.stored is not None:
            rows = {name: figures["rows"] for name, figures in self.stored.items()}
            found += [
                f"{name}: collected {count}, stored {rows.get(name.value, 0)}"
                for name, count in sorted(self.collected.items())
                if rows.get(name.value, 0) != count
            ]
        return found

    @property
    def equal(self) -> bool:
        """Whether sent, collected and stored are the same."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "exchange": self.exchange,
            "symbols": self.symbols,
            "seconds": round(self.seconds, 3),
            "sent": {name.value: count for name, count in sorted(self.sent.items())},
            "collected": {name.value: count for name, count in sorted(self.collected.items())},
            "gaps": self.gaps,
            "stored": self.stored,
            "directory": str(self.directory) if self.directory else None,
            "equal": self.equal,
            "problems": self.problems,
        }


def find_venue(registry: PluginRegistry, exchange: str | None, seed: int) -> tuple[str, SimulatedVenue]:
    """The named exchange's simulated venue, or that of the first installed exchange that brings one."""
    refusals: list[str] = []
    for name in [exchange] if exchange else registry.available():
        try:
            stack = registry.load(name)
        except PluginError as error:
            if exchange:
                raise
            refusals.append(str(error))
            continue
        try:
            venue = stack.call.venue(options=VenueOptions(seed=seed, start=time.time_ns()))
        except Exception as error:
            cause = f"its venue hook failed: {type(error).__name__}: {error}"
            raise stack.refuse(cause, "Report this to its authors") from error
        if venue is not None:
            return name, venue
    have = ", ".join(registry.available()) or "none"
    raise ConfigurationError(
        [f"no installed exchange brings a simulated venue (installed: {have}); install one that does", *refusals]
    )


class Demo:
    """One demo: the venue behind real sockets, a service that collects from it, and a store where one is installed."""

    def __init__(
        self, exchange: str, venue: SimulatedVenue, *, for_seconds: float, directory: Path | None, quiet: bool
    ) -> None:
        self._exchange = exchange
        self._venue = venue
        self._for_seconds = for_seconds
        self._directory = directory or Path("data", "demo", datetime.now().strftime("%Y%m%d-%H%M%S"))
        self._quiet = quiet
        self._tally = Tally()
        self._stop = asyncio.Event()
        self._service: DataCollectionService | None = None

    async def run(self) -> DemoReport:
        """Collect for the given time (Ctrl-C ends it early), let everything arrive, store it and compare."""
        sink = _installed_sink()
        server = VenueServer(self._venue)
        await server.start()
        try:
            config = self._config(server, sink)
            began = time.monotonic()
            with stop_signals(self._on_signal):
                seconds = await self._collect(config, server)
        finally:
            await server.stop()
        sent = {name: count for name, count in self._venue.log.by_type().items() if count}
        report = DemoReport(
            exchange=self._exchange,
            symbols=list(self._venue.symbols),
            seconds=seconds or time.monotonic() - began,
            sent=sent,
            collected=dict(self._tally.by_type()),
            differing=self._differences(),
            gaps=self._tally.gaps,
            stored=None,
            directory=self._directory if sink else None,
        )
        if sink is not None:
            _add_what_is_stored(report, sink, self._directory)
        return report

    def _config(self, server: VenueServer, sink: str | None) -> ServiceConfig:
        return ServiceConfig.from_tables(
            collection_tables(
                self._exchange,
                self._venue.symbols,
                self._venue.subscriptions,
                data_dir=str(self._directory),
                sink=sink,
                settings={"url": server.url, "rest_url": server.rest_url},
            )
        )

    async def _collect(self, config: ServiceConfig, server: VenueServer) -> float:
        """Collect, then let the market stand still until everything it said has arrived; answer the seconds."""
        service = self._service = watched_service(config, self._tally.take)
        headline = f"{self._exchange}, simulated: {len(self._venue.symbols)} symbols over real sockets"
        view = (
            nullcontext()
            if self._quiet
            else shown(self._tally, lambda: headline, faults=lambda: faults_line(service.collectors), every_seconds=2.0)
        )
        async with view:
            await service.start()
            began = time.monotonic()
            try:
                await self._wait(self._for_seconds)
                server.pause()
                seconds = time.monotonic() - began
                await self._arrival()
            finally:
                await service.stop()
        return seconds

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    async def _arrival(self) -> None:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        # Two accounts are compared, neither of which can say when they will be equal.
        while self._differences() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def _differences(self) -> list[str]:
        """Streams whose numbers differ between the venue's log and ours."""
        sent, collected = self._venue.log.sent, self._tally.by_stream()
        return [
            f"{symbol} {data_type}: sent {sent.get((symbol, data_type), 0)}, collected {count}"
            for symbol, data_type in sorted({*sent, *collected})
            if sent.get((symbol, data_type), 0) != (count := collected.get((symbol, data_type), 0))
        ]

    def _on_signal(self, _: str) -> None:
        if self._stop.is_set() and self._service is not None:
            self._service.ask_to_stop(force=True)
        self._stop.set()


def _installed_sink() -> str | None:
    """The first installed store whose package can read back what it stored: it has a module ``query``."""
    for name, entry in sorted(sink_types().items()):
        if find_spec(f"{entry.module.partition('.')[0]}.query") is not None:
            return name
    return None


def _add_what_is_stored(report: DemoReport, sink: str, directory: Path) -> None:
    """Let the store's own package read back what was stored: its ``query.stored`` and ``query.example``."""
    package = load_sink(sink).__module__.partition(".")[0]
    query = import_module(f"{package}.query")
    report.stored = query.stored(directory)
    report.example = query.example(directory)


def print_report(report: DemoReport) -> None:
    """The summary: the venue's account and ours side by side, and one query over what was stored."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"\n{report.seconds:.1f} s of {', '.join(report.symbols)}", title_justify="left", box=None)
    table.add_column("data type")
    for heading in ("sent by the venue", "collected", "per second"):
        table.add_column(heading, justify="right")
    stored = report.stored
    if stored is not None:
        table.add_column("stored", justify="right")
        table.add_column("files", justify="right")
    for name in sorted({*report.sent, *report.collected}, key=list(DataType).index):
        count = report.collected.get(name, 0)
        cells = [f"{report.sent.get(name, 0):,}", f"{count:,}", f"{count / report.seconds:,.1f}"]
        if stored is not None:
            figures = stored.get(name.value, {"rows": 0, "files": 0})
            cells += [f"{figures['rows']:,}", f"{figures['files']:,}"]
        table.add_row(name.value, *cells)
    console.print(table)
    click.echo(f"\nGaps: {report.gaps}")
    if report.directory is None:
        click.echo("Nothing was stored: no store is installed. pip install tickhive-parquet brings one.")
    else:
        click.echo(f"Files: {report.directory}")
    if report.example is not None:
        answer = Table(title=f"\n{report.example['title']}", title_justify="left", box=None)
        for position, column in enumerate(report.example["columns"]):
            answer.add_column(column, justify="right" if position else "left")
        for row in report.example["rows"]:
            answer.add_row(*map(str, row))
        console.print(answer)
    for problem in report.problems:
        click.echo(f"DIFFERENT: {problem}")
    if report.equal:
        accounts = "sent, collected and stored" if stored is not None else "sent and collected"
        click.echo(f"\nEqual: what was {accounts} is the same, event by event counted per symbol and data type.")
