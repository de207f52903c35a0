"""``tickhive check``: everything that is wrong with a configuration, found without connecting to anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tickhive.cli.logs import configure_logging
from tickhive.errors import ConfigurationError
from tickhive.exchanges.judging import judge_account, judge_collector
from tickhive.plugin.registry import default_registry
from tickhive.redaction import _sanitize_error
from tickhive.service.config import ServiceConfig, read_tables
from tickhive.service.extensions import Extensions
from tickhive.sinks import create_sink


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path, readable=False), required=False)
@click.option("--config", type=click.Path(path_type=Path, readable=False), help="FILE, as the other commands take it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(file: Path | None, config: Path | None, as_json: bool) -> None:
    """Check a configuration (FILE, else tickhive.toml), its permissions and the packages it needs. Exit code 1 when
    anything is wrong.

    Nothing is connected: whether the exchange trades a symbol is found out when it is collected.
    """
    if file is not None and config is not None:
        raise click.UsageError("Name the file once: tickhive check FILE, or tickhive check --config FILE.")
    config = file or config or Path("tickhive.toml")
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
    """All problems of a configuration, and in words what it collects; nothing of the latter when there are any."""
    try:
        tables, refusal = read_tables(path)
    except ConfigurationError as error:
        return list(error.problems), []
    problems = list(refusal.problems) if refusal is not None else []
    config = None
    try:
        config = ServiceConfig.from_tables(tables)
    except ConfigurationError as error:
        problems += error.problems
    else:
        problems += _ask_extensions(config)
    problems += _ask_packages(tables)
    # A table may be refused for the same reason on both ways.
    return list(dict.fromkeys(problems)), _summary(config) if config is not None and not problems else []


def _ask_extensions(config: ServiceConfig) -> list[str]:
    """What keeps the middleware and filters it names from being imported and used."""
    try:
        Extensions(config.middleware, config.filters)
    except ConfigurationError as error:
        return list(error.problems)
    return []


def _ask_packages(tables: Mapping[str, Any]) -> list[str]:
    """What exchanges and stores find wrong with every table that is one, whatever else is wrong with the file."""
    plugins = _table(tables.get("plugins"))
    default_registry().block(*(name for name in _list(plugins.get("block")) if isinstance(name, str)))
    exchanges = _table(tables.get("exchanges"))
    problems: list[str] = []
    for index, table in enumerate(_list(tables.get("collectors"))):
        problems += judge_collector(table, f"collectors[{index}]", exchanges)
    for name, table in _table(tables.get("accounts")).items():
        problems += judge_account(name, table)
    for index, table in enumerate(_list(tables.get("sinks"))):
        problems += _ask_store(_table(table), f"sinks[{index}]")
    return problems


def _ask_store(table: Mapping[str, Any], path: str) -> list[str]:
    kind = table.get("type")
    if not isinstance(kind, str) or not kind:
        return []
    try:
        create_sink(kind, {key: value for key, value in table.items() if key not in ("type", "name")}, path=path)
    except ConfigurationError as error:
        return [text if text.startswith(path) else f"{path}.type: {text}" for text in error.problems]
    except Exception as error:
        return [f"{path}: {kind} cannot be made: {_sanitize_error(error)}"]
    return []


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _summary(config: ServiceConfig) -> list[str]:
    collects = [
        f"{each.exchange}: {', '.join(each.symbols[:5])}{', ...' if len(each.symbols) > 5 else ''} "
        f"({', '.join(map(str, each.subscriptions))})"
        f"{f', account {each.account}' if each.account else ''}"
        for each in config.collectors
    ]
    return collects + [f"into {sink.type} ({sink.name})" for sink in config.sinks]
