"""The helpers plugins read numbers with: exact, bounded, and refusing what is no number."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.plugin import Malformed
from tickhive.plugin.reading import (
    LEAST,
    MOST,
    REMEMBERED,
    UNREADABLE,
    Count,
    Int64,
    Millis,
    Numeral,
    brief,
    exact,
    number,
    positive,
    read_rows,
    whole_number,
    written,
)


@given(st.decimals(min_value=LEAST * 2, max_value=MOST / 2, allow_nan=False).map(str))
def test_numbers_are_exact(text: str) -> None:
    assert exact(text) == positive[text] == number(text) == Decimal(text)
    assert exact(f"-{text}") == Decimal(text).copy_negate()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999999", "1e-999999", "", "abc", "1e30", "0x1", "\0" * 40])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        exact(text)
    with pytest.raises(UNREADABLE):
        positive[text]


@pytest.mark.parametrize("text", ["0", "0.000", "-1"])
def test_a_price_is_above_zero(text: str) -> None:
    assert exact(text) <= 0
    with pytest.raises(ValueError, match="above zero"):
        positive[text]


def test_an_empty_text_is_no_number_where_there_may_be_none() -> None:
    assert number("") is None


def test_what_is_remembered_is_bounded() -> None:
    for value in range(1, 3 * REMEMBERED):
        assert positive[str(value)] == value
    assert len(positive) <= REMEMBERED


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (Millis, 1_700_000_000_000, (2**63 - 1) // 1_000_000 + 1),
        (Millis, 0, -1),
        (Int64, -(2**63), 2**63),
        (Count, 0, -1),
        (Numeral, "1" * 64, "1" * 65),
    ],
)
def test_bounds_hold_while_decoding(form: object, good: object, bad: object) -> None:
    decode = msgspec.json.Decoder(form).decode
    assert decode(msgspec.json.encode(good)) == good
    with pytest.raises(UNREADABLE) as refused:
        decode(msgspec.json.encode(bad))
    assert len(brief(refused.value)) <= 160


@pytest.mark.parametrize(
    ("json", "text"),
    [
        (b"60000.10", "60000.10"),
        (b"0", "0"),
        (b"-0.5", "-0.5"),
        (b"5e-05", "0.00005"),
        (b"1.20E+3", "1200"),
        (b'"60000.10"', None),
        (b"null", None),
        (b"[1]", None),
        (b"1e999999", None),
        (b"1e-999999", None),
    ],
)
def test_the_digits_of_a_number_are_kept(json: bytes, text: str | None) -> None:
    [value] = msgspec.json.decode(b"[" + json + b"]", type=list[msgspec.Raw])
    if text is not None:
        assert written(value) == text
        return
    with pytest.raises(ValueError, match="is not a number"):
        written(value)


@given(st.decimals(min_value=0, max_value=10**12, places=8, allow_nan=False))
def test_written_numbers_are_those_that_were_sent(value: Decimal) -> None:
    for sent in (f"{value:f}", f"{value:e}"):
        text = written(msgspec.Raw(sent.encode()))
        assert Decimal(text) == value
        assert "e" not in text.lower()


def test_a_bad_row_costs_no_other() -> None:
    rows = msgspec.json.Decoder(list[msgspec.Raw]).decode(b'[1, "two", 3]')
    events = read_rows(rows, lambda raw: [msgspec.json.decode(raw, type=int)], "numbers")
    assert [type(event) for event in events] == [int, Malformed, int]
    assert events[1].why.startswith("numbers: ValidationError")


@pytest.mark.parametrize("text", [None, "", "-1", "1.5", "abc", "²", "1" * 20, str(2**63)])
def test_what_is_no_whole_number_is_none(text: str | None) -> None:
    assert whole_number(text) is None
    assert whole_number(str(2**63 - 1)) == 2**63 - 1
