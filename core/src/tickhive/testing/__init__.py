"""What tests of plugins and applications need: ``ExchangeSuite``, ``frames_of``, ``capture_logs`` and ``ManualClock``.

``ExchangeSuite`` needs pytest: ``pip install tickhive[testing]``. Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickhive.clock import ManualClock as ManualClock
    from tickhive.testing.frames import frames_of as frames_of
    from tickhive.testing.logs import capture_logs as capture_logs
    from tickhive.testing.suite import ExchangeSuite as ExchangeSuite

__all__ = ["ExchangeSuite", "ManualClock", "capture_logs", "frames_of"]

_HOMES = {
    "ExchangeSuite": "tickhive.testing.suite",
    "ManualClock": "tickhive.clock",
    "capture_logs": "tickhive.testing.logs",
    "frames_of": "tickhive.testing.frames",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
