"""What the tests of the documentation share: pages taken apart, the how-to's package installed, venues beside us."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define

from tickhive.plugin import SimulatedVenue, VenueOptions
from tickhive.plugin.registry import default_registry
from tickhive.simulation import VenueServer

DOCS = Path(__file__).resolve().parent.parent / "docs"

_FENCE = re.compile(r"^```(?P<language>[\w-]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (tickhive_acme/\w+\.py|pyproject\.toml)(, added)?\n")


@define
class Block:
    """A fenced block; ``line`` is that of its first line of text, counted from 1."""

    language: str
    line: int
    text: str

    @property
    def file(self) -> str | None:
        """The file of the how-to's package this block is, from its first line."""
        match = _FILE.match(self.text)
        return match[1] if match else None


@define
class Page:
    """A page of markdown. ``rows`` are the cells of all tables, by the heading they stand under."""

    path: Path
    text: str
    blocks: list[Block] = Factory(list)
    headings: list[str] = Factory(list)
    rows: dict[str, list[list[str]]] = Factory(dict)

    @classmethod
    def read(cls, path: Path) -> Page:
        """Take a page apart."""
        text = path.read_text(encoding="utf-8")
        page = cls(path, text)
        for match in _FENCE.finditer(text):
            page.blocks.append(Block(match["language"], text.count("\n", 0, match.start()) + 2, match["text"]))
        heading = ""
        for line in _FENCE.sub("", text).splitlines():
            if line.startswith("#"):
                heading = line.lstrip("#").strip()
                page.headings.append(heading)
            elif line.startswith("|") and not set(line) <= set("|-: "):
                cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
                page.rows.setdefault(heading, []).append(cells)
        return page

    def blocks_of(self, *languages: str) -> list[Block]:
        """The blocks in these languages."""
        return [block for block in self.blocks if block.language in languages]


@pytest.fixture(scope="session")
def read_page() -> Callable[[Path | str], Page]:
    """Read a page, by its path or its name below docs/."""
    return lambda path: Page.read(DOCS / path if isinstance(path, str) else path)


@pytest.fixture
def acme(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The how-to's package, installed as its own pyproject says: ``tickhive_acme``, exchange ``acme``."""
    site = tmp_path_factory.mktemp("site")
    for name in ("howto/write-a-plugin.md", "howto/simulate-an-exchange.md"):
        for block in Page.read(DOCS / name).blocks:
            if block.file is not None and block.file.endswith(".py"):
                path = site / block.file
                path.parent.mkdir(exist_ok=True)
                with path.open("a", encoding="utf-8") as file:
                    file.write(block.text)
            elif block.file is not None:
                _install(site, tomllib.loads(block.text)["project"])
    monkeypatch.syspath_prepend(str(site))
    default_registry().refresh()
    yield site
    for name in [name for name in sys.modules if name.partition(".")[0] == "tickhive_acme"]:
        del sys.modules[name]
    monkeypatch.undo()
    default_registry().refresh()


def _install(site: Path, project: dict[str, Any]) -> None:
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")


class BesideUs:
    """An event loop in a thread: venues run there while an example runs an event loop of its own here."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="venues", daemon=True)
        self._thread.start()
        self._servers: list[VenueServer] = []

    def serve(self, venue: SimulatedVenue) -> VenueServer:
        """Put a venue behind real sockets."""
        server = VenueServer(venue)
        self._do(server.start())
        self._servers.append(server)
        return server

    def close(self) -> None:
        """Stop everything."""
        for server in self._servers:
            self._do(server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Any) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result(10)


@pytest.fixture
def beside_us() -> Iterator[BesideUs]:
    """A place for simulated venues that run while the test does something else."""
    beside = BesideUs()
    yield beside
    beside.close()


@pytest.fixture
def acme_server(acme: Path, beside_us: BesideUs) -> VenueServer:
    """The how-to's simulated exchange, listening."""
    from tickhive_acme.venue import AcmeVenue

    return beside_us.serve(AcmeVenue(VenueOptions(speed=5)))
