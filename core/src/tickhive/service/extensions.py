"""What ``[[middleware]]`` and ``[[filters]]`` name, ``package.module:name``: imported and put to use."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tickhive.collector.filters import EventFilter
from tickhive.errors import ConfigurationError
from tickhive.logs import get_logger
from tickhive.plugin.validation import PluginFaults, read_api_version, read_middleware
from tickhive.redaction import _sanitize_error
from tickhive.service.config import FilterConfig, MiddlewareConfig

if TYPE_CHECKING:
    from tickhive.collector.base import BaseDataCollector

_log = get_logger("tickhive.service")

_NAME = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*)(:(?P<object>[^\W\d]\w*(\.[^\W\d]\w*)*))?")


class Extensions:
    """What the configuration adds to the way of the data, imported; ConfigurationError lists everything that cannot be.

    All tables take effect in the order they are written.
    """

    def __init__(self, middleware: Sequence[MiddlewareConfig], filters: Sequence[FilterConfig]) -> None:
        problems: list[str] = []
        self._middleware = [
            (each, _find(each.use, f"middleware[{index}].use", _check_middleware, problems))
            for index, each in enumerate(middleware)
        ]
        self._filters = [
            (each, _find(each.use, f"filters[{index}].use", _check_filter, problems))
            for index, each in enumerate(filters)
        ]
        if problems:
            raise ConfigurationError(problems)

    def middleware(self, exchange: str, *, by_name: bool = False) -> list[Any]:
        """The wrappers for this exchange, the last one the outermost; ``by_name`` without those that are for all."""
        everywhere = () if by_name else (exchange,)
        return [wrapper for each, wrapper in self._middleware if exchange in (each.exchanges or everywhere)]

    def add_filters(self, collector: BaseDataCollector) -> None:
        """Add the filters for this collector's exchange."""
        for each, function in self._filters:
            if collector.exchange in (each.exchanges or (collector.exchange,)):
                collector.add_filter(function, *each.data_types)


def _check_middleware(wrapper: Any) -> None:
    try:
        read_middleware(wrapper, read_api_version(wrapper))
    except PluginFaults as faults:
        raise ConfigurationError(f"it cannot be stacked: {faults.cause}. {faults.remedy}") from None


def _check_filter(function: Any) -> None:
    EventFilter(function, (), _log.warning)


def _find(name: str, path: str, check: Callable[[Any], None], problems: list[str]) -> Any:
    """The object of this name, its module imported; None, and the problem noted, where there is none of use."""
    match = _NAME.fullmatch(name)
    if match is None:
        problems.append(f"{path}: expected package.module:name, got {name!r:.80}")
        return None
    try:
        found: Any = importlib.import_module(match["module"])
        for part in (match["object"] or "").split("."):
            found = getattr(found, part) if part else found
        check(found)
    except KeyboardInterrupt:
        raise
    except ConfigurationError as error:
        problems += [f"{path}: {name}: {problem}" for problem in error.problems]
    except ModuleNotFoundError as error:
        problems.append(f"{path}: there is no module {error.name!r} here; install it, or put its folder on PYTHONPATH")
    except AttributeError as error:
        problems.append(f"{path}: {name} cannot be had: {error}")
    except BaseException as error:
        problems.append(f"{path}: importing {match['module']} failed: {_sanitize_error(error)}")
    else:
        return found
    return None
