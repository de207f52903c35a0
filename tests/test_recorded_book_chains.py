"""The two ways venues number book updates, on real frames through a session, with each update removed once.

The frames are those of ``binance-spot-2021`` (``U`` = previous ``u`` + 1) and ``binance-usdm-2021`` (``pu`` = previous
``u``), both bridged to snapshots that came by REST in between.
"""

from __future__ import annotations

import inspect
import json
import textwrap
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import define

import tickhive.session.books as books
from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.events import BookDelta, BookSnapshot, Gap, Level
from tickhive.plugin.contract import Answer, Dial, Fetch
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.stack import ExchangeStack
from tickhive.recording import read_recording
from tickhive.session import Feed, Session
from tickhive.session.continuity import Verdict, judge

SPOT, FUTURES = "binance-spot-2021.jsonl.gz", "binance-usdm-2021.jsonl.gz"
DELTAS = {SPOT: 177, FUTURES: 764}


class Recorded:
    """A plugin that reads these recordings' books and nothing else."""

    @hookimpl
    def connect(self, channels):
        return ()

    @hookimpl
    def subscribe(self):
        return ()

    @hookimpl
    def snapshot(self, channel):
        return Fetch(f"https://recorded.test/depth?symbol={channel.native}", channel=channel)

    @hookimpl
    def read(self, fetch, answer, at):
        said = json.loads(answer.body)
        sides = levels(said["bids"]), levels(said["asks"])
        return [BookSnapshot("recorded", fetch.channel.symbol, None, at, *sides, said["lastUpdateId"])]

    @hookimpl
    def parse(self, session, frame, at):
        return [update(frame, at)]


@cache
def update(frame: bytes, at: int) -> BookDelta:
    said = json.loads(frame)["data"]
    sides = levels(said["b"]), levels(said["a"])
    numbers = said["u"], said.get("pu"), said["U"]
    return BookDelta("recorded", said["s"], said["E"] * 1_000_000, at, *sides, *numbers)


def levels(rows: list[list[str]]) -> list[Level]:
    return [Level(*row) for row in rows]


@define(frozen=True)
class Line:
    """A book update, or a whole book that came by REST (``first`` and ``last`` None)."""

    at: int
    symbol: str
    frame: bytes
    first: int | None = None
    last: int | None = None


@cache
def recording(path: Path) -> dict[str, list[Line]]:
    """The books of a recording: symbol to its lines, in the order they came."""
    found: dict[str, list[Line]] = {}
    for line in read_recording(path):
        if line.kind == "http" and "/depth?symbol=" in line.url:
            symbol = line.url.partition("symbol=")[2].partition("&")[0]
            found.setdefault(symbol, []).append(Line(line.t, symbol, line.frame))
        elif line.kind == "ws" and b'"depthUpdate"' in line.frame:
            said = json.loads(line.frame)["data"]
            found.setdefault(said["s"], []).append(Line(line.t, said["s"], line.frame, said["U"], said["u"]))
    return found


@pytest.fixture(params=[SPOT, FUTURES])
def path(request, recorded):
    return recorded(request.param)


STACK = ExchangeStack.from_plugin("recorded", Recorded())


class Replay:
    """A session that gets recorded lines, its fetches answered by what was recorded."""

    def __init__(self, symbols: list[str], at: int) -> None:
        channels = [Channel(symbol, symbol, DataType.ORDERBOOK) for symbol in symbols]
        self.feed = Feed(STACK, "recorded", STACK.settings_type(), InstrumentTable("recorded"))
        self.session = Session(STACK, Dial("one", ["wss://recorded.test"], channels, patience=0.0), self.feed)
        self.session.opened(at)
        self.session.tick(at + 1)
        self.fetches = {fetch.channel.symbol: fetch for fetch in self.session.fetches if fetch.channel is not None}

    def hear(self, line: Line) -> list[Any]:
        if line.last is not None:
            return self.session.receive([line.frame], line.at)
        return self.session.answered(self.fetches.pop(line.symbol), Answer(200, line.frame), line.at)

    def book(self, symbol: str) -> tuple[int | None, Any] | None:
        """The number and the levels of a book; None while it is not live."""
        view = self.feed.book(symbol)
        if not view.live:
            return None
        copy = view.copy()
        return view.sequence, (dict(copy.bids), dict(copy.asks))


@cache
def truth(path: Path, symbol: str) -> dict[int | None, Any]:
    """What the book is at each of its numbers, from levels applied in order and nothing else."""
    lines = recording(path)[symbol]
    whole = json.loads(next(line.frame for line in lines if line.last is None))
    last = whole["lastUpdateId"]
    sides = [dict(whole["bids"]), dict(whole["asks"])]
    states: dict[int | None, Any] = {last: (dict(sides[0]), dict(sides[1]))}
    for line in lines:
        if line.last is not None and line.last > last:
            said = json.loads(line.frame)["data"]
            for side, rows in zip(sides, (said["b"], said["a"]), strict=True):
                for price, size in rows:
                    side.pop(price, None)
                    if float(size):
                        side[price] = size
            states[line.last] = (dict(sides[0]), dict(sides[1]))
    return states


def complaints_of_a_replay(path: Path, symbol: str) -> list[str]:
    """Everything that is wrong with a book when all its lines come."""
    lines, states = recording(path)[symbol], truth(path, symbol)
    replay, found = Replay([symbol], lines[0].at), []
    begun = False
    for line in lines:
        found += [f"{symbol}: {event.cause}" for event in replay.hear(line) if isinstance(event, Gap)]
        begun = begun or line.last is None
        found += complaints(replay, symbol, states)
        if begun and replay.book(symbol) is None:
            found.append(f"{symbol}: not live")
            break
    return found


def complaints(replay: Replay, symbol: str, states: dict[int | None, Any]) -> list[str]:
    served = replay.book(symbol)
    return [] if served is None or states.get(served[0]) == served[1] else [f"{symbol}: wrong at {served[0]}"]


def complaints_without(path: Path, symbol: str, removed: int) -> list[str]:
    """Everything that is wrong when one update is removed: its hole must be told by the next one, and not before."""
    lines, states = recording(path)[symbol], truth(path, symbol)
    replay, found = Replay([symbol], lines[0].at), []
    place = lines.index(next(line for line in lines if line.last is None))
    needed = (lines[removed].last or 0) > min(number for number in states if number is not None)
    following = next((at for at in range(removed + 1, len(lines)) if lines[at].last is not None), None)
    for at, line in enumerate(lines):
        if at == removed:
            continue
        gaps = [event for event in replay.hear(line) if isinstance(event, Gap)]
        if at > removed or line.last is None:  # until then it is as in the whole replay
            found += complaints(replay, symbol, states)
        if gaps and (at != following or {gap.symbol for gap in gaps} != {symbol} or not needed):
            found.append(f"{symbol}: a gap at {line.last} without {lines[removed].last}")
        if needed and following is not None and at >= max(following, place):
            if replay.book(symbol) is not None:
                found.append(f"{symbol}: live without {lines[removed].last}")
            if at == following > place and len(gaps) != 1:
                found.append(f"{symbol}: no gap told without {lines[removed].last}")
            break
        if not needed and at > removed + 1:
            break
    return found


def test_every_recorded_update_follows_and_every_book_lives(path):
    by_symbol = recording(path)
    lines = sorted((line for lines in by_symbol.values() for line in lines), key=lambda line: line.at)
    replay, counts = Replay(list(by_symbol), lines[0].at), Counter()
    for line in lines:
        counts.update(type(event) for event in replay.hear(line) if isinstance(event, Gap | BookDelta | BookSnapshot))
    known = sum(
        line.last is not None and line.last <= min(filter(None, truth(path, symbol)))
        for symbol, its in by_symbol.items()
        for line in its[its.index(next(line for line in its if line.last is None)) :]
    )  # came after the snapshot that has them: not handed out
    assert counts == {BookDelta: DELTAS[path.name] - known, BookSnapshot: 4}
    chained = 0
    for symbol, its in by_symbol.items():
        served = replay.book(symbol)
        assert served is not None
        assert served == (its[-1].last, truth(path, symbol)[its[-1].last])
        updates = [line for line in its if line.last is not None]
        chained += len(updates) - 1
    assert chained == {SPOT: 173, FUTURES: 760}[path.name]
    assert {entry["state"] for entry in replay.feed.ledger.status()} == {"receiving"}


def test_any_one_update_removed_is_a_gap_at_the_next(path):
    removed = 0
    for symbol, lines in recording(path).items():
        assert complaints_of_a_replay(path, symbol) == []
        for place, line in enumerate(lines):
            if line.last is not None:
                assert complaints_without(path, symbol, place) == []
                removed += 1
    assert removed == DELTAS[path.name]


# Each rule of `judge` taken away must be noticed on these frames.
MUTANTS = {
    "previous is last": ("if previous == last and (sequence != last or not (delta.bids or delta.asks)):", "if False:"),
    "known already": ("if sequence <= last:", "if False:"),
    "bridging by previous": ("ACCEPT if bridging and previous <= last else GAP", "GAP"),
    "a gap by previous": ("ACCEPT if bridging and previous <= last else GAP", "ACCEPT"),
    "first is last + 1": ("first == last + 1 or ", ""),
    "a gap by first": ("ACCEPT if first == last + 1 or (bridging and first <= last) else GAP", "ACCEPT"),
}


@pytest.mark.parametrize("rule", MUTANTS)
def test_each_rule_is_needed(rule, recorded, monkeypatch):
    source = textwrap.dedent(inspect.getsource(judge))
    line, instead = MUTANTS[rule]
    assert source.count(line) == 1
    names: dict[str, Any] = {"BookDelta": BookDelta, "Verdict": Verdict, **Verdict.__members__}
    exec(source.replace(line, instead), names)
    monkeypatch.setattr(books, "judge", names["judge"])
    found: list[str] = []
    for path in map(recorded, (SPOT, FUTURES)):
        for symbol, lines in recording(path).items():
            found += complaints_of_a_replay(path, symbol)
            found += complaints_without(path, symbol, len(lines) // 2)
    assert found
