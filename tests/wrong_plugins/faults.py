"""Everything that can be wrong with a plugin: one mistake each, and the case that is meant to catch it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from tickhive.plugin import hookimpl
from tickhive.testing.case import DEADLINE_SECONDS

from .wren import Wren


@frozen
class Fault:
    """``says`` must be in the message: the hook at fault, or what to do. ``deadline_seconds`` is the case's."""

    name: str
    number: str
    says: str
    make: Callable[[], object]
    deadline_seconds: float = DEADLINE_SECONDS

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


FAULTS: list[Fault] = []


def fault(
    number: str, says: str, deadline_seconds: float = DEADLINE_SECONDS
) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Put a maker of a wrong plugin on the list; its name tells the mistake."""

    def note(make: Callable[[], object]) -> Callable[[], object]:
        name = getattr(make, "__name__", "?").replace("_", " ")
        FAULTS.append(Fault(name, number, says, make, deadline_seconds))
        return make

    return note


def wrong(**members: Any) -> object:
    """The correct plugin with some of its members written otherwise."""
    return wrongly(Wren, members)


def wrongly(correct: type, members: Mapping[str, Any]) -> object:
    """The same of any correct plugin."""
    return type(f"Wrong{correct.__name__}", (correct,), {name: _hook(name, each) for name, each in members.items()})()


def _hook(name: str, member: Any) -> Any:
    """A function in place of a hook is marked as one."""
    original = getattr(Wren, name, None)
    marked = hasattr(original, "tickhive_impl")
    return hookimpl(member) if marked and inspect.isfunction(member) else member


def answering(answer: Callable[[Any], Any]) -> Any:
    """A venue hook that answers a venue of another kind."""

    def venue(self: Any, options: Any) -> Any:
        return answer(options)

    return venue
