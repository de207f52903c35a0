"""Middleware: where it can be stacked, in which order it stands, who shares what, and that nobody else pays for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tickhive.channels import Channel
from tickhive.clock import ManualClock
from tickhive.collector.access import shared_access
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.errors import ConfigurationError, PluginError
from tickhive.exchanges import ExchangeCollectorConfig, ExchangeFactory
from tickhive.plugin import Dial, ExchangeSettings, hookimpl
from tickhive.plugin.registry import PluginRegistry
from tickhive.plugin.stack import ExchangeStack


class Acme:
    @hookimpl
    def connect(self, channels: Sequence[Channel]) -> Sequence[Dial]:
        return [Dial("main", ["ws://127.0.0.1:1"], channels)]

    @hookimpl
    def parse(self, frame: bytes) -> Sequence[Any]:
        return [frame]


class Tag:
    """Adds its name to what ``parse`` answers."""

    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl(wrapper=True)
    def parse(self) -> Any:
        return [*(yield), self.name]


class Listed:
    """Touches how instruments are listed."""

    @hookimpl(wrapper=True)
    def instruments(self) -> Any:
        return (yield)


class NotAWrapper:
    @hookimpl
    def parse(self) -> Sequence[Any]:
        return ()


class Future(Tag):
    TICKHIVE_API = 99


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> PluginRegistry:
    monkeypatch.delenv("TICKHIVE_BLOCK_PLUGINS", raising=False)
    registry = PluginRegistry()
    monkeypatch.setattr(ExchangeFactory, "registry", registry)
    monkeypatch.setattr(ExchangeFactory, "_classes", {})
    monkeypatch.setattr(ExchangeFactory, "_middleware", [])
    for name in ("acme", "globex"):
        ExchangeFactory.register(name, Acme())
    return registry


def config(exchange: str = "acme") -> ExchangeCollectorConfig:
    return ExchangeCollectorConfig(exchange=exchange, symbol="A-B", data_types=["trade"])


def answer(collector: Any) -> Any:
    return collector.stack.bound("parse")(None, b"f", 0)


def test_the_last_stacked_stands_outermost_and_a_collectors_own_around_all() -> None:
    ExchangeFactory.stack(None, Tag("all"))
    ExchangeFactory.stack("acme", Tag("acme"))
    own = ExchangeFactory.create_collector(config(), middleware=[Tag("mine"), Tag("outer")])
    assert answer(own) == [b"f", "all", "acme", "mine", "outer"]
    assert answer(ExchangeFactory.create_collector(config())) == [b"f", "all", "acme"]
    assert answer(ExchangeFactory.create_collector(config("globex"))) == [b"f", "all"]
    several = ExchangeFactory.create_multiple_collectors([config(), config("globex")], middleware=[Tag("mine")])
    assert [answer(each) for each in several] == [[b"f", "all", "acme", "mine"], [b"f", "all", "mine"]]


def test_what_is_unstacked_is_gone_from_the_next_collector_on() -> None:
    first, second = Tag("first"), Tag("second")
    for each in (first, second):
        ExchangeFactory.stack("acme", each)
    made = ExchangeFactory.create_collector(config())
    ExchangeFactory.unstack("acme", first)
    ExchangeFactory.unstack(None, second)
    assert answer(ExchangeFactory.create_collector(config())) == [b"f", "second"]
    assert answer(made) == [b"f", "first", "second"]


def test_without_middleware_the_plugins_own_function_is_called(registry: PluginRegistry) -> None:
    """None stacked, none paid: what a socket calls for each frame is what the plugin's author wrote."""

    class Complete:
        @hookimpl
        def connect(self, channels: Sequence[Channel]) -> Sequence[Dial]:
            return [Dial("main", ["ws://127.0.0.1:1"], channels)]

        @hookimpl
        def parse(self, session: Any, frame: bytes, at: int) -> Sequence[Any]:
            return [frame]

    plugin = Complete()
    registry.register("initech", plugin)
    made = ExchangeFactory.create_collector(config("initech"))
    assert isinstance(made, PluginCollector)
    assert made.stack.bound("parse") == plugin.parse
    assert made.stack is registry.load("initech")
    wrapped = made.stack.with_middleware([Listed()])
    assert wrapped.bound("parse") == plugin.parse, "and a wrapper on one hook costs the others nothing"


def test_equal_middleware_is_one_stack() -> None:
    tag, other = Tag("x"), Tag("x")
    stack = ExchangeFactory.load("acme")
    same = stack.with_middleware([tag])
    assert stack.with_middleware([tag]) is same
    assert stack.with_middleware([other]) is not same
    assert same.with_middleware([other]).origin is same.origin is stack is stack.origin


async def test_collectors_with_and_without_middleware_share_the_venues_limits() -> None:
    clock, settings = ManualClock(), ExchangeSettings()
    stack = ExchangeFactory.load("acme")
    tagged, listed = stack.with_middleware([Tag("x")]), stack.with_middleware([Listed()])
    plain, marked, relisted = (shared_access(each, settings, clock) for each in (stack, tagged, listed))
    assert plain.budget is marked.budget is relisted.budget
    assert plain.instruments is marked.instruments
    assert plain.instruments is not relisted.instruments
    assert shared_access(tagged, settings, clock) is marked


@pytest.mark.parametrize(
    ("wrapper", "why"),
    [
        (NotAWrapper(), "NotAWrapper cannot be stacked: parse is not a wrapper.*wrapper=True"),
        (object(), "it wraps no hook"),
        (Tag, "Tag is a class"),
        (Future("x"), "Future cannot be stacked: it is written for plugin API 99.*Upgrade tickhive"),
    ],
)
def test_what_cannot_be_stacked_is_refused(wrapper: object, why: str) -> None:
    with pytest.raises(PluginError, match=why):
        ExchangeFactory.create_collector(config(), middleware=[wrapper])
    ExchangeFactory.stack("globex", wrapper)
    with pytest.raises(PluginError, match=why):
        ExchangeFactory.create_collector(config("globex"))
    assert answer(ExchangeFactory.create_collector(config())) == [b"f"]


def test_an_applications_own_class_has_no_hooks_to_wrap() -> None:
    class Own(PluginCollector):
        def __init__(self, config: ExchangeCollectorConfig) -> None:
            super().__init__(ExchangeStack.from_plugin("own", Acme()), config, ExchangeSettings())

    ExchangeFactory.register("own", Own)
    ExchangeFactory.stack(None, Tag("all"))
    assert type(ExchangeFactory.create_collector(config("own"))) is Own
    with pytest.raises(ConfigurationError, match="own: a collector class of the application has no hooks to wrap"):
        ExchangeFactory.create_collector(config("own"), middleware=[Tag("x")])
