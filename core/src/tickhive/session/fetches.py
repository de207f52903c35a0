"""What one socket asks by REST: what each request is for, and who acts on its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tickhive.channels import DataType
from tickhive.events import BookSnapshot, MarketEvent
from tickhive.plugin.contract import Answer, Dial, Fetch, Rejected
from tickhive.session.account_requests import LastWord, Standing
from tickhive.session.feed import BookKey, book_key
from tickhive.session.holes import Hole
from tickhive.session.lifetime import Upkeep
from tickhive.session.statistics import SessionState

if TYPE_CHECKING:
    from tickhive.session.session import Session

Purpose: TypeAlias = BookKey | Hole | Standing | LastWord | Upkeep
"""What a request is for: a book's snapshot, a hole to refill, how an account's channel stands, how an order ended, what
keeps the socket valid."""


class FetchDesk:
    """The requests of one socket that wait for an answer, each with its purpose.

    The driver finds them in the session's ``fetches``. Each purpose has an owner, who hears how its request ended. What
    an answer says is acted on as if it had come in a frame, but for the pages of a hole, which go to the hole.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._purposes: dict[int, tuple[Fetch, Purpose | None]] = {}

    def send(self, fetch: Fetch, purpose: Purpose | None = None) -> None:
        """Put a request to the driver."""
        # Keyed by identity, the object kept alive: two equal requests are two requests.
        self._purposes[id(fetch)] = (fetch, purpose)
        self._session.fetches.append(fetch)

    def clear(self) -> None:
        """No answer is waited for any more."""
        self._purposes.clear()

    def answered(self, fetch: Fetch, answer: Answer, at: int, out: list[MarketEvent]) -> None:
        """The answer to a request came."""
        session = self._session
        _, purpose = self._purposes.pop(id(fetch), (fetch, None))
        if isinstance(purpose, Hole):
            session.refill.answered(purpose, fetch, answer, at, out)
            return
        if isinstance(purpose, Standing) and purpose.over:
            return
        key: Purpose | None = purpose
        if key is None and fetch.channel is not None and fetch.channel.data_type is DataType.ORDERBOOK:
            key = book_key(fetch.channel)
        events, fault = session.hooks.many("read", session=session, fetch=fetch, answer=answer, at=at)
        if fault is None:
            try:
                for event in events:
                    if isinstance(purpose, Standing):
                        purpose.note(event)
                    key = self.read(event, key, at, out)
            except Exception as error:
                fault = session.hooks.failed("read", error)
        if isinstance(purpose, Standing):
            purpose.whole = purpose.whole and fault is None
            self._page_ended(purpose, at, out)
        elif isinstance(key, LastWord):
            session.account_desk.ended(key, at, out)
        elif isinstance(key, tuple):
            session.desk.fetch_ended(key, at)

    def _page_ended(self, standing: Standing, at: int, out: list[MarketEvent]) -> None:
        standing.pages -= 1
        if not standing.pages:
            self._session.account_desk.ended(standing, at, out)

    def read(self, event: Any, key: Purpose | None, at: int, out: list[MarketEvent]) -> Purpose | None:
        """Act on one thing an answer said; answers the purpose unless a further request has it now. That of a Standing
        is shared by them.
        """
        session = self._session
        if isinstance(event, BookSnapshot):
            session.desk.fetched(event, at, out)
        elif isinstance(event, Fetch):
            self.send(event, key)
            if not isinstance(key, Standing):
                return None
            key.pages += 1
        elif isinstance(event, Dial):
            session.conversation.note_unknown("read answered a Dial for a socket that is open")
        elif isinstance(event, Rejected) and event.id is None and not event.channels:
            session.conversation.refused(event)
        else:
            session.routes[event.__class__](event, b"", at, out)
        return key

    def failed(self, fetch: Fetch, reason: str, at: int, out: list[MarketEvent], *, unauthorised: bool) -> None:
        """A request could not be made. ``unauthorised``: the venue does not accept who signed it."""
        session = self._session
        _, purpose = self._purposes.pop(id(fetch), (fetch, None))
        if isinstance(purpose, Hole):
            session.refill.failed(purpose, fetch, reason, out)
        elif isinstance(purpose, Standing):
            purpose.whole, purpose.again = False, True
            self._page_ended(purpose, at, out)
        elif isinstance(purpose, LastWord):
            session.account_desk.ended(purpose, at, out)
        elif isinstance(purpose, Upkeep):
            session.lifetime.failed(reason)
        elif purpose is not None:
            session.desk.fetch_ended(purpose, at)
        if unauthorised:
            session.conversation.refused(Rejected(reason, "credentials"))
        elif session.state is SessionState.LOGIN:
            session.close(f"the login failed: {session.conversation.fit(reason)}")
