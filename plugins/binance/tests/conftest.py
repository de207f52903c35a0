"""What the tests of Binance's protocol share: a stand-in for a socket, composed frames, recorded traffic beside us."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tickhive.plugin import (
    EVERY,
    Answer,
    Channel,
    Credentials,
    DataType,
    Dial,
    Event,
    Fetch,
    Instrument,
    InstrumentTable,
    InstrumentUpdate,
    Request,
)
from tickhive.recording import Line
from tickhive.testing import frames_of
from tickhive_binance import plugin
from tickhive_binance.settings import BinanceSettings

AT = 1_793_000_001_500_000_000
FRAMES = Path(__file__).parent / "frames"
EXCHANGES = {"binance": plugin.spot, "binance-usdm": plugin.usdm, "binance-coinm": plugin.coinm}
LISTED = {
    "binance": [("BTC-USDT", "BTCUSDT", "BTC", "USDT"), ("ETH-BTC", "ETHBTC", "ETH", "BTC")],
    "binance-usdm": [
        ("BTC-USDT-PERP", "BTCUSDT", "BTC", "USDT"),
        ("BTC-USDT-20261225", "BTCUSDT_261225", "BTC", "USDT"),
    ],
    "binance-coinm": [
        ("BTC-USD-PERP", "BTCUSD_PERP", "BTC", "USD"),
        ("BTC-USD-20261225", "BTCUSD_261225", "BTC", "USD"),
    ],
}


@define
class View:
    """A socket as the plugin sees it."""

    exchange: str = "binance"
    settings: BinanceSettings = field(default=None)
    dial: Dial | None = None
    account: str = ""
    memory: Any = field(factory=plugin.Binance.memory)
    instruments: InstrumentTable = field(default=None)
    _ids: Iterator[int] = field(factory=lambda: itertools.count(1))

    def __attrs_post_init__(self) -> None:
        self.settings = self.settings or EXCHANGES[self.exchange].settings()()
        if self.instruments is None:
            self.instruments = InstrumentTable(self.exchange)
            for symbol, native, base, quote in LISTED[self.exchange]:
                kind: Any = "spot" if self.exchange == "binance" else "perpetual"
                self.instruments.add(Instrument(self.exchange, symbol, native, kind, base, quote))

    @property
    def plugin(self) -> plugin.Binance:
        return EXCHANGES[self.exchange]

    def next_id(self) -> str:
        return str(next(self._ids))

    def parse(self, frame: bytes | str | dict[str, Any] | list[Any], at: int = AT) -> Sequence[Event]:
        if isinstance(frame, dict | list):
            frame = json.dumps(frame, separators=(",", ":"))
        return self.plugin.parse(self, frame.encode() if isinstance(frame, str) else frame, at)

    def read(
        self, url: str, body: Any, channel: Channel | None = None, method: str = "GET"
    ) -> Sequence[Event | Fetch | Dial]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.plugin.read(self, Fetch(url, method, channel=channel), Answer(200, raw), AT)

    def learn(self, events: Sequence[Any]) -> None:
        self.instruments.extend(event.instrument for event in events if isinstance(event, InstrumentUpdate))

    def channel(self, text: str, symbol: str = "") -> Channel:
        """``candle:1m`` of a symbol, of the first one listed where none is named."""
        name, _, params = text.partition(":")
        data_type = DataType(name)
        if data_type.private:
            return Channel(EVERY, EVERY, data_type, params)
        symbol = symbol or LISTED[self.exchange][0][0]
        return Channel(symbol, self.instruments.native(symbol), data_type, params)

    def ask(self, *texts: str, credentials: Credentials | None = None) -> Sequence[Request]:
        return self.plugin.subscribe(self, [self.channel(text) for text in texts], credentials, AT)


@pytest.fixture(scope="session")
def make_view() -> Callable[..., View]:
    return View


@pytest.fixture(params=sorted(EXCHANGES))
def exchange(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def view(exchange: str) -> View:
    """A socket of each of the three markets in turn."""
    return View(exchange)


@pytest.fixture(scope="session")
def composed() -> Callable[..., list[Line]]:
    """The frames composed to the documented shapes, of one exchange: ``composed("binance", "http")``."""
    return lambda exchange, kind: frames_of(FRAMES / exchange, kind)
