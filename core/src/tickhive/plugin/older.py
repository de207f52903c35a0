"""How plugins of an earlier API are understood: what their hooks and arguments are called today."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, frozen


@frozen
class Renaming:
    """A hook of an earlier API: the name it has today, and today's names of those arguments that have another one."""

    hook: str
    arguments: Mapping[str, str] = Factory(dict)


RENAMED: Mapping[int, Mapping[str, Renaming]] = {}
"""For each earlier API that is still spoken: hooks, as they are called there, that are called otherwise today, or have
arguments that are."""


@frozen
class Term:
    """What a hook is called in some API: ``hook`` is today's name of it, ``arguments`` are that API's, in today's
    order.
    """

    hook: str
    arguments: tuple[str, ...]


def vocabulary(today: Mapping[str, tuple[str, ...]], api_version: int) -> dict[str, Term]:
    """The hooks a plugin of this API may have, by their names there."""
    renamed = RENAMED.get(api_version, {})
    called_otherwise = {renaming.hook for renaming in renamed.values()}
    terms = {name: Term(name, arguments) for name, arguments in today.items() if name not in called_otherwise}
    for name, renaming in renamed.items():
        theirs = {new: old for old, new in renaming.arguments.items()}
        terms[name] = Term(renaming.hook, tuple(theirs.get(each, each) for each in today[renaming.hook]))
    return terms


def adapter(name: str, arguments: Sequence[str], function: Callable[..., Any], *, wrapper: bool) -> Callable[..., Any]:
    """A function of today's name and argument names that asks the plugin's own, by position."""
    passed = ", ".join(arguments)
    answer = f"(yield from function({passed}))" if wrapper else f"function({passed})"
    names: dict[str, Any] = {"function": function}
    # Generated text, as in tickhive.plugin.binding: it holds nothing but names out of the specifications.
    exec(f"def {name}({passed}):\n    return {answer}\n", names)
    adapted: Callable[..., Any] = names[name]
    return adapted
