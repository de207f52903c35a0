"""What both simulated exchanges have in common: their market, their clients, their limits, and the passing of time."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeAlias

import msgspec
from attrs import Factory, define

from tickhive.channels import DataType
from tickhive.plugin.contract import Answer
from tickhive.plugin.venue import Hangup, Send, SimulatedVenue, VenueLog, VenueOptions
from tickhive.simulation.market import Change, Market
from tickhive.simulation.stock import Stock
from tickhive.simulation.timing import MarketTime
from tickhive_coinbase.simulated.account import OwnFill, OwnOrder, SimulatedAccount, What
from tickhive_coinbase.simulated.bucket import Bucket
from tickhive_coinbase.simulated.listing import Product, list_products

Row: TypeAlias = dict[str, Any]

SECOND = 1_000_000_000
TICK = 50_000_000
"""The pace of books, ns."""

SUBSCRIBE_WITHIN = 5 * SECOND
"""A client that has asked for nothing by then is sent away."""

encode = msgspec.json.Encoder().encode


def iso(at: int, digits: int = 6) -> str:
    """A time as Coinbase writes it, with so many digits of its seconds."""
    whole = f"{datetime.fromtimestamp(at // SECOND, UTC):%Y-%m-%dT%H:%M:%S}"
    return f"{whole}.{at % SECOND:09d}"[: len(whole) + 1 + digits] + "Z"


@define(eq=False)
class Client:
    """One connection: what it is subscribed to, by channel and product, and when it was opened (ns UTC).

    ``numbered`` counts the frames sent on it, ``account`` is whose it is once something of it was signed.
    """

    number: int
    opened: int
    messages: Bucket
    keys: dict[tuple[str, str], None] = Factory(dict)
    asked: bool = False
    numbered: int = 0
    last_sent: int = 0
    account: SimulatedAccount | None = None

    def listens(self, channel: str, product: str = "") -> bool:
        """Whether it is subscribed to a channel of a product."""
        return (channel, product) in self.keys


@define(eq=False)
class Desk:
    """What is remembered of one product's streams: changes not sent yet by the channel that will, and its numbers."""

    product: Product
    stock: Stock
    changes: dict[str, tuple[set[int], set[int]]]
    sequence: int = 1_000_000

    def open(self, channel: str) -> None:
        """Watch the book for a channel."""
        self.changes[channel] = self.stock.bids.watch(), self.stock.asks.watch()

    def rows(self, channel: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Bids and asks that changed since the channel was last sent, as text."""
        listing, (bids, asks) = self.product.listing, self.changes[channel]
        changed = self.stock.bids.changes(bids), self.stock.asks.changes(asks)
        texts = [[(listing.price(row[0]), listing.size(row[1])) for row in side] for side in changed]
        return texts[0], texts[1]

    def whole(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """All bids and asks, best first, as text."""
        listing = self.product.listing
        texts = [
            [(listing.price(row[0]), listing.size(row[1])) for row in side]
            for side in (self.stock.bids, self.stock.asks)
        ]
        return texts[0], texts[1]


class CoinbaseSide(SimulatedVenue):
    """An exchange as its clients see it, but for what it says.

    The market begins at ``options.start``, or at the first moment it is given when that is 0, and runs at
    ``options.speed`` times real time. ``log`` counts every event put on the wire, ``violations`` names what clients did
    against the rules. ``accounts`` are who may sign. ``lose`` is how many of the next frames to any client are lost on
    their way.
    """

    default_symbols: tuple[str, ...] = ("BTC-USD", "ETH-USD", "SOL-USD")
    advanced = False
    book_channels: tuple[str, ...] = ()
    dials = (8, 20)
    messages: tuple[float, float] = (10, 1000)
    public = (10, 15)
    private = (15, 30)

    def __init__(self, options: VenueOptions | None = None, *, accounts: Sequence[SimulatedAccount] = ()) -> None:
        options = options or VenueOptions()
        if options.recording is not None:
            raise ValueError("the simulated Coinbase serves no recordings")
        self.log = VenueLog()
        self.violations: list[str] = []
        self.lose = 0
        self.rest_faults: list[int] = []
        self.accounts = list(accounts)
        self.products, self._indices = list_products(options.symbols or self.default_symbols, advanced=self.advanced)
        self.by_native = {product.native: product for product in self.products}
        self.clients: dict[int, Client] = {}
        self.random = Random(f"{options.seed}/venue")
        self._seed = options.seed
        self._time = MarketTime(options.start, options.speed)
        self._symbols = tuple(options.symbols) or self.default_symbols
        self._outgoing: deque[Send | Hangup] = deque()
        self._market: Market | None = None
        self._desks: dict[str, Desk] = {}
        self._next_tick = 0
        self._dials = Bucket(*self.dials)
        self._public, self._private = Bucket(*self.public), Bucket(*self.private)
        for account in self.accounts:
            account.tell, account.clock = self.account_changed, lambda: self.market_now

    @property
    def symbols(self) -> Sequence[str]:
        """The normalised symbols that trade here: what a demo collects."""
        return self._symbols

    # What an exchange says

    @abstractmethod
    def message(self, client: Client, message: Row) -> None:
        """A client sent a JSON object."""

    @abstractmethod
    def rest(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a REST request that is within the limits."""

    @abstractmethod
    def traded(self, desk: Desk, change: Change) -> None:
        """Something happened to a product."""

    @abstractmethod
    def ticked(self, at: int) -> None:
        """So much of the market's time has passed again; ``at`` is a multiple of ``TICK``."""

    @abstractmethod
    def account_changed(
        self, account: SimulatedAccount, what: What, order: OwnOrder | None, fill: OwnFill | None
    ) -> None:
        """Something happened to an account."""

    @abstractmethod
    def refuse(self, client: Client, message: str, reason: str = "") -> None:
        """Send an error."""

    # The conversation

    def opened(self, connection: int, path: str, at: int) -> None:
        """A client opened a socket at this path (query included)."""
        self._reach(at)
        if not self._dials.take(self._time.now):
            self.violations.append("too many connections: 8 a second are allowed, 20 at once")
        if path.partition("?")[0] not in ("", "/"):
            self.violations.append(f"a socket has no path, {path.partition('?')[0]!r} was asked for")
        now = self._time.now
        self.clients[connection] = Client(connection, now, Bucket(*self.messages), last_sent=now)

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        """A client sent a frame."""
        self._reach(at)
        client = self.clients.get(connection)
        if client is None:
            return
        if not client.messages.take(self._time.now):
            self.violations.append("too many messages on a connection")
            self.refuse(client, "rate limit exceeded")
            return
        try:
            message = msgspec.json.decode(frame)
        except (msgspec.DecodeError, RecursionError):
            message = None
        if not isinstance(message, dict) or message.get("type") not in ("subscribe", "unsubscribe"):
            self.violations.append("a message that is no request")
            self.refuse(client, "Malformed JSON", "type is not subscribe or unsubscribe")
            return
        client.asked = True
        self.message(client, message)

    def closed(self, connection: int, at: int) -> None:
        """A client's socket is gone."""
        self._reach(at)
        self.clients.pop(connection, None)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        """Answer a REST request."""
        self._reach(at)
        bucket = self._private if self.is_private(path) else self._public
        if not bucket.take(self._time.now):
            self.violations.append(f"too many REST requests: {path.partition('?')[0]}")
            return failure(429, "Too many requests")
        if self.rest_faults:
            return failure(self.rest_faults.pop(0), "Service unavailable")
        return self.rest(method, path, headers, body)

    @abstractmethod
    def is_private(self, path: str) -> bool:
        """Whether a REST path is about an account."""

    def advance(self, at: int) -> int | None:
        """Let the market go on until ``at``; answers when it next has something to do, ns UTC."""
        self._reach(at)
        market, until = self.market, self.market_now
        while self._next_tick <= until:
            self._trade(self._next_tick)
            self.ticked(self._next_tick)
            self._next_tick += TICK
        self._trade(until)
        change = market.next_change()
        due = self._time.real(self._next_tick if change is None else min(self._next_tick, change))
        for client in tuple(self.clients.values()):
            if not client.asked:
                limit = client.opened + SUBSCRIBE_WITHIN
                if limit <= self._time.now:
                    self.violations.append("nothing was subscribed within 5 seconds")
                    self.dismiss(client, 1008, "subscribe within 5 seconds")
                else:
                    due = min(due, limit)
        return due

    def _trade(self, until: int) -> None:
        for change in self.market.advance(until):
            self.traded(self._desks[change.stock.listing.name], change)

    def outgoing(self) -> Sequence[Send | Hangup]:
        """Take what is to be sent since the last call, in order."""
        said, self._outgoing = self._outgoing, deque()
        return tuple(said)

    # Time and the market

    @property
    def market(self) -> Market:
        """The market behind it: the truth that a client's books can be compared with."""
        if self._market is None:
            if not self._time.known:
                raise ValueError(
                    "the market has not begun: set options.start, or advance the venue to its first moment"
                )
            start = self._time.start
            listings = [product.listing for product in self.products if not product.alias]
            self._market = Market(listings, self._indices, self._seed, start)
            self._next_tick = start - start % TICK + TICK
            for product in self.products:
                if not product.alias:
                    desk = Desk(product, self._market.stocks[product.native], {})
                    desk.sequence += self.random.randrange(10_000_000)
                    for channel in self.book_channels:
                        desk.open(channel)
                    self._desks[product.native] = desk
        return self._market

    def desk(self, native: str) -> Desk:
        """The streams of a product, or of the one whose market it shares."""
        assert self.market is not None
        return self._desks[self.by_native[native].market]

    def desks(self) -> Iterable[Desk]:
        """All products that have a market of their own."""
        assert self.market is not None
        return self._desks.values()

    @property
    def now(self) -> int:
        """The real time, ns UTC."""
        return self._time.now

    @property
    def market_now(self) -> int:
        """The market's time, ns UTC."""
        return self._time.market(self._time.now)

    def _reach(self, at: int) -> None:
        self._time.reach(at)

    # Sending

    def say(self, client: Client, text: str, *counts: tuple[str, DataType, int]) -> None:
        """Send a frame that holds these events."""
        client.last_sent = self._time.now
        if self.lose:
            self.lose -= 1
            return
        self._outgoing.append(Send(client.number, text))
        for symbol, data_type, events in counts:
            self.log.count(symbol, data_type, events)

    def dismiss(self, client: Client, code: int | None, reason: str) -> None:
        """Send a client away; without a code the line is cut."""
        self._outgoing.append(Hangup(client.number, code, reason))
        self.clients.pop(client.number, None)

    def kick(self, code: int | None = None, reason: str = "") -> None:
        """Send all clients away."""
        for client in tuple(self.clients.values()):
            self.dismiss(client, code, reason)

    def listeners(self, channel: str, product: str = "") -> list[Client]:
        """Who is subscribed to a channel of a product."""
        return [client for client in self.clients.values() if (channel, product) in client.keys]


def failure(status: int, message: str) -> Answer:
    """A REST error."""
    return Answer(status, encode({"error": str(status), "message": message}), {})
