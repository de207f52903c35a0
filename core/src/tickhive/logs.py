"""Where the library's log lines go: to the standard loggers under ``tickhive``, redacted, and nowhere by itself.

A library never configures logging. An application hears tickhive by configuring ``logging`` as for any other library;
without that, only warnings and worse appear, on stderr. Every record's message reads ``what happened key=value ...``,
and the attribute ``tickhive`` of the record holds the same as a dictionary, for formatters that want structure.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

ROOT = "tickhive"


def get_logger(name: str) -> Any:
    """A structlog logger for ``name`` (``tickhive.collector``); ``bind`` it to what all its lines are about."""
    import structlog

    from tickhive.redaction import redact_processor

    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, redact_processor, _to_record],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _to_record(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """The arguments of the standard logger's method for one line."""
    passed = {name: event.pop(name) for name in ("exc_info", "stack_info", "stacklevel") if name in event}
    fields = dict(event)
    text = str(fields.pop("event", ""))
    shown = " ".join(f"{key}={value}" for key, value in fields.items())
    return (f"{text} {shown}".rstrip(),), {**passed, "extra": {"tickhive": {"event": text, **fields}}}
