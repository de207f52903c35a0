"""The stack of one exchange: defaults below, plugin on them, wrappers on top; and the author's vocabulary."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
from attrs import define

import tickhive.plugin
from tickhive.errors import PluginError
from tickhive.events import DATA_TYPE_OF
from tickhive.plugin import ExchangeSettings, Fetch, Limit, Unknown, contract, hookimpl, hookspecs
from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.validation import HOOKS


class Acme:
    @hookimpl
    def connect(self, channels: Any) -> Any:
        return ["dial"]

    @hookimpl
    def parse(self, frame: bytes) -> Any:
        return [frame]


class View:
    exchange = "acme"


DEFAULTS: dict[str, Any] = {
    "subscribe": (),
    "unsubscribe": (),
    "instruments": (),
    "limits": (Limit("dial", 1, 1.0),),
    "heartbeat": (),
    "refused": None,
    "snapshot": None,
    "backfill": None,
    "poll": None,
    "checksum": None,
    "settings": ExchangeSettings,
    "memory": None,
    "hosts": (),
    "collector": None,
    "venue": None,
}


@pytest.mark.parametrize(("name", "answer"), DEFAULTS.items())
def test_default(name: str, answer: Any) -> None:
    stack = ExchangeStack.from_plugin("acme", Acme())
    assert getattr(stack.call, name)(**dict.fromkeys(HOOKS[name])) == answer
    assert not stack.offers(name)


def test_defaults_that_look_at_their_arguments() -> None:
    stack = ExchangeStack.from_plugin("acme", Acme())
    fetch = Fetch("https://acme.test/book?key=secret")
    assert stack.call.sign(fetch=fetch, credentials=None, at=0) is fetch
    assert stack.call.read(session=None, fetch=fetch, answer=None, at=0) == (
        Unknown("the answer to GET https://acme.test/book: the plugin has no read hook"),
    )
    with pytest.raises(PluginError, match="there is no authenticate hook"):
        stack.bound("authenticate")(View(), None, 0)


def test_every_hook_is_a_default_a_requirement_or_accounted_for() -> None:
    assert set(HOOKS) == {*DEFAULTS, *hookspecs.REQUIRED_HOOKS, "sign", "read", "authenticate"}


def test_the_plugin_goes_before_the_defaults() -> None:
    @define
    class Settings(ExchangeSettings):
        region: str = "moon"

    class Globex(Acme):
        TICKHIVE_API = 1

        @hookimpl
        def settings(self) -> type:
            return Settings

        @hookimpl
        def limits(self) -> Any:
            return []

    stack = ExchangeStack.from_plugin("globex", Globex(), distribution="tickhive-globex", version="3")
    assert stack.settings_type is Settings
    assert stack.call.limits(settings=None) == stack.bound("limits")(None) == []
    assert stack.offers("limits")
    assert stack.api_version == 1
    assert repr(stack) == "<ExchangeStack globex from tickhive-globex 3: connect, limits, parse, settings>"


def test_wrappers_see_and_change_the_answer_outermost_last() -> None:
    class Tagging:
        def __init__(self, tag: bytes) -> None:
            self.tag = tag

        @hookimpl(wrapper=True)
        def parse(self, frame: bytes) -> Any:
            events = yield
            return [*events, self.tag]

    stack = ExchangeStack.from_plugin("acme", Acme(), [Tagging(b"inner"), Tagging(b"outer")])
    assert stack.bound("parse")(None, b"x", 0) == [b"x", b"inner", b"outer"]
    assert stack.with_middleware([Tagging(b"more")]).bound("parse")(None, b"x", 0)[-1] == b"more"
    assert stack.bound("connect")((), None, None, ()) == ["dial"]
    assert stack.offers("parse")
    assert not stack.offers("read")


def test_a_wrapper_may_turn_an_error_into_an_answer() -> None:
    class Failing(Acme):
        @hookimpl
        def parse(self, frame: bytes) -> Any:
            raise KeyError("x")

    class Catching:
        @hookimpl(wrapper=True)
        def parse(self) -> Any:
            try:
                return (yield)
            except KeyError:
                return ["caught"]

    assert ExchangeStack.from_plugin("acme", Failing(), [Catching()]).bound("parse")(None, b"", 0) == ["caught"]


@pytest.mark.parametrize("ask", ["bound", "offers"])
def test_asking_for_an_unknown_hook(ask: str) -> None:
    with pytest.raises(ValueError, match="there is no hook 'pasre'; did you mean 'parse'"):
        getattr(ExchangeStack.from_plugin("acme", Acme()), ask)("pasre")


def test_stacks_do_not_know_each_other() -> None:
    class Globex(Acme):
        @hookimpl
        def parse(self, frame: bytes) -> Any:
            return [frame, frame]

    acme, globex = ExchangeStack.from_plugin("acme", Acme()), ExchangeStack.from_plugin("globex", Globex())
    assert acme.call.parse(session=None, frame=b"f", at=1) == [b"f"]
    assert globex.call.parse(session=None, frame=b"f", at=1) == [b"f", b"f"]


def test_an_author_finds_every_contract_value_in_one_place() -> None:
    public = {
        name
        for name, value in vars(contract).items()
        if inspect.isclass(value) and value.__module__ == contract.__name__ and not name.startswith("_")
    }
    assert public <= set(tickhive.plugin.__all__)
    for name in (
        *(kind.__name__ for kind in DATA_TYPE_OF),
        "Channel",
        "DataType",
        "EVERY",
        "Instrument",
        "make_symbol",
        "hookimpl",
        "SimulatedVenue",
        "VenueOptions",
        "Trade",
    ):
        assert name in tickhive.plugin.__all__
    assert all(hasattr(tickhive.plugin, name) for name in tickhive.plugin.__all__)


def test_the_vocabulary_is_cheap_to_import() -> None:
    heavy = ["asyncio", "cattrs", "httpx", "structlog", "websockets", "rich", "click"]
    code = f"import sys, tickhive.plugin; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("raised", [KeyError("x"), SystemExit(3)])
def test_a_settings_hook_that_fails_is_blamed_and_ends_nothing(raised: BaseException) -> None:
    class Exiting(Acme):
        @hookimpl
        def settings(self) -> type:
            raise raised

    with pytest.raises(PluginError, match=f"settings hook failed: {type(raised).__name__}"):
        ExchangeStack.from_plugin("acme", Exiting())
