"""One open WebSocket as the rooms above see it: send now, be told every read, learn once why it ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from tickhive.errors import ConnectionLost
from tickhive.redaction import _sanitize_error

Mode: TypeAlias = Literal["fast", "plain"]
OnFrames: TypeAlias = Callable[[list[bytes]], None]

MAX_UNSENT = 4 * 1024 * 1024
"""Bytes that may wait to be sent. A venue that does not take a few requests any more is not there any more."""

_INTERNAL_ERROR = 1011
_CODES = {
    1000: "normal",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no code given",
    1006: "abnormal",
    1007: "invalid data",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension missing",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
}


class CloseFrame(Protocol):
    """The code and reason of a close frame."""

    code: int
    reason: str


class Link(Protocol):
    """What a ``Connection`` needs of the socket below it. All calls but ``finish`` return at once."""

    def is_open(self) -> bool:
        """Whether frames may be sent."""

    def write_text(self, payload: bytes) -> None:
        """Send one text frame."""

    def write_binary(self, payload: bytes) -> None:
        """Send one binary frame."""

    def write_ping(self, payload: bytes) -> None:
        """Send a ping."""

    def unsent(self) -> int:
        """Bytes accepted but not yet given to the system."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Go on reading."""

    def fail(self, code: int, reason: str) -> None:
        """Send a close frame if that is possible at once, and cut the line."""

    def cut(self) -> None:
        """Cut the line."""

    async def finish(self, code: int, reason: str) -> None:
        """Do the closing handshake, within a bound."""

    def closing(self) -> tuple[CloseFrame | None, CloseFrame | None, bool]:
        """The close frames received and sent, and whether the received one came first."""

    def trouble(self) -> BaseException | None:
        """What broke the line or the protocol, if anything did."""


class Connection:
    """An open WebSocket.

    ``on_frames`` gets a non-empty list of messages (text and binary alike, as bytes) straight from the read that
    brought them. It is not called before whoever awaits ``open_connection`` had its turn, nor after ``closed`` is done.
    When it raises, the connection is closed with 1011 and ``closed`` tells the error. ``closed`` resolves exactly once,
    with a ``ConnectionLost`` as its result.

    Pongs are no frames: ``pongs`` counts them and ``on_pong`` is called for each, so that a quiet but answering venue
    can be told from a dead one. While reading is paused pings of the server are not answered either.
    """

    __slots__ = (
        "_error", "_held", "_link", "_lost", "_on_frames", "_on_pong", "bytes_received", "bytes_sent", "closed",
        "frames_received", "frames_sent", "peer", "pings", "pongs", "reads",
    )  # fmt: skip

    def __init__(self, peer: str, on_frames: OnFrames, on_pong: Callable[[], object] | None = None) -> None:
        self.peer = peer
        """Scheme, host and port of the other side."""
        self.closed: asyncio.Future[ConnectionLost] = asyncio.get_running_loop().create_future()
        self.reads = 0
        """How often ``on_frames`` was called."""
        self.frames_received = 0
        self.bytes_received = 0
        """Bytes read off the line, after TLS, the handshake included."""
        self.frames_sent = 0
        self.bytes_sent = 0
        self.pings = 0
        """Pings sent by ``ping``; those of the library's own keepalive are not counted."""
        self.pongs = 0
        """Pongs received."""
        self._on_frames = on_frames
        self._on_pong = on_pong
        self._link: Link | None = None
        self._held: list[bytes] | None = []
        self._lost = False
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.peer} {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether frames may be sent: false from the moment either side began to close."""
        return self._link is not None and not self._lost and self._link.is_open()

    def send(self, frame: str | bytes) -> None:
        """Send ``str`` as a text frame, ``bytes`` as a binary one, without waiting.

        Raises ``ConnectionLost`` when the connection is closing or closed, and when the other side has not taken what
        was sent before (then it is cut).
        """
        link = self._writable()
        if isinstance(frame, str):
            payload = frame.encode()
            link.write_text(payload)
        else:
            payload = bytes(frame)
            link.write_binary(payload)
        self.frames_sent += 1
        self.bytes_sent += len(payload)
        if link.unsent() > MAX_UNSENT:
            self._error = ConnectionLost(f"{self.peer} takes nothing any more: over {MAX_UNSENT} bytes wait to be sent")
            link.cut()
            raise self._error

    def ping(self) -> None:
        """Send a WebSocket ping. The pong is counted in ``pongs``. Raises ``ConnectionLost`` as ``send`` does."""
        self._writable().write_ping(os.urandom(4))
        self.pings += 1

    def pause_reading(self) -> None:
        """Stop reading from the socket, so that the system's buffers fill and the venue is held back."""
        if self._link is not None and not self._lost:
            self._link.pause()

    def resume_reading(self) -> None:
        """Go on reading."""
        if self._link is not None and not self._lost:
            self._link.resume()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Do the closing handshake within a bound, and wait for the end. Frames that still come are handed over."""
        if self._link is not None:
            self.resume_reading()
            await self._link.finish(code, reason)
        await asyncio.shield(self.closed)

    def abort(self) -> None:
        """Cut the line without a closing handshake; ``closed`` resolves soon after."""
        if self._link is not None:
            self._link.cut()

    # What links and open_connection call.

    def attach(self, link: Link) -> None:
        """Name the socket below."""
        self._link = link

    def deliver(self, frames: list[bytes]) -> None:
        """Hand over what one read brought."""
        if self._held is not None:
            self._held += frames
            return
        if self._error is not None or self.closed.done():
            return
        self.reads += 1
        self.frames_received += len(frames)
        try:
            self._on_frames(frames)
        except Exception as error:
            self._fail(error)

    def ponged(self) -> None:
        """Count a pong."""
        self.pongs += 1
        if self._on_pong is not None:
            try:
                self._on_pong()
            except Exception as error:
                self._fail(error)

    def release(self) -> None:
        """Hand over what came before the opener had its turn."""
        held, self._held = self._held, None
        if held:
            self.deliver(held)
        if self._lost:
            self._resolve()

    def broke(self, error: Exception) -> None:
        """The link itself failed."""
        if self._error is None:
            self._error = error

    def lost(self) -> None:
        """The line is gone."""
        self._lost = True
        if self._held is None:
            self._resolve()

    def _writable(self) -> Link:
        link = self._link
        if link is None or self._lost or not link.is_open():
            raise self.closed.result() if self.closed.done() else ConnectionLost(f"{self.peer} is closing")
        return link

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        if self._link is not None:
            self._link.fail(_INTERNAL_ERROR, "internal error")

    def _resolve(self) -> None:
        if self.closed.done():
            return
        lost = self._explain()
        if self._error is not lost:
            lost.__cause__ = self._error
        self.closed.set_result(lost)
        # The link and the receiver refer to this one too: nobody has to wait for the garbage collector to part them.
        self._link = self._on_pong = None
        self._on_frames = _nobody

    def _explain(self) -> ConnectionLost:
        if isinstance(self._error, ConnectionLost):
            return self._error
        if self._error is not None:
            told = _sanitize_error(self._error)
            return ConnectionLost(
                f"{self.peer} was closed because the receiver of its frames failed: {told}", code=_INTERNAL_ERROR
            )
        assert self._link is not None
        received, sent, received_first = self._link.closing()
        if received is not None and (received_first or sent is None or sent.code == received.code):
            ours = f"the connection to {self.peer} was closed"
            who = f"{self.peer} closed the connection" if received_first else ours
            return ConnectionLost(f"{who}: {_close_text(received)}", code=received.code)
        if sent is not None:
            return ConnectionLost(f"the connection to {self.peer} was closed: {_close_text(sent)}", code=sent.code)
        trouble = self._link.trouble()
        told = "" if trouble is None or isinstance(trouble, EOFError) else f": {_sanitize_error(trouble)}"
        return ConnectionLost(f"the line to {self.peer} was cut without a closing handshake{told}")


def _nobody(_frames: list[bytes]) -> None:
    """Who receives frames after the end."""


def _close_text(close: CloseFrame) -> str:
    code = f"{close.code} ({_CODES[close.code]})" if close.code in _CODES else f"{close.code}"
    reason = _sanitize_error(close.reason)
    return f"code {code}, reason {reason!r}" if reason else f"code {code}"
