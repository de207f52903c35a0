"""Peer: a bare ``websockets`` ``recv()`` loop that does nothing with what it receives."""

from __future__ import annotations

import asyncio
import hashlib

from meter import Meter, options
from websockets.asyncio.client import connect


async def main() -> None:
    """Receive all messages."""
    chosen = options(__doc__)
    meter = Meter(chosen.messages, lambda: None, chosen.latencies)
    digest = hashlib.sha256()
    url = f"ws://127.0.0.1:{chosen.port}/ws/v5/public"
    async with connect(url, compression=None, max_size=None, proxy=None, close_timeout=0.1) as connection:
        await connection.send("subscribe")
        recv, count = connection.recv, meter.count
        if chosen.digest:
            for _ in range(chosen.messages):
                digest.update(await recv(decode=False))
                count()
            meter.extra["digest"] = digest.hexdigest()
        else:
            for _ in range(chosen.messages):
                await recv()
                count()
    meter.report()


asyncio.run(main())
