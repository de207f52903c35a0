"""Counts messages in a client under test and measures what they cost; the same for every client.

Standard library only. The first tenth is warm-up. CPU time is the whole process's (``time.process_time``), so the event
loop, the library, the parsing and the callback are all in it.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Meter:
    """Call ``count`` with every message, or ``count_many`` with a number; ``on_end`` runs after the last."""

    def __init__(self, total: int, on_end: Callable[[], None], latencies: str | None = None) -> None:
        self.total = total
        self.seen = 0
        self.extra: dict[str, object] = {}
        self._start_at = total // 10
        self._mark = self._start_at
        self._on_end = on_end
        self._latencies = latencies
        self._times = array.array("q")
        self._cpu = self._wall = 0.0
        self.cpu_us = self.wall_us = 0.0
        if latencies:
            self.count = self._count_with_time  # type: ignore[method-assign]

    def count(self, _message: object = None) -> None:
        """Note one message that reached the end of the road."""
        self.seen += 1
        if self.seen == self._mark:
            self._at_mark()

    def count_many(self, messages: int) -> None:
        """Note several at once."""
        self.seen += messages
        if self.seen >= self._mark:
            self._at_mark()

    def _at_mark(self) -> None:
        if self._mark == self.total:
            self._mark = sys.maxsize
            self._finish()
        else:
            self._start_at, self._mark = self.seen, self.total
            self._cpu, self._wall = time.process_time(), time.perf_counter()

    def _count_with_time(self, message: object = None) -> None:
        self._times.append(time.time_ns())
        Meter.count(self, message)

    def _finish(self) -> None:
        measured = self.seen - self._start_at
        self.cpu_us = (time.process_time() - self._cpu) / measured * 1e6
        self.wall_us = (time.perf_counter() - self._wall) / measured * 1e6
        if self._latencies:
            Path(self._latencies).write_bytes(self._times.tobytes())
        self._on_end()

    def report(self) -> None:
        """Print the figures as one JSON line."""
        figures = {"messages": self.seen, "cpu_us": self.cpu_us, "wall_us": self.wall_us, "rss_mb": rss_mb()}
        print(json.dumps({**figures, **self.extra}), flush=True)


def rss_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes); Linux only, 0 elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def options(description: str | None) -> argparse.Namespace:
    """The arguments every client takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("scenario")
    parser.add_argument("messages", type=int)
    parser.add_argument("port", type=int)
    parser.add_argument("--core", type=int)
    parser.add_argument("--checksums", action="store_true")
    parser.add_argument("--digest", action="store_true", help="hash every payload instead of measuring")
    parser.add_argument("--latencies", help="where to write the arrival times")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--symbols", type=int, default=100)
    chosen = parser.parse_args()
    if chosen.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {chosen.core})
    return chosen
