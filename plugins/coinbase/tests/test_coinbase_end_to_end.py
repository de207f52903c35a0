"""Both exchanges end to end: the collector that runs live, against the simulated venues over real sockets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tickhive import ExchangeCollectorConfig, ExchangeFactory
from tickhive.channels import DataType
from tickhive.events import DATA_TYPE_OF, BookDelta, BookSnapshot, Gap, MarketEvent, Trade
from tickhive.plugin.venue import VenueOptions
from tickhive.simulation import VenueServer
from tickhive_coinbase.simulated.advanced import CoinbaseVenue
from tickhive_coinbase.simulated.exchange import CoinbaseExchangeVenue

VENUES: dict[str, Callable[..., Any]] = {"coinbase": CoinbaseVenue, "coinbase-exchange": CoinbaseExchangeVenue}
TYPES = ["trade", "orderbook", "ticker", "quote"]
SYMBOLS = ["BTC-USD", "ETH-USD"]


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is awaited has no event of its own
            await asyncio.sleep(0.02)


def collector(server: VenueServer, exchange: str, symbols: list[str], types: list[str]) -> tuple[Any, list[Any]]:
    settings = {"url": server.url, "rest_url": server.rest_url}
    config = ExchangeCollectorConfig(exchange=exchange, symbols=symbols, data_types=types, settings=settings)
    collecting = ExchangeFactory.create_collector(config)
    events: list[Any] = []
    for data_type in types:
        collecting.add_data_callback(data_type.partition(":")[0], events.append)
    return collecting, events


def counted(events: list[MarketEvent]) -> dict[tuple[str, DataType], int]:
    return Counter((event.symbol, DATA_TYPE_OF[type(event)]) for event in events if not isinstance(event, Gap))


def sent(venue: Any, types: list[str]) -> dict[tuple[str, DataType], int]:
    return {key: count for key, count in venue.log.sent.items() if key[1] in {each.partition(":")[0] for each in types}}


@pytest.mark.parametrize("exchange", VENUES)
async def test_what_is_sent_is_collected_and_books_are_the_venues(exchange: str) -> None:
    venue = VENUES[exchange](VenueOptions(seed=3, symbols=SYMBOLS, speed=5.0))
    async with VenueServer(venue) as server:
        collecting, events = collector(server, exchange, SYMBOLS, TYPES)
        await collecting.start()
        try:
            await until(lambda: len(counted(events)) == 8 and len(events) > 600)
            server.pause()
            await until(lambda: counted(events) == sent(venue, TYPES))
            # What the last batch did not tell yet is told before the books are compared.
            for symbol in SYMBOLS:
                desk, book = venue.desk(symbol), collecting.book(symbol)
                bids, asks = desk.whole()
                pending = [level for side in desk.rows(venue.book_channels[0]) for level in side]
                changed = {str(Decimal(price)) for price, _ in pending}
                for ours, theirs in zip(book.top(1_000), (bids, asks), strict=True):
                    left = {price: size for price, size in ours if str(price) not in changed}
                    right = {
                        Decimal(price): Decimal(size) for price, size in theirs if str(Decimal(price)) not in changed
                    }
                    assert left == right
                    assert len(left) > 300
        finally:
            await collecting.stop()
    assert venue.violations == []
    assert not [event for event in events if isinstance(event, Gap)]


@pytest.mark.parametrize("exchange", VENUES)
async def test_a_cut_is_told_and_refilled(exchange: str) -> None:
    venue = VENUES[exchange](VenueOptions(seed=4, symbols=["BTC-USD"], speed=10.0))
    async with VenueServer(venue) as server:
        collecting, events = collector(server, exchange, ["BTC-USD"], ["trade", "orderbook"])
        await collecting.start()
        try:
            await until(lambda: sum(isinstance(event, Trade) for event in events) > 60)
            stock = venue.desk("BTC-USD").stock
            before = stock.trade_id
            server.refuse()
            server.cut()
            # More than what a subscription begins with.
            await until(lambda: stock.trade_id > before + 40)
            server.refuse(False)
            await until(lambda: any(isinstance(e, Gap) and e.data_type is DataType.TRADE for e in events))
            await until(lambda: sum(isinstance(event, BookSnapshot) for event in events) >= 2)
        finally:
            await collecting.stop()
    trades = [event for event in events if isinstance(event, Trade)]
    gap = next(event for event in events if isinstance(event, Gap) and event.data_type is DataType.TRADE)
    assert gap.filled == "whole"
    ids = sorted(int(trade.id) for trade in trades)
    assert ids == list(range(ids[0], ids[-1] + 1))
    late = [int(trade.id) for trade in trades if trade.late]
    assert [int(gap.first_id or 0), int(gap.last_id or 0)] == [min(late), max(late)]
    assert any(isinstance(event, Gap) and event.data_type is DataType.ORDERBOOK for event in events)
    assert venue.violations == []


async def test_a_lost_frame_of_a_numbered_socket_breaks_its_books_and_they_come_right() -> None:
    venue = CoinbaseVenue(VenueOptions(seed=5, symbols=SYMBOLS))
    async with VenueServer(venue) as server:
        collecting, events = collector(server, "coinbase", SYMBOLS, ["orderbook"])
        await collecting.start()
        try:
            await until(lambda: sum(isinstance(event, BookDelta) for event in events) > 10)
            venue.lose = 1
            await until(lambda: len({event.symbol for event in events if isinstance(event, Gap)}) == 2)
            await until(lambda: sum(isinstance(event, BookSnapshot) for event in events) == 4)
            await until(lambda: all(collecting.book(symbol).live for symbol in SYMBOLS))
        finally:
            await collecting.stop()
    causes = {event.cause for event in events if isinstance(event, Gap)}
    assert all("frames of this socket were lost" in cause for cause in causes)
    assert venue.violations == []


async def test_a_product_that_shares_a_market_is_received_under_its_own_symbol() -> None:
    venue = CoinbaseVenue(VenueOptions(seed=6, symbols=["BTC-USDC", "ETH-USD"]))
    async with VenueServer(venue) as server:
        symbols = ["BTC-USDC", "BTC-USD"]
        collecting, events = collector(server, "coinbase", symbols, ["trade", "orderbook"])
        await collecting.start()
        try:
            await until(lambda: len(counted(events)) == 4)
            server.pause()
            await until(lambda: collecting.book("BTC-USDC").live and collecting.book("BTC-USD").live)
            assert collecting.book("BTC-USDC").top(5) == collecting.book("BTC-USD").top(5)
        finally:
            await collecting.stop()
    ids = {symbol: [e.id for e in events if isinstance(e, Trade) and e.symbol == symbol] for symbol in symbols}
    assert ids["BTC-USDC"] == ids["BTC-USD"]
    assert len(set(ids["BTC-USD"])) == len(ids["BTC-USD"])
    assert venue.violations == []


@pytest.mark.parametrize("exchange", VENUES)
async def test_a_product_that_does_not_exist_costs_no_other(exchange: str) -> None:
    venue = VENUES[exchange](VenueOptions(seed=7, symbols=SYMBOLS))
    async with VenueServer(venue) as server:
        collecting, events = collector(server, exchange, [*SYMBOLS, "FOO-USD"], ["trade"])
        await collecting.start()
        try:
            await until(lambda: len(counted(events)) == 2)
        finally:
            await collecting.stop()
    assert {event.symbol for event in events} == set(SYMBOLS)


@pytest.mark.parametrize("data_type", ["funding_rate", "open_interest"])
async def test_what_exists_only_by_rest_is_asked_for(data_type: str) -> None:
    venue = CoinbaseVenue(VenueOptions(symbols=["BTC-USDC-PERP"]))
    async with VenueServer(venue) as server:
        collecting, events = collector(server, "coinbase", ["BTC-USDC-PERP"], [data_type])
        await collecting.start()
        try:
            await until(lambda: bool(events))
        finally:
            await collecting.stop()
    assert {(event.symbol, DATA_TYPE_OF[type(event)].value) for event in events} == {("BTC-USDC-PERP", data_type)}
