"""How long the venue keeps a socket: what is sent so that it stays valid, and leaving before it is cut off."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from tickhive.events import MarketEvent
from tickhive.session.timers import SECOND

if TYPE_CHECKING:
    from tickhive.session.session import Session

_LEAVE_EARLY_SECONDS = 60.0  # before the end of a dial's lifetime, or a tenth of it


class Upkeep(Enum):
    """The purpose of what the ``heartbeat`` hook asks for: without it the venue sends no more on this socket."""

    UPKEEP = "upkeep"


class Lifetime:
    """Sees to the ``upkeep`` and the ``lifetime`` of one socket's dial; without either it rests."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, at: int) -> None:
        """The socket is up."""
        dial, timers = self._session.dial, self._session.timers
        if dial.upkeep is not None:
            timers.set(self._upkeep, dial.upkeep, at + int(dial.upkeep * SECOND))
        if dial.lifetime is not None:
            early = min(_LEAVE_EARLY_SECONDS, dial.lifetime / 10)
            timers.set(self._outlived, dial.lifetime, at + int((dial.lifetime - early) * SECOND))

    def failed(self, reason: str) -> None:
        """What keeps the socket valid could not be sent."""
        session = self._session
        session.leave(f"what keeps this socket valid failed: {session.conversation.fit(reason)}", announced=True)

    def _upkeep(self, seconds: float, at: int, _out: list[MarketEvent]) -> None:
        session = self._session
        answers, fault = session.hooks.many("heartbeat", session=session, at=at)
        if fault is None:
            session.send(answers, Upkeep.UPKEEP)
        session.timers.set(self._upkeep, seconds, at + max(1, int(seconds * SECOND)))

    def _outlived(self, seconds: float, _at: int, _out: list[MarketEvent]) -> None:
        self._session.leave(f"the venue cuts its sockets after {seconds:g} s", announced=True)
