"""``tickhive init``: writes a commented configuration that only its owner may read."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tickhive.errors import ConfigurationError
from tickhive.plugin.registry import PluginRegistry, default_registry

FALLBACK_SYMBOLS = ["BTC-USDT"]
FALLBACK_TYPES = ["trade", "orderbook", "ticker"]


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("tickhive.toml"))
@click.option("--exchange", help="The exchange to collect from; the first installed one otherwise.")
@click.option("--force", is_flag=True, help="Replace the file when it is there already.")
def command(file: Path, exchange: str | None, force: bool) -> None:
    """Write a commented configuration to FILE (tickhive.toml), readable by you alone."""
    from importlib.metadata import entry_points

    from tickhive.service.default_config import default_config

    registry = default_registry()
    name = exchange or _first(registry)
    symbols, types = _suggestions(registry, name)
    sinks = sorted(each.name for each in entry_points(group="tickhive.sinks"))
    write_private(file, default_config(name, symbols, types, sinks[0] if sinks else None), replace=force)
    click.echo(f"Wrote {file} for {name}. Next: tickhive check --config {file}, then tickhive run --config {file}")


def _first(registry: PluginRegistry) -> str:
    available = registry.available()
    if not available:
        raise ConfigurationError("no exchange is installed; install one, for example: pip install tickhive-<exchange>")
    return available[0]


def _suggestions(registry: PluginRegistry, exchange: str) -> tuple[list[str], list[str]]:
    """Symbols and data types worth starting with: those the exchange's simulated venue shows."""
    from tickhive.plugin.venue import VenueOptions

    stack = registry.load(exchange)
    try:
        venue = stack.call.venue(options=VenueOptions())
    except Exception as error:
        cause = f"its venue hook failed: {type(error).__name__}: {error}"
        raise stack.refuse(cause, "Report this to its authors") from error
    if venue is None:
        return FALLBACK_SYMBOLS, FALLBACK_TYPES
    return list(venue.symbols)[:2] or FALLBACK_SYMBOLS, list(venue.subscriptions) or FALLBACK_TYPES


def write_private(file: Path, text: str, *, replace: bool) -> None:
    """Write a file of mode 0600; an existing one is refused unless ``replace``, and never followed as a link."""
    try:
        if replace:
            file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError("is there already; name another file, or replace it with --force", str(file)) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror or error}", str(file)) from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
