"""Splits what a WebSocket server sends into frames, and keeps the plain ones from costing more than a slice.

Sans-IO. A plain frame is a whole message in one uncompressed, unmasked text or binary frame: nearly everything a
venue sends. Its payload is cut straight out of the bytes that were read. Every other frame is handed on whole, exactly
once and in its place, to whoever implements the rest of the protocol (RFC 6455, sections 5.2 to 5.5).
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

_TEXT = 0x81
_BINARY = 0x82
_FIN = 0x80
_RSV2_RSV3 = 0x30
_OPCODE = 0x0F
_CONTROL = 0x08
_MASKED = 0x80
_MANY_CHUNKS = 1024

# The first two bytes of a header as one number: text or binary, final, and a length that is short or 16 bits wide.
_SHORT_TEXT = 0x8100
_WIDE_TEXT = 0x817E
_WIDE_BINARY = 0x827E
_TWO_SHORTS = Struct("!HH").unpack_from


class FrameSplitter:
    """One connection's incoming bytes, from the first one after the handshake.

    ``other(data)`` takes a frame that is not plain, header included, and may append messages to the list that the
    running ``split`` was given. When it answers False the protocol has left its open state: from then on everything
    goes to ``other`` as it comes. The same happens from a frame on that breaks the protocol (masked, reserved bits) or
    is longer than ``max_size`` bytes: its header alone suffices to refuse it.

    Text is not checked to be UTF-8: whoever parses it finds out.
    """

    __slots__ = ("_chunks", "_fragmented", "_head", "_max_size", "_missing", "_other", "_plain", "open")

    def __init__(self, other: Callable[[bytes], bool], max_size: int) -> None:
        self._other = other
        self._max_size = max_size
        self._head = b""  # the beginning of a frame whose header is not complete
        self._chunks: list[bytes] = []  # the beginning of a frame whose length is known
        self._missing = 0  # what that frame lacks
        self._plain = False  # whether _chunks is the payload of a plain frame, or a whole other frame
        self._fragmented = False  # whether a fragmented message has begun and not ended
        self.open = True

    def split(self, data: bytes, out: list[bytes]) -> None:
        """Append to ``out`` the payload of every message that ``data`` completes."""
        if not self.open:
            self._other(data)
            return
        pos = 0
        if self._chunks:
            pos = self._continue(data, out)
            if pos < 0:
                return
        elif self._head:
            data = self._head + data
            self._head = b""
        end = len(data)
        last = end - 4
        max_size = self._max_size
        append = out.append
        plain = not self._fragmented
        while pos < end:
            # The hot loop: plain frames of up to 64 KiB that lie within this read, two bytes of header at a time.
            while pos <= last and plain:
                head, size = _TWO_SHORTS(data, pos)
                if head == _WIDE_TEXT or head == _WIDE_BINARY:  # noqa: SIM109 - a tuple costs more
                    start = pos + 4
                elif _SHORT_TEXT <= head < _WIDE_TEXT:
                    start = pos + 2
                    size = head - _SHORT_TEXT
                else:
                    break
                stop = start + size
                if stop > end or size > max_size:
                    break
                append(data[start:stop])
                pos = stop
            if pos == end:
                return
            pos = self._any_frame(data, pos, end, out)
            if pos < 0:
                return
            plain = not self._fragmented

    def _any_frame(self, data: bytes, pos: int, end: int, out: list[bytes]) -> int:
        """Take the frame at ``pos``, whatever it is; answers where the next begins, -1 when nothing is left to do."""
        if end - pos < 2:
            return self._keep_head(data, pos)
        first = data[pos]
        size = data[pos + 1]
        start = pos + 2
        if size == 126:
            start = pos + 4
            if start > end:
                return self._keep_head(data, pos)
            size = data[pos + 2] << 8 | data[pos + 3]
        elif size == 127:
            start = pos + 10
            if start > end:
                return self._keep_head(data, pos)
            size = int.from_bytes(data[pos + 2 : start], "big")
        elif size & _MASKED:
            # Which a server must not do; the rest of the header does not matter.
            return self._surrender(data[pos:])
        if size > self._max_size or first & _RSV2_RSV3:
            return self._surrender(data[pos:])
        stop = start + size
        if first in (_TEXT, _BINARY) and not self._fragmented:
            if stop > end:
                return self._begin(data[start:], stop - end, plain=True)
            out.append(data[start:stop])
            return stop
        if stop > end:
            return self._begin(data[pos:], stop - end, plain=False)
        if self._hand_on(data[pos:stop]):
            return stop
        return self._surrender(data[stop:])

    def _keep_head(self, data: bytes, pos: int) -> int:
        self._head = data[pos:]
        return -1

    def _begin(self, beginning: bytes, missing: int, *, plain: bool) -> int:
        self._chunks.append(beginning)
        self._missing = missing
        self._plain = plain
        return -1

    def _continue(self, data: bytes, out: list[bytes]) -> int:
        """Add to the unfinished frame; answers where in ``data`` the next one begins, -1 for not within it."""
        missing = self._missing
        if len(data) < missing:
            self._chunks.append(data)
            self._missing = missing - len(data)
            if len(self._chunks) > _MANY_CHUNKS:
                self._chunks = [b"".join(self._chunks)]
            return -1
        self._chunks.append(data if len(data) == missing else data[:missing])
        whole = b"".join(self._chunks)
        self._chunks = []
        if self._plain:
            out.append(whole)
        elif not self._hand_on(whole):
            return self._surrender(data[missing:])
        return missing

    def _hand_on(self, frame: bytes) -> bool:
        if not frame[0] & _CONTROL:
            # The last fragment, or a compressed message in one frame, ends what a frame without FIN began.
            self._fragmented = not frame[0] & _FIN
        return self._other(frame)

    def _surrender(self, rest: bytes) -> int:
        self.open = False
        if rest:
            self._other(rest)
        return -1
