"""What the manager says: every line redacted, at the level its method names, and never a reason to fail."""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, TypeAlias

from tickhive.redaction import _sanitize_error

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]


class ManagerLogger:
    """Log lines of the manager.

    ``message`` may be anything; an exception is described, never printed raw. ``exc_info`` true adds the exception
    being handled (or the one given): its redacted text as ``error`` and the places it came through as ``traceback``,
    without the raw exception text that a traceback usually ends with. Nothing passed here changes the level or raises.
    """

    def __init__(self, logger: Any = None) -> None:
        self._bound = logger

    def _log_debug(self, message: object, exc_info: object = False) -> None:
        """Log at DEBUG."""
        self._log("debug", message, exc_info)

    def _log_info(self, message: object, exc_info: object = False) -> None:
        """Log at INFO."""
        self._log("info", message, exc_info)

    def _log_warning(self, message: object, exc_info: object = False) -> None:
        """Log at WARNING."""
        self._log("warning", message, exc_info)

    def _log_error(self, message: object, exc_info: object = True) -> None:
        """Log at ERROR."""
        self._log("error", message, exc_info)

    def _log_critical(self, message: object, exc_info: object = True) -> None:
        """Log at CRITICAL."""
        self._log("critical", message, exc_info)

    def _log(self, level: Level, message: object, exc_info: object) -> None:
        # A log handler that raises must not take the collectors with it.
        with suppress(Exception):
            fields: dict[str, str] = {}
            error = _exception(exc_info)
            if error is not None:
                fields["error"] = _sanitize_error(error)
                fields["traceback"] = _places(error.__traceback__)
            getattr(self._logger(), level)(_text(message), **fields)

    def _logger(self) -> Any:
        if self._bound is None:
            from tickhive.logs import get_logger

            self._bound = get_logger("tickhive.manager")
        return self._bound


def _text(message: object) -> str:
    if isinstance(message, BaseException):
        return _sanitize_error(message)
    try:
        return _sanitize_error(str(message))
    except Exception:
        return f"(a {type(message).__name__} that cannot be shown)"


def _exception(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return next((part for part in exc_info if isinstance(part, BaseException)), None)
    return sys.exc_info()[1] if exc_info else None


def _places(trace: TracebackType | None) -> str:
    return " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace))
