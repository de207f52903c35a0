"""What a venue sent, from recordings: the frames a plugin's own tests read, frame by frame."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tickhive.errors import RecordingError
from tickhive.recording import Line, read_recording

KINDS = ("ws", "http")
"""What brings frames: sockets, and the answers of requests."""


def recordings_in(folder: Path) -> list[Path]:
    """The recordings that lie in a folder, by name."""
    return sorted(each for each in folder.glob("*.jsonl*") if each.suffix in (".jsonl", ".gz", ".zst"))


def frames_of(path: Path | str, kind: Literal["ws", "http"] = "ws", hosts: Collection[str] = ()) -> list[Line]:
    """What came in a recording, or in all those of a folder: frames of sockets, or the answers of requests (``http``).

    ``hosts`` are the venue's where a recording has several; of all otherwise. A Line has the ``frame`` as it was
    received, its ``url``, and when it came (``t``, ns UTC). RecordingError for a file that is absent or damaged and for
    a folder without recordings, ValueError for another kind: a test of no frames would always pass.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected {' or '.join(map(repr, KINDS))}, got {kind!r:.60}")
    path = Path(path)
    recordings = recordings_in(path) if path.is_dir() else [path]
    if not recordings:
        raise RecordingError(f"{path} holds no recording; put *.jsonl, *.jsonl.gz or *.jsonl.zst files there")
    return [
        line
        for recording in recordings
        for line in read_recording(recording)
        if line.direction == "in" and line.kind == kind and (not hosts or urlsplit(line.url).hostname in hosts)
    ]
