"""Ember: a package of the time before API 1. It is refused with words, not with a traceback."""

from __future__ import annotations

from typing import Any

from tickhive.plugin import Dial, hookimpl

TICKHIVE_API = 0


@hookimpl
def open_socket(channels: Any) -> Any:
    return Dial("main", ["wss://stream.ember.example"], channels)


@hookimpl
def parse(message: bytes) -> Any:
    return []
