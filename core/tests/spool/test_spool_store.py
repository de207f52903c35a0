from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickhive.channels import DataType
from tickhive.clock import ManualClock
from tickhive.errors import SpoolError
from tickhive.events import Candle, Gap, MarkPrice, Trade
from tickhive.spool import FlushPolicy, Range, Spool, SpoolCursor, codec

ONE_BY_ONE = FlushPolicy(seconds=0.0)


def trades(*numbers: int, symbol: str = "BTC-USDT") -> list[Any]:
    return [Trade("acme", symbol, n, n, str(n), "buy", Decimal(n), Decimal("0.10")) for n in numbers]


async def until(predicate: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110 - another thread makes it true
            await asyncio.sleep(0.002)


async def opened(directory: Path, **settings: Any) -> Spool:
    spool = Spool(directory, **{"commit_seconds": 0.005, **settings})
    await spool.open()
    return spool


def read(cursor: SpoolCursor, policy: FlushPolicy = ONE_BY_ONE, now: int = 2**62) -> tuple[Range | None, list[Any]]:
    span, _ = cursor.next_range(policy, now)
    events = [event for _, chunk in cursor.chunks(span) for event in chunk] if span else []
    return span, events


@pytest.fixture
def cursors() -> Iterator[list[SpoolCursor]]:
    found: list[SpoolCursor] = []
    yield found
    for cursor in found:
        cursor.close()


async def test_what_was_flushed_is_read_in_order_and_numbered_without_holes(tmp_path: Path, cursors: Any) -> None:
    spool = await opened(tmp_path, clock=ManualClock(5_000_000))
    cursor = await spool.attach("files")
    cursors.append(cursor)
    spool.append(trades(1, 2))
    await spool.flush()
    spool.append(trades(3))
    await spool.flush()
    span, events = read(cursor)
    assert span == Range(5000, 5002)  # the file was made at microsecond 5,000
    assert events == trades(1, 2, 3)
    await spool.close()


async def test_commits_happen_by_time_without_a_flush(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.attach("files")
    spool.append(trades(1))
    await until(lambda: spool.status()["commits"] == 1)
    await spool.close()


async def test_commits_happen_by_number_without_time(tmp_path: Path) -> None:
    spool = await opened(tmp_path, commit_seconds=1000, commit_events=2)
    await spool.attach("files")
    spool.append(trades(1, 2))
    await until(lambda: spool.status()["commits"] == 1)
    await spool.close()


async def test_a_delivery_that_was_begun_is_repeated_with_the_same_range(tmp_path: Path, cursors: Any) -> None:
    spool = await opened(tmp_path)
    cursor = await spool.attach("files")
    spool.append(trades(1, 2, 3))
    await spool.flush()
    span, events = read(cursor)
    assert span is not None
    await asyncio.to_thread(cursor.plan, span.last)
    cursor.close()
    await spool.close()

    spool = await opened(tmp_path)
    spool.append(trades(4))  # later events do not widen it
    await spool.flush()
    cursor = await spool.attach("files")
    cursors.append(cursor)
    assert read(cursor, FlushPolicy(seconds=1e9)) == (span, events)
    await asyncio.to_thread(cursor.advance, span.last)
    following, events = read(cursor)
    assert following == Range(span.last + 1, span.last + 1)
    assert events == trades(4)
    await spool.close()


async def test_ranges_close_by_age_events_and_bytes(tmp_path: Path, cursors: Any) -> None:
    clock = ManualClock(1_000_000)
    spool = await opened(tmp_path, clock=clock)
    cursor = await spool.attach("files")
    cursors.append(cursor)
    for number in range(5):
        spool.append(trades(number))
        await spool.flush()
    first = 1000
    now = clock.time_ns()
    assert cursor.next_range(FlushPolicy(60.0, 100, 10**6), now + 10**9) == (None, 59.0)
    assert cursor.next_range(FlushPolicy(60.0, 100, 10**6), now + 60 * 10**9)[0] == Range(first, first + 4)
    assert cursor.next_range(FlushPolicy(60.0, 3, 10**6), now)[0] == Range(first, first + 2)
    assert cursor.next_range(FlushPolicy(60.0, 100, 1), now)[0] == Range(first, first)
    assert cursor.next_range(FlushPolicy(60.0, 100, 10**6), now, all_of_it=True)[0] == Range(first, first + 4)
    await spool.close()


async def test_batches_go_when_every_sink_has_them(tmp_path: Path, cursors: Any) -> None:
    spool = await opened(tmp_path)
    quick, slow = await spool.attach("quick"), await spool.attach("slow")
    cursors += [quick, slow]
    spool.append(trades(1, 2))
    await spool.flush()
    span, _ = read(quick)
    assert span is not None
    await asyncio.to_thread(quick.advance, span.last)
    assert read(slow)[1] == trades(1, 2)
    assert spool.status()["sinks"]["slow"]["lag_events"] == 2
    await asyncio.to_thread(slow.advance, span.last)
    with sqlite3.connect(spool.path) as reader:
        assert reader.execute("SELECT COUNT(*) FROM batch").fetchone() == (0,)
    reader.close()
    await spool.close()


async def test_a_forgotten_sink_holds_nothing_back(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.attach("gone")
    spool.append(trades(1, 2))
    await spool.flush()
    await spool.forget_sink("gone")
    late = await spool.attach("late")
    assert late.lag(0).events == 0
    await spool.close()


async def test_without_sinks_nothing_is_kept(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    spool.append(trades(1, 2))
    await spool.flush()
    assert spool.status()["discarded"] == 2
    assert (await spool.attach("late")).lag(0).events == 0
    await spool.close()


async def test_the_file_gives_its_space_back(tmp_path: Path, cursors: Any) -> None:
    spool = await opened(tmp_path, commit_events=500)
    cursor = await spool.attach("files")
    cursors.append(cursor)
    filler = [MarkPrice("acme", "x" * 90_000, None, n, Decimal(n)) for n in range(500)]
    spool.append(filler)
    await spool.flush()
    before = spool.path.stat().st_size
    span, _ = cursor.next_range(ONE_BY_ONE, 2**62)
    assert span is not None
    await asyncio.to_thread(cursor.advance, span.last)
    await spool.close()
    assert before - spool.path.stat().st_size > 20_000_000


async def test_a_full_spool_pauses_drops_the_newest_tells_of_it_and_recovers(tmp_path: Path, cursors: Any) -> None:
    pressure: list[bool] = []
    spool = await opened(
        tmp_path, max_bytes=600_000, commit_events=100, buffer_events=1000, on_pressure=pressure.append
    )
    cursor = await spool.attach("files")
    cursors.append(cursor)
    wide = [Trade("acme", "X-Y", n, n, "i" * 2000, "buy", Decimal(n), Decimal(1)) for n in range(400)]
    spool.append(wide)
    await until(lambda: not spool.status()["healthy"])
    assert "its limit of 600000 bytes is reached" in spool.status()["reason"]
    room = 1000 - spool.status()["buffered"]
    spool.append(trades(*range(room)))
    assert pressure == [True]
    candle = Candle("acme", "A-B", 9, 9, "1m", 0, Decimal(1), Decimal(1), Decimal(1), Decimal(1), Decimal(1))
    spool.append([*trades(7000, 7001), candle])
    spool.append(trades(7002))
    assert spool.status()["dropped"] == 4
    with pytest.raises(SpoolError, match="in memory"):
        await spool.flush(timeout_seconds=0.01)

    got: list[Any] = []
    while (status := spool.status())["buffered"] or status["sinks"]["files"]["lag_events"]:
        span, events = read(cursor)
        got += events
        if span is not None:
            await asyncio.to_thread(cursor.advance, span.last)
        await asyncio.sleep(0)
    assert got[: 400 + room] == wide + trades(*range(room))
    gaps = got[400 + room :]
    assert [(gap.symbol, gap.data_type, gap.params, gap.start, gap.end, gap.cause) for gap in gaps] == [
        ("BTC-USDT", DataType.TRADE, "", 7000, 7002, "spool full: 3 events not stored"),
        ("A-B", DataType.CANDLE, "1m", 9, 9, "spool full: 1 events not stored"),
    ]
    assert pressure == [True, False]
    assert spool.status()["healthy"]
    spool.append(trades(1))
    await spool.flush()
    await spool.close()


async def test_closing_while_full_says_what_is_lost(tmp_path: Path) -> None:
    spool = await opened(tmp_path, max_bytes=1)
    await spool.attach("files")
    spool.append([Trade("acme", "X-Y", n, n, "i" * 2000, "buy", Decimal(n), Decimal(1)) for n in range(300)])
    with pytest.raises(SpoolError, match=r"300 events could not be committed.*limit of 1 bytes"):
        await spool.close(timeout_seconds=0.1)


async def test_values_that_cannot_be_stored_cost_only_themselves(tmp_path: Path, cursors: Any) -> None:
    spool = await opened(tmp_path)
    cursor = await spool.attach("files")
    cursors.append(cursor)
    huge = Trade("acme", "X-Y", 2**80, 5, "1", "buy", Decimal(1), Decimal(1))
    nameless = MarkPrice("acme", "\ud800", 1, 6, Decimal(1))
    late = MarkPrice("acme", "X-Y", 1, 2**63, Decimal(1))
    spool.append([*trades(1), huge, nameless, "no event", *trades(2)])  # type: ignore[list-item]
    await until(lambda: spool.status()["buffered"] == 0)
    events = read(cursor)[1]
    assert events[:2] == trades(1, 2)
    (gap,) = events[2:]
    assert isinstance(gap, Gap)
    assert (gap.symbol, gap.start, gap.cause) == ("X-Y", 5, "values that cannot be stored: 1 events not stored")
    assert spool.status()["dropped"] == 4  # the fourth is the Gap of the symbol that cannot be written
    spool.append([late])
    await spool.flush()
    spool.append(trades(3))
    await spool.flush()
    assert read(cursor)[1][-1:] == trades(3)
    assert spool.status()["healthy"]
    await spool.close()


async def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    with pytest.raises(SpoolError, match="in use"):
        await Spool(tmp_path).open()
    program = (
        "import asyncio, sys; from pathlib import Path; from tickhive.spool import Spool;"
        "asyncio.run(Spool(Path(sys.argv[1])).open())"
    )
    other = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert "give this one a data directory of its own" in other.stderr
    await spool.close()
    await (await opened(tmp_path)).close()


@pytest.mark.parametrize("damage", ["header", "middle"])
async def test_a_damaged_file_is_moved_aside_and_its_numbers_are_not_given_again(tmp_path: Path, damage: str) -> None:
    spool = await opened(tmp_path)
    await spool.attach("files")
    spool.append(trades(*range(3000)))
    await spool.flush()
    last = spool.status()["committed"]
    await spool.close()
    content = bytearray(spool.path.read_bytes())
    start = 0 if damage == "header" else 4096
    content[start : start + 2000] = b"\xa5" * 2000
    spool.path.write_bytes(content)

    spool = await opened(tmp_path)
    status = spool.status()
    assert Path(status["moved_aside"]).read_bytes() == content  # noqa: ASYNC240
    assert status["committed"] > last
    await spool.close()


@pytest.mark.parametrize("altered", [b"damaged", codec.encode(trades(9))], ids=["unreadable", "readable"])
async def test_a_damaged_batch_is_put_aside_and_the_others_are_delivered(
    tmp_path: Path, cursors: Any, altered: bytes
) -> None:
    spool = await opened(tmp_path)
    await spool.attach("files")
    for number in (1, 2, 3):
        spool.append(trades(number))
        await spool.flush()
    await spool.close()
    with sqlite3.connect(spool.path) as editor:
        (second,) = editor.execute("SELECT first FROM batch ORDER BY first LIMIT 1 OFFSET 1").fetchone()
        editor.execute("UPDATE batch SET payload = ? WHERE first = ?", (altered, second))
    editor.close()

    spool = await opened(tmp_path)
    cursor = await spool.attach("files")
    cursors.append(cursor)
    assert read(cursor)[1] == trades(1, 3)
    assert cursor.damaged == 1
    assert (tmp_path / f"damaged-{second}-{second}.msgpack").read_bytes() == altered
    await spool.close()


async def test_a_value_of_a_wrong_type_costs_only_its_own_event(tmp_path: Path, cursors: Any) -> None:
    spool = await opened(tmp_path)
    cursor = await spool.attach("files")
    cursors.append(cursor)
    wrong = MarkPrice("acme", 5, 1, 1, Decimal(1))  # type: ignore[arg-type]
    spool.append([*trades(1), wrong, *trades(2)])
    await spool.flush()
    span, _ = cursor.next_range(ONE_BY_ONE, 2**62)
    assert span is not None
    assert list(cursor.chunks(span)) == [(span.first, trades(1)), (span.first + 2, trades(2))]
    assert cursor.damaged == 1
    await spool.close()


async def test_a_later_layout_is_refused_and_left_alone(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    with sqlite3.connect(tmp_path / "spool.sqlite") as editor:
        editor.execute("PRAGMA user_version = 7")
    editor.close()
    with pytest.raises(SpoolError, match="layout 7"):
        await opened(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["spool.lock", "spool.sqlite"]


async def test_a_directory_that_cannot_be_made_is_a_spool_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot be used"):
        await Spool(tmp_path / "file" / "spool").open()


async def test_a_closed_spool_accepts_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(SpoolError, match="not open"):
        spool.append(trades(1))
    await spool.open()
    await spool.close()
    await spool.close()
    with pytest.raises(SpoolError, match="not open"):
        spool.append(trades(1))
    assert not spool.status()["healthy"]


async def test_a_close_can_be_cancelled_and_repeated_with_less_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=1, commit_seconds=0.001)
    await spool.open()
    await spool.attach("sink")
    spool.append([Trade("acme", "X-Y", n, n, "i" * 2000, "buy", Decimal(n), Decimal(1)) for n in range(300)])
    closing = asyncio.ensure_future(spool.close(3600))
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    assert spool.is_open
    with pytest.raises(SpoolError, match="are lost"):
        await asyncio.wait_for(spool.close(0.01), 20)
    assert not spool.is_open
