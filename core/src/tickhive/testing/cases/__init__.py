"""Every case of the conformance suite, by group."""

from __future__ import annotations

from tickhive.testing.case import Case
from tickhive.testing.cases import (
    answers,
    books,
    conversation,
    discovery,
    history,
    hooks,
    lines,
    markets,
    own_words,
    parameters,
    parsing,
    secrecy,
    sense,
    speed,
    values,
)

GROUPS: dict[str, str] = {
    "1": "Packaging and discovery",
    "2": "Hooks",
    "3": "Parsing",
    "4": "Values",
    "5": "The conversation",
    "6": "Order books",
    "7": "Sockets that come and go",
    "8": "Speed",
    "9": "Secrets",
}
"""What the hundreds of the numbers stand for."""

_MODULES = (
    discovery,
    hooks,
    parsing,
    parameters,
    values,
    markets,
    sense,
    own_words,
    conversation,
    answers,
    books,
    lines,
    history,
    speed,
    secrecy,
)

CASES: tuple[Case, ...] = tuple(
    sorted(
        (value for module in _MODULES for value in vars(module).values() if isinstance(value, Case)),
        key=lambda case: case.number,
    )
)
"""All of them, by number."""
