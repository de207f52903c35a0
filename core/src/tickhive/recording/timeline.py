"""Puts the lines of one or more recordings into one order, by the time they were received.

Lines without a time keep the time of the line before them in their file (at the beginning: of the first line that has
one). A file whose times never run backwards is streamed in its own order; any other is read whole and sorted, lines of
equal time in the order of the file. Several files are merged by time, the one named first going first where times are
equal.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from attrs import Factory, define

from tickhive.recording.reader import Line, read_recording, recording_of

MOST_FRAMES = 100
"""Frames that were read together are handed on so many at a time, as they were live."""


@define
class Moment:
    """A line at its place in time: ``at`` is ns UTC, ``file`` counts the recordings from 0; parts of one count as one.

    ``frames`` are the line's and those that were received together with it.
    """

    at: int
    file: int
    line: Line
    frames: list[bytes]


@define
class Survey:
    """What a first reading of the recordings shows: their addresses, whether each is in order, its first time, and the
    number its lines carry: that of the first part where it is a further part of the same recording.
    """

    urls: set[str] = Factory(set)
    in_order: list[bool] = Factory(list)
    first: list[int] = Factory(list)
    numbers: list[int] = Factory(list)


def survey(paths: Sequence[Path], on_note: Callable[[str], None]) -> Survey:
    """Read everything once. Raises RecordingError for damage, so that a replay fails before it hands out events."""
    result = Survey()
    seen: dict[str, int] = {}
    for file, path in enumerate(paths):
        last: int | None = None
        first: int | None = None
        ordered = True
        for line in read_recording(path, on_note=on_note):
            if line.kind == "note":
                on_note(f"{path}, line {line.number}: {line.frame.decode('utf-8', 'replace')}")
                continue
            result.urls.add(line.url)
            if line.t is None:
                continue
            if last is None:
                first = line.t
            elif line.t < last:
                ordered = False
            last = line.t
        result.in_order.append(ordered)
        result.first.append(first or 0)
        result.numbers.append(seen.setdefault(recording_of(path) or str(file), file))
    return result


def in_time(paths: Sequence[Path], surveyed: Survey) -> Iterator[Moment]:
    """Yield every line of every recording in order of time."""
    streams = []
    for file, path in enumerate(paths):
        moments = _moments(surveyed.numbers[file], path, surveyed.first[file])
        streams.append(moments if surveyed.in_order[file] else iter(sorted(moments, key=attrgetter("at"))))
    return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=attrgetter("at"))


def _moments(file: int, path: Path, first: int) -> Iterator[Moment]:
    last = first
    for line in read_recording(path, on_note=_told_already):
        if line.t is not None:
            last = line.t
        if line.kind == "note":
            continue
        yield Moment(last, file, line, [line.frame])


def read_together(moments: Iterator[Moment]) -> Iterator[Moment]:
    """Join frames of one socket that came at the very same time: one read brought them."""
    held: Moment | None = None
    for moment in moments:
        if held is not None:
            if _together(held, moment):
                held.frames.append(moment.line.frame)
                continue
            yield held
        held = moment
    if held is not None:
        yield held


def _together(held: Moment, moment: Moment) -> bool:
    a, b = held.line, moment.line
    return (
        a.kind == b.kind == "ws"
        and a.direction == b.direction == "in"
        and a.t is not None
        and (a.t, held.file, a.connection, a.url) == (b.t, moment.file, b.connection, b.url)
        and len(held.frames) < MOST_FRAMES
    )


def _told_already(sentence: str) -> None:
    """The survey has told what there is to note."""
