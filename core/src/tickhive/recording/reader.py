"""Reads a recording: what went over the wire, line by line, exactly as it was received.

A recording is JSON lines, plain, gzipped (``.gz``) or zstd-compressed (``.zst``). Two forms are read.

Our own form begins with a header line and counts time in integer nanoseconds::

    {"tickhive": "recording", "format": 1, "versions": {"tickhive": "0.1.0", "tickhive-acme": "0.1.0"}}
    {"t": 1652459222129347000, "dir": "in", "kind": "ws", "url": "wss://ws.acme.test/v1", "conn": 1, "text": "{...}"}

Instead of ``text`` a binary frame has ``base64``; http lines have ``status``. The text of a ``close`` line is the
reason, that of a ``carries`` line (after ``connect``, and whenever it changes) says which channels the socket is there
for, that of a ``note`` what is missing from the recording. A ``tick`` says that a deadline of the socket's session
came, a ``pong`` that a ping was answered. The header names the ``recording``, and which ``part`` of it the file is.

The shared form has no header, ``t`` in seconds with a fraction (null where unknown) and the raw text in ``frame``.
Its seconds are read from their decimal text, never through a binary float, so the nanoseconds are exact.

A recorder that crashed leaves half a line (or half a compressed block) at the end. That is told through ``on_note``
and everything before it is read; any other damage is a RecordingError naming file, line and what was seen.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
from attrs import define

from tickhive.errors import RecordingError

FORMAT = 1
"""The version of our own form that this reader knows."""

MAX_LINE = 256 * 1024 * 1024
"""No line may be longer than this (bytes): a damaged file must not eat the memory."""

Direction: TypeAlias = Literal["in", "out"]
Kind: TypeAlias = Literal["ws", "http", "connect", "carries", "tick", "pong", "close", "note"]

_CHUNK = 64 * 1024


@define
class Line:
    """One thing that crossed the wire.

    ``t`` is when, ns UTC (None: unknown). ``connection`` numbers the socket within the recording. ``frame`` is the
    raw frame (http: the answer's body; close: the reason; carries: JSON; note: a sentence; others: empty). ``number``
    is its line in the file.
    """

    t: int | None
    direction: Direction
    kind: Kind
    url: str
    connection: int
    status: int | None
    frame: bytes
    number: int


class _Row(msgspec.Struct):
    """A line as it is written, in either form."""

    direction: Direction = msgspec.field(name="dir")
    kind: Kind
    url: str
    t: msgspec.Raw = msgspec.Raw(b"null")
    connection: int = msgspec.field(name="conn", default=0)
    status: int | None = None
    frame: str | None = None
    text: str | None = None
    base64: str | None = None


class _Header(msgspec.Struct):
    """The first line of our own form."""

    tickhive: Literal["recording"]
    format: int
    versions: dict[str, str] = {}
    recording: str = ""
    part: int = 1


class _Decompressor(Protocol):
    """What zlib and zstandard have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end of the compressed stream was seen."""

    @property
    def unused_data(self) -> bytes:
        """What followed the end of the compressed stream."""

    def decompress(self, data: bytes, /) -> bytes:
        """Give more of the compressed stream, take more of the plain one."""


def read_recording(path: Path | str, *, on_note: Callable[[str], None] | None = None) -> Iterator[Line]:
    """Yield the lines of a recording in the order of the file.

    ``on_note`` is told of an end cut short, in a sentence naming the file; without it the sentence is logged as a
    warning. Raises RecordingError for a file that is absent, damaged, of a newer format, or not a recording.
    """
    path = Path(path)
    note = on_note or _log_note
    own = False
    number = 0
    for number, line, complete in _lines(path, note):
        if number == 1 and _is_header(line):
            own = _read_header(path, line)
            continue
        try:
            decoded = _line(line, number, own)
        except (msgspec.MsgspecError, ValueError, ArithmeticError) as error:
            if not complete:
                note(f"{path}: line {number} is cut short, as a recorder that crashed leaves it; all before was read")
                return
            raise RecordingError(
                f"{path}, line {number}: not a line of a recording ({error}); it begins {_excerpt(line)}"
            ) from error
        yield decoded
    if number == 0:
        raise RecordingError(f"{path}: the file holds no line; a recording has one JSON object per line")


def recording_of(path: Path) -> str:
    """Which recording a file is a part of, as its header says; "" where it does not."""
    for _, line, complete in _lines(path, lambda _: None):
        return _decode_header(line).recording if complete and _is_header(line) else ""
    return ""


_decode_row = msgspec.json.Decoder(_Row).decode
_decode_header = msgspec.json.Decoder(_Header).decode


def _is_header(line: bytes) -> bool:
    return b'"tickhive"' in line[:200]


def _read_header(path: Path, line: bytes) -> bool:
    try:
        header = _decode_header(line)
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{path}, line 1: not the header of a recording ({error})") from error
    if header.format > FORMAT:
        raise RecordingError(
            f"{path}: format {header.format} is newer than this tickhive, which reads up to {FORMAT}; "
            f"it was written by tickhive {header.versions.get('tickhive', '(unknown version)')}: upgrade to it"
        )
    return True


def _line(text: bytes, number: int, own: bool) -> Line:
    row = _decode_row(text)
    at = _nanoseconds(row.t, own)
    return Line(at, row.direction, row.kind, row.url, row.connection, row.status, _frame(row), number)


def _nanoseconds(raw: msgspec.Raw, own: bool) -> int | None:
    text = bytes(raw).decode()
    if text == "null":
        return None
    if own:
        return int(text)
    seconds = Decimal(text)
    if not Decimal(0) <= seconds < Decimal(10) ** 10:
        raise ValueError(f"t is {text[:30]}, not seconds since 1970")
    return int(seconds.scaleb(9))


def _frame(row: _Row) -> bytes:
    if row.base64 is not None:
        try:
            return base64.b64decode(row.base64, validate=True)
        except binascii.Error as error:
            raise ValueError(f"base64: {error}") from None
    text = row.frame if row.frame is not None else row.text
    return text.encode() if text is not None else b""


def _lines(path: Path, note: Callable[[str], None]) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (number, line, complete) for every line that is not blank; only the last can be incomplete."""
    number = 0
    parts: list[bytes] = []
    held = 0
    for chunk in _chunks(path, note):
        begin = 0
        while (end := chunk.find(b"\n", begin)) >= 0:
            parts.append(chunk[begin:end])
            begin = end + 1
            line = b"".join(parts)
            parts.clear()
            held = 0
            number += 1
            if line.strip():
                yield number, line, True
        rest = chunk[begin:]
        if rest:
            parts.append(rest)
            held += len(rest)
            if held > MAX_LINE:
                raise RecordingError(f"{path}, line {number + 1}: longer than {MAX_LINE} bytes; this is no recording")
    line = b"".join(parts)
    if line.strip():
        yield number + 1, line, False


def _chunks(path: Path, note: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the plain bytes of the file, decompressed by its name's ending."""
    make = {".gz": _gzip, ".zst": _zstd}.get(path.suffix.lower())
    try:
        with path.open("rb") as file:
            raw = iter(lambda: file.read(_CHUNK), b"")
            yield from raw if make is None else _decompressed(path, raw, make(path), note)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror or error})") from error


def _decompressed(
    path: Path, raw: Iterator[bytes], make: Callable[[], _Decompressor], note: Callable[[str], None]
) -> Iterator[bytes]:
    """Decompress a file of one or more compressed streams, one after the other."""
    stream = make()
    fed = False
    for chunk in raw:
        data = chunk
        while data:
            if stream.eof:
                stream = make()
            try:
                plain = stream.decompress(data)
            except Exception as error:  # zstandard is optional, so its error class cannot be named here
                raise RecordingError(f"{path}: damaged compressed data ({error}); fetch the file again") from error
            fed = True
            data = stream.unused_data if stream.eof else b""
            if plain:
                yield plain
    if fed and not stream.eof:
        note(f"{path}: ends inside its compressed data, as a recorder that crashed leaves it; all before was read")


def _gzip(path: Path) -> Callable[[], _Decompressor]:
    return lambda: zlib.decompressobj(wbits=31)


def _zstd(path: Path) -> Callable[[], _Decompressor]:
    try:
        import zstandard
    except ImportError:
        raise RecordingError(f"{path}: reading .zst needs the zstandard package: pip install tickhive[zstd]") from None
    decompressor: Any = zstandard.ZstdDecompressor()
    return lambda: decompressor.decompressobj()


def _excerpt(line: bytes) -> str:
    return repr(line[:60].decode("utf-8", "backslashreplace"))


def _log_note(sentence: str) -> None:
    from tickhive.logs import get_logger

    get_logger("tickhive.recording").warning(sentence)
