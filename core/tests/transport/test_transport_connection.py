"""Both modes keep the same promises over real sockets, in the clear and under TLS."""

from __future__ import annotations

import asyncio
import ssl
import struct
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tickhive.errors import ConnectionLost
from tickhive.transport import Connection, Mode, open_connection


@pytest.fixture(params=["fast", "plain"])
def mode(request: pytest.FixtureRequest) -> Mode:
    chosen: Mode = request.param
    return chosen


@pytest.fixture(params=["ws", "wss"])
def contexts(request: pytest.FixtureRequest) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    return request.getfixturevalue("tls") if request.param == "wss" else (None, None)


async def lost(connection: Connection) -> ConnectionLost:
    async with asyncio.timeout(20):
        return await asyncio.shield(connection.closed)


SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1_000_000]


async def test_messages_arrive_whole_and_in_order(wire: Any, inbox: Any, mode: Mode, contexts: Any) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request))
        for number, size in enumerate(SIZES * 2):
            writer.write(wire.frame(wire.TEXT if number % 2 else wire.BINARY, bytes([65 + number]) * size))
            await writer.drain()
        await reader.read()

    async with wire.serving(script, contexts[0]) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode, ssl_context=contexts[1])
        frames = await inbox.until(len(SIZES) * 2)
        assert frames == [bytes([65 + number]) * size for number, size in enumerate(SIZES * 2)]
        assert connection.frames_received == len(SIZES) * 2
        assert connection.reads == inbox.calls
        assert connection.bytes_received > sum(SIZES) * 2
        connection.abort()
        assert (await lost(connection)).code is None


async def test_many_frames_of_one_read_come_in_few_calls(wire: Any, inbox: Any) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request))
        writer.write(b"".join(wire.frame(wire.TEXT, b"%d" % number) for number in range(5000)))
        await reader.read()

    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=inbox, mode="fast")
        assert await inbox.until(5000) == [b"%d" % number for number in range(5000)]
        assert inbox.calls < 100
        connection.abort()
        await lost(connection)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_what_comes_with_the_handshake_waits_for_the_opener(wire: Any, mode: Mode, wrapped: bool) -> None:
    seen: list[str] = []

    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request) + wire.frame(wire.TEXT, b"first") + wire.frame(wire.CLOSE, b"\x03\xe8"))
        await wire.read_frame(reader)

    async with wire.serving(script) as url:
        opening = open_connection(url, on_frames=lambda frames: seen.extend(map(bytes.decode, frames)), mode=mode)
        connection = await (asyncio.create_task(opening) if wrapped else opening)
        seen.append("opened")
        assert (await lost(connection)).code == 1000
        seen.append("closed")
    assert seen == ["opened", "first", "closed"]


async def test_fragments_and_pings_between_plain_frames(wire: Any, inbox: Any, mode: Mode, contexts: Any) -> None:
    answered = asyncio.get_running_loop().create_future()

    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request))
        writer.write(
            wire.frame(wire.TEXT, b"one")
            + wire.frame(wire.PING, b"there?")
            + wire.frame(wire.TEXT, b"tw", fin=False)
            + wire.frame(wire.PONG, b"unasked")
            + wire.frame(wire.CONT, b"", fin=False)
            + wire.frame(wire.CONT, b"o")
            + wire.frame(wire.BINARY, b"three")
        )
        answered.set_result(await wire.read_frame(reader))
        await reader.read()

    async with wire.serving(script, contexts[0]) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode, ssl_context=contexts[1])
        assert await inbox.until(3) == [b"one", b"two", b"three"]
        assert await answered == (wire.PONG, b"there?")
        assert connection.pongs == 1
        connection.abort()
        await lost(connection)


async def test_text_that_is_no_utf8_is_left_to_the_parser(wire: Any, inbox: Any, mode: Mode) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request) + wire.frame(wire.TEXT, b"\xff\xfe") + wire.frame(wire.TEXT, b"on"))
        await reader.read()

    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode)
        assert await inbox.until(2) == [b"\xff\xfe", b"on"]
        connection.abort()
        await lost(connection)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"\x82\x7f" + struct.pack("!Q", 1001), 1009),
        (b"\x82\x7e" + struct.pack("!H", 1001), 1009),
        (b"\x82\x7e" + struct.pack("!H", 1001) + b"x" * 1001 + b"\x81\x05after", 1009),
        (b"\x02\x7e\x03\xe8" + b"x" * 1000 + b"\x80\x01x", 1009),
        (b"\x81\x81\0\0\0\0x", 1002),
        (b"\x83\x00", 1002),
        (b"\x91\x00", 1002),
        (b"\xc1\x01x", 1002),
        (b"\x80\x01x", 1002),
        (b"\x09\x00", 1002),
        (b"\x01\x01x\x81\x05hello\x81\x05again", 1002),
    ],
    ids=[
        "long-64",
        "long-16",
        "long-whole",
        "long-sum",
        "masked",
        "opcode",
        "rsv3",
        "rsv1",
        "continuation",
        "ping",
        "interleaved",
    ],
)
async def test_what_breaks_the_protocol_ends_the_connection(
    wire: Any, inbox: Any, mode: Mode, bad: bytes, code: int
) -> None:
    told = asyncio.get_running_loop().create_future()

    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request) + wire.frame(wire.TEXT, b"good") + bad)
        told.set_result(await wire.read_frame(reader))

    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode, max_size=1000)
        ended = await lost(connection)
        assert ended.code == code
        assert str(code) in str(ended)
        opcode, payload = await told
        assert (opcode, payload[:2]) == (wire.CLOSE, struct.pack("!H", code))
        assert inbox.frames == [b"good"]


async def test_a_close_tells_code_and_reason_without_secrets(wire: Any, inbox: Any, mode: Mode) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request) + wire.frame(wire.TEXT, b"last"))
        writer.write(wire.frame(wire.CLOSE, struct.pack("!H", 4008) + b"planned, token=abcdef123"))
        assert (await wire.read_frame(reader))[0] == wire.CLOSE

    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode)
        ended = await lost(connection)
        assert inbox.frames == [b"last"]
        assert ended.code == 4008
        assert "planned" in str(ended)
        assert "abcdef123" not in str(ended)
        assert url in str(ended)
        assert not connection.is_open
        with pytest.raises(ConnectionLost, match="4008"):
            connection.send("too late")
        with pytest.raises(ConnectionLost):
            connection.ping()
        await connection.close()


async def test_a_line_that_is_cut_has_no_code(wire: Any, inbox: Any, mode: Mode) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request) + wire.frame(wire.TEXT, b"only") + wire.frame(wire.TEXT, b"half")[:-1])
        await writer.drain()

    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode)
        ended = await lost(connection)
        assert ended.code is None
        assert "without a closing handshake" in str(ended)
        assert inbox.frames == [b"only"]


async def test_what_is_sent_arrives(inbox: Any, mode: Mode) -> None:
    received: list[str | bytes] = []

    async def echo(server: ServerConnection) -> None:
        async for message in server:
            received.append(message)
            await server.send(message)

    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = await open_connection(f"ws://127.0.0.1:{port}/", on_frames=inbox, mode=mode)
        connection.send("grüezi")
        connection.send(b"\x00\x01" * 50_000)
        connection.send("")
        assert await inbox.until(3) == ["grüezi".encode(), b"\x00\x01" * 50_000, b""]
        assert received == ["grüezi", b"\x00\x01" * 50_000, ""]
        assert connection.frames_sent == 3
        assert connection.bytes_sent == 100_007
        await connection.close(1000, "done")
        assert (await lost(connection)).code == 1000


async def test_pings_are_answered_with_counted_pongs(inbox: Any, mode: Mode) -> None:
    ponged = asyncio.Event()

    async def quiet(server: ServerConnection) -> None:
        await server.wait_closed()

    async with serve(quiet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = await open_connection(
            f"ws://127.0.0.1:{port}/", on_frames=inbox, mode=mode, on_pong=ponged.set, ping=1000.0
        )
        connection.ping()
        async with asyncio.timeout(20):
            await ponged.wait()
        assert (connection.pings, connection.pongs) == (1, 1)
        assert inbox.frames == []
        await connection.close()


@pytest.mark.parametrize("allowed", [False, True])
async def test_compression_is_declined_unless_allowed(inbox: Any, mode: Mode, allowed: bool) -> None:
    messages = [b"x" * 5000, b"", b"tiny", b'{"a":1}' * 999]
    offered: list[str | None] = []

    async def talk(server: ServerConnection) -> None:
        offered.append(server.request.headers.get("Sec-WebSocket-Extensions") if server.request else None)
        for message in messages:
            await server.send(message)
        await server.send([b"frag", b"ment", b"ed"])
        await server.wait_closed()

    async with serve(talk, "127.0.0.1", 0, compression="deflate") as server:
        port = server.sockets[0].getsockname()[1]
        connection = await open_connection(
            f"ws://127.0.0.1:{port}/", on_frames=inbox, mode=mode, compression=allowed, max_size=20_000
        )
        assert await inbox.until(5) == [*messages, b"fragmented"]
        assert ("permessage-deflate" in (offered[0] or "")) is allowed
        await connection.close()


async def test_a_receiver_that_fails_ends_the_connection_and_is_named(wire: Any, mode: Mode) -> None:
    calls = 0

    def receive(frames: list[bytes]) -> None:
        nonlocal calls
        calls += 1
        raise LookupError("no such thing, api_key=hunter2hunter2")

    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request))
        for _ in range(100):
            writer.write(wire.frame(wire.TEXT, b"x"))
            await writer.drain()
        await reader.read()

    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=receive, mode=mode)
        ended = await lost(connection)
    assert ended.code == 1011
    assert "LookupError: no such thing" in str(ended)
    assert "hunter2" not in str(ended)
    assert isinstance(ended.__cause__, LookupError)
    assert calls == 1


async def test_pausing_holds_the_server_back_and_resuming_loses_nothing(wire: Any, inbox: Any, mode: Mode) -> None:
    total, size = 400, 100_000
    sent = 0

    async def script(request: bytes, reader: Any, writer: Any) -> None:
        nonlocal sent
        writer.write(wire.accept(request))
        for number in range(total):
            writer.write(wire.frame(wire.BINARY, number.to_bytes(4, "big") + b"x" * size))
            await writer.drain()
            sent += 1
        await reader.read()

    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode)
        await inbox.until(1)
        connection.pause_reading()
        connection.pause_reading()
        before = -1
        while before != sent:  # until the system's buffers are full and the server waits
            before = sent
            await asyncio.sleep(0.1)
        assert sent < total
        held = len(inbox.frames)
        await asyncio.sleep(0.05)
        assert len(inbox.frames) == held
        connection.resume_reading()
        frames = await inbox.until(total)
        assert [int.from_bytes(each[:4], "big") for each in frames] == list(range(total))
        connection.abort()
        await lost(connection)


@pytest.mark.parametrize("begins", ["client", "server"])
async def test_a_server_that_never_hangs_up_is_cut_off(wire: Any, inbox: Any, mode: Mode, begins: str) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request) + (wire.frame(wire.CLOSE, b"\x03\xe9") if begins == "server" else b""))
        await reader.read()

    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode, close_timeout_seconds=0.05)
        if begins == "client":
            connection.pause_reading()
            await connection.close(1000, "enough")
            assert (await lost(connection)).code == 1000
        else:
            assert (await lost(connection)).code == 1001


async def test_a_server_that_takes_nothing_is_given_up(wire: Any, inbox: Any, mode: Mode) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.transport.pause_reading()
        writer.write(wire.accept(request))
        await connection_over.wait()

    connection_over = asyncio.Event()
    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode)

        def flood() -> None:
            for _ in range(100):
                connection.send(b"x" * 1_000_000)

        with pytest.raises(ConnectionLost, match="takes nothing"):
            flood()
        assert "takes nothing" in str(await lost(connection))
        connection_over.set()


async def test_frames_that_come_while_closing_are_still_handed_over(wire: Any, inbox: Any, mode: Mode) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(wire.accept(request))
        assert (await wire.read_frame(reader))[0] == wire.CLOSE
        writer.write(wire.frame(wire.TEXT, b"a") + wire.frame(wire.PING, b"") + wire.frame(wire.TEXT, b"b"))
        writer.write(wire.frame(wire.CLOSE, b"\x03\xe8"))
        await writer.drain()

    async with wire.serving(script) as url:
        connection = await open_connection(url, on_frames=inbox, mode=mode)
        await connection.close()
        assert inbox.frames == [b"a", b"b"]
