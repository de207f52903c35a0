"""The commands do what they say, and say what went wrong in words."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_help_is_light_and_lists_every_command() -> None:
    source = (
        "import sys\nfrom tickhive.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'structlog', 'httpx', 'websockets', 'cattrs', 'rich', 'pyarrow', 'asyncio', 'msgspec'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    for name in ("run", "check", "plugins", "replay", "demo", "init"):
        assert f"\n  {name} " in done.stdout
    assert "HEAVY []" in done.stdout


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tickhive.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("tickhive ")


@pytest.mark.parametrize("name", ["run", "check", "plugins", "replay", "demo", "init"])
def test_every_command_explains_itself(tickhive: Call, name: str) -> None:
    said = tickhive(name, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: tickhive {name}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("run",),
        ("run", "acme"),
        ("run", "acme", "A-B", "--config", "x.toml"),
        ("run", "acme", "A-B", "--for", "soon"),
        ("run", "acme", "A-B", "--for", "-1s"),
        ("run", "acme", "A-B", "--sink", "parquet"),
        ("run", "--config", "x.toml", "--data-dir", "y"),
        ("replay",),
        ("replay", "x", "--speed", "0"),
        ("replay", "x", "--speed", "nan"),
        ("replay", "x", "--speed", "inf"),
        ("replay", "x", "--speed", "fast"),
        ("run", "acme", "A-B", "--for", "0"),
    ],
)
def test_a_command_that_is_not_understood(tickhive: Call, arguments: tuple[str, ...]) -> None:
    said = tickhive(*arguments)
    assert said.code == 2
    assert "Usage:" in said.err
    assert said.out == ""


def test_plugins(tickhive: Call, acme: object) -> None:
    listed = json.loads(tickhive("plugins", "--json").out)
    (row,) = [each for each in listed["exchanges"] if each["name"] == "acme"]
    assert (row["status"], row["api_version"], row["simulated_venue"]) == ("available", 1, True)
    assert "acme" in tickhive("plugins").out


def test_plugins_says_what_is_blocked(tickhive: Call, acme: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from tickhive.cli import plugins_command
    from tickhive.plugin.registry import PluginRegistry, default_registry

    monkeypatch.setenv("TICKHIVE_BLOCK_PLUGINS", "acme")
    registry = PluginRegistry()
    registry.register("acme", default_registry()._registered["acme"])
    monkeypatch.setattr(plugins_command, "default_registry", lambda: registry)
    out = tickhive("plugins").out
    assert "blocked" in out
    assert "TICKHIVE_BLOCK_PLUGINS" in out


def test_init_writes_what_check_accepts(tickhive: Call, acme: object, tmp_path: Path) -> None:
    said = tickhive("init", "mine.toml", "--exchange", "acme")
    assert said.code == 0
    path = tmp_path / "mine.toml"
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    checked = tickhive("check", "--config", "mine.toml")
    assert (checked.code, checked.err) == (0, "")
    assert "acme: A-B, C-D (trade)" in checked.out


def test_init_never_overwrites_unasked(tickhive: Call, acme: object, tmp_path: Path) -> None:
    (tmp_path / "tickhive.toml").write_text("precious")
    said = tickhive("init", "--exchange", "acme")
    assert said.code == 1
    assert "is there already" in said.err
    assert (tmp_path / "tickhive.toml").read_text() == "precious"
    assert tickhive("init", "--exchange", "acme", "--force").code == 0
    assert "acme" in (tmp_path / "tickhive.toml").read_text()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_init_does_not_follow_a_link(tickhive: Call, acme: object, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "tickhive.toml").symlink_to(tmp_path / "target")
    assert tickhive("init", "--exchange", "acme", "--force").code == 0
    assert (tmp_path / "target").read_text() == "precious"


def test_init_of_an_exchange_that_is_not_installed(tickhive: Call) -> None:
    said = tickhive("init", "--exchange", "nowhere")
    assert said.code == 1
    assert "pip install tickhive-nowhere" in said.err


def test_check_lists_all_problems(tickhive: Call, acme: object, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        '[service]\ncolour = "red"\n[[collectors]]\nexchange = "acme"\nsymbols = []\ndata_types = ["trades"]\n'
        '[[sinks]]\npath = "x"\n'
    )
    path.chmod(0o600)
    said = tickhive("check", "--config", "bad.toml", "--json")
    assert said.code == 1
    problems = json.loads(said.out)["problems"]
    for field in ("service.colour", "collectors[0]", "sinks[0].type"):
        assert any(problem.startswith(field) for problem in problems), (field, problems)
    assert tickhive("check", "--config", "bad.toml").out.count("\n  - ") == len(problems)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[collectors]]\nexchange = "nowhere"\nsymbols = ["A-B"]\ndata_types = ["trade"]\n', "tickhive-nowhere"),
        ('[[collectors]]\nexchange = "acme"\nsymbols = ["A-B"]\ndata_types = ["ticker"]\n', "acme has no ticker"),
        (
            '[[collectors]]\nexchange = "acme"\nsymbols = ["A-B"]\ndata_types = ["trade"]\n[[sinks]]\ntype = "void"\n',
            "no sink of type 'void'",
        ),
        (
            '[exchanges.acme]\nurl = "http://x"\n'
            '[[collectors]]\nexchange = "acme"\nsymbols = ["A-B"]\ndata_types = ["trade"]\n',
            "ws://",
        ),
    ],
)
def test_check_asks_the_packages(tickhive: Call, acme: object, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    path.chmod(0o600)
    said = tickhive("check", "--config", path)
    assert said.code == 1
    assert says in said.out


MIXED = """
[service]
data_dir = 5
colour = "red"
[exchanges.acme]
urll = "ws://x"
url = "http://x"
[[collectors]]
exchange = "acme"
symbols = ["A-B"]
data_types = ["trde", "ticker", "trade", "orderbook:7"]
[[collectors]]
exchange = "nowhere"
symbls = ["A-B"]
data_types = ["trades"]
[[sinks]]
type = "viod"
"""


def test_check_finds_in_one_go_what_file_and_packages_hold(tickhive: Call, acme: object, tmp_path: Path) -> None:
    path = tmp_path / "mixed.toml"
    path.write_text(MIXED)
    path.chmod(0o666)
    said = tickhive("check", "--config", "mixed.toml", "--json")
    problems = json.loads(said.out)["problems"]
    expected = [
        "service.data_dir: expected a path",
        "service.colour: unknown key",
        "exchanges.acme.urll: unknown key; did you mean 'url'?",
        "exchanges.acme.url: expected an address",
        "collectors[0].data_types[0]: unknown data type 'trde'",
        "collectors[0].data_types[1]: acme has no ticker",
        "collectors[0].data_types[3]: acme has no orderbook:7",
        "collectors[1].exchange: Exchange not supported: 'nowhere'",
        "collectors[1].symbls: unknown key",
        "collectors[1].data_types[0]: unknown data type 'trades'",
        "sinks[0].type: no sink of type 'viod'",
        *(["can be changed by every user"] if os.name != "nt" else []),
    ]
    for beginning in expected:
        assert any(problem.startswith(beginning) for problem in problems), (beginning, problems)
    assert (said.code, len(problems)) == (1, len(expected)), problems
    path.chmod(0o600)
    ran = tickhive("run", "--config", "mixed.toml")
    assert ran.code == 1
    for beginning in expected[:11]:
        assert beginning in ran.err


def test_check_says_which_table_a_setting_is_from(tickhive: Call, acme: object, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[exchanges.acme]\nurl = "http://x"\n[[collectors]]\nexchange = "acme"\nsymbol = "A-B"\n'
        'data_types = ["trade"]\nsettings = { rest_url = "ws://x" }\n'
    )
    path.chmod(0o600)
    problems = json.loads(tickhive("check", "--config", path, "--json").out)["problems"]
    assert [problem.partition(": ")[0] for problem in problems] == [
        "exchanges.acme.url",
        "collectors[0].settings.rest_url",
    ]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="who may read everything is refused nothing"
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_may_not_be_read(tickhive: Call, tmp_path: Path, command: str) -> None:
    (tmp_path / "mine.toml").touch(0o000)
    said = tickhive(command, "--config", "mine.toml")
    assert said.code == 1
    assert "cannot be read by this user" in said.out + said.err


def test_exchange_and_symbol_in_the_wrong_order(tickhive: Call, acme: object) -> None:
    said = tickhive("run", "A-B", "C-D", "acme")
    assert said.code == 2
    assert "'acme' is one. The exchange comes first: tickhive run acme A-B C-D" in said.err
    said = tickhive("run", "A-B", "C-D")
    assert said.code == 1
    assert "pip install" not in said.err


def test_a_file_that_is_not_there(tickhive: Call) -> None:
    checked = tickhive("check", "--config", "no.toml")
    assert checked.code == 1
    assert "does not exist; `tickhive init` writes one" in checked.out
    said = tickhive("run", "--config", "no.toml")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("Error: no.toml: does not exist")


def test_replay(tickhive: Call, acme: object, tmp_path: Path) -> None:
    frame = json.dumps({"s": "A-B", "i": 1, "p": "10.50"})
    line = {"t": 1.5, "dir": "in", "kind": "ws", "url": "wss://ws.acme.test/v1", "conn": 1, "frame": frame}
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(line) + "\n")
    said = tickhive("replay", path, "--json")
    told = json.loads(said.out)
    assert (said.code, told["events"], told["malformed"]) == (0, {"trade": 1}, 0)
    assert told["digest"] == json.loads(tickhive("replay", path, "--json", "--speed", "1000").out)["digest"]
    assert told["digest"] in tickhive("replay", path).out
    path.write_text(json.dumps({**line, "frame": "{}"}) + "\n")
    assert tickhive("replay", path).code == 1
    path.write_text("what is this\n")
    said = tickhive("replay", path)
    assert (said.code, said.out) == (1, "")
    assert "r.jsonl, line 1" in said.err
    assert "Traceback" not in said.err


def test_an_unexpected_error_is_one_paragraph_unless_debugging(
    tickhive: Call, monkeypatch: pytest.MonkeyPatch, acme: object
) -> None:
    from tickhive.cli import plugins_command
    from tickhive.cli.main import main

    def fail(_: object) -> None:
        raise RuntimeError("a defect with api_key=abcdefgh1234")

    monkeypatch.setattr(plugins_command, "describe_exchanges", fail)
    said = tickhive("plugins")
    assert said.code == 1
    assert said.err.startswith("Error: RuntimeError: a defect")
    assert "abcdefgh1234" not in said.err
    assert "Traceback" not in said.err
    with pytest.raises(RuntimeError):
        main(["--debug", "plugins"])


def test_check_looks_secrets_up_and_names_those_that_cannot_be_had(
    tickhive: Call, acme: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(
        '[accounts.main]\nexchange = "acme"\nkey_env = "ACME_MAIN_KEY"\nsecret_env = "ACME_MAIN_SECRET"\n'
        '[[collectors]]\nexchange = "acme"\naccount = "main"\nsymbols = ["A-B"]\ndata_types = ["trade"]\n'
    )
    path.chmod(0o600)
    monkeypatch.setenv("ACME_MAIN_KEY", "Kq3-check-this-key")
    said = tickhive("check", "--config", path)
    assert said.code == 1
    assert (
        "  - accounts.main: the environment variable ACME_MAIN_SECRET, which is to hold the secret, is not set"
        in said.out
    )
    monkeypatch.setenv("ACME_MAIN_SECRET", "Sq4-check-this-secret")
    said = tickhive("check", "--config", path)
    assert (said.code, said.err) == (0, "")
    assert "acme: A-B (trade), account main" in said.out
    assert "check-this" not in said.out
