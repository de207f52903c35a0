"""Whose recording is it? Each plugin's ``hosts`` hook names the addresses it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tickhive.errors import PluginError, RecordingError, UnknownExchangeError
from tickhive.plugin.registry import PluginRegistry
from tickhive.plugin.stack import ExchangeStack
from tickhive.recording.timeline import Survey
from tickhive.session.faults import FAULTS


def owners_of(
    paths: Sequence[Path],
    surveyed: Survey,
    registry: PluginRegistry,
    exchange: str | None,
    on_note: Callable[[str], None],
) -> dict[str, ExchangeStack]:
    """The plugin for each host of these recordings; with ``exchange`` that one for all it can be meant for.

    Raises RecordingError when no installed plugin knows any of them.
    """
    seen = {host_of(url) for url in surveyed.urls} - {""}
    if exchange is not None:
        stack = registry.load(exchange)
        # A file may hold several venues; where it names none of this one's hosts (a local server's), all is its.
        return dict.fromkeys((seen & set(_hosts_of(stack))) or seen | {""}, stack)
    owners: dict[str, ExchangeStack] = {}
    for name in registry.available():
        try:
            stack = registry.load(name)
            known = _hosts_of(stack)
        except (PluginError, UnknownExchangeError) as error:
            on_note(str(error))
            continue
        for host in seen.intersection(known):
            owners.setdefault(host, stack)
    if not owners:
        raise RecordingError(
            f"{', '.join(map(str, paths))}: no installed exchange knows the hosts {_listed(seen)} "
            f"(installed: {_listed(registry.available())}). Install the package of their exchange, or say "
            "whose recording it is: --exchange NAME"
        )
    if strangers := seen - owners.keys():
        on_note(f"lines of {_listed(strangers)} were skipped: no installed exchange knows these hosts")
    return owners


def host_of(url: str) -> str:
    """The host of an address; "" where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _hosts_of(stack: ExchangeStack) -> Sequence[str]:
    try:
        return [host.lower() for host in stack.call.hosts() or ()]
    except FAULTS as error:
        cause = f"its hosts hook failed: {type(error).__name__}: {error}"
        raise stack.refuse(cause, "Report this to its authors") from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
