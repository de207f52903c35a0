"""The server over real sockets: a made-up venue, plain clients, and everything that can go wrong on purpose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tickhive.clock import ManualClock
from tickhive.plugin.contract import Answer
from tickhive.plugin.venue import Hangup, Send, SimulatedVenue, VenueLog
from tickhive.simulation import VenueServer

SECOND = 1_000_000_000


class Acme(SimulatedVenue):
    """Echoes what it is told; ticks every second to everybody when ``ticking``."""

    def __init__(self) -> None:
        self.log = VenueLog()
        self.said: list[Send | Hangup] = []
        self.open: dict[int, str] = {}
        self.gone: list[int] = []
        self.ticking = False
        self.next = 0

    @property
    def symbols(self) -> Sequence[str]:
        return ("AAA-BBB",)

    @property
    def subscriptions(self) -> Sequence[str]:
        return ("trade",)

    def opened(self, connection: int, path: str, at: int) -> None:
        self.open[connection] = path
        self.said.append(Send(connection, f"hello {path}"))

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        if frame == "bye":
            self.said += [Send(connection, "farewell"), Hangup(connection, 4001, "as you wish")]
        elif frame == "crash":
            self.said.append(Hangup(connection, None))
        elif isinstance(frame, str) and frame.startswith("flood"):
            self.said += [Send(connection, "x" * 100_000)] * int(frame.split()[1])
        else:
            self.said.append(Send(connection, frame))

    def closed(self, connection: int, at: int) -> None:
        self.gone.append(connection)
        del self.open[connection]

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        if path == "/teapot":
            return Answer(418, b"short and stout", {"retry-after": "3"})
        echo = {"method": method, "path": path, "key": headers.get("x-key"), "body": body.decode()}
        return Answer(200, json.dumps(echo).encode())

    def advance(self, at: int) -> int | None:
        if not self.ticking:
            return None
        self.next = self.next or at + SECOND
        while self.next <= at:
            self.said += [Send(connection, f"tick {self.next}") for connection in self.open]
            self.next += SECOND
        return self.next

    def outgoing(self) -> Sequence[Send | Hangup]:
        said, self.said = self.said, []
        return said

    def overflowed(self, connection: int, at: int) -> Hangup:
        return Hangup(connection, 4005, "read faster")


@pytest.fixture
async def server() -> AsyncIterator[VenueServer]:
    async with VenueServer(Acme()) as server:
        yield server


async def dial(server: VenueServer, path: str = "/feed?a=1", **options: Any) -> ClientConnection:
    socket = await connect(server.url + path, **options)
    assert await socket.recv() == f"hello {path}"
    return socket


async def until(predicate: Any) -> None:
    for _ in range(2000):
        if predicate():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError("what was waited for did not happen within ten seconds")


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("frame", ["text", b"binary", "ö" * 70, "x" * 300, b"y" * 70_000])
async def test_frames_go_both_ways(compression: Any, frame: str | bytes) -> None:
    async with (
        VenueServer(Acme(), compression=True) as server,
        connect(server.url + "/a", compression=compression) as socket,
    ):
        await socket.recv()
        await socket.send(frame)
        assert await socket.recv() == frame
        assert server.statistics.frames_in == 1


async def test_pings_are_answered(server: VenueServer) -> None:
    async with await dial(server) as socket:
        async with asyncio.timeout(5):
            await (await socket.ping())


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_requests_of_every_method_reach_the_venue(server: VenueServer, method: str) -> None:
    content = b"" if method == "GET" else b"z" * 200_000
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(2):
            url = f"{server.rest_url}/v1/x?q=1"
            answer = await client.request(method, url, content=content, headers={"X-Key": "k"})
            assert answer.status_code == 200
            assert answer.json() == {"method": method, "path": "/v1/x?q=1", "key": "k", "body": content.decode()}
    assert server.statistics.requests == 2


async def test_the_venues_status_and_headers_are_kept(server: VenueServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(server.rest_url + "/teapot")
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (418, "short and stout", "3")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nnonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\ncontent-length: nine\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000, b"431"),
    ],
)
async def test_what_is_not_http_is_refused(server: VenueServer, sent: bytes, status: bytes) -> None:
    host, port = server.url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    first = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert first.split(b" ")[1] == status


async def test_a_hangup_comes_after_the_frames_before_it(server: VenueServer) -> None:
    socket = await dial(server)
    await socket.send("bye")
    assert await socket.recv() == "farewell"
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    assert (socket.close_code, socket.close_reason) == (4001, "as you wish")
    await until(lambda: server.statistics.open == 0)


async def test_a_hangup_without_a_code_cuts_the_line(server: VenueServer) -> None:
    socket = await dial(server)
    await socket.send("crash")
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    assert socket.close_code == 1006
    assert server.statistics.cut == 1


async def test_cut_ends_one_line_and_leaves_the_others(server: VenueServer) -> None:
    one, other = await dial(server), await dial(server)
    server.cut(1)
    with pytest.raises(ConnectionClosed):
        await one.recv()
    assert one.close_code == 1006
    await other.send("still there")
    assert await other.recv() == "still there"
    await until(lambda: server.connections == (2,))
    await other.close()


async def test_a_frozen_line_says_nothing_and_hears_nothing(server: VenueServer) -> None:
    socket, other = await dial(server), await dial(server)
    server.freeze(1)
    await socket.send("anybody?")
    await other.send("here")
    assert await other.recv() == "here"
    assert server.statistics.frames_in == 1
    assert server.statistics.open == 2
    server.cut()
    for ended in (socket, other):
        with pytest.raises(ConnectionClosed):
            await ended.recv()


async def test_nobody_is_let_in_while_it_refuses(server: VenueServer) -> None:
    server.refuse()
    with pytest.raises((OSError, EOFError, WebSocketException)):
        await connect(server.url + "/", open_timeout=5)
    assert server.statistics.refused >= 1
    assert server.statistics.connections == 0
    server.refuse(False)
    await (await dial(server)).close()


async def test_a_slow_reader_is_sent_away_as_the_venue_says(server: VenueServer) -> None:
    slow, quick = await dial(server, max_queue=1), await dial(server)
    slow.transport.pause_reading()
    await slow.send("flood 300")
    await until(lambda: server.statistics.overflows)
    await quick.send("me?")
    assert await quick.recv() == "me?"
    await until(lambda: server.connections == (2,))
    slow.transport.abort()
    await quick.close()


async def test_the_venue_goes_on_when_it_wants_to() -> None:
    clock = ManualClock()
    venue = Acme()
    venue.ticking = True
    async with VenueServer(venue, clock) as server:
        socket = await dial(server)
        await clock.advance(3.0)
        ticks = [await asyncio.wait_for(socket.recv(), 5) for _ in range(3)]
        start = ManualClock().time_ns()
        assert ticks == [f"tick {start + second * SECOND}" for second in (1, 2, 3)]
        server.pause()
        await clock.advance(2.0)
        await socket.send("quiet?")
        assert await socket.recv() == "quiet?"
        server.pause(False)
        assert await socket.recv() == f"tick {start + 4 * SECOND}"
        await socket.close()


async def test_delayed_frames_leave_later_and_in_order() -> None:
    clock = ManualClock()
    async with VenueServer(Acme(), clock) as server:
        socket = await dial(server)
        server.delay_seconds = 2.0
        await socket.send("one")
        await socket.send("two")
        await until(lambda: server.statistics.frames_in == 2)
        await clock.advance(1.9)
        assert server.statistics.frames_out == 1
        await clock.advance(0.2)
        assert [await socket.recv(), await socket.recv()] == ["one", "two"]
        await socket.close()


async def test_stop_says_goodbye_and_start_is_possible_again() -> None:
    server = VenueServer(Acme())
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.url
    await server.start()
    socket, frozen = await dial(server), await dial(server)
    server.freeze(2)
    await server.stop()
    await server.stop()
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    assert socket.close_code == 1001
    with pytest.raises(ConnectionClosed):
        await frozen.recv()
    await server.start()
    await (await dial(server)).close()
    await server.stop()
