"""The simulated OKX: the exchange's side of its protocol, over a seeded market or a recording.

It is written from OKX's documentation (page of 2026-08-22 and later announcements) and shares nothing with the code
that reads OKX's frames, so that the two check each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

from tickhive.plugin.contract import Answer
from tickhive.plugin.venue import Hangup, Send, SimulatedVenue, VenueLog, VenueOptions
from tickhive.simulation import Market, MarketTime
from tickhive_okx import venue_rest
from tickhive_okx.venue_account import Row, SimulatedAccount
from tickhive_okx.venue_channels import CHANNELS, Frame, Key
from tickhive_okx.venue_faults import Faults
from tickhive_okx.venue_listing import Product, list_products
from tickhive_okx.venue_market import MarketSource
from tickhive_okx.venue_private import Accounts
from tickhive_okx.venue_protocol import (
    DIALS_PER_SECOND,
    MAX_PAYLOAD,
    PATHS,
    SILENCE_SECONDS,
    Asked,
    Client,
    judge,
    read_request,
)
from tickhive_okx.venue_recorded import RecordedSource

_SILENCE = SILENCE_SECONDS * 1_000_000_000
_SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USDT-PERP")
_SUBSCRIPTIONS = ("trade", "orderbook", "ticker", "candle:1m")


class OKXVenue(SimulatedVenue):
    """OKX as its clients see it: public, business and private sockets, and the REST endpoints.

    ``early_data`` is how often data precedes its acknowledgement (0 to 1), ``checksums`` gives books the CRC32 of old
    instead of the 0 of today, ``snapshots`` false lets them begin with an update, as OKX once announced. ``accounts``
    are who may log in; ``demo`` is the paper trading, whose REST requests must say so.

    The market begins at ``options.start``, or at the first moment it is given when that is 0, and runs at
    ``options.speed`` times real time. ``log`` counts every event put on the wire, keep-alive updates of books included;
    ``violations`` names the last things clients did against OKX's rules without being refused.
    """

    def __init__(
        self,
        options: VenueOptions | None = None,
        *,
        early_data: float = 0.05,
        checksums: bool = False,
        snapshots: bool = True,
        accounts: Sequence[SimulatedAccount] = (),
        demo: bool = False,
    ) -> None:
        options = options or VenueOptions()
        self.log = VenueLog()
        self.violations: deque[str] = deque(maxlen=100)
        self.faults = Faults()
        self._options = options
        self._early_data = early_data
        self._checksums = checksums
        self._snapshots = snapshots
        self._random = Random(f"{options.seed}/venue")
        self._clients: dict[int, Client] = {}
        self._listeners: dict[Key, dict[int, None]] = {}
        self._outgoing: list[Send | Hangup] = []
        # A recording keeps its own pace.
        self._time = MarketTime(options.start, options.speed if options.recording is None else 1.0)
        self._dials: list[int] = []
        self._market: MarketSource | None = None
        self._recorded: RecordedSource | None = None
        self._accounts = Accounts(accounts, self._symbol, demo=demo)
        for account in accounts:
            account.tell, account.clock = self._account_changed, lambda: self._time.now
        if options.recording is not None:
            self._recorded = RecordedSource(options.recording, options.speed, self._send_recorded)
        else:
            list_products(options.symbols, 0)  # an impossible symbol is refused here, not at the first connection

    @property
    def symbols(self) -> Sequence[str]:
        """The normalised symbols that trade here: what a demo collects."""
        if self._recorded is not None:
            return self._recorded.traded()
        return tuple(self._options.symbols) or _SYMBOLS

    @property
    def subscriptions(self) -> Sequence[str]:
        """The data types worth showing; those of a recording are what it holds."""
        if self._recorded is None:
            return _SUBSCRIPTIONS
        return tuple(dict.fromkeys(_subscription(key) for _, key, _ in self._recorded.frames))

    @property
    def exhausted(self) -> bool:
        """Whether a recording was sent to its end to everybody who asked for it. A market never ends."""
        return self._recorded is not None and self._recorded.exhausted

    # The conversation.

    def opened(self, connection: int, path: str, at: int) -> None:
        """A client opened a socket at this path (query included)."""
        self._time.reach(at)
        place = PATHS.get(path.partition("?")[0])
        self._dials = [*(dial for dial in self._dials if at - dial < 1_000_000_000), at]
        if len(self._dials) > DIALS_PER_SECOND:
            what = f"{len(self._dials)} connections within a second, {DIALS_PER_SECOND} are allowed"
            self.violations.append(what)
        if place is None:
            self._outgoing.append(Hangup(connection, 4002, "Invalid request"))
            return
        conn_id = f"{self._random.getrandbits(32):08x}"
        self._clients[connection] = Client(connection, place, conn_id, at)

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        """A client sent a frame."""
        self._time.reach(at)
        client = self._clients.get(connection)
        if client is None:
            return
        if isinstance(frame, bytes):
            self._say(client, client.error("60012", "Illegal request: a binary frame"))
        elif frame == "ping":
            if not self.faults.deaf:
                self._say(client, "pong")
        elif len(frame) > MAX_PAYLOAD:
            self._dismiss(client, 1009, "message too big")
        else:
            self._requested(client, frame, at)

    def closed(self, connection: int, at: int) -> None:
        """A client's socket is gone."""
        self._time.reach(at)
        client = self._clients.get(connection)
        if client is not None:
            self._forget(client)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        """Answer a REST request."""
        self._time.reach(at)
        refusal = self.faults.refusal()
        if refusal is not None:
            return venue_rest.failure(refusal[1], "Service temporarily unavailable", refusal[0])
        if self._recorded is not None:
            return self._recorded.request(method, path)
        if self._accounts.offers(path):
            return self._accounts.answer(method, path, headers, body, self._time.now)
        market = self._open_market()
        return venue_rest.answer(market, method, path, self._time.market(self._time.now))

    def advance(self, at: int) -> int | None:
        """Let the market go on until ``at``; answers when it next has something to do, ns UTC."""
        self._time.reach(at)
        if self._recorded is not None:
            due = self._recorded.advance(self._time.now)
        else:
            market = self._open_market()
            due = self._time.real(market.advance(self._time.market(self._time.now)))
        for client in tuple(self._clients.values()):
            if self._time.now - client.last_sent >= _SILENCE:
                self._dismiss(client, 4004, "No data received in 30s.")
            elif due is None or client.last_sent + _SILENCE < due:
                due = client.last_sent + _SILENCE
        return due

    def outgoing(self) -> Sequence[Send | Hangup]:
        """Take what is to be sent since the last call, in order."""
        said, self._outgoing = self._outgoing, []
        return said

    def overflowed(self, connection: int, at: int) -> Hangup:
        """A client does not read and its send buffer is full."""
        return Hangup(connection, 4005, "Send buffer full")

    # What can be made to happen.

    def notice(self, connection: int | None = None) -> None:
        """Announce a service upgrade (64008) to one connection, or to all."""
        for client in tuple(self._clients.values()):
            if connection in (None, client.number):
                message = "The connection will soon be closed for a service upgrade. Please reconnect."
                self._say(client, client.event("notice", None, code="64008", msg=message))

    def kick(self, connection: int | None = None, code: int | None = 4006, reason: str = "Abnormal") -> None:
        """Close one connection, or all; without a code the line is cut."""
        for client in tuple(self._clients.values()):
            if connection in (None, client.number):
                self._dismiss(client, code, reason)

    def revoke(self, account: SimulatedAccount, code: int = 4007) -> None:
        """An API key was deleted: its connections are closed, and it opens none again."""
        account.revoked = True
        for client in tuple(self._clients.values()):
            if client.account is account:
                self._dismiss(client, code, "API key has been updated or deleted. Please reconnect.")

    def reset_sequence(self, symbol: str) -> None:
        """Do a maintenance on a book: its next update's seqId is small, and numbering continues from there."""
        self._open_market().reset_sequence(self.native(symbol))

    def change_instrument(self, symbol: str, **fields: str) -> None:
        """Change fields of an instrument (``state="suspend"``) and tell those who listen."""
        market = self._open_market()
        product = market.by_native[self.native(symbol)]
        product.row = product.row | fields
        market.announce(product)

    def list_product(self, symbol: str) -> Product:
        """Begin to trade an instrument and tell those who listen; ValueError for what trades here or could not."""
        market = self._open_market()
        (product,), (index,) = list_products([symbol], self._time.now)
        if product.native in market.by_native:
            raise ValueError(f"{symbol} trades here already")
        market.add(product, index)
        return product

    def delist(self, symbol: str) -> None:
        """End the trading of an instrument and tell those who listen: nothing more comes of it."""
        market, product = self._open_market(), self.product(symbol)
        for key in [key for key in self._listeners if CHANNELS[key[0]].by == "instId" and key[1] == product.native]:
            del self._listeners[key]
        market.delist(product)

    def native(self, symbol: str) -> str:
        """OKX's name of a normalised symbol; KeyError when it does not trade here."""
        if self._recorded is not None:
            return {normal: native for native, normal in self._recorded.symbols.items()}[symbol]
        return self.product(symbol).native

    def product(self, symbol: str) -> Product:
        """A simulated instrument by its normalised symbol; KeyError when it does not trade here."""
        for product in self._open_market().products:
            if product.symbol == symbol:
                return product
        raise KeyError(symbol)

    @property
    def market(self) -> Market:
        """The market behind it: the truth that a client's books can be compared with."""
        return self._open_market().market

    # Requests.

    def _requested(self, client: Client, frame: str, at: int) -> None:
        asked = read_request(client, frame)
        if isinstance(asked, str):
            self._say(client, asked)
        elif not client.may_request(at):
            self._say(client, client.error("60014", "Requests too frequent", asked.id))
        elif asked.op == "login":
            self._say(client, self._accounts.login(client, asked.args[0], asked.id, self._time.now))
        elif asked.op == "subscribe":
            client.subscribed_bytes += len(frame)
            if client.subscribed_bytes > MAX_PAYLOAD:
                self._dismiss(client, 4009, "Too many channels on this connection")
                return
            for arg in asked.args:
                self._subscribe(client, arg, asked)
        else:
            for arg in asked.args:
                self._unsubscribe(client, arg, asked)

    def _subscribe(self, client: Client, arg: Any, asked: Asked) -> None:
        key = judge(client, arg, self._offers, asked.id)
        if isinstance(key, str):
            self._say(client, key)
            return
        if client.place == "private":
            self._subscribe_account(client, key, arg, asked)
            return
        opening: list[Frame] = []
        if self._recorded is not None:
            if key not in client.keys:
                self._recorded.subscribed(client.number, key, self._time.now)
        else:
            opening = list(self._open_market().opening(key))
        client.keys[key] = arg
        self._listeners.setdefault(key, {})[client.number] = None
        early = bool(opening) and self._random.random() < self._early_data
        if early:
            self._send_all(client, key, opening)
        if not self.faults.no_acks:
            self._say(client, client.event("subscribe", asked.id, arg=arg))
        if not early:
            self._send_all(client, key, opening)

    def _subscribe_account(self, client: Client, key: Key, arg: Any, asked: Asked) -> None:
        client.keys[key] = arg
        if not self.faults.no_acks:
            self._say(client, client.event("subscribe", asked.id, arg=arg))
        said, allowed = self._accounts.counted(client, key, self._clients.values())
        if said is not None:
            self._say(client, said)
        if allowed:
            self._send_all(client, key, self._accounts.opening(client, arg, self._time.now))
        else:
            del client.keys[key]

    def _unsubscribe(self, client: Client, arg: object, asked: Asked) -> None:
        key = judge(client, arg, lambda key: key in client.keys or self._offers(key), asked.id)
        if isinstance(key, str):
            self._say(client, key)
            return
        client.keys.pop(key, None)
        self._unlisten(client.number, key)
        if self._recorded is not None:
            self._recorded.unsubscribed(client.number, key)
        if not self.faults.no_acks:
            self._say(client, client.event("unsubscribe", asked.id, arg=arg))

    def _offers(self, key: Key) -> bool:
        if self._recorded is not None:
            return self._recorded.offers(key)
        rule = CHANNELS[key[0]]
        return self._open_market().offers(key, rule.types, rule.by)

    # Sending.

    def _publish(self, key: Key, frame: Frame) -> None:
        """Send a frame to everybody who listens."""
        for sent in self.faults.applied(key, frame):
            for number in self._listeners.get(key, ()):
                self._push(self._clients[number], sent)

    def _account_changed(self, account: SimulatedAccount, channel: str, rows: list[Row]) -> None:
        """Tell the subscribers of a private channel."""
        for client in tuple(self._clients.values()):
            if client.account is not account or client.place != "private":
                continue
            for key, arg in client.keys.items():
                if key[0] == channel:
                    self._send_all(client, key, self._accounts.told(account, arg, rows, self._time.now))

    def _symbol(self, native: str) -> str:
        product = self._open_market().by_native.get(native)
        return native if product is None else product.symbol

    def _send_recorded(self, connection: int, key: Key, frame: Frame) -> None:
        client = self._clients.get(connection)
        if client is not None:
            self._send_all(client, key, [frame])

    def _send_all(self, client: Client, key: Key, frames: Iterable[Frame]) -> None:
        for frame in frames:
            for sent in self.faults.applied(key, frame):
                self._push(client, sent)

    def _push(self, client: Client, frame: Frame) -> None:
        self._say(client, frame.text)
        sent = self.log.sent
        for counted, events in frame.events:
            sent[counted] = sent.get(counted, 0) + events

    def _say(self, client: Client, text: str) -> None:
        client.last_sent = self._time.now
        self._outgoing.append(Send(client.number, text))

    def _dismiss(self, client: Client, code: int | None, reason: str) -> None:
        self._outgoing.append(Hangup(client.number, code, reason))
        self._forget(client)

    def _forget(self, client: Client) -> None:
        for key in client.keys:
            self._unlisten(client.number, key)
        if self._recorded is not None:
            self._recorded.unsubscribed(client.number, None)
        del self._clients[client.number]

    def _unlisten(self, number: int, key: Key) -> None:
        listeners = self._listeners.get(key)
        if listeners is not None:
            listeners.pop(number, None)
            if not listeners:
                del self._listeners[key]

    def _open_market(self) -> MarketSource:
        if self._market is None:
            if self._recorded is not None:
                raise ValueError("a recording is served here; there is no market behind it")
            if not self._time.known:
                raise ValueError(
                    "the market has not begun: set options.start, or advance the venue to its first moment"
                )
            products, indices = list_products(self._options.symbols, self._time.start)
            market = Market([product.listing for product in products], indices, self._options.seed, self._time.start)
            self._market = MarketSource(
                market, products, self._listeners, self._publish, self._checksums, self._snapshots
            )
        return self._market


def _subscription(key: Key) -> str:
    """A stream as users write it."""
    channel = key[0]
    if channel.startswith("candle"):
        return f"candle:{channel.removeprefix('candle')}"
    if channel == "books5":
        return "orderbook:5"
    return CHANNELS[channel].data_type.value
