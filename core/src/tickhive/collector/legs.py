"""The sockets of one link: the one that counts, the one that is to take its place, and those that are being closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import attrs

from tickhive.collector.leg import Leg
from tickhive.plugin.contract import Dial
from tickhive.transport import Connection


class Legs:
    """There is never more than one ``successor``, and none where no socket counts."""

    def __init__(self) -> None:
        self.current: Leg | None = None
        """The socket that counts."""
        self.successor: Leg | None = None
        """The one that takes its place once it carries everything."""
        self._open: list[Leg] = []
        self._paused = False

    def __iter__(self) -> Iterator[Leg]:
        return iter(tuple(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def take_in(self, leg: Leg, connection: Connection) -> None:
        """One more is open: it counts at once where there is none, else when it carries everything."""
        if self.current is None:
            self.current = leg
        else:
            self.successor = leg
            leg.settling = True
        self._open.append(leg)
        if self._paused:
            connection.pause_reading()

    def take_over(self) -> Leg:
        """The successor counts from now on; answers the other."""
        before = self.current
        assert before is not None
        self.current, self.successor = self.successor, None
        return before

    def dismiss(self) -> None:
        """The successor is none any more."""
        if self.successor is not None:
            self.successor.settling = False
            self.successor = None

    def lost(self, leg: Leg) -> None:
        """One counts no more. Where it did, the successor counts now, whatever it carries."""
        if leg is self.current:
            self.current, self.successor = self.successor, None
            if self.current is not None:
                self.current.settling = False
        elif leg is self.successor:
            self.successor = None

    def forget(self, leg: Leg) -> bool:
        """The socket of one is gone; False when it was forgotten before."""
        if leg not in self._open:
            return False
        self._open.remove(leg)
        return True

    def change(self, dial: Dial, at: int) -> None:
        """Carry the channels of another dial of the same key. Where the venue does not know how, or more than channels
        is different, a leg keeps its ``dial``: another socket is needed.
        """
        wanted = frozenset(dial.channels)
        for leg in (self.current, self.successor):
            if leg is None or leg.session is None:
                continue
            session = leg.session
            if attrs.evolve(leg.dial, channels=dial.channels) == dial and session.stack.offers("subscribe"):
                leg.dial = dial
                carried = frozenset(session.channels)
                session.add([channel for channel in dial.channels if channel not in carried], at)
            session.remove([channel for channel in session.channels if channel not in wanted], at)
            leg.act()

    def carry_nothing(self, at: int) -> None:
        """Give up every channel."""
        for leg in self:
            if leg.session is not None:
                leg.session.remove(leg.session.channels, at)

    def act(self) -> None:
        """Let every session have what it asks for."""
        for leg in self:
            leg.act()

    def pause_reading(self) -> None:
        """Take in no more frames, on those to come neither."""
        self._paused = True
        for leg in self._open:
            if leg.connection is not None and leg.closing is None:
                leg.connection.pause_reading()

    def resume_reading(self) -> None:
        """Take in frames again."""
        self._paused = False
        for leg in self._open:
            if leg.connection is not None:
                leg.connection.resume_reading()

    async def shut(self, reason: str) -> None:
        """Close every socket with a closing handshake."""
        await asyncio.gather(*(leg.shut(reason) for leg in self))

    def abort(self) -> None:
        """Cut every line."""
        for leg in self:
            if leg.connection is not None:
                leg.connection.abort()
