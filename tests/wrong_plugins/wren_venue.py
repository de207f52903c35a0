"""Wren as its clients see it: trades, checksummed books and tickers over a seeded market, history by REST."""

from __future__ import annotations

import hmac
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import define, field

from tickhive.plugin import Answer, DataType, Hangup, Send, SimulatedVenue, VenueLog, VenueOptions
from tickhive.simulation.ladder import Row
from tickhive.simulation.market import Change, Index, Listing, Market
from tickhive.simulation.stock import Stock

MS = 1_000_000
SILENCE = 60_000 * MS
"""A socket on which neither side says a word for so long is closed."""
PAGE = 20
SUMMED = 5
"""So many levels a side are in a checksum."""


def checksum_of(levels: Sequence[tuple[str, str]]) -> int:
    """Wren's checksum: over price and size of the best bids, then of the best asks."""
    return zlib.crc32("|".join(f"{price}:{size}" for price, size in levels).encode())


@define
class _Client:
    last: int
    streams: dict[str, None] = field(factory=dict)
    seated: bool = False


class WrenVenue(SimulatedVenue):
    """Trades name the maker's side live and the taker's by REST, as some true venues do."""

    symbols: Sequence[str] = ()
    subscriptions: Sequence[str] = ("trade", "orderbook", "ticker")
    kinds: Sequence[str] = ("trades", "book", "ticker")
    summed = SUMMED
    rate = 8.0

    def __init__(self, options: VenueOptions) -> None:
        self.symbols = tuple(options.symbols) or ("BTC-USD", "ETH-USD")
        self.log = VenueLog()
        self._names = {symbol.replace("-", ""): symbol for symbol in self.symbols}
        listings = [
            Listing(name=name, index=name, price_decimals=2, size_decimals=4, depth=40, rate=self.rate * options.speed)
            for name in self._names
        ]
        indices = [Index(name, 50_000.0 / (place + 1)) for place, name in enumerate(self._names)]
        self._market = Market(listings, indices, options.seed, options.start)
        self._watched = {name: (stock.bids.watch(), stock.asks.watch()) for name, stock in self._market.stocks.items()}
        self._numbers = dict.fromkeys(self._names, 700)
        self._clients: dict[int, _Client] = {}
        self._out: list[Send | Hangup] = []

    # The market

    def advance(self, at: int) -> int | None:
        for change in self._market.advance(at):
            self.tell(change)
        for number, client in list(self._clients.items()):
            if at - client.last >= SILENCE:
                self._out.append(Hangup(number, 4000, "silence"))
                del self._clients[number]
        quiet = min((client.last + SILENCE for client in self._clients.values()), default=None)
        due = self._market.next_change()
        return due if quiet is None else quiet if due is None else min(due, quiet)

    def tell(self, change: Change) -> None:
        stock, name, time = change.stock, change.stock.listing.name, change.at // MS
        rows = [
            [id, stock.listing.price(fill.price), stock.listing.size(size), "s" if fill.side == "buy" else "b"]
            for fill in change.fills
            for id, size in fill.parts()
        ]
        if rows:
            self.publish(
                DataType.TRADE, f"trades.{name}", {"s": "trades", "m": name, "t": time, "rows": rows}, len(rows)
            )
            self.publish(DataType.TICKER, f"ticker.{name}", self.ticker(stock, time))
        bids, asks = (
            side.changes(seen) for side, seen in zip((stock.bids, stock.asks), self._watched[name], strict=True)
        )
        if bids or asks:
            before = self._numbers[name]
            self._numbers[name] += 1 + len(bids) % 3
            self.publish(DataType.ORDERBOOK, f"book.{name}", self._book(stock, time, bids, asks, before))

    def ticker(self, stock: Stock, time: int) -> dict[str, Any]:
        listing, day = stock.listing, stock.day
        said = {"s": "ticker", "m": listing.name, "t": time}
        return said | {"last": listing.price(day.last), "high": listing.price(day.high)}

    def stock(self, name: str) -> Stock:
        return self._market.stocks[name]

    def number(self, name: str) -> int:
        return self._numbers[name]

    def _book(
        self, stock: Stock, time: int, bids: Sequence[Row], asks: Sequence[Row], before: int | None
    ) -> dict[str, Any]:
        name = stock.listing.name
        told = {"s": "book", "m": name, "t": time, "n": self._numbers[name], "p": before, "full": before is None}
        best = [*levels(stock, stock.bids.top(self.summed)), *levels(stock, stock.asks.top(self.summed))]
        sides = {"b": levels(stock, bids), "a": levels(stock, asks)}
        return told | sides | {"sum": checksum_of([(price, size) for price, size in best])}

    def _whole(self, name: str, at: int) -> dict[str, Any]:
        stock = self._market.stocks[name]
        return self._book(stock, at // MS, list(stock.bids), list(stock.asks), None)

    def publish(self, kind: DataType, stream: str, told: dict[str, Any], events: int = 1) -> None:
        for number, client in self._clients.items():
            if stream in client.streams:
                self._say(number, told)
                self.log.count(self._names[told["m"]], kind, events)

    # The conversation

    def opened(self, connection: int, path: str, at: int) -> None:
        self._clients[connection] = _Client(at)

    def closed(self, connection: int, at: int) -> None:
        self._clients.pop(connection, None)

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        client = self._clients.get(connection)
        if client is None:
            return
        client.last = at
        asked = json.loads(frame)
        match asked.get("op"):
            case "ping":
                self._say(connection, {"pong": True})
            case "login":
                client.seated = True
                self._say(connection, {"seat": "ok"})
            case "sub":
                self._subscribe(connection, client, asked["id"], asked["streams"], at)
            case "unsub":
                for stream in asked["streams"]:
                    if client.streams.pop(stream, 0) is None:
                        self._say(connection, {"off": stream})
                    else:
                        self._say(connection, {"nak": asked["id"], "why": f"not subscribed to {stream}"})

    def _subscribe(self, connection: int, client: _Client, id: str, streams: Sequence[str], at: int) -> None:
        for stream in streams:
            kind, _, name = stream.partition(".")
            if kind not in self.kinds or name not in self._names:
                self._say(connection, {"nak": id, "why": f"no stream {stream}"})
                return
        self._say(connection, {"ack": id})
        for stream in streams:
            kind, _, name = stream.partition(".")
            client.streams[stream] = None
            if kind == "book":
                self._say(connection, self._whole(name, at))
                self.log.count(self._names[name], DataType.ORDERBOOK)

    def _say(self, connection: int, told: Mapping[str, Any]) -> None:
        if connection in self._clients:
            self._clients[connection].last = self._market.now
            self._out.append(Send(connection, json.dumps(told, separators=(",", ":"))))

    def outgoing(self) -> Sequence[Send | Hangup]:
        taken, self._out = self._out, []
        return taken

    # REST

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        url = urlsplit(path)
        asked = dict(parse_qsl(url.query))
        match url.path:
            case "/markets":
                rows = [[name, *symbol.split("-"), "0.01", "0.0001"] for name, symbol in self._names.items()]
                return answer({"markets": rows})
            case "/book" if asked["m"] in self._names:
                return answer(self._whole(asked["m"], at))
            case "/trades" if asked["m"] in self._names:
                return answer(
                    {"m": asked["m"], "rows": self._history(asked["m"], int(asked["from"]), int(asked["to"]))}
                )
            case "/me" if "x-sign" in headers:
                return answer({"cash": [["USD", "100"]]})
        return Answer(404, b"{}")

    def _history(self, name: str, first: int, last: int) -> list[list[Any]]:
        stock = self._market.stocks[name]
        rows = [
            [id, stock.listing.price(fill.price), stock.listing.size(size), fill.side, fill.at // MS]
            for fill in stock.tape
            for id, size in fill.parts()
            if first <= id <= last
        ]
        return rows[:PAGE]


class ShallowVenue(WrenVenue):
    """Wren with checksums over nothing but the best two levels a side."""

    summed = 2


class NumericVenue(WrenVenue):
    """Wren with the prices and sizes of its trades as JSON numbers."""

    def outgoing(self) -> Sequence[Send | Hangup]:
        return [self._unquoted(said) if isinstance(said, Send) else said for said in super().outgoing()]

    def _unquoted(self, said: Send) -> Send:
        frame = said.frame if isinstance(said.frame, str) else said.frame.decode()
        if '"s":"trades"' in frame:
            frame = re.sub(r'"(\d+\.\d+)"', r"\1", frame)
        return Send(said.connection, frame)


def signature(secret: str, text: str) -> str:
    """How Wren wants requests signed."""
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def levels(stock: Stock, rows: Sequence[Row]) -> list[list[str]]:
    return [[stock.listing.price(price), stock.listing.size(size)] for price, size, _ in rows]


def answer(told: Mapping[str, Any]) -> Answer:
    return Answer(200, json.dumps(told).encode())
