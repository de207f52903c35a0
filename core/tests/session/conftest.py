"""A made-up venue, acme, that speaks JSON, and a driver that holds a conversation with it in memory."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Level,
    MarketEvent,
    Quote,
    SubscriptionUpdate,
    Trade,
)
from tickhive.plugin.contract import (
    Accepted,
    Alive,
    Answer,
    BookChecksum,
    Credentials,
    Dial,
    Fetch,
    Goodbye,
    LastTrade,
    Malformed,
    Numbered,
    Ready,
    Rejected,
    Reply,
    Request,
    Unknown,
    Unsubscribed,
)
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import Feed, Session

SECOND = 1_000_000_000


def channel(text: str) -> Channel:
    subscription, symbol = text.split()
    kind, _, params = subscription.partition(":")
    return Channel(symbol, symbol, DataType(kind), params)


def levels(rows: Sequence[Sequence[str]]) -> list[Level]:
    return [Level(*row) for row in rows]


def crc(sides: Any) -> int:
    return zlib.crc32(repr([list(side) for side in sides]).encode())


class Acme:
    """Acknowledges by id and by name, numbers its books, sends snapshots by itself."""

    @hookimpl
    def connect(self, channels):
        return ()

    @hookimpl
    def subscribe(self, session, channels):
        id = session.next_id()
        frame = json.dumps({"op": "sub", "id": id, "c": [str(channel) for channel in channels]})
        return [Request(frame, channels, id)]

    @hookimpl
    def authenticate(self, credentials):
        return [Request(f"login {credentials.key}")]

    @hookimpl
    def checksum(self, book):
        return crc(book.top_text(5))

    @hookimpl
    def read(self, fetch, answer, at):
        return self.parse(None, answer.body, at)

    @hookimpl
    def parse(self, session, frame, at):
        said = json.loads(frame)
        return [self.event(item, at) for item in (said if isinstance(said, list) else [said])]

    def event(self, said, at):
        names = [channel(text) for text in said.get("c", ())]
        time, symbol = said.get("t"), said.get("s", "")
        match said["e"]:
            case "trade":
                price = Decimal(said.get("p", "1"))
                return Trade("acme", symbol, time, at, said["id"], "buy", price, Decimal(1), said.get("n", 1))
            case "candle":
                one = Decimal(1)
                start, closed = said.get("o", 0) * SECOND, said.get("x", False)
                return Candle("acme", symbol, time, at, said["i"], start, one, one, one, one, one, closed=closed)
            case "quote":
                return Quote("acme", symbol, time, at, *[None] * 4)
            case "book":
                sides = levels(said.get("b", ())), levels(said.get("a", ()))
                numbers = said.get("q"), said.get("depth", 0), said.get("levels", 0)
                return BookSnapshot("acme", symbol, time, at, *sides, *numbers)
            case "delta":
                sides = levels(said.get("b", ())), levels(said.get("a", ()))
                return BookDelta("acme", symbol, time, at, *sides, said.get("q"), said.get("p"), said.get("f"))
            case "sum":
                return BookChecksum(symbol, said["v"])
            case "ok":
                return Accepted(said.get("id"), names)
            case "off":
                return Unsubscribed(said.get("id"), names)
            case "no":
                return Rejected(said.get("why", "no"), said.get("kind", "symbol"), said.get("id"), names)
            case "ready":
                return Ready()
            case "alive":
                return Alive()
            case "num":
                return Numbered(said["v"])
            case "last":
                return LastTrade(symbol, said["id"])
            case "reply":
                return Reply("back")
            case "bye":
                return Goodbye(said["why"])
            case "bad":
                return Malformed("bad")
            case "fetch":
                return Fetch(said["url"])
            case _:
                return Unknown(said["e"])


class Leaving(Acme):
    """Lets a channel be given up."""

    @hookimpl
    def unsubscribe(self, session, channels):
        id = session.next_id()
        frame = json.dumps({"op": "unsub", "id": id, "c": [str(channel) for channel in channels]})
        return [Request(frame, channels, id)]


class Fetching(Acme):
    """Has its book snapshots by REST."""

    @hookimpl
    def snapshot(self, channel):
        return Fetch(f"https://acme.test/book?{channel.native}", channel=channel)


class Quiet(Acme):
    """Carries its channels in the address."""

    @hookimpl
    def subscribe(self):
        return ()


class Refilling(Quiet):
    """Has its trades by REST, by id, and its candles, by when they started."""

    @hookimpl
    def backfill(self, channel, gap):
        if gap.data_type is DataType.CANDLE:
            return Fetch(f"https://acme.test/candles?{gap.start // SECOND}-{gap.end // SECOND}", channel=channel)
        return Fetch(f"https://acme.test/trades?{gap.first_id}-{gap.last_id}", channel=channel)


PLUGINS = {"plain": Acme, "leaving": Leaving, "fetching": Fetching, "quiet": Quiet, "refilling": Refilling}


class Talk:
    """Drives one session at a time, as a driver with a socket would; times in seconds."""

    def __init__(
        self,
        plugin: object,
        *channels: str,
        credentials: Credentials | None = None,
        silence: Any = None,
        **dial: Any,
    ) -> None:
        self.stack = ExchangeStack.from_plugin("acme", plugin)
        self.feed = Feed(self.stack, "acme", self.stack.settings_type(), InstrumentTable("acme"), silence_limit=silence)
        self.dial = Dial("one", ["wss://acme.test"], [channel(text) for text in channels], **dial)
        self.credentials = credentials
        self.at = 1000 * SECOND
        self.news: list[SubscriptionUpdate] = []
        self.dialled()

    def dialled(self) -> None:
        self.session = Session(self.stack, self.dial, self.feed, credentials=self.credentials)

    def open(self) -> Talk:
        self.session.opened(self.at)
        return self

    def redial(self, reason: str = "disconnected: 1006") -> Talk:
        assert self.data(self.session.closed(reason, self.at)) == []
        self.dialled()
        return self.open()

    def later(self, seconds: float) -> list[MarketEvent]:
        """Let time pass, waking the session whenever it wants to be."""
        end = self.at + int(seconds * SECOND)
        out = []
        while (deadline := self.session.deadline()) is not None and deadline <= end:
            self.at = max(self.at, deadline)
            out += self.session.tick(self.at)
            after = self.session.deadline()
            assert after is None or after > self.at, "the deadline stays in the past"
        self.at = end
        return self.data(out + self.session.tick(end))

    def data(self, events: list[MarketEvent]) -> list[MarketEvent]:
        """What was handed out, the news of subscriptions set aside in ``news``."""
        self.news += [event for event in events if isinstance(event, SubscriptionUpdate)]
        return [event for event in events if not isinstance(event, SubscriptionUpdate)]

    def hear(self, *said: Any) -> list[MarketEvent]:
        frames = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in said]
        return self.data(self.session.receive(frames, self.at))

    def sent(self) -> list[str]:
        """What went out since the last look, in short: ``sub trade BTC-USDT``."""
        out = []
        for request in self.session.outbox:
            try:
                frame = json.loads(request.frame)
                out.append(f"{frame['op']} {', '.join(frame['c'])}")
            except ValueError:
                out.append(str(request.frame))
        self.session.outbox.clear()
        return out

    def take_fetch(self) -> Fetch:
        return self.session.fetches.pop(0)

    def answer(self, fetch: Fetch, *said: Any) -> list[MarketEvent]:
        return self.data(self.session.answered(fetch, Answer(200, json.dumps(list(said)).encode()), self.at))

    def twin(self, *channels: str) -> Talk:
        """Another socket of the same collector, open at the same time; without ``channels`` it carries the same."""
        other = copy.copy(self)
        if channels:
            other.dial = evolve(self.dial, channels=[channel(text) for text in channels])
        other.news = []
        other.dialled()
        return other.open()

    def states(self) -> dict[str, str]:
        return {str(entry.channel): entry.state.value for entry in self.feed.ledger}

    def book_state(self, symbol: str = "BTC-USDT") -> str:
        return self.feed.book(symbol).state.value


@pytest.fixture(scope="session")
def talk():
    def start(kind: str, *channels: str, **dial: Any) -> Talk:
        return Talk(PLUGINS[kind](), *channels, **dial)

    return start


@pytest.fixture(scope="session")
def talk_with():
    return Talk


@pytest.fixture(scope="session")
def plugins():
    return tuple(PLUGINS.values())
