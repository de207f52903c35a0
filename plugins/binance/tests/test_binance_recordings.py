"""Real Binance traffic of 2021 and 2026 through the plugin's hooks and the core's sessions."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import Any

import pytest
from attrs import define

from tickhive.events import BookDelta, BookSnapshot, Candle, Quote, Ticker, Trade
from tickhive.plugin import Accepted
from tickhive.recording import Line, Replay
from tickhive.testing import frames_of

FILES = {
    "binance": ("binance-spot-2021.jsonl.gz", {BookDelta: 177, Quote: 84, Trade: 2, Candle: 2}, 173),
    "binance-usdm": ("binance-usdm-2021.jsonl.gz", {BookDelta: 764, Quote: 613, Trade: 91, Candle: 67}, 760),
}


@define
class Recording:
    """What came of one market on sockets and by REST; ``counts`` of events, ``links`` of chains it is to have."""

    view: Any
    frames: list[Line]
    answers: list[Line]
    counts: dict[type, int]
    links: int

    def parsed(self):
        return [event for line in self.frames for event in self.view.parse(line.frame)]


@pytest.fixture(params=sorted(FILES))
def recording(request, recorded, make_view):
    name, counts, links = FILES[request.param]
    path, view = recorded(name), make_view(request.param)
    found = Recording(view, frames_of(path), frames_of(path, "http"), counts, links)
    for line in found.answers:
        if line.url.endswith("exchangeInfo"):
            view.learn(view.read(line.url, line.frame))
    return found


def test_every_frame_is_one_event(recording):
    assert Counter(type(event) for event in recording.parsed()) == recording.counts


def test_every_link_of_the_chains_holds_and_every_snapshot_bridges(recording):
    """By Binance's rules, without the help of the core: spot ``U`` = last ``u`` + 1, futures ``pu`` = last ``u``."""
    last, snapshots, held, bridged = {}, {}, 0, set()
    for line in recording.answers:
        if "/depth?" in line.url:
            (book,) = recording.view.read(line.url, line.frame)
            assert isinstance(book, BookSnapshot)
            assert min(len(book.bids), len(book.asks)) > 50
            snapshots[book.symbol] = book.sequence
    for event in recording.parsed():
        if not isinstance(event, BookDelta):
            continue
        symbol = event.symbol
        if symbol in last:
            assert last[symbol] == (event.first - 1 if event.previous is None else event.previous)
            held += 1
        last[symbol] = event.sequence
        low = event.first - 1 if event.previous is None else event.first
        if low <= snapshots[symbol] <= event.sequence:
            bridged.add(symbol)
    assert held == recording.links
    assert bridged == set(snapshots)
    assert len(bridged) == 4


@pytest.mark.parametrize("exchange", sorted(FILES))
def test_the_replay_recognises_it_and_finds_no_gap(exchange, recorded):
    name, counts, _ = FILES[exchange]
    seen = []
    result = Replay([recorded(name)], on_events=seen.extend).run()
    assert result.exchanges == [exchange]
    assert (result.malformed, result.unknown, result.rejected, result.gaps, result.skipped) == (0, 0, 0, 0, 0)
    found = Counter(type(event) for event in seen)
    assert found[BookSnapshot] == 4
    for kind in (Quote, Trade, Candle):
        assert found[kind] == counts[kind]
    # What a snapshot held already is not told again.
    assert counts[BookDelta] - 20 < found[BookDelta] <= counts[BookDelta]
    symbols = {event.symbol for event in seen if isinstance(event, BookDelta)}
    assert len(symbols) == 4
    assert all(symbol.endswith("-PERP") == (exchange != "binance") for symbol in symbols)


def test_a_lost_frame_is_a_gap(recorded, tmp_path):
    whole, lossy = recorded("binance-spot-2021.jsonl.gz"), tmp_path / "lossy.jsonl"
    changes = [line.number for line in frames_of(whole) if b"nknusdt@depth" in line.frame[:40]]
    lines = gzip.decompress(whole.read_bytes()).splitlines(keepends=True)
    del lines[changes[len(changes) // 2] - 1]
    lossy.write_bytes(b"".join(lines))
    assert Replay([lossy]).run().gaps == 1


def test_2026_every_frame_is_read(recorded, make_view):
    found = Counter()
    for view in map(make_view, ("binance", "binance-usdm", "binance-coinm")):
        for line in frames_of(recorded("ccxt-2026.jsonl"), hosts=view.plugin.hosts()):
            (event,) = make_view(view.exchange).parse(line.frame)
            found[type(event)] += 1
    assert found == {Accepted: 5, Quote: 2, Ticker: 5, BookDelta: 1}


@pytest.mark.parametrize("spaced", [False, True])
def test_key_order_and_spaces_change_nothing(recording, make_view, spaced):
    view, separators = recording.view, (", ", " : ") if spaced else (",", ":")

    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    other = make_view(view.exchange, instruments=view.instruments)
    for line in recording.frames[:300]:
        mixed = json.dumps(turned(json.loads(line.frame)), separators=separators)
        assert list(other.parse(mixed)) == list(view.parse(line.frame))
