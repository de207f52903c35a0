"""The event loop of the command line: Python's own, or uvloop where the configuration asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

from tickhive.errors import ConfigurationError

Result = TypeVar("Result")


def run_on(event_loop: Literal["asyncio", "uvloop"], main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end. ConfigurationError when uvloop is asked for and not installed."""
    if event_loop == "asyncio":
        return asyncio.run(main)
    try:
        import uvloop
    except ImportError:
        main.close()
        raise ConfigurationError(
            "service.event_loop: uvloop is not installed; pip install 'tickhive[uvloop]' (not on Windows)"
        ) from None
    return uvloop.run(main)
