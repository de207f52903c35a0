from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tickhive.channels import DataType, Instrument
from tickhive.errors import SinkError
from tickhive.events import EVENT_TYPES, BookDelta, BookSnapshot, Gap, InstrumentUpdate, Level, MarkPrice, Trade
from tickhive.sinks import FlushPolicy, SinkBatch, create_sink
from tickhive.spool import Spool, SpoolCursor
from tickhive_parquet import ParquetSettings, ParquetSink
from tickhive_parquet.tables import TABLES

NOON = 1_795_348_800_000_000_000  # 2026-11-22 12:00 UTC
DAY = 86_400 * 10**9


def trade(number: int, symbol: str = "BTC-USDT", at: int = NOON, exchange: str = "acme") -> Trade:
    return Trade(exchange, symbol, at - 5, at + number, str(number), "buy", Decimal("97123.40"), Decimal("1e-8"))


class Harness:
    """A spool, its cursor and a sink: what is handed in comes out as files."""

    def __init__(self, root: Path, spool: Spool, cursor: SpoolCursor) -> None:
        self.root = root
        self.spool = spool
        self.cursor = cursor
        self.sink = ParquetSink(ParquetSettings(path=root / "out"))
        self.sink.open()

    async def batch(self, events: list[Any]) -> SinkBatch:
        self.spool.append(events)
        await self.spool.flush()
        span, _ = self.cursor.next_range(FlushPolicy(0.0), 2**62)
        assert span is not None
        return SinkBatch(span, self.cursor)

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.sink.path)) for path in self.sink.path.rglob("*") if path.is_file())


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    spool = Spool(tmp_path / "spool", commit_seconds=0.001)
    await spool.open()
    cursor = await spool.attach("parquet")
    yield Harness(tmp_path, spool, cursor)
    cursor.close()
    await spool.close()


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, times as ns: Python's datetime ends at microseconds."""
    table = pq.ParquetFile(path).read()
    columns = {
        name: (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


async def test_files_are_partitioned_named_by_range_and_sorted(harness: Harness) -> None:
    events = [trade(3, "ETH-USDT"), trade(1), trade(2), trade(4, at=NOON + DAY), trade(5, exchange="b/c")]
    batch = await harness.batch(events)
    harness.sink.write(batch)
    name = f"{batch.first:016d}-{batch.last:016d}.parquet"
    assert harness.files() == [
        f"exchange=acme/type=trade/date=2026-11-22/{name}".replace("/", os.sep),
        f"exchange=acme/type=trade/date=2026-11-23/{name}".replace("/", os.sep),
        f"exchange=b%2Fc/type=trade/date=2026-11-22/{name}".replace("/", os.sep),
    ]
    path = harness.sink.path / harness.files()[0]
    rows = read(path)
    assert [(row["symbol"], row["id"], row["number"] - batch.first) for row in rows] == [
        ("BTC-USDT", "1", 1),
        ("BTC-USDT", "2", 2),
        ("ETH-USDT", "3", 0),
    ]
    file = pq.ParquetFile(path)
    group = file.metadata.row_group(0)
    assert {group.column(index).compression for index in range(group.num_columns)} == {"ZSTD"}
    assert [(one.column_index, one.descending) for one in group.sorting_columns] == [(1, False), (0, False)]
    assert file.schema_arrow.field("price").type == pa.decimal128(38, 18)
    assert file.schema_arrow.field("received").type == pa.timestamp("ns", tz="UTC")
    assert [row["received"] for row in rows] == [NOON + 1, NOON + 2, NOON + 3]
    assert file.schema_arrow.metadata[b"tickhive.exchange"] == b"acme"
    assert rows[0]["price"] == Decimal("97123.4")
    assert rows[0]["unfit"] is None


async def test_books_keep_snapshots_and_deltas_in_one_sequence(harness: Harness) -> None:
    events = [
        BookSnapshot("acme", "X-Y", 1, NOON, [Level("2", "1")], [Level("3", "1"), Level("4", "2")], 7),
        BookDelta("acme", "X-Y", 1, NOON, [], [Level("3", "0.000")], 8, 7),
        BookDelta("acme", "X-Y", 1, NOON, [Level("1e-40", "1")], [], 9, 8),
    ]
    harness.sink.write(await harness.batch(events))
    rows = read(harness.sink.path / harness.files()[0])
    assert [(row["kind"], row["sequence"], row["previous"]) for row in rows] == [
        ("snapshot", 7, None),
        ("delta", 8, 7),
        ("delta", 9, 8),
    ]
    assert rows[0]["asks"] == [
        {"price": Decimal(3), "size": Decimal(1)},
        {"price": Decimal(4), "size": Decimal(2)},
    ]
    assert rows[1]["asks"] == [{"price": Decimal(3), "size": Decimal(0)}]
    assert rows[2]["bids"] is None
    assert json.loads(rows[2]["unfit"]) == {"bids": [["1e-40", "1"]]}


def sample(cls: type) -> Any:
    """An event with a value in every field."""
    values: dict[type, Any] = {int: 7, str: "word", bool: True, Decimal: Decimal("1.25"), DataType: DataType.TRADE}
    arguments: dict[str, Any] = {}
    for name, hint in get_type_hints(cls).items():
        fits = [kind for kind in values if hint == kind or kind in getattr(hint, "__args__", ())]
        arguments[name] = values[fits[0]] if fits else "word"
        if "Level" in str(hint):
            arguments[name] = [Level("1.5", "2")]
        if hint is Instrument:
            arguments[name] = sample(Instrument)
    arguments["symbol"] = "X-Y"
    if "received" in arguments:
        arguments |= {"exchange": "acme", "received": NOON}
    return cls(**arguments)


@pytest.mark.parametrize("cls", EVENT_TYPES, ids=lambda cls: cls.__name__)
async def test_every_field_of_every_event_type_is_stored(harness: Harness, cls: type) -> None:
    event = sample(cls)
    harness.sink.write(await harness.batch([event]))
    (path,) = harness.files()
    assert f"type={'gap' if cls is Gap else TABLES[cls].name}{os.sep}date=2026-11-22" in path
    (row,) = read(harness.sink.path / path)
    assert row["unfit"] is None
    expected = attrs.asdict(event, recurse=False)
    if cls is InstrumentUpdate:
        expected |= attrs.asdict(expected.pop("instrument"))
    for name, value in expected.items():
        if name == "exchange":
            continue
        if isinstance(value, list):
            assert row[name] == [{"price": Decimal("1.5"), "size": Decimal(2)}], name
        else:
            assert row[name] == value, name


async def test_a_repeated_batch_replaces_its_own_files(harness: Harness) -> None:
    batch = await harness.batch([trade(1), trade(2)])
    harness.sink.write(batch)
    before = harness.files()
    harness.sink.write(batch)
    assert harness.files() == before
    assert len(read(harness.sink.path / before[0])) == 2


async def test_unfinished_files_are_unseen_and_removed_at_the_next_open(harness: Harness) -> None:
    harness.sink.write(await harness.batch([trade(1)]))
    (whole,) = harness.files()
    torn = (harness.sink.path / whole).with_name(".0000000000000001-0000000000000002.parquet.part")
    torn.write_bytes(b"PAR1 half a file")
    root = harness.sink.path / "exchange=acme" / "type=trade"
    assert ds.dataset(root, partitioning="hive").count_rows() == 1
    harness.sink.open()
    assert harness.files() == [whole]


async def test_a_path_that_cannot_be_written_says_so(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="Check that it is a directory"):
        ParquetSink(ParquetSettings(path=tmp_path / "file")).open()
    batch = await harness.batch([trade(1)])
    obstacle = harness.sink.path / "exchange=acme"
    obstacle.write_text("a file where a directory has to be")
    with pytest.raises(SinkError, match="stay in the spool"):
        harness.sink.write(batch)
    obstacle.unlink()
    harness.sink.write(batch)
    assert len(harness.files()) == 1


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_directory_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(SinkError, match="Check that it is a directory"):
        ParquetSink(ParquetSettings(path=tmp_path / "below")).open()


async def test_the_entry_point_leads_here(tmp_path: Path) -> None:
    sink = create_sink("parquet", {"path": str(tmp_path), "flush_seconds": 5.0, "compression_level": 9})
    assert isinstance(sink, ParquetSink)
    assert sink.settings == ParquetSettings(path=tmp_path, flush_seconds=5.0, compression_level=9)


async def test_the_readme_reads_what_is_stored(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.sink.write(
        await harness.batch([trade(1), trade(2), trade(3, "ETH-USDT"), MarkPrice("acme", "X-Y", 1, NOON, Decimal(1))])
    )
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    harness.sink.path.rename(harness.root / "data")
    monkeypatch.chdir(harness.root)
    names: dict[str, Any] = {}
    exec(program, names)
    assert names["table"].num_rows == 3
    assert "BTC-USDT" in capsys.readouterr().out
