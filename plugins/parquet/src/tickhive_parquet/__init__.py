"""Sorted, compressed, exactly-once Parquet files for tickhive."""

from tickhive_parquet.sink import ParquetSettings, ParquetSink

__all__ = ["ParquetSettings", "ParquetSink"]
