"""What a venue says of the conversation itself: log-in, answers to requests, frame numbers, farewells, nonsense."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from tickhive.channels import DataType
from tickhive.events import MarketEvent
from tickhive.plugin.contract import (
    Accepted,
    Alive,
    Goodbye,
    Malformed,
    Numbered,
    Ready,
    Rejected,
    Reply,
    Request,
    Unknown,
    Unsubscribed,
)
from tickhive.session.faults import StaleFrame, describe, tidy
from tickhive.session.hooks import check_frame
from tickhive.session.statistics import SessionState
from tickhive.session.timers import SECOND

if TYPE_CHECKING:
    from tickhive.session.session import Session

Handler: TypeAlias = Callable[[Any, bytes, int, list[MarketEvent]], None]
"""Called with an event, the frame it was in, the time (ns UTC) and the list of events going out."""


class Conversation:
    """Handlers for session events. ``sanitize`` takes out of a text what must not be shown."""

    def __init__(self, session: Session, sanitize: Callable[[str], str], ack_seconds: float) -> None:
        self._session = session
        self._sanitize = sanitize
        self._ack = int(ack_seconds * SECOND)
        self._number: int | None = None
        self.routes: dict[type, Handler] = {
            Alive: self._alive,
            Ready: self._ready,
            Accepted: self._accepted,
            Unsubscribed: self._unsubscribed,
            Rejected: self._rejected,
            Numbered: self._numbered,
            Reply: self._reply,
            Goodbye: self._goodbye,
            Unknown: self._unknown,
            Malformed: self._malformed,
        }

    def fit(self, words: str) -> str:
        """Words of the venue or the plugin, fit to be shown: they may quote what was sent, so they are sanitized."""
        return tidy(self._sanitize(words))

    # The log-in

    def login(self, at: int) -> None:
        """Ask to be let in."""
        session = self._session
        session.state = SessionState.LOGIN
        answers, fault = session.hooks.many("authenticate", session=session, credentials=session.credentials, at=at)
        if fault is None:
            session.send(answers)
            session.timers.set(self._login_unanswered, None, at + self._ack)
            return
        if session.credentials is None:
            session.fatal = "this socket needs a login and no credentials are configured"
        else:
            session.fatal = f"the login could not be prepared: {fault}"
        session.close(session.fatal)

    def _login_unanswered(self, _about: None, _at: int, _out: list[MarketEvent]) -> None:
        if self._session.state is SessionState.LOGIN:
            self._session.close("no answer to the login")

    def _ready(self, event: Ready, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        session = self._session
        if session.state is SessionState.LOGIN:
            session.timers.cancel(self._login_unanswered, None)
            session.ready(at)

    # Answers

    def _accepted(self, event: Accepted, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        session = self._session
        session.asking.accepted(event, at)
        if session.credentials is not None:
            session.account_desk.ask(at, out)

    def _unsubscribed(self, event: Unsubscribed, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        self._session.asking.unsubscribed(event, at)

    def _rejected(self, event: Rejected, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        session = self._session
        reason = self.refused(event)
        if event.kind == "credentials":
            return
        if session.state is SessionState.LOGIN:
            session.close(f"the login was refused: {reason}")
        else:
            session.asking.rejected(event, at)

    def refused(self, event: Rejected) -> str:
        """Note a refusal; one of the credentials ends the feed. Answers the reason, fit to be shown."""
        session = self._session
        reason = session.statistics.last_rejection = event.reason = self.fit(event.reason)
        session.statistics.rejected += 1
        if event.kind == "credentials":
            session.fatal = f"the venue refused the credentials ({reason})"
            session.close(session.fatal)
        return reason

    # The line itself

    def _alive(self, event: Alive, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """A sign of life: that a frame came at all was noted already."""

    def _numbered(self, event: Numbered, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        expected = event.number if self._number is None else self._number + 1
        if event.number < expected:
            raise StaleFrame
        self._number = event.number
        if event.number == expected:
            return
        session = self._session
        cause = f"frames of this socket were lost: expected {expected}, got {event.number}"
        session.desk.break_all(cause, at, out)
        session.streams.lost_frames(cause, session.pulse.heard_at, at, out)

    def _reply(self, event: Reply, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        check_frame(event)
        self._session.outbox.append(Request(event.frame))

    def _goodbye(self, event: Goodbye, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        self._session.leave(f"the venue says goodbye: {self.fit(event.reason)}", announced=True)

    # What is not understood

    def _unknown(self, event: Unknown, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        if not self._session.pulse.is_reply(frame):
            self.note_unknown(event.what)

    def note_unknown(self, what: str) -> None:
        """Count something that nobody knows what to do with."""
        statistics = self._session.statistics
        statistics.unknown += 1
        statistics.last_unknown = self.fit(what)

    def _malformed(self, event: Malformed, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        self._note_malformed(event.why, frame)
        if event.data_type is DataType.ORDERBOOK:
            self._session.desk.unread((event.symbol, event.depth), self._unread(event), at, out)
        elif event.data_type is not None:
            self._session.streams.unread(event.data_type, event.symbol, self._unread(event), at, out)

    def _unread(self, event: Malformed) -> str:
        return self.fit(f"a frame could not be read: {event.why}")

    def misread(self, error: BaseException, frame: bytes) -> None:
        """Count a frame whose parsing failed; what it held before that was delivered."""
        if isinstance(error, KeyError) and error.args and isinstance(error.args[0], type):
            why = f"parse answered {tidy(error.args[0].__name__, 60)}, which is no event"
        else:
            why = f"parse failed: {describe(error)}"
        self._note_malformed(why, frame)

    def _note_malformed(self, why: str, frame: bytes) -> None:
        session = self._session
        if not session.pulse.is_reply(frame):
            session.statistics.malformed += 1
            session.statistics.last_malformed = self.fit(why)
