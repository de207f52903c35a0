"""How large what is kept may grow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tickhive.session import Feed, Session

ALWAYS = 20_000
"""No container, whatever it is for."""

OPEN_BUSINESS = 60
"""What waits for something, once nothing has gone wrong for a while."""

_TRANSIENT = {
    "session": ("outbox", "fetches"),
    "fetch_desk": ("_purposes",),
    "repair": ("_fetching",),
    "asking": ("_by_id", "_by_channel", "_renewing", "_leaving", "_later"),
    "refill": ("holes", "_holes"),
    "feed": ("holes",),
}


def check_bounds(feed: Feed, sessions: Iterable[Session], *, settled: bool) -> None:
    """I5: memory is bounded."""
    sessions = list(sessions)
    stray = [session for session in feed.sessions if session not in sessions]
    assert not stray, f"I5: {len(stray)} closed sessions are kept"
    for owner, thing in _things(feed, sessions):
        for name, value in _containers(thing):
            assert len(value) <= ALWAYS, f"I5: {owner}.{name} holds {len(value)}"
            if settled and name in _TRANSIENT.get(owner, ()):
                assert not value, f"I5: {owner}.{name} still holds {len(value)} after a quiet while"
    for session in sessions:
        waiting = len(session.timers._moments)
        assert waiting <= OPEN_BUSINESS * (1 if settled else 10), f"I5: {waiting} timers wait"
    for keeper in feed.books.values():
        assert len(keeper.buffer) <= 1_000, f"I5: {len(keeper.buffer)} changes of {keeper.symbol} are held"


def _things(feed: Feed, sessions: list[Session]) -> Iterable[tuple[str, Any]]:
    yield from (("feed", feed), ("trade_ids", feed.trade_ids), ("doubles", feed.doubles), ("ledger", feed.ledger))
    for session in sessions:
        yield from (("session", session), ("asking", session.asking), ("refill", session.refill))
        yield from (("fetch_desk", session.fetch_desk), ("desk", session.desk), ("repair", session.desk.repair))
        yield ("line", session.line)


def _containers(thing: Any) -> Iterable[tuple[str, Any]]:
    names = [*getattr(thing, "__dict__", ()), *(name for kind in type(thing).__mro__ for name in _slots(kind))]
    for name in names:
        value = getattr(thing, name, None)
        if isinstance(value, dict | list | set):
            yield name, value


def _slots(kind: type) -> tuple[str, ...]:
    slots = getattr(kind, "__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
