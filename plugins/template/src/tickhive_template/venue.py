"""The simulated Template: the exchange's side of the protocol, over a market that trades by itself.

It shares nothing with the files that read Template's frames, so that the two check each other. Like them it does no
I/O: it is told what came and when, and says what it would send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from attrs import define

from tickhive.plugin import Answer, DataType, Hangup, Send, SimulatedVenue, VenueLog, VenueOptions
from tickhive.simulation import Change, Fill, Index, Listing, Market, Row, Stock, usual_price

DATA_TYPES = {"trades": DataType.TRADE, "book": DataType.ORDERBOOK}
PAGE = 100
NS_PER_MS = 1_000_000


@define
class Book:
    """A book as it is sent: ``bids`` and ``asks`` collect the levels that changed since update ``number``."""

    bids: set[int]
    asks: set[int]
    number: int = 0


class SimulatedTemplate(SimulatedVenue):
    """Template as its clients see it. At twice the speed twice as much happens; equal seeds make equal markets."""

    symbols: Sequence[str] = ()
    subscriptions = ("trade", "orderbook")

    def __init__(self, options: VenueOptions) -> None:
        if options.recording is not None:
            raise ValueError("recording: the simulated Template has a market of its own and serves no recording")
        self.symbols = tuple(options.symbols) or ("BTC-USDT", "ETH-USDT")
        self.log = VenueLog()
        self._options = options
        self._listings = {symbol: self._list(symbol) for symbol in self.symbols}
        self._symbols = {listing.name: symbol for symbol, listing in self._listings.items()}
        self._opened: Market | None = None
        self._books: dict[str, Book] = {}
        self._listeners: dict[tuple[str, str], dict[int, None]] = {}  # by stream and market, in the order they asked
        self._outgoing: list[Send | Hangup] = []

    def _list(self, symbol: str) -> Listing:
        base, _, quote = symbol.partition("-")
        if not base or not quote or "-" in quote:
            raise ValueError(f"symbols: Template trades spot pairs such as BTC-USDT, not {symbol!r}")
        rate = 5.0 * self._options.speed
        return Listing(name=base + quote, index=base, price_decimals=2, size_decimals=4, depth=100, rate=rate)

    # The market.

    def _market(self, at: int) -> Market:
        """The market as it stands; it opens when it is first asked for."""
        if self._opened is None:
            bases = dict.fromkeys(listing.index for listing in self._listings.values())
            indices = [Index(base, usual_price(base)) for base in bases]
            start = self._options.start or at
            self._opened = Market(list(self._listings.values()), indices, self._options.seed, start)
            for market, stock in self._opened.stocks.items():
                self._books[market] = Book(stock.bids.watch(), stock.asks.watch())
        return self._opened

    def advance(self, at: int) -> int | None:
        """Let the market go on until ``at`` (ns UTC) and say when something happens next."""
        market = self._market(at)
        for change in market.advance(at):
            self._tell(change)
        return market.next_change()

    def _tell(self, change: Change) -> None:
        """Send what happened to everybody who asked for it."""
        stock, book = change.stock, self._books[change.stock.listing.name]
        for trade in _trades(stock.listing, change.fills):
            self._publish("trades", {"type": "trade", **trade})
        bids, asks = stock.bids.changes(book.bids), stock.asks.changes(book.asks)
        if bids or asks:
            book.number += 1
            self._publish("book", self._book("update", stock.listing, change.at, bids, asks))

    def _publish(self, stream: str, message: Mapping[str, Any]) -> None:
        market = message["market"]
        for connection in self._listeners.get((stream, market), ()):
            self._say(connection, **message)
            self.log.count(self._symbols[market], DATA_TYPES[stream])

    def _book(self, type: str, listing: Listing, at: int, bids: Sequence[Row], asks: Sequence[Row]) -> dict[str, Any]:
        return {
            "type": type,
            "market": listing.name,
            "number": self._books[listing.name].number,
            "time": at // NS_PER_MS,
            "bids": _levels(listing, bids),
            "asks": _levels(listing, asks),
        }

    # What the server tells us.

    def opened(self, connection: int, path: str, at: int) -> None:
        """Nothing is said before a client asks."""

    def closed(self, connection: int, at: int) -> None:
        """Nobody listens there any more."""
        for listeners in self._listeners.values():
            listeners.pop(connection, None)

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        """Answer a ping, a subscription or its end; refuse everything else."""
        market = self._market(at)
        try:
            asked = msgspec.json.decode(frame, type=dict[str, str])
        except msgspec.MsgspecError as error:
            self._refuse(connection, "", "bad_request", str(error))
            return
        match asked:
            case {"op": "ping"}:
                self._say(connection, type="pong")
            case {"op": "subscribe", "id": id, "stream": stream, "market": name} if stream in DATA_TYPES:
                if name not in market.stocks:
                    self._refuse(connection, id, "unknown_market", f"there is no market {name}")
                    return
                self._say(connection, type="subscribed", id=id)
                if stream == "book":
                    self._snapshot(connection, market.stocks[name], at)
                self._listeners.setdefault((stream, name), {})[connection] = None
            case {"op": "unsubscribe", "id": id, "stream": stream, "market": name}:
                self._listeners.get((stream, name), {}).pop(connection, None)
                self._say(connection, type="unsubscribed", id=id)
            case _:
                self._refuse(connection, asked.get("id", ""), "bad_request", "there is no such operation")

    def _snapshot(self, connection: int, stock: Stock, at: int) -> None:
        self._say(connection, **self._book("snapshot", stock.listing, at, list(stock.bids), list(stock.asks)))
        self.log.count(self._symbols[stock.listing.name], DataType.ORDERBOOK)

    def _refuse(self, connection: int, id: str, code: str, reason: str) -> None:
        self._say(connection, type="refused", id=id, code=code, reason=reason)

    def _say(self, connection: int, **message: Any) -> None:
        self._outgoing.append(Send(connection, msgspec.json.encode(message).decode()))

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        """Answer a REST request: which markets there are, or the trades between two ids."""
        market, url = self._market(at), urlsplit(path)
        match method, url.path, {name: values[0] for name, values in parse_qs(url.query).items()}:
            case "GET", "/v1/markets", _:
                rows = [_market_row(*each) for each in self._listings.items()]
                return Answer(200, msgspec.json.encode({"markets": rows}))
            case "GET", "/v1/trades", {"market": name, "first": first, "last": last} if name in market.stocks:
                if not (first.isdecimal() and last.isdecimal()):
                    return Answer(400, b"{}")
                made = _trades(market.stocks[name].listing, market.stocks[name].tape)
                page = [trade for trade in made if int(first) <= trade["id"] <= int(last)][:PAGE]
                return Answer(200, msgspec.json.encode({"trades": page}))
        return Answer(404, b"{}")

    def outgoing(self) -> Sequence[Send | Hangup]:
        """What is to be sent since the last call."""
        taken, self._outgoing = self._outgoing, []
        return taken


def _market_row(symbol: str, listing: Listing) -> dict[str, str]:
    base, quote = symbol.split("-")
    return {"market": listing.name, "base": base, "quote": quote, "tick": listing.price(1), "lot": listing.size(1)}


def _trades(listing: Listing, fills: Iterable[Fill]) -> list[dict[str, Any]]:
    """Every execution by itself, each with the id that follows the one before."""
    return [
        {
            "market": listing.name,
            "id": id,
            "time": fill.at // NS_PER_MS,
            "side": fill.side,
            "price": listing.price(fill.price),
            "size": listing.size(size),
        }
        for fill in fills
        for id, size in fill.parts()
    ]


def _levels(listing: Listing, rows: Sequence[Row]) -> list[list[str]]:
    return [[listing.price(price), listing.size(size)] for price, size, _ in rows]
