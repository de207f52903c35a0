"""``[[middleware]]`` and ``[[filters]]``: found by name, put on the collectors they are for, refused with words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tickhive.cli.check_command import check
from tickhive.errors import ConfigurationError
from tickhive.exchanges import ExchangeFactory
from tickhive.plugin import Dial, hookimpl
from tickhive.plugin.registry import PluginRegistry
from tickhive.service.config import ServiceConfig
from tickhive.service.factory import CollectorFactory

OURS = """
from tickhive.plugin import hookimpl

class Count:
    frames = 0

    @hookimpl(wrapper=True)
    def parse(self):
        self.frames += 1
        return (yield)

class Shop:
    counter = Count()

def keep(event):
    return event

async def wait(event):
    return event

NUMBER = 5
"""


class Acme:
    @hookimpl
    def connect(self, channels: Any) -> Any:
        return [Dial("main", ["ws://127.0.0.1:1"], channels)]

    @hookimpl
    def parse(self, frame: bytes) -> Any:
        return [frame]


@pytest.fixture(autouse=True)
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An application's module, and two exchanges."""
    import sys

    (tmp_path / "our_hooks.py").write_text(OURS, encoding="utf-8")
    (tmp_path / "our_broken.py").write_text("import nowhere_to_be_found", encoding="utf-8")
    (tmp_path / "our_exit.py").write_text("raise SystemExit('password=hunter2000')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(ExchangeFactory, "registry", PluginRegistry())
    monkeypatch.setattr(ExchangeFactory, "_classes", {})
    for name in ("acme", "globex"):
        ExchangeFactory.register(name, Acme())
    yield
    for name in ("our_hooks", "our_broken", "our_exit"):
        sys.modules.pop(name, None)


def tables(**more: Any) -> dict[str, Any]:
    collectors = [
        {"exchange": name, "symbol": "A-B", "data_types": ["trade"], "name": name} for name in ("acme", "globex")
    ]
    return {"collectors": collectors, **more}


def test_they_are_put_on_the_collectors_they_are_for() -> None:
    config = ServiceConfig.from_tables(
        tables(
            middleware=[{"use": "our_hooks:Shop.counter", "exchanges": ["acme"]}],
            filters=[
                {"use": "our_hooks:keep", "data_types": ["trade"], "exchanges": ["globex"]},
                {"use": "our_hooks:keep"},
            ],
        )
    )
    made, refused = CollectorFactory(config).create_all()
    assert not refused
    acme, globex = made
    for each in made:
        each.stack.bound("parse")(None, b"f", 0)  # type: ignore[attr-defined]
    import our_hooks  # type: ignore[import-not-found]

    assert our_hooks.Shop.counter.frames == 1
    assert [each["data_types"] for each in acme.get_status()["filters"]] == [[]]
    assert [each["data_types"] for each in globex.get_status()["filters"]] == [["trade"], []]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"middleware": [{"use": "our_hooks.Count"}]}, "middleware[0].use: there is no module 'our_hooks.Count' here"),
        ({"middleware": [{"use": "our hooks"}]}, "middleware[0].use: expected package.module:name, got 'our hooks'"),
        ({"middleware": [{"use": "our_hooks:Cuont"}]}, "our_hooks:Cuont cannot be had: module 'our_hooks' has no"),
        ({"middleware": [{"use": "our_hooks:Count"}]}, "our_hooks:Count: it cannot be stacked: Count is a class"),
        ({"middleware": [{"use": "our_hooks:keep"}]}, "it cannot be stacked: the function keep is not a plugin"),
        ({"middleware": [{"use": "our_broken"}]}, "there is no module 'nowhere_to_be_found' here; install it"),
        ({"filters": [{"use": "our_exit:x"}]}, "filters[0].use: importing our_exit failed: SystemExit"),
        ({"filters": [{"use": "our_hooks:wait"}]}, "filters[0].use: our_hooks:wait: filter wait: it is async"),
        ({"filters": [{"use": "our_hooks:NUMBER"}]}, "filter int: expected a function of one event"),
    ],
)
def test_what_cannot_be_had_is_refused_by_its_path(more: dict[str, Any], problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        CollectorFactory(ServiceConfig.from_tables(tables(**more)))
    assert problem in str(caught.value)
    assert "hunter" not in str(caught.value)
    [(section, [table])] = more.items()
    path = tmp_path / "tickhive.toml"
    path.write_text(
        '[[collectors]]\nexchange = "acme"\nsymbol = "A-B"\ndata_types = ["trade"]\n'
        f"[[{section}]]\nuse = {json.dumps(table['use'])}\n",
        encoding="utf-8",
    )
    path.chmod(0o600)
    assert any(problem in each for each in check(path)[0]), "and the check says so before anything starts"


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"filters": [{"use": "a:b", "data_types": ["trades"]}]}, "filters[0].data_types[0]"),
        ({"filters": [{}]}, "filters[0].use: required, but missing"),
        ({"filters": {"use": "a:b"}}, "filters: expected a list, got a table; write [[filters]]"),
        ({"middleware": [{"use": "a:b", "exchange": "acme"}]}, "middleware[0].exchange"),
        ({"service": {"stalled_seconds": 0}}, "service.stalled_seconds"),
        ({"service": {"exit_when_stalled_seconds": -1}}, "service.exit_when_stalled_seconds"),
    ],
)
def test_tables_that_are_none_are_refused(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServiceConfig.from_tables(tables(**more))
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("stalled", "deadlines", "problems"),
    [
        (5, [10], ["collectors[0]: hook_deadline_seconds is 10.0)"]),
        (10, [10, 10], ["collectors[0]: hook_deadline_seconds is 10.0)"]),
        (5, [4, 6, 2], ["collectors[1]: hook_deadline_seconds is 6.0)"]),
        (5, [4], []),
        (10.5, [10, 10], []),
        (0, [10], []),
    ],
)
def test_a_process_may_not_end_before_the_hook_that_holds_it(
    stalled: float, deadlines: list[float], problems: list[str]
) -> None:
    given = tables(service={"exit_when_stalled_seconds": stalled})
    first = given["collectors"][0]
    given["collectors"] = [
        first | {"name": f"n{index}", "hook_deadline_seconds": each} for index, each in enumerate(deadlines)
    ]
    seen: list[str] = []
    try:
        ServiceConfig.from_tables(given)
    except ConfigurationError as error:
        seen = error.problems
    assert len(seen) == len(problems)
    for each, problem in zip(seen, problems, strict=True):
        assert each.startswith("service.exit_when_stalled_seconds: ")
        assert problem in each


@pytest.mark.parametrize("table", ["middleware", "filters"])
@pytest.mark.parametrize(
    ("name", "hint"), [("acne", "did you mean 'acme'?"), ("quite-another", "none of this name is installed")]
)
def test_an_exchange_nobody_collects_is_a_typing_mistake(table: str, name: str, hint: str) -> None:
    use = {"middleware": "our_hooks:Shop.counter", "filters": "our_hooks:keep"}[table]
    with pytest.raises(ConfigurationError) as refused:
        ServiceConfig.from_tables(tables(**{table: [{"use": use, "exchanges": ["globex", name]}]}))
    (problem,) = refused.value.problems
    assert problem.startswith(f"{table}[0].exchanges: no collector uses {name!r}")
    assert hint in problem
