"""Turns the operating system's wishes that the process ends into calls in the event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_signals(on_signal: Callable[[str], object]) -> Iterator[None]:
    """Call ``on_signal(name)`` in the running loop for SIGTERM, SIGINT and, on Windows, SIGBREAK (Ctrl-Break).

    The handlers that were there before come back at the end. Only the main thread can be given signals (ValueError).
    """
    loop = asyncio.get_running_loop()
    wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)]
    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in wanted}
    added: list[signal.Signals] = []
    try:
        for number in wanted:
            try:
                loop.add_signal_handler(number, on_signal, number.name)
                added.append(number)
            except NotImplementedError:
                signal.signal(number, _in_loop(loop, on_signal))
        yield
    finally:
        for number in added:
            loop.remove_signal_handler(number)
        for number, handler in before.items():
            # None: a handler that was not set from Python, which cannot be set again from here.
            if handler is not None:
                signal.signal(number, handler)


def _in_loop(
    loop: asyncio.AbstractEventLoop, on_signal: Callable[[str], object]
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, _: FrameType | None) -> None:
        loop.call_soon_threadsafe(on_signal, signal.Signals(number).name)

    return handle
