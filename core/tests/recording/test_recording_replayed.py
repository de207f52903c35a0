"""What only a recorder of ours writes, and what a replay makes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickhive.channels import Channel
from tickhive.errors import RecordingError
from tickhive.events import MarketEvent, Trade
from tickhive.plugin.contract import Dial, Malformed, Request, SessionView
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.registry import PluginRegistry
from tickhive.recording import Recorder, Replay, ReplayResult, read_recording
from tickhive.recording.cutting import Cut, cut_recording

URL = "wss://ws.acme.test/v1"
S = 1_000_000_000
AT = 1_795_000_000 * S


class Acme:
    """A venue that sends ``[symbol, id]`` for a trade. ``asked`` is what was subscribed to."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @hookimpl
    def connect(self, channels: Sequence[Channel]) -> Sequence[Dial]:
        return [Dial("all", (URL,), channels)]

    @hookimpl
    def subscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        self.asked += [channel.symbol for channel in channels]
        return [Request("subscribe", channels)]

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Any]:
        try:
            symbol, number = json.loads(frame)
        except ValueError:
            return [Malformed("not a trade")]
        return [Trade(session.exchange, symbol, at, at, str(number), "buy", Decimal(1), Decimal(1))]

    @hookimpl
    def hosts(self) -> Sequence[str]:
        return ["ws.acme.test"]


@pytest.fixture
def acme() -> Acme:
    return Acme()


@pytest.fixture
def registry(acme: Acme) -> PluginRegistry:
    registry = PluginRegistry()
    registry.register("acme", acme)
    return registry


def replay(registry: PluginRegistry, *paths: Path) -> tuple[ReplayResult, list[MarketEvent]]:
    events: list[MarketEvent] = []
    return Replay(paths, registry, exchange="acme", on_events=events.extend).run(), events


def carries(recorder: Recorder, at: int, *symbols: str, conn: int = 1) -> None:
    channels = [(symbol, symbol, "trade", "") for symbol in symbols]
    recorder.write(at, "carries", "out", URL, conn, [json.dumps({"key": "all", "channels": channels})])


def trade(recorder: Recorder, at: int, symbol: str, number: int, conn: int = 1) -> None:
    recorder.write(at, "ws", "in", URL, conn, [json.dumps([symbol, number])])


@pytest.mark.parametrize(("ticked", "asked"), [(False, 1), (True, 2)])
def test_a_deadline_comes_when_the_recording_says_so(
    tmp_path: Path, acme: Acme, registry: PluginRegistry, ticked: bool, asked: int
) -> None:
    path = tmp_path / "r.jsonl"
    with Recorder(path) as recorder:
        carries(recorder, AT, "A-B", "C-D")
        trade(recorder, AT + S, "A-B", 1)
        if ticked:
            recorder.write(AT + 15 * S, "tick", "out", URL, 1, [""])
        trade(recorder, AT + 16 * S, "A-B", 2)
    replay(registry, path)
    assert acme.asked.count("C-D") == asked, "nothing came: asked again once the time for an answer was over"


def test_what_is_carried_no_more_is_not_handed_out(tmp_path: Path, registry: PluginRegistry) -> None:
    path = tmp_path / "r.jsonl"
    with Recorder(path) as recorder:
        carries(recorder, AT, "A-B", "C-D")
        trade(recorder, AT + 1, "C-D", 1)
        carries(recorder, AT + 2, "A-B")
        trade(recorder, AT + 3, "C-D", 2)
        trade(recorder, AT + 4, "A-B", 7)
    trades = [event for event in replay(registry, path)[1] if isinstance(event, Trade)]
    assert [(each.symbol, each.id) for each in trades] == [("C-D", "1"), ("A-B", "7")]


def test_notes_are_told_and_are_no_lines(tmp_path: Path, registry: PluginRegistry) -> None:
    path = tmp_path / "r.jsonl"
    with Recorder(path) as recorder:
        trade(recorder, AT, "A-B", 1)
        recorder.withhold(2)
    result, _ = replay(registry, path)
    assert result.notes == [f"{path}, line 3: 2 lines that belong to an account are not in this recording"]
    assert (result.frames, result.sent, result.skipped) == (1, 0, 0)


@pytest.mark.parametrize("text", ["", "{}", '{"key":"all","channels":[["A-B","A-B","no such type",""]]}'])
def test_damage_names_the_line(tmp_path: Path, registry: PluginRegistry, text: str) -> None:
    path = tmp_path / "r.jsonl"
    with Recorder(path) as recorder:
        trade(recorder, AT, "A-B", 1)
        recorder.write(AT, "carries", "out", URL, 1, [text])
    with pytest.raises(RecordingError, match="line 3 does not say what its socket carries"):
        replay(registry, path)
    with pytest.raises(RecordingError, match="line 3 does not say"):
        cut_recording([path], tmp_path / "x.jsonl", Cut(symbols=["A-B"]), registry, exchange="acme")
    assert not (tmp_path / "x.jsonl").exists(), "nothing is left of a cut that failed"


def test_a_cut_of_two_recordings_keeps_their_sockets_apart(tmp_path: Path, registry: PluginRegistry) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for number, path in enumerate(paths):
        with Recorder(path) as recorder:
            carries(recorder, AT + number, "A-B", "C-D")
            trade(recorder, AT + 10 + number, "A-B", number)
            trade(recorder, AT + 20 + number, "C-D", number)
            recorder.write(AT + 30 + number, "ws", "in", URL, 1, [b"not a trade"])
    cut = tmp_path / "x.jsonl"
    result = cut_recording(paths, cut, Cut(AT + 5, AT + 31, ["A-B"]), registry, exchange="acme")
    lines = list(read_recording(cut))
    assert [(line.kind, line.connection) for line in lines] == [
        ("carries", 1), ("carries", 2), ("ws", 1), ("ws", 2), ("ws", 1),
    ]  # fmt: skip
    assert [json.loads(line.frame)["channels"] for line in lines[:2]] == [[["A-B", "A-B", "trade", ""]]] * 2
    assert lines[-1].frame == b"not a trade", "what is no data may be what is looked for"
    assert (result.kept, result.of) == (5, 8)
    assert replay(registry, cut)[0].malformed == 1
