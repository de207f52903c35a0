"""Reads stored files back: how much there is of what, and one example of a question to ask them.

Any tool that reads partitioned Parquet may be used instead; nothing here knows more than the files say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_PATTERN = "exchange=*/type={}/date=*/*.parquet"


def files(path: Path | str, data_type: str = "*") -> list[Path]:
    """The complete files below a sink's path, all or those of one data type; files being written are not among them."""
    return sorted(file for file in Path(path).glob(_PATTERN.format(data_type)) if not file.name.startswith("."))


def stored(path: Path | str) -> dict[str, dict[str, int]]:
    """By data type: ``rows``, ``files`` and ``bytes``. Reads no more than the files' footers."""
    found: dict[str, dict[str, int]] = {}
    for file in files(path):
        data_type = file.parent.parent.name.removeprefix("type=")
        figures = found.setdefault(data_type, {"rows": 0, "files": 0, "bytes": 0})
        figures["rows"] += pq.read_metadata(file).num_rows
        figures["files"] += 1
        figures["bytes"] += file.stat().st_size
    return found


def read(path: Path | str, data_type: str, columns: list[str] | None = None) -> pa.Table:
    """The rows of one data type in one table, in the order they were collected; None takes all columns."""
    wanted = None if columns is None else list(dict.fromkeys(["number", *columns]))
    tables = [pq.ParquetFile(file).read(columns=wanted) for file in files(path, data_type)]
    if not tables:
        raise FileNotFoundError(f"no files of type {data_type!r} below {path}")
    return pa.concat_tables(tables).sort_by("number")


def example(path: Path | str) -> dict[str, Any] | None:
    """Trades, prices and volume per symbol, as ``title``, ``columns`` and ``rows``; None where no trade is stored."""
    if not files(path, "trade"):
        return None
    trades = read(path, "trade", ["symbol", "price", "size"])
    summary = trades.group_by("symbol", use_threads=False).aggregate(
        [("price", "count"), ("price", "min"), ("price", "max"), ("size", "sum")]
    )
    summary = summary.take(pc.sort_indices(summary, [("symbol", "ascending")]))
    columns = ["symbol", "price_count", "price_min", "price_max", "size_sum"]
    return {
        "title": f"Read back from {path}: trades per symbol",
        "columns": ["symbol", "trades", "lowest price", "highest price", "volume"],
        "rows": [[_plain(row[name]) for name in columns] for row in summary.select(columns).to_pylist()],
    }


def _plain(value: Any) -> str:
    """A value without the zeros its column's scale appends."""
    text = f"{value:f}" if hasattr(value, "normalize") else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
