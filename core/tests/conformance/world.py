"""One collector against one venue in one market: what can be done to them, and what must hold whatever was done."""

from __future__ import annotations

import random

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.events import MarketEvent
from tickhive.plugin.contract import Dial, Heartbeat
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import BookState, Feed, SubscriptionState
from tickhive.session.trade_ids import PROOF

from .bounds import check_bounds
from .clockwork import MILLISECOND, SECOND, Clockwork
from .links import Link, Wire
from .market import SYMBOLS, Market
from .mirage import NAME, PLUGINS
from .venue import PONG, Frame, Socket, Venue
from .witness import Witness

QUIET = 150 * SECOND
STARVED = 120 * SECOND
HEARTBEAT = 5.0
NOTICED = 11 * SECOND  # a silence, a ping, no answer
SILENCE_SECONDS = 30.0  # where the pace is not known
KINDS = ("trade", "trade", "trade", "orderbook", "orderbook", "keep-alive", "quote", "ticker")


def channel(text: str) -> Channel:
    kind, symbol = text.split()
    return Channel(symbol, symbol, DataType(kind), "1m" if kind == "candle" else "")


WANTED = [
    *(f"{kind} {symbol}" for symbol in SYMBOLS for kind in ("trade", "orderbook")),
    *("quote AAA-USD", "ticker BBB-USD", "candle AAA-USD"),
]
UNKNOWN = "trade XXX-USD"  # the venue refuses it


class World:
    """``links`` is how many sockets carry everything at the same time."""

    def __init__(self, seed: int, plugin: str = "remembering", links: int = 1, numbered: bool = False) -> None:
        self.chance = random.Random(seed)
        self.clockwork = Clockwork()
        self.market = Market(seed)
        self.venue = Venue(self.clockwork, self.market, numbered)
        self.witness = Witness(self.market)
        stack = ExchangeStack.from_plugin(NAME, PLUGINS[plugin]())
        self.feed = Feed(
            stack, NAME, stack.settings_type(), InstrumentTable(NAME), silence_limit=lambda _channel: SILENCE_SECONDS
        )
        heartbeat = Heartbeat(HEARTBEAT, "ping", PONG)
        channels = [channel(text) for text in [*WANTED, UNKNOWN]]
        self.links = [
            Link(
                self.venue,
                self.feed,
                Dial(f"socket {number}", ["wss://mirage.test"], channels, heartbeat=heartbeat, patience=1.0),
                self._take,
            )
            for number in range(links)
        ]
        self.wanted = dict.fromkeys(WANTED)
        self.starved = False
        self._begin()

    def _begin(self) -> None:
        """All sockets open, every stream receives, and enough trades are seen to show how their ids go."""
        self.market.begin(self.clockwork.now)
        for link in self.links:
            link.on_lost = self._lost
            link.dial_after(0)
        self.clockwork.run(self.clockwork.now + SECOND)
        for text in WANTED:
            self.witness.want(channel(text))
        self.warm_up(SYMBOLS)

    def warm_up(self, symbols: tuple[str, ...]) -> None:
        for _ in range(PROOF + 2):
            for symbol in symbols:
                self.happen(symbol, "trade")
            self.clockwork.run(self.clockwork.now + 100 * MILLISECOND)
        for symbol in symbols:
            for kind in ("quote", "ticker", "orderbook"):
                self.happen(symbol, kind)
        self.clockwork.run(self.clockwork.now + SECOND)

    # What comes out

    def _take(self, events: list[MarketEvent]) -> None:
        self.witness.take(events)
        self.witness.look(self.feed)

    def _lost(self, wire: Wire) -> None:
        carried = {each for link in self.links for other in link.wires for each in other.session.channels}
        for each in wire.session.channels:
            if each not in carried:
                self.witness.interrupted(each)
        if carried:
            # Signs of life came late too, so nobody can tell that this socket fell behind before another was there.
            self.witness.excuse(wire.socket.held_up)

    # What happens

    def happen(self, symbol: str, kind: str, bent: bool = False) -> None:
        """One thing of a kind in a symbol's market."""
        facts = self.market.happen(symbol, kind, self.clockwork.now)
        self.witness.owe(facts)
        if symbol in self.venue.silent:
            self.witness.excuse(facts)
        self.venue.publish(facts, bent)
        if bent:
            self.clockwork.run(self.clockwork.now + self.venue.latency)

    def trade_on(self, count: int) -> None:
        """Business as usual: ``count`` things happen, here and there, milliseconds apart."""
        for _ in range(count):
            self.happen(self.chance.choice(SYMBOLS), self.chance.choice(KINDS))
            self.clockwork.run(self.clockwork.now + self.chance.choice((0, 1, 5, 40)) * MILLISECOND)

    def pass_time(self, milliseconds: int) -> None:
        self.clockwork.run(self.clockwork.now + milliseconds * MILLISECOND)

    # What goes wrong on a socket

    def sockets(self) -> list[Socket]:
        return [wire.socket for link in self.links for wire in link.wires]

    def _socket(self, pick: int) -> Socket | None:
        sockets = [socket for socket in self.sockets() if not socket.half_open]
        return sockets[pick % len(sockets)] if sockets else None

    def _on_its_way(self, pick: int) -> tuple[Socket, Frame] | None:
        """Some frame that is on its way; the market moves a little first, so that there is one."""
        self.trade_on(3)
        found = [(socket, frame) for socket in self.sockets() for frame in socket.way]
        return found[pick % len(found)] if found else None

    def lose(self, pick: int) -> None:
        """A frame never arrives."""
        found = self._on_its_way(pick)
        if found is not None:
            socket, frame = found
            socket.way.remove(frame)
            self._undetected(frame)

    def repeat(self, pick: int) -> None:
        """A frame arrives twice."""
        found = self._on_its_way(pick)
        if found is not None:
            socket, frame = found
            self.witness.repeated(frame.facts)
            socket.way.insert(socket.way.index(frame), Frame(frame.due, frame.data, frame.facts))

    def reorder(self, pick: int) -> None:
        """Two frames overtake each other."""
        found = self._on_its_way(pick)
        if found is not None and len(found[0].way) > 1:
            way = found[0].way
            place = pick % (len(way) - 1)
            one, other = way[place], way[place + 1]
            way[place], way[place + 1] = other, one
            one.due, other.due = other.due, one.due
            self.witness.excuse([*one.facts, *other.facts])

    def corrupt(self, pick: int) -> None:
        """Some bytes of a frame are flipped."""
        found = self._on_its_way(pick)
        if found is not None and found[1].facts:
            frame = found[1]
            data = bytearray(frame.data)
            data[pick % len(data)] ^= 1 + pick % 255
            frame.data = bytes(data)
            self._undetected(frame)

    def _undetected(self, frame: Frame) -> None:
        """A frame is lost. Where none is numbered, or another socket vouches for it, nothing tells."""
        if not self.venue.numbered or len(self.sockets()) > 1:
            self.witness.excuse(frame.facts)

    def delay(self, pick: int, milliseconds: int) -> None:
        """A frame arrives after others that were sent after it."""
        found = self._on_its_way(pick)
        if found is not None and found[1].facts:
            found[0].overtaken(found[1], milliseconds * MILLISECOND)
            self.witness.excuse(found[1].facts)

    def bend(self) -> None:
        """The venue's own software sends a wrong size; its checksum shows."""
        self.happen("CCC-USD", "orderbook", bent=True)

    def cut(self, pick: int) -> None:
        """A socket is gone, and what was on its way with it."""
        self.trade_on(2)
        wires = [wire for link in self.links for wire in link.wires]
        if wires:
            wires[pick % len(wires)].end("disconnected: 1006")

    def freeze(self, pick: int) -> None:
        """Half open: the venue sends nothing more and hears nothing, and nobody is told."""
        socket = self._socket(pick)
        if socket is not None:
            socket.half_open = True
            socket.way.clear()

            def noticed() -> None:
                assert socket.closed, f"I4: a socket is dead for {NOTICED // SECOND} s and nobody noticed"

            self.clockwork.after(NOTICED, noticed)

    def notice(self, pick: int, seconds: int) -> None:
        """The venue announces that it will cut a socket, and does."""
        socket = self._socket(pick)
        if socket is not None:
            socket.send([["bye", "maintenance"]])
            self.clockwork.after(seconds * SECOND, lambda: socket.hang_up("disconnected: 1001"))

    # What goes wrong at the venue

    def silence(self, symbol: str) -> None:
        self.venue.silent.add(symbol)

    def starve(self, symbol: str) -> None:
        """A symbol whose usual pace is known falls silent on a busy socket: that is said of its channels, but for the
        book, which begins with a snapshot whenever it is asked for again. Done once: what an outage teaches about the
        pace fades only with time.
        """
        if self.starved:
            return
        self.starved = True
        self.calm_down()
        self.silence(symbol)
        self.witness.silent.clear()
        self.market_moves(STARVED)
        wanted = [each for each in map(channel, self.wanted) if each.symbol == symbol]
        silent = {(each.data_type.value, symbol) for each in wanted if each.data_type is not DataType.ORDERBOOK}
        unsaid = silent - self.witness.silent
        assert not unsaid, f"I4: of {unsaid} nothing came for {STARVED // SECOND} s, and nothing was said"
        self.speak()

    def speak(self) -> None:
        self.venue.silent.clear()

    def restart_numbers(self, symbol: str) -> None:
        """Maintenance: the book's next number is lower than its last."""
        book = self.market.books[symbol]
        if book.style != "summed":
            book.restarted = True

    def be_late(self, seconds: int) -> None:
        """The next answer comes late."""
        self.venue.lateness = seconds * SECOND

    def refuse(self, requests: int, fetches: int) -> None:
        """Too many requests: the next ones are refused."""
        self.venue.refusals = max(self.venue.refusals, requests)
        self.venue.failures = max(self.venue.failures, fetches)

    def ignore(self, requests: int) -> None:
        """The next requests are neither heard nor answered."""
        self.venue.deaf = max(self.venue.deaf, requests)

    def lag(self, seconds: int) -> None:
        """The history shows nothing younger than this."""
        self.venue.history_lag = seconds * SECOND

    # What users ask for

    def remove(self, text: str) -> None:
        if text in self.wanted and len(self.wanted) > 1:
            del self.wanted[text]
            self.witness.release(channel(text))
            for link in self.links:
                link.remove(channel(text))
            if not any(link.wires for link in self.links):
                self.feed.forget(channel(text))  # no session is there to do so

    def add(self, text: str) -> None:
        """Wanted again; what is missed counts once its stream has shown how its ids go."""
        if text in self.wanted:
            return
        self.calm_down()
        self.wanted[text] = None
        for link in self.links:
            link.add(channel(text))
        self.pass_time(3_000)
        self.witness.want(channel(text))
        self.warm_up((channel(text).symbol,))

    # The end

    def calm_down(self) -> None:
        """Nothing goes wrong any more, and the market moves, until whatever was broken had time to be mended."""
        venue = self.venue
        venue.silent.clear()
        venue.deaf = venue.refusals = venue.failures = venue.lateness = venue.history_lag = 0
        self.market_moves(QUIET)

    def market_moves(self, duration: int) -> None:
        """Something of everything happens every few seconds."""
        end = self.clockwork.now + duration
        while self.clockwork.now < end:
            for symbol in SYMBOLS:
                for kind in ("trade", "orderbook", "quote", "ticker"):
                    self.happen(symbol, kind)
            self.pass_time(3_000)

    def finish(self) -> None:
        """After a quiet while everything is as it should be."""
        self.calm_down()
        self.witness.settle()
        self._check_subscriptions()
        check_bounds(self.feed, [wire.session for link in self.links for wire in link.wires], settled=True)

    def check(self) -> None:
        """What holds at any moment."""
        self.witness.look(self.feed)
        check_bounds(self.feed, [wire.session for link in self.links for wire in link.wires], settled=False)

    def _check_subscriptions(self) -> None:
        ledger = self.feed.ledger
        for text in [*self.wanted, UNKNOWN]:
            each = channel(text)
            expected = SubscriptionState.REJECTED if text == UNKNOWN else SubscriptionState.RECEIVING
            state = ledger.state(each)
            assert state is expected, f"I4: {text} is {state}, not {expected}"
            told = self.witness.told(each)
            assert told == expected.value, f"I4: of {text} the last word is {told}, not {expected.value}"
            if each.data_type is DataType.ORDERBOOK:
                book = self.feed.book(each.symbol).state
                assert book is BookState.LIVE, f"I4: the book of {each.symbol} is {book} and stays so"
                self.witness.look_closely(self.feed, each.symbol)
        extra = {str(entry.channel) for entry in ledger} - {str(channel(text)) for text in [*self.wanted, UNKNOWN]}
        assert not extra, f"I4: nobody wants {extra}"
