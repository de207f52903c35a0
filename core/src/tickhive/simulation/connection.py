"""One client's socket at the server: WebSocket by the library, plain HTTP requests (with bodies) beside it.

The library answers plain requests only without a body and only for the handshake's sake; here the head of a connection
is read first, and what asks for no upgrade is answered as HTTP/1.1, one request a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection
from websockets.protocol import OPEN

from tickhive.plugin.contract import Answer

if TYPE_CHECKING:
    from tickhive.simulation.server import VenueServer

MAX_HEAD = 64 * 1024
"""A request's head may be this long (bytes)."""

MAX_BODY = 16 * 1024 * 1024
"""A request's body may be this long (bytes)."""


class VenueSocket(ServerConnection):
    """A connection as the server keeps it: ``number`` is the venue's name for it, 0 until it is a WebSocket."""

    def __init__(self, *args: Any, owner: VenueServer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number = 0
        self.frozen = False
        self._owner = owner
        self._head: bytearray | None = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        super().connection_made(transport)
        if self._owner.refuses:
            self._owner.statistics.refused += 1
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes came in: to the library once it is known that a WebSocket is wanted."""
        if self.frozen:
            return
        if self._head is None:
            super().data_received(data)
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > MAX_HEAD:
                self._respond(Answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, b""))
            return
        try:
            method, path, headers = _parse_head(bytes(self._head[:end]))
            length = int(headers.get("content-length", "0"))
        except ValueError:
            self._respond(Answer(HTTPStatus.BAD_REQUEST, b"not an HTTP/1.1 request\n"))
            return
        if headers.get("upgrade", "").lower() == "websocket":
            received, self._head = bytes(self._head), None
            super().data_received(received)
            return
        if not 0 <= length <= MAX_BODY or "transfer-encoding" in headers:
            self._respond(Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"state a content-length\n"))
            return
        body = self._head[end + 4 :]
        if len(body) >= length:
            self._respond(self._owner.answer(method, path, headers, bytes(body[:length])))

    def write_frames(self, frames: list[str | bytes]) -> int:
        """Put frames on the wire in one write. Answers how many bytes wait in the send buffer afterwards."""
        if self.frozen or self.protocol.state is not OPEN:
            return 0
        if self.protocol.extensions:
            for frame in frames:
                if isinstance(frame, str):
                    self.protocol.send_text(frame.encode())
                else:
                    self.protocol.send_binary(frame)
            self.send_data()
        else:
            self.transport.write(b"".join(map(_frame, frames)))
        return self.transport.get_write_buffer_size()

    def hang_up(self, code: int | None, reason: str, patience: float) -> None:
        """Close. Without a code the line is cut; otherwise the client has ``patience`` seconds to answer the close."""
        if self.frozen:
            return
        if code is None or self.protocol.state is not OPEN:
            self.transport.abort()
            return
        self.protocol.send_close(code, reason)
        self.send_data()
        self.loop.call_later(patience, self.transport.abort)

    def _respond(self, answer: Answer) -> None:
        self._head = bytearray()
        self.frozen = True  # whatever else comes on this connection is not read
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Status"
        headers = {"content-type": "application/json", **answer.headers}
        headers |= {"content-length": str(len(answer.body)), "connection": "close"}
        lines = [f"HTTP/1.1 {answer.status:d} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        self.transport.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + answer.body)
        self.transport.close()


def _parse_head(head: bytes) -> tuple[str, str, Mapping[str, str]]:
    first, *rest = head.decode("latin-1").split("\r\n")
    method, path, version = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    headers = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(line)
        headers[name.strip().lower()] = value.strip()
    return method, path, headers


def _frame(frame: str | bytes) -> bytes:
    """A whole unmasked frame, as servers send them."""
    if isinstance(frame, str):
        opcode, payload = 0x81, frame.encode()
    else:
        opcode, payload = 0x82, frame
    length = len(payload)
    if length < 126:
        return bytes((opcode, length)) + payload
    if length < 65536:
        return bytes((opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + length.to_bytes(8, "big") + payload
