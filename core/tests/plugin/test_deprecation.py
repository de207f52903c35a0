"""Deprecations: who uses what goes is warned once, when it is loaded, and shown by the command line."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from tickhive.cli import plugins_command
from tickhive.exchanges import ExchangeCollectorConfig, ExchangeFactory
from tickhive.plugin import PluginDeprecationWarning, deprecation, hookimpl
from tickhive.plugin.deprecation import DEPRECATED, Deprecation
from tickhive.plugin.registry import PluginRegistry
from tickhive.plugin.validation import HOOKS

OLDISH = """
from tickhive.plugin import Dial, Poll, hookimpl

TICKHIVE_API = 1

@hookimpl
def connect(channels, dials):
    return [Dial("main", ["ws://127.0.0.1:1"], channels)]

@hookimpl
def parse(frame):
    return []

@hookimpl
def heartbeat(session, at):
    return []
"""

TABLE = {
    "hook": Deprecation(name="heartbeat", since="0.8", gone="1.0", instead="set Dial.heartbeat"),
    "argument": Deprecation(name="connect.dials", since="0.8", gone="1.0", instead="keep nothing"),
    "value": Deprecation(name="Poll", since="0.9", gone="1.1", instead="answer a Schedule"),
    "api": Deprecation(name="API 1", since="0.9", gone="2.0", instead="follow the notes on API 2"),
    "unused hook": Deprecation(name="backfill", since="0.8", gone="1.0", instead="nothing"),
    "unused argument": Deprecation(name="parse.at", since="0.8", gone="1.0", instead="nothing"),
    "unused value": Deprecation(name="Limit", since="0.8", gone="1.0", instead="nothing"),
}
WORDS = {
    "hook": "the hook heartbeat is deprecated since tickhive 0.8 and goes in 1.0: set Dial.heartbeat",
    "argument": "the argument dials of connect is deprecated since tickhive 0.8 and goes in 1.0: keep nothing",
    "value": "Poll of tickhive.plugin is deprecated since tickhive 0.9 and goes in 1.1: answer a Schedule",
    "api": "plugin API 1 is deprecated since tickhive 0.9 and goes in 2.0: follow the notes on API 2",
}


@pytest.fixture
def registry(install: Any, monkeypatch: pytest.MonkeyPatch) -> PluginRegistry:
    install("oldish", OLDISH, version="0.4")
    install("acme", version="3.1")
    registry = PluginRegistry()
    monkeypatch.setattr(ExchangeFactory, "registry", registry)
    monkeypatch.setattr(ExchangeFactory, "_classes", {})
    monkeypatch.setattr(ExchangeFactory, "_middleware", [])
    return registry


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deprecation, "DEPRECATED", tuple(TABLE.values()))


@pytest.fixture
def told() -> Iterator[list[warnings.WarningMessage]]:
    """The warnings given, by the rules a program has that says nothing of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        yield caught


@pytest.mark.usefixtures("table")
def test_what_a_plugin_uses_of_the_deprecated_is_told_in_one_warning(
    registry: PluginRegistry, told: list[warnings.WarningMessage]
) -> None:
    stack = registry.load("oldish")
    assert [str(each) for each in stack.deprecations] == list(WORDS.values())
    [warning] = told
    assert warning.category is PluginDeprecationWarning
    assert str(warning.message) == f"Exchange plugin 'oldish' (tickhive-oldish 0.4): {'; '.join(WORDS.values())}"


@pytest.mark.usefixtures("table")
def test_it_is_told_once_however_many_collectors_use_it(
    registry: PluginRegistry, told: list[warnings.WarningMessage]
) -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def parse(self) -> Any:
            return (yield)

    configs = [
        ExchangeCollectorConfig(exchange="oldish", symbol=symbol, data_types=["trade"]) for symbol in ("A-B", "C-D")
    ]
    collectors = ExchangeFactory.create_multiple_collectors(configs)
    wrapped: Any = ExchangeFactory.create_collector(configs[0], middleware=[Wrapper()])
    assert len(collectors) == 2
    assert len(told) == 1
    assert wrapped.stack.deprecations == registry.load("oldish").deprecations


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("version", ["as a module", "as an instance"])
def test_a_plugin_of_the_application_is_named_too(
    registry: PluginRegistry, told: list[warnings.WarningMessage], version: str
) -> None:
    class Own:
        @hookimpl
        def connect(self, channels: Any) -> Any:
            return []

        @hookimpl
        def parse(self) -> Any:
            return []

        @hookimpl
        def backfill(self) -> Any:
            return None

    plugin: object = Own()
    if version == "as a module":
        module = ModuleType("own")
        vars(module).update(connect=Own().connect, parse=Own().parse, backfill=Own().backfill)
        plugin = module
    registry.register("own", plugin)
    assert "Exchange plugin 'own' (no installed distribution)" in str(told[0].message)
    assert "the hook backfill is deprecated" in str(told[0].message)


def test_nothing_is_told_of_what_nobody_deprecates(
    registry: PluginRegistry, told: list[warnings.WarningMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deprecation, "DEPRECATED", ())
    assert registry.load("oldish").deprecations == ()
    assert told == []


@pytest.mark.usefixtures("table")
def test_the_command_line_shows_it(
    registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch, told: list[warnings.WarningMessage]
) -> None:
    monkeypatch.setattr(plugins_command, "default_registry", lambda: registry)
    rows = {row["name"]: row for row in plugins_command.describe_exchanges(registry)}
    assert rows["oldish"]["deprecations"] == list(WORDS.values())
    assert rows["oldish"]["status"] == "available"
    assert rows["acme"]["deprecations"] == [WORDS["api"]], "it says nothing of its API, so it is of the first"
    assert told == [], "a table that shows them need not warn"
    out = CliRunner().invoke(plugins_command.command, []).output
    assert "deprecated: the hook heartbeat" in out
    listed = json.loads(CliRunner().invoke(plugins_command.command, ["--json"]).output)
    assert {row["name"] for row in listed["exchanges"] if row["deprecations"]} >= {"oldish", "acme"}


def test_the_table_names_what_there_is() -> None:
    import tickhive.plugin

    for each in (*DEPRECATED, *TABLE.values()):
        hook, _, argument = each.name.partition(".")
        known = argument in HOOKS.get(hook, ()) if argument else hook in (*HOOKS, *tickhive.plugin.__all__)
        assert known or each.name.startswith("API "), each.name
        assert each.instead[0].islower(), "an advice follows a colon"
