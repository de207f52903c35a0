"""Kill the collecting process at any moment: every trade it had committed is stored, and none twice."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

DIES_AFTER_WRITING = """
import asyncio, os, sys
from decimal import Decimal
from pathlib import Path
from tickhive.events import MarkPrice
from tickhive.sinks import FlushPolicy, SinkRunner
from tickhive.spool import Spool
from tickhive_parquet import ParquetSettings, ParquetSink

class Dying(ParquetSink):
    def write(self, batch):
        super().write(batch)
        if sys.argv[3] == "die":
            os._exit(9)

async def main(root, start):
    spool = Spool(root / "spool")
    await spool.open()
    for number in range(start, start + 3):
        if start == 0 and number == 0:
            await spool.attach("parquet")
        spool.append([MarkPrice("acme", "X-Y", 1, 1, Decimal(number))])
        await spool.flush()
    runner = SinkRunner(spool, "parquet", Dying(ParquetSettings(path=root / "out")), flush=FlushPolicy(0.001))
    await runner.start()
    await runner.stop()
    await spool.close()

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


def test_a_death_between_the_files_and_their_confirmation_doubles_nothing(tmp_path: Path) -> None:
    for start, fate in ((0, "die"), (3, "die"), (6, "live")):
        arguments = [sys.executable, "-c", DIES_AFTER_WRITING, str(tmp_path), str(start), fate]
        assert subprocess.run(arguments, check=False, timeout=60).returncode == (9 if fate == "die" else 0)
    table = ds.dataset(tmp_path / "out" / "exchange=acme" / "type=mark_price", partitioning="hive").to_table()
    prices: list[Any] = table.column("price").to_pylist()
    assert sorted(prices) == list(range(9))


PROGRAM = """
import asyncio, sys, time
from decimal import Decimal
from pathlib import Path
from tickhive.events import Trade
from tickhive.sinks import FlushPolicy, SinkRunner, create_sink
from tickhive.spool import Spool

async def main(root, start, seconds):
    spool = Spool(root / "spool", commit_seconds=0.002, commit_events=50)
    await spool.open()
    sink = create_sink("parquet", {"path": str(root / "out")})
    runner = SinkRunner(spool, "parquet", sink, flush=FlushPolicy(0.02, 1000, 10**9))
    await runner.start()
    number, until = start, time.monotonic() + seconds
    while time.monotonic() < until:
        now = time.time_ns()
        spool.append([
            Trade("acme", "ABC"[n % 3] + "-USD", now, now, str(n), "buy", Decimal(n), Decimal(1))
            for n in range(number, number + 20)
        ])
        number += 20
        await spool.flush()
        print(f"<{number}>", flush=True)
    print(f"left {await runner.stop()}", flush=True)
    await spool.close()

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
"""


def test_every_committed_trade_is_stored_once_over_five_kills(tmp_path: Path) -> None:
    rng = random.Random(20261122)
    committed: list[range] = []
    lives = 5
    for life in range(lives + 1):
        start = life * 10_000_000
        last = life == lives
        # The last life is left to end by itself: it delivers whatever its predecessors left.
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), str(start), "0.05" if last else "60"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        if last:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            assert output.endswith("left 0\n")
        else:
            output = ""
            for _ in range(rng.randrange(2, 40)):
                output += process.stdout.readline()
            process.kill()
            # What it wrote before the kill reached it was confirmed, too.
            output += process.communicate(timeout=60)[0]
        # Its log shares the stream with the numbers it has committed.
        confirmed = max([start, *map(int, re.findall(r"<(\d+)>", output))])
        committed.append(range(start, confirmed))

    dataset = ds.dataset(tmp_path / "out" / "exchange=acme" / "type=trade", partitioning="hive")
    table = dataset.to_table(columns=["id", "number", "price"])
    ids: list[Any] = table.column("id").to_pylist()
    stored = Counter(map(int, ids))
    assert [number for span in committed for number in span if number not in stored] == []
    assert {number: count for number, count in stored.items() if count > 1} == {}
    # What was handed in but not confirmed may be there; it is at most what one death interrupts.
    extra = sorted(set(stored) - {number for span in committed for number in span})
    assert len(extra) <= 20 * lives
    assert len(set(table.column("number").to_pylist())) == table.num_rows
    assert table.column("price").to_pylist() == list(map(int, ids))
    assert list((tmp_path / "out").rglob("*.part")) == []
