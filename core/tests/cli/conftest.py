"""A made-up exchange with a simulated venue of its own, and the command line as a function."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog

from tickhive.channels import Channel, DataType
from tickhive.cli.main import main
from tickhive.events import Trade
from tickhive.manager.manager import CollectorManager
from tickhive.plugin.contract import Accepted, Answer, Dial, ExchangeSettings, Malformed, Request, SessionView
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.registry import default_registry
from tickhive.plugin.venue import Hangup, Send, SimulatedVenue, VenueLog, VenueOptions
from tickhive.simulation import VenueServer

STEP = 20_000_000


class AcmeVenue(SimulatedVenue):
    """Sends one trade per subscribed symbol every 20 ms.

    ``silent`` forgets to send what it notes as sent, ``babbling`` sends a frame beside that says nothing.
    """

    symbols = ("A-B", "C-D")
    subscriptions = ("trade",)

    def __init__(self, silent: bool = False) -> None:
        self.log = VenueLog()
        self.silent = silent
        self.babbling = False
        self._subscribed: dict[int, list[str]] = {}
        self._out: list[Send | Hangup] = []
        self._next = 0
        self._ids = 0

    def opened(self, connection: int, path: str, at: int) -> None:
        self._subscribed[connection] = []

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        self._subscribed[connection] += json.loads(frame)["subscribe"]
        self._out.append(Send(connection, json.dumps({"ok": json.loads(frame)["id"]})))

    def closed(self, connection: int, at: int) -> None:
        self._subscribed.pop(connection, None)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        return Answer(404, b"")

    def advance(self, at: int) -> int | None:
        if at >= self._next:
            self._next = at + STEP
            for connection, symbols in self._subscribed.items():
                if self.babbling:
                    self._out.append(Send(connection, "{}"))
                for symbol in symbols:
                    self._ids += 1
                    self.log.count(symbol, DataType.TRADE)
                    if not self.silent:
                        trade = json.dumps({"s": symbol, "i": self._ids, "p": "10.5"})
                        self._out.append(Send(connection, trade))
        return self._next

    def outgoing(self) -> Sequence[Send | Hangup]:
        out, self._out = self._out, []
        return out


class Acme:
    """The plugin for it."""

    def __init__(self, venue: AcmeVenue | None = None) -> None:
        self._venue = venue

    @hookimpl
    def connect(self, channels: Sequence[Channel], settings: ExchangeSettings) -> Sequence[Dial]:
        for channel in channels:
            if channel.data_type is not DataType.TRADE:
                raise ValueError(f"acme has no {channel}")
        return [Dial("all", (f"{settings.url or 'ws://127.0.0.1:9'}/v1",), channels)]

    @hookimpl
    def subscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        number = session.next_id()
        frame = json.dumps({"id": number, "subscribe": [channel.native for channel in channels]})
        return [Request(frame, channels, number)]

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Any]:
        said = json.loads(frame)
        if "ok" in said:
            return [Accepted(id=said["ok"])]
        if "s" in said:
            return [Trade("acme", said["s"], None, at, str(said["i"]), "buy", Decimal(said["p"]), Decimal(1))]
        return [Malformed("neither a trade nor an answer")]

    @hookimpl
    def hosts(self) -> Sequence[str]:
        return ["ws.acme.test"]

    @hookimpl
    def venue(self, options: VenueOptions) -> SimulatedVenue | None:
        return self._venue


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test in a directory of its own; what the command line set in the process goes back."""
    monkeypatch.chdir(tmp_path)
    root, own = logging.getLogger(), logging.getLogger("tickhive")
    before = root.level, own.level, list(root.handlers)
    yield
    structlog.reset_defaults()
    root.setLevel(before[0])
    own.setLevel(before[1])
    root.handlers[:] = before[2]
    CollectorManager._forget_instance()


@pytest.fixture
def venue() -> AcmeVenue:
    return AcmeVenue()


@pytest.fixture
def acme(venue: AcmeVenue) -> Iterator[AcmeVenue]:
    """The exchange, registered in this process."""
    default_registry().register("acme", Acme(venue))
    yield venue
    default_registry().unregister("acme")


@pytest.fixture
def served(acme: AcmeVenue) -> Iterator[str]:
    """The address of the venue, served by a thread of its own."""
    started = threading.Event()
    loop = asyncio.new_event_loop()
    server = VenueServer(acme)

    async def serve() -> None:
        await server.start()
        started.set()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(serve(), loop)
    assert started.wait(10)
    yield server.url
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


class Said:
    """What a command printed and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def tickhive(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Said]:
    """The command line: ``tickhive("run", "acme", ...)``."""

    def call(*arguments: str | Path) -> Said:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Said(int(ended.value.code or 0), out.decode(), err.decode())

    return call


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[..., Path]:
    def write(url: str, **more: str) -> Path:
        path = tmp_path / f"config-{time.monotonic_ns()}.toml"
        path.write_text(
            f'[exchanges.acme]\nurl = "{url}"\n'
            '[[collectors]]\nexchange = "acme"\nsymbols = ["A-B", "C-D"]\ndata_types = ["trade"]\n'
            + "".join(more.values())
        )
        path.chmod(0o600)
        return path

    return write
