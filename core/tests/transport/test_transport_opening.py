"""Why a socket could not be opened is said in plain words, with host and port and nothing secret."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
import sys
from typing import Any

import pytest

from tickhive.errors import ConnectionFailed
from tickhive.transport import open_connection
from tickhive.transport.retry import retry_after_seconds

SECRET = "s3cr3t-value"
PATH = f"/stream?apiKey={SECRET}"
HEADERS = {"X-Api-Key": SECRET, "Authorization": f"Bearer {SECRET}"}


def ignore(frames: list[bytes]) -> None:
    """Take frames that must not come."""
    raise AssertionError(frames)


async def failure(url: str, **options: Any) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as caught:
        await open_connection(url + PATH, on_frames=ignore, headers=HEADERS, **options)
    error = caught.value
    assert SECRET not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return error


async def test_nothing_listens(unused_tcp_port: int) -> None:
    error = await failure(f"ws://127.0.0.1:{unused_tcp_port}")
    assert f"127.0.0.1:{unused_tcp_port} refused" in str(error)
    assert not error.fatal
    error = await failure(f"ws://localhost:{unused_tcp_port}")
    assert f"localhost:{unused_tcp_port}" in str(error)


async def test_an_unknown_name() -> None:
    error = await failure("wss://no-such-host.invalid", proxy="")
    assert "no-such-host.invalid was not found" in str(error)
    assert "no-such-host.invalid:443" in str(error)


async def test_a_server_that_does_not_answer(wire: Any) -> None:
    over = asyncio.Event()

    async def script(request: bytes, reader: Any, writer: Any) -> None:
        await over.wait()

    async with wire.serving(script) as url:
        assert "did not answer within 0.1 s" in str(await failure(url, timeout_seconds=0.1))
        over.set()


@pytest.mark.parametrize(
    ("answer", "status", "retry_after", "fatal"),
    [
        (b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n", 429, 17.0, False),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", 503, None, False),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", 401, None, True),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n", 302, None, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhey", 200, None, False),
        (b"complete nonsense\r\n\r\n", None, None, False),
        (b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", None, None, False),
        (b"", None, None, False),
    ],
    ids=["429", "503", "401", "redirect", "200", "nonsense", "no-accept", "hang-up"],
)
async def test_a_server_that_refuses(
    wire: Any, answer: bytes, status: int | None, retry_after: float | None, fatal: bool
) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        writer.write(answer)
        await writer.drain()

    async with wire.serving(script) as url:
        for mode in ("fast", "plain"):
            error = await failure(url, mode=mode)
            assert (error.status, error.retry_after, error.fatal) == (status, retry_after, fatal)
            assert url in str(error)
            if status is not None:
                assert str(status) in str(error)


async def test_a_certificate_nobody_trusts(wire: Any, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def script(request: bytes, reader: Any, writer: Any) -> None:
        raise AssertionError("the handshake must not get this far")

    async with wire.serving(script, tls[0]) as url:
        assert "certificate is not trusted" in str(await failure(url))


async def test_a_server_that_speaks_no_tls(wire: Any) -> None:
    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    error = await failure(f"wss://127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in str(error)
    server.close()


@pytest.mark.parametrize("url", ["http://a.invalid", "ws://", "nonsense", "ws://host:notaport", "wss://:443"])
async def test_an_address_that_is_none(url: str) -> None:
    error = await failure(url)
    assert error.fatal


async def test_a_proxy_that_is_not_there(unused_tcp_port: int) -> None:
    error = await failure("ws://venue.invalid", proxy=f"http://user:{SECRET}@127.0.0.1:{unused_tcp_port}")
    assert "venue.invalid:80" in str(error)


async def test_headers_are_sent_and_nothing_is_logged(wire: Any, inbox: Any, caplog: pytest.LogCaptureFixture) -> None:
    requests: list[bytes] = []

    async def script(request: bytes, reader: Any, writer: Any) -> None:
        requests.append(request)
        writer.write(wire.accept(request) + wire.frame(wire.TEXT, SECRET.encode()))
        await reader.read()

    with caplog.at_level(logging.DEBUG):
        logging.getLogger("websockets").setLevel(logging.DEBUG)
        async with wire.serving(script) as url:
            connection = await open_connection(url + PATH, on_frames=inbox, headers=HEADERS)
            await inbox.until(1)
            connection.abort()
    assert f"X-Api-Key: {SECRET}".encode() in requests[0]
    assert b"Sec-WebSocket-Extensions" not in requests[0]
    assert SECRET not in caplog.text


async def test_the_handshake_may_fall_into_any_two_reads(wire: Any) -> None:
    from websockets.client import ClientProtocol
    from websockets.uri import parse_uri

    from tickhive.transport.connection import Connection
    from tickhive.transport.links import FastLink

    class Memory(asyncio.Transport):
        written = b""

        def write(self, data: Any) -> None:
            self.written += data

        def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
            """Take any."""

        def is_closing(self) -> bool:
            return False

    for cut in range(1, 400, 3):
        got: list[bytes] = []
        connection = Connection("ws://memory:80", got.extend)
        protocol = ClientProtocol(parse_uri("ws://memory/"), max_size=1000)
        link = FastLink(protocol, owner=connection, max_size=1000)
        transport = Memory()
        link.connection_made(transport)
        shaking = asyncio.create_task(link.handshake())
        await asyncio.sleep(0)
        stream = wire.accept(transport.written) + wire.frame(1, b"a" * 200) + wire.frame(9, b"") + wire.frame(2, b"b")
        link.data_received(stream[:cut])
        if cut < len(stream):
            link.data_received(stream[cut:])
        connection.release()
        await shaking
        assert got == [b"a" * 200, b"b"], cut
        link.connection_lost(None)


@pytest.mark.parametrize(
    ("header", "date", "seconds"),
    [
        (None, None, None),
        ("5", None, 5.0),
        (" 1.5 ", None, 1.5),
        ("-3", None, 0.0),
        ("1e99", None, 86_400.0),
        ("nan", None, None),
        ("soon", None, None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:07 GMT", 30.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None, 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "whenever", 0.0),
    ],
)
def test_retry_after(header: str | None, date: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, date) == seconds


def test_importing_costs_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys, tickhive.transport, tickhive.fetching, tickhive.tasks, tickhive.redaction, tickhive.budget;"
        "print([name for name in ('websockets', 'httpx', 'structlog') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
