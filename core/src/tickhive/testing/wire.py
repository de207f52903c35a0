"""One socket in memory, and the session that thinks it is a true one."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import define

from tickhive.plugin.contract import Dial
from tickhive.session import Feed, Session
from tickhive.testing.case import NotOffered

if TYPE_CHECKING:
    from tickhive.testing.rehearsal import Rehearsal

URL = "ws://venue.test"
REST_URL = "http://venue.test"
"""Where the simulated venue is: what ``url`` and ``rest_url`` of the settings say."""

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
START = 1_789_999_195 * SECOND + 271_828
"""The first moment of every rehearsal, in September 2026: five seconds before a full hour, at which candles close.

No venue's time in milliseconds is the moment anything is received here.
"""

LATENCY = 2 * MILLISECOND
REDIAL = SECOND


@define(eq=False)
class Parcel:
    """A frame on its way to the client."""

    due: int
    frame: bytes


class Wire:
    """One socket and its session. ``hung_up`` is what the venue said when it ended the socket itself.

    ``deaf``: it is half open, nothing goes through in either direction and nobody is told.
    """

    def __init__(self, world: Rehearsal, dial: Dial, number: int, feed: Feed) -> None:
        self.world = world
        self.number = number
        self.dial = dial
        self.feed = feed
        stack: Any = world.stack
        self.session = Session(stack, dial, feed, credentials=world.credentials)
        self.way: deque[Parcel] = deque()
        self.alive = True
        self.deaf = False
        self.hung_up: str | None = None
        self.successor: Wire | None = None

    def open(self, url: str) -> None:
        """The socket is there."""
        now = self.world.now
        self.world.venue.opened(self.number, path_of(url, URL, "connect"), now)
        self.session.opened(now)
        self.act()

    def arrive(self) -> None:
        """Hand over what has arrived."""
        now = self.world.now
        if self.deaf:
            self.way.clear()
        while self.alive and self.way and self.way[0].due <= now:
            frame = self.way.popleft().frame
            self.world.deliver(self, self.session.receive([frame], now))
            self.act()

    def act(self) -> None:
        """Do what the session asks."""
        session, world = self.session, self.world
        for request in session.outbox:
            world.after(LATENCY, self._say, request.frame)
        session.outbox.clear()
        for fetch in session.fetches:
            world.fetch(self, fetch)
        session.fetches.clear()
        if session.wants_ping:
            session.wants_ping = False
            world.after(2 * LATENCY, self._ponged)
        if session.close_reason is not None or session.fatal is not None:
            self.end(session.fatal or session.close_reason or "")
        elif session.leaving is not None and self.successor is None:
            self.successor = world.dial(self.dial, self.feed)
        world.review()

    def _say(self, frame: str | bytes) -> None:
        if self.alive and not self.deaf:
            self.world.venue.received(self.number, frame, self.world.now)

    def _ponged(self) -> None:
        if self.alive and not self.deaf:
            self.session.ponged(self.world.now)

    def tick(self) -> None:
        """Let the session do what is due."""
        deadline = self.session.deadline()
        if self.alive and deadline is not None and deadline <= self.world.now:
            self.world.deliver(self, self.session.tick(self.world.now))
            self.act()

    def end(self, reason: str = "disconnected: 1006", *, redial: bool = True) -> None:
        """The socket is gone, and what was on its way with it; another one follows unless one is there."""
        if not self.alive:
            return
        world = self.world
        self.alive = False
        self.way.clear()
        world.wires.remove(self)
        world.ended.append(self)
        world.venue.closed(self.number, world.now)
        world.deliver(self, self.session.closed(reason, world.now))
        if redial and self.successor is None and self.session.fatal is None:
            world.after(REDIAL, world.dial, self.dial, self.feed)


def path_of(url: str, base: str, what: str) -> str:
    """Path and query of an address below ``base``; a rehearsal cannot go where it is not."""
    if not url.startswith(base):
        raise NotOffered(f"an address of the simulated venue: {what} leads to {_host(url)} instead (see TH-104)")
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
