"""What the tests of both protocols share: a stand-in for a socket, keys, and the recorded traffic."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tickhive.plugin import (
    Answer,
    Channel,
    Credentials,
    DataType,
    Dial,
    Event,
    Fetch,
    InstrumentTable,
    InstrumentUpdate,
)
from tickhive.recording import Line
from tickhive.testing import frames_of
from tickhive_coinbase.advanced import plugin as advanced
from tickhive_coinbase.exchange import plugin as exchange

AT = 1_791_369_351_500_000_000
PLUGINS = {"coinbase": advanced, "coinbase-exchange": exchange}
SECRET = b64encode(b"a secret of the simulated account").decode()


def _made_up_key() -> str:
    """An EC key that is the same every time: its private number is a text."""
    key = ec.derive_private_key(int.from_bytes(b"tickhive simulated account", "big"), ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


EC_KEY = _made_up_key()


@define
class View:
    """A socket as a plugin sees it."""

    exchange: str = "coinbase"
    settings: Any = None
    dial: Dial | None = None
    account: str = ""
    memory: Any = None
    instruments: InstrumentTable = field(factory=lambda: InstrumentTable("coinbase"))
    _ids: Iterator[int] = field(factory=lambda: itertools.count(1))

    def __attrs_post_init__(self) -> None:
        self.settings = self.settings or self.plugin.settings()()
        self.memory = self.plugin.memory()

    @property
    def plugin(self) -> Any:
        return PLUGINS[self.exchange]

    def next_id(self) -> str:
        return str(next(self._ids))

    def parse(self, frame: bytes | str | dict[str, Any], at: int = AT) -> Sequence[Event]:
        if isinstance(frame, dict):
            frame = json.dumps(frame, separators=(",", ":"))
        answer: Sequence[Event] = self.plugin.parse(self, frame.encode() if isinstance(frame, str) else frame, at)
        return answer

    def read(
        self, url: str, body: Any, channel: Channel | None = None, headers: dict[str, str] | None = None
    ) -> Sequence[Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer: Sequence[Any] = self.plugin.read(self, Fetch(url, channel=channel), Answer(200, raw, headers or {}), AT)
        return answer

    def learn(self, events: Sequence[Any]) -> None:
        self.instruments.extend(event.instrument for event in events if isinstance(event, InstrumentUpdate))

    def ask(self, *channels: Channel, credentials: Credentials | None = None, at: int = AT) -> list[Any]:
        return [json.loads(r.frame) for r in self.plugin.subscribe(self, channels, credentials, at)]


@pytest.fixture(scope="session")
def make_view() -> Callable[..., View]:
    return View


@pytest.fixture
def advanced_view() -> View:
    return View("coinbase")


@pytest.fixture
def exchange_view() -> View:
    return View("coinbase-exchange")


@pytest.fixture(scope="session")
def channel() -> Callable[..., Channel]:
    def make(data_type: str, native: str = "BTC-USD", symbol: str = "") -> Channel:
        kind, _, params = data_type.partition(":")
        return Channel(symbol or native, native, DataType(kind), params)

    return make


@pytest.fixture(scope="session")
def keys() -> dict[str, Credentials]:
    return {
        "coinbase": Credentials("main", "organizations/o-1/apiKeys/k-19d2c4", EC_KEY),
        "coinbase-exchange": Credentials("main", "k-19d2c4-exchange", SECRET, "a-phrase-5e3f90"),
    }


@pytest.fixture(scope="session")
def exchange_2021(recorded: Callable[[str], Path]) -> list[Line]:
    """What came on sockets."""
    return frames_of(recorded("coinbase-exchange-2021.jsonl.gz"))


@pytest.fixture(scope="session")
def advanced_2026(recorded: Callable[[str], Path]) -> list[Line]:
    """What came on sockets."""
    return frames_of(recorded("ccxt-2026.jsonl"), hosts=advanced.hosts())
