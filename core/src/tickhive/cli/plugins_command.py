"""``tickhive plugins``: what is installed, and why something that is installed cannot be used."""

from __future__ import annotations

import json
import textwrap
import warnings
from importlib.metadata import entry_points
from typing import Any

import click

from tickhive.channels import DataType
from tickhive.errors import PluginError
from tickhive.exchanges.asking import offered_data_types
from tickhive.plugin.deprecation import PluginDeprecationWarning
from tickhive.plugin.registry import PluginRegistry, default_registry
from tickhive.plugin.stack import ExchangeStack


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """List the installed exchanges and stores. Exit code 1 when one of them cannot be used."""
    exchanges = describe_exchanges(default_registry())
    sinks = describe_sinks()
    if as_json:
        click.echo(json.dumps({"exchanges": exchanges, "sinks": sinks}, indent=2))
    else:
        _print(exchanges, sinks)
    if any(row["status"] not in ("available", "blocked") for row in [*exchanges, *sinks]):
        raise SystemExit(1)


def describe_exchanges(registry: PluginRegistry) -> list[dict[str, Any]]:
    """One row per exchange; each is loaded to see whether it can be, and asked what it offers."""
    rows = []
    for name in list(registry.found()):
        stack: ExchangeStack | None = None
        types: list[DataType] | None = None
        failed: PluginError | None = None
        try:
            with warnings.catch_warnings():
                # They are shown in the row.
                warnings.simplefilter("ignore", PluginDeprecationWarning)
                stack = registry.load(name)
            types = offered_data_types(stack)
        except PluginError as error:
            failed = error
        found = registry.found()[name]
        # The registry notes why it could not load one; what its hooks raise shows only when they are asked.
        asked_in_vain = failed is not None and found.status == "available"
        rows.append(
            {
                "name": name,
                "distribution": found.distribution,
                "version": found.version,
                "api_version": stack.api_version if stack else None,
                "data_types": None if types is None else [str(each) for each in types],
                "simulated_venue": stack is not None and stack.offers("venue"),
                "status": "broken" if asked_in_vain else found.status,
                "reason": failed.cause if failed and asked_in_vain else found.reason,
                "remedy": failed.remedy if failed and asked_in_vain else found.remedy,
                "deprecations": [str(each) for each in stack.deprecations] if stack else [],
            }
        )
    return rows


def describe_sinks() -> list[dict[str, Any]]:
    """One row per store."""
    rows = []
    for entry_point in sorted(entry_points(group="tickhive.sinks"), key=lambda each: each.name):
        distribution = entry_point.dist
        reason = ""
        try:
            entry_point.load()
        except (Exception, SystemExit) as error:
            reason = f"importing {entry_point.value} failed with {type(error).__name__}: {error}"
        rows.append(
            {
                "name": entry_point.name,
                "distribution": distribution.name if distribution else None,
                "version": distribution.version if distribution else None,
                "status": "broken" if reason else "available",
                "reason": reason,
                "remedy": f"Reinstall {distribution.name}" if reason and distribution else "",
            }
        )
    return rows


def _print(exchanges: list[dict[str, Any]], sinks: list[dict[str, Any]]) -> None:
    if not exchanges:
        click.echo("No exchange is installed. Install one, for example: pip install tickhive-<exchange>")
    for title, rows in (("Exchanges", exchanges), ("Stores", sinks)):
        if not rows:
            continue
        click.echo(f"{title}:")
        names, states, packages = (max(map(len, cells)) + 2 for cells in zip(*map(_cells, rows), strict=True))
        for row in rows:
            name, status, package = _cells(row)
            api = f"API {row['api_version']}" if row.get("api_version") else ""
            demo = "  simulated venue" if row.get("simulated_venue") else ""
            line = f"  {name:<{names}}{status:<{states}}{package:<{packages}}{api}{demo}"
            click.echo(line.rstrip())
            if row.get("data_types"):
                _more(", ".join(row["data_types"]))
            if row["reason"]:
                _more(f"{row['reason']}. {row['remedy']}")
            for deprecation in row.get("deprecations", ()):
                _more(f"deprecated: {deprecation}")


def _cells(row: dict[str, Any]) -> tuple[str, str, str]:
    package = f"{row['distribution']} {row['version']}" if row["distribution"] else "(this application)"
    return row["name"], row["status"], package


def _more(text: str) -> None:
    """What belongs to the row above, in lines of its own."""
    click.echo(textwrap.fill(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False))
