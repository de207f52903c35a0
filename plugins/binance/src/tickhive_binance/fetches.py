"""A REST request to Binance, and the rows of an answer that is a list."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Raw

from tickhive.channels import Channel
from tickhive.plugin import Fetch
from tickhive_binance.settings import BinanceSettings

WEIGHT = "weight"
"""The scope of what Binance counts per address and minute."""

rows_of = msgspec.json.Decoder(list[Raw]).decode
"""Each row as it stands in the answer."""


def fetch_for(
    settings: BinanceSettings,
    path: str,
    channel: Channel | None = None,
    *,
    weight: float,
    method: str = "GET",
    version: str = "",
) -> Fetch:
    """Ask for a path at its weight. Names outside ASCII are percent-encoded here: Binance wants that done before a
    request is signed (changelog of 2026-01-15).
    """
    address = settings.rest(quote(path, safe="/?&=#"), version)
    return Fetch(address, method=method, costs={WEIGHT: weight}, channel=channel)
