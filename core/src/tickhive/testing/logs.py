"""What tickhive logged while a test ran, as dictionaries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tickhive.logs import ROOT


class _Collector(logging.Handler):
    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "tickhive", {"event": record.getMessage()})
        self._lines.append({**fields, "log_level": record.levelname.lower(), "logger": record.name})


@contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """Collect every line of the library inside the block, whatever its level.

    Each is a dictionary: ``event``, its fields, ``log_level`` and ``logger``.

    >>> from tickhive.logs import get_logger
    >>> with capture_logs() as lines:
    ...     get_logger("tickhive.example").info("connected", host="example.org")
    >>> lines
    [{'event': 'connected', 'host': 'example.org', 'log_level': 'info', 'logger': 'tickhive.example'}]
    """
    lines: list[dict[str, Any]] = []
    handler, root = _Collector(lines), logging.getLogger(ROOT)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
