"""The whole road of a frame, from the simulated Template over real sockets to callbacks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from attrs import Factory, define

from tickhive import BookDelta, BookSnapshot, DataType, ExchangeCollectorConfig, ExchangeFactory, Gap, Trade
from tickhive.plugin import MarketEvent, VenueOptions
from tickhive.simulation import VenueServer
from tickhive_template.venue import SimulatedTemplate

SYMBOLS = ["BTC-USDT", "ETH-USDT"]


@define
class Run:
    """A simulated exchange, and what a collector received from it."""

    venue: SimulatedTemplate
    server: VenueServer
    events: list[MarketEvent] = Factory(list)
    news: asyncio.Event = Factory(asyncio.Event)

    def take(self, event: MarketEvent) -> None:
        """The collector's callback."""
        self.events.append(event)
        self.news.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something is so; look whenever an event came, and not for ever."""
        async with asyncio.timeout(20):
            while not reached():
                self.news.clear()
                await self.news.wait()

    def counts(self) -> Counter[tuple[str, DataType]]:
        """How many events there are, as the exchange counts them."""
        types = {Trade: DataType.TRADE, BookSnapshot: DataType.ORDERBOOK, BookDelta: DataType.ORDERBOOK}
        return Counter((event.symbol, types[type(event)]) for event in self.events if type(event) in types)

    def ids(self, symbol: str) -> list[int]:
        """The ids of a symbol's trades."""
        return [int(event.id) for event in self.events if isinstance(event, Trade) and event.symbol == symbol]

    def begun(self) -> set[str]:
        """The symbols whose book began: only then can it have a hole."""
        return {event.symbol for event in self.events if isinstance(event, BookSnapshot)}

    def gaps(self, *data_types: DataType) -> list[Gap]:
        """The holes in these kinds of data, with how they ended."""
        return [event for event in self.events if isinstance(event, Gap) and event.data_type in data_types]


@asynccontextmanager
async def collecting() -> AsyncIterator[Run]:
    """Collect trades and books of a busy market; the collector is the one that runs live, only its address differs."""
    venue = SimulatedTemplate(VenueOptions(speed=20))
    async with VenueServer(venue) as server:
        run = Run(venue, server)
        config = ExchangeCollectorConfig(
            exchange="template",
            symbols=SYMBOLS,
            data_types=["trade", "orderbook"],
            settings={"url": server.url, "rest_url": server.rest_url},
        )
        collector = ExchangeFactory.create_collector(config)
        collector.add_data_callback(None, run.take)
        await collector.start()
        try:
            yield run
        finally:
            await collector.stop()


async def test_what_is_sent_is_what_is_collected() -> None:
    async with collecting() as run:
        await run.until(lambda: all(count > 20 for count in run.counts().values()) and len(run.counts()) == 4)
        run.server.pause()
        await run.until(lambda: run.counts() == run.venue.log.sent)
        assert not run.gaps(DataType.TRADE, DataType.ORDERBOOK)


async def test_trades_that_were_missed_while_a_line_was_cut_are_fetched() -> None:
    async with collecting() as run:
        await run.until(lambda: run.begun() == set(SYMBOLS) and all(len(run.ids(symbol)) > 20 for symbol in SYMBOLS))
        run.server.refuse()
        run.server.cut()
        await asyncio.sleep(0.5)  # the market goes on without us: some fifty trades
        run.server.refuse(False)
        await run.until(lambda: {gap.symbol for gap in run.gaps(DataType.TRADE)} == set(SYMBOLS))
        assert {gap.filled for gap in run.gaps(DataType.TRADE)} == {"whole"}
        for symbol in SYMBOLS:
            ids = run.ids(symbol)
            assert sorted(ids) == list(range(min(ids), max(ids) + 1))
        await run.until(lambda: {gap.symbol for gap in run.gaps(DataType.ORDERBOOK)} == set(SYMBOLS))


async def test_a_market_that_does_not_exist_is_refused() -> None:
    venue = SimulatedTemplate(VenueOptions())
    venue.received(1, '{"op":"subscribe","id":"5","stream":"trades","market":"NOPE"}', at=1)
    [said] = venue.outgoing()
    assert '"refused","id":"5","code":"unknown_market"' in str(said)
