"""Sets logging up for the command line: everything to stderr, every line through the redactor.

Only the command line does this; used as a library, tickhive leaves logging to the application.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import TextIO, cast

import structlog

from tickhive.logs import ROOT
from tickhive.redaction import redact_processor


class _Stderr(io.TextIOBase):
    """Whatever ``sys.stderr`` is at the moment of writing: a live table on the terminal takes its place meanwhile."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def configure_logging(level: str = "info", *, as_json: bool = False) -> None:
    """Send log lines of this level and above to stderr, as text for people or as one JSON object each."""
    target = cast(TextIO, _Stderr())
    renderer: structlog.typing.Processor
    if as_json:
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=target.isatty(), pad_event_to=0)
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                _fields_of_record,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact_processor,
                renderer,
            ]
        )
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    # Libraries below us: their warnings are worth a line, their chatter is not.
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger(ROOT).setLevel(threshold)
    # Plugins that log with structlog directly: unconfigured, it would print into our output.
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_names: logging.getLogger(ROOT),
        cache_logger_on_first_use=False,
    )


def _fields_of_record(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put the fields of our own lines back where they were before they became a message."""
    record: logging.LogRecord = event["_record"]
    event.update(getattr(record, "tickhive", {}))
    return event
