"""A REST request to OKX."""

from __future__ import annotations

from tickhive.channels import Channel
from tickhive.plugin import Fetch
from tickhive_okx.settings import OKXSettings


def fetch_for(settings: OKXSettings, path: str, query: str = "", channel: Channel | None = None) -> Fetch:
    """Ask for a path; each request weighs one in the path's own limit."""
    asked = f"{path}?{query}" if query else path
    return Fetch(settings.rest(asked), headers=settings.rest_headers, costs={path: 1.0}, channel=channel)
