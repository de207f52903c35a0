"""A replayed socket goes by the key it has live: parse may read what a frame means from its own Dial."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickhive.channels import Channel, DataType
from tickhive.events import Trade
from tickhive.plugin.contract import Dial, ExchangeSettings, SessionView
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.registry import PluginRegistry
from tickhive.plugin.stack import ExchangeStack
from tickhive.recording import Replay
from tickhive.recording.dials import OwnDials

STREAM = "wss://ws.acme.test/v1"
CANDLES = "wss://ws.acme.test/v1/candles"


class Acme:
    """Two sockets; that for candles takes nothing else."""

    TICKHIVE_API = 1

    @hookimpl
    def connect(self, channels: Sequence[Channel]) -> Sequence[Dial]:
        candles = [channel for channel in channels if channel.data_type is DataType.CANDLE]
        others = [channel for channel in channels if channel not in candles]
        if any(channel.data_type is DataType.LIQUIDATION for channel in others):
            raise ValueError("Acme has no liquidations")
        dials = [Dial("slow", (f"{CANDLES}?v=2",), candles)] if candles else []
        return [*dials, Dial("quick", (STREAM,), others)] if others else dials

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Any]:
        assert session.dial is not None
        return [Trade(session.exchange, session.dial.key, None, at, "1", "buy", Decimal(1), Decimal(1))]

    @hookimpl
    def hosts(self) -> Sequence[str]:
        return ("ws.acme.test", "ws2.acme.test")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (STREAM, "quick"),
        (f"{STREAM}?token=1", "quick"),
        (CANDLES, "slow"),
        ("wss://ws2.acme.test/v1", "quick"),
        ("wss://ws.acme.test/v0", "recorded 0.1 wss://ws.acme.test/v0"),
    ],
)
def test_the_key_is_that_of_connect(url: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"t": 1.0, "dir": "in", "kind": "ws", "url": url, "conn": 1, "frame": "{}"}) + "\n")
    registry = PluginRegistry()
    registry.register("acme", Acme())
    seen: list[str] = []
    Replay([path], registry, on_events=lambda events: seen.extend(event.symbol for event in events)).run()
    assert seen == [key]


def test_every_key_is_found_once() -> None:
    dials = OwnDials(ExchangeStack.from_plugin("acme", Acme()), ExchangeSettings())
    assert sorted(dial.key for dial in dials.all()) == ["quick", "slow"]
    assert dials.of("wss://ws.acme.test/v9") is None
