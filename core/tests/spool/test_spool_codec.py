from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.channels import DataType, Instrument
from tickhive.digest import EventDigest, canonical_line
from tickhive.errors import SpoolError
from tickhive.events import EVENT_TYPES, BookDelta, Gap, Level, MarkPrice, Trade
from tickhive.spool import codec

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
DECIMALS = st.one_of(
    st.decimals(allow_nan=False),
    st.sampled_from([Decimal(text) for text in ("0", "-0", "1.500", "1E+3", "1e-30", "0E-8", "1234567.123456789000")]),
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
LEVELS = st.lists(st.builds(Level, DECIMALS.map(str), DECIMALS.map(str)), max_size=5)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    if hint is Decimal:
        return DECIMALS
    if hint is bool:
        return st.booleans()
    if hint is int:
        return INTEGERS
    if hint is str:
        return TEXT
    if hint is NoneType:
        return st.none()
    if hint is DataType:
        return st.sampled_from(DataType)
    if hint is Instrument:
        return instances_of(Instrument)
    if hint == Sequence[Level]:
        return LEVELS
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    return st.one_of(*map(values_of, get_args(hint)))


def instances_of(cls: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{field.name: values_of(hints[field.name]) for field in attrs.fields(cls)})


EVENTS = st.one_of(*map(instances_of, EVENT_TYPES))

TRADE = Trade("acme", "BTC-USDT", None, 5, "7", "buy", Decimal("1.500"), Decimal("1E+3"), 1, True)


def exact(event: Any) -> Any:
    """Equality of Decimals forgives 1.0 == 1.00; their texts do not."""
    return attrs.asdict(
        event, value_serializer=lambda _, __, value: str(value) if isinstance(value, Decimal) else value
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=4))
def test_any_batch_comes_back_exactly(events: list[Any]) -> None:
    back = codec.decode(codec.encode(events))
    assert [type(event) for event in back] == [type(event) for event in events]
    assert [exact(event) for event in back] == [exact(event) for event in events]
    assert all(codec.storable(event) for event in events)


@settings(max_examples=100, deadline=None)
@given(EVENTS)
def test_the_digest_of_an_event_survives_the_spool(event: Any) -> None:
    assert canonical_line(codec.decode(codec.encode([event]))[0]) == canonical_line(event)


def test_every_event_type_has_a_tag_of_its_own() -> None:
    assert set(codec.TAGS) == set(EVENT_TYPES)
    assert len(set(codec.TAGS.values())) == len(EVENT_TYPES)


def test_rows_from_before_an_optional_field_existed_are_read_with_its_default() -> None:
    row = [1, "acme", "BTC-USDT", None, 5, "7", "buy", "1.500", "2"]
    (event,) = codec.decode(msgspec.msgpack.encode([codec.FORMAT, [row]]))
    assert event == Trade("acme", "BTC-USDT", None, 5, "7", "buy", Decimal("1.500"), Decimal(2), 1, False)


def test_the_bytes_on_disk_keep_their_meaning() -> None:
    """Files written by an earlier version hold exactly these rows: the order of fields may only grow at its end."""
    gap = Gap("acme", "X-Y", 1, 2, "trade", 3, 4, "socket lost", "5", "6", "part", "p")  # type: ignore[arg-type]
    delta = BookDelta("acme", "X-Y", 1, 2, [Level("1", "2.0")], [], 3, 2, None, 5)
    assert msgspec.msgpack.decode(codec.encode([TRADE, delta, gap])) == [
        1,
        [
            [1, "acme", "BTC-USDT", None, 5, "7", "buy", "1.500", "1E+3", 1, True],
            [5, "acme", "X-Y", 1, 2, [["1", "2.0"]], [], 3, 2, None, 5],
            [14, "acme", "X-Y", 1, 2, "trade", 3, 4, "socket lost", "5", "6", "part", "p"],
        ],
    ]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\x00",
        codec.encode([TRADE])[:-3],
        msgspec.msgpack.encode([1, [[99, "acme"]]]),
        msgspec.msgpack.encode([1, [[1, "acme"]]]),
        msgspec.msgpack.encode([1, [[10, "acme", "X-Y", 1, 2, "not a number"]]]),
        msgspec.msgpack.encode([1, [[10, "acme", "X-Y", 1, 2, "3", "one too many"]]]),
    ],
)
def test_damaged_bytes_are_a_spool_error(payload: bytes) -> None:
    with pytest.raises(SpoolError):
        codec.decode(payload)


def test_a_later_format_is_named() -> None:
    with pytest.raises(SpoolError, match="format 2; this version reads format 1"):
        codec.decode(msgspec.msgpack.encode([2, []]))


@pytest.mark.parametrize(
    "event",
    [
        MarkPrice("acme", "X-Y", 2**70, 1, Decimal(1)),
        MarkPrice("acme", "\ud800", 1, 1, Decimal(1)),
        MarkPrice("acme", "X-Y", 1, 2**63, Decimal(1)),
        MarkPrice("acme", "X-Y", 1, 1, object()),  # type: ignore[arg-type]
        "not an event",
    ],
)
def test_what_cannot_be_stored_is_known(event: Any) -> None:
    assert not codec.storable(event)


FIELDS = [
    ("exchange", "other"),
    ("symbol", "BTC-USD"),
    ("timestamp", 4),
    ("received", 6),
    ("id", "8"),
    ("side", "sell"),
    ("price", Decimal("1.5")),
    ("size", Decimal("1000")),
    ("count", 2),
    ("late", False),
]


def test_the_fields_of_a_trade_are_all_in_this_table() -> None:
    assert [name for name, _ in FIELDS] == [field.name for field in attrs.fields(Trade)]


@pytest.mark.parametrize(("name", "value"), FIELDS)
def test_every_field_counts_in_the_digest(name: str, value: Any) -> None:
    assert canonical_line(attrs.evolve(TRADE, **{name: value})) != canonical_line(TRADE)


def test_the_digest_counts_type_order_and_levels() -> None:
    def digest(*events: Any) -> str:
        result = EventDigest()
        result.extend(events)
        return result.hexdigest()

    first, second = MarkPrice("a", "X-Y", 1, 1, Decimal(1)), MarkPrice("a", "X-Y", 1, 1, Decimal(2))
    assert digest(first, second) != digest(second, first)
    one = BookDelta("a", "X-Y", 1, 1, [Level("1", "2")], [])
    assert digest(one) != digest(BookDelta("a", "X-Y", 1, 1, [], [Level("1", "2")]))
    assert digest(one) != digest(BookDelta("a", "X-Y", 1, 1, [Level("1", "2.0")], []))


def test_the_digest_is_the_same_in_every_process() -> None:
    program = (
        "from decimal import Decimal as D; from tickhive.digest import EventDigest; from tickhive.events import *;"
        "from tickhive.channels import Instrument; d = EventDigest();"
        "i = Instrument('a', 'X-Y', 'XY', 'spot', 'X', 'Y', tick_size=D('0.10'));"
        "d.update(InstrumentUpdate('a', 'X-Y', None, 1, i));"
        "d.update(BookDelta('a', 'X-Y', 1, 1, [Level('1', '2')], []));"
        "print(d.hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert seen == {"ec81729c7447d1bc6ea34d53febcc30529105258e1cb83f8b061c5cf45592253"}
