"""tickhive's whole road: socket, OKX plugin, session, live books, one callback per event."""

from __future__ import annotations

import asyncio

import frames as prepared
from meter import Meter, options

from tickhive import DataType, ExchangeCollectorConfig, ExchangeFactory
from tickhive.events import BookDelta, BookSnapshot


async def main() -> None:
    """Collect all messages."""
    chosen = options(__doc__)
    done = asyncio.Event()
    meter = Meter(chosen.messages, done.set, chosen.latencies)
    if chosen.scenario == "memory":
        names, types = prepared.spot_names(chosen.symbols), [DataType.ORDERBOOK]
    else:
        wanted = prepared.subscriptions(chosen.scenario)
        names = list(dict.fromkeys(name for _, name in wanted))
        kinds = {"trades": DataType.TRADE, "books": DataType.ORDERBOOK}
        types = [kinds[channel] for channel in dict.fromkeys(channel for channel, _ in wanted)]
    collector = ExchangeFactory.create_collector(
        ExchangeCollectorConfig(
            exchange="okx",
            symbols=names,
            data_types=types,
            verify_checksums=chosen.checksums,
            settings={
                "url": f"ws://127.0.0.1:{chosen.port}",
                "rest_url": f"http://127.0.0.1:{chosen.port}",
                "books_per_connection": 100,
            },
        )
    )

    for data_type in types:
        collector.add_data_callback(data_type, meter.count)
    await collector.start()
    await done.wait()
    status = collector.get_status()
    meter.extra["statistics"] = status["statistics"]
    meter.extra["events"] = status["events"]
    if DataType.ORDERBOOK in types:
        books = [collector.book(name if "SWAP" not in name else "", 0) for name in names[:1]]
        meter.extra["best"] = [str(level) for level in books[0].best_bid() or ()]
        assert BookSnapshot.__name__ in status["events"]
        assert BookDelta.__name__ in status["events"]
    meter.report()
    await collector.stop()


def run() -> None:
    """Run on the chosen event loop."""
    import sys

    if "--uvloop" in sys.argv:
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())


run()
