"""Addresses that hold a token of the moment: a ticket before each dialling, its upkeep, and what fails of both."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from tickhive.channels import EVERY, Channel, DataType
from tickhive.clock import ManualClock
from tickhive.collector.access import VenueAccess
from tickhive.collector.journal import LinkState
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.errors import CredentialsError, FetchError, TickhiveError
from tickhive.events import Balance, MarketEvent
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin import (
    Answer,
    Credentials,
    Dial,
    Event,
    ExchangeSettings,
    Fetch,
    Hangup,
    Limit,
    Malformed,
    Rejected,
    Send,
    SessionView,
    SimulatedVenue,
    VenueLog,
    hookimpl,
)
from tickhive.plugin.stack import ExchangeStack
from tickhive.redaction import _sanitize_error
from tickhive.session.session import Session
from tickhive.simulation import VenueServer

TOKEN = "token-of-the-moment-{}"
MAIN = Credentials("main", key="key-of-main-1")


class TollVenue(SimulatedVenue):
    """Opens its gate to whoever names the latest token, which is good for one socket, and tells balances there."""

    symbols = ()
    subscriptions = ()

    def __init__(self) -> None:
        self.log = VenueLog()
        self.tokens = 0
        self.used: list[str] = []
        self.renewals = 0
        self.asked: list[str] = []
        self.status = 200
        self.said: Any = None
        self._open: list[int] = []
        self._out: list[Send | Hangup] = []

    def opened(self, connection: int, path: str, at: int) -> None:
        token = path.partition("token=")[2]
        if token != TOKEN.format(self.tokens) or token in self.used:
            self._out.append(Hangup(connection, 1008, "no such token"))
            return
        self.used.append(token)
        self._open.append(connection)
        self.tell("1")

    def tell(self, total: str) -> None:
        self._out += [Send(connection, json.dumps({"total": total})) for connection in self._open]

    def kick(self) -> None:
        self._out += [Hangup(connection, 1012, "restart") for connection in self._open]

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        raise AssertionError("the address says it all")

    def closed(self, connection: int, at: int) -> None:
        if connection in self._open:
            self._open.remove(connection)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        self.asked.append(f"{method} {path}")
        if path == "/balance":
            return Answer(200, b'{"coin": "SPARE", "total": "100"}')
        if self.status != 200:
            return Answer(self.status, b"{}")
        if method == "PUT":
            self.renewals += 1
            return Answer(200, b"{}")
        self.tokens += 1
        said = {"token": TOKEN.format(self.tokens)} if self.said is None else self.said
        return Answer(200, json.dumps(said).encode())

    def advance(self, at: int) -> int | None:
        return at + 20_000_000

    def outgoing(self) -> Sequence[Send | Hangup]:
        out, self._out = self._out, []
        return out


class Toll:
    """The plugin for it."""

    def __init__(self, upkeep: float | None = None) -> None:
        self.upkeep = upkeep

    @hookimpl
    def connect(self, channels: Sequence[Channel], settings: ExchangeSettings) -> Sequence[Dial]:
        ticket = Fetch(f"{settings.rest_url}/token", "POST")
        return [Dial("own", [f"{settings.url}/gate"], channels, upkeep=self.upkeep, ticket=ticket)]

    @hookimpl
    def limits(self) -> Sequence[Limit]:
        return [Limit("dial", 1000, 1.0)]

    @hookimpl
    def sign(self, fetch: Fetch, credentials: Credentials | None) -> Fetch:
        return Fetch(fetch.url, fetch.method, {"x-key": credentials.key if credentials else ""}, channel=fetch.channel)

    @hookimpl
    def heartbeat(self, session: SessionView) -> Sequence[Fetch]:
        return [Fetch(f"{session.settings.rest_url}/token", "PUT")]

    @hookimpl
    def snapshot(self, session: SessionView, channel: Channel) -> Fetch:
        return Fetch(f"{session.settings.rest_url}/balance", channel=channel)

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
        said = json.loads(frame)
        return [Balance(session.exchange, said.get("coin", "COIN"), None, at, session.account, Decimal(said["total"]))]

    @hookimpl
    def read(self, session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Dial]:
        said = json.loads(answer.body)
        if "token" in said:
            return [Dial("", [f"{session.settings.url}/gate?token={said['token']}"], ())]
        if "total" in said:
            return self.parse(session, answer.body, at)
        return [Malformed("no token")] if fetch.method == "POST" else []


@asynccontextmanager
async def collecting(
    venue: TollVenue, plugin: Toll | None = None, **toll: Any
) -> AsyncIterator[tuple[PluginCollector, list[MarketEvent]]]:
    async with VenueServer(venue) as server:
        stack = ExchangeStack.from_plugin("toll", plugin or Toll(**toll))
        config = ExchangeCollectorConfig(exchange="toll", data_types=["balance"], account="main")
        settings = ExchangeSettings(url=server.url, rest_url=server.rest_url)
        collector = PluginCollector(stack, config, settings, credentials=MAIN)
        seen: list[MarketEvent] = []
        collector.add_data_callback(DataType.BALANCE, seen.append)
        try:
            with suppress(TickhiveError):
                await collector.start()
            yield collector, seen
        finally:
            await collector.stop()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def totals(seen: list[MarketEvent]) -> list[str]:
    return [str(event.total) for event in seen if isinstance(event, Balance)]


async def test_each_dialling_has_a_ticket_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    venue = TollVenue()
    async with collecting(venue) as (collector, seen):
        await until(lambda: "1" in totals(seen))
        venue.kick()
        await until(lambda: len(venue.used) == 2 and collector.get_status()["connections"][0]["state"] == "open")
        status = repr(collector.get_status())
    assert venue.used == [TOKEN.format(1), TOKEN.format(2)]
    for token in venue.used:
        assert token not in status
        assert token not in caplog.text
        assert token not in _sanitize_error(f"the venue says it does not know {token}")


async def test_how_a_channel_stands_is_asked_when_the_address_carried_it() -> None:
    venue = TollVenue()
    async with collecting(venue) as (_, seen):
        await until(lambda: "100" in totals(seen))
    assert venue.asked.count("GET /balance") == 1


async def test_what_keeps_a_socket_valid_is_asked_for() -> None:
    venue = TollVenue()
    async with collecting(venue, upkeep=0.05) as (collector, _):
        await until(lambda: venue.renewals >= 3)
        assert collector.get_status()["connections"][0]["rollovers"] == 0


async def test_a_socket_that_cannot_be_kept_valid_is_replaced() -> None:
    venue = TollVenue()
    async with collecting(venue, upkeep=0.05) as (collector, seen):
        await until(lambda: venue.renewals)
        venue.status = 400
        await until(lambda: "valid failed" in str(collector.get_status()["connections"][0]["rolling"]))
        venue.tell("7")
        await until(lambda: "7" in totals(seen))
        venue.status = 200
        await until(lambda: collector.get_status()["connections"][0]["rollovers"] >= 1)
    assert venue.tokens >= 2


async def test_an_answer_without_an_address_is_asked_for_again() -> None:
    venue = TollVenue()
    venue.said = {}
    async with collecting(venue) as (collector, seen):
        await until(lambda: "names no address" in str(collector.get_status()["connections"][0]["last_error"]))
        assert venue.used == []
        venue.said = None
        await until(lambda: totals(seen))


async def test_an_answer_the_plugin_stumbles_over_is_asked_for_again() -> None:
    venue = TollVenue()
    venue.said = 5
    async with collecting(venue) as (collector, seen):
        await until(lambda: "read hook failed" in str(collector.get_status()["connections"][0]["last_error"]))
        venue.said = None
        await until(lambda: "1" in totals(seen))
        venue.said = 5
        (link,) = collector._connections.links  # type: ignore[union-attr]
        link.roll_over("to see")
        await until(lambda: link.failing)
        assert link.state is LinkState.OPEN
        venue.tell("9")
        await until(lambda: "9" in totals(seen))


class Judge(Toll):
    """Knows what the venue's errors mean; some other way than their status says."""

    def __init__(self, verdict: Rejected | None) -> None:
        super().__init__()
        self.verdict = verdict

    @hookimpl
    def refused(self, answer: Answer) -> Rejected | None:
        if self.verdict is None:
            raise ValueError("this is no JSON")
        return self.verdict


async def fetched(status: int, verdict: Rejected | None) -> TickhiveError:
    """What becomes of a request the venue answers with an error."""
    venue = TollVenue()
    venue.status = status
    async with VenueServer(venue) as server:
        settings = ExchangeSettings(url=server.url, rest_url=server.rest_url)
        stack = ExchangeStack.from_plugin("toll", Judge(verdict))
        access = VenueAccess(stack, settings, ManualClock(), credentials=MAIN)
        access._make_fetcher = partial(access._make_fetcher, attempts=1)
        access.join(venue)
        with pytest.raises(TickhiveError) as caught:
            await access.fetch_all(Fetch(f"{server.rest_url}/token", "POST"))
        await access.leave(venue)
    return caught.value


@pytest.mark.parametrize(
    ("status", "verdict", "final"),
    [
        (400, Rejected("no such key", "credentials"), True),
        (401, Rejected("your clock is late", "retry"), False),
        (401, None, True),
        (503, None, False),
    ],
)
async def test_what_the_plugin_makes_of_an_error_counts_and_else_its_status(
    status: int, verdict: Rejected | None, final: bool
) -> None:
    error = await fetched(status, verdict)
    assert isinstance(error, CredentialsError) if final else isinstance(error, FetchError) and error.retryable


async def test_the_plugins_word_about_a_401_counts() -> None:
    error = await fetched(401, Rejected("there is no such page", "request"))
    assert isinstance(error, FetchError)
    assert not error.retryable


class Clumsy(Toll):
    """Cannot sign what it asks about a balance."""

    @hookimpl
    def sign(self, fetch: Fetch, credentials: Credentials | None) -> Fetch:
        if fetch.channel is not None:
            raise KeyError("nonce")
        return super().sign(fetch, credentials)


async def test_a_request_that_cannot_be_signed_is_a_request_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []

    def fetch_failed(self: Session, fetch: Fetch, reason: str, at: int, **_: bool) -> list[MarketEvent]:
        failed.append(reason)
        return []

    monkeypatch.setattr(Session, "fetch_failed", fetch_failed)
    async with collecting(TollVenue(), plugin=Clumsy()) as (_, seen):
        await until(lambda: "1" in totals(seen))
        await until(lambda: failed)
    assert "sign hook failed" in failed[0]


async def test_an_account_that_gets_no_ticket_is_tried_once() -> None:
    venue = TollVenue()
    venue.status = 401
    async with collecting(venue) as (collector, _):
        await until(lambda: collector.get_status()["status"] == "error")
        assert venue.asked == ["POST /token"]


async def test_an_account_that_gets_no_further_ticket_keeps_the_socket_it_has() -> None:
    venue = TollVenue()
    async with collecting(venue) as (collector, seen):
        await until(lambda: "1" in totals(seen))
        venue.status = 401
        (link,) = collector._connections.links  # type: ignore[union-attr]
        link.roll_over("to see")
        await until(lambda: "401" in str(link.journal.last_error))
        assert link.state is LinkState.OPEN
        venue.tell("8")
        await until(lambda: "8" in totals(seen))


def test_channels_of_an_account_are_for_all_symbols() -> None:
    (dial,) = Toll().connect([Channel(EVERY, EVERY, DataType.BALANCE)], ExchangeSettings())
    assert dial.ticket is not None
