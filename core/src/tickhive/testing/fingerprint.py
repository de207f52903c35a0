"""What a value holds, all the way down: two fingerprints are equal when nothing in between was changed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

import attrs
import msgspec

from tickhive.channels import InstrumentTable
from tickhive.session import OutsideView, Session

_PLAIN = (str, bytes, int, float, bool, type(None), Decimal, Enum, type)


def fingerprint(value: Any) -> Hashable:
    """Render a value as nested tuples. A session is what a plugin sees of it, but for its ``memory``."""
    if isinstance(value, _PLAIN):
        return (type(value).__name__, value)
    if isinstance(value, (Session, OutsideView)):
        seen = (value.exchange, value.dial, value.settings, value.account, value.instruments)
        return ("session", *map(fingerprint, seen))
    if isinstance(value, InstrumentTable):
        return ("instruments", value.version, len(value), tuple(value.symbols.items()))
    if isinstance(value, Mapping):
        return ("mapping", tuple((fingerprint(key), fingerprint(each)) for key, each in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, tuple(map(fingerprint, value)))
    if isinstance(value, (set, frozenset)):
        return ("set", frozenset(map(fingerprint, value)))
    if attrs.has(type(value)):
        return _fields(value, [each.name for each in attrs.fields(type(value))])
    if isinstance(value, msgspec.Struct):
        return _fields(value, value.__struct_fields__)
    return ("object", id(value))


def _fields(value: Any, names: Iterable[str]) -> Hashable:
    return (type(value).__name__, tuple(fingerprint(getattr(value, name)) for name in names))
