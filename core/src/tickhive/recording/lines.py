"""How the lines of a recording are written: our own form, as the reader reads it."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points, version

import msgspec

from tickhive.recording.reader import FORMAT, Line

_json = msgspec.json.Encoder().encode
_REMOVED = b'"***"'


def header(recording: str, part: int) -> bytes:
    """The first line: by what it was written, and which part of which recording it is."""
    about = {"tickhive": "recording", "format": FORMAT, "versions": _versions(), "recording": recording, "part": part}
    return _json(about) + b"\n"


@functools.cache
def _versions() -> dict[str, str]:
    """Of tickhive and of the installed exchange packages; none is imported."""
    packages = [point.dist for point in entry_points(group="tickhive.exchanges") if point.dist is not None]
    found = {package.name: package.version for package in packages}
    return {"tickhive": version("tickhive"), **dict(sorted(found.items()))}


def rows(
    at: int | None,
    kind: str,
    direction: str,
    url: str,
    connection: int,
    frames: Sequence[bytes | str],
    status: int | None = None,
    mask: Callable[[str], str] | None = None,
) -> bytes:
    """One line for each frame. Text is written as it is, what is no UTF-8 as base64; ``mask`` takes secrets out."""
    t = b"null" if at is None else b"%d" % at
    end = b"}\n" if status is None else b',"status":%d}\n' % status
    head = b'{"t":%b,"dir":"%b","kind":"%b","url":%b,"conn":%d,' % (
        t, direction.encode(), kind.encode(), _json(url), connection,
    )  # fmt: skip
    return b"".join(head + _content(frame, mask) + end for frame in frames)


def again(line: Line) -> bytes:
    """A line that was read, as it is written."""
    return rows(line.t, line.kind, line.direction, line.url, line.connection, [line.frame], line.status)


def _content(frame: bytes | str, mask: Callable[[str], str] | None) -> bytes:
    if isinstance(frame, bytes):
        try:
            text = frame.decode()
        except UnicodeDecodeError:
            if mask is not None:
                return b'"text":' + _REMOVED  # what cannot be read cannot be searched for secrets
            return b'"base64":"%b"' % base64.b64encode(frame)
    else:
        text = frame
    text = text if mask is None else mask(text)
    try:
        return b'"text":' + _json(text)
    except UnicodeEncodeError:  # JSON of a venue may spell half a character
        return b'"text":' + _json(text.encode("utf-8", "replace").decode())
