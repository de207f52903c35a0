"""What was written for an earlier API goes on working, end to end; what cannot is refused with words."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from tickhive.channels import DataType
from tickhive.errors import PluginError
from tickhive.events import Gap, MarketEvent, Trade
from tickhive.exchanges import ExchangeCollectorConfig, ExchangeFactory
from tickhive.plugin import API_VERSION, OLDEST_API_VERSION, Credentials, VenueOptions, hookimpl, older, validation
from tickhive.plugin.older import Renaming
from tickhive.plugin.registry import PluginRegistry
from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.validation import HOOKS
from tickhive.simulation import VenueServer

OLD = Path(__file__).parent / "old_plugins"
FROZEN = {"lantern_api_1.py": "750bbbe5e9d81a7e3be8d509752b60874954643eebcb31ec675dee73ae6eac5c"}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> PluginRegistry:
    registry = PluginRegistry()
    monkeypatch.setattr(ExchangeFactory, "registry", registry)
    monkeypatch.setattr(ExchangeFactory, "_classes", {})
    return registry


@pytest.mark.parametrize(("name", "digest"), FROZEN.items())
def test_frozen_plugins_are_not_edited(name: str, digest: str) -> None:
    text = (OLD / name).read_text(encoding="utf-8").encode()
    assert hashlib.sha256(text).hexdigest() == digest, f"{name} was edited: whoever has such a package cannot do that"


def test_there_is_a_frozen_plugin_for_every_api_that_is_spoken() -> None:
    stated = [re.search(r"^TICKHIVE_API = (\d+)$", (OLD / name).read_text(encoding="utf-8"), re.M) for name in FROZEN]
    assert {int(each[1]) for each in stated if each} == set(range(OLDEST_API_VERSION, API_VERSION + 1))


async def test_a_plugin_of_api_1_works_end_to_end(install: Any, registry: PluginRegistry) -> None:
    """Every hook it answers is asked: instruments, snapshots, checksums, polls, the log-in, the refilling of a hole."""
    source = (OLD / "lantern_api_1.py").read_text(encoding="utf-8")
    install("lantern", source, version="0.3")
    stack = registry.load("lantern")
    assert (stack.api_version, stack.package, stack.deprecations) == (1, "tickhive-lantern 0.3", ())
    venue = stack.call.venue(options=VenueOptions(speed=5))
    async with VenueServer(venue) as server:
        config = ExchangeCollectorConfig(
            exchange="lantern",
            symbol="BTC-USDT",
            data_types=["trade", "orderbook", "open_interest", "order"],
            account="mine",
            settings={"url": server.url, "rest_url": server.rest_url, "board": "main"},
        )
        collector = ExchangeFactory.create_collector(config, credentials=Credentials("mine", "key"))
        heard: list[MarketEvent] = []
        collector.add_data_callback(None, heard.append)

        async def wait_for(predicate: Any) -> None:
            async with asyncio.timeout(10):
                while not predicate():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        await collector.start()
        try:
            wanted = {"Trade", "BookSnapshot", "BookDelta", "OpenInterest", "Order"}
            await wait_for(lambda: wanted <= collector.event_counts().keys())
            await wait_for(lambda: collector.get_status()["statistics"]["checksums_verified"] > 3)
            assert collector.book("BTC-USDT").top(1)[0][0][0] == 99
            await wait_for(lambda: collector.event_counts()["Trade"] > 100)
            server.cut()
            await wait_for(lambda: any(isinstance(each, Gap) and each.data_type == "trade" for each in heard))
            [gap] = [each for each in heard if isinstance(each, Gap) and each.data_type is DataType.TRADE]
            assert gap.filled == "whole"
            assert any(isinstance(each, Trade) and each.late for each in heard)
            status = collector.get_status()
            assert status["plugin"]["version"] == "0.3"
            assert status["statistics"]["malformed"] == status["statistics"]["hook_errors"] == 0
            assert status["statistics"]["unknown"] == status["statistics"]["checksums_failed"] == 0
        finally:
            await collector.stop()
        ids = [int(each.id) for each in heard if isinstance(each, Trade)]
        assert sorted(ids) == list(range(min(ids), max(ids) + 1)), "none missing, none twice"


@pytest.mark.parametrize(
    ("exchange", "file", "seen", "remedy"),
    [
        ("ember", "ember_api_0.py", "it is written for plugin API 0, this tickhive speaks 1", "Upgrade the plugin"),
        ("comet", "comet_api_99.py", "it is written for plugin API 99, this tickhive speaks 1", "Upgrade tickhive"),
    ],
)
def test_what_is_too_old_or_too_new_is_refused_with_words(
    install: Any, registry: PluginRegistry, exchange: str, file: str, seen: str, remedy: str
) -> None:
    install(exchange, (OLD / file).read_text(encoding="utf-8"), version="2.1")
    install("acme")
    with pytest.raises(PluginError) as caught:
        registry.load(exchange)
    assert str(caught.value) == f"Exchange plugin '{exchange}' (tickhive-{exchange} 2.1): {seen}. {remedy}"
    found = registry.found()[exchange]
    assert (found.status, found.reason, found.remedy) == ("broken", seen, remedy)
    assert registry.load("acme").exchange == "acme", "the others are untouched"


# A later API that calls things differently


class Elder:
    """Written for API 1, where (let us say) ``parse`` was called ``understand`` and its frame ``message``."""

    TICKHIVE_API = 1

    @hookimpl
    def connect(self, sockets: Any, channels: Any) -> Any:
        return [sockets, channels]

    @hookimpl
    def understand(self, at: int, message: bytes) -> Any:
        return [message, at]

    def parse(self) -> str:
        return "a helper: in API 1 that is no hook"

    @hookimpl(wrapper=True, specname="subscribe")
    def around(self, channels: Any) -> Any:
        return [*(yield), channels]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tickhive of API 3 that still speaks 1 and 2."""
    renamed = {
        "understand": Renaming("parse", {"message": "frame"}),
        "connect": Renaming("connect", {"sockets": "dials"}),
    }
    monkeypatch.setattr(older, "RENAMED", {1: renamed, 2: {}})
    monkeypatch.setattr(validation, "API_VERSION", 3)


@pytest.mark.usefixtures("later")
def test_hooks_and_arguments_of_an_earlier_api_are_understood() -> None:
    stack = ExchangeStack.from_plugin("elder", Elder())
    assert stack.api_version == 1
    assert stack.offers("parse")
    assert stack.bound("parse")(None, b"f", 7) == [b"f", 7]
    assert stack.call.parse(session=None, frame=b"f", at=7) == [b"f", 7]
    assert stack.bound("connect")(("c",), None, None, "d") == ["d", ("c",)]
    assert stack.call.subscribe(session=None, channels="c", credentials=None, at=0) == ["c"]

    class Upper:
        TICKHIVE_API = 3

        @hookimpl(wrapper=True)
        def parse(self, frame: bytes) -> Any:
            return [*(yield), frame]

    assert stack.with_middleware([Upper()]).bound("parse")(None, b"f", 7) == [b"f", 7, b"f"]


@frozen
class Wrong:
    """A plugin of some API with a fault, and the words for it."""

    api: int
    hooks: dict[str, Any]
    words: str


@hookimpl
def connect(channels: Any) -> Any:
    return []


@hookimpl
def parse(frame: bytes) -> Any:
    return []


@hookimpl
def understand(message: bytes) -> Any:
    return []


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "wrong",
    [
        Wrong(3, {"connect": connect, "understand": understand}, "there is no hook understand"),
        Wrong(1, {"connect": connect, "parse": parse}, "there is no hook parse"),
        Wrong(1, {"connect": connect}, r"required hook understand is missing.*understand\(session, message, at\)"),
        Wrong(1, {"connect": connect, "understand": lambda frame: []}, "understand is named like a hook"),
        Wrong(2, {"connect": connect, "understand": understand}, "there is no hook understand"),
    ],
)
def test_each_api_has_its_own_words(wrong: Wrong) -> None:
    from types import ModuleType

    plugin = ModuleType("wrong")
    vars(plugin).update(wrong.hooks, TICKHIVE_API=wrong.api)
    with pytest.raises(PluginError, match=wrong.words):
        ExchangeStack.from_plugin("wrong", plugin)


@pytest.mark.usefixtures("later")
def test_who_says_nothing_was_written_for_the_first_api() -> None:
    """So a package of today that states none goes on being understood."""

    class Silent(Elder):
        pass

    del Elder.TICKHIVE_API
    try:
        stack = ExchangeStack.from_plugin("silent", Silent())
        assert stack.api_version == 1
    finally:
        Elder.TICKHIVE_API = 1


def test_what_is_renamed_exists_today() -> None:
    assert set(older.RENAMED) == set(range(OLDEST_API_VERSION, API_VERSION)), "one table for each earlier API"
    for renamed in older.RENAMED.values():
        for renaming in renamed.values():
            assert set(renaming.arguments.values()) <= set(HOOKS[renaming.hook])
