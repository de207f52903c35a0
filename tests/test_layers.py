"""The rooms of the core: who may import whom, read from the imports themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "core" / "src" / "tickhive"

# Every file and folder of the core, by its room. Those of one room may know each other only where SAME_ROOM says so:
# who, and the room or module of it.
ROOMS: dict[str, int] = {
    "errors": 0, "channels": 0, "events": 0, "rows": 0, "digest": 0,
    "plugin": 1,
    "session": 2,
    "clock": 3, "tasks": 3, "redaction": 3, "logs": 3, "budget": 3, "structuring": 3, "transport": 3, "fetching": 3,
    "credentials": 3,
    "collector": 4, "exchanges": 4,
    "spool": 5, "sinks": 5, "recording": 5, "simulation": 5,
    "manager": 6,
    "service": 7, "authoring": 7,
    "cli": 8, "web": 8, "testing": 8,
}  # fmt: skip
SAME_ROOM = {
    ("events", "channels"), ("channels", "errors"), ("events", "errors"), ("digest", "rows"), ("digest", "events"),
    ("rows", "events"), ("rows", "channels"),
    ("fetching", "budget"), ("fetching", "transport"), ("fetching", "clock"), ("fetching", "redaction"),
    ("budget", "clock"), ("tasks", "redaction"), ("tasks", "clock"), ("transport", "redaction"), ("transport", "clock"),
    ("logs", "redaction"), ("tasks", "logs"), ("budget", "logs"), ("fetching", "logs"), ("transport", "logs"),
    ("credentials", "redaction"), ("credentials", "structuring"),
    ("exchanges", "collector"), ("collector", "exchanges.config"), ("sinks", "spool"),
    ("cli", "testing"),
}  # fmt: skip
FRONT_DOORS = {"__init__", "__main__"}
"""The package's own front door hands out what the rooms hold, so it stands outside them."""

NO_IO = {"asyncio", "socket", "time", "random", "secrets", "threading", "select", "ssl", "httpx", "websockets"}
VENUES = re.compile(
    r"(?i)(?<![a-z])(okx|okex|binance|coinbase|kraken|bybit|bitfinex|kucoin|bitstamp|gemini|deribit|bitmex|huobi|htx"
    r"|gateio|bitget|cryptocom|mexc|bithumb|upbit|poloniex|hyperliquid|dydx)(?![a-z])"
)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module a file imports, wherever in it: also within functions and for type checkers only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write it out"
            yield node.lineno, node.module or ""
            # `from tickhive import events` imports a room by its name.
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "import_module"):
            for text in ast.walk(node.args[0]):
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield node.lineno, text.value


def files(*under: Path) -> list[Path]:
    return sorted(path for folder in under for path in folder.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def known_rooms(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "tickhive" and len(parts) > 1 and parts[1] in ROOMS else None


def is_neighbour(room: str, module: str) -> bool:
    return any(f"{module}.".startswith(f"tickhive.{other}.") for one, other in SAME_ROOM if one == room)


def violations(path: Path, room: str) -> list[str]:
    found = []
    for line, module in imports(path):
        other = known_rooms(module)
        if other is None or other == room or ROOMS[other] < ROOMS[room] or is_neighbour(room, module):
            continue
        found.append(f"{path.name}:{line}: {room} (room {ROOMS[room]}) imports {module} (room {ROOMS[other]})")
    return found


def test_every_room_has_its_place() -> None:
    there = {room_of(path) for path in files(CORE)} - FRONT_DOORS
    assert there <= ROOMS.keys(), f"rooms without a place in the table: {sorted(there - ROOMS.keys())}"


@pytest.mark.parametrize("room", sorted(ROOMS, key=lambda name: (ROOMS[name], name)))
def test_a_room_imports_only_from_below(room: str) -> None:
    own = [path for path in files(CORE) if room_of(path) == room]
    assert [problem for path in own for problem in violations(path, room)] == []


def test_rooms_of_equal_height_form_no_circle() -> None:
    assert {(one, other) for one, other in SAME_ROOM if (other, one) in SAME_ROOM} == set()


def protocol_files() -> list[Path]:
    """Rooms 0 to 2, and all of an exchange plugin but its collector class, which only names the core's."""
    low = [path for path in files(CORE) if room_of(path) in ROOMS and ROOMS[room_of(path)] <= 2]
    plugins = [
        path
        for project in sorted(ROOT.glob("plugins/*/pyproject.toml"))
        if "tickhive.exchanges" in project.read_text(encoding="utf-8")
        for path in files(project.parent / "src")
        if path.stem != "collector"
    ]
    return low + plugins


@pytest.mark.parametrize("path", protocol_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_protocol_does_no_io(path: Path) -> None:
    # A simulated venue's market is drawn from its seed.
    forbidden = NO_IO - {"random"} if path.stem.startswith("venue") else NO_IO
    used = {module.split(".")[0] for _, module in imports(path)}
    assert used.isdisjoint(forbidden), (
        f"{path.relative_to(ROOT)} imports {sorted(used & forbidden)}: time is an argument"
    )


def test_only_transport_and_simulation_know_websockets() -> None:
    users = {
        room_of(path)
        for path in files(CORE)
        if any(module.split(".")[0] == "websockets" for _, module in imports(path))
    }
    assert users <= {"transport", "simulation"}


def test_only_the_command_line_configures_logging() -> None:
    pattern = re.compile(r"structlog\.configure\(|logging\.basicConfig\(|logging\.config\b")
    offenders = {room_of(path) for path in files(CORE) if pattern.search(path.read_text(encoding="utf-8"))}
    assert offenders <= {"cli"}


def test_the_core_names_no_venue() -> None:
    kinds = {".py", ".md", ".toml", ".typed", ".json", ".txt"}
    own = [path for path in (ROOT / "core").rglob("*") if path.is_file() and path.suffix in kinds]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in own
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := VENUES.search(line))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("room", "source", "count"),
    [
        ("session", "from tickhive.collector import base", 2),
        ("session", "def f():\n    import tickhive.service.service", 1),
        ("session", "if TYPE_CHECKING:\n    from tickhive.clock import Clock", 2),
        ("session", "from tickhive import clock", 1),
        ("session", "from tickhive.plugin.contract import Dial\nfrom tickhive.session.book import OrderBook", 0),
        ("spool", "from tickhive.recording import Line", 2),
        ("cli", "import importlib\nimportlib.import_module(f'tickhive.{x}')", 0),
    ],
)
def test_the_reading_of_imports_sees(tmp_path: Path, room: str, source: str, count: int) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert len(violations(path, room)) == count
