"""What one socket has come to: its state and its counters."""

from __future__ import annotations

from enum import StrEnum

from attrs import define


class SessionState(StrEnum):
    """How far the conversation has come."""

    OPENING = "opening"
    LOGIN = "login"
    OPEN = "open"
    CLOSED = "closed"


@define
class SessionStatistics:
    """What one socket has seen. Times are ns UTC; the ``last_`` texts are short and never hold a frame."""

    frames: int = 0
    events: int = 0
    malformed: int = 0
    unknown: int = 0
    rejected: int = 0
    hook_errors: int = 0
    checksums_verified: int = 0
    checksums_failed: int = 0
    gaps: int = 0
    resyncs: int = 0
    connected_at: int | None = None
    last_received: int | None = None
    last_malformed: str | None = None
    last_unknown: str | None = None
    last_rejection: str | None = None
    last_hook_error: str | None = None
