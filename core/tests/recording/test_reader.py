"""Recordings are read exactly, and damage is told apart from a crash."""

from __future__ import annotations

import base64
import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.errors import RecordingError
from tickhive.recording import Line, read_recording

URL = "wss://ws.acme.test/v1"
HEADER = {"tickhive": "recording", "format": 1, "versions": {"tickhive": "0.1.0"}}


def shared(t: float | None, frame: str = "{}", **more: object) -> dict[str, object]:
    return {"t": t, "dir": "in", "kind": "ws", "url": URL, "conn": 1, "frame": frame, **more}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> tuple[list[Line], list[str]]:
    notes: list[str] = []
    return list(read_recording(path, on_note=notes.append)), notes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1652459225.8791106", 1652459225_879110600),
        ("1652459225", 1652459225_000000000),
        ("1652459225.123456789", 1652459225_123456789),
        ("1.6524592258791106e9", 1652459225_879110600),
        ("0", 0),
        ("null", None),
    ],
)
def test_seconds_are_read_from_their_text(tmp_path: Path, text: str, expected: int | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"t":{text},"dir":"in","kind":"ws","url":"{URL}","conn":3,"frame":"x"}}\n')
    lines, notes = read(path)
    assert lines == [Line(expected, "in", "ws", URL, 3, None, b"x", 1)]
    assert notes == []


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_nanoseconds_survive_seconds(tmp_path_factory: pytest.TempPathFactory, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "exact.jsonl"
    path.write_text(f'{{"t":{Decimal(at).scaleb(-9):f},"dir":"in","kind":"ws","url":"{URL}","frame":""}}\n')
    assert read(path)[0][0].t == at


def test_our_own_form(tmp_path: Path) -> None:
    binary = bytes(range(256))
    path = write(
        tmp_path / "own.jsonl",
        HEADER,
        {"t": 5, "dir": "out", "kind": "connect", "url": URL, "conn": 1, "status": 101},
        {"t": 6, "dir": "in", "kind": "ws", "url": URL, "conn": 1, "base64": base64.b64encode(binary).decode()},
        {"t": 7, "dir": "in", "kind": "ws", "url": URL, "conn": 1, "text": "grüße"},
        {"t": 8, "dir": "in", "kind": "close", "url": URL, "conn": 1, "status": 1000, "text": "bye"},
    )
    lines, notes = read(path)
    assert [(line.t, line.kind, line.status, line.frame, line.number) for line in lines] == [
        (5, "connect", 101, b"", 2),
        (6, "ws", None, binary, 3),
        (7, "ws", None, "grüße".encode(), 4),
        (8, "close", 1000, b"bye", 5),
    ]
    assert notes == []


@pytest.mark.parametrize("suffix", [".jsonl", ".gz", ".zst"])
def test_compressed_or_not(tmp_path: Path, suffix: str) -> None:
    plain = b"".join(json.dumps(shared(1.5 + i, "x" * 3000)).encode() + b"\n" for i in range(200))
    path = tmp_path / f"r{suffix}"
    if suffix == ".gz":  # two streams in one file, as appending recorders write them
        path.write_bytes(gzip.compress(plain[:99_999]) + gzip.compress(plain[99_999:]))
    elif suffix == ".zst":
        zstandard = pytest.importorskip("zstandard")
        compress = zstandard.ZstdCompressor().compress
        path.write_bytes(compress(plain[:99_999]) + compress(plain[99_999:]))
    else:
        path.write_bytes(plain)
    lines, notes = read(path)
    assert [line.number for line in lines] == list(range(1, 201))
    assert lines[-1].t == 200_500_000_000
    assert notes == []


def test_blank_lines_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    row = json.dumps(shared(1.0)).encode()
    path.write_bytes(row + b"\r\n\r\n\n" + row)
    assert [line.number for line in read(path)[0]] == [1, 4]


def test_a_last_line_cut_short_is_a_note(tmp_path: Path) -> None:
    path = write(tmp_path / "crash.jsonl", shared(1.0), shared(2.0))
    path.write_bytes(path.read_bytes()[:-20])
    lines, notes = read(path)
    assert len(lines) == 1
    assert len(notes) == 1
    assert "crash.jsonl: line 2 is cut short" in notes[0]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_data_cut_short_is_a_note(tmp_path: Path, suffix: str) -> None:
    plain = b"".join(json.dumps(shared(float(i))).encode() + b"\n" for i in range(20_000))
    if suffix == ".gz":
        whole = gzip.compress(plain)
    else:
        whole = pytest.importorskip("zstandard").ZstdCompressor().compress(plain)
    path = tmp_path / f"crash{suffix}"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    lines, notes = read(path)
    assert 0 < len(lines) < 20_000
    assert any("ends inside its compressed data" in note for note in notes)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not json\n{}\n", "line 1: not a line of a recording"),
        (json.dumps(shared(1.0)).encode() + b"\n{}\n", "line 2: not a line of a recording"),
        (b'{"t":1,"dir":"up","kind":"ws","url":""}\n', "'up'"),
        (b'{"t":"x","dir":"in","kind":"ws","url":""}\n', "line 1"),
        (b'{"t":1652459225879,"dir":"in","kind":"ws","url":""}\n', "not seconds since 1970"),
        (b'{"t":-1,"dir":"in","kind":"ws","url":""}\n', "not seconds since 1970"),
        (b'{"t":1,"dir":"in","kind":"ws","url":"","base64":"!"}\n', "base64"),
        (b"", "holds no line"),
        (b"\n\n", "holds no line"),
        (b'{"tickhive": "recording", "format": 9, "versions": {"tickhive": "7.0"}}\n', "written by tickhive 7.0"),
        (b'{"tickhive": "diary"}\n', "line 1: not the header"),
    ],
)
def test_damage_names_file_and_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damaged_compression(tmp_path: Path, suffix: str) -> None:
    if suffix == ".zst":
        pytest.importorskip("zstandard")
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(b"this is not compressed at all")
    with pytest.raises(RecordingError, match="damaged compressed data"):
        read(path)


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"gone\.jsonl: cannot be read"):
        read(tmp_path / "gone.jsonl")
    with pytest.raises(RecordingError, match="cannot be read"):
        read(tmp_path)


def test_zst_without_zstandard_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "a.zst"
    path.write_bytes(b"x")
    with pytest.raises(RecordingError, match=r"pip install tickhive\[zstd\]"):
        read(path)


def test_without_a_listener_a_note_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "crash.jsonl", shared(1.0), shared(2.0))
    path.write_bytes(path.read_bytes()[:-20])
    assert len(list(read_recording(path))) == 1
    assert [record.name for record in caplog.records] == ["tickhive.recording"]
    assert "cut short" in caplog.text
