"""``tickhive plugins``: every package with its version, API, data types, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import define
from click.testing import CliRunner

from tickhive.channels import Channel, DataType
from tickhive.cli import plugins_command
from tickhive.plugin import Dial, ExchangeSettings, Fetch, Poll, hookimpl
from tickhive.plugin.registry import PluginRegistry


class Acme:
    """Trades and candles of one minute; open interest by REST; orders with an account."""

    HAS = (DataType.TRADE, DataType.CANDLE, DataType.ORDER)

    @hookimpl
    def connect(self, channels: Sequence[Channel], credentials: Any) -> Sequence[Dial | Fetch]:
        for channel in channels:
            if channel.data_type not in self.HAS:
                raise ValueError(f"{channel}: not here")
            if channel.data_type is DataType.CANDLE and channel.params != "1m":
                raise ValueError(f"{channel}: 1m only")
            assert channel.data_type is not DataType.ORDER or credentials is not None
        return [Dial("main", ["ws://127.0.0.1:1"], channels)]

    @hookimpl
    def poll(self, channel: Channel) -> Poll | None:
        return Poll(Fetch("http://127.0.0.1:1"), 1.0) if channel.data_type is DataType.OPEN_INTEREST else None

    @hookimpl
    def parse(self) -> Sequence[Any]:
        return ()


class Failing(Acme):
    @hookimpl
    def connect(self, channels: Sequence[Channel], credentials: Any) -> Sequence[Dial | Fetch]:
        raise RuntimeError("out of order")


@define(kw_only=True)
class Demanding(ExchangeSettings):
    region: str


class Strict(Acme):
    @hookimpl
    def settings(self) -> type:
        return Demanding


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> PluginRegistry:
    monkeypatch.delenv("TICKHIVE_BLOCK_PLUGINS", raising=False)
    registry = PluginRegistry(blocked=["initech"])
    for name, plugin in (("acme", Acme()), ("globex", Failing()), ("initech", Acme()), ("hooli-very-long", Strict())):
        registry.register(name, plugin)
    monkeypatch.setattr(plugins_command, "default_registry", lambda: registry)
    return registry


def listing(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(plugins_command.command, arguments)
    return done.exit_code, done.output


@pytest.mark.usefixtures("registry")
def test_the_json_says_everything() -> None:
    code, out = listing("--json")
    rows = {row["name"]: row for row in json.loads(out)["exchanges"]}
    assert rows["acme"] == {
        "name": "acme",
        "distribution": None,
        "version": None,
        "api_version": 1,
        "data_types": ["trade", "candle", "open_interest", "order"],
        "simulated_venue": False,
        "status": "available",
        "reason": "",
        "remedy": "",
        "deprecations": [],
    }
    broken = rows["globex"]
    assert broken["status"] == "broken"
    assert broken["reason"] == "its connect hook failed: RuntimeError: out of order"
    assert broken["remedy"] == "Report this to its authors"
    assert broken["data_types"] is None
    assert rows["initech"]["status"] == "blocked"
    assert rows["initech"]["reason"] == "it is blocked by a setting"
    assert rows["hooli-very-long"]["status"] == "available"
    assert rows["hooli-very-long"]["data_types"] is None, "it cannot be asked without settings of the user's"
    assert code == 1, "one of them cannot be used"


@pytest.mark.usefixtures("registry")
def test_the_table_is_for_people() -> None:
    _, out = listing()
    lines = out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.split()[:2] == ["acme", "available"])
    assert "API 1" in lines[at]
    assert lines[at + 1] == "      trade, candle, open_interest, order"
    assert any(
        "its connect hook failed: RuntimeError: out of order. Report this to its authors" in each for each in lines
    )
    assert max(map(len, lines)) <= 120
    names = [line for line in lines if " available " in line and line.startswith("  ") and "API" in line]
    assert len({line.index("available") for line in names}) == 1, "columns stand under each other"
