"""What the tests of OKX's protocol share: a stand-in for a socket, and what was recorded."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tickhive.plugin import Answer, Channel, Dial, Event, Fetch, InstrumentTable, InstrumentUpdate
from tickhive.recording import Line
from tickhive.testing import frames_of
from tickhive_okx import plugin
from tickhive_okx.settings import OKXSettings

AT = 1_791_369_351_500_000_000


@define
class View:
    """A socket as the plugin sees it."""

    settings: OKXSettings = field(factory=OKXSettings)
    dial: Dial | None = None
    exchange: str = "okx"
    account: str = ""
    memory: Any = field(factory=plugin.memory)
    instruments: InstrumentTable = field(factory=lambda: InstrumentTable("okx"))
    _ids: Iterator[int] = field(factory=lambda: itertools.count(1))

    def next_id(self) -> str:
        return str(next(self._ids))

    def parse(self, frame: bytes | str | dict[str, Any], at: int = AT) -> Sequence[Event]:
        if isinstance(frame, dict):
            frame = json.dumps(frame, separators=(",", ":"))
        return plugin.parse(self, frame.encode() if isinstance(frame, str) else frame, at)

    def read(self, asked: Fetch | str, body: Any, channel: Channel | None = None) -> Sequence[Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fetch = Fetch(asked, channel=channel) if isinstance(asked, str) else asked
        return plugin.read(self, fetch, Answer(200, raw), AT)

    def learn(self, events: Sequence[Event | Fetch]) -> None:
        self.instruments.extend(event.instrument for event in events if isinstance(event, InstrumentUpdate))

    def ask(self, *channels: Channel) -> Sequence[Any]:
        return plugin.subscribe(self, channels)


@pytest.fixture
def view() -> View:
    return View()


@pytest.fixture(scope="session")
def make_view() -> Callable[..., View]:
    return View


@pytest.fixture(scope="session")
def okx_2022(recorded: Callable[[str], Path]) -> list[Line]:
    """What came on sockets."""
    return frames_of(recorded("okx-2022.jsonl.gz"))


@pytest.fixture(scope="session")
def okx_2022_answers(recorded: Callable[[str], Path]) -> list[Line]:
    """What came by REST: the instruments."""
    return frames_of(recorded("okx-2022.jsonl.gz"), "http")


@pytest.fixture(scope="session")
def okx_2026(recorded: Callable[[str], Path]) -> list[Line]:
    """What came on sockets."""
    return frames_of(recorded("ccxt-2026.jsonl"), hosts=plugin.hosts())
