"""The two ways to read a WebSocket, both on the ``websockets`` library: it shakes hands, we take the frames.

Only this module and ``opening`` import ``websockets`` (15 or newer), and only when a connection is opened.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from tickhive.errors import ConnectionLost
from tickhive.transport.connection import CloseFrame, Connection
from tickhive.transport.frames import FrameSplitter

_HEADERS_END = b"\r\n\r\n"
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class StraightConnect(connect):
    """The library's opener, which does not carry our headers to wherever a server points."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none."""
        return exc


class LibraryLink(ClientConnection):
    """What both ways share: writing, closing with a deadline, and telling the ``Connection`` what happened."""

    def __init__(self, *args: Any, owner: Connection, max_size: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self.owner = owner
        self.max_size = max_size
        self._deadline: asyncio.TimerHandle | None = None
        self._context = contextvars.copy_context()
        owner.attach(self)

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """Let the library read."""
        self.owner.bytes_received += len(data)
        self.read_by_library(data)

    def read_by_library(self, data: bytes) -> None:
        """Give the library these bytes."""
        super().data_received(data)
        if self.protocol.close_expected():
            self._bound_closing()

    def process_event(self, event: Any) -> None:
        """Count pongs; everything is the library's."""
        opened = self.response is not None
        super().process_event(event)
        if opened and event.opcode is Opcode.PONG:
            self.owner.ponged()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock and tell the ``Connection``."""
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.line_lost()

    def line_lost(self) -> None:
        """The line is gone; nothing more will be read."""
        self.owner.lost()

    # What a Connection asks of its link

    def is_open(self) -> bool:
        """Whether frames may be sent."""
        return self.protocol.state is State.OPEN and not self.transport.is_closing()

    def write_text(self, payload: bytes) -> None:
        """Send one text frame."""
        self.protocol.send_text(payload)
        self._flush()

    def write_binary(self, payload: bytes) -> None:
        """Send one binary frame."""
        self.protocol.send_binary(payload)
        self._flush()

    def write_ping(self, payload: bytes) -> None:
        """Send a ping."""
        self.protocol.send_ping(payload)
        self._flush()

    def unsent(self) -> int:
        """Bytes accepted but not yet given to the system."""
        return self.transport.get_write_buffer_size()

    def pause(self) -> None:
        """Stop reading."""
        self.transport.pause_reading()

    def resume(self) -> None:
        """Go on reading, in the context of whoever opened the connection: asyncio reads in that of who resumes."""
        self._context.run(self.transport.resume_reading)

    def fail(self, code: int, reason: str) -> None:
        """Send a close frame if that is possible at once, and cut the line."""
        if self.protocol.state is State.OPEN:
            self.protocol.fail(code, reason)
            self._flush()
        self.transport.abort()

    def cut(self) -> None:
        """Cut the line."""
        self.transport.abort()

    async def finish(self, code: int, reason: str) -> None:
        """Do the closing handshake within the library's ``close_timeout``."""
        await self.close(code, reason)

    def closing(self) -> tuple[CloseFrame | None, CloseFrame | None, bool]:
        """The close frames received and sent, and whether the received one came first."""
        protocol = self.protocol
        return protocol.close_rcvd, protocol.close_sent, bool(protocol.close_rcvd_then_sent)

    def trouble(self) -> BaseException | None:
        """What broke the line or the protocol, if anything did."""
        exc = self.protocol.close_exc
        return getattr(self, "connection_exc", None) or getattr(self, "recv_exc", None) or exc.__cause__

    def _flush(self) -> None:
        try:
            self.send_data()
        except Exception as error:
            self.transport.abort()
            raise ConnectionLost(f"{self.owner.peer} cannot be written to: {type(error).__name__}") from error

    def _bound_closing(self) -> None:
        # The library leaves it to the server to end the line once close frames are exchanged, for ever if need be.
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.close_timeout or 0.0, self.transport.abort)


class FastLink(LibraryLink):
    """Cuts plain frames out of each read by itself and hands over all of them in one call."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._splitter = FrameSplitter(self._other_frame, self.max_size)
        self._handshaking = True
        self._headers_seen = False
        self._tail = b""
        self._fragments = bytearray()
        self._out: list[bytes] = []

    def line_lost(self) -> None:
        """The line is gone; the splitter, which refers back to this, is not needed any more."""
        del self._splitter
        super().line_lost()

    def data_received(self, data: bytes) -> None:
        """Take what the system read."""
        self.owner.bytes_received += len(data)
        out: list[bytes] = []
        self._out = out
        if self._handshaking:
            data = self._shake(data)
        if data:
            self._splitter.split(data, out)
            if out:
                self.owner.deliver(out)

    def _shake(self, data: bytes) -> bytes:
        """Give the library its handshake and nothing more; answers what follows it.

        A response that refuses the upgrade may have a body; the library reads all of that.
        """
        if self._headers_seen:
            self.read_by_library(data)
            return b""
        seen = self._tail + data
        end = seen.find(_HEADERS_END)
        if end < 0:
            self._tail = seen[-3:]
            self.read_by_library(data)
            return b""
        self._headers_seen = True
        rest = end + len(_HEADERS_END) - len(self._tail)
        self.read_by_library(data[:rest])
        if self.protocol.state is State.OPEN:
            self._handshaking = False
            return data[rest:]
        if rest < len(data):
            self.read_by_library(data[rest:])
        return b""

    def _other_frame(self, data: bytes) -> bool:
        self.read_by_library(data)
        return self.protocol.state is State.OPEN

    def process_event(self, event: Any) -> None:
        """Put messages the library assembled where they belong among the others; the rest is the library's."""
        if self.response is None or not isinstance(event, Frame) or event.opcode not in _DATA:
            super().process_event(event)
            return
        if event.fin and not self._fragments:
            self._out.append(bytes(event.data))
            return
        self._fragments += event.data
        if event.fin:
            self._out.append(bytes(self._fragments))
            self._fragments = bytearray()


class PlainLink(LibraryLink):
    """Leaves all frames to the library and takes one message at a time from its ``recv``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading = asyncio.Event()
        self._reading.set()
        self._pump: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take messages."""
        self._pump = self.loop.create_task(self._run(), name=f"reader of {self.owner.peer}")

    async def _run(self) -> None:
        try:
            while True:
                message = await self.recv(decode=False)
                await self._reading.wait()
                self.owner.deliver([message])
        except ConnectionClosed:
            pass
        except Exception as error:
            self.owner.broke(error)
            self.transport.abort()
            await self.wait_closed()
        finally:
            self.owner.lost()

    def pause(self) -> None:
        """Stop taking messages; the library stops reading when its queue is full."""
        self._reading.clear()

    def resume(self) -> None:
        """Go on taking messages."""
        self._reading.set()

    def line_lost(self) -> None:
        """Let the reader come to its end; it tells once the last message was handed over."""
        self._reading.set()
