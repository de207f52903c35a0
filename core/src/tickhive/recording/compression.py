"""How a recording is packed, by the ending of its name: ``.zst``, ``.gz``, or not at all."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tickhive.errors import RecordingError


class Packer(Protocol):
    """One compressed stream. What was given before a ``flush`` can be read though the stream never ends."""

    holds: bool
    """Whether some of what was given may wait for a ``flush``."""

    def pack(self, data: bytes) -> bytes:
        """Take more of the plain stream, give what is ready of the packed one."""

    def flush(self) -> bytes:
        """Give all that was taken."""

    def end(self) -> bytes:
        """Give the rest; nothing may follow."""


class _Plain:
    holds = False

    def pack(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""

    def end(self) -> bytes:
        return b""


class _Gzip:
    holds = True

    def __init__(self) -> None:
        self._stream = zlib.compressobj(wbits=31)

    def pack(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def flush(self) -> bytes:
        return self._stream.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._stream.flush()


class _Zstd:
    holds = True

    def __init__(self, zstandard: Any) -> None:
        self._stream = zstandard.ZstdCompressor().compressobj()
        self._block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def pack(self, data: bytes) -> bytes:
        packed: bytes = self._stream.compress(data)
        return packed

    def flush(self) -> bytes:
        packed: bytes = self._stream.flush(self._block)
        return packed

    def end(self) -> bytes:
        packed: bytes = self._stream.flush()
        return packed


def packer_of(path: Path) -> Callable[[], Packer]:
    """How to begin a stream in a file of this name; RecordingError when the package for it is not installed."""
    match path.suffix.lower():
        case ".gz":
            return _Gzip
        case ".zst":
            try:
                import zstandard
            except ImportError:
                raise RecordingError(
                    f"{path}: writing .zst needs the zstandard package: pip install tickhive[zstd], or name it .gz"
                ) from None
            return lambda: _Zstd(zstandard)
    return _Plain
