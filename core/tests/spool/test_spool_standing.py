"""Where every stream stands: kept through a kill to the event, at a cost the file gives back."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tickhive.channels import DataType
from tickhive.clock import ManualClock
from tickhive.events import BookDelta, BookSnapshot, Candle, Gap, Level, MarkPrice, SubscriptionUpdate, Trade
from tickhive.spool import Spool, SpoolCursor, Standing, codec
from tickhive.spool.database import SCHEMA_VERSION
from tickhive.spool.notes import HOLES, STREAMS, Notes

MINUTE = 60 * 10**9


def trade(number: int | str, at: int | None = None, *, count: int = 1, late: bool = False) -> Trade:
    at = int(number) if at is None else at
    return Trade("acme", "A-B", at, at, str(number), "buy", Decimal(1), Decimal(1), count, late)


def candle(minute: int, *, closed: bool = True, late: bool = False, interval: str = "1m") -> Candle:
    one = Decimal(1)
    start = minute * MINUTE
    return Candle("acme", "A-B", None, start, interval, start, one, one, one, one, one, closed=closed, late=late)


def mark(at: int, symbol: str = "A-B") -> MarkPrice:
    return MarkPrice("acme", symbol, at, at, Decimal(at))


def hole(first: int, last: int, symbol: str = "A-B") -> Gap:
    return Gap("acme", symbol, None, 9, DataType.TRADE, first - 1, last + 1, "lost", str(first), str(last))


def candle_hole(first: int, last: int) -> Gap:
    return Gap("acme", "A-B", None, 9, DataType.CANDLE, first * MINUTE, last * MINUTE, "lost", params="1m")


def after(*events: Any, noted: tuple[Any, ...] = ()) -> list[Any]:
    standing = Standing()
    standing.begin(noted)
    standing.follow(events)
    return standing.events()


LEVELS = [Level("1", "2")]
FORGOTTEN_NUMBERS = trade(1, 10**12)


@pytest.mark.parametrize(
    ("events", "stands"),
    [
        pytest.param([mark(1), mark(2)], [mark(2)], id="the last one"),
        pytest.param([mark(1), mark(2, "C-D")], [mark(1), mark(2, "C-D")], id="each symbol for itself"),
        pytest.param([trade(5), trade(4)], [trade(5)], id="the highest id, whatever the order"),
        pytest.param([trade(9), trade(10)], [trade(10)], id="ids are numbers"),
        pytest.param([trade(5), trade(4, late=True)], [trade(5)], id="a late trade"),
        pytest.param([trade(10**6, 1), FORGOTTEN_NUMBERS], [FORGOTTEN_NUMBERS], id="the venue restarted its numbers"),
        pytest.param([trade("a", 1), trade("b", 2)], [trade("b", 2)], id="ids that are no numbers"),
        pytest.param([candle(2), candle(1, late=True)], [candle(2)], id="a late candle"),
        pytest.param([candle(2), candle(2, interval="5m")], [candle(2), candle(2, interval="5m")], id="intervals"),
        pytest.param(
            [BookSnapshot("acme", "A-B", 1, 1, LEVELS, LEVELS, 7), BookDelta("acme", "A-B", 2, 2, LEVELS, [], 8, 7)],
            [BookDelta("acme", "A-B", 2, 2, (), (), 8, 7)],
            id="a book without its levels",
        ),
        pytest.param([SubscriptionUpdate("acme", "A-B", None, 1, DataType.TRADE, "", "silent")], [], id="no stream"),
    ],
)
def test_what_stands_for_a_stream(events: list[Any], stands: list[Any]) -> None:
    assert after(*events) == stands


@pytest.mark.parametrize(
    ("noted", "events", "left"),
    [
        pytest.param(hole(3, 6), [trade(7)], [hole(3, 6)], id="what comes behind it fills nothing"),
        pytest.param(hole(3, 6), [hole(3, 6)], [], id="its own Gap ends it"),
        pytest.param(hole(3, 6), [hole(4, 5)], [], id="also when it had become smaller"),
        pytest.param(hole(3, 6), [hole(3, 6, "C-D"), hole(8, 9)], [hole(3, 6)], id="no other does"),
        pytest.param(hole(3, 6), [trade(3, late=True), trade(4, late=True)], ["5-6"], id="filled at its beginning"),
        pytest.param(hole(3, 6), [trade(6, count=4)], [], id="filled by merged trades"),
        pytest.param(candle_hole(3, 6), [candle(3), candle(4)], [(5, 6)], id="candles fill it"),
        pytest.param(candle_hole(3, 4), [candle(3), candle(4)], [], id="to its end"),
        pytest.param(candle_hole(3, 4), [candle(3, closed=False)], [(3, 4)], id="a running candle does not"),
    ],
)
def test_a_hole_stands_until_it_is_told_of(noted: Gap, events: list[Any], left: list[Any]) -> None:
    before = evolve(noted)
    holes = [event for event in after(*events, noted=(noted,)) if isinstance(event, Gap)]
    assert noted == before, "what was handed in is not changed"
    if left and isinstance(left[0], str):
        assert [f"{each.first_id}-{each.last_id}" for each in holes] == left
    elif left and isinstance(left[0], tuple):
        assert [(each.start, each.end) for each in holes] == [(a * MINUTE, b * MINUTE) for a, b in left]
    else:
        assert holes == left


async def opened(directory: Path, **settings: Any) -> Spool:
    spool = Spool(directory, **{"commit_seconds": 0.005, **settings})
    await spool.open()
    return spool


def deliver(cursor: SpoolCursor) -> None:
    last = cursor._writer.database.next_number - 1
    cursor.plan(last)
    cursor.advance(last)
    cursor.close()


def batches(directory: Path) -> int:
    with sqlite3.connect(directory / "spool.sqlite") as connection:
        count: int = connection.execute("SELECT COUNT(*) FROM batch").fetchone()[0]
    connection.close()
    return count


async def test_it_is_answered_to_the_event_although_the_sinks_have_everything(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    assert spool.standing() == []
    await spool.keep_standing([trade(1), mark(1, "quiet")])
    cursor = await spool.attach("files")
    spool.append([trade(2), trade(3)])
    await spool.flush()
    spool.checkpoint([trade(3), mark(1, "quiet")])
    spool.append([trade(4), mark(9)])
    await spool.flush()
    await asyncio.to_thread(deliver, cursor)
    await spool.close()
    spool = await opened(tmp_path)
    assert spool.standing() == [trade(4), mark(1, "quiet"), mark(9)]
    await spool.close()


async def test_a_checkpoint_lets_delivered_batches_go(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.keep_standing([])
    cursor = await spool.attach("files")
    for number in range(5):
        spool.append([trade(number)])
        await spool.flush()
    await asyncio.to_thread(deliver, cursor)
    assert batches(tmp_path) == 5, "nothing tells yet where these ended"
    spool.checkpoint([trade(4)])
    await asyncio.to_thread(lambda: spool._open_writer().call(lambda database: None).result(10))
    spool.append([trade(5)])
    await spool.flush()
    await asyncio.to_thread(deliver, cursor)
    assert batches(tmp_path) == 1
    await spool.close()
    spool = await opened(tmp_path)
    assert spool.standing() == [trade(5)]
    await spool.close()


def test_a_checkpoint_never_says_more_than_is_committed() -> None:
    notes = Notes()
    notes.checkpoint(10, [trade(10)])
    assert notes.due(9) is None
    due = notes.due(10)
    assert due is not None
    assert codec.decode(due.rows[STREAMS]) == [trade(10)]
    notes.checkpoint(12, [trade(12)])  # while the other was being written
    notes.done(due)
    assert notes.due(11) is None
    assert notes.due(12) is not None


def test_a_hole_is_due_at_once_and_goes_with_the_checkpoint_that_tells_of_it() -> None:
    notes = Notes()
    notes.hole(5, hole(2, 4))
    due = notes.due(3)
    assert due is not None
    assert due.rows.keys() == {HOLES}
    notes.hole(7, hole(6, 6))  # while the other was being written
    notes.done(due)
    due = notes.due(3)
    assert due is not None
    assert codec.decode(due.rows[HOLES]) == [hole(2, 4), hole(6, 6)]
    notes.done(due)
    assert notes.due(3) is None
    notes.checkpoint(6, [hole(2, 4), trade(5)])
    due = notes.due(6)
    assert due is not None
    assert codec.decode(due.rows[HOLES]) == [hole(6, 6)]


async def test_holes_are_kept_with_the_events_that_revealed_them_until_they_are_told(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.keep_standing([trade(1)])
    await spool.attach("files")
    spool.expect(hole(2, 4))
    spool.expect(hole(7, 8))
    spool.append([trade(5), trade(9)])
    await spool.flush()
    spool.append([trade(2, late=True), trade(3, late=True), trade(4, late=True), hole(2, 4)])
    await spool.flush()
    await spool.close()
    spool = await opened(tmp_path)
    assert spool.standing() == [hole(7, 8), trade(9)]
    await spool.keep_standing(spool.standing())
    await spool.attach("files")
    spool.append([hole(7, 8)])
    spool.checkpoint([trade(9)])
    await spool.flush()
    await spool.close()
    spool = await opened(tmp_path)
    assert spool.standing() == [trade(9)]
    await spool.close()


KILLED = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_spool_standing import trade, mark, opened

async def main():
    spool = await opened(Path(sys.argv[1]))
    await spool.keep_standing([mark(1, "quiet")])
    await spool.attach("files")
    for number in range(2, 200, 2):
        spool.append([trade(number), trade(number - 1)])
        if number == 100:
            spool.checkpoint([trade(number), mark(1, "quiet")])
        await spool.flush()
        print(number, flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
async def test_a_killed_process_stood_where_its_last_commit_was(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)]
    run = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert run.returncode == -9, run.stderr
    last = int(run.stdout.splitlines()[-1])
    spool = await opened(tmp_path)
    assert sorted(spool.standing(), key=str) == sorted([trade(last), mark(1, "quiet")], key=str)
    await spool.close()


async def test_a_full_file_is_emptied_all_the_same(tmp_path: Path) -> None:
    spool = await opened(tmp_path, max_bytes=400_000, clock=ManualClock(10**15))
    await spool.keep_standing([trade(1)])
    cursor = await spool.attach("files")
    number = 1
    while spool.status()["healthy"]:
        number += 1
        spool.append([mark(number, "x" * 5000) for _ in range(5)])
        await asyncio.sleep(0.002)
    spool.append([trade(number)])
    # The sink takes all that is committed, though no checkpoint says where that ended.
    async with asyncio.timeout(20):
        while spool.status()["buffered"]:
            await asyncio.to_thread(deliver, cursor)
            await asyncio.sleep(0.005)
    await spool.close()
    spool = await opened(tmp_path)
    assert spool.standing() == [trade(number), mark(number, "x" * 5000)]
    await spool.close()


async def test_a_spool_that_is_not_told_keeps_nothing_and_forgets_what_it_knew(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.keep_standing([trade(1)])
    await spool.close()
    spool = await opened(tmp_path)
    cursor = await spool.attach("files")
    spool.append([trade(2)])
    await spool.flush()
    await asyncio.to_thread(deliver, cursor)
    assert batches(tmp_path) == 0
    await spool.close()
    spool = await opened(tmp_path)
    assert spool.standing() == []
    await spool.close()


async def test_a_file_of_the_earlier_layout_is_taken_over(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.attach("files")
    spool.append([trade(1)])
    await spool.flush()
    await spool.close()
    with sqlite3.connect(tmp_path / "spool.sqlite") as connection:
        connection.executescript("DROP TABLE standing; PRAGMA user_version = 1;")
    connection.close()
    spool = await opened(tmp_path)
    cursor = await spool.attach("files")
    assert spool.status()["sinks"]["files"]["lag_events"] == 1
    await spool.keep_standing([trade(1)])
    spool.append([trade(2)])
    await spool.flush()
    await asyncio.to_thread(deliver, cursor)
    await spool.close()
    with sqlite3.connect(tmp_path / "spool.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()
    spool = await opened(tmp_path)
    assert spool.standing() == [trade(2)]
    await spool.close()


async def test_a_damaged_note_costs_the_standing_only(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.keep_standing([trade(1)])
    await spool.close()
    with sqlite3.connect(tmp_path / "spool.sqlite") as connection:
        connection.execute("UPDATE standing SET crc = crc + 1")
    connection.close()
    spool = await opened(tmp_path)
    assert spool.standing() == []
    assert spool.status()["healthy"]
    await spool.close()
