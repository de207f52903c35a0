"""tickhive's fast transport alone: frames from the socket to a function that counts them."""

from __future__ import annotations

import asyncio
import hashlib

from meter import Meter, options

from tickhive.transport import open_connection


async def main() -> None:
    """Receive all messages."""
    chosen = options(__doc__)
    done = asyncio.Event()
    meter = Meter(chosen.messages, done.set, chosen.latencies)
    digest = hashlib.sha256()

    def hashed(frames: list[bytes]) -> None:
        for frame in frames[: chosen.messages - meter.seen]:
            digest.update(frame)
        meter.count_many(len(frames))

    def counted(frames: list[bytes]) -> None:
        meter.count_many(len(frames))

    connection = await open_connection(
        f"ws://127.0.0.1:{chosen.port}/ws/v5/public", on_frames=hashed if chosen.digest else counted
    )
    connection.send("subscribe")
    await done.wait()
    connection.abort()
    if chosen.digest:
        meter.extra["digest"] = digest.hexdigest()
    meter.report()


asyncio.run(main())
