"""``tickhive demo``: the whole way from an exchange to a store, without a network."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from tickhive.cli.demo import Demo, find_venue, print_report
from tickhive.cli.durations import duration
from tickhive.cli.logs import configure_logging
from tickhive.plugin.registry import default_registry


@click.command("demo")
@click.option("--for", "for_seconds", type=duration, default="10s", show_default=True, help="How long to collect.")
@click.option("--exchange", help="Whose simulated venue to use; the first installed one otherwise.")
@click.option("--seed", type=int, default=1, show_default=True, help="Equal seeds make equal markets.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where to store; data/demo/TIME otherwise."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.pass_context
def command(
    ctx: click.Context, for_seconds: float, exchange: str | None, seed: int, data_dir: Path | None, as_json: bool
) -> int:
    """Collect from a simulated exchange over real sockets, store it, and compare with what the exchange sent.

    Exit code 0 when what was sent, what was collected and what was stored are equal, event by event.
    """
    configure_logging(ctx.obj["log_level"] or "warning", as_json=ctx.obj["log_json"])
    name, venue = find_venue(default_registry(), exchange, seed)
    report = asyncio.run(Demo(name, venue, for_seconds=for_seconds, directory=data_dir, quiet=as_json).run())
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        print_report(report)
    return 0 if report.equal else 1
