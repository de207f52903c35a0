"""Plain tables to typed values: strict, every fault at once, each by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import define, field, validators
from hypothesis import given
from hypothesis import strategies as st

from tickhive.channels import DataType
from tickhive.errors import ConfigurationError
from tickhive.structuring import make_converter, salvage, structure


@define(kw_only=True)
class Inner:
    name: str
    count: int = field(default=1, validator=validators.gt(0))

    def __attrs_post_init__(self) -> None:
        if self.name == "refused":
            raise ConfigurationError(["name: refused by the class", "nothing about a field"])


@define(kw_only=True)
class Everything:
    text: str = ""
    whole: int = 0
    number: float = 0.0
    flag: bool = False
    maybe: str | None = None
    path: Path = Path()
    exact: Decimal = Decimal(0)
    kind: DataType = DataType.TRADE
    mode: Literal["fast", "plain"] = "fast"
    level: Literal[1, 2] = 1
    texts: Sequence[str] = ()
    numbers: list[int] = field(factory=list)
    pair: tuple[str, ...] = ()
    table: Mapping[str, Any] = field(factory=dict)
    inners: list[Inner] = field(factory=list)
    named: dict[str, Inner] = field(factory=dict)


def test_a_whole_table() -> None:
    data = {
        "text": "a", "whole": 2, "number": 3, "flag": True, "maybe": "b", "path": "c/d", "exact": "0.10",
        "kind": "candle", "mode": "plain", "texts": ["x", "y"], "numbers": [1], "pair": ["z"], "table": {"k": [1]},
        "inners": [{"name": "i"}], "named": {"n": {"name": "j", "count": 2}},
    }  # fmt: skip
    assert structure(Everything, data) == Everything(
        text="a", whole=2, number=3.0, flag=True, maybe="b", path=Path("c/d"), exact=Decimal("0.10"),
        kind=DataType.CANDLE, mode="plain", texts=("x", "y"), numbers=[1], pair=("z",), table={"k": [1]},
        inners=[Inner(name="i")], named={"n": Inner(name="j", count=2)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"text": 5}, "text: expected text, got a whole number"),
        ({"text": None}, "text: expected text, got nothing"),
        ({"whole": "5"}, "whole: expected a whole number, got text"),
        ({"whole": True}, "whole: expected a whole number, got true or false"),
        ({"whole": 1.5}, "whole: expected a whole number, got a number"),
        ({"number": "1"}, "number: expected a number, got text"),
        ({"number": float("nan")}, "number: expected a finite number, got nan"),
        ({"flag": 1}, "flag: expected true or false, got a whole number"),
        ({"maybe": []}, "maybe: expected text, got a list"),
        ({"path": ""}, "path: expected a path, got empty text"),
        ({"exact": 0.1}, "exact: expected an exact number written as text, such as '0.01', got a number"),
        ({"exact": "x"}, "exact: expected an exact number written as text, such as '0.01', got text"),
        ({"mode": "fats"}, "mode: expected one of 'fast', 'plain', got 'fats'; did you mean 'fast'?"),
        ({"mode": 1}, "mode: expected one of 'fast', 'plain', got a whole number"),
        ({"level": True}, "level: expected one of 1, 2, got true or false"),
        ({"texts": "x"}, "texts: expected a list, got text"),
        ({"texts": ["a", 1]}, "texts[1]: expected text, got a whole number"),
        ({"table": []}, "table: expected a table, got a list"),
        ({"inners": [5]}, "inners[0]: expected a table, got a whole number"),
        ({"inners": [{}]}, "inners[0].name: required, but missing"),
        ({"inners": [{"name": "a", "count": -1}]}, "inners[0].count: must be > 0: -1"),
        ({"named": {"n": {"name": 1}}}, "named.n.name: expected text, got a whole number"),
        ({"named": {1: {"name": "a"}}}, "named: the keys of a table are texts"),
        ({"txet": ""}, "txet: unknown key; did you mean 'text'?"),
        ([], "expected a table, got a list"),
    ],
)
def test_one_fault(data: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        structure(Everything, data)
    assert caught.value.problems == (problem,)


def test_an_unknown_data_type_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"kind: expected one of 'trade', .* did you mean 'candle'"):
        structure(Everything, {"kind": "candel"})


def test_all_faults_at_once_below_a_path_and_a_source() -> None:
    data = {
        "text": 1,
        "zzzz": 1,
        "inners": [{"name": "refused"}, {"name": "a", "cuont": 2}],
        "named": {"x": 1, "y": {"name": "refused"}},
    }
    with pytest.raises(ConfigurationError) as caught:
        structure(Everything, data, "collectors[2]", source="tickhive.toml")
    assert set(caught.value.problems) == {
        "collectors[2].text: expected text, got a whole number",
        "collectors[2].inners[0].name: refused by the class",
        "collectors[2].inners[0]: nothing about a field",
        "collectors[2].inners[1].cuont: unknown key; did you mean 'count'?",
        "collectors[2].named.x: expected a table, got a whole number",
        "collectors[2].named.y.name: refused by the class",
        "collectors[2].named.y: nothing about a field",
        next(problem for problem in caught.value.problems if problem.startswith("collectors[2].zzzz: unknown key")),
    }
    assert len(caught.value.problems) == 8
    assert str(caught.value).startswith("tickhive.toml: 8 problems\n")


def test_no_value_of_the_wrong_kind_is_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        structure(Everything, {"whole": "s3cret", "table": "s3cret", "flag": "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_a_converter_can_be_taught_a_union_by_type() -> None:
    @define
    class Square:
        side: float

    converter = make_converter()

    def read(value: Any, _: Any) -> Any:
        if value.get("type") != "square":
            raise ConfigurationError(f"type: unknown shape {value.get('type')!r}")
        return converter.structure({key: value[key] for key in value if key != "type"}, Square)

    converter.register_structure_hook(Square | Inner, read)
    shapes: Any = list[Square | Inner]
    assert structure(shapes, [{"type": "square", "side": 2}], converter=converter) == [Square(2.0)]
    with pytest.raises(ConfigurationError) as caught:
        structure(shapes, [{"type": "circle"}, {"type": "square", "side": "x"}], "shapes", converter=converter)
    assert caught.value.problems == (
        "shapes[0].type: unknown shape 'circle'",
        "shapes[1].side: expected a number, got text",
    )


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from([*Everything.__annotations__, "other"])


@given(st.dictionaries(field_names, plain, max_size=6) | plain)
def test_whatever_is_given_either_is_typed_or_refused_with_paths(data: Any) -> None:
    made, problems = _structured(data)
    if made is None:
        assert problems
        assert all(problem.startswith("top") for problem in problems)
    else:
        assert isinstance(made.text, str)
        assert all(isinstance(text, str) for text in made.texts)
        assert type(made.whole) is int
        assert type(made.number) is float


def _structured(data: Any) -> tuple[Everything | None, Sequence[str]]:
    try:
        return structure(Everything, data, "top"), ()
    except ConfigurationError as error:
        return None, error.problems


@define(kw_only=True)
class Address:
    url: str = field(default="ws://x")
    port: int = 1

    def __attrs_post_init__(self) -> None:
        if not self.url.startswith("ws"):
            raise ValueError("url: expected an address")


def test_values_are_judged_though_keys_are_unknown() -> None:
    made, problems = salvage(Address, {"urll": "ws://y", "url": "http", "port": 5}, "venue")
    assert problems == ("venue.urll: unknown key; did you mean 'url'?", "venue.url: expected an address")
    assert made == Address(port=5)
    assert salvage(Address, 5) == (None, ("expected a table, got a whole number",))
