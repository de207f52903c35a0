"""A venue that outlives the process collecting from it, its plugin, and a store of one file for each batch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import define

from tickhive.channels import Channel, DataType
from tickhive.events import BookDelta, BookSnapshot, Gap, Level, MarketEvent, Trade
from tickhive.plugin.contract import Accepted, Answer, Dial, ExchangeSettings, Fetch, Request, SessionView
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.venue import Hangup, Send, SimulatedVenue, VenueLog
from tickhive.sinks import Sink, SinkSettings

STEP = 4_000_000
SYMBOLS = ("A-B", "C-D")


class TickingVenue(SimulatedVenue):
    """One trade per symbol every 4 ms, whoever listens, and a book that changes with each. Remembers every trade.

    ``forgetful``: its history is empty.
    """

    symbols = SYMBOLS
    subscriptions = ("trade",)

    def __init__(self) -> None:
        self.log = VenueLog()
        self.forgetful = False
        self.asked = 0
        self.trades: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
        self._subscribed: dict[int, list[tuple[str, str]]] = {}
        self._out: list[Send | Hangup] = []
        self._next = 0

    def opened(self, connection: int, path: str, at: int) -> None:
        self._subscribed[connection] = []

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        said = json.loads(frame)
        self._say(connection, {"ok": said["id"]})
        for kind, symbol in said["subscribe"]:
            self._subscribed[connection].append((kind, symbol))
            if kind == "orderbook":
                self._say(connection, {"book": symbol, "n": len(self.trades[symbol]), "t": at})

    def closed(self, connection: int, at: int) -> None:
        self._subscribed.pop(connection, None)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        times = self.trades[query["s"]]
        self.asked += 1
        rows = [] if self.forgetful else [
            {"trade": query["s"], "i": number, "t": times[number - 1]}
            for number in range(max(1, int(query["first"]) - 1), int(query["last"]) + 1)
        ]  # fmt: skip
        return Answer(200, json.dumps(rows).encode())

    def advance(self, at: int) -> int | None:
        while at >= self._next:
            self._next = max(self._next, at - STEP) + STEP
            for symbol, times in self.trades.items():
                times.append(at)
                for connection, subscribed in self._subscribed.items():
                    if ("trade", symbol) in subscribed:
                        self._say(connection, {"trade": symbol, "i": len(times), "t": at})
                    if ("orderbook", symbol) in subscribed:
                        self._say(connection, {"book": symbol, "n": len(times), "t": at, "on": len(times) - 1})
        return self._next

    def outgoing(self) -> Sequence[Send | Hangup]:
        out, self._out = self._out, []
        return out

    def _say(self, connection: int, what: dict[str, Any]) -> None:
        self._out.append(Send(connection, json.dumps(what)))


class TickingPlugin:
    """How to collect from it."""

    @hookimpl
    def connect(self, channels: Sequence[Channel], settings: ExchangeSettings) -> Sequence[Dial]:
        return [Dial("all", (f"{settings.url}/v1",), channels)]

    @hookimpl
    def subscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        number = session.next_id()
        wanted = [(channel.data_type.value, channel.native) for channel in channels]
        return [Request(json.dumps({"id": number, "subscribe": wanted}), channels, number)]

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Any]:
        said = json.loads(frame)
        if "ok" in said:
            return [Accepted(id=said["ok"])]
        return [read_row(said, at)]


class TickingPluginWithHistory(TickingPlugin):
    """The same, where trades can be asked for afterwards."""

    @hookimpl
    def backfill(self, session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
        if gap.data_type is not DataType.TRADE:
            return None
        query = f"s={channel.native}&first={gap.first_id}&last={gap.last_id}"
        return Fetch(f"{session.settings.rest_url}/trades?{query}", channel=channel)

    @hookimpl
    def read(self, session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Any]:
        return [read_row(row, at) for row in json.loads(answer.body)]


def read_row(row: dict[str, Any], at: int) -> MarketEvent:
    if "trade" in row:
        return Trade("acme", row["trade"], row["t"], at, str(row["i"]), "buy", Decimal("10.5"), Decimal(1))
    bids = [Level("10", str(row["n"]))]
    if "on" in row:
        return BookDelta("acme", row["book"], row["t"], at, bids, [], row["n"], row["on"])
    return BookSnapshot("acme", row["book"], row["t"], at, bids, [], row["n"])


class FileStore(Sink):
    """A file of JSON lines for each batch, whole or not at all; a repeat replaces it."""

    @define(kw_only=True)
    class Settings(SinkSettings):
        folder: str

    def open(self) -> None:
        Path(self.settings.folder).mkdir(exist_ok=True)

    def write(self, batch: Any) -> None:
        path = Path(self.settings.folder) / f"{batch.first:020}-{batch.last}.jsonl"
        half = path.with_suffix(".half")
        half.write_text("".join(json.dumps(row) + "\n" for event in batch if (row := written(event)) is not None))
        os.replace(half, path)

    def close(self) -> None:
        pass


def written(event: MarketEvent) -> dict[str, Any] | None:
    if isinstance(event, Trade):
        return {"kind": "trade", "symbol": event.symbol, "id": int(event.id), "late": event.late}
    if isinstance(event, BookSnapshot | BookDelta):
        return {"kind": type(event).__name__, "symbol": event.symbol, "time": event.timestamp}
    if isinstance(event, Gap):
        return {
            "kind": "gap", "symbol": event.symbol, "type": event.data_type.value, "cause": event.cause,
            "start": event.start, "end": event.end, "first": event.first_id, "last": event.last_id,
            "filled": event.filled,
        }  # fmt: skip
    return None
