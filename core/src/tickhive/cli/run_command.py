"""``tickhive run``: collects live market data until it is told to stop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
import msgspec

from tickhive.channels import DataType
from tickhive.cli.collecting import collection_tables, watched_service
from tickhive.cli.durations import duration
from tickhive.cli.faults import faults_line
from tickhive.cli.logs import configure_logging
from tickhive.cli.loops import run_on
from tickhive.cli.pipes import close_stdout
from tickhive.cli.tally import Tally
from tickhive.errors import ConfigurationError, TickhiveError
from tickhive.events import MarketEvent
from tickhive.exchanges.asking import offered_data_types
from tickhive.exchanges.factory import ExchangeFactory
from tickhive.recording import Recorder
from tickhive.service.config import ServiceConfig
from tickhive.service.service import DataCollectionService

DEFAULT_TYPES = ("trade", "orderbook", "ticker")
UNREACHABLE_SECONDS = 1.0


@click.command("run")
@click.argument("exchange", required=False)
@click.argument("symbols", nargs=-1)
@click.option(
    "--types", help="Data types, separated by commas: candle:1m, ...  [default: trade,orderbook,ticker, those it has]"
)
@click.option("--config", type=click.Path(path_type=Path, readable=False), help="Collect what this file says instead.")
@click.option("--for", "for_seconds", type=duration, help="Stop by itself after, say, 30s, 5m or 1h.")
@click.option("--data-dir", type=click.Path(file_okay=False), help="Store what is collected below this directory.")
@click.option("--sink", help="The type of store for --data-dir; the only installed one otherwise.")
@click.option("--record", type=click.Path(path_type=Path), help="Record the raw frames into this file (.zst, .gz).")
@click.option("--record-private", is_flag=True, help="Record what belongs to accounts too; never what logs in.")
@click.option("--json", "as_json", is_flag=True, help="Print every event as one JSON object per line to stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    exchange: str | None,
    symbols: tuple[str, ...],
    types: str | None,
    config: Path | None,
    for_seconds: float | None,
    data_dir: str | None,
    sink: str | None,
    record: Path | None,
    record_private: bool,
    as_json: bool,
) -> int:
    """Collect live: tickhive run EXCHANGE SYMBOL..., or tickhive run --config FILE.

    Shows a live table on a terminal, a line every ten seconds otherwise. Ctrl-C stops in order (exit code 0), a second
    one by force (1). An exchange that cannot be reached is tried again for ever; with --for, a run that received
    nothing at all ends with exit code 1.
    """
    if (config is None) == (exchange is None):
        raise click.UsageError("Name an exchange and its symbols, or a file with --config FILE (one of the two).")
    if config is not None:
        if data_dir or sink:
            raise click.UsageError("--data-dir and --sink belong to the configuration file; set them there.")
        settings = _load(config)
    else:
        assert exchange is not None
        if not symbols:
            raise click.UsageError(f"Name at least one symbol: tickhive run {exchange} BTC-USDT")
        _refuse_swapped(exchange, symbols)
        chosen = _sink_for(data_dir, sink)
        wanted = usual_types(exchange) if types is None else [each.strip() for each in types.split(",") if each.strip()]
        settings = ServiceConfig.from_tables(
            collection_tables(exchange, symbols, wanted, data_dir=data_dir, sink=chosen)
        )
    if record_private and record is None:
        raise click.UsageError("--record-private needs --record FILE: where to record.")
    live = sys.stdout.isatty() and not as_json
    level = ctx.obj["log_level"] or ("warning" if live and config is None else settings.service.log_level)
    configure_logging(level, as_json=ctx.obj["log_json"] or settings.service.log_format == "json")
    with recording(record, record_private) as recorder:
        collecting = collect(settings, for_seconds=for_seconds, as_json=as_json, recorder=recorder)
        return run_on(settings.service.event_loop, collecting)


def usual_types(exchange: str) -> list[str]:
    """What is collected when nobody says what: of the usual data types those the exchange has."""
    offered = None
    try:
        if not ExchangeFactory.is_own_class(exchange):
            offered = offered_data_types(ExchangeFactory.load(exchange), map(DataType, DEFAULT_TYPES))
    except TickhiveError:
        pass  # whoever makes the collector says what is wrong with it
    return [each.value for each in offered or ()] or list(DEFAULT_TYPES)


def _load(path: Path) -> ServiceConfig:
    """The file; when it is refused, with what the packages find wrong in it too."""
    try:
        return ServiceConfig.load(path)
    except ConfigurationError as error:
        from tickhive.cli.check_command import check

        problems, _ = check(path)
        raise ConfigurationError(problems or error.problems, str(path)) from None


def _refuse_swapped(exchange: str, symbols: Sequence[str]) -> None:
    installed = ExchangeFactory.get_supported_exchanges()
    meant = next((symbol for symbol in symbols if symbol in installed), None)
    if exchange not in installed and meant is not None:
        rest = " ".join([exchange, *(symbol for symbol in symbols if symbol != meant)])
        raise click.UsageError(
            f"{exchange!r} is no installed exchange, {meant!r} is one. The exchange comes first: "
            f"tickhive run {meant} {rest}"
        )


def _sink_for(data_dir: str | None, sink: str | None) -> str | None:
    """Which store to use; none without a directory."""
    if data_dir is None:
        if sink is not None:
            raise click.UsageError("--sink needs --data-dir DIRECTORY: where to store.")
        return None
    if sink is not None:
        return sink
    from tickhive.sinks.registry import sink_types

    installed = sorted(sink_types())
    if len(installed) != 1:
        have = ", ".join(installed) or "none; pip install tickhive-parquet brings one"
        raise click.UsageError(f"Say which store --data-dir means: --sink TYPE (installed: {have}).")
    return installed[0]


@contextmanager
def recording(path: Path | None, private: bool) -> Iterator[Recorder | None]:
    """Record into this file for the length of the block, and say in the end what is in it."""
    if path is None:
        yield None
        return
    recorder = Recorder(path, private=private)
    try:
        yield recorder
    finally:
        recorder.close()
        status = recorder.status()
        if status["lines"] or status["dropped"] or status["parts"] > 1:
            click.echo(recorded_line(status), err=True)
        else:
            # An empty file would be in the way of the next attempt.
            recorder.path.unlink(missing_ok=True)
            click.echo(f"Nothing was recorded, so there is no {recorder.path}", err=True)


def recorded_line(status: dict[str, Any]) -> str:
    """What became of a recording, in one line."""
    parts = f" in {status['parts']} parts, the last one" if status["parts"] > 1 else " into"
    line = f"Recorded {status['lines']:,} lines{parts} {status['file']} ({status['bytes']:,} bytes)"
    if status["dropped"]:
        line += f"; {status['dropped']:,} are missing: {status['error'] or 'the disk did not keep up'}"
    if status["withheld"]:
        line += f"; {status['withheld']:,} belong to an account and were left out (--record-private records more)"
    return line


async def collect(
    settings: ServiceConfig, *, for_seconds: float | None, as_json: bool, recorder: Recorder | None = None
) -> int:
    """Run the service with its view; answer the exit code."""
    tally = Tally()
    printer = EventPrinter(on_closed=lambda: service.ask_to_stop())
    service = watched_service(settings, tally.take, *([printer.take] if as_json else []), recorder=recorder)
    if as_json:
        view: Any = nullcontext()
    else:
        from tickhive.cli.view import health_line, shown

        def in_short() -> str:
            return "; ".join(filter(None, [*service.storage_faults(), faults_line(service.collectors)]))

        view = shown(tally, lambda: health_line(service.collectors), faults=in_short)
    guide = asyncio.ensure_future(explain_unreachable(service, tally))
    try:
        async with view:
            code = await service.run(for_seconds=for_seconds, install_signals=True)
    finally:
        guide.cancel()
    if not as_json:
        from tickhive.cli.view import plain_line

        click.echo(f"Collected {plain_line(tally, faults_line(service.collectors))}")
    elif faults := faults_line(service.collectors):
        click.echo(f"Received {faults}", err=True)
    if for_seconds is not None and tally.total == 0 and code == 0:
        click.echo(_nothing(service), err=True)
        return 1
    return code


class EventPrinter:
    """Writes events to stdout as lines of JSON: ``type`` first, then the event's fields; prices are text, so exact.

    When whoever reads them has gone (``| head``), ``on_closed`` is called once and nothing is written any more.
    """

    def __init__(self, on_closed: Callable[[], object]) -> None:
        self._on_closed = on_closed
        self._closed = False

    def take(self, events: Sequence[MarketEvent]) -> None:
        """Write these events."""
        if self._closed:
            return
        lines = bytearray()
        for event in events:
            lines += b'{"type":"%b",' % event.__class__.__name__.encode()
            lines += _encode(event)[1:]
            lines += b"\n"
        try:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
        except OSError:  # a closed pipe; Windows calls it an invalid argument
            self._closed = True
            close_stdout()
            self._on_closed()


_encode = msgspec.json.Encoder(decimal_format="string").encode


async def explain_unreachable(service: DataCollectionService, tally: Tally) -> None:
    """Say once, in plain words, that an exchange cannot be reached; the service keeps trying."""
    told: set[str] = set()
    while tally.total == 0:
        await asyncio.sleep(UNREACHABLE_SECONDS)
        for collector in service.collectors:
            reason = unreachable_reason(collector.get_status())
            if reason and collector.exchange not in told and tally.total == 0:
                told.add(collector.exchange)
                click.echo(
                    f"{collector.exchange} cannot be reached: {reason}\n"
                    "It is tried again until it answers or you stop (Ctrl-C). "
                    "To see tickhive at work without the exchange: tickhive demo",
                    err=True,
                )


def unreachable_reason(status: dict[str, Any]) -> str | None:
    """Why a collector has not reached its exchange, naming the host; None when it has, or has not failed yet."""
    connections = status.get("connections") or []
    if any(each["connects"] for each in connections):
        return None
    failed = [each for each in connections if each["failures"]]
    if failed:
        return f"{failed[0]['host']}: {failed[0]['last_error']}"
    errors = [each["error"] for each in status.get("recent_errors", ()) if each["what"] == "connect"]
    return errors[-1] if errors else None


def _nothing(service: DataCollectionService) -> str:
    reasons = [reason for each in service.collectors if (reason := unreachable_reason(each.get_status()))]
    return f"Nothing was received. {reasons[0] if reasons else 'The log above says what happened.'}"
