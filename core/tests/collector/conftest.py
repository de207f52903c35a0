"""A made-up exchange over real sockets: its plugin, and a venue that does what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response
from websockets.protocol import State

from tickhive.channels import Channel, DataType, Instrument
from tickhive.events import BookDelta, BookSnapshot, InstrumentUpdate, Level, Ticker, Trade
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin import (
    Accepted,
    Answer,
    Dial,
    Event,
    ExchangeSettings,
    Fetch,
    Goodbye,
    Limit,
    Malformed,
    Poll,
    Rejected,
    Request,
    SessionView,
    Unsubscribed,
    hookimpl,
)
from tickhive.plugin.stack import ExchangeStack

KINDS = {"trade": DataType.TRADE, "orderbook": DataType.ORDERBOOK, "ticker": DataType.TICKER}


class AcmePlugin:
    """One JSON object per frame; symbols are lower case without dashes on the venue's side."""

    @hookimpl
    def connect(self, channels: Sequence[Channel], settings: ExchangeSettings) -> list[Dial]:
        return [Dial("main", [f"{settings.url}/feed"], list(channels))]

    @hookimpl
    def limits(self) -> list[Limit]:
        return [Limit("dial", 1000, 1.0)]

    @hookimpl
    def instruments(self, settings: ExchangeSettings) -> list[Fetch]:
        return [Fetch(f"{settings.rest_url}/instruments")] if settings.rest_url else []

    @hookimpl
    def read(self, session: SessionView, fetch: Fetch, answer: Answer, at: int) -> list[Event]:
        found: list[Event] = []
        for row in json.loads(answer.body):
            if "last" in row:
                symbol = session.instruments.symbols[row["s"]]
                found.append(Ticker("acme", symbol, None, at, Decimal(row["last"]), *[None] * 9))
            else:
                base, quote = row["base"], row["quote"]
                instrument = Instrument("acme", f"{base}-{quote}", f"{base}{quote}".lower(), "spot", base, quote)
                found.append(InstrumentUpdate("acme", instrument.symbol, None, at, instrument))
        return found

    @hookimpl
    def poll(self, channel: Channel, settings: ExchangeSettings) -> Poll | None:
        if channel.data_type is not DataType.TICKER:
            return None
        return Poll(Fetch(f"{settings.rest_url}/ticker?s={channel.native}"), 0.01)

    @hookimpl
    def subscribe(self, session: SessionView, channels: Sequence[Channel]) -> list[Request]:
        return [self._request(session, "sub", channel) for channel in channels]

    @hookimpl
    def unsubscribe(self, session: SessionView, channels: Sequence[Channel]) -> list[Request]:
        return [self._request(session, "unsub", channel) for channel in channels]

    def _request(self, session: SessionView, op: str, channel: Channel) -> Request:
        number = session.next_id()
        frame = json.dumps({"op": op, "s": channel.native, "t": channel.data_type.value, "id": number})
        return Request(frame, [channel], number)

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> list[Event]:
        try:
            message: dict[str, Any] = json.loads(frame)
        except ValueError:
            return [Malformed("not JSON")]
        symbol = session.instruments.symbols.get(message.get("s", ""), message.get("s", ""))
        match message.get("e"):
            case "ok":
                return [Accepted(id=message["id"])]
            case "gone":
                return [Unsubscribed(id=message["id"])]
            case "no":
                return [Rejected(message["why"], message.get("kind", "request"), id=message["id"])]
            case "bye":
                return [Goodbye(message["why"])]
            case "trade":
                price, size = Decimal(message["p"]), Decimal(message["q"])
                return [Trade("acme", symbol, None, at, str(message["n"]), "buy", price, size)]
            case "book":
                bids, asks = ([Level(p, q) for p, q in message[side]] for side in ("b", "a"))
                if "prev" not in message:
                    return [BookSnapshot("acme", symbol, None, at, bids, asks, message["n"])]
                return [BookDelta("acme", symbol, None, at, bids, asks, message["n"], message["prev"])]
        return [Malformed("unknown event")]


class Venue:
    """The venue's side: acknowledges subscriptions, lists two instruments, and sends what a test says."""

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []
        self.requests: list[dict[str, Any]] = []
        self.refuse: dict[str, dict[str, str]] = {}
        self.listed = [("BTC", "USDT"), ("ETH", "USDT")]
        self.rest_status = 200
        self.rest_calls = 0
        self.changed = asyncio.Condition()
        self.port = 0
        self.closing = False

    @property
    def settings(self) -> dict[str, str]:
        return {"url": f"ws://127.0.0.1:{self.port}", "rest_url": f"http://127.0.0.1:{self.port}"}

    async def serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        async for text in connection:
            request = json.loads(text)
            refusal = self.refuse.get(request["s"])
            if refusal is not None:
                await connection.send(json.dumps({"e": "no", "id": request["id"], **refusal}))
            else:
                await connection.send(
                    json.dumps({"e": "ok" if request["op"] == "sub" else "gone", "id": request["id"]})
                )
            self.requests.append(request)
            await self._notify()

    def rest(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        if request.path.startswith("/feed"):
            return Response(503, "Busy", Headers(), b"") if self.closing else None
        self.rest_calls += 1
        if request.path.startswith("/ticker"):
            rows: list[dict[str, str]] = [{"s": request.path.partition("s=")[2], "last": "7.5"}]
        else:
            rows = [{"base": base, "quote": quote} for base, quote in self.listed]
        return Response(self.rest_status, "", Headers({"Content-Type": "application/json"}), json.dumps(rows).encode())

    async def send(self, **message: Any) -> None:
        await self.connections[-1].send(json.dumps(message))

    @property
    def open(self) -> list[ServerConnection]:
        """The sockets that are open, oldest first."""
        return [connection for connection in self.connections if connection.state is State.OPEN]

    async def broadcast(self, **message: Any) -> None:
        """Say the same on every socket, as venues do."""
        for connection in self.open:
            with contextlib.suppress(ConnectionClosed):
                await connection.send(json.dumps(message))

    async def until_requests(self, count: int) -> None:
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(lambda: len(self.requests) >= count)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    venue = Venue()
    async with serve(venue.serve, "127.0.0.1", 0, process_request=venue.rest, close_timeout=0.2) as server:
        venue.port = server.sockets[0].getsockname()[1]
        yield venue


@pytest.fixture
def stack() -> ExchangeStack:
    return ExchangeStack.from_plugin("acme", AcmePlugin())


@pytest.fixture
async def make_collector(venue: Venue, stack: ExchangeStack) -> AsyncIterator[Any]:
    from tickhive.collector.plugin_collector import PluginCollector

    made: list[PluginCollector] = []

    def make(*data_types: str, symbols: Sequence[str] = ("BTC-USDT",), **options: Any) -> PluginCollector:
        config = ExchangeCollectorConfig(
            exchange="acme", symbols=symbols, data_types=data_types or ("trade",), **options
        )
        collector = PluginCollector(stack, config, ExchangeSettings(**venue.settings))
        made.append(collector)
        return collector

    yield make
    for collector in made:
        await collector.stop()
