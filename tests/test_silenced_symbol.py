"""One symbol of fifty falls silent on a busy socket: it is named in time, the others notice nothing of the remedies.

The collector and the simulated OKX talk over real sockets, by one clock that the test moves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from attrs import define, field

from tickhive.clock import ManualClock
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.errors import BookNotLive
from tickhive.events import Gap, MarketEvent, SubscriptionUpdate, Trade
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin import VenueOptions
from tickhive.plugin.registry import default_registry
from tickhive.simulation import VenueServer

SYMBOLS = [f"C{number:02}-USDT" for number in range(50)]
SILENCED = SYMBOLS[17]
SECOND = 1_000_000_000
LEARN_SECONDS = 30.0


@define
class Desk:
    """A running collector of fifty symbols, the venue it collects from, and what it handed out."""

    collector: PluginCollector
    venue: Any
    server: VenueServer
    clock: ManualClock
    events: list[MarketEvent] = field(factory=list)

    def of(self, kind: type, symbol: str | None = None) -> list[Any]:
        """The events of a class, in the order they came."""
        return [event for event in self.events if type(event) is kind and symbol in (None, event.symbol)]

    def states(self) -> dict[str, list[str]]:
        """How every channel is said to be, as SYMBOL/DATA_TYPE."""
        found: dict[str, list[str]] = {}
        for row in self.rows():
            found.setdefault(row["state"], []).append(f"{row['symbol']}/{row['data_type']}")
        return found

    def rows(self, symbol: str | None = None) -> list[dict[str, Any]]:
        """What the status says of subscriptions."""
        rows: list[dict[str, Any]] = self.collector.get_status()["subscriptions"]
        return [row for row in rows if symbol in (None, row["symbol"])]

    async def until(self, predicate: Callable[[], object], limit_seconds: float = 60.0) -> None:
        """Let time pass until something is so; in steps that leave what was sent the time to arrive."""
        ends = self.clock.monotonic() + limit_seconds
        while not predicate():
            assert self.clock.monotonic() < ends, f"it did not happen within {limit_seconds:g} s"
            await self.clock.advance(0.05)


@pytest.fixture
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    data_types: Sequence[str] = request.param
    stack = default_registry().load("okx")
    venue, clock = stack.call.venue(options=VenueOptions(seed=5, symbols=SYMBOLS)), ManualClock()
    async with VenueServer(venue, clock) as server:
        settings = stack.call.settings()(url=server.url, rest_url=server.rest_url, instrument_types=("SPOT",))
        config = ExchangeCollectorConfig(exchange="okx", symbols=SYMBOLS, data_types=data_types)
        collector = PluginCollector(stack, config, settings, clock=clock)
        desk = Desk(collector, venue, server, clock)
        collector.add_data_callback(None, desk.events.append)
        await collector.start()
        await clock.run_until(lambda: set(desk.states()) == {"receiving"}, io_seconds=0.002)
        yield desk
        await collector.stop()


@pytest.mark.parametrize("desk", [("trade",), ("trade", "orderbook")], indirect=True, ids=["trades", "with books"])
async def test_a_symbol_that_falls_silent_is_named_in_time_and_no_other_suffers(desk: Desk) -> None:
    kinds = len(desk.rows(SILENCED))
    await desk.clock.advance(LEARN_SECONDS)
    assert {"receiving"} == set(desk.states())
    intervals = [row["interval_seconds"] for row in desk.rows(SILENCED)]
    assert None not in intervals, "the cadence was not learned"

    desk.venue.faults.silent.add(desk.venue.native(SILENCED))
    silenced_at = desk.clock.time_ns()
    await desk.until(lambda: len(desk.states().get("silent", ())) == kinds)
    silent = [event for event in desk.of(SubscriptionUpdate) if event.state == "silent"]
    assert {event.symbol for event in silent} == {SILENCED}
    for row in desk.rows(SILENCED):
        (told,) = [event for event in silent if event.data_type.value == row["data_type"]]
        assert (told.received - silenced_at) / SECOND <= max(5.0, 10.0 * row["interval_seconds"])
        assert "no data for" in row["reason"]
    assert any(SILENCED in reason for reason in desk.collector.get_health_status()["reasons"])
    if kinds > 1:
        with pytest.raises(BookNotLive):
            desk.collector.book(SILENCED).best_bid()

    # Asking again does not help, a fresh socket does not help: that is reported.
    await desk.until(lambda: all("did not help" in row["reason"] for row in desk.rows(SILENCED)), 120)
    assert sum(row["rollovers"] for row in desk.collector.get_status()["connections"]) >= 1
    assert desk.states()["silent"] == [f"{SILENCED}/{row['data_type']}" for row in desk.rows(SILENCED)]

    desk.venue.faults.silent.clear()
    await desk.until(lambda: set(desk.states()) == {"receiving"})
    assert not any(SILENCED in reason for reason in desk.collector.get_health_status()["reasons"])
    await desk.clock.run_until(lambda: not refilling(desk), io_seconds=0.002)

    others = [symbol for symbol in SYMBOLS if symbol != SILENCED]
    updates = [event for event in desk.of(SubscriptionUpdate) if event.received >= silenced_at]
    assert {event.symbol for event in updates} == {SILENCED}
    assert {event.symbol for event in desk.of(Gap)} <= {SILENCED}
    assert desk.collector.get_status()["statistics"]["resyncs"] <= kinds
    for symbol in (*others, SILENCED):
        ids = [
            number
            for trade in desk.of(Trade, symbol)
            for number in range(int(trade.id) - trade.count + 1, int(trade.id) + 1)
        ]
        assert len(set(ids)) == len(ids), f"{symbol}: delivered twice"
        assert len(ids) == max(ids) - min(ids) + 1, f"{symbol}: lost"
        assert symbol == SILENCED or ids == sorted(ids), f"{symbol}: out of order"


def refilling(desk: Desk) -> bool:
    feed = desk.collector._feed
    assert feed is not None
    return bool(feed.holes) or any(session.refill.holes for session in feed.sessions)
