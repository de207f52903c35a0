"""Everything a plugin or a middleware can get wrong before it is called, as a table."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType, SimpleNamespace
from typing import Any

import pluggy
import pytest

from tickhive.errors import PluginError
from tickhive.plugin import API_VERSION, hookimpl
from tickhive.plugin.stack import ExchangeStack

FAULTS = {
    "unknown hook": ("@hookimpl\ndef pasre(frame): ...", "there is no hook pasre", "Rename it to parse"),
    "far from any hook": ("@hookimpl\ndef zzzz(): ...", "there is no hook zzzz", "Hooks are connect, parse, subscribe"),
    "unknown by specname": ("@hookimpl(specname='zzzz')\ndef f(): ...", "there is no hook zzzz", "Hooks are"),
    "unmarked": ("def heartbeat(at): ...", "heartbeat is named like a hook but not marked", "Mark heartbeat"),
    "unmarked value": ("hosts = ('acme.test',)", "hosts is named like a hook but not marked", "Mark hosts"),
    "foreign mark": (
        "import pluggy\n@pluggy.HookimplMarker('other')\ndef heartbeat(at): ...",
        "heartbeat is named like a hook but not marked",
        "Mark heartbeat",
    ),
    "wrong argument": (
        "@hookimpl\ndef subscribe(session, chanels): ...",
        "subscribe: it has no argument chanels (did you mean channels?)",
        "Subscribe may take session, channels, credentials, at",
    ),
    "an argument too many": ("@hookimpl\ndef memory(session): ...", "memory: it has no argument session", "takes no"),
    "self in a module": ("@hookimpl\ndef heartbeat(self, at): ...", "heartbeat: it has no argument self", "may take"),
    "default": ("@hookimpl\ndef heartbeat(at=0): ...", "the argument at has a default", "may take session, at"),
    "stars": ("@hookimpl\ndef heartbeat(*args): ...", "heartbeat: it takes *args", "may take session, at"),
    "two stars": ("@hookimpl\ndef heartbeat(**kwargs): ...", "heartbeat: it takes **kwargs", "may take session, at"),
    "keyword-only": ("@hookimpl\ndef heartbeat(*, at): ...", "the argument at is keyword-only", "may take session, at"),
    "async": ("@hookimpl\nasync def heartbeat(at): ...", "heartbeat is async", "write a plain def"),
    "async generator": ("@hookimpl\nasync def heartbeat(at): yield", "heartbeat is async", "write a plain def"),
    "generator": ("@hookimpl\ndef heartbeat(at): yield", "heartbeat is a generator", "Return a list or tuple"),
    "old-style wrapper": (
        "@hookimpl(hookwrapper=True)\ndef heartbeat(at): yield",
        "heartbeat is an old-style wrapper",
        "wrapper=True",
    ),
    "wrapper without yield": ("@hookimpl(wrapper=True)\ndef heartbeat(at): ...", "never yields", "Yield once"),
    "trylast": ("@hookimpl(trylast=True)\ndef heartbeat(at): ...", "marked trylast", "Leave trylast out"),
    "not a function": ("@hookimpl\nclass heartbeat: ...", "heartbeat is a type, not a function", "plain function"),
    "cached": (
        "import functools\n@functools.cache\n@hookimpl\ndef hosts(): ...",
        "hosts is a _lru_cache_wrapper, not a function",
        "plain function",
    ),
    "twice": (
        "@hookimpl\ndef heartbeat(at): ...\n@hookimpl(specname='heartbeat')\ndef other(at): ...",
        "heartbeat is implemented twice",
        "Keep one function",
    ),
    "missing": ("del connect", "the required hook connect is missing", "def connect(channels, settings, credentials"),
    "only wrapped": (
        "@hookimpl(wrapper=True)\ndef parse(frame): return (yield)",
        "the required hook parse is missing",
        "def parse(session, frame, at)",
    ),
    "api text": ("TICKHIVE_API = '1'", "TICKHIVE_API is '1', not a whole number", "Set TICKHIVE_API = "),
    "api bool": ("TICKHIVE_API = True", "TICKHIVE_API is True, not a whole number", "Set TICKHIVE_API = "),
    "api too new": (f"TICKHIVE_API = {API_VERSION + 1}", f"plugin API {API_VERSION + 1}", "Upgrade tickhive"),
    "api too old": ("TICKHIVE_API = 0", "plugin API 0", "Upgrade the plugin"),
}

COMPLETE = "@hookimpl\ndef connect(channels): return []\n@hookimpl\ndef parse(frame): return []\n"


def module(source: str) -> ModuleType:
    made = ModuleType("acme")
    made.__dict__["hookimpl"] = hookimpl
    exec(COMPLETE + source, made.__dict__)
    return made


@pytest.mark.parametrize(("source", "cause", "remedy"), FAULTS.values(), ids=FAULTS.keys())
def test_fault(source: str, cause: str, remedy: str) -> None:
    with pytest.raises(PluginError) as caught:
        ExchangeStack.from_plugin("acme", module(source), distribution="tickhive-acme", version="1.2")
    error = caught.value
    assert cause in error.cause
    assert remedy in error.remedy
    assert (error.exchange, error.distribution, error.version) == ("acme", "tickhive-acme", "1.2")
    assert str(error).startswith("Exchange plugin 'acme' (tickhive-acme 1.2): ")


def test_the_missing_hook_is_not_reported_beside_its_misspelling() -> None:
    with pytest.raises(PluginError) as caught:
        ExchangeStack.from_plugin("acme", module("del parse\n@hookimpl\ndef pasre(frame): ..."))
    assert caught.value.cause == "there is no hook pasre"


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(PluginError) as caught:
        ExchangeStack.from_plugin("acme", module("@hookimpl\nasync def read(zzz): ...\ndef sign(fetch): ..."))
    assert caught.value.cause == (
        "read is async; read: it has no argument zzz; sign is named like a hook but not marked"
    )


class Complete:
    @hookimpl
    def connect(self, channels: Any) -> Any:
        return []

    @hookimpl
    def parse(self, frame: bytes) -> Any:
        return []


class WithHabits(Complete):
    """What instances may have without being hooks."""

    def __init__(self) -> None:
        self.settings = SimpleNamespace(url="x")
        self.memory = None

    @property
    def limits(self) -> Any:
        raise AssertionError("properties are not run")

    @staticmethod
    @hookimpl
    def hosts() -> Any:
        return ("acme.test",)

    @classmethod
    @hookimpl
    def venue(cls, options: Any) -> Any:
        return (cls, options)


def test_an_instance_may_be_a_plugin() -> None:
    plugin = WithHabits()
    stack = ExchangeStack.from_plugin("acme", plugin)
    assert stack.bound("hosts")() == stack.call.hosts() == ("acme.test",)
    assert stack.bound("venue")(1) == stack.call.venue(options=1) == (WithHabits, 1)
    assert not stack.offers("limits")


@pytest.mark.parametrize(
    ("plugin", "cause"),
    [
        (Complete, "Complete is a class"),
        (Complete().parse, "the function parse is not a plugin"),
        (None, "None is not a plugin"),
        ("tickhive_acme", "the required hook connect is missing"),
    ],
)
def test_other_kinds_of_objects(plugin: object, cause: str) -> None:
    with pytest.raises(PluginError, match=cause):
        ExchangeStack.from_plugin("acme", plugin)


def test_an_instance_that_cannot_be_read() -> None:
    class Odd(Complete):
        def __getattribute__(self, name: str) -> Any:
            if name == "parse":
                raise OSError("no")
            return super().__getattribute__(name)

    with pytest.raises(PluginError, match="its members cannot be read: OSError: no"):
        ExchangeStack.from_plugin("acme", Odd())


ALLOWED: dict[str, str] = {
    "nothing more": "",
    "helpers": "def helper(*args, x=1): ...\nasync def other(): ...\nclass Memory: ...",
    "a submodule named like a hook": "import types\nsettings = types.ModuleType('settings')",
    "a hook of another core": "@hookimpl(optionalhook=True)\ndef order_book_of_tomorrow(x): ...",
    "specname": "@hookimpl(specname='heartbeat')\ndef keep_alive(at): return ()",
    "positional-only": "@hookimpl\ndef heartbeat(at, /): return ()",
    "tryfirst": "@hookimpl(tryfirst=True)\ndef heartbeat(at): return ()",
    "a wrapper of its own": "@hookimpl(wrapper=True)\ndef limits(): return (yield)",
    "this api": f"TICKHIVE_API = {API_VERSION}",
}


@pytest.mark.parametrize("source", ALLOWED.values(), ids=ALLOWED.keys())
def test_allowed(source: str) -> None:
    stack = ExchangeStack.from_plugin("acme", module(source))
    assert stack.bound("heartbeat")(None, 1) == ()
    assert stack.bound("limits")(None) == stack.call.limits(settings=None)


def wrapping(make: Callable[[], Any], **options: Any) -> ModuleType:
    middleware = ModuleType("wrapping")
    middleware.__dict__["parse"] = hookimpl(**options)(make())
    return middleware


def _generator() -> Any:
    def parse() -> Any:
        return (yield)

    return parse


def _plain() -> Any:
    def parse() -> Any:
        return []

    return parse


@pytest.mark.parametrize(
    ("middleware", "cause"),
    [
        (wrapping(_generator, hookwrapper=True), "parse is an old-style wrapper"),
        (wrapping(_plain), "parse is not a wrapper and would replace"),
        (wrapping(_plain, wrapper=True), "never yields"),
        (wrapping(lambda: lru_cache(_generator()), wrapper=True), "not a function"),
        (ModuleType("wrapping"), "it wraps no hook"),
    ],
)
def test_middleware_that_cannot_be_stacked(middleware: object, cause: str) -> None:
    with pytest.raises(PluginError, match="the middleware wrapping cannot be stacked") as caught:
        ExchangeStack.from_plugin("acme", Complete(), [middleware])
    assert cause in caught.value.cause


def test_the_mark_is_pluggys() -> None:
    assert isinstance(hookimpl, pluggy.HookimplMarker)
