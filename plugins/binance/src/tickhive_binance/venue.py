"""The simulated Binance: the exchange's side of its three protocols, over a seeded market.

It is written from Binance's documentation (spot pages of 2026-07-21, derivatives pages of 2026-01-15 and 2026-07-01,
change notice of 2026-03-06) and shares nothing with the code that reads Binance's frames, so that the two check each
other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tickhive.plugin.contract import Answer
from tickhive.plugin.venue import Hangup, Send, SimulatedVenue, VenueLog, VenueOptions
from tickhive.simulation.market import Market
from tickhive.simulation.timing import MarketTime
from tickhive_binance.venue_account import Row, SimulatedAccount
from tickhive_binance.venue_limits import Meter
from tickhive_binance.venue_listing import (
    MILLISECOND,
    MarketName,
    Product,
    default_symbols,
    indices_of,
    list_products,
)
from tickhive_binance.venue_market import Counted, MarketSource
from tickhive_binance.venue_payloads import Payload
from tickhive_binance.venue_private import ListenKeys, socket_api
from tickhive_binance.venue_protocol import (
    LIFETIME,
    MOST_STREAMS,
    Client,
    Command,
    Wrong,
    read_address,
    read_command,
    text,
)
from tickhive_binance.venue_requests import Request, RestSide
from tickhive_binance.venue_rest import WEIGHT_LIMITS
from tickhive_binance.venue_streams import Stream, read_stream

_FUNDS: Mapping[MarketName, Mapping[str, str]] = {
    "spot": {"USDT": "100000", "BTC": "2", "ETH": "10"},
    "usdm": {"USDT": "100000"},
    "coinm": {"BTC": "5"},
}
_PUBLIC = ("trade", "orderbook", "ticker", "quote", "candle:1m")
_FUTURES = (*_PUBLIC, "mark_price", "index_price", "funding_rate", "liquidation", "open_interest")


class BinanceVenue(SimulatedVenue):
    """One market of Binance as its clients see it: WebSocket streams, accounts and REST on one address.

    The market begins at ``options.start``, or at the first moment it is given when that is 0, and runs at
    ``options.speed`` times real time. ``log`` counts every event put on the wire, and what REST alone tells: snapshots
    of books and open interest. ``violations`` names the first hundred things clients did against Binance's rules.
    ``account`` is the one account; its key and secret are ``venue_login.API_KEY`` and ``API_SECRET``.
    ``lost`` names streams of which the next so many frames get lost, ``failing`` are HTTP statuses for the next REST
    requests.
    """

    def __init__(self, market: MarketName, options: VenueOptions | None = None) -> None:
        options = options or VenueOptions()
        if options.recording is not None:
            raise ValueError("the simulated Binance serves its market only, no recording")
        self.log = VenueLog()
        self.violations: list[str] = []
        self.lost: dict[str, int] = {}
        self._name: MarketName = market
        self._options = options
        self._time = MarketTime(options.start, options.speed)
        self._clients: dict[int, Client] = {}
        self._wanted: dict[str, Stream] = {}
        self._listeners: dict[str, dict[int, None]] = {}
        self._outgoing: list[Send | Hangup] = []
        self._meter = Meter(WEIGHT_LIMITS[market], self._violated)
        self._keys = ListenKeys()
        self._source: MarketSource | None = None
        self.account = SimulatedAccount(market, self._tell, lambda: self._time.now)
        self._rest = RestSide(market, self._meter, self._keys, self.account, self.log)
        self.failing = self._rest.failing
        for asset, amount in _FUNDS[market].items():
            self.account.balances[asset] = [Decimal(amount), Decimal(0)]
        list_products(market, self.symbols, options.start)  # an impossible symbol is refused here and now

    @property
    def symbols(self) -> Sequence[str]:
        """The normalised symbols that trade here: what a demo collects."""
        return tuple(self._options.symbols) or default_symbols(self._name, self._options.start)

    @property
    def subscriptions(self) -> Sequence[str]:
        """The data types worth showing."""
        return _PUBLIC if self._name == "spot" else _FUTURES

    # The conversation.

    def opened(self, connection: int, path: str, at: int) -> None:
        """A client opened a socket at this path (query included)."""
        self._time.reach(at)
        address = read_address(self._name, path)
        if not self._meter.may_dial(self._time.now):
            self._outgoing.append(Hangup(connection, 1008, "Too many requests"))
        elif address is None:
            self._violated(f"there is nothing at {path.partition('?')[0]}")
            self._outgoing.append(Hangup(connection, 1008, "Invalid request"))
        else:
            client = Client(connection, address.place, address.combined, self._time.now)
            client.events.update(address.events)
            self._clients[connection] = client
            self._subscribe(client, address.names, None)

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        """A client sent a frame."""
        self._time.reach(at)
        client = self._clients.get(connection)
        if client is None:
            return
        if not client.may_speak(self._name, at):
            self._violated(f"connection {connection} sent too many messages within a second")
            self._dismiss(client, 1008, "Too many requests")
        elif client.place is None:
            self._meter.use(2, self._time.now)
            self._say(client, socket_api(client, frame, self._meter.used, self._time.now))
        else:
            try:
                self._commanded(client, read_command(self._name, frame))
            except Wrong as wrong:
                self._violated(f"connection {connection} was refused: {wrong.message}")
                self._say(client, wrong.told(self._name))

    def closed(self, connection: int, at: int) -> None:
        """A client's socket is gone."""
        self._time.reach(at)
        client = self._clients.get(connection)
        if client is not None:
            self._forget(client)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        """Answer a REST request, weighed."""
        self._time.reach(at)
        route, _, query = path.partition("?")
        now = self._time.now
        asked = Request(method, route, query, headers, body, now, self._time.market(now))
        return self._rest.answer(self._open_market(), asked)

    def advance(self, at: int) -> int | None:
        """Let the market go on until ``at``; answers when it next has something to do, ns UTC."""
        self._time.reach(at)
        now = self._time.now
        due = self._time.real(self._open_market().advance(self._time.market(now)))
        for key in self._keys.expired(now):
            self._tell_listener(key, {"e": "listenKeyExpired", "E": now // MILLISECOND, "listenKey": key})
        for client in tuple(self._clients.values()):
            if now - client.opened >= LIFETIME:
                self._dismiss(client, None, "")
        ends = [client.opened + LIFETIME for client in self._clients.values()]
        return min(due, *self._keys.ends.values(), *ends) if ends or self._keys.ends else due

    def outgoing(self) -> Sequence[Send | Hangup]:
        """Take what is to be sent since the last call, in order."""
        said, self._outgoing = self._outgoing, []
        return said

    # What can be made to happen.

    def notify_shutdown(self, connection: int | None = None) -> None:
        """Announce to one connection, or to all, that the server shuts down. Spot alone does so."""
        event = {"e": "serverShutdown", "E": self._time.now // MILLISECOND}
        for client in tuple(self._clients.values()):
            if client.place is not None and connection in (None, client.number):
                self._say(client, text({"stream": "!serverShutdown", "data": event} if client.combined else event))

    def kick(self, connection: int | None = None, code: int | None = 1001, reason: str = "") -> None:
        """Close one connection, or all; without a code the line is cut."""
        for client in tuple(self._clients.values()):
            if connection in (None, client.number):
                self._dismiss(client, code, reason)

    def expire_listen_keys(self) -> None:
        """Let every listen key end now; those who listen are told when the venue goes on."""
        self._keys.ends = dict.fromkeys(self._keys.ends, self._time.now)

    def grow_stale(self, times: int = 1) -> None:
        """Answer the next snapshots of books with the state of now, however late they are asked for."""
        self._open_market().grow_stale(times)

    def list_product(self, symbol: str) -> Product:
        """Begin to trade an instrument; ValueError for what trades here or could not."""
        source = self._open_market()
        (product,) = list_products(self._name, [symbol], self._time.now)
        if product.native in source.desks:
            raise ValueError(f"{symbol} trades here already")
        source.add(product, indices_of([product])[0])
        return product

    def delist(self, symbol: str) -> None:
        """End the trading of an instrument: its streams fall silent, and exchangeInfo forgets it."""
        self._open_market().delist(self.product(symbol))

    def product(self, symbol: str) -> Product:
        """An instrument by its normalised symbol; KeyError when it does not trade here."""
        for product in self._open_market().products:
            if product.symbol == symbol:
                return product
        raise KeyError(symbol)

    def native(self, symbol: str) -> str:
        """Binance's name of a normalised symbol; KeyError when it does not trade here."""
        return self.product(symbol).native

    @property
    def market(self) -> Market:
        """The market behind it: the truth that a client's books can be compared with."""
        return self._open_market().market

    # Streams.

    def _commanded(self, client: Client, command: Command) -> None:
        match command.method:
            case "SUBSCRIBE":
                self._subscribe(client, command.params, command)
            case "UNSUBSCRIBE":
                for name in command.params:
                    client.names.pop(name, None)
                    self._unlisten(client.number, name)
                self._say(client, command.answer())
            case "LIST_SUBSCRIPTIONS":
                self._say(client, command.answer(list(client.names)))
            case "GET_PROPERTY":
                self._say(client, command.answer(client.combined))
            case _:
                client.combined = command.params[1]
                self._say(client, command.answer())

    def _subscribe(self, client: Client, names: Sequence[str], command: Command | None) -> None:
        """Take up streams. Every name is accepted; one that means nothing here stays silent."""
        for name in names:
            if name not in client.names and len(client.names) >= MOST_STREAMS:
                self._violated(f"connection {client.number} asked for more than {MOST_STREAMS} streams")
                number = command.number if command is not None else None
                code = 2 if self._name == "spot" else 4
                self._say(client, Wrong(code, "Too many subscriptions", number).told(self._name))
                self._dismiss(client, 1008, "Invalid request")
                return
            client.names[name] = None
            self._listen(client, name)
        if command is not None:
            self._say(client, command.answer())

    def _listen(self, client: Client, name: str) -> None:
        source = self._open_market()
        stream = read_stream(name, self._name, source.natives, source.pairs)
        if stream is not None and self._name == "usdm" and stream.place != client.place:
            return
        if stream is None and self._name == "usdm" and client.place != "private":
            return  # a listen key means something on its own path alone
        if stream is not None and name not in self._wanted:
            source.listen(stream)
            self._wanted[name] = stream
        self._listeners.setdefault(name, {})[client.number] = None

    def _publish(self, name: str, payload: Payload | list[Payload], counted: Counted) -> None:
        """Send a frame to everybody who listens to a stream."""
        if self.lost.get(name, 0) > 0:
            self.lost[name] -= 1
            return
        raw = text(payload)
        for number in self._listeners.get(name, ()):
            client = self._clients[number]
            self._say(client, f'{{"stream":"{name}","data":{raw}}}' if client.combined else raw)
            for symbol, data_type in counted:
                self.log.count(symbol, data_type)

    # The account.

    def _tell(self, event: Row, counted: Counted) -> None:
        """Tell an event of the account to all who may hear it."""
        heard = 0
        for client in tuple(self._clients.values()):
            for number in client.accounts:
                self._say(client, text({"subscriptionId": number, "event": event}))
                heard += 1
        for key in self._keys.ends:
            heard += self._tell_listener(key, event)
        for symbol, data_type in counted:
            if heard:
                self.log.count(symbol, data_type, heard)

    def _tell_listener(self, key: str, event: Row) -> int:
        told = 0
        for number in self._listeners.get(key, ()):
            client = self._clients[number]
            chosen = client.events.get(key)
            if chosen and event["e"] not in chosen:
                continue  # the end of the key included: the list of events is all that comes
            self._say(client, text({"stream": key, "data": event} if client.combined else event))
            told += 1
        return told

    # Sending and closing.

    def _say(self, client: Client, frame: str) -> None:
        self._outgoing.append(Send(client.number, frame))

    def _dismiss(self, client: Client, code: int | None, reason: str) -> None:
        self._outgoing.append(Hangup(client.number, code, reason))
        self._forget(client)

    def _forget(self, client: Client) -> None:
        for name in client.names:
            self._unlisten(client.number, name)
        del self._clients[client.number]

    def _unlisten(self, number: int, name: str) -> None:
        listeners = self._listeners.get(name, {})
        listeners.pop(number, None)
        if not listeners:
            self._listeners.pop(name, None)
            self._wanted.pop(name, None)

    def _violated(self, what: str) -> None:
        if len(self.violations) < 100:
            self.violations.append(what)

    def _open_market(self) -> MarketSource:
        if self._source is None:
            if not self._time.known:
                raise ValueError(
                    "the market has not begun: set options.start, or advance the venue to its first moment"
                )
            start = self._time.start
            products = list_products(self._name, self.symbols, start)
            foreign = list_products("coinm", ["BTC-USD-PERP"], start) if self._name == "usdm" else []
            every = [*products, *foreign]
            market = Market([p.listing for p in every], indices_of(every), self._options.seed, start)
            self._source = MarketSource(
                self._name, market, products, self._wanted, self._publish, self.account.traded, foreign
            )
        return self._source
