"""Patterns against the simulated OKX over real sockets: what is listed is collected, what is delisted is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tickhive import Channel, DataType, ExchangeCollectorConfig, ExchangeFactory
from tickhive.events import Gap, InstrumentUpdate, MarketEvent
from tickhive.plugin.venue import VenueOptions
from tickhive.simulation import VenueServer
from tickhive_okx.venue import OKXVenue

SYMBOLS = ["BTC-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP", "BTC-USD-PERP"]


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is awaited has no event of its own
            await asyncio.sleep(0.02)


def collector(server: VenueServer, types: list[str]) -> Any:
    config = ExchangeCollectorConfig(
        exchange="okx",
        symbols=["*-USDT-PERP"],
        data_types=types,
        settings={"url": server.url, "rest_url": server.rest_url},
    )
    return ExchangeFactory.create_collector(config)


def states(collecting: Any) -> dict[str, str]:
    return {each["symbol"]: each["state"] for each in collecting.get_status()["subscriptions"] if each["symbol"] != "*"}


@pytest.mark.parametrize("types", [["trade"], ["trade", "instrument"]], ids=["silently", "told"])
async def test_a_listing_and_a_delisting(types: list[str]) -> None:
    venue = OKXVenue(VenueOptions(symbols=SYMBOLS))
    async with VenueServer(venue) as server:
        collecting = collector(server, types)
        events: list[MarketEvent] = []
        collecting.add_data_callback(None, events.append)

        def traded(symbol: str) -> bool:
            return any(event.symbol == symbol and type(event).__name__ == "Trade" for event in events)

        await collecting.start()
        try:
            await until(lambda: traded("BTC-USDT-PERP") and traded("ETH-USDT-PERP"))
            assert set(states(collecting)) == {"BTC-USDT-PERP", "ETH-USDT-PERP"}
            venue.list_product("SOL-USDT-PERP")
            venue.list_product("SOL-USD-PERP")
            await until(lambda: traded("SOL-USDT-PERP"))
            venue.delist("ETH-USDT-PERP")
            await until(lambda: "ETH-USDT-PERP" not in states(collecting))
            count = len(events)
            await until(lambda: {e.symbol for e in events[count:]} >= {"BTC-USDT-PERP", "SOL-USDT-PERP"})
            status = collecting.get_status()
            assert set(states(collecting)) == {"BTC-USDT-PERP", "SOL-USDT-PERP"}
            assert status["health"]["healthy"], status["health"]
            assert [link["connects"] for link in status["connections"]] == [1]
            assert status["statistics"]["rejected"] == 0
        finally:
            await collecting.stop()
        assert not [event for event in events if isinstance(event, Gap)]
        told = {event.symbol for event in events if isinstance(event, InstrumentUpdate)}
        assert told == ({"BTC-USDT-PERP", "ETH-USDT-PERP", "SOL-USDT-PERP"} if "instrument" in types else set())


def test_a_product_is_listed_once() -> None:
    venue = OKXVenue(VenueOptions(symbols=SYMBOLS, start=1_791_369_351_500_000_000))
    with pytest.raises(ValueError, match="trades here already"):
        venue.list_product("BTC-USDT")
    venue.delist("BTC-USDT")
    with pytest.raises(KeyError):
        venue.delist("BTC-USDT")
    venue.list_product("BTC-USDT")
    assert venue.native("BTC-USDT") == "BTC-USDT"


def test_who_asks_for_every_instrument_hears_of_every_one(make_view: Callable[..., Any]) -> None:
    view = make_view()
    named = Channel("BTC-USDT-PERP", "BTC-USDT-SWAP", DataType.INSTRUMENT)
    every = Channel("*", "BTC-USDT-SWAP", DataType.INSTRUMENT)
    rows = [{"instType": "SWAP", "instId": name, "state": "live"} for name in ("BTC-USDT-SWAP", "NEW-USDT-SWAP")]
    push = {"arg": {"channel": "instruments", "instType": "SWAP"}, "data": rows}
    view.ask(named)
    assert [event.symbol for event in view.parse(push)] == ["BTC-USDT-PERP"]
    (request,) = view.ask(every)
    assert '"instType":"SWAP"' in request.frame
    assert [event.symbol for event in view.parse(push)] == ["BTC-USDT-PERP", "NEW-USDT-PERP"]
