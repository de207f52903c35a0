"""A REST request to OKX, and the rows of its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Raw

from tickhive.channels import Channel
from tickhive.plugin import Event, Fetch, Malformed
from tickhive.plugin.reading import UNREADABLE
from tickhive_okx.settings import OKXSettings


def fetch_for(settings: OKXSettings, path: str, query: str, channel: Channel | None = None) -> Fetch:
    """Ask for a path; each request weighs one in the path's own limit."""
    return Fetch(settings.rest(f"{path}?{query}"), headers=settings.rest_headers, costs={path: 1.0}, channel=channel)


def read_rows(rows: Sequence[Raw], reader: Callable[[Raw], Sequence[Event]], what: str) -> list[Event]:
    """Read each row; a bad one is Malformed by itself."""
    events: list[Event] = []
    for row in rows:
        try:
            events += reader(row)
        except UNREADABLE as error:
            events.append(Malformed(f"{what}: {error}"[:200]))
    return events
