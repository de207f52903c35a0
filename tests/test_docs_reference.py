"""The reference is complete: nothing the code has is missing from it, nothing in it is gone from the code."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import tomllib
import types
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

import tickhive.errors
from tickhive import (
    BaseDataCollector,
    Channel,
    DataType,
    ExchangeCollectorConfig,
    Gap,
    Instrument,
    ServiceConfig,
)
from tickhive.channels import InstrumentTable
from tickhive.cli.main import COMMANDS, cli
from tickhive.credentials import Account
from tickhive.events import EVENT_TYPES
from tickhive.manager import RestartPolicy
from tickhive.plugin import (
    Answer,
    Credentials,
    Dial,
    ExchangeSettings,
    Fetch,
    InstrumentUpdate,
    Limit,
    Malformed,
    Poll,
    Ready,
    Request,
    SimulatedVenue,
    Unknown,
    VenueOptions,
)
from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.validation import HOOKS
from tickhive.service.config import (
    FilterConfig,
    MiddlewareConfig,
    PluginsSection,
    ServiceSection,
    SinkConfig,
    SpoolSection,
)
from tickhive.session import Feed, OrderBook, Session, SessionStatistics
from tickhive.sinks import SinkSettings

ROOT = Path(__file__).resolve().parent.parent


def code(cell: str) -> str:
    """A table's cell without its backticks."""
    return cell.strip("`")


# Hooks


def test_every_hook_is_documented_and_has_an_example(read_page: Any) -> None:
    page = read_page("reference/hooks.md")
    for name in HOOKS:
        assert name in page.headings
        section = page.text.split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert len(section.split("```text")[1].split("```")[1].split()) > 8, f"{name} is not explained"
        assert f"def {name}(" in section.split("```python")[1], f"{name} has no example"


def test_hooks_the_core_does_not_ask_are_said_to_be_so(read_page: Any) -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "core" / "src" / "tickhive").rglob("*.py")
        if path.name not in ("hookspecs.py", "defaults.py")
    )
    text = read_page("reference/hooks.md").text
    for name in HOOKS:
        asked = re.search(rf"\.{name}\(|\"{name}\"", sources) is not None
        said = f"| [`{name}`](#{name}) | not asked yet" in text
        assert asked is not said, name


@pytest.fixture
def examples(acme: Path, read_page: Any) -> types.ModuleType:
    """The page's examples as the plugin they are."""
    module = types.ModuleType("hook_examples")
    for block in read_page("reference/hooks.md").blocks_of("python"):
        source = f"from __future__ import annotations\n{block.text}"
        exec(compile(source, "hooks.md", "exec", dont_inherit=True), module.__dict__)
    return module


def test_the_examples_of_the_hooks_answer(examples: types.ModuleType) -> None:
    stack = ExchangeStack.from_plugin("acme", examples)
    settings = stack.settings_type(url="ws://127.0.0.1:1", rest_url="http://127.0.0.1:1")
    trades = Channel("BTC-USDT", "btcusdt", DataType.TRADE)
    interest = Channel("BTC-USDT", "btcusdt", DataType.OPEN_INTEREST)
    secrets = Credentials("main", "key", "secret")
    [dial] = stack.call.connect(channels=[trades], settings=settings, credentials=None, dials=())
    feed = Feed(stack, "acme", settings, InstrumentTable("acme"))
    session = Session(stack, dial, feed)
    [fetch] = stack.call.instruments(settings=settings)
    markets = (
        b'{"markets": [{"base": "BTC", "quote": "USDT", "name": "btcusdt"}], "next": "http://127.0.0.1:1/markets?2"}'
    )
    listed, following = stack.call.read(session=session, fetch=fetch, answer=Answer(200, markets), at=1)
    feed.instruments.add(listed.instrument)
    book = OrderBook()
    arguments: dict[str, tuple[dict[str, Any], Callable[[Any], bool]]] = {
        "connect": ({"channels": [trades], "settings": settings, "credentials": None, "dials": ()}, _all(Dial)),
        "parse": (
            {"session": session, "frame": b'{"trade":["btcusdt","7","buy","50000.1","0.2",1700000000000]}', "at": 1},
            lambda answer: answer[0].symbol == "BTC-USDT" and answer[0].price == Decimal("50000.1"),
        ),
        "subscribe": ({"session": session, "channels": [trades], "credentials": None, "at": 1}, _all(Request)),
        "unsubscribe": ({"session": session, "channels": [trades], "credentials": None, "at": 1}, _all(Request)),
        "instruments": ({"settings": settings}, _all(Fetch)),
        "read": (
            {"session": session, "fetch": fetch, "answer": Answer(200, markets), "at": 1},
            lambda answer: isinstance(answer[0], InstrumentUpdate) and isinstance(following, Fetch),
        ),
        "refused": (
            {"fetch": fetch, "answer": Answer(400, b'{"error": "bad_signature"}')},
            lambda answer: answer.kind == "credentials",
        ),
        "limits": ({"settings": settings}, _all(Limit)),
        "authenticate": ({"session": session, "credentials": secrets, "at": 1}, _all(Request)),
        "heartbeat": ({"session": session, "at": 1}, _all(Request)),
        "sign": ({"fetch": fetch, "credentials": secrets, "at": 1}, lambda answer: "x-acme-sign" in answer.headers),
        "snapshot": ({"session": session, "channel": trades}, lambda answer: isinstance(answer, Fetch)),
        "backfill": (
            {"session": session, "channel": trades, "gap": Gap("a", "b", 1, 1, DataType.TRADE, 1, 2, "cut", "7")},
            lambda answer: isinstance(answer, Fetch),
        ),
        "poll": ({"channel": interest, "settings": settings}, lambda answer: isinstance(answer, Poll)),
        "checksum": ({"book": book, "instrument": None}, lambda answer: isinstance(answer, int)),
        "settings": ({}, lambda answer: issubclass(answer, ExchangeSettings)),
        "memory": ({}, attrs.has),
        "hosts": ({}, _all(str)),
        "collector": ({}, lambda answer: issubclass(answer, BaseDataCollector)),
        "venue": ({"options": VenueOptions()}, lambda answer: isinstance(answer, SimulatedVenue)),
    }
    assert arguments.keys() == HOOKS.keys()
    for name, (given, is_right) in arguments.items():
        assert stack.offers(name)
        answer = getattr(stack.call, name)(**given)
        assert is_right(type(answer) if name == "memory" else answer), name

    def parsed(frame: bytes) -> Any:
        return stack.call.parse(session=session, frame=frame, at=1)[0]

    kinds = {
        b'{"welcome":1}': Ready,
        b"{": Malformed,
        b'{"trade":["a","b","buy","x","1",1]}': Malformed,
        b"[]": Unknown,
    }
    assert {frame: type(parsed(frame)) for frame in kinds} == kinds


def _all(kind: type) -> Callable[[Any], bool]:
    return lambda answer: bool(answer) and all(isinstance(each, kind) for each in answer)


# Events and errors


def test_every_field_of_every_event_is_documented(read_page: Any) -> None:
    rows = read_page("reference/events.md").rows
    common = {code(row[0]): row[1] for row in rows["Every event"][1:]}
    for kind in (*EVENT_TYPES, Instrument):
        documented = {code(row[0]): row[1] for row in rows[kind.__name__][1:]}
        if kind is not Instrument:
            documented = common | documented
        actual = {
            each.name: str(each.type).replace(" | None", " or none").replace('"', "'") for each in attrs.fields(kind)
        }
        assert documented == actual, kind.__name__


def error_classes() -> dict[str, type[Exception]]:
    return {
        name: each
        for name, each in vars(tickhive.errors).items()
        if inspect.isclass(each) and issubclass(each, tickhive.errors.TickhiveError)
    }


def test_every_error_is_documented(read_page: Any) -> None:
    page = read_page("reference/errors.md")
    assert page.headings[1:] == list(error_classes())
    for name, kind in error_classes().items():
        section = page.text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert ("`ValueError`" in section) is issubclass(kind, ValueError), name
        own = vars(kind).get("__init__")
        tree = ast.parse(textwrap.dedent(inspect.getsource(own))) if own else ast.parse("")
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                assert f"`{node.attr}`" in section, f"{name}.{node.attr}"


# Sessions


def test_what_is_said_of_sessions_is_there_and_nothing_a_driver_needs_is_missing(read_page: Any) -> None:
    page = read_page("reference/session.md")
    for row in page.rows["What its driver calls"][1:]:
        name, arguments = code(row[0]).rstrip(")").split("(")
        actual = inspect.signature(getattr(Session, name)).parameters.values()
        needed = [each.name for each in actual if each.default is each.empty]
        assert needed == ["self", *filter(None, arguments.split(", "))], name
    for row in page.rows["What it wants"][1:]:
        assert hasattr(Session, code(row[0])), row[0]
    said = {
        code(row[0]).partition("(")[0] for name in ("What its driver calls", "What it wants") for row in page.rows[name]
    }
    told_to_drivers = set(re.findall(r"``(\w+)``", str(Session.__doc__))) - {"SessionView", "sanitize", "statistics"}
    assert told_to_drivers <= said
    fields = [code(row[0]) for row in page.rows["Statistics"][1:]]
    assert fields == [each.name for each in attrs.fields(SessionStatistics)]


# Configuration


def test_every_key_of_the_configuration_is_documented_with_its_default(read_page: Any) -> None:
    rows = read_page("reference/configuration.md").rows
    sections: dict[str, tuple[type, ...]] = {
        "[service]": (ServiceSection,),
        "[plugins]": (PluginsSection,),
        "[exchanges.NAME]": (ExchangeSettings,),
        "[accounts.NAME]": (Account,),
        "[[collectors]]": (ExchangeCollectorConfig,),
        "[[middleware]]": (MiddlewareConfig,),
        "[[filters]]": (FilterConfig,),
        "[[sinks]]": (SinkConfig, SinkSettings),
        "[spool]": (SpoolSection,),
        "[restarts]": (RestartPolicy,),
    }
    names = {re.sub(r"[\[\]]|\.NAME", "", name) for name in sections}
    assert names == {each.name for each in attrs.fields(ServiceConfig)} - {"source"}
    for heading, kinds in sections.items():
        documented = {code(row[0]): _default_said(row[2]) for row in rows[heading][1:]}
        actual = {
            each.name: _default_of(each)
            for kind in kinds
            for each in attrs.fields(kind)
            if each.init and not (kind is SinkConfig and each.name == "settings")
        }
        if heading == "[[sinks]]":
            actual["name"] = None  # the file may leave it out
        if heading == "[[collectors]]":
            assert actual.pop("data_types") == []
            assert documented.pop("data_types") == "required"
        assert documented == actual, heading


def _default_of(attribute: Any) -> Any:
    default = attribute.default
    if default is attrs.NOTHING:
        return "required"
    factory = getattr(default, "factory", None)
    if factory is not None:
        default = factory()
    if isinstance(default, tuple):
        return list(default)
    return str(default) if isinstance(default, Path) else default


def _default_said(cell: str) -> Any:
    if cell in ("required", "none"):
        return None if cell == "none" else cell
    return tomllib.loads(f"value = {code(cell)}")["value"]


# Command line


def test_every_command_and_option_is_documented(read_page: Any) -> None:
    page = read_page("reference/command-line.md")
    assert [each for each in page.headings[1:] if each != "tickhive"] == [f"tickhive {name}" for name in COMMANDS]
    context = click.Context(cli)
    described: dict[str, click.Command] = {"tickhive": cli}
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        described[f"tickhive {name}"] = command
    for heading, command in described.items():
        rows = {code(row[0]): row[1] for row in page.rows[heading][1:]}
        actual = {_name_of(parameter): parameter for parameter in command.params}
        if command is cli:
            actual["--help"] = click.Option(["--help"])
        assert rows.keys() == actual.keys(), heading
        for name, parameter in actual.items():
            if getattr(parameter, "show_default", False):
                assert f"`{parameter.default}`" in rows[name], f"{heading} {name}: the default"


def _name_of(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return str(parameter.name).upper()
    return max(parameter.opts, key=len)


# Troubleshooting


def literals() -> str:
    """Every text in the code, one a line, with ``<>`` where a value is put in."""
    found: list[str] = []
    for source in [ROOT / "core" / "src", *ROOT.glob("plugins/*/src")]:
        for path in source.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [str(each.value) if isinstance(each, ast.Constant) else "<>" for each in node.values]
                    found.append("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return "\n".join(found)


def test_messages_in_the_troubleshooting_page_are_those_of_the_code(read_page: Any) -> None:
    """Values stand in <angle brackets>; what is between them must be in the code, word for word."""
    known = literals()
    missing = [
        f"{block.line}: {piece}"
        for block in read_page("troubleshooting.md").blocks_of("text")
        for line in block.text.splitlines()
        for piece in re.split(r"<[^>]*>", line)
        if len(piece.strip(" :.,;()'")) > 3 and piece.strip(" :.,;()'") not in known
    ]
    assert missing == []
