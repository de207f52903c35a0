from __future__ import annotations

import json
from decimal import Decimal, localcontext
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.events import Level
from tickhive_parquet.values import DECIMAL, LEVELS, TIME, Unfit, column

ANY_DECIMAL = st.one_of(
    st.decimals(allow_nan=True),
    st.decimals(min_value=-(10**22), max_value=10**22, places=17),
    st.builds(
        lambda digits, exponent: Decimal(digits).scaleb(exponent), st.integers(-(10**25), 10**25), st.integers(-40, 3)
    ),
)


def same(text: str, seen: Decimal) -> bool:
    with localcontext() as context:
        context.prec = 400
        return Decimal(text) == seen


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | ANY_DECIMAL, max_size=6))
def test_a_decimal_is_exact_or_null_with_its_text_beside_it(values: list[Decimal | None]) -> None:
    unfit: Unfit = {}
    found = column("price", values, DECIMAL, unfit).to_pylist()
    for row, (value, seen) in enumerate(zip(values, found, strict=True)):
        if seen is not None:
            assert value is not None
            assert same(str(value), seen)
        else:
            assert unfit.get(row) == (None if value is None else {"price": str(value)})


FITS = ["0", "-0", "1.50", "1e-18", "1E+3", "99999999999999999999.999999999999999999", "-99999999999999999999"]
# 3.4e20 is 2**128 / 10**18: the scaled value is one that 128 bits wrap around.
TOO_MUCH = [
    "3.402823669209384639E+20",
    "340282366920938463900",
    "1e-19",
    "0.1234567890123456789",
    "1e20",
    "NaN",
    "Infinity",
]


@pytest.mark.parametrize("text", FITS)
def test_what_fits_is_in_the_column(text: str) -> None:
    unfit: Unfit = {}
    assert column("price", [Decimal(text)], DECIMAL, unfit).to_pylist() == [Decimal(text)]
    assert unfit == {}


@pytest.mark.parametrize("text", TOO_MUCH)
def test_what_does_not_fit_costs_only_itself(text: str) -> None:
    unfit: Unfit = {}
    values = [Decimal(1), Decimal(text), Decimal(2)]
    assert column("price", values, DECIMAL, unfit).to_pylist() == [Decimal(1), None, Decimal(2)]
    assert unfit == {1: {"price": str(Decimal(text))}}


def test_a_side_with_a_level_that_does_not_fit_is_kept_as_text() -> None:
    good, bad = [Level("1.5", "2"), Level("1.4", "0")], [Level("1e-30", "2"), Level("1", "x")]
    unfit: Unfit = {}
    found = column("bids", [good, bad, [], good], LEVELS, unfit).to_pylist()
    pairs = [{"price": Decimal("1.5"), "size": Decimal(2)}, {"price": Decimal("1.4"), "size": Decimal(0)}]
    assert found == [pairs, None, [], pairs]
    assert json.loads(json.dumps(unfit[1])) == {"bids": [["1e-30", "2"], ["1", "x"]]}


@pytest.mark.parametrize(
    ("kind", "bad"), [(pa.int64(), 2**63), (TIME, 2**64 - 1), (pa.string(), 5), (pa.bool_(), "yes")]
)
def test_other_columns_keep_what_they_cannot_hold_as_text(kind: Any, bad: Any) -> None:
    unfit: Unfit = {}
    assert column("field", [None, bad], kind, unfit).to_pylist() == [None, None]
    assert unfit == {1: {"field": str(bad)}}
