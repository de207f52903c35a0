"""The venue's side of the sockets: who listens to what, what is on its way, and what goes wrong on it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

from .clockwork import MILLISECOND, SECOND, Clockwork
from .market import STYLES, SYMBOLS, Fact, Market
from .mirage import book_sum, seal

PAGE = 25  # trades in one answer
PONG = b"pong"


@define(eq=False)
class Frame:
    """What is on its way to a listener: due at a moment, with the facts it tells."""

    due: int
    data: bytes
    facts: list[Fact] = field(factory=list)
    sent: int = 0


class Socket:
    """One listener. ``half_open``: the venue forgot it, and nobody was told. ``hand_over`` takes what arrives."""

    def __init__(self, venue: Venue, hand_over: Callable[[list[bytes]], None], hang_up: Callable[[str], None]) -> None:
        self.venue = venue
        self.hand_over = hand_over
        self.hang_up = hang_up
        self.channels: dict[str, None] = {}
        self.way: deque[Frame] = deque()
        self.half_open = False
        self.closed = False
        self.held_up: list[Fact] = []
        self._number = 0
        self._heard = 0

    def send(self, said: list[Any], facts: list[Fact] | None = None, late: int = 0) -> None:
        """Put a frame on its way; it arrives after those before it."""
        facts = facts or []
        if self.half_open or self.closed:
            return
        if self.venue.numbered:
            self._number += 1
            said = [["number", self._number], *said]
        self.send_raw(seal(said), facts, late)

    def send_raw(self, data: bytes, facts: list[Fact] | None = None, late: int = 0) -> None:
        clockwork = self.venue.clockwork
        due = max(clockwork.now + self.venue.latency + late, self.way[-1].due if self.way else 0)
        self.way.append(Frame(due, data, facts or [], clockwork.now))
        clockwork.at(due, self._arrive)

    def overtaken(self, frame: Frame, delay: int) -> None:
        """A frame on its way arrives later than it should, after others that were sent after it."""
        self.way.remove(frame)
        self.venue.clockwork.at(frame.due + delay, lambda: self._at_last(frame))

    def _at_last(self, frame: Frame) -> None:
        if self.way and self.way[0].due > self.venue.clockwork.now + self.venue.latency:
            self.send_raw(frame.data, frame.facts)  # the whole socket is held up, and this with it
        elif not self.closed and not self.half_open:
            self.hand_over([frame.data])

    def _arrive(self) -> None:
        frames = []
        while self.way and self.way[0].due <= self.venue.clockwork.now:
            frames.append(self.way.popleft().data)
        if frames and not self.closed:
            self.hand_over(frames)

    def hear(self, text: str | bytes) -> None:
        """The other side says something; it arrives here after a while."""
        clockwork = self.venue.clockwork
        self._heard = max(self._heard, clockwork.now + self.venue.latency)
        clockwork.at(self._heard, lambda: self._understand(text))

    def _understand(self, text: str | bytes) -> None:
        if self.half_open or self.closed:
            return
        if text == "ping":
            self.send_raw(PONG)
            return
        verb, id, names = json.loads(text)
        venue = self.venue
        if venue.deaf > 0:
            venue.deaf -= 1
            return
        late = venue.take_lateness()
        if verb == "unsubscribe":
            for name in names:
                self.channels.pop(name, None)
            self.send([["off", id]], late=late)
        elif venue.refusals > 0:
            venue.refusals -= 1
            self.send([["no", id, "rate", "too many requests"]], late=late)
        elif any(name.split()[1] not in SYMBOLS for name in names):
            self.send([["no", id, "symbol", "no such instrument"]], late=late)
        else:
            self.channels.update(dict.fromkeys(names))
            if late and venue.market.chance.random() < 0.5:
                self._begin(names)  # data before the answer
                self.send([["ok", id]], late=late)
            else:
                self.send([["ok", id]], late=late)
                self._begin(names)

    def _begin(self, names: list[str]) -> None:
        """Where a book is streamed, it begins with a snapshot."""
        for name in names:
            kind, symbol = name.split()
            if kind == "orderbook" and STYLES[symbol] in ("chained", "summed"):
                self.send([self.venue.market.books[symbol].snapshot()])

    def close(self) -> None:
        """Either side is gone; what was on its way is lost, and some of that was held up for long."""
        self.closed = True
        before = self.venue.clockwork.now - SECOND
        self.held_up = [fact for frame in self.way if frame.sent < before for fact in frame.facts]
        self.way.clear()


class Venue:
    """Tells its sockets what happens in the market, and answers requests for what happened before."""

    def __init__(self, clockwork: Clockwork, market: Market, numbered: bool) -> None:
        self.clockwork = clockwork
        self.market = market
        self.numbered = numbered
        self.latency = 20 * MILLISECOND
        self.sockets: list[Socket] = []
        self.silent: set[str] = set()
        self.deaf = 0
        self.refusals = 0
        self.failures = 0
        self.lateness = 0
        self.history_lag = 0

    def take_lateness(self) -> int:
        late, self.lateness = self.lateness, 0
        return late

    def connect(self, hand_over: Callable[[list[bytes]], None], hang_up: Callable[[str], None]) -> Socket:
        socket = Socket(self, hand_over, hang_up)
        self.sockets.append(socket)
        return socket

    def publish(self, facts: list[Fact], bent: bool = False) -> None:
        """Send what happened to whoever listens; ``bent``: the software errs in one size, and its checksum shows."""
        for fact in facts:
            name = f"{fact.kind} {fact.symbol}"
            if fact.symbol in self.silent:
                continue
            said = [fact.row]
            if fact.kind == "orderbook" and STYLES[fact.symbol] == "summed":
                book = self.market.books[fact.symbol]
                bids = sorted(book.bids.items(), key=lambda level: -float(level[0]))
                asks = sorted(book.asks.items(), key=lambda level: float(level[0]))
                said.append(["sum", fact.symbol, book_sum(bids[:25], asks[:25])])
                if bent:
                    symbol, time, bids_told, asks_told, *numbers = fact.row[1:]
                    said[0] = ["delta", symbol, time, [*bids_told, ["90.5", "77777"]], asks_told, *numbers]
            for socket in self.sockets:
                if name in socket.channels and not socket.closed:
                    socket.send(said, [fact])

    def answer(self, url: str) -> bytes | None:
        """What a request brings; None when the venue refuses it for now."""
        if self.failures > 0:
            self.failures -= 1
            return None
        match urlsplit(url).path.split("/")[1:]:
            case ["book", symbol]:
                return self._rows([self.market.books[symbol].snapshot()])
            case ["trades", symbol, first, last]:
                until = self.clockwork.now - self.history_lag
                rows = [
                    trade
                    for trade in self.market.trades[symbol]
                    if trade.number >= int(first) and trade.first <= int(last) and trade.time <= until
                ]
                rest = f"https://rest.mirage.test/trades/{symbol}/{rows[PAGE].first}/{last}" if rows[PAGE:] else None
                return self._rows([trade.row for trade in rows[:PAGE]], rest)
            case ["candles", symbol, start, end]:
                closed = self.market.closed[symbol]
                return self._rows([row for row in closed if int(start) - 60 * SECOND <= row[4] <= int(end)])
        raise AssertionError(f"nobody asks for {url}")

    @staticmethod
    def _rows(rows: list[list[Any]], rest: str | None = None) -> bytes:
        return json.dumps({"rows": rows, "next": rest}).encode()
