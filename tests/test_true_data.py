"""No trade is lost in silence: a whole service under cuts, read back from its store and compared with the venue's tape.

By default a few seconds of it; ``TICKHIVE_CONFORMANCE=long`` runs the full 60 s with a cut every second. With ``-s``
each run prints its figures.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tickhive.plugin import VenueOptions
from tickhive.plugin.registry import default_registry
from tickhive.service import DataCollectionService, ServiceConfig
from tickhive.simulation import VenueServer

LONG = os.environ.get("TICKHIVE_CONFORMANCE") == "long"
SECONDS, EVERY = (60.0, 1.0) if LONG else (3.0, 0.5)
SOCKETS = 5
"""Sockets the symbols are spread over: a cut takes one of them, and the others give the next cut something to take."""
BASES = [f"C{number:02}" for number in range(50)]
SYMBOLS = [f"{base}-USDT" for base in BASES]


@pytest.fixture(autouse=True)
def patience() -> None:
    """A long run is no hanging test."""
    if LONG:
        faulthandler.cancel_dump_traceback_later()


@define
class Run:
    """One run: what the venue made while we looked, and what is in the store, by symbol."""

    made: dict[str, range] = field(factory=dict)
    stored: dict[str, list[dict[str, Any]]] = field(factory=dict)
    gaps: list[dict[str, Any]] = field(factory=list)
    cuts: int = 0
    seconds: float = 0.0

    def ids(self, symbol: str) -> Iterator[int]:
        """The ids of the executions in the store, as often as they are there."""
        for row in self.stored[symbol]:
            yield from range(int(row["id"]) - row["count"] + 1, int(row["id"]) + 1)

    def explained(self, symbol: str) -> set[int]:
        """Ids inside reported gaps."""
        found: set[int] = set()
        for row in self.gaps:
            if row["symbol"] == symbol and row["first_id"] is not None:
                found |= set(range(int(row["first_id"]), int(row["last_id"]) + 1))
        return found

    def missing(self, symbol: str) -> set[int]:
        """Ids the venue made that are not in the store."""
        return set(self.made[symbol]) - set(self.ids(symbol))

    def late(self) -> int:
        """How many executions are in the store as late ones."""
        return sum(row["count"] for rows in self.stored.values() for row in rows if row["late"])

    def say(self, what: str) -> None:
        """Print the figures."""
        filled = Counter(row["filled"] for row in self.gaps if row["data_type"] == "trade")
        missing = sum(len(self.missing(symbol)) for symbol in SYMBOLS)
        print(
            f"\n{what}: {self.seconds:.0f} s, {self.cuts} cuts; made {sum(map(len, self.made.values()))},"
            f" stored {sum(1 for symbol in SYMBOLS for _ in self.ids(symbol))}, of these late {self.late()},"
            f" missing {missing}; gaps {filled.total()} {dict(filled)}"
        )


async def collect(directory: Path, *, redundancy: int = 1, backfill: bool = True) -> Run:
    """Run a service against the simulated OKX, cutting one socket every ``EVERY`` seconds, until all has settled.

    With two sockets for everything only one of a pair is lost: the other must be whole.
    """
    stack = default_registry().load("okx")
    venue = stack.call.venue(options=VenueOptions(seed=7, symbols=SYMBOLS))
    rng, run = random.Random(11), Run()
    async with VenueServer(venue) as server:
        config = ServiceConfig.from_tables(
            {
                "service": {"data_dir": str(directory)},
                "exchanges": {
                    "okx": {
                        "url": server.url,
                        "rest_url": server.rest_url,
                        "instrument_types": ["SPOT"],
                        "channels_per_connection": len(SYMBOLS) // SOCKETS,
                    }
                },
                "collectors": [
                    {"exchange": "okx", "symbols": SYMBOLS, "data_types": ["trade"], "redundancy": redundancy}
                ],
                "sinks": [{"type": "parquet", "path": str(directory)}],
            }
        )
        service = DataCollectionService(config)
        await service.start()
        (collector,) = service.collectors
        await _until(lambda: len(list(server.connections)) == SOCKETS * redundancy and _flowing(collector))
        venue.faults.rest = [] if backfill else [404] * 100_000
        begun = asyncio.get_running_loop().time()
        while run.seconds < SECONDS:
            await asyncio.sleep(EVERY * rng.uniform(0.5, 1.5))
            if whole := _whole(venue, collector, redundancy):
                server.cut(rng.choice(whole))
                run.cuts += 1
            run.seconds = asyncio.get_running_loop().time() - begun
        await _until(lambda: _flowing(collector) and not _refilling(collector))
        server.pause()
        last = {symbol: _last(venue, symbol) for symbol in SYMBOLS}
        await _until(lambda: all(_reached(collector, symbol, last[symbol]) for symbol in SYMBOLS))
        await service.stop()
    _read_back(directory, run)
    for symbol in SYMBOLS:
        run.made[symbol] = range(min(run.ids(symbol)), last[symbol] + 1)
    return run


def _flowing(collector: Any) -> bool:
    return all(row["state"] == "receiving" for row in collector.get_status()["subscriptions"])


def _whole(venue: Any, collector: Any, redundancy: int) -> list[int]:
    """The numbers of the open connections whose channels arrive on ``redundancy`` sockets in full."""
    settled = Counter(session.dial.key for session in collector._feed.sessions if session.settled)
    natives = {
        frozenset(channel.native for channel in dial.channels)
        for dial in collector._connections.dials
        if settled[dial.key] >= redundancy
    }
    carried = {number: frozenset(key[1] for key in client.keys) for number, client in venue._clients.items()}
    count = Counter(carried.values())
    return [number for number, names in carried.items() if names in natives and count[names] >= redundancy]


def _refilling(collector: Any) -> bool:
    feed = collector._feed
    return bool(feed.holes) or any(session.refill.holes for session in feed.sessions)


def _last(venue: Any, symbol: str) -> int:
    """The id of the last execution the venue made."""
    return int(venue.market.stocks[venue.native(symbol)].trade_id)


def _reached(collector: Any, symbol: str, last: int) -> bool:
    return bool(collector._feed.trade_ids.highest(symbol) == last)


async def _until(predicate: Any) -> None:
    async with asyncio.timeout(90 if LONG else 45):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _read_back(directory: Path, run: Run) -> None:
    query = pytest.importorskip("tickhive_parquet.query", reason="the store is read back with tickhive-parquet")
    for row in query.read(directory, "trade", ["symbol", "id", "count", "late"]).to_pylist():
        run.stored.setdefault(row["symbol"], []).append(row)
    try:
        run.gaps = query.read(
            directory, "gap", ["symbol", "data_type", "first_id", "last_id", "filled", "cause"]
        ).to_pylist()
    except FileNotFoundError:
        run.gaps = []


def check(run: Run) -> None:
    """Every execution once, or inside a gap."""
    for symbol in SYMBOLS:
        ids = list(run.ids(symbol))
        assert len(ids) == len(set(ids)), f"{symbol}: something is stored twice"
        missing = run.missing(symbol)
        assert missing <= run.explained(symbol), f"{symbol}: {len(missing)} are missing without a word"


async def test_with_cuts_and_backfill_no_trade_is_missing(tmp_path: Path) -> None:
    run = await collect(tmp_path)
    run.say("with backfill")
    check(run)
    assert run.cuts >= 3
    assert not any(run.missing(symbol) for symbol in SYMBOLS)
    assert run.late() > 0
    assert {row["filled"] for row in run.gaps} == {"whole"}


async def test_with_cuts_and_no_backfill_every_missing_trade_is_in_a_gap(tmp_path: Path) -> None:
    run = await collect(tmp_path, backfill=False)
    run.say("without backfill")
    check(run)
    assert any(run.missing(symbol) for symbol in SYMBOLS)
    assert "whole" not in {row["filled"] for row in run.gaps}


async def test_with_two_sockets_and_single_cuts_no_trade_is_even_late(tmp_path: Path) -> None:
    run = await collect(tmp_path, redundancy=2)
    run.say("two sockets")
    check(run)
    assert run.cuts >= 3
    assert not any(run.missing(symbol) for symbol in SYMBOLS)
    assert run.late() == 0
    assert [row for row in run.gaps if row["data_type"] == "trade"] == []
