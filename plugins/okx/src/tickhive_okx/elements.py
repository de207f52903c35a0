"""Lists whose elements are read one by one: a bad one is Malformed, names its field, and costs no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from tickhive.plugin import Event, Malformed
from tickhive.plugin.reading import UNREADABLE, Numeral, brief, exact

Element = TypeVar("Element", bound=Struct)


def numerals_of(form: type[Struct]) -> Sequence[str]:
    """The fields of a row that hold numbers as text."""
    return [known.name for known in msgspec.structs.fields(form) if known.type == Numeral]


def fault(row: Struct | None, numerals: Sequence[str], error: Exception) -> str:
    """Say which field an error is about: the readers of numbers do not know where theirs stood."""
    for name in numerals if row is not None else ():
        text = getattr(row, name)
        if text and (repr(text[:20]) in str(error) or not _is_number(text)):
            return f"{name}: {text[:20]!r} is not a number to be expected there"
    return brief(error)


def _is_number(text: str) -> bool:
    try:
        exact(text)
    except ValueError:
        return False
    return True


class Elements(Generic[Element]):
    """Reads the elements of one kind: the currencies of an account, the forced closes of an instrument."""

    def __init__(self, form: type[Element]) -> None:
        # Not strict: OKX writes integers as strings in some fields and as numbers in others.
        self._decode = msgspec.json.Decoder(form, strict=False).decode
        self._numerals = numerals_of(form)

    def read(self, raws: Iterable[Raw], build: Callable[[Element], Event], about: str) -> list[Event]:
        """One event for each; ``about`` names the list where one is Malformed."""
        events: list[Event] = []
        for raw in raws:
            element: Any = None
            try:
                element = self._decode(raw)
                events.append(build(element))
            except UNREADABLE as error:
                events.append(Malformed(f"{about}: {fault(element, self._numerals, error)}"))
        return events
