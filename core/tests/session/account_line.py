"""One feed of an account, one socket after the other, with a clock of its own: what most tests of accounts drive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tickhive.channels import Channel, InstrumentTable
from tickhive.events import MarketEvent
from tickhive.plugin.contract import Answer, Credentials, Dial, Request
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import Feed, Session

SECOND = 1_000_000_000


class Venue:
    """The part of a plugin that all of them share: channels are asked for and given up."""

    @hookimpl
    def connect(self, channels):
        return ()

    @hookimpl
    def subscribe(self, session, channels):
        return [Request("sub", channels, "1")]


class AccountLine:
    """Whatever is heard or answered comes a second later, as JSON."""

    def __init__(self, exchange: str, plugin: object, channels: Sequence[Channel], at: int = SECOND) -> None:
        self.exchange, self.channels, self.at = exchange, tuple(channels), at
        self.stack = ExchangeStack.from_plugin(exchange, plugin)
        self.begin()

    def begin(self) -> None:
        """As after a start of the process."""
        self.feed = Feed(self.stack, self.exchange, None, InstrumentTable(self.exchange))

    def open(self) -> list[MarketEvent]:
        """Another socket, whose channels are confirmed."""
        self.at += SECOND
        dial = Dial("a", (f"wss://{self.exchange}.test",), self.channels)
        self.session = Session(self.stack, dial, self.feed, credentials=Credentials("main", "k"))
        self.session.opened(self.at)
        return self.hear("ok")

    def hear(self, said: Any) -> list[MarketEvent]:
        """A frame comes."""
        self.at += SECOND
        return self.session.receive([json.dumps(said).encode()], self.at)

    def asked(self) -> list[str]:
        """What is asked by REST, without the address."""
        return [fetch.url.rpartition("test/")[2] for fetch in self.session.fetches]

    def answer(self, said: Any) -> list[MarketEvent]:
        """The oldest request is answered."""
        self.at += SECOND
        fetch = self.session.fetches.pop(0)
        return self.session.answered(fetch, Answer(200, json.dumps(said).encode()), self.at)

    def fail(self, **how: Any) -> list[MarketEvent]:
        """The oldest request cannot be made."""
        self.at += SECOND
        return self.session.fetch_failed(self.session.fetches.pop(0), "no way", self.at, **how)

    def wait(self) -> list[MarketEvent]:
        """Until something is asked."""
        found: list[MarketEvent] = []
        while not self.session.fetches:
            due = self.session.deadline()
            assert due is not None
            self.at = max(self.at, due)
            found += self.session.tick(self.at)
        return found

    def cut(self) -> list[MarketEvent]:
        """The socket is lost."""
        self.at += SECOND
        return self.session.closed("cut", self.at)
