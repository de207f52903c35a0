"""A plugin's hooks with somebody looking on: every question and answer passes an observer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import define, field

from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.validation import HOOKS

Observer: TypeAlias = Callable[[str, Mapping[str, Any], Callable[..., Any]], Any]
"""Called with a hook's name, its arguments by name, and the hook itself; it answers what the hook answered."""


class ObservedStack:
    """Stands where an ``ExchangeStack`` is expected and asks the same plugin."""

    def __init__(self, stack: ExchangeStack, observer: Observer) -> None:
        self.exchange = stack.exchange
        self.settings_type = stack.settings_type
        self.offers = stack.offers
        self.refuse = stack.refuse
        self.call = _Relay(stack, observer)
        self.unobserved: Any = stack.call
        self._stack = stack
        self._observer = observer

    def bound(self, name: str) -> Callable[..., Any]:
        """The hook as a positional function."""
        hook, names, observer = getattr(self._stack.call, name), HOOKS[name], self._observer
        return lambda *values: observer(name, dict(zip(names, values, strict=True)), hook)


class _Relay:
    """``stack.call``: each attribute is a hook."""

    def __init__(self, stack: ExchangeStack, observer: Observer) -> None:
        self._stack = stack
        self._observer = observer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        hook = getattr(self._stack.call, name)
        observer = self._observer
        return lambda **arguments: observer(name, arguments, hook)


@define
class Call:
    """One question to a plugin: ``answer`` is what it said, ``error`` what it raised instead."""

    hook: str
    arguments: Mapping[str, Any]
    answer: Any = None
    error: Exception | None = None

    def fault(self, *kinds: type) -> str:
        """What is wrong with the answer when it should be one of these; empty when nothing is."""
        if self.error is not None:
            return f"{self.hook} raised {type(self.error).__name__}: {self.error}"
        if not isinstance(self.answer, kinds):
            return f"{self.hook} answered {'None' if self.answer is None else f'a {type(self.answer).__name__}'}"
        return ""


@define
class Recorder:
    """The observer that keeps every call, oldest first."""

    calls: list[Call] = field(factory=list)

    def __call__(self, hook: str, arguments: Mapping[str, Any], ask: Callable[..., Any]) -> Any:
        """Ask, and note what came of it."""
        call = Call(hook, arguments)
        self.calls.append(call)
        try:
            call.answer = ask(**arguments)
        except Exception as error:
            call.error = error
            raise
        if isinstance(call.answer, (list, tuple)):
            # What is done with the answer afterwards is not the plugin's doing.
            call.answer = list(call.answer)
        return call.answer

    def of(self, *hooks: str) -> list[Call]:
        """The calls of these hooks."""
        return [call for call in self.calls if call.hook in hooks]
