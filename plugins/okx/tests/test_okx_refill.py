"""Missed trades end to end: a collector against the simulated OKX whose sockets are cut."""

from __future__ import annotations

import asyncio

from tickhive import ExchangeCollectorConfig, ExchangeFactory, Gap, Trade
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.plugin.venue import VenueOptions
from tickhive.simulation import VenueServer
from tickhive_okx.venue import OKXVenue

CUTS = 3


async def test_no_trade_is_missing_or_doubled_after_cuts() -> None:
    symbols = ["BTC-USDT", "ETH-USDT-PERP"]
    venue = OKXVenue(VenueOptions(seed=3, symbols=symbols, speed=5.0))
    async with VenueServer(venue) as server:
        settings = {"url": server.url, "rest_url": server.rest_url}
        config = ExchangeCollectorConfig(exchange="okx", symbols=symbols, data_types=["trade"], settings=settings)
        collector = ExchangeFactory.create_collector(config)
        trades: dict[str, list[Trade]] = {symbol: [] for symbol in symbols}
        gaps: list[Gap] = []
        live = cuts = 0

        def gaps_told() -> bool:
            assert isinstance(collector, PluginCollector)
            assert collector._feed is not None
            return not any(collector._feed.open_holes())

        await collector.start()
        try:
            async with asyncio.timeout(50):
                async for event in collector.stream("trade"):
                    if isinstance(event, Gap):
                        gaps.append(event)
                    elif isinstance(event, Trade):
                        trades[event.symbol].append(event)
                        live += event.symbol == symbols[0] and not event.late
                    # A cut need not cost every symbol a trade.
                    if live >= 40 and gaps_told() and len(gaps) >= cuts:
                        if cuts == CUTS:
                            break
                        live, cuts = 0, cuts + 1
                        server.cut()
        finally:
            await collector.stop()
    assert {gap.filled for gap in gaps} == {"whole"}
    for symbol, seen in trades.items():
        holes = [gap for gap in gaps if gap.symbol == symbol]
        delivered = [id for trade in seen for id in range(int(trade.id) - trade.count + 1, int(trade.id) + 1)]
        assert len(delivered) == len(set(delivered))
        # What the last cut lost may still be on its way: everything before it is there.
        end = max((int(gap.last_id or 0) for gap in holes), default=0)
        assert set(range(min(delivered), end + 1)) <= set(delivered)
    assert any(trade.late for seen in trades.values() for trade in seen)
