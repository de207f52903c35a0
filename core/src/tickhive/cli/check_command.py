"""``tickhive check``: everything that is wrong with a configuration, found without connecting to anything."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tickhive.cli.logs import configure_logging
from tickhive.errors import ConfigurationError
from tickhive.service.config import ServiceConfig
from tickhive.service.factory import CollectorFactory
from tickhive.service.storage import build_sinks


@click.command("check")
@click.option("--config", type=click.Path(path_type=Path), default=Path("tickhive.toml"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(config: Path, as_json: bool) -> None:
    """Check a configuration, its file's permissions and the packages it needs. Exit code 1 when anything is wrong.

    Nothing is connected: whether the exchange trades a symbol is found out when it is collected.
    """
    configure_logging("error")
    problems, summary = check(config)
    if as_json:
        click.echo(
            json.dumps({"file": str(config), "ok": not problems, "problems": problems, "collects": summary}, indent=2)
        )
    elif problems:
        click.echo(f"{config}: {len(problems)} problem{'s' if len(problems) > 1 else ''}")
        for problem in problems:
            click.echo(f"  - {problem}")
    else:
        click.echo(f"{config}: nothing is wrong. It collects:")
        for line in summary:
            click.echo(f"  {line}")
    if problems:
        raise SystemExit(1)


def check(path: Path) -> tuple[list[str], list[str]]:
    """All problems of a configuration, and in words what it collects."""
    try:
        config = ServiceConfig.load(path)
    except ConfigurationError as error:
        return list(error.problems), []
    problems: list[str] = []
    _, refused = CollectorFactory(config).create_all()
    problems += [f"{each.name}: {each.reason}" for each in refused]
    try:
        build_sinks(config)
    except ConfigurationError as error:
        problems += error.problems
    summary = [
        f"{each.exchange}: {', '.join(each.symbols[:5])}{', ...' if len(each.symbols) > 5 else ''} "
        f"({', '.join(map(str, each.subscriptions))})"
        for each in config.collectors
    ]
    return problems, summary + [f"into {sink.type} ({sink.name})" for sink in config.sinks]
