"""Recorded traffic: read it, and replay it through the same session that runs live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tickhive.recording.reader import Line, read_recording

if TYPE_CHECKING:
    from tickhive.recording.replay import Replay, ReplayResult

__all__ = ["Line", "Replay", "ReplayResult", "read_recording"]


def __getattr__(name: str) -> Any:
    """Import the replay when it is asked for: reading a recording needs none of the session's code."""
    if name in ("Replay", "ReplayResult"):
        from tickhive.recording import replay

        return getattr(replay, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
