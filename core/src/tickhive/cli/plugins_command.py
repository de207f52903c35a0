"""``tickhive plugins``: what is installed, and why something that is installed cannot be used."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from typing import Any

import click

from tickhive.errors import PluginError
from tickhive.plugin.registry import PluginRegistry, default_registry


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
    """One row per exchange; each is loaded to see whether it can be."""
    rows = []
    for name in list(registry.found()):
        api: int | None = None
        venue = False
        try:
            stack = registry.load(name)
            api, venue = stack.api_version, stack.offers("venue")
        except PluginError:
            pass  # the registry notes why, and its note is shown
        found = registry.found()[name]
        rows.append(
            {
                "name": name,
                "distribution": found.distribution,
                "version": found.version,
                "api_version": api,
                "simulated_venue": venue,
                "status": found.status,
                "reason": found.reason,
                "remedy": found.remedy,
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
        except Exception as error:
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
        for row in rows:
            package = f"{row['distribution']} {row['version']}" if row["distribution"] else "(this application)"
            api = f"  API {row['api_version']}" if row.get("api_version") else ""
            demo = "  simulated venue" if row.get("simulated_venue") else ""
            click.echo(f"  {row['name']:<14}{row['status']:<11}{package}{api}{demo}")
            if row["reason"]:
                click.echo(f"{'':16}{row['reason']}. {row['remedy']}")
