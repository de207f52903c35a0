"""A plugin against its own simulated venue, in memory: sessions, sockets, REST and time without any waiting.

The sessions are those that run live; only the driver differs. Time (ns UTC) moves in ``run`` and jumps from one thing
that is due to the next.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tickhive.channels import Channel, InstrumentTable
from tickhive.events import InstrumentUpdate, MarketEvent
from tickhive.plugin.contract import Answer, Credentials, Dial, Fetch, Poll, Rejected
from tickhive.plugin.venue import Hangup, Send, SimulatedVenue
from tickhive.session import Feed, OutsideView
from tickhive.testing.case import CaseFailed
from tickhive.testing.observing import ObservedStack
from tickhive.testing.views import alike
from tickhive.testing.wire import LATENCY, MILLISECOND, REST_URL, SECOND, START, Parcel, Wire, path_of

_MAX_PAGES = 100


class Rehearsal:
    """One collector's feed, its sockets and one venue.

    ``events`` is everything handed out, ``wires`` the open sockets, ``ended`` those before. ``carrier`` may bend what
    travels: it is given a wire and a parcel and answers the parcels that go on their way. A ``witness`` is a second
    collector at the same venue, which nothing happens to; ``on_change`` is called after each delivery to either.
    """

    def __init__(
        self,
        stack: ObservedStack,
        settings: Any,
        venue: SimulatedVenue,
        credentials: Credentials | None = None,
        silence_seconds: float | None = None,
    ) -> None:
        self.stack = stack
        self.settings = settings
        self.venue = venue
        self.credentials = credentials
        self.now = START
        self.instruments = InstrumentTable(stack.exchange)
        plain: Any = stack
        self._feed: Callable[[], Feed] = lambda: Feed(
            plain, stack.exchange, settings, self.instruments, silence_limit=lambda _: silence_seconds
        )
        self.feed = self._feed()
        self.witness: Feed | None = None
        self.witnessed: list[MarketEvent] = []
        self.on_change: Callable[[Feed], None] = lambda feed: None
        self.wires: list[Wire] = []
        self.ended: list[Wire] = []
        self.events: list[MarketEvent] = []
        self.set_aside: dict[Channel, str] = {}
        self.polls: dict[Channel, Poll] = {}
        self.dials: Sequence[Dial] = ()
        self.urls: list[str] = []
        self.carrier: Callable[[Wire, Parcel], Iterable[Parcel]] = lambda wire, parcel: (parcel,)
        self.fetch_delay: Callable[[Fetch], int] = lambda fetch: 0
        self._numbers = itertools.count(1)
        self._due: list[tuple[int, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._venue_next: int | None = START

    # What a collector does

    def learn(self) -> InstrumentTable:
        """Read the venue's instruments."""
        for fetch in self.stack.call.instruments(settings=self.settings) or ():
            found = self.fetch_all(fetch)
            self.instruments.extend(event.instrument for event in found if isinstance(event, InstrumentUpdate))
        return self.instruments

    def plan(self, channels: Sequence[Channel], dials: Sequence[Dial] = ()) -> Sequence[Dial]:
        """Which sockets carry these channels; what the plugin refuses is in ``set_aside``."""
        streamed = []
        for channel in channels:
            poll = self.stack.call.poll(channel=channel, settings=self.settings)
            if poll is not None:
                self.polls[channel] = poll
            else:
                streamed.append(channel)
        if not streamed:
            return ()
        try:
            answer = self._connect(streamed, dials)
        except ValueError:
            kept: list[Channel] = []
            for channel in streamed:
                try:
                    self._connect([*kept, channel], dials)
                except ValueError as error:
                    self.set_aside[channel] = str(error)
                else:
                    kept.append(channel)
            answer = self._connect(kept, dials) if kept else ()
        found: list[Dial] = []
        for item in answer:
            found += [item] if isinstance(item, Dial) else [d for d in self.fetch_all(item) if isinstance(d, Dial)]
        return found

    def _connect(self, channels: Sequence[Channel], dials: Sequence[Dial]) -> Sequence[Dial | Fetch]:
        answer: Sequence[Dial | Fetch] = self.stack.call.connect(
            channels=tuple(channels), settings=self.settings, credentials=self.credentials, dials=tuple(dials)
        )
        return answer

    def start(self, channels: Sequence[Channel]) -> None:
        """Open the sockets these channels need and begin to poll the rest."""
        self.dials = self.plan(channels)
        for dial in self.dials:
            self.dial(dial)
        for channel in self.polls:
            self.after(0, self._poll, channel)

    def watch(self) -> Feed:
        """Open a second set of sockets, for a witness."""
        self.witness = self._feed()
        for dial in self.dials:
            self.dial(dial, self.witness)
        return self.witness

    def dial(self, dial: Dial, feed: Feed | None = None) -> Wire:
        """Open a socket."""
        wire = Wire(self, dial, next(self._numbers), self.feed if feed is None else feed)
        self.wires.append(wire)
        url = self._address(dial)
        self.urls.append(url)
        wire.open(url)
        return wire

    def _address(self, dial: Dial) -> str:
        """Where to dial now: what the ticket's answer says, where there is one."""
        if dial.ticket is None:
            return dial.urls[0]
        found = [each for each in self.fetch_all(dial.ticket) if isinstance(each, Dial)]
        if not found or not found[0].urls:
            raise CaseFailed(
                f"read answers no Dial with an address to the ticket of Dial {dial.key!r}",
                "Answer a Dial whose urls and headers are good for one dialling",
            )
        return found[0].urls[0]

    def review(self) -> None:
        """End the sockets whose successors have taken over."""
        for wire in tuple(self.wires):
            if wire.successor is not None and wire.successor.session.settled:
                wire.end(wire.session.leaving or "replaced")

    def deliver(self, wire: Wire | None, events: Iterable[MarketEvent]) -> None:
        """Take what a session hands out."""
        if wire is not None and wire.feed is self.witness:
            self.witnessed += events
        else:
            self.events += events
        if wire is not None:
            self.on_change(wire.feed)

    def add(self, channel: Channel) -> None:
        """Want one more channel, on the socket the plugin names for it."""
        carried = [each for dial in self.dials for each in dial.channels]
        self._change(self.plan([*carried, channel], self.dials))

    def remove(self, channel: Channel) -> None:
        """Want a channel no more."""
        carried = [each for dial in self.dials for each in dial.channels if each != channel]
        self._change(self.plan(carried, self.dials))

    def _change(self, dials: Sequence[Dial]) -> None:
        before = {dial.key: dial for dial in self.dials}
        self.dials = dials
        for dial in dials:
            old = before.pop(dial.key, None)
            if old is None:
                self.dial(dial)
                continue
            for wire in [wire for wire in self.sockets() if wire.dial.key == dial.key]:
                wire.dial = dial
                wire.session.add([each for each in dial.channels if each not in old.channels], self.now)
                gone = [each for each in old.channels if each not in dial.channels]
                if gone:
                    wire.session.remove(gone, self.now)
                wire.act()
        for wire in [wire for wire in self.sockets() if wire.dial.key in before]:
            wire.end("no longer needed", redial=False)

    # REST

    def ask(self, fetch: Fetch) -> Answer:
        """Let the venue answer a request now."""
        signed: Fetch = self.stack.call.sign(fetch=fetch, credentials=self.credentials, at=self.now)
        self.urls.append(signed.url)
        headers = {name.lower(): value for name, value in signed.headers.items()}
        path = path_of(signed.url, REST_URL, "a Fetch")
        return self.venue.request(signed.method, path, headers, signed.body, self.now)

    def fetch_all(self, fetch: Fetch) -> list[Any]:
        """Make a request and those its answers ask for, at once."""
        view = OutsideView(self.stack.exchange, self.settings, self.instruments, self.stack.call.memory(), self.account)
        found: list[Any] = []
        queue = [fetch]
        for _ in range(_MAX_PAGES):
            if not queue:
                return found
            current = queue.pop(0)
            answer = self.ask(current)
            if answer.status >= 400:
                continue
            for item in self.stack.call.read(session=view, fetch=current, answer=answer, at=self.now):
                (queue if isinstance(item, Fetch) else found).append(item)
        raise CaseFailed(
            f"read asks for page after page of {fetch.url.partition('?')[0]}, {_MAX_PAGES} of them",
            "Answer a further Fetch only while the last page was full and led onwards",
        )

    @property
    def account(self) -> str:
        """Whose credentials are used."""
        return self.credentials.account if self.credentials is not None else ""

    def fetch(self, wire: Wire, fetch: Fetch) -> None:
        """Make a request of a session; its answer comes later."""

        def asked() -> None:
            answer = self.ask(fetch)
            self.after(LATENCY + self.fetch_delay(fetch), fetched, answer)

        def fetched(answer: Answer) -> None:
            if answer.status >= 400:
                events = wire.session.fetch_failed(fetch, f"HTTP {answer.status}", self.now)
            else:
                events = wire.session.answered(fetch, answer, self.now)
            if wire.alive:
                self.deliver(wire, events)
                wire.act()

        self.after(LATENCY, asked)

    def _poll(self, channel: Channel) -> None:
        poll = self.polls[channel]
        found = self.fetch_all(poll.fetch)
        self.deliver(None, [event for event in found if isinstance(event, MarketEvent)])
        for refusal in (event for event in found if isinstance(event, Rejected)):
            self.set_aside[channel] = refusal.reason
        self.after(max(MILLISECOND, int(poll.every * SECOND)), self._poll, channel)

    # Time

    def after(self, delay: int, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something ``delay`` ns from now."""
        heapq.heappush(self._due, (self.now + delay, next(self._order), action, arguments))

    def run(self, seconds: float) -> None:
        """Let this much time pass."""
        end = self.now + int(seconds * SECOND)
        while True:
            self._turn()
            due = self._next()
            if due is None or due > end:
                break
            self.now = max(due, self.now)
        self.now = end
        self._turn()

    def run_until(self, predicate: Callable[[], object], seconds: float, step: float = 0.25) -> bool:
        """Let time pass until ``predicate()`` is true; False when it was not within so many seconds."""
        end = self.now + int(seconds * SECOND)
        while not predicate():
            if self.now >= end:
                return False
            self.run(step)
        return True

    def sockets(self) -> list[Wire]:
        """The open sockets, without those of a witness."""
        return [wire for wire in self.wires if wire.feed is self.feed]

    def cut(self) -> None:
        """End all sockets but the witness's, without a goodbye."""
        for wire in self.sockets():
            wire.end()

    def _next(self) -> int | None:
        moments = [self._due[0][0]] if self._due else []
        if self._venue_next is not None:
            moments.append(max(self._venue_next, self.now + MILLISECOND))
        for wire in self.wires:
            if wire.way:
                moments.append(wire.way[0].due)
            if (deadline := wire.session.deadline()) is not None:
                moments.append(max(deadline, self.now + 1))
        return min(moments, default=None)

    def _turn(self) -> None:
        while self._due and self._due[0][0] <= self.now:
            _, _, action, arguments = heapq.heappop(self._due)
            action(*arguments)
        self._venue_next = self.venue.advance(self.now)
        self._send()
        for wire in tuple(self.wires):
            wire.arrive()
            wire.tick()
        self._send()

    def _send(self) -> None:
        """Put on its way what the venue says."""
        wires = {wire.number: wire for wire in self.wires}
        for said in self.venue.outgoing():
            wire = wires.get(said.connection)
            if wire is None or wire.deaf:
                continue
            if isinstance(said, Hangup):
                wire.hung_up = f"{said.code} {said.reason}".strip()
                self.after(2 * LATENCY, wire.end, f"disconnected: {said.code}")
            elif isinstance(said, Send):
                frame = said.frame if isinstance(said.frame, bytes) else said.frame.encode()
                parcel = Parcel(self.now + LATENCY, frame)
                wire.way.extend(self.carrier(wire, parcel) if wire.feed is self.feed else (parcel,))


def peeked(rehearsal: Rehearsal, wire: Wire, frame: bytes) -> Sequence[Any]:
    """What a frame would say, without anybody hearing it."""
    try:
        answer = rehearsal.stack.unobserved.parse(session=alike(wire.session), frame=frame, at=rehearsal.now + LATENCY)
    except Exception:
        return ()
    return list(answer) if isinstance(answer, (list, tuple)) else ()
