"""Recorded traffic: write it, read it, and replay it through the same session that runs live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tickhive.recording.reader import Line, read_recording

if TYPE_CHECKING:
    from tickhive.recording.replay import Replay, ReplayResult
    from tickhive.recording.writer import Recorder

__all__ = ["Line", "Recorder", "Replay", "ReplayResult", "read_recording"]

_HOMES = {"Replay": "replay", "ReplayResult": "replay", "Recorder": "writer"}


def __getattr__(name: str) -> Any:
    """Import the replay and the recorder when they are asked for: reading a recording needs neither."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"tickhive.recording.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
