"""The frames of recordings, for tests of single hooks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tickhive.errors import RecordingError
from tickhive.testing import frames_of

STREAM, REST, OTHER = "wss://ws.acme.test:8443/v1", "https://rest.acme.test/markets", "wss://ws.else.test"
LINES: list[dict[str, Any]] = [
    {"t": 1.5, "dir": "out", "kind": "connect", "url": STREAM, "conn": 1, "frame": None},
    {"t": 1.6, "dir": "out", "kind": "ws", "url": STREAM, "conn": 1, "frame": "ask"},
    {"t": 1.7, "dir": "in", "kind": "ws", "url": STREAM, "conn": 1, "frame": "one"},
    {"t": None, "dir": "in", "kind": "http", "url": REST, "conn": 0, "frame": "listed"},
    {"t": 1.8, "dir": "in", "kind": "ws", "url": OTHER, "conn": 2, "frame": "strange"},
    {"t": 1.9, "dir": "in", "kind": "ws", "url": STREAM, "conn": 1, "frame": "two\u20ac"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = "".join(json.dumps(line) + "\n" for line in LINES).encode()
    (tmp_path / "b.jsonl").write_bytes(text)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text.replace(b"one", b"a-one")))
    (tmp_path / "notes.jsonl.txt").write_text("no recording")
    return tmp_path


def test_what_came_on_sockets_and_what_by_rest(folder: Path) -> None:
    one, strange, two = frames_of(folder / "b.jsonl")
    assert (one.frame, one.t, one.url, one.number) == (b"one", 1_700_000_000, STREAM, 3)
    assert (strange.frame, two.frame) == (b"strange", "two\u20ac".encode())
    assert [(line.frame, line.t) for line in frames_of(str(folder / "b.jsonl"), "http")] == [(b"listed", None)]


def test_a_folder_is_all_its_recordings_by_name(folder: Path) -> None:
    frames = [line.frame for line in frames_of(folder, hosts=["ws.acme.test", "rest.acme.test"])]
    assert frames == [b"a-one", "two\u20ac".encode(), b"one", "two\u20ac".encode()]
    assert [line.frame for line in frames_of(folder, hosts={"ws.else.test"})] == [b"strange"] * 2


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(RecordingError, match=r"c\.jsonl"):
        frames_of(folder / "c.jsonl")


def test_a_folder_without_recordings_is_said(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "empty" / "frames.json").write_text("{}")
    with pytest.raises(RecordingError, match=r"empty.* holds no recording.*\.jsonl"):
        frames_of(folder / "empty")


def test_a_kind_that_there_is_not_is_said(folder: Path) -> None:
    mistyped: Any = "htp"
    with pytest.raises(ValueError, match="kind: expected 'ws' or 'http', got 'htp'"):
        frames_of(folder / "b.jsonl", mistyped)
