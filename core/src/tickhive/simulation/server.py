"""Puts a simulated venue behind real sockets: WebSocket and REST on one port, with faults on demand."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial

from attrs import define
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tickhive.clock import NANOSECONDS, Clock, Handle, SystemClock
from tickhive.plugin.contract import Answer
from tickhive.plugin.venue import Hangup, Send, SimulatedVenue
from tickhive.simulation.connection import VenueSocket

_QUIET = logging.getLogger("tickhive.simulation.websockets")
# Below this the library prints every frame, logins included, when an application asks tickhive as a whole for more.
_QUIET.addFilter(lambda record: record.levelno >= logging.INFO)
_QUIET.addHandler(logging.NullHandler())

_CLOSE_PATIENCE = 2.0
"""Seconds a client has to answer a closing handshake before the line is cut."""

MAX_FRAME = 1024 * 1024
"""A client's frame may be this long (bytes); a venue's own limits are the venue's to enforce."""

_BREATH = 5_000_000
"""Others get at least this much time (ns) between two steps of the venue."""


@define
class ServerStatistics:
    """What the server did since it was made. ``cut`` counts lines ended without a closing handshake."""

    connections: int = 0
    open: int = 0
    refused: int = 0
    cut: int = 0
    overflows: int = 0
    frames_in: int = 0
    frames_out: int = 0
    requests: int = 0


class VenueServer:
    """Serves one simulated venue to any number of clients.

    WebSocket upgrades on any path go to ``venue.opened``, every other HTTP request, whatever its method and with its
    body, to ``venue.request``. The venue goes on when it wants to and whenever a client says something. A client that
    does not read is given ``send_buffer`` bytes of patience, then ``venue.overflowed`` decides its end.

    For tests, things go wrong on demand: ``cut``, ``freeze``, ``refuse``, ``delay_seconds`` (every frame leaves so much
    later) and ``pause`` (the market stands still, clients are still answered).
    """

    def __init__(
        self,
        venue: SimulatedVenue,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        send_buffer: int = 4 * 1024 * 1024,
        compression: bool = False,
    ) -> None:
        self.venue = venue
        self.statistics = ServerStatistics()
        self.refuses = False
        self.delay_seconds = 0.0
        self._clock = clock or SystemClock()
        self._host = host
        self._port = port
        self._send_buffer = send_buffer
        self._compression = "deflate" if compression else None
        self._sockets: dict[int, VenueSocket] = {}
        self._delayed: deque[tuple[int, Send | Hangup]] = deque()
        self._server: Server | None = None
        self._alarm: Handle | None = None
        self._paused = False

    @property
    def url(self) -> str:
        """The WebSocket address, without a path."""
        return f"ws://{self._address()}"

    @property
    def rest_url(self) -> str:
        """The REST address, without a path."""
        return f"http://{self._address()}"

    async def start(self) -> None:
        """Listen; OSError when the port is taken."""
        if self._server is not None:
            return
        self._server = await serve(
            self._converse,
            self._host,
            self._port,
            create_connection=partial(VenueSocket, owner=self),  # type: ignore[arg-type]  # any factory will do
            compression=self._compression,
            ping_interval=None,
            close_timeout=_CLOSE_PATIENCE,
            max_size=MAX_FRAME,
            logger=_QUIET,
        )
        self._go_on()

    async def stop(self) -> None:
        """Close every connection (1001) and stop listening."""
        server, self._server = self._server, None
        if server is None:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for socket in list(self._sockets.values()):
            if socket.frozen:
                socket.transport.abort()
        server.close()
        await server.wait_closed()

    async def __aenter__(self) -> VenueServer:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    @property
    def connections(self) -> Iterable[int]:
        """The numbers of the open WebSocket connections, oldest first."""
        return tuple(self._sockets)

    # Faults.

    def cut(self, connection: int | None = None) -> None:
        """End one line, or all, without a closing handshake."""
        for socket in self._chosen(connection):
            self.statistics.cut += 1
            socket.frozen = True
            socket.transport.abort()

    def freeze(self, connection: int | None = None) -> None:
        """Leave one line, or all, half open: nothing is sent, nothing is read, nothing is closed, until it is cut."""
        for socket in self._chosen(connection):
            socket.frozen = True

    def refuse(self, refusing: bool = True) -> None:
        """Drop every client that connects from now on, REST included; or let them in again."""
        self.refuses = refusing

    def pause(self, paused: bool = True) -> None:
        """Let the market stand still, or go on. What it has said stays true meanwhile; clients are still answered."""
        self._paused = paused
        self._go_on()

    # What the sockets call.

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Let the venue answer a REST request."""
        self.statistics.requests += 1
        answer = self.venue.request(method, path, headers, body, self._clock.time_ns())
        self._go_on()
        return answer

    async def _converse(self, connection: ServerConnection) -> None:
        assert isinstance(connection, VenueSocket)
        assert connection.request is not None
        self.statistics.connections += 1
        self.statistics.open += 1
        number = connection.number = self.statistics.connections
        self._sockets[number] = connection
        try:
            self.venue.opened(number, connection.request.path, self._clock.time_ns())
            self._go_on()
            async for frame in connection:
                self.statistics.frames_in += 1
                self.venue.received(number, frame, self._clock.time_ns())
                self._go_on()
        except ConnectionClosed:
            pass
        finally:
            self.statistics.open -= 1
            self._sockets.pop(number, None)
            self.venue.closed(number, self._clock.time_ns())
            self._go_on()

    # The venue's time.

    def _go_on(self) -> None:
        """Let the venue reach the present, send what it says, and come back when it wants to."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._clock.time_ns()
        due = None if self._paused else self.venue.advance(now)
        said = self.venue.outgoing()
        if self.delay_seconds or self._delayed:
            later = now + int(self.delay_seconds * NANOSECONDS)
            self._delayed.extend((later, item) for item in said)
            said = []
            while self._delayed and self._delayed[0][0] <= now:
                said.append(self._delayed.popleft()[1])
            if self._delayed:
                due = min(self._delayed[0][0], due if due is not None else self._delayed[0][0])
        self._send(said)
        if due is not None and self._server is not None:
            self._alarm = self._clock.call_at(max(due, now + _BREATH), self._go_on)

    def _send(self, said: Iterable[Send | Hangup]) -> None:
        frames: dict[int, list[str | bytes]] = {}
        for item in said:
            if isinstance(item, Send):
                frames.setdefault(item.connection, []).append(item.frame)
            else:
                self._write(item.connection, frames.pop(item.connection, []))
                self._hang_up(item)
        for number, batch in frames.items():
            self._write(number, batch)

    def _write(self, number: int, frames: list[str | bytes]) -> None:
        socket = self._sockets.get(number)
        if socket is None or not frames:
            return
        self.statistics.frames_out += len(frames)
        waiting = socket.write_frames(frames)
        if waiting > self._send_buffer:
            self.statistics.overflows += 1
            self._hang_up(self.venue.overflowed(number, self._clock.time_ns()))

    def _hang_up(self, hangup: Hangup) -> None:
        socket = self._sockets.get(hangup.connection)
        if socket is not None:
            self.statistics.cut += hangup.code is None
            socket.hang_up(hangup.code, hangup.reason, _CLOSE_PATIENCE)

    def _chosen(self, connection: int | None) -> list[VenueSocket]:
        if connection is None:
            return list(self._sockets.values())
        return [self._sockets[connection]] if connection in self._sockets else []

    def _address(self) -> str:
        if self._server is None:
            raise RuntimeError("the venue's server is not started; await start() first")
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
