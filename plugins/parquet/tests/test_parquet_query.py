"""What was stored is read back: counted from the footers, and asked one question."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickhive_parquet import query


def store(root: Path, data_type: str, name: str, rows: list[tuple[int, str, str, str]]) -> None:
    folder = root / "exchange=acme" / f"type={data_type}" / "date=2026-11-22"
    folder.mkdir(parents=True, exist_ok=True)
    scaled = pa.decimal128(38, 18)
    table = pa.table(
        {
            "number": pa.array([row[0] for row in rows], pa.int64()),
            "symbol": pa.array([row[1] for row in rows]),
            "price": pa.array([Decimal(row[2]) for row in rows], scaled),
            "size": pa.array([Decimal(row[3]) for row in rows], scaled),
        }
    )
    pq.write_table(table, folder / name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "type=decoy"
    store(root, "trade", "2-3.parquet", [(3, "A-B", "11.5", "1"), (2, "C-D", "100", "0.25")])
    store(root, "trade", "1-1.parquet", [(1, "A-B", "10", "2.5")])
    store(root, "ticker", "1-1.parquet", [(4, "A-B", "1", "1")])
    store(root, "trade", ".9-9.parquet.part", [(9, "A-B", "1", "1")])
    return root


def test_what_is_stored(root: Path) -> None:
    found = query.stored(root)
    assert {name: (figures["rows"], figures["files"]) for name, figures in found.items()} == {
        "ticker": (1, 1),
        "trade": (3, 2),
    }
    assert all(figures["bytes"] > 0 for figures in found.values())


def test_rows_come_in_the_order_they_were_collected(root: Path) -> None:
    assert query.read(root, "trade")["number"].to_pylist() == [1, 2, 3]
    assert query.read(root, "trade", ["symbol"]).column_names == ["number", "symbol"]
    with pytest.raises(FileNotFoundError, match="candle"):
        query.read(root, "candle")


def test_the_example(root: Path, tmp_path: Path) -> None:
    answer = query.example(root)
    assert answer is not None
    assert answer["rows"] == [["A-B", "2", "10", "11.5", "3.5"], ["C-D", "1", "100", "100", "0.25"]]
    assert len(answer["columns"]) == 5
    assert query.example(tmp_path / "empty") is None
