"""From the plain tables of a configuration to typed values, with every fault found at once and named by its path.

Texts stay texts and numbers numbers: nothing is guessed. Messages say what kind of value was seen, never the value
itself where it could be a secret.
"""

from __future__ import annotations

import difflib
import enum
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn

from tickhive.errors import ConfigurationError

T = TypeVar("T")


def structure(
    cls: type[T], data: Any, path: str = "", *, converter: Converter | None = None, source: str | None = None
) -> T:
    """Make a ``cls`` of plain data (tables, lists, texts, numbers) as TOML or JSON give it.

    Raises ConfigurationError whose ``problems`` each begin with the field's path below ``path``:
    ``collectors[1].symbols: expected a list, got text``. ``source`` names the file. ``converter`` comes from
    ``make_converter``, for callers that teach it types of their own.
    """
    made, problems = salvage(cls, data, path, converter=converter)
    if problems or made is None:
        raise ConfigurationError(problems, source)
    return made


def salvage(
    cls: type[T], data: Any, path: str = "", *, converter: Converter | None = None
) -> tuple[T | None, tuple[str, ...]]:
    """What can be made of the sound part of ``data``, None where that does not suffice, and all problems of the rest.

    Values are only judged together once each has the right type, so the keys already found at fault are taken away and
    what is left is tried again. What then seems to be missing because of that is not a fault of its own.
    """
    convert = (converter or _shared_converter()).structure
    try:
        return convert(data, cls), ()
    except Exception as error:
        problems = list(_problems(error, path))
    at_fault: set[str] = set()
    while isinstance(data, Mapping) and (more := {key for key in data if _is_about(problems, path, key)} - at_fault):
        at_fault |= more
        sound = {key: value for key, value in data.items() if key not in at_fault}
        try:
            return convert(sound, cls), tuple(problems)
        except Exception as error:
            problems += [text for text in _problems(error, path) if not _stems_from(at_fault, sound, path, text)]
    return None, tuple(problems)


def _is_about(problems: Sequence[str], path: str, key: str) -> bool:
    field = f"{path}.{key}" if path else key
    return any(problem.startswith((f"{field}:", f"{field}[", f"{field}.")) for problem in problems)


def _stems_from(at_fault: set[str], sound: Mapping[str, Any], path: str, problem: str) -> bool:
    # `symbols` is found empty when it was written `symbls`, or as a `symbol` that was refused.
    field = re.split(r"[:\[.]", problem.removeprefix(f"{path}." if path else ""), maxsplit=1)[0]
    return field not in sound and bool(difflib.get_close_matches(field, at_fault, n=1))


def make_converter() -> Converter:
    """A strict converter to register further hooks on; a hook refuses with ValueError or ConfigurationError.

    A hook's ConfigurationError may hold several problems; each begins with a path relative to the hook's own value
    (``[2].name: ...``) or is a plain sentence.
    """
    converter = Converter(detailed_validation=True, forbid_extra_keys=True)
    for kind, read in _SCALARS.items():
        converter.register_structure_hook(kind, _scalar_hook(read))
    for applies, make_hook in _FACTORIES:
        converter.register_structure_hook_factory(applies, make_hook)
    return converter


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The sentence about a key that nothing reads, with the nearest known ones.

    >>> unknown_key("symbls", ["exchange", "symbols"])
    "unknown key; did you mean 'symbols'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(key, names, n=1)
    if close:
        return f"unknown key; did you mean {close[0]!r}?"
    return f"unknown key; known keys: {', '.join(names)}" if names else "unknown key; none is known here"


def join_path(path: str, problem: str) -> str:
    """Put the path of a value before a problem that begins with a path relative to it.

    >>> join_path("collectors", "[1].symbols: expected a list, got text")
    'collectors[1].symbols: expected a list, got text'
    >>> join_path("service", "data_dir: expected text, got a table")
    'service.data_dir: expected text, got a table'
    >>> join_path("service", "expected a table, got text")
    'service: expected a table, got text'
    """
    if not path:
        return problem
    if problem.startswith("["):
        return f"{path}{problem}"
    return f"{path}.{problem}" if _RELATIVE.match(problem) else f"{path}: {problem}"


_RELATIVE = re.compile(r"[A-Za-z_][\w-]*(\[\d+\]|\.[\w-]+)*: ")


def kind_of(value: object) -> str:
    """What a configuration value is, in plain words and without the value.

    >>> kind_of(1), kind_of("x"), kind_of([])
    ('a whole number', 'text', 'a list')
    """
    for kinds, words in _KINDS:
        if isinstance(value, kinds):
            return words
    return "nothing" if value is None else f"a {type(value).__name__}"


_KINDS: Sequence[tuple[type | tuple[type, ...], str]] = (
    (bool, "true or false"),
    (int, "a whole number"),
    ((float, Decimal), "a number"),
    (str, "text"),
    ((list, tuple), "a list"),
    (Mapping, "a table"),
)


def _expected(wanted: str, value: object) -> ValueError:
    return ValueError(f"expected {wanted}, got {kind_of(value)}")


# What single values may be.


def _read_text(value: Any, _: Any) -> str:
    if isinstance(value, str):
        return value
    raise _expected("text", value)


def _read_int(value: Any, _: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _expected("a whole number", value)


def _read_float(value: Any, _: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
        raise ValueError(f"expected a finite number, got {value}")
    raise _expected("a number", value)


def _read_bool(value: Any, _: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _expected("true or false", value)


def _read_path(value: Any, _: Any) -> Path:
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value:
        return Path(value)
    raise ValueError("expected a path, got empty text") if value == "" else _expected("a path", value)


def _read_decimal(value: Any, _: Any) -> Decimal:
    # A float has lost the digits that were written; a text keeps them.
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite():
            return number
    raise ValueError(f"expected an exact number written as text, such as '0.01', got {kind_of(value)}")


_Hook: TypeAlias = Callable[[Any, Any], Any]

_SCALARS: dict[Any, _Hook] = {
    str: _read_text,
    int: _read_int,
    float: _read_float,
    bool: _read_bool,
    Path: _read_path,
    Decimal: _read_decimal,
}


def _scalar_hook(read: _Hook) -> _Hook:
    def read_scalar(value: Any, cls: Any) -> Any:
        # cattrs asks the hook of a base class for its subclasses: an enum of texts arrives here as a kind of text.
        return _enum_hook(cls)(value, cls) if _is_enum(cls) else read(value, cls)

    return read_scalar


# What lists, tables and choices may be.

_LITERAL: Any = Literal
_SEQUENCES: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    Sequence: tuple,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}


def _is_sequence(cls: Any) -> bool:
    origin = get_origin(cls)
    if origin is tuple:
        return get_args(cls)[1:] == (...,)
    return (origin or cls) in _SEQUENCES if _hashable(origin or cls) else False


def _is_literal(cls: Any) -> bool:
    return get_origin(cls) is _LITERAL


def _is_mapping(cls: Any) -> bool:
    return (get_origin(cls) or cls) in (dict, Mapping, MutableMapping)


def _is_enum(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, enum.Enum)


def _hashable(value: object) -> bool:
    return getattr(value, "__hash__", None) is not None


def _sequence_hook(cls: Any, converter: Converter) -> _Hook:
    build = _SEQUENCES[get_origin(cls) or cls]
    element = (get_args(cls) or (Any,))[0]

    def read(value: Any, _: Any) -> Any:
        if not isinstance(value, list | tuple | set | frozenset):
            raise _expected("a list", value)
        return build(_read_each(enumerate(value), element, converter, "[{}]"))

    return read


def _mapping_hook(cls: Any, converter: Converter) -> _Hook:
    element = (get_args(cls) or (Any, Any))[1]

    def read(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _expected("a table", value)
        if not all(isinstance(key, str) for key in value):
            raise ValueError("the keys of a table are texts")
        return dict(zip(value, _read_each(value.items(), element, converter, "{}"), strict=True))

    return read


def _read_each(items: Iterable[tuple[Any, Any]], element: Any, converter: Converter, label: str) -> list[Any]:
    """Structure every element and refuse with all their problems, each under its own label."""
    found: list[Any] = []
    problems: list[str] = []
    for key, value in items:
        try:
            found.append(converter.structure(value, element))
        except Exception as error:
            problems += _problems(error, label.format(key))
    if problems:
        raise ConfigurationError(problems)
    return found


def _literal_hook(cls: Any, _: Converter) -> _Hook:
    return _choice_hook({choice: choice for choice in get_args(cls)})


@cache
def _enum_hook(cls: type[enum.Enum], _: Converter | None = None) -> _Hook:
    return _choice_hook({member.value: member for member in cls})


def _choice_hook(choices: Mapping[Any, Any]) -> _Hook:
    texts = [str(choice) for choice in choices if isinstance(choice, str)]
    listed = ", ".join(repr(choice) for choice in choices)

    def read(value: Any, _: Any) -> Any:
        for choice, meaning in choices.items():
            if (value == choice and type(value) is type(choice)) or value is meaning:
                return meaning
        seen = repr(value) if isinstance(value, str) and len(value) <= 40 else kind_of(value)
        near = difflib.get_close_matches(value, texts, n=1) if isinstance(value, str) else []
        raise ValueError(f"expected one of {listed}, got {seen}" + (f"; did you mean {near[0]!r}?" if near else ""))

    return read


def _class_hook(cls: Any, converter: Converter) -> _Hook:
    fill = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True)

    def read(value: Any, _: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise _expected("a table", value)
        return fill(value, cls)

    return read


_FACTORIES: Sequence[tuple[Callable[[Any], bool], Callable[[Any, Converter], _Hook]]] = (
    (_is_sequence, _sequence_hook),
    (_is_mapping, _mapping_hook),
    (_is_literal, _literal_hook),
    (_is_enum, _enum_hook),
    (attrs.has, _class_hook),
)


@cache
def _shared_converter() -> Converter:
    return make_converter()


# From cattrs' tree of errors to sentences.


def _problems(error: BaseException, path: str) -> Iterator[str]:
    """Every fault in a tree of errors as a sentence with its path."""
    if isinstance(error, ClassValidationError | IterableValidationError):
        for inner in error.exceptions:
            step = _step(inner)
            yield from _problems(inner, f"{path}{step}" if path else step.lstrip("."))
    elif isinstance(error, ConfigurationError):
        yield from (join_path(path, problem) for problem in error.problems)
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl) if field.init] if attrs.has(error.cl) else []
        yield from (join_path(path, f"{key}: {unknown_key(key, known)}") for key in sorted(error.extra_fields))
    elif isinstance(error, KeyError):
        # cattrs looks the field up in the table; the step it noted is already in the path.
        yield f"{path}: required, but missing"
    else:
        yield join_path(path, _sentence(error))


def _step(error: BaseException) -> str:
    """The part of the path that cattrs noted on an error: ``.field``, ``[3]`` or nothing."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f".{note.name}"
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]" if isinstance(note.index, int) else f".{note.index}"
    return ""


def _sentence(error: BaseException) -> str:
    """One error in words, beginning with the field where a validator of attrs names it: ``'count' must be > 0``."""
    text = str(error.args[0] if error.args and isinstance(error.args[0], str) else error)
    named = _VALIDATOR.match(text)
    return f"{named[1]}: {named[2]}" if named else text or type(error).__name__


_VALIDATOR = re.compile(r"'(\w+)' (must .+)", re.DOTALL)
