"""The configuration file: every fault at once, by its path, and nobody else's hands on it."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.errors import ConfigurationError, PermissionsError
from tickhive.redaction import _sanitize_error
from tickhive.service import ServiceConfig
from tickhive.service.config_file import _is_shared_on_windows, parse_toml, secrets_of

posix = pytest.mark.skipif(os.name == "nt", reason="Windows rights are not in the mode")

GOOD = """\
[service]
data_dir = "store"
log_format = "json"
[exchanges.acme]
url = "ws://127.0.0.1:9001"
[[collectors]]
exchange = "acme"
symbols = ["BTC-USDT", "BTC-USDT-PERP"]
data_types = ["trade", "candle:1m"]
auto_restart = false
[[collectors]]
exchange = "zenith"
symbol = "ETH-USDT"
data_types = ["ticker"]
name = "second"
[[sinks]]
type = "memory"
path = "data"
[plugins]
block = ["other"]
[spool]
max_bytes = 5_000_000
[restarts]
patience_seconds = 5
"""

ONE = '[[collectors]]\nexchange = "acme"\nsymbol = "A-B"\ndata_types = ["trade"]\n'


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_a_good_file_says_what_it_says(tmp_path):
    config = ServiceConfig.load(write(tmp_path / "t.toml", GOOD))
    assert config.service.data_dir == Path("store")
    assert (config.service.log_level, config.service.log_format) == ("info", "json")
    assert [each.exchange for each in config.collectors] == ["acme", "zenith"]
    assert config.collectors[0].symbols == ("BTC-USDT", "BTC-USDT-PERP")
    assert config.collectors[0].auto_restart is False
    assert config.exchanges == {"acme": {"url": "ws://127.0.0.1:9001"}}
    assert [(sink.type, sink.name, sink.settings) for sink in config.sinks] == [("memory", "memory", {"path": "data"})]
    assert config.plugins.block == ("other",)
    assert config.spool.max_bytes == 5_000_000
    assert config.restarts.patience_seconds == 5.0
    assert config.source == tmp_path / "t.toml"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["collectors: nothing to collect; add a [[collectors]] table"]),
        (ONE + "[servce]\n", ["servce: unknown key; did you mean 'service'?"]),
        (ONE + '[service]\ndata_dri = "x"\n', ["service.data_dri: unknown key; did you mean 'data_dir'?"]),
        (ONE + "[service]\ndata_dir = 5\n", ["service.data_dir: expected a path, got a whole number"]),
        (ONE + '[service]\nlog_level = "inof"\n', ["service.log_level: expected one of"]),
        (ONE + "[service]\ndrain_seconds = -1\n", ["service.drain_seconds: "]),
        (ONE + "[spool]\nmax_bytes = 1\n", ["spool.max_bytes: "]),
        (ONE + "[restarts]\ncheck_seconds = 0\n", ["restarts.check_seconds: must be more than 0"]),
        (ONE + '[plugins]\nblock = "x"\n', ["plugins.block: expected a list, got text"]),
        ('[collectors]\nexchange = "acme"\n', ["collectors: expected a list, got a table; write [[collectors]]"]),
        ("collectors = [5]\n", ["collectors[0]: expected a table, got a whole number"]),
        ("service = 1\n" + ONE, ["service: expected a table, got a whole number"]),
        ("exchanges = 1\n" + ONE, ["exchanges: expected tables such as [exchanges.NAME], got a whole number"]),
        (ONE + "[exchanges]\nacme = 1\n", ["exchanges.acme: expected a table, got a whole number"]),
        (ONE + "[exchanges.acmee]\n", ["exchanges.acmee: no collector uses this exchange; did you mean 'acme'?"]),
        (ONE + ONE, ["collectors[1].name: 'acme:A-B' is taken by collectors[0]"]),
        (ONE + "[[sinks]]\npath = 'x'\n", ["sinks[0].type: required, but missing"]),
        (ONE + "[[sinks]]\ntype = 5\n", ["sinks[0].type: expected the type of an installed sink, got a whole number"]),
        (ONE + "[[sinks]]\ntype = 'a'\nname = 5\n", ["sinks[0].name: expected text, got a whole number"]),
        (ONE + "[[sinks]]\ntype='a'\n[[sinks]]\ntype='a'\n", ["sinks[1].name: 'a' is taken by sinks[0]"]),
        ("sinks = ['x']\n" + ONE, ["sinks[0]: expected a table, got text"]),
        (
            ONE + '[[collectors]]\nexchange = "acme"\nsymbol = "C-D"\ndata_types = ["trades", "ticker"]\n',
            ["collectors[1].data_types[0]: unknown data type 'trades'; did you mean 'trade'?"],
        ),
        (
            '[[collectors]]\nexchange = "acme"\nsymbls = ["A-B"]\ndata_types = ["trades"]\nauto_restart = "yes"\n',
            [
                "collectors[0].symbls: unknown key; did you mean 'symbols'?",
                "collectors[0].auto_restart: expected true or false, got text",
                "collectors[0].data_types[0]: unknown data type 'trades'",
            ],
        ),
        (
            '[service]\nlog_format = 1\nname = ""\n[[collectors]]\nexchange = 5\nsymbls = ["A-B"]\n[[sinks]]\n',
            [
                "service.log_format: expected one of",
                "service.name: ",
                "collectors[0].exchange: expected text, got a whole number",
                "collectors[0].symbls: unknown key; did you mean 'symbols'?",
                "sinks[0].type: required, but missing",
            ],
        ),
    ],
)
def test_every_fault_is_found_at_once_and_named_by_its_path(tmp_path, text, problems):
    with pytest.raises(ConfigurationError) as refused:
        ServiceConfig.load(write(tmp_path / "t.toml", text))
    seen = refused.value.problems
    assert len(seen) == len(problems), seen
    for expected in problems:
        assert any(problem.startswith(expected) for problem in seen), (expected, seen)
    assert str(refused.value).startswith(str(tmp_path / "t.toml"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[service\n", "is not valid TOML: .*line 1, column 9"),
        (b'[service]\nname = "x', "is not valid TOML: .*line 2, column 10"),
        (b"[a]\n[a]\n", "is not valid TOML: .*line 2"),
        (b"[service]\nname = '\xff'\n", r"is not UTF-8 text \(line 2\)"),
        (b"\x00\x01", "is not valid TOML"),
        (b"a = " + b"[" * 5000, "is nested too deeply"),
        (b"a = " + b"9" * 9000, "holds a number that is too long"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_in_plain_words(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message):
        ServiceConfig.load(write(tmp_path / "t.toml", content))


def test_a_byte_order_mark_does_no_harm(tmp_path):
    assert ServiceConfig.load(write(tmp_path / "t.toml", b"\xef\xbb\xbf" + ONE.encode())).collectors


def test_what_is_no_readable_file_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="does not exist; `tickhive init` writes one"):
        ServiceConfig.load(tmp_path / "absent.toml")
    with pytest.raises(ConfigurationError, match="is a directory"):
        ServiceConfig.load(tmp_path)
    with pytest.raises(ConfigurationError, match="is not the name of a file"):
        ServiceConfig.load("a\0b")
    with pytest.raises(ConfigurationError, match="bytes long"):
        ServiceConfig.load(write(tmp_path / "big.toml", b"#" * 5_000_000))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ConfigurationError, match="not a regular file"):
            ServiceConfig.load(tmp_path / "pipe")
    if os.name == "posix" and os.geteuid() != 0:
        with pytest.raises(ConfigurationError, match="cannot be read by this user"):
            ServiceConfig.load(write(tmp_path / "mine.toml", ONE, 0o000))


SECRET = ONE + '[exchanges.acme]\napi_key = "AKIAABCDEFGH12345"\n'


@posix
@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (ONE, 0o600, None),
        (ONE, 0o644, None),
        (ONE, 0o400, None),
        (ONE, 0o664, "can be changed by its group"),
        (ONE, 0o666, "can be changed by every user"),
        (ONE, 0o602, "can be changed by every user"),
        (SECRET, 0o600, None),
        (SECRET, 0o640, "holds credentials and can be read by its group"),
        (SECRET, 0o604, "holds credentials and can be read by every user"),
        (SECRET, 0o622, "can be changed by every user"),
        (ONE + '[[sinks]]\ntype = "pg"\nurl = "postgres://me:pass1234@db/x"\n', 0o644, "holds credentials"),
        (ONE + '[[collectors]]\nexchange="b"\nsymbol="A-B"\ndata_types=["trade"]\nproxy="http://u:pass1@h"\n', 0o644,
         "holds credentials"),
    ],
)  # fmt: skip
def test_the_rights_of_the_file_are_judged(tmp_path, text, mode, said):
    path = write(tmp_path / "a file.toml", text, mode)
    if said is None:
        ServiceConfig.validate_permissions(path)
        ServiceConfig.load(path)
        return
    for check in (ServiceConfig.validate_permissions, ServiceConfig.load):
        with pytest.raises(PermissionsError, match=said) as refused:
            check(path)
        assert str(refused.value).endswith(f"run: chmod 600 '{path}'")
    path.chmod(0o600)
    ServiceConfig.load(path)


@posix
def test_a_link_is_judged_by_what_it_points_to(tmp_path):
    write(tmp_path / "real.toml", ONE, 0o666)
    (tmp_path / "link.toml").symlink_to(tmp_path / "real.toml")
    with pytest.raises(PermissionsError):
        ServiceConfig.load(tmp_path / "link.toml")


def test_rights_of_a_file_that_is_absent_are_an_error_in_plain_words(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ServiceConfig.validate_permissions(tmp_path / "absent.toml")


def test_the_shared_folder_of_windows_is_recognised(tmp_path):
    assert _is_shared_on_windows(tmp_path / "deep" / "t.toml", str(tmp_path))
    assert not _is_shared_on_windows(tmp_path / "t.toml", str(tmp_path / "other"))
    assert not _is_shared_on_windows(tmp_path / "t.toml", None)


def test_credentials_in_the_file_are_never_shown_again(tmp_path):
    ServiceConfig.load(write(tmp_path / "t.toml", SECRET))
    assert "AKIAABCDEFGH12345" not in _sanitize_error("refused for AKIAABCDEFGH12345 today")


def test_a_config_does_not_show_what_it_holds(tmp_path):
    config = ServiceConfig.load(write(tmp_path / "t.toml", SECRET))
    assert "AKIAABCDEFGH12345" not in repr(config)


@pytest.mark.parametrize(
    ("table", "secrets"),
    [
        ({"key": "k", "url": "wss://x"}, ["k"]),
        ({"a": {"passphrase": "p"}, "b": [{"api_secret": "s"}]}, ["p", "s"]),
        ({"url": "postgres://me:pw@h/d"}, ["pw"]),
        ({"tokens": ["t1", "t2"]}, ["t1", "t2"]),
        ({"key": 5, "secret": "", "keyboard": "x"}, []),
    ],
)
def test_credentials_are_recognised(table, secrets):
    assert secrets_of(table) == secrets


@pytest.mark.parametrize("sink", [None, "memory"])
@pytest.mark.parametrize("symbols", [["BTC-USDT"], ["A-B", 'odd"name', "uni\u00e9"]])
def test_the_default_configuration_is_valid_as_it_stands(tmp_path, sink, symbols):
    text = ServiceConfig._create_default_config("acme", symbols, ["trade", "candle:1m"], sink)
    config = ServiceConfig.load(write(tmp_path / "t.toml", text))
    assert list(config.collectors[0].symbols) == symbols
    assert [each.type for each in config.sinks] == ([sink] if sink else [])
    # What is commented out has to be valid too, once somebody takes the mark off.
    hash_off = [line.removeprefix("# ") if line.startswith("# ") and ("=" in line or "[" in line) else line
                for line in text.splitlines()[2:]]  # fmt: skip
    parsed = ServiceConfig.from_tables(tomllib.loads("\n".join(hash_off)))
    assert parsed.restarts.max_restarts == 5


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["service", "exchanges", "collectors", "sinks", "plugins", "spool", "restarts", "x"])


@given(st.dictionaries(names, values))
def test_any_tables_are_taken_or_refused_with_reasons(tables):
    refused = None
    try:
        ServiceConfig.from_tables(tables)
    except ConfigurationError as error:
        refused = error
    assert refused is None or (refused.problems and all(refused.problems))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_document_or_a_configuration_error(content):
    try:
        answer = parse_toml(content, "x")
    except ConfigurationError as error:
        answer = str(error)
    assert isinstance(answer, dict) or answer.startswith("x: ")


@pytest.mark.skipif(sys.platform == "win32", reason="modes")
def test_mode_of_what_the_tests_write(tmp_path):
    assert stat.S_IMODE(write(tmp_path / "x", "", 0o640).stat().st_mode) == 0o640
