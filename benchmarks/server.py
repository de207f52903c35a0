"""The venue of the benchmarks: performs the handshake, waits for a subscription, then pushes prepared frames.

Its cost does not matter to the figures (it runs on a core of its own), but it must never be the bottleneck: frames are
put on the wire in large prepared pieces. Standard library only, because the peers' environments run it too.

Prints its port. With ``--pace`` it sends one frame at a time and writes the send times (ns) to ``--times``.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import base64
import hashlib
import os
import time
from pathlib import Path

import frames as prepared

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PIECE = 4 * 1024 * 1024


class Pusher:
    """Serves one scenario: ``total`` messages to every client that subscribes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.total: int = options.messages
        self.pace: int = options.pace
        self.times: str | None = options.times
        self.answers = prepared.instruments()
        if options.scenario == "memory":
            names = prepared.spot_names(options.symbols)
            self.cycle = prepared.deep_books(names, 400, max(1, self.total // len(names) - 1))
        else:
            self.cycle = prepared.recorded(options.scenario)
        self.encoded = [prepared.wire(frame) for frame in prepared.endless(self.cycle, self.total)]
        stream = b"".join(self.encoded)
        self.pieces = [stream[begin : begin + PIECE] for begin in range(0, len(stream), PIECE)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection, WebSocket or REST."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                target = head.split(" ", 2)[1]
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                if "sec-websocket-key" in headers:
                    await self._upgrade(head, reader, writer)
                    return
                body = self.answers.get(target, b'{"code":"0","msg":"","data":[]}')
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _upgrade(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = next(
            line.split(": ", 1)[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key.encode() + _ACCEPT).digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        await reader.read(1)  # the first byte of the subscription
        drain = asyncio.create_task(self._ignore(reader))
        await (self._push_paced(writer) if self.pace else self._push(writer))
        await drain

    async def _ignore(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(65_536):
            pass

    async def _push(self, writer: asyncio.StreamWriter) -> None:
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()

    async def _push_paced(self, writer: asyncio.StreamWriter) -> None:
        times = array.array("q")
        gap = 1_000_000_000 // self.pace
        due = time.time_ns() + 200_000_000
        for n in range(self.total):
            # This core is the server's own: spinning keeps the pace exact.
            while time.time_ns() < due:  # noqa: ASYNC110
                await asyncio.sleep(0)
            due += gap
            times.append(time.time_ns())
            writer.write(self.encoded[n])
        await writer.drain()
        if self.times:
            await asyncio.to_thread(Path(self.times).write_bytes, times.tobytes())


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=(*prepared.SCENARIOS, "memory"))
    parser.add_argument("messages", type=int)
    parser.add_argument("--pace", type=int, default=0, help="messages a second; 0: as fast as the client reads")
    parser.add_argument("--times", help="where to write the send times")
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--core", type=int)
    options = parser.parse_args()
    if options.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core})
    pusher = Pusher(options)
    server = await asyncio.start_server(pusher.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
