"""A replay hands out what the live session would have, in one order, at every speed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickhive.channels import Channel, Instrument
from tickhive.errors import PluginError, RecordingError, UnknownExchangeError
from tickhive.events import BookDelta, BookSnapshot, Gap, InstrumentUpdate, Level, MarketEvent, Trade
from tickhive.plugin.contract import Answer, BookChecksum, Dial, Fetch, Malformed, Reply, SessionView, Unknown
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.registry import PluginRegistry
from tickhive.recording import Replay, ReplayResult

SOCKET = "wss://ws.acme.test/v1"
REST = "https://api.acme.test/instruments"
S = 1_000_000_000


class Acme:
    """A venue of few words: ``[trade, symbol, id, price]``, ``[book or delta, symbol, sequence, rows, checksum]``."""

    @hookimpl
    def connect(self, channels: Sequence[Channel]) -> Sequence[Dial]:
        return [Dial("all", (SOCKET,), channels)]

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Any]:
        try:
            kind, *rest = json.loads(frame)
        except ValueError:
            return [Malformed("not JSON")]
        head = (session.exchange, session.instruments.symbols.get(rest[0], rest[0]) if rest else "", None, at)
        if kind == "trade":
            return [Trade(*head, str(rest[1]), "buy", Decimal(rest[2]), Decimal(1))]
        if kind == "book":
            levels = [Level(*row) for row in rest[2]]
            return [BookSnapshot(*head, levels, [], sequence=rest[1]), BookChecksum(head[1], rest[3])]
        if kind == "delta":
            levels = [Level(*row) for row in rest[2]]
            delta = BookDelta(*head, levels, [], sequence=rest[1], previous=rest[1] - 1)
            return [delta, BookChecksum(head[1], rest[3])]
        if kind == "ping":
            return [Reply("pong")]
        return [Unknown(kind)]

    @hookimpl
    def read(self, session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Any]:
        return [
            InstrumentUpdate("acme", symbol, None, at, Instrument("acme", symbol, native, "spot", "A", "B"))
            for native, symbol in json.loads(answer.body).items()
        ]

    @hookimpl
    def checksum(self, book: Any) -> int:
        return sum(int(size) for _, size in book.top_text(5)[0])

    @hookimpl
    def hosts(self) -> Sequence[str]:
        return ["ws.acme.test", "api.acme.test"]


class Registry(PluginRegistry):
    """Only what a test registered, whatever is installed here."""

    def available(self) -> list[str]:
        return [name for name in super().available() if self.found()[name].distribution is None]


@pytest.fixture
def registry() -> PluginRegistry:
    registry = Registry()
    registry.register("acme", Acme())
    return registry


def ws(t: float | None, *content: Any, conn: int = 1, url: str = SOCKET, direction: str = "in") -> dict[str, Any]:
    return {"t": t, "dir": direction, "kind": "ws", "url": url, "conn": conn, "frame": json.dumps(content)}


def line(
    t: float | None, kind: str, content: Any = "", url: str = SOCKET, conn: int = 1, **more: Any
) -> dict[str, Any]:
    frame = content if isinstance(content, str) else json.dumps(content)
    return {"t": t, "dir": "in", "kind": kind, "url": url, "conn": conn, "frame": frame, **more}


ROWS = [
    line(1.0, "http", {"AB": "A-B"}, REST, conn=0),
    ws(1.1, "subscribe", direction="out"),
    ws(1.2, "trade", "AB", 1, "10.5"),
    ws(1.3, "book", "AB", 5, [["9", "3"], ["8", "4"]], 7),
    ws(1.4, "delta", "AB", 6, [["9", "1"]], 5),
    ws(1.5, "ping"),
    ws(1.6, "trade", "CD", 1, "2.5"),
]


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def replay(registry: PluginRegistry, *paths: Path, **options: Any) -> tuple[ReplayResult, list[MarketEvent]]:
    events: list[MarketEvent] = []
    result = Replay(paths, registry, on_events=events.extend, **options).run()
    return result, events


def test_everything_is_read_and_counted(tmp_path: Path, registry: PluginRegistry) -> None:
    result, events = replay(registry, write(tmp_path / "r.jsonl", ROWS))
    assert [type(event).__name__ for event in events] == [
        "InstrumentUpdate", "Trade", "BookSnapshot", "BookDelta", "Trade"
    ]  # fmt: skip
    assert [event.received for event in events] == [S, 12 * S // 10, 13 * S // 10, 14 * S // 10, 16 * S // 10]
    told = result.to_dict()
    assert told["events"] == {"book_delta": 1, "book_snapshot": 1, "instrument_update": 1, "trade": 2}
    assert told["symbols"] == {"acme": {"A-B": {"book_delta": 1, "book_snapshot": 1, "trade": 1}, "CD": {"trade": 1}}}
    assert told["checksums"] == {"verified": 2, "failed": 0}
    assert (told["frames"], told["http"], told["sent"], told["instruments"]) == (5, 1, 1, 1)
    assert (told["malformed"], told["unknown"], told["gaps"], told["skipped"]) == (0, 0, 0, 0)
    assert (told["first"], told["last"]) == (S, 16 * S // 10)
    json.dumps(told)


def test_the_digest_is_the_same_at_every_speed(tmp_path: Path, registry: PluginRegistry) -> None:
    path = write(tmp_path / "r.jsonl", ROWS)
    slept: list[float] = []
    fast, _ = replay(registry, path)
    slow, _ = replay(registry, path, speed=2.0, sleep=slept.append)
    assert fast.digest == slow.digest
    assert len(fast.digest) == 64
    assert sum(slept) == pytest.approx(0.3)


def test_one_altered_level_fails_a_checksum(tmp_path: Path, registry: PluginRegistry) -> None:
    altered = json.loads(json.dumps(ROWS))
    altered[4]["frame"] = json.dumps(["delta", "AB", 6, [["9", "2"]], 5])
    result, events = replay(registry, write(tmp_path / "r.jsonl", altered))
    assert (result.checksums_verified, result.checksums_failed) == (1, 1)
    assert any(isinstance(event, Gap) for event in events)
    assert result.digest != replay(registry, write(tmp_path / "o.jsonl", ROWS))[0].digest
    unverified, _ = replay(registry, tmp_path / "r.jsonl", verify_checksums=False)
    assert (unverified.checksums_verified, unverified.checksums_failed, unverified.gaps) == (0, 0, 0)


def test_a_file_out_of_order_is_sorted(tmp_path: Path, registry: PluginRegistry) -> None:
    in_order, _ = replay(registry, write(tmp_path / "a.jsonl", ROWS))
    shuffled, _ = replay(registry, write(tmp_path / "b.jsonl", [ROWS[i] for i in (3, 0, 6, 2, 5, 1, 4)]))
    assert shuffled.digest == in_order.digest


def test_several_files_are_merged_by_time(tmp_path: Path, registry: PluginRegistry) -> None:
    first = write(tmp_path / "a.jsonl", [ws(1.0, "trade", "AB", 1, "1"), ws(3.0, "trade", "AB", 3, "1")])
    second = write(tmp_path / "b.jsonl", [ws(2.0, "trade", "CD", 2, "1"), ws(3.0, "trade", "CD", 4, "1")])
    _, events = replay(registry, first, second)
    assert [event.id for event in events if isinstance(event, Trade)] == ["1", "2", "3", "4"]


def test_lines_without_a_time_keep_the_last(tmp_path: Path, registry: PluginRegistry) -> None:
    times = [None, 5.0, None, 7.0]
    path = write(tmp_path / "n.jsonl", [ws(t, "trade", "AB", n, "1") for n, t in enumerate(times)])
    _, events = replay(registry, path)
    assert [event.received // S for event in events] == [5, 5, 5, 7]


@pytest.mark.parametrize("ending", [line(2.0, "close", "gone"), line(2.0, "connect")])
def test_a_lost_socket_leaves_a_gap(tmp_path: Path, registry: PluginRegistry, ending: dict[str, Any]) -> None:
    rows = [ws(1.0, "trade", "AB", 1, "1"), ending, ws(3.0, "trade", "AB", 9, "1")]
    result, events = replay(registry, write(tmp_path / "g.jsonl", rows))
    assert [type(event).__name__ for event in events] == ["Trade", "Gap", "Trade"]
    assert result.gaps == 1


def test_bad_frames_are_counted_and_cost_nothing_else(tmp_path: Path, registry: PluginRegistry) -> None:
    rows = [line(1.0, "ws", "{nonsense"), ws(1.1, "novelty"), ws(1.2, "trade", "AB", 1, "1")]
    result, events = replay(registry, write(tmp_path / "m.jsonl", rows))
    assert (result.malformed, result.unknown, len(events)) == (1, 1, 1)


def test_a_refused_answer_is_not_read(tmp_path: Path, registry: PluginRegistry) -> None:
    rows = [line(1.0, "http", "busy", REST, status=503), line(2.0, "http", {"AB": "A-B"}, REST, status=200)]
    result, _ = replay(registry, write(tmp_path / "h.jsonl", rows))
    assert (result.http, result.http_errors, result.instruments) == (1, 1, 1)


def test_hosts_nobody_knows_are_skipped_with_a_note(tmp_path: Path, registry: PluginRegistry) -> None:
    rows = [ws(1.0, "trade", "AB", 1, "1"), ws(2.0, "trade", "AB", 2, "1", url="wss://other.test/x")]
    result, events = replay(registry, write(tmp_path / "s.jsonl", rows))
    assert (result.skipped, len(events)) == (1, 1)
    assert "other.test" in result.notes[0]


def test_a_recording_nobody_knows(tmp_path: Path, registry: PluginRegistry) -> None:
    path = write(tmp_path / "l.jsonl", [ws(1.0, "trade", "AB", 1, "1", url="ws://127.0.0.1:9001/x")])
    with pytest.raises(RecordingError, match=r"hosts 127\.0\.0\.1 \(installed: acme\).*--exchange"):
        replay(registry, path)
    assert replay(registry, path, exchange="acme")[0].frames == 1
    with pytest.raises(UnknownExchangeError):
        replay(registry, path, exchange="nobody")


def test_a_named_exchange_takes_only_its_own_lines(tmp_path: Path, registry: PluginRegistry) -> None:
    rows = [ws(1.0, "trade", "AB", 1, "1"), ws(2.0, "trade", "AB", 2, "1", url="wss://other.test/x")]
    result, _ = replay(registry, write(tmp_path / "t.jsonl", rows), exchange="acme")
    assert (result.frames, result.skipped) == (1, 1)


def test_a_plugin_whose_hosts_fail_is_blamed_and_the_others_run(tmp_path: Path, registry: PluginRegistry) -> None:
    class Broken(Acme):
        @hookimpl
        def hosts(self) -> Sequence[str]:
            raise RuntimeError("oops")

    registry.register("broken", Broken())
    path = write(tmp_path / "r.jsonl", ROWS)
    result, _ = replay(registry, path)
    assert result.exchanges == ["acme"]
    assert any("'broken'" in note and "oops" in note for note in result.notes)
    with pytest.raises(PluginError, match="oops"):
        replay(registry, path, exchange="broken")


def test_damage_is_found_before_anything_is_handed_out(tmp_path: Path, registry: PluginRegistry) -> None:
    path = write(tmp_path / "d.jsonl", [*ROWS, {"what": "is this"}])
    events: list[MarketEvent] = []
    with pytest.raises(RecordingError, match="line 8"):
        Replay([path], registry, on_events=events.extend).run()
    assert events == []


@pytest.mark.parametrize("speed", [0, -1.0])
def test_a_speed_of_nothing_is_refused(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Replay([tmp_path], speed=speed)
    with pytest.raises(RecordingError, match="no recording"):
        Replay([])
