"""A process that is killed or stopped and started again: what it was not there for is told and refilled."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tickhive.simulation import VenueServer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent SIGTERM on Windows")

HELPER = Path(__file__).with_name("ticking.py")
_spec = importlib.util.spec_from_file_location("ticking", HELPER)
assert _spec is not None
assert _spec.loader is not None
ticking = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ticking)

RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import ticking
from tickhive.cli.main import main
from tickhive.plugin.registry import default_registry

default_registry().register("acme", getattr(ticking, sys.argv[2])())
main(["run", "--config", sys.argv[3]])
"""
CAUSE = "the process was not running"

Row = dict[str, Any]


class World:
    """The venue, which goes on; the store, which stays; processes, which come and go."""

    def __init__(self, folder: Path) -> None:
        self.venue = ticking.TickingVenue()
        self.folder = folder
        self.store = folder / "stored"
        self.config = folder / "tickhive.toml"
        self.read: dict[str, list[Row]] = {}
        self.process: subprocess.Popen[str] | None = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = VenueServer(self.venue)
        self.await_(self.server.start())
        package = folder / "packages"
        installed = package / "tickingstore-1.0.dist-info"
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: tickingstore\nVersion: 1.0\n")
        (installed / "entry_points.txt").write_text("[tickhive.sinks]\ntickingstore = ticking:FileStore\n")
        paths = [str(HELPER.parent), str(package), os.environ.get("PYTHONPATH", "")]
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def await_(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def start(self, plugin: str = "TickingPluginWithHistory") -> None:
        collectors = "".join(
            f'[[collectors]]\nexchange = "acme"\nsymbol = "{symbol}"\ndata_types = ["trade", "orderbook"]\n'
            for symbol in ticking.SYMBOLS
        )
        self.config.write_text(
            f"[service]\ndata_dir = {str(self.folder / 'data')!r}\n"
            f'[exchanges.acme]\nurl = "{self.server.url}"\nrest_url = "{self.server.rest_url}"\n{collectors}'
            f'[[sinks]]\ntype = "tickingstore"\nfolder = {str(self.store)!r}\nflush_seconds = 0.1\n'
            "[spool]\ncommit_seconds = 0.02\n"
        )
        self.config.chmod(0o600)
        log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(HELPER.parent), plugin, str(self.config)],
            stdout=log, stderr=log, text=True, env=self.environment,
        )  # fmt: skip
        log.close()

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(20)

    def rows(self, **values: Any) -> list[Row]:
        """What is stored, in the order it was accepted; only rows with these values."""
        for path in self.store.glob("*.jsonl"):
            if path.name not in self.read:
                self.read[path.name] = [json.loads(line) for line in path.read_text().splitlines()]
        rows = (row for name in sorted(self.read) for row in self.read[name])
        return [row for row in rows if all(row.get(name) == what for name, what in values.items())]

    def until(self, predicate: Callable[[], object]) -> None:
        give_up = time.monotonic() + 20
        while not predicate():
            assert self.process is None or self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < give_up, (self.folder / "log").read_text()
            time.sleep(0.05)

    def until_more(self, trades: int = 30) -> None:
        """Wait until so many more trades of every symbol are stored."""
        for symbol in ticking.SYMBOLS:
            goal = len(self.rows(kind="trade", symbol=symbol)) + trades
            self.until(partial(lambda symbol, goal: len(self.rows(kind="trade", symbol=symbol)) >= goal, symbol, goal))

    def until_missed(self, trades: int = 40) -> None:
        """Let the venue go on without anybody there."""
        goal = len(self.venue.trades["A-B"]) + trades
        process, self.process = self.process, None
        self.until(lambda: len(self.venue.trades["A-B"]) >= goal)
        self.process = process

    def until_gaps(self, count: int = 1, data_type: str = "trade") -> None:
        """Wait until so many Gaps of every symbol are stored."""
        for symbol in ticking.SYMBOLS:
            self.until(partial(lambda symbol: len(self.gaps(symbol, data_type)) >= count, symbol))

    def gaps(self, symbol: str, data_type: str = "trade") -> list[Row]:
        return self.rows(kind="gap", symbol=symbol, type=data_type)

    def accounted(self, symbol: str) -> tuple[list[int], list[int]]:
        """The ids stored, and those between the first and the last that are neither stored nor in a Gap."""
        ids = [row["id"] for row in self.rows(kind="trade", symbol=symbol)]
        told = {
            number
            for gap in self.gaps(symbol)
            if gap["filled"] != "whole"
            for number in range(int(gap["first"]), int(gap["last"]) + 1)
        }
        return ids, sorted(set(range(min(ids), max(ids) + 1)) - set(ids) - told)

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
        self.await_(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)
        self.loop.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    it = World(tmp_path)
    yield it
    it.close()


def check_trades(world: World, symbol: str, gaps: int, filled: str) -> list[int]:
    """Each trade was stored once or is in a Gap, and the Gaps say when it was; answers the ids."""
    ids, unaccounted = world.accounted(symbol)
    assert len(ids) == len(set(ids)), "twice"
    assert unaccounted == []
    times = world.venue.trades[symbol]
    told = world.gaps(symbol)
    assert [(gap["cause"], gap["filled"]) for gap in told] == [(CAUSE, filled)] * gaps
    for gap in told:
        first, last = int(gap["first"]), int(gap["last"])
        assert last - first >= 30
        assert (gap["start"], gap["end"]) == (times[first - 2], times[last])
    return sorted(ids)


def test_where_the_venue_has_no_history_a_gap_says_what_is_missing_since_the_kill(world: World) -> None:
    world.start("TickingPlugin")
    world.until_more()
    world.end()
    world.until_missed()
    world.start("TickingPlugin")
    world.until_gaps()
    world.until_gaps(data_type="orderbook")
    world.until_more()
    world.end()
    for symbol in ticking.SYMBOLS:
        check_trades(world, symbol, 1, "none")
        rows = [row for row in world.rows() if row["symbol"] == symbol]
        rows = [row for row in rows if row["kind"].startswith("Book") or row.get("type") == "orderbook"]
        place = next(index for index, row in enumerate(rows) if row["kind"] == "gap")
        before, gap, after = rows[place - 1 : place + 2]
        assert (gap["cause"], gap["start"], gap["end"]) == (CAUSE, before["time"], after["time"])
        assert after["kind"] == "BookSnapshot"


def test_where_it_has_one_nothing_is_missing_after_a_kill_and_a_stop(world: World) -> None:
    world.start()
    world.until_more()
    for number, how in enumerate((signal.SIGKILL, signal.SIGTERM), start=1):
        world.end(how)
        world.until_missed()
        world.start()
        world.until_gaps(number)
        world.until_more()
    world.end()
    for symbol in ticking.SYMBOLS:
        ids = check_trades(world, symbol, 2, "whole")
        assert ids == list(range(ids[0], ids[-1] + 1))


def test_a_hole_that_was_being_filled_when_the_process_died_is_filled_by_the_next(world: World) -> None:
    world.start()
    world.until_more()
    world.end()
    world.until_missed()
    world.venue.forgetful = True  # so the refill takes a while
    asked = world.venue.asked
    world.start()
    world.until(lambda: world.venue.asked >= asked + 2)
    world.until_more()
    world.end()
    assert world.gaps("A-B") == [], "the hole was still open"
    world.venue.forgetful = False
    world.start()
    world.until_gaps(2)
    world.end()
    for symbol in ticking.SYMBOLS:
        ids = [row["id"] for row in world.rows(kind="trade", symbol=symbol)]
        assert sorted(ids) == list(range(min(ids), max(ids) + 1)), "each exactly once"
        assert [gap["filled"] for gap in world.gaps(symbol)] == ["whole", "whole"]
