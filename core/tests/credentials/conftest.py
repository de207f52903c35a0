"""A made-up exchange whose private side takes a login and signed requests, and its simulated venue."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest

from tickhive.channels import Channel, DataType
from tickhive.events import Balance, Order, Trade
from tickhive.plugin.contract import (
    Accepted,
    Answer,
    Credentials,
    Dial,
    Event,
    ExchangeSettings,
    Fetch,
    Limit,
    Malformed,
    Poll,
    Ready,
    Rejected,
    Request,
    SessionView,
)
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.venue import Hangup, Send, SimulatedVenue, VenueLog
from tickhive.simulation import VenueServer

STEP = 20_000_000


def signature(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class VaultVenue(SimulatedVenue):
    """Sends trades to everybody and orders to whoever has logged in. A refusal quotes all that was sent to it."""

    symbols = ("A-B",)
    subscriptions = ("trade",)

    def __init__(self, accounts: Mapping[str, tuple[str, str]]) -> None:
        self.log = VenueLog()
        self.accounts = dict(accounts)
        self.logins: list[str] = []
        self.signed: list[str] = []
        self._wanted: dict[int, list[str]] = {}
        self._known: dict[int, str] = {}
        self._out: list[Send | Hangup] = []
        self._next = 0
        self._ids = 0

    def opened(self, connection: int, path: str, at: int) -> None:
        self._wanted[connection] = []

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        said = json.loads(frame)
        if "login" in said:
            key = said["login"]
            self.logins.append(key)
            secret, passphrase = self.accounts.get(key, ("", ""))
            if said["passphrase"] == passphrase and said["sign"] == signature(secret, str(said["at"])):
                self._known[connection] = key
                self._say(connection, {"welcome": 1})
            else:
                self._say(connection, {"refused": f"bad login {json.dumps(said)}"})
        elif said["channel"] != "trade" and connection not in self._known:
            self._say(connection, {"refused": "log in first"})
        else:
            self._wanted[connection].append(said["channel"])
            self._say(connection, {"ok": said["id"]})

    def closed(self, connection: int, at: int) -> None:
        self._wanted.pop(connection, None)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        key, at_text = headers.get("x-vault-key", ""), headers.get("x-vault-at", "")
        self.signed.append(key)
        if headers.get("x-vault-sign") == signature(self.accounts.get(key, ("", ""))[0], at_text):
            return Answer(200, json.dumps({"currency": "B", "total": "12.5"}).encode())
        return Answer(401, json.dumps({"error": "not signed by its owner", "sent": dict(headers)}).encode())

    def advance(self, at: int) -> int | None:
        if at >= self._next:
            self._next = at + STEP
            self._ids += 1
            for connection, channels in self._wanted.items():
                for channel in channels:
                    self._say(connection, {channel: self._ids})
        return self._next

    def outgoing(self) -> Sequence[Send | Hangup]:
        out, self._out = self._out, []
        return out

    def _say(self, connection: int, message: Mapping[str, Any]) -> None:
        self._out.append(Send(connection, json.dumps(message)))


class Vault:
    """The plugin for it: a public socket, a private one, and balances by signed requests.

    ``clumsy`` fails once when it signs, with the secret in what it raises.
    """

    def __init__(self, clumsy: bool = False) -> None:
        self.clumsy = clumsy

    @hookimpl
    def connect(self, channels: Sequence[Channel], settings: ExchangeSettings) -> Sequence[Dial]:
        sides: dict[str, list[Channel]] = {}
        for channel in channels:
            sides.setdefault("private" if channel.data_type.private else "public", []).append(channel)
        return [Dial(side, [f"{settings.url}/{side}"], each, login=side == "private") for side, each in sides.items()]

    @hookimpl
    def limits(self) -> Sequence[Limit]:
        return [Limit("dial", 1000, 1.0)]

    @hookimpl
    def authenticate(self, session: SessionView, credentials: Credentials, at: int) -> Sequence[Request]:
        sign = signature(credentials.secret, str(at))
        login = {"login": credentials.key, "passphrase": credentials.passphrase, "at": at, "sign": sign}
        return [Request(json.dumps(login))]

    @hookimpl
    def poll(self, channel: Channel, settings: ExchangeSettings) -> Poll | None:
        return Poll(Fetch(f"{settings.rest_url}/balance"), 0.05) if channel.data_type is DataType.BALANCE else None

    @hookimpl
    def sign(self, fetch: Fetch, credentials: Credentials | None, at: int) -> Fetch:
        if credentials is None:
            return fetch
        if self.clumsy:
            self.clumsy = False
            raise RuntimeError(f"cannot sign with {credentials.secret} of {credentials.key}")
        sign = signature(credentials.secret, str(at))
        return attrs.evolve(
            fetch, headers={"X-Vault-Key": credentials.key, "X-Vault-At": str(at), "X-Vault-Sign": sign}
        )

    @hookimpl
    def read(self, session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event]:
        said = json.loads(answer.body)
        return [Balance("vault", said["currency"], None, at, session.account, Decimal(said["total"]))]

    @hookimpl
    def subscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        return [
            Request(json.dumps({"channel": channel.data_type.value, "id": number}), [channel], number)
            for channel in channels
            for number in [session.next_id()]
        ]

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
        said: dict[str, Any] = json.loads(frame)
        one = Decimal(1)
        match said:
            case {"welcome": _}:
                return [Ready()]
            case {"refused": why}:
                return [Rejected(why, "credentials")]
            case {"ok": number}:
                return [Accepted(id=number)]
            case {"trade": number}:
                return [Trade("vault", "A-B", None, at, str(number), "buy", one, one)]
            case {"order": number}:
                return [Order("vault", "A-B", None, at, session.account, str(number), "buy", "limit", "open", one, one)]
        return [Malformed("neither data nor an answer")]


GOOD = Credentials("main", "Kx81-main-key-9", "tH3-s3cr3t/of+main==", "pass phrase: of main")
BAD = Credentials("other", "Kx82-other-key-7", "wr0ng/s3cr3t+of other", "no such phrase?")


@pytest.fixture
def stack() -> ExchangeStack:
    return ExchangeStack.from_plugin("vault", Vault())


@pytest.fixture
async def vault() -> AsyncIterator[VaultVenue]:
    """The venue, which knows one account."""
    venue = VaultVenue({GOOD.key: (GOOD.secret, GOOD.passphrase)})
    server = VenueServer(venue)
    await server.start()
    venue.settings = {"url": server.url, "rest_url": server.rest_url}  # type: ignore[attr-defined]
    yield venue
    await server.stop()


@pytest.fixture
def until() -> Callable[..., Any]:
    async def until(predicate: Callable[[], object], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not predicate():  # noqa: ASYNC110 - a status is asked for, not awaited
                await asyncio.sleep(0.01)

    return until
