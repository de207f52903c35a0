"""Finds the installed sinks by their entry points and builds the one a configuration asks for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tickhive.errors import ConfigurationError
from tickhive.sinks.base import Sink
from tickhive.structuring import structure

GROUP = "tickhive.sinks"


def sink_types() -> dict[str, EntryPoint]:
    """List the installed sinks by type, without importing them."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def load_sink(type_name: str) -> type[Sink]:
    """Import the class of a sink; ConfigurationError naming its distribution and what to do when that fails."""
    found = [entry for entry in entry_points(group=GROUP) if entry.name == type_name]
    if not found:
        installed = sorted(sink_types())
        close = difflib.get_close_matches(type_name, installed, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Install it: pip install tickhive-{type_name}"
        raise ConfigurationError(f"no sink of type {type_name!r}; installed: {', '.join(installed) or 'none'}. {hint}")
    distributions = sorted({_distribution(entry) for entry in found})
    if len(distributions) > 1:
        raise ConfigurationError(
            f"sink {type_name!r} is claimed by {' and '.join(distributions)}. Uninstall all but one of them"
        )
    entry, package = found[0], distributions[0]
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"sink {type_name!r} ({package}) cannot be imported: {type(error).__name__}: {error}. "
            "Reinstall the package or remove the sink from the configuration"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Sink)):
        raise ConfigurationError(
            f"sink {type_name!r} ({package}): {entry.value} is not a tickhive.sinks.Sink. "
            "Its author has to point the entry point to a Sink class"
        )
    return loaded


def create_sink(type_name: str, settings: Mapping[str, Any], *, path: str = "") -> Sink:
    """Build a sink from its plain settings, without opening it.

    Every fault in the settings is a problem of one ConfigurationError, with field paths below ``path``.
    """
    cls = load_sink(type_name)
    return cls(structure(cls.Settings, dict(settings), path))


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown distribution"
