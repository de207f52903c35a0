"""Comet: a package written for a tickhive that is yet to come."""

from __future__ import annotations

from typing import Any

from tickhive.plugin import Dial, hookimpl

TICKHIVE_API = 99


@hookimpl
def connect(channels: Any, weather: Any) -> Any:
    return [Dial("main", ["wss://stream.comet.example"], channels)]


@hookimpl
def parse(frame: bytes, at: int) -> Any:
    return []
