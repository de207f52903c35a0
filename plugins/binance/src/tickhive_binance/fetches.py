"""A REST request to Binance, and the rows of its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw

from tickhive.channels import Channel
from tickhive.plugin import Event, Fetch, Malformed
from tickhive.plugin.reading import UNREADABLE, brief
from tickhive_binance.settings import BinanceSettings

WEIGHT = "weight"
"""The scope of what Binance counts per address and minute."""

_rows = msgspec.json.Decoder(list[Raw]).decode


def fetch_for(
    settings: BinanceSettings,
    path: str,
    channel: Channel | None = None,
    *,
    weight: float,
    method: str = "GET",
    version: str = "",
) -> Fetch:
    """Ask for a path at its weight."""
    return Fetch(settings.rest(path, version), method=method, costs={WEIGHT: weight}, channel=channel)


def read_rows(body: bytes, reader: Callable[[bytes], Sequence[Event]], what: str) -> list[Event]:
    """Read each row of an array; a bad one is Malformed by itself."""
    events: list[Event] = []
    for raw in _rows(body):
        try:
            events += reader(bytes(raw))
        except UNREADABLE as error:
            events.append(Malformed(f"{what}: {brief(error)}"))
    return events
