"""Frames as no venue would send them: cut, bent, of another venue, or no frames at all. A seed decides everything."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

FOREIGN = (
    b'{"feed":"heartbeat","stamp":"2026-01-01T00:00:00.000Z","lane":7}',
    b'{"verb":"tape","payload":[{"sym":"XQZ/ABC","p":1.25,"q":3,"w":"S"}],"lane":7}',
    b'[42,"zz",[["1.5","2","3"]],"lane"]',
    b'{"verb":"ledger","image":{"up":[["1","2"]],"down":[]},"lane":"a"}',
)
"""Well-formed frames of a venue that does not exist."""

GARBAGE = (
    b"", b" ", b"\x00", b"\xff\xfe\xfd", b"{", b"[", b'"', b"nul", b"{]", b"[" * 5_000, b'{"a":' * 3_000,
    b'"' + b"x" * 100_000 + b'"', b"\x1f\x8b\x08\x00garbage", b'{"\xff":1}', b"pin", b"Infinity", b"\xef\xbb\xbf{}",
)  # fmt: skip
"""What is no frame of anybody."""

BARE = (b"null", b"true", b"0", b"-1", b"1e999", b"[]", b"{}", b'""', b"[[]]", b"[null]", b"[{}]", b'{"":null}')
"""JSON that says nothing."""

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, -(10**30), 1e308, "", "x", "-", "NaN", "Infinity", "-1", "1e9999",
    "9" * 400, "\u0000", "\U0001f600", [], {}, [[]], [None], {"a": 1}, ["1"], [["1"]],
)  # fmt: skip
"""Values where others are expected."""


def mutations(frames: Sequence[bytes], chance: random.Random, count: int) -> Iterator[bytes]:
    """``count`` frames, each made of one of these by one of the ways to spoil it."""
    ways = (cut, cut, splice, flip, swap_value, swap_value, swap_value, drop_key, repeat_part)
    for _ in range(count):
        yield chance.choice(ways)(chance.choice(frames), frames, chance)


def cut(frame: bytes, frames: Sequence[bytes], chance: random.Random) -> bytes:
    """The beginning or the end is missing."""
    place = chance.randrange(len(frame) + 1)
    return frame[:place] if chance.random() < 0.8 else frame[place:]


def flip(frame: bytes, frames: Sequence[bytes], chance: random.Random) -> bytes:
    """Some bytes are others."""
    bent = bytearray(frame)
    for _ in range(chance.randint(1, 4)):
        if bent:
            bent[chance.randrange(len(bent))] = chance.randrange(256)
    return bytes(bent)


def splice(frame: bytes, frames: Sequence[bytes], chance: random.Random) -> bytes:
    """It begins as one frame and ends as another."""
    other = chance.choice(frames)
    return frame[: chance.randrange(len(frame) + 1)] + other[chance.randrange(len(other) + 1) :]


def repeat_part(frame: bytes, frames: Sequence[bytes], chance: random.Random) -> bytes:
    """A part comes twice."""
    begin, end = sorted((chance.randrange(len(frame) + 1), chance.randrange(len(frame) + 1)))
    return frame[:end] + frame[begin:]


def swap_value(frame: bytes, frames: Sequence[bytes], chance: random.Random) -> bytes:
    """One value is of another kind. Of a frame that is no JSON, some bytes are others."""

    def swap(holder: Any, key: Any) -> None:
        holder[key] = chance.choice(ODD)

    return _bent(frame, frames, chance, swap)


def drop_key(frame: bytes, frames: Sequence[bytes], chance: random.Random) -> bytes:
    """One value is missing."""

    def drop(holder: Any, key: Any) -> None:
        del holder[key]

    return _bent(frame, frames, chance, drop)


def _bent(frame: bytes, frames: Sequence[bytes], chance: random.Random, change: Callable[[Any, Any], None]) -> bytes:
    try:
        said = json.loads(frame)
    except (ValueError, RecursionError):
        return flip(frame, frames, chance)
    places = list(_places(said))
    if not places:
        return flip(frame, frames, chance)
    change(*chance.choice(places))
    return json.dumps(said, separators=(",", ":")).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a decoded frame that holds a value; of long lists only some."""
    if isinstance(value, dict):
        for key, each in list(value.items()):
            yield value, key
            yield from _places(each)
    elif isinstance(value, list):
        for index, each in enumerate(value[:5]):
            yield value, index
            yield from _places(each)
