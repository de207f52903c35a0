"""Servers on loopback whose every byte a test decides, and certificates for them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import shutil
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0, mask: bool = False) -> bytes:
    """One frame as a server writes it."""
    size = len(payload)
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    masked = 0x80 if mask else 0
    if size < 126:
        head = bytes([first, masked | size])
    elif size < 65536:
        head = bytes([first, masked | 126]) + struct.pack("!H", size)
    else:
        head = bytes([first, masked | 127]) + struct.pack("!Q", size)
    return head + (b"\0\0\0\0" if mask else b"") + payload


def accept(request: bytes, extra: bytes = b"") -> bytes:
    """The response that accepts a WebSocket handshake."""
    [key] = [
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    ]
    digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\n" + extra + b"\r\n"
    )


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Opcode and payload of one frame a client wrote."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", await reader.readexactly(8))
    assert second & 0x80, "clients must mask"
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    return first & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


Script = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that runs ``script(request, reader, writer)`` for each connection; gives its address."""

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await script(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        with contextlib.suppress(Exception):
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'wss' if context else 'ws'}://127.0.0.1:{port}"
    finally:
        server.close()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own, and a client's that trusts it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is needed to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))


class Inbox:
    """What a connection handed over, and a way to wait for it."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.calls = 0
        self._changed = asyncio.Event()

    def __call__(self, frames: list[bytes]) -> None:
        assert frames
        assert all(type(each) is bytes for each in frames)
        self.calls += 1
        self.frames += frames
        self._changed.set()

    async def until(self, count: int) -> list[bytes]:
        """Wait until ``count`` frames came."""
        async with asyncio.timeout(20):
            while len(self.frames) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.frames


@pytest.fixture
async def inbox() -> Inbox:
    """A receiver of frames."""
    return Inbox()


class Wire:
    """The helpers of this folder, as one fixture: test modules are not importable from each other."""

    TEXT, BINARY, CONT, CLOSE, PING, PONG = TEXT, BINARY, CONT, CLOSE, PING, PONG
    frame = staticmethod(frame)
    accept = staticmethod(accept)
    read_frame = staticmethod(read_frame)
    serving = staticmethod(serving)


@pytest.fixture(scope="session")
def wire() -> type[Wire]:
    """Frames and servers."""
    return Wire
