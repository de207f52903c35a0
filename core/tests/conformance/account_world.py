"""A collector of one account: its sockets to the made-up venue, and what its user was told, compared to the truth."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

from attrs import define, field

from tickhive.channels import EVERY, DataType, InstrumentTable
from tickhive.events import DATA_TYPE_OF, Balance, Fill, Gap, MarketEvent, Order, Position
from tickhive.plugin.contract import Answer, Credentials, Dial, Fetch
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import Feed, Session
from tickhive.session.fills import IN_FLIGHT
from tickhive.session.ledger import ACKNOWLEDGED, RECEIVING
from tickhive.session.resumption import resume, standing

from .account import BAD_ROW, CHANNELS, KINDS, OPEN, REFUSAL, Account, OrderKey, Row, Umbra

SECOND = 1_000_000_000
_STEP = SECOND // 10
_MOST_ROUNDS = 400
_QUIET = 60 * SECOND
"""All that is asked again is asked again within this."""

How = Literal["whole", "bad", "refused", "failed"]


@define(eq=False)
class Waiting:
    """A request by REST; ``rows`` is what the venue will answer, once it has looked."""

    fetch: Fetch
    rows: list[Row] | None = None


@define(eq=False)
class Socket:
    """A session, the kinds the venue sends on it, what is on its way to it, and its requests by REST."""

    session: Session
    carries: set[str] = field(factory=set)
    frames: deque[Any] = field(factory=deque)
    waiting: list[Waiting] = field(factory=list)


class AccountWorld:
    """Every method is something that happens; ``finish`` lets all come to rest and compares.

    ``fills`` says which the venue lists: all, the recent ones, or those of one symbol at a time. Frames of one socket
    keep their order. None is on its way for longer than a few seconds: ``pass_time`` brings them first.
    """

    def __init__(
        self,
        links: int = 1,
        timed: bool = True,
        dated: bool = True,
        fills: Literal["all", "recent", "by symbol"] = "all",
    ) -> None:
        self.account = Account(timed=timed, dated=dated, recent=fills == "recent")
        self.links = links
        self.by_symbol = fills == "by symbol"
        self.at = 100 * SECOND
        self.stack = ExchangeStack.from_plugin("umbra", Umbra(self.by_symbol))
        self.feed = self._feed()
        self.sockets: list[Socket] = []
        self.wanted = list(KINDS)
        self.told: list[MarketEvent] = []
        self.following = False
        """Whether fills are wanted and were confirmed since: those from before are history."""
        self.unowed: set[OrderKey] = set()
        """Fills of which nothing need be told: they came while nobody wanted them, or nobody can know of them."""

    def _feed(self) -> Feed:
        return Feed(self.stack, "umbra", None, InstrumentTable("umbra"))

    # What happens to the account

    def move(self, symbol: str, size: int) -> None:
        self._say(self.account.amount(DataType.POSITION, symbol, size, self._tick()))

    def fund(self, currency: str, total: int) -> None:
        self._say(self.account.amount(DataType.BALANCE, currency, total, self._tick()))

    def place(self, symbol: str) -> None:
        self._say(self.account.order(symbol, self._tick()))

    def turn(self, pick: int, status: str) -> None:
        at = self._tick()
        if there := [key for key, (now, _) in self.account.open().items() if now != status]:
            self._say(self.account.turn(there[pick % len(there)], status, at))

    def fill(self, symbol: str) -> None:
        row = self.account.fill(symbol, self._tick())
        if not self.following:
            self.unowed.add((row[1], row[2]))
        self._say(row)

    def _say(self, row: Row | None) -> None:
        for socket in self.sockets:
            if row is not None and row[0] in socket.carries:
                socket.frames.append(row)

    # What happens on the way

    def connect(self) -> None:
        if len(self.sockets) < self.links:
            dial = Dial("a", ("wss://umbra.test",), tuple(CHANNELS[kind] for kind in self.wanted))
            session = Session(self.stack, dial, self.feed, credentials=Credentials("main", "key"))
            session.opened(self._tick())
            self.sockets.append(Socket(session))
            self._collect()

    def deliver(self, pick: int) -> None:
        """The next frame of a socket arrives."""
        if there := [socket for socket in self.sockets if socket.frames]:
            socket = there[pick % len(there)]
            frame = json.dumps(socket.frames.popleft()).encode()
            self._hear(socket.session.receive([frame], self._tick()))
            if self.feed.ledger.state(CHANNELS[DataType.FILL]) in (ACKNOWLEDGED, RECEIVING):
                self.following = DataType.FILL in self.wanted

    def compute(self, pick: int) -> None:
        """The venue looks at how things stand, for an answer that arrives when it may."""
        there = [waiting for socket in self.sockets for waiting in socket.waiting if waiting.rows is None]
        if there:
            waiting = there[pick % len(there)]
            waiting.rows = self.account.answer(waiting.fetch.url, self._tick())

    def answer(self, pick: int, how: How = "whole") -> None:
        """An answer arrives: in good order, with a row that cannot be read in its midst, a refusal, or not at all."""
        there = [(socket, each) for socket in self.sockets for each in socket.waiting if each.rows is not None]
        if not there:
            return
        socket, waiting = there[pick % len(there)]
        socket.waiting.remove(waiting)
        session, at, rows = socket.session, self._tick(), list(waiting.rows or ())
        if how == "failed":
            self._hear(session.fetch_failed(waiting.fetch, "no route", at))
            return
        if how == "bad":
            rows.insert(pick % (len(rows) + 1), BAD_ROW)
        elif how == "refused":
            rows = [REFUSAL]
        self._hear(session.answered(waiting.fetch, Answer(200, json.dumps(rows).encode()), at))

    def cut(self, pick: int) -> None:
        if self.sockets:
            socket = self.sockets.pop(pick % len(self.sockets))
            if self.sockets and self.by_symbol:
                # The one that goes on looks complete; where it began with a list of fills, these are among them.
                self.unowed |= {(row[1], row[2]) for row in socket.frames if row[0] == DataType.FILL.value}
            self._hear(socket.session.closed("cut", self._tick()))

    def restart(self, orderly: bool) -> None:
        """The process ends, closing its sockets before or not, and another one goes on with what is wanted."""
        while orderly and self.sockets:
            self.cut(0)
        events = standing(self.feed)
        self.sockets.clear()
        self.feed = self._feed()
        self._tick()
        self.told = [event for event in self.told if isinstance(event, Fill | Gap) or self._wants(event)]
        resume(self.feed, events, "ended", [CHANNELS[kind] for kind in self.wanted])

    def pass_time(self, seconds: int) -> None:
        """What is on its way arrives, then nothing happens for a while."""
        self._arrive()
        for _ in range(seconds):
            self.at += SECOND
            for socket in self.sockets:
                self._hear(socket.session.tick(self.at))

    # What the user asks for

    def give_up(self, kind: DataType, pick: int | None = None) -> None:
        """A channel is given up, or left to the other sockets by one of them."""
        channel = CHANNELS[kind]
        at = self._tick()
        if pick is None:
            if kind not in self.wanted:
                return
            self.wanted.remove(kind)
            self.following = self.following and kind is not DataType.FILL
            if kind is DataType.FILL:
                self.unowed |= self.account.fills.keys()
        carriers = [socket for socket in self.sockets if channel in socket.session.asking.channels]
        if pick is not None and len(carriers) < 2:
            return
        for socket in carriers if pick is None else [carriers[pick % len(carriers)]]:
            socket.session.remove([channel], at)
        if pick is None and not self.feed.carriers(channel):
            self.feed.forget(channel)
        self._collect()

    def take_up(self, kind: DataType) -> None:
        """A channel is wanted on every socket. What is on its way arrives before: a frame from before it was given up
        looks like one from after it.
        """
        self._arrive()
        at = self._tick()
        if kind not in self.wanted:
            self.wanted.append(kind)
        for socket in self.sockets:
            if CHANNELS[kind] not in socket.session.asking.channels:
                socket.session.add([CHANNELS[kind]], at)
        self._collect()

    def _wants(self, event: MarketEvent) -> bool:
        return DATA_TYPE_OF.get(event.__class__) in self.wanted

    # How it is driven

    def _arrive(self) -> None:
        while any(socket.frames for socket in self.sockets):
            self.deliver(0)

    def _tick(self) -> int:
        self.at += _STEP
        return self.at

    def _hear(self, events: Sequence[MarketEvent]) -> None:
        self.told += events
        self._collect()

    def _collect(self) -> None:
        """What sessions send reaches the venue at once."""
        for socket in self.sockets:
            session = socket.session
            for request in session.outbox:
                word, id, *kinds = str(request.frame).split()
                socket.carries = socket.carries | {*kinds} if word == "sub" else socket.carries - {*kinds}
                socket.frames.append(f"{word} {id}")
            session.outbox.clear()
            socket.waiting += map(Waiting, session.fetches)
            session.fetches.clear()

    # What has to be true

    def finish(self) -> None:
        """Whoever has no socket dials, all that is on its way arrives, and what is known then is the truth."""
        self.connect()
        for kind in KINDS:
            self.take_up(kind)
        self._rest()
        if any("could not be read" in gap.cause for gap in self._gaps()):
            # Whoever was told that what stands is not known asks by another socket.
            while self.sockets:
                self.cut(0)
            self.connect()
            self._rest()
        self.check()

    def _rest(self) -> None:
        quiet_since, rounds = self.at, 0
        while self.at - quiet_since < _QUIET:
            rounds += 1
            assert rounds < _MOST_ROUNDS, "it does not come to rest"
            before = len(self.told)
            while any(socket.frames or socket.waiting for socket in self.sockets):
                self.compute(0)
                self.answer(0)
                self.deliver(0)
                quiet_since = self.at
            self.pass_time(2)
            if len(self.told) > before:
                quiet_since = self.at

    def _gaps(self) -> list[Gap]:
        return [event for event in self.told if isinstance(event, Gap)]

    def check(self) -> None:
        """Compare what was told, and what the feed says stands, to the truth."""
        self._check_holdings()
        self._check_orders()
        self._check_fills()

    def _check_holdings(self) -> None:
        told: dict[DataType, dict[str, int]] = {DataType.POSITION: {}, DataType.BALANCE: {}}
        known: dict[DataType, dict[str, int]] = {DataType.POSITION: {}, DataType.BALANCE: {}}
        for events, found in ((self.told, told), (self.feed.holdings.held(), known)):
            for event in events:
                if isinstance(event, Position):
                    found[DataType.POSITION][event.symbol] = int(event.size)
                elif isinstance(event, Balance):
                    found[DataType.BALANCE][event.symbol] = int(event.total or 0)
        for kind in told:
            truth = self.account.held(kind)
            last = {symbol: size for symbol, size in told[kind].items() if size}
            assert last == truth, f"of {kind.value} it was told {last}, and it is {truth}"
            assert known[kind] == truth, f"of {kind.value} is known {known[kind]}, and it is {truth}"

    def _check_orders(self) -> None:
        told = {(event.symbol, event.id): event.status for event in self.told if isinstance(event, Order)}
        lost = {(gap.symbol, gap.first_id) for gap in self._gaps() if gap.data_type is DataType.ORDER}
        for key, (status, _) in self.account.orders.items():
            if status not in OPEN and (key not in told or key in lost):
                continue  # it came and went while nobody listened, or how it ended is told not to be known
            assert told.get(key) == status, f"order {key} was told {told.get(key)}, and it is {status}"
        known = {(order.symbol, order.id): order.status for order in self.feed.orders.open()}
        truth = {key: status for key, (status, _) in self.account.open().items()}
        assert known == truth, f"open are known to be {known}, and are {truth}"

    def _check_fills(self) -> None:
        told = [(event.symbol, event.id) for event in self.told if isinstance(event, Fill)]
        assert len(told) == len(set(told)), f"a fill was told twice: {told}"
        gaps = [gap for gap in self._gaps() if gap.data_type is DataType.FILL and gap.filled != "whole"]
        for key, time in self.account.fills.items():
            if key in told or key in self.unowed:
                continue
            assert any(_covers(gap, key[0], time) for gap in gaps), f"fill {key} of {time / SECOND} s was not told"


def _covers(gap: Gap, symbol: str, time: int) -> bool:
    """Since when nothing came is our time: what was on its way then may have happened before."""
    if gap.symbol not in (EVERY, symbol):
        return False
    return (gap.start or 0) - IN_FLIGHT <= time and (gap.end is None or time <= gap.end)
