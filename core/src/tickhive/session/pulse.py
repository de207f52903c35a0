"""Whether the other side is still there: a sign of life after silence, and how long to wait for its answer."""

from __future__ import annotations

from enum import Enum

from tickhive.plugin.contract import Heartbeat
from tickhive.session.timers import SECOND


class Beat(Enum):
    """What a moment asks for."""

    NOTHING = "nothing"
    SEND = "send"
    DEAD = "dead"


class Pulse:
    """The clockwork of a Heartbeat. ``heard_at`` is when anything last came (ns UTC); without a Heartbeat it rests."""

    __slots__ = ("_after", "_sent_at", "heard_at", "reply", "send")

    def __init__(self, heartbeat: Heartbeat | None) -> None:
        self._after = int(heartbeat.after * SECOND) if heartbeat is not None else None
        self._sent_at: int | None = None
        self.send = heartbeat.send if heartbeat is not None else None
        self.reply = heartbeat.reply if heartbeat is not None else None
        self.heard_at = 0

    def is_reply(self, frame: bytes) -> bool:
        """Whether this frame is the venue's answer to a heartbeat."""
        return self.reply is not None and frame == self.reply

    def deadline(self) -> int | None:
        """When ``beat`` has something to say, ns UTC."""
        if self._after is None:
            return None
        sent_at = self._sent_at
        return (self.heard_at if sent_at is None or sent_at < self.heard_at else sent_at) + self._after

    def beat(self, at: int) -> Beat:
        """Tell what to do now."""
        deadline = self.deadline()
        if deadline is None or at < deadline:
            return Beat.NOTHING
        # What came at the very moment of sending, as a coarse clock has it, came after it: before, there was silence.
        unanswered = self._sent_at is not None and self._sent_at > self.heard_at
        self._sent_at = at
        return Beat.DEAD if unanswered else Beat.SEND
