"""The documentation is true: every example runs, every command and link exists, every configuration is accepted."""

from __future__ import annotations

import doctest
import importlib
import json
import logging
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tickhive import CollectorManager, ExchangeCollectorConfig, ServiceConfig, Trade
from tickhive.cli.main import cli
from tickhive.exchanges.factory import structure_settings
from tickhive.plugin.registry import default_registry
from tickhive.sinks import create_sink

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), ROOT / "core" / "README.md", *ROOT.glob("plugins/*/README.md"), *DOCS.rglob("*.md")]
)
HOOKS = DOCS / "reference" / "hooks.md"
FOLLOWED = [path for path in PAGES if path.parent == DOCS / "tutorial"]
"""Pages that ``test_docs_tutorial.py`` follows step by step: their files and commands are not looked at here."""
ANNOTATIONS = annotations.compiler_flag


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run_blocks(page: Any, names: dict[str, Any]) -> dict[str, Any]:
    """Run the python blocks of a page one after the other, in one namespace."""
    flags = 0
    for block in page.blocks_of("python", "pycon"):
        assert block.language == "python", f"{page.path}:{block.line}: write plain python, so that it is run"
        if block.file is not None:
            continue  # installed by the fixture, and used by what follows
        if "from __future__ import annotations" in block.text:
            flags = ANNOTATIONS
        exec(compile("\n" * (block.line - 1) + block.text, str(page.path), "exec", flags, dont_inherit=True), names)
    return names


# Python


class Enough(Exception):
    """An example that runs for ever has shown what it has to show."""


def enough_of(lines: list[str]) -> Callable[..., None]:
    """A ``print`` that ends the example once trades and book prices were printed."""

    def show(*values: Any) -> None:
        lines.append(" ".join(map(str, values)))
        trades = [line for line in lines if line.startswith("Trade(")]
        if len(values) == 2 and len(trades) >= 2 and len(lines) >= len(trades) + 3:
            raise Enough

    return show


def test_the_readme_example_runs_against_the_simulated_exchange(
    beside_us: Any, read_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tickhive_okx import settings
    from tickhive_okx.venue import OKXVenue

    server = beside_us.serve(OKXVenue())
    monkeypatch.setitem(settings.SOCKETS, ("global", False), server.url)
    monkeypatch.setitem(settings.REST, "global", server.rest_url)
    lines: list[str] = []
    with pytest.raises(Enough):
        run_blocks(read_page(ROOT / "README.md"), {"__name__": "__main__", "print": enough_of(lines)})
    assert any("Decimal(" in line and not line.startswith("Trade(") for line in lines)


@pytest.fixture
def prepared(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], dict[str, Any]]]:
    """What a page's examples find around them: a directory of their own, a simulated exchange, stored files."""
    monkeypatch.chdir(tmp_path)
    levels = {logger: logger.level for logger in (logging.getLogger(), logging.getLogger("tickhive"))}

    def prepare(path: Path) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "__main__"}
        if DOCS in path.parents or path == ROOT / "core" / "README.md":
            names["server"] = server = request.getfixturevalue("acme_server")
            config = Path("tickhive.toml")
            config.write_text(
                f'[exchanges.acme]\nurl = "{server.url}"\n'
                '[[collectors]]\nexchange = "acme"\nsymbols = ["BTC-USDT"]\ndata_types = ["trade"]\n'
                '[[sinks]]\ntype = "parquet"\npath = "data"\n'
            )
            config.chmod(0o600)
        if path == ROOT / "plugins" / "parquet" / "README.md":
            store_trades(Path("data"))
        return names

    yield prepare
    # What an example sets for its process is taken back.
    CollectorManager._forget_instance()
    for logger, level in levels.items():
        logger.setLevel(level)


def store_trades(root: Path) -> None:
    """Two trades in Parquet, as the sink stores them."""
    import asyncio
    from decimal import Decimal

    from tickhive.sinks import SinkRunner
    from tickhive.spool import Spool

    async def store() -> None:
        spool = Spool(root / "spool")
        await spool.open()
        runner = SinkRunner(spool, "parquet", create_sink("parquet", {"path": str(root)}))
        await runner.start()
        at = 1_795_368_000_000_000_000
        spool.append([Trade("acme", "BTC-USDT", at, at, str(n), "buy", Decimal(n), Decimal(1)) for n in (1, 2)])
        assert await runner.stop() == 0
        await spool.close()

    asyncio.run(store())


@pytest.mark.parametrize(
    "path",
    [path for path in PAGES if path not in [ROOT / "README.md", *FOLLOWED] and "```py" in path.read_text("utf-8")],
    ids=name_of,
)
def test_python_examples_run(path: Path, prepared: Any, read_page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_blocks(read_page(path), prepared(path))
    printed = capsys.readouterr().out
    if path.name == "callbacks-and-streams.md":
        assert "Trade(exchange='acme'" in printed
        assert "not live" in printed
    elif path.name == "change-while-running.md":
        assert "['orderbook ETH-USDT']" in printed
        assert "lists no instrument named 'NOPE-USDT'" in printed
        assert "['BTC-USDT-PERP', 'ETH-USDT-PERP']" in printed
    elif path.name == "record-and-replay.md":
        assert "equal True" in printed
        assert names["live"]
        assert 0 < names["result"].kept < names["result"].of
    elif path.name == "middleware.md":
        assert "dict_keys(['main']) 4 requests" in printed
        assert "True True {" in printed
        assert "'Trade'" in printed
        assert [int(line.split()[-1]) for line in printed.splitlines()[-4:]] == [0, 0, 0, 0], "errors of the filters"
    elif path.name == "redundancy.md":
        assert "trades, none missing, none twice" in printed
    elif path.name == "what-happened.md":
        assert "gap BTC-USDT trade" in printed
        assert "gap BTC-USDT orderbook none" in printed
        assert "subscription BTC-USDT trade wanted" in printed
        assert "'data_type': 'orderbook'" in printed, "read back from the store"
    elif path.name == "run-as-a-service.md":
        assert "running True True True []" in printed
        assert "exit code 0" in printed
        assert list(Path("data").rglob("*.parquet"))
    elif path.parent.name == "parquet":
        assert names["table"].num_rows == 2


def test_the_how_tos_exchange_works_with_the_commands(acme: Path, tmp_path: Path) -> None:
    def tickhive(*arguments: str) -> Any:
        command = [sys.executable, "-m", "tickhive.cli", *arguments, "--json"]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(acme)},
            capture_output=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout)

    [row] = [row for row in tickhive("plugins")["exchanges"] if row["name"] == "acme"]
    assert row["status"] == "available"
    assert row["simulated_venue"] is True
    assert tickhive("demo", "--exchange", "acme", "--for", "1s")["equal"] is True


def modules_with_doctests() -> Iterator[str]:
    for source in [ROOT / "core" / "src", *ROOT.glob("plugins/*/src")]:
        for path in sorted(source.rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                yield ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("module", [*modules_with_doctests()])
def test_examples_in_docstrings_hold(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried
    assert not failed


# Configuration


@pytest.mark.parametrize("path", [path for path in PAGES if "```toml" in path.read_text("utf-8")], ids=name_of)
def test_configurations_are_accepted(path: Path, acme: Path, read_page: Any) -> None:
    for block in read_page(path).blocks_of("toml"):
        tables = tomllib.loads(block.text)
        if "project" in tables:
            continue
        if "collectors" not in tables:
            exchange = next(iter(tables.get("exchanges", {"acme": None})))
            collector = {"exchange": exchange, "symbols": ["BTC-USDT"], "data_types": ["trade"]}
            tables = {**tables, "collectors": [collector]}
        config = ServiceConfig.from_tables(tables, path)
        for name, table in config.exchanges.items():
            stack = default_registry().load(name)
            wanted = ExchangeCollectorConfig(exchange=name, symbol="BTC-USDT", data_types=["trade"], settings=table)
            assert structure_settings(stack, wanted) is not None
        for sink in config.sinks:
            create_sink(sink.type, sink.settings)


# Commands


def commands(page: Any) -> Iterator[tuple[int, list[str]]]:
    """The command lines in a page's console blocks, without prompts and comments, and those within its sentences."""
    for block in page.blocks_of("console", "", "shell", "bash", "ini"):
        for number, text in enumerate(block.text.splitlines(), block.line):
            line = re.sub(r"\s+#.*", "", text.removeprefix("$ ").removeprefix("ExecStart=/opt/tickhive/bin/")).strip()
            if line.startswith(("tickhive ", "python3 dev.py", "pip ", "python docs")):
                yield number, line.split()
    for match in re.finditer(
        r"`((?:tickhive|python3 dev\.py|pip) [^`]+)`", re.sub(r"```.*?```", _blank, page.text, flags=re.S)
    ):
        words = [word for word in match[1].split() if word != "..."]
        if "COMMAND" not in words:  # stands for any of them
            yield page.text.count("\n", 0, match.start()) + 1, words


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def check_tickhive(arguments: list[str]) -> None:
    """Every option and command must exist; nothing is run."""
    context = click.Context(cli, info_name="tickhive")
    _, rest, _ = cli.make_parser(context).parse_args(list(arguments))
    if not rest:
        return
    command = cli.get_command(context, rest[0])
    assert command is not None, f"no command {rest[0]}"
    if "--help" not in rest:
        command.make_parser(click.Context(command, info_name=rest[0])).parse_args(rest[1:])


PACKAGES = {
    tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]
    for path in [ROOT / "core" / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
}


@pytest.mark.parametrize("path", [path for path in PAGES if path not in FOLLOWED], ids=name_of)
def test_commands_exist(path: Path, read_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    verbs = runpy.run_path(str(ROOT / "dev.py"))["VERBS"]
    for line, words in commands(read_page(path)):
        where = f"{name_of(path)}:{line}: {' '.join(words)}"
        match words:
            case ["tickhive", *arguments]:
                try:
                    check_tickhive(arguments)
                except click.UsageError as error:
                    pytest.fail(f"{where}: {error.format_message()}")
            case ["python3", "dev.py", verb, *_]:
                assert verb in verbs, where
            case ["pip", "install", *names]:
                named = [each.strip("'\"") for each in names]
                wanted = {re.sub(r"\[.*", "", each) for each in named if not each.startswith(("-", "."))}
                assert wanted <= PACKAGES, where
            case ["python", script, *_]:
                assert (ROOT / script).is_file(), where
            case _:
                pytest.fail(where)


@pytest.mark.parametrize("wrong", ["tickhive collect okx", "tickhive run --typos trade", "tickhive run --config"])
def test_a_wrong_command_is_found(wrong: str) -> None:
    with pytest.raises((click.UsageError, AssertionError)):
        check_tickhive(wrong.split()[1:])


# Links

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def anchor_of(heading: str) -> str:
    """The anchor a heading gets where markdown is shown."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.strip().replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_resolve(path: Path, read_page: Any) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in _LINK.findall(text):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{name_of(path)}: {target} leads nowhere"
        assert ROOT in there.parents, f"{name_of(path)}: {target} leads out of the repository"
        if anchor:
            assert anchor in {anchor_of(each) for each in read_page(there).headings}, f"{name_of(path)}: {target}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_are_linked_and_clean(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert text.endswith("\n")
    assert not re.search(r"(?i)\btodo\b|placeholder|lorem ipsum", text)
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    if DOCS in path.parents and path != DOCS / "README.md":
        assert f"({path.relative_to(DOCS).as_posix()})" in index, f"docs/README.md does not list {name_of(path)}"


def test_the_readme_begins_with_what_a_newcomer_needs() -> None:
    screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:30])
    wanted = ("python3 dev.py demo", "python3 dev.py test", "tickhive run okx BTC-USDT ETH-USDT", "tickhive demo")
    assert [each for each in wanted if each not in screen] == []
    assert "cannot be reached" in screen


def test_the_page_of_hooks_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["generate_hooks.py"])
    written = runpy.run_path(str(DOCS / "generate_hooks.py"), run_name="generate_hooks")["page"]()
    assert HOOKS.read_text(encoding="utf-8") == written, "run: python docs/generate_hooks.py"
