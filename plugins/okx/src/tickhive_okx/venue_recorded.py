"""A recording of OKX served again: every stream from its beginning to whoever subscribes, REST answers as recorded."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from attrs import Factory, define

from tickhive.channels import DataType
from tickhive.plugin.contract import Answer
from tickhive.recording import read_recording
from tickhive_okx.venue_channels import CHANNELS, Frame, Key, key_of
from tickhive_okx.venue_listing import MILLISECOND, symbol_of
from tickhive_okx.venue_rest import failure

SETTLE = 250 * MILLISECOND
"""Streams that one connection subscribes to within this time begin together, in the recorded order, ns."""

_BURST = 500
"""So many recorded frames are taken at one step, so that a client can read while the next are prepared."""


@define
class _Playback:
    """The streams of one connection that began together; ``next`` is the index of the frame that is due next."""

    connection: int
    origin: int
    keys: set[Key]
    next: int = 0


class _Push(msgspec.Struct):
    arg: dict[str, Any]
    data: list[Any]


class _Listed(msgspec.Struct):
    data: list[dict[str, Any]]


@define
class RecordedSource:
    """The frames of a recording. ``speed`` times the recorded pace; 0 or infinity: as fast as possible.

    ``send`` takes a frame for one connection.
    """

    path: Path
    speed: float
    send: Callable[[int, Key, Frame], None]
    frames: list[tuple[int, Key, Frame]] = Factory(list)
    symbols: dict[str, str] = Factory(dict)
    _answers: dict[str, list[tuple[dict[str, str], int, bytes]]] = Factory(lambda: defaultdict(list))
    _playing: list[_Playback] = Factory(list)
    _names: set[Key] = Factory(set)

    def __attrs_post_init__(self) -> None:
        """Read the whole recording. RecordingError when it cannot be read."""
        pushes: list[tuple[int, Key, str, _Push]] = []
        latest = 0
        for line in read_recording(self.path):
            if line.direction != "in":
                continue
            # A line of unknown time happened no earlier than the one before it.
            latest = at = line.t if line.t is not None else latest
            if line.kind == "http":
                self._learn(line.url, line.status or 200, line.frame)
            elif line.kind == "ws" and line.frame.startswith(b'{"arg"'):
                push = msgspec.json.decode(line.frame, type=_Push)
                key = key_of(push.arg)
                if key is not None:
                    pushes.append((at, key, line.frame.decode(), push))
        first = pushes[0][0] if pushes else 0
        for at, key, text, push in pushes:
            self.frames.append((at - first, key, Frame(text, self._events(key, push))))
            self._names.add(key)

    def offers(self, key: Key) -> bool:
        """Whether the recording holds this stream."""
        return key in self._names

    def subscribed(self, connection: int, key: Key, at: int) -> None:
        """Begin a stream for one connection."""
        for playback in self._playing:
            if playback.connection == connection and playback.next == 0 and at < playback.origin:
                playback.keys.add(key)
                return
        self._playing.append(_Playback(connection, at + SETTLE, {key}))

    def unsubscribed(self, connection: int, key: Key | None) -> None:
        """End one stream of a connection, or all."""
        for playback in self._playing:
            if playback.connection == connection:
                if key is None:
                    playback.keys.clear()
                else:
                    playback.keys.discard(key)
        self._playing = [playback for playback in self._playing if playback.keys]

    @property
    def exhausted(self) -> bool:
        """Whether everything that was asked for has been sent."""
        return not self._playing

    def advance(self, until: int) -> int | None:
        """Send what is due; answers when the next frame is."""
        upcoming: int | None = None
        for playback in tuple(self._playing):
            due = self._play(playback, until)
            if due is None:
                self._playing.remove(playback)
            elif upcoming is None or due < upcoming:
                upcoming = due
        return upcoming

    def request(self, method: str, path: str) -> Answer:
        """Answer as recorded: the line with the same path whose query asks for no more than this one."""
        route, _, query_text = path.partition("?")
        query = _query(query_text)
        for recorded, status, body in self._answers.get(route, ()):
            if recorded.items() <= query.items():
                return Answer(status, body, {"content-type": "application/json"})
        if route not in self._answers:
            return failure("404", "Not Found", 404)
        return Answer(200, b'{"code":"0","msg":"","data":[]}', {"content-type": "application/json"})

    def _play(self, playback: _Playback, until: int) -> int | None:
        fast = self.speed == 0 or math.isinf(self.speed)
        stop = playback.next + _BURST
        while playback.next < len(self.frames):
            if playback.next == stop:
                return until
            offset, key, frame = self.frames[playback.next]
            due = playback.origin + (0 if fast else int(offset / self.speed))
            if due > until:
                return due
            playback.next += 1
            if key in playback.keys:
                self.send(playback.connection, key, frame)
        return None

    def _learn(self, url: str, status: int, body: bytes) -> None:
        parts = urlsplit(url)
        self._answers[parts.path].append((_query(parts.query), status, body))
        if parts.path == "/api/v5/public/instruments":
            for row in msgspec.json.decode(body, type=_Listed).data:
                self.symbols[str(row["instId"])] = symbol_of(row)

    def _events(self, key: Key, push: _Push) -> tuple[tuple[tuple[str, DataType], int], ...]:
        data_type = CHANNELS[key[0]].data_type
        counts: dict[tuple[str, DataType], int] = {}
        for native, events in _items(key, push.data):
            symbol = self._symbol(native)
            counts[symbol, data_type] = counts.get((symbol, data_type), 0) + events
        return tuple(counts.items())

    def traded(self) -> Sequence[str]:
        """The symbols that appear in the recording, in the order of their first frame."""
        names = [self._symbol(key[1]) for _, key, _ in self.frames if CHANNELS[key[0]].by == "instId"]
        return tuple(dict.fromkeys(names))

    def _symbol(self, native: str) -> str:
        return self.symbols.get(native) or _guess(native)


def _items(key: Key, data: list[Any]) -> Iterator[tuple[str, int]]:
    """The instruments of a push, each with the number of events it stands for."""
    if CHANNELS[key[0]].by != "instType":
        yield key[1], len(data)
        return
    for item in data:
        yield str(item["instId"]), len(item.get("details", (1,)))


def _guess(native: str) -> str:
    """The normalised name where the recording lists no instruments."""
    kinds = {1: "SPOT", 4: "OPTION"}
    kind = "SWAP" if native.endswith("-SWAP") else kinds.get(native.count("-"), "FUTURES")
    return symbol_of({"instId": native, "instType": kind})


def _query(text: str) -> dict[str, str]:
    query = dict(parse_qsl(text))
    if "uly" in query:  # the former name of the parameter, in recordings of its time
        query["instFamily"] = query.pop("uly")
    return query
