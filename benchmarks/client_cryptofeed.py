"""Peer: cryptofeed 2.4.1, its own OKX feed, parsing, books and callbacks; only its address is pointed here.

Runs in an environment of its own. Two things are replaced, neither on the road of a frame: the symbols come from the
recorded instruments instead of the exchange's REST host, and the address loses its TLS (cryptofeed insists on wss).
"""

from __future__ import annotations

import asyncio
import json

import frames as prepared
from cryptofeed.connection import RestEndpoint, WebsocketEndpoint, WSAsyncConn
from cryptofeed.defines import L2_BOOK, TRADES
from cryptofeed.exchanges.okx import OKX
from cryptofeed.symbols import Symbols
from meter import Meter, options


def point_here(port: int) -> None:
    """Give cryptofeed the recorded instruments and the local address."""
    rows = [json.loads(body) for body in prepared.instruments().values()]
    OKX.rest_endpoints = [RestEndpoint("https://127.0.0.1", routes=OKX.rest_endpoints[0].routes)]
    OKX.websocket_endpoints = [
        WebsocketEndpoint(
            f"wss://127.0.0.1:{port}/ws/v5/public",
            channel_filter=tuple(OKX.websocket_channels[kind] for kind in (L2_BOOK, TRADES)),
            options={"compression": None, "max_size": None, "proxy": None, "close_timeout": 0.1},
        )
    ]
    symbols, info = OKX._parse_symbol_data(rows)
    Symbols.set(OKX.id, symbols, info)
    opening = WSAsyncConn._open

    async def plain(self: WSAsyncConn) -> None:
        self.address = self.address.replace("wss://", "ws://")
        await opening(self)

    WSAsyncConn._open = plain


def main() -> None:
    """Collect all messages."""
    chosen = options(__doc__)
    point_here(chosen.port)
    if chosen.uvloop:
        import uvloop

        uvloop.install()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    meter = Meter(chosen.messages, loop.stop, chosen.latencies)

    async def on_event(event: object, received: float) -> None:
        meter.count(event)

    native = {value: key for key, value in Symbols.get(OKX.id)[0].items()}
    subscription: dict[str, list[str]] = {}
    for channel, name in prepared.subscriptions(chosen.scenario):
        subscription.setdefault({"trades": TRADES, "books": L2_BOOK}[channel], []).append(native[name])
    feed = OKX(
        subscription=subscription,
        callbacks=dict.fromkeys(subscription, on_event),
        checksum_validation=chosen.checksums,
        config={"log": {"disabled": True, "filename": "/dev/null", "level": "CRITICAL"}},
    )
    feed.start(loop)
    loop.run_forever()
    meter.report()


main()
