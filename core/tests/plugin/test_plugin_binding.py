"""A bound hook answers what the full hook call answers, whatever arguments the plugin names and in which order."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.plugin import Limit, hookimpl
from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.validation import HOOKS


def implementation(name: str, arguments: list[str], answer: str = "") -> Any:
    """A marked function of these arguments that answers what it was given."""
    given_back = ", ".join(f"{argument!r}: {argument}" for argument in arguments)
    source = f"def {name}({', '.join(arguments)}): return {answer or '{' + given_back + '}'}"
    names: dict[str, Any] = {}
    exec(source, names)
    return hookimpl(names[name])


def module_of(*functions: Any) -> ModuleType:
    module = ModuleType("acme")
    for name in ("connect", "parse"):
        setattr(module, name, implementation(name, []))
    for function in functions:
        setattr(module, function.__name__, function)
    return module


@st.composite
def hooks_with_arguments(draw: st.DrawFn) -> tuple[str, list[str]]:
    name = draw(st.sampled_from(sorted(set(HOOKS) - {"settings"})))
    arguments = draw(st.permutations(HOOKS[name]))
    return name, arguments[: draw(st.integers(0, len(arguments)))]


@given(hooks_with_arguments(), st.booleans())
def test_bound_is_the_call_for_every_choice_of_arguments(hook: tuple[str, list[str]], wrapped: bool) -> None:
    name, arguments = hook
    wrapper = hookimpl(wrapper=True)(_pass_on)
    middleware = ModuleType("wrapping")
    setattr(middleware, name, wrapper)
    stack = ExchangeStack.from_plugin(
        "acme", module_of(implementation(name, arguments)), [middleware] if wrapped else []
    )
    values = {argument: object() for argument in HOOKS[name]}
    answer = stack.bound(name)(*values.values())
    assert answer == {argument: values[argument] for argument in arguments}
    assert answer == getattr(stack.call, name)(**values)


def _pass_on() -> Any:
    return (yield)


def test_a_function_of_all_arguments_in_order_is_bound_as_it_is() -> None:
    parse = implementation("parse", ["session", "frame", "at"])
    assert ExchangeStack.from_plugin("acme", module_of(parse)).bound("parse") is parse


def test_a_method_of_all_arguments_in_order_is_bound_as_it_is() -> None:
    class Acme:
        connect = staticmethod(implementation("connect", []))

        @hookimpl
        def parse(self, session: Any, frame: bytes, at: int) -> Any:
            return (self, session, frame, at)

    plugin = Acme()
    bound = ExchangeStack.from_plugin("acme", plugin).bound("parse")
    assert bound == plugin.parse
    assert bound(1, b"2", 3) == (plugin, 1, b"2", 3)


@pytest.mark.parametrize("arguments", [["at"], ["frame", "session", "at"], []])
def test_an_adapter_takes_positions_only_as_many_as_specified(arguments: list[str]) -> None:
    bound = ExchangeStack.from_plugin("acme", module_of(implementation("parse", arguments))).bound("parse")
    assert bound.__name__ == "parse"
    with pytest.raises(TypeError):
        bound(1, 2)


def test_none_asks_the_default() -> None:
    stack = ExchangeStack.from_plugin("acme", module_of(implementation("limits", ["settings"], "None")))
    assert stack.bound("limits")(None) == stack.call.limits(settings=None) == (Limit("dial", 1, 1.0),)


def test_none_from_parse_stays_none() -> None:
    stack = ExchangeStack.from_plugin("acme", module_of(implementation("parse", ["frame"], "None")))
    assert stack.bound("parse")(None, b"", 0) is None
    assert stack.call.parse(session=None, frame=b"", at=0) is None


@pytest.mark.parametrize("name", sorted(set(HOOKS) - {"connect", "parse", "read", "authenticate", "sign"}))
def test_hooks_the_plugin_leaves_out_are_bound_too(name: str) -> None:
    stack = ExchangeStack.from_plugin("acme", module_of())
    values = dict.fromkeys(HOOKS[name])
    assert stack.bound(name)(*values.values()) == getattr(stack.call, name)(**values)


def test_an_exception_passes_through_unchanged() -> None:
    stack = ExchangeStack.from_plugin("acme", module_of(implementation("parse", ["frame"], "frame.missing")))
    with pytest.raises(AttributeError):
        stack.bound("parse")(None, b"", 0)


def test_a_decorated_hook_is_bound_by_the_arguments_of_what_it_decorates() -> None:
    import functools

    def doubled(function: Any) -> Any:
        @functools.wraps(function)
        def inner(*args: Any) -> Any:
            return function(*args) * 2

        return inner

    @hookimpl
    @doubled
    def parse(at: int) -> Any:
        return [at]

    stack = ExchangeStack.from_plugin("acme", module_of(parse))
    assert stack.bound("parse")(None, b"", 7) == stack.call.parse(session=None, frame=b"", at=7) == [7, 7]


# Wrappers: the bound chain does what the full call does


def wrapper(function: Any, **marks: Any) -> ModuleType:
    """A middleware module with one wrapper on ``parse``."""
    middleware = ModuleType(function.__name__)
    vars(middleware)["parse"] = hookimpl(wrapper=True, specname="parse", **marks)(function)
    return middleware


@wrapper
def adds() -> Any:
    return [*(yield), "adds"]


@wrapper
def replaces(frame: bytes) -> Any:
    yield
    return [frame, "replaced"]


@wrapper
def catches() -> Any:
    try:
        return (yield)
    except KeyError:
        return ["caught"]


@wrapper
def raises_before(at: int) -> Any:
    raise ValueError("before")
    yield


@wrapper
def raises_after() -> Any:
    yield
    raise KeyError("after")


@wrapper
def turns(session: Any) -> Any:
    try:
        return (yield)
    except KeyError as error:
        raise ValueError("turned") from error


@wrapper
def yields_not() -> Any:
    if not True:
        yield
    return ["x"]


@wrapper
def yields_twice() -> Any:
    yield
    yield


def first() -> Any:
    return [*(yield), "first"]


def last() -> Any:
    return [*(yield), "last"]


WRAPPERS = [
    *(adds, replaces, catches, raises_before, raises_after, turns, yields_not, yields_twice),
    *(wrapper(first, tryfirst=True), wrapper(last, trylast=True)),
]


def outcome(ask: Any) -> Any:
    """What a call answers, or the kind of what it raises."""
    try:
        return ask()
    except Exception as error:
        return type(error)


@given(st.lists(st.sampled_from(WRAPPERS), max_size=4, unique_by=id), st.sampled_from(["[frame]", "{}[frame]", "None"]))
def test_a_bound_chain_of_wrappers_does_what_the_call_does(wrappers: list[ModuleType], answer: str) -> None:
    stack = ExchangeStack.from_plugin("acme", module_of(implementation("parse", ["frame"], answer)), wrappers)
    called = outcome(lambda: stack.call.parse(session=None, frame=b"f", at=7))
    assert outcome(lambda: stack.bound("parse")(None, b"f", 7)) == called
