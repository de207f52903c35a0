"""What middleware and filters cost, and what it costs to be able to have them: nothing.

    .venv/bin/python benchmarks/middleware.py [--rounds N]

A session reads the same frame of one trade over and over and its events go to one callback; no socket, no event loop.
Each figure is the median over the rounds of the cheapest slice of 100 frames in that round, in µs of CPU per frame; the
variants alternate within a round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs
import msgspec

from tickhive import Channel, DataType, ExchangeCollectorConfig, Trade
from tickhive.channels import InstrumentTable
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.plugin import Accepted, Dial, ExchangeSettings, Request, hookimpl
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import Feed, Session

FRAMES = 100  # as many as the core hands on at a time
REPEATS = 200


class Message(msgspec.Struct, gc=False):
    """One trade as this venue sends it."""

    m: str
    i: str
    p: Decimal
    q: Decimal
    t: int


decode = msgspec.json.Decoder(Message).decode


class Acme:
    """The plugin that is measured: it takes all arguments of ``parse``, in order, as a fast one does."""

    @hookimpl
    def connect(self, channels: Sequence[Channel]) -> Sequence[Dial]:
        """One socket."""
        return [Dial("main", ["ws://127.0.0.1:1"], channels)]

    @hookimpl
    def subscribe(self, session: Any, channels: Sequence[Channel]) -> Sequence[Request]:
        """One request for all."""
        return [Request("on", channels, session.next_id())]

    @hookimpl
    def parse(self, session: Any, frame: bytes, at: int) -> Sequence[Any]:
        """One trade."""
        if frame == b"on":
            return (Accepted(id="1"),)
        m = decode(frame)
        return (Trade("acme", m.m, m.t * 1_000_000, at, m.i, "buy", m.p, m.q),)


class Wrapper:
    """Counts frames."""

    frames = 0

    @hookimpl(wrapper=True)
    def parse(self) -> Any:
        """Count."""
        self.frames += 1
        return (yield)


class Elsewhere:
    """Wraps a hook that is off the hot road."""

    @hookimpl(wrapper=True)
    def connect(self) -> Any:
        """Pass on."""
        return (yield)


def same(event: Any) -> Any:
    """A filter that looks and hands on."""
    return event


def renamed(event: Any) -> Any:
    """A filter that hands on a changed copy."""
    return attrs.evolve(event, symbol="X-Y")


def road(middleware: Sequence[object] = (), filters: Sequence[tuple[Any, ...]] = ()) -> Callable[[], int]:
    """A function that takes one slice of frames from the read to the callback and answers the ns of CPU it took."""
    stack = ExchangeStack.from_plugin("acme", Acme(), middleware)
    config = ExchangeCollectorConfig(exchange="acme", symbol="A-B", data_types=["trade"])
    collector = PluginCollector(stack, config, ExchangeSettings())
    for function, *types in filters:
        collector.add_filter(function, *types)
    collector.add_data_callback(DataType.TRADE, lambda trade: None)
    channel = Channel("A-B", "A-B", DataType.TRADE)
    feed = Feed(stack, "acme", ExchangeSettings(), InstrumentTable("acme"))
    session = Session(stack, Dial("main", ["ws://127.0.0.1:1"], [channel]), feed)
    session.opened(1)
    session.receive([b"on"], 2)
    numbers = iter(range(1, 10**9))

    def once() -> int:
        frames = [b'{"m":"A-B","i":"%d","p":"50000.1","q":"0.25","t":1795368000000}' % next(numbers) for _ in _SLICE]
        began = time.thread_time_ns()
        collector.process(session, frames, 3)
        return time.thread_time_ns() - began

    return once


_SLICE = range(FRAMES)

VARIANTS: dict[str, Callable[[], Callable[[], int]]] = {
    "nothing stacked": road,
    "a wrapper on another hook": lambda: road([Elsewhere()]),
    "one wrapper on parse": lambda: road([Wrapper()]),
    "two wrappers on parse": lambda: road([Wrapper(), Wrapper()]),
    "one filter of another type": lambda: road(filters=[(same, "quote")]),
    "one filter that hands on": lambda: road(filters=[(same, "trade")]),
    "one filter that changes": lambda: road(filters=[(renamed, "trade")]),
    "two filters that hand on": lambda: road(filters=[(same, "trade"), (same, "trade")]),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    roads = {name: make() for name, make in VARIANTS.items()}
    taken: dict[str, list[float]] = {name: [] for name in roads}
    for _ in range(rounds):
        for name, once in roads.items():
            taken[name].append(min(once() for _ in range(REPEATS)) / 1000 / FRAMES)
    costs = {name: statistics.median(each) for name, each in taken.items()}
    bare = costs["nothing stacked"]
    print(f"{'':30}{'CPU µs/frame':>14}{'more':>10}")
    for name, cost in costs.items():
        print(f"{name:30}{cost:14.2f}{cost - bare:+10.2f}")


if __name__ == "__main__":
    main()
