"""Plays link: dials, hands frames over, sends what the session wants sent, replaces sockets without a hole."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from tickhive.channels import Channel
from tickhive.events import MarketEvent
from tickhive.plugin.contract import Answer, Dial, Fetch
from tickhive.session import Feed, Session

from .clockwork import SECOND
from .venue import Venue

BACKOFF = SECOND
PATIENCE = 30 * SECOND  # with a successor that does not settle


class Wire:
    """One socket and its session."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.venue, self.clockwork = link.venue, link.venue.clockwork
        self.session = Session(link.feed.stack, link.dial, link.feed)
        self.socket = self.venue.connect(self._frames, self.end)
        self.opened_at = self.clockwork.now
        self.alive = True
        self._deadline: int | None = None

    def open(self) -> None:
        self.session.opened(self.clockwork.now)
        self.act()

    def _frames(self, frames: list[bytes]) -> None:
        if self.alive:
            self.link.deliver(self.session.receive(frames, self.clockwork.now))
            self.act()

    def act(self) -> None:
        """Do what the session asks."""
        session = self.session
        for request in session.outbox:
            self.socket.hear(request.frame)
        session.outbox.clear()
        fetches = session.fetches.copy()
        session.fetches.clear()
        for fetch in fetches:
            self._fetch(fetch)
        if session.close_reason is not None or session.fatal is not None:
            self.end(session.fatal or session.close_reason or "")
            return
        deadline = session.deadline()
        if deadline is not None and deadline != self._deadline:
            self._deadline = deadline
            self.clockwork.at(deadline, self._tick)
        self.link.review()

    def _tick(self) -> None:
        if not self.alive:
            return
        self._deadline = None
        now = self.clockwork.now
        self.link.deliver(self.session.tick(now))
        deadline = self.session.deadline()
        assert deadline is None or deadline > now, "I6: the deadline stays in the past after a tick"
        self.act()

    def _fetch(self, fetch: Fetch) -> None:
        venue, late = self.venue, self.venue.take_lateness()

        def asked() -> None:
            body = venue.answer(fetch.url)
            self.clockwork.after(venue.latency + late, lambda: self._fetched(fetch, body))

        self.clockwork.after(venue.latency, asked)

    def _fetched(self, fetch: Fetch, body: bytes | None) -> None:
        now = self.clockwork.now
        if body is None:
            events = self.session.fetch_failed(fetch, "HTTP 429: too many requests", now)
        else:
            events = self.session.answered(fetch, Answer(200, body), now)
        if self.alive:
            self.link.deliver(events)
            self.act()

    def end(self, reason: str) -> None:
        """The socket is gone."""
        if self.alive:
            self.alive = False
            self.socket.close()
            self.link.deliver(self.session.closed(reason, self.clockwork.now))
            self.link.lost(self)


class Link:
    """Keeps one dial's socket open. While a socket is leaving there are two, oldest first."""

    def __init__(self, venue: Venue, feed: Feed, dial: Dial, deliver: Callable[[list[MarketEvent]], None]) -> None:
        self.venue, self.feed, self.dial, self.deliver = venue, feed, dial, deliver
        self.wires: list[Wire] = []
        self.on_lost: Callable[[Wire], None] = lambda wire: None
        self._dialling = False

    def dial_after(self, delay: int) -> None:
        if not self._dialling:
            self._dialling = True
            self.venue.clockwork.after(delay + self.venue.latency, self._opened)

    def _opened(self) -> None:
        self._dialling = False
        wire = Wire(self)
        self.wires.append(wire)
        wire.open()

    def lost(self, wire: Wire) -> None:
        self.wires.remove(wire)
        self.on_lost(wire)
        if not self.wires:
            self.dial_after(BACKOFF)
        else:
            self.review()

    def review(self) -> None:
        """Replace a socket that is leaving; end it once its successor is settled, or has had its time."""
        if not self.wires:
            return
        newest = self.wires[-1]
        if len(self.wires) > 1:
            waited = self.venue.clockwork.now - newest.opened_at
            if newest.session.settled or waited > PATIENCE:
                oldest = self.wires[0]
                oldest.end(oldest.session.leaving or "replaced")
        elif newest.session.leaving is not None:
            self.dial_after(0)

    # What users ask for

    def add(self, channel: Channel) -> None:
        self.dial = evolve(self.dial, channels=[*self.dial.channels, channel])
        for wire in self.wires.copy():
            wire.session.add([channel], self.venue.clockwork.now)
            wire.act()

    def remove(self, channel: Channel) -> None:
        self.dial = evolve(self.dial, channels=[each for each in self.dial.channels if each != channel])
        for wire in self.wires.copy():
            wire.session.remove([channel], self.venue.clockwork.now)
            wire.act()
