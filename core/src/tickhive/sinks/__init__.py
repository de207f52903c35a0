"""Stores for events: what a sink implements, how it is found and who drives it."""

from tickhive.sinks.base import Sink, SinkBatch, SinkSettings
from tickhive.sinks.registry import create_sink, load_sink, sink_types
from tickhive.sinks.runner import SinkRunner
from tickhive.spool import FlushPolicy

__all__ = [
    "FlushPolicy",
    "Sink",
    "SinkBatch",
    "SinkRunner",
    "SinkSettings",
    "create_sink",
    "load_sink",
    "sink_types",
]
