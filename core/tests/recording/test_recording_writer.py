"""A recording is written beside the work, holds what it was given, and says what it could not hold."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tickhive.errors import RecordingError
from tickhive.recording import Line, Recorder, read_recording
from tickhive.recording.writer import part_name

URL = "wss://ws.acme.test/v1"
AT = 1_795_000_000_123_456_789


def text_of(line: Line) -> str:
    return line.frame.decode()


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz", "r.jsonl.zst", "r.data"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / "made" / name
    with Recorder(path) as recorder:
        number = recorder.connection()
        recorder.write(AT, "connect", "out", URL, number, ("",))
        recorder.write(AT + 1, "ws", "in", URL, number, [b'{"a":"\xc3\xa9\\n"}', b"\xff\x00", "b\u2028"])
        recorder.write(AT + 2, "http", "in", "https://api.acme.test/x?y=1", 0, (b"[]",), status=200)
        recorder.write(AT + 3, "close", "in", URL, number, ("bye",))
    notes: list[str] = []
    lines = list(read_recording(path, on_note=notes.append))
    assert notes == []
    assert [(line.t, line.kind, line.direction, line.connection, line.frame, line.status) for line in lines] == [
        (AT, "connect", "out", 1, b"", None),
        (AT + 1, "ws", "in", 1, b'{"a":"\xc3\xa9\\n"}', None),
        (AT + 1, "ws", "in", 1, b"\xff\x00", None),
        (AT + 1, "ws", "in", 1, "b\u2028".encode(), None),
        (AT + 2, "http", "in", 0, b"[]", 200),
        (AT + 3, "close", "in", 1, b"bye", None),
    ]
    assert {line.url for line in lines} == {URL, "https://api.acme.test/x?y=1"}
    status = recorder.status()
    assert (status["lines"], status["dropped"], status["pending"]) == (6, 0, 0)
    assert status["bytes"] == path.stat().st_size


def test_the_first_line_says_what_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    Recorder(path).close()
    header = json.loads(path.read_text(encoding="utf-8"))
    assert (header["tickhive"], header["format"], header["part"]) == ("recording", 1, 1)
    assert "tickhive" in header["versions"]


@pytest.mark.skipif(os.name == "nt", reason="rights are kept otherwise there")
def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    Recorder(path).close()
    assert path.stat().st_mode & 0o077 == 0


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("precious")
    with pytest.raises(RecordingError, match=r"r\.jsonl is there already, .* name another file"):
        Recorder(path)
    assert path.read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match=r"file.r\.jsonl: cannot be written"):
        Recorder(tmp_path / "file" / "r.jsonl")


@pytest.mark.parametrize("option", ["max_bytes", "max_pending", "flush_seconds"])
def test_a_bound_of_nothing_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}: expected a number above 0"):
        Recorder(tmp_path / "r.jsonl", **{option: 0})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_is_once_and_what_comes_later_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(tmp_path / "r.jsonl")
    recorder.close()
    recorder.close()
    recorder.write(AT, "ws", "in", URL, 1, [b"late"])
    assert recorder.status()["dropped"] == 1
    assert "the recorder is closed" in caplog.text


def test_what_was_withheld_is_told_at_the_end(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r.jsonl") as recorder:
        recorder.withhold(3)
    [note] = read_recording(tmp_path / "r.jsonl")
    assert (note.kind, text_of(note)) == ("note", "3 lines that belong to an account are not in this recording")


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("a.jsonl.zst", "a.2.jsonl.zst"),
        ("a.b.jsonl", "a.b.2.jsonl"),
        ("a", "a.2"),
        ("2026.11.gz", "2026.11.2.gz"),
    ],
)
def test_the_names_of_parts(name: str, second: str) -> None:
    assert part_name(Path("x") / name, 2) == Path("x") / second


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_file_that_has_grown_is_followed_by_another(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"r.jsonl{ending}"
    taken = tmp_path / f"r.2.jsonl{ending}"
    taken.write_text("precious")
    with Recorder(path, max_bytes=1, flush_seconds=1e-6) as recorder:
        for number in range(500):
            recorder.write(AT + number, "ws", "in", URL, 1, [os.urandom(40).hex()])
    assert taken.read_text() == "precious", "a part's name may be taken, too"
    parts = [path, *sorted(set(tmp_path.iterdir()) - {path, taken}, key=lambda each: int(each.name.split(".")[1]))]
    assert len(parts) == recorder.status()["parts"] > 2
    times = [line.t for part in parts for line in read_recording(part, on_note=pytest.fail)]
    assert times == [AT + number for number in range(500)], "in order, none missing"
    assert recorder.status()["bytes"] == sum(part.stat().st_size for part in parts)


def python(source: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_a_killed_process_leaves_what_was_flushed(tmp_path: Path, ending: str) -> None:
    if ending == ".zst":
        pytest.importorskip("zstandard")
    path = tmp_path / f"r.jsonl{ending}"
    process = python(
        """
        import sys, threading
        from tickhive.recording import Recorder
        recorder = Recorder(sys.argv[1], flush_seconds=0.05)
        for number in range(1000):
            recorder.write(number, "ws", "in", "wss://ws.acme.test", 1, ["frame %d" % number])
        while recorder.status()["pending"]:
            threading.Event().wait(0.01)
        size = -1
        while size != (size := recorder.status()["bytes"]):  # until a flush brought nothing more
            threading.Event().wait(0.2)
        print("flushed", flush=True)
        recorder.write(1000, "ws", "in", "wss://ws.acme.test", 1, ["half a" * 9999])
        sys.stdin.read()
        """,
        path,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "flushed\n"
        process.kill()
    notes: list[str] = []
    texts = [text_of(line) for line in read_recording(path, on_note=notes.append)]
    assert texts[:1000] == [f"frame {number}" for number in range(1000)]
    assert bool(notes) == bool(ending), "a stream that does not end is told"


FULL = """
    import logging, resource, signal, sys, time
    from tickhive.recording import Recorder, writer

    class Told(logging.Handler):
        def emit(self, record):
            print("log", record.levelname, str(record.msg), flush=True)

    logging.getLogger("tickhive").addHandler(Told())
    writer.RETRY_SECONDS = 0.02
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = Recorder(sys.argv[1], max_pending=20_000, flush_seconds=0.01)

    def write(number, content):
        began = time.perf_counter()
        recorder.write(number, "ws", "in", "wss://ws.acme.test", 1, [content])
        assert time.perf_counter() - began < 5, "the disk held up who records"

    def until(condition):
        while not condition():
            time.sleep(0.005)

    write(1, "before")
    until(lambda: not recorder.status()["pending"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    write(2, "x" * 8000)
    until(lambda: recorder.status()["error"])
    for number in range(100):
        write(3, "y" * 1000)
    assert recorder.status()["pending"] <= 20_000, recorder.status()
    dropped = recorder.status()["dropped"]
    assert 80 < dropped < 100, dropped
    if sys.argv[2] == "room":
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        until(lambda: not recorder.status()["pending"])
        assert recorder.status()["error"] is None
        write(4, "after")
    recorder.close()
    print("dropped", recorder.status()["dropped"], dropped, recorder.status()["error"], flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="no limit for the size of files there")
@pytest.mark.parametrize("then", ["room", "none"])
def test_a_full_disk_costs_the_recording_only(tmp_path: Path, then: str) -> None:
    """A file that may not grow any more stands for a disk that is full: the system refuses the same call."""
    path = tmp_path / "r.jsonl"
    process = python(FULL, path, then)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    told = [line for line in output.splitlines() if line.startswith("log")]
    assert len(told) == 1, "one line says so"
    assert told[0].startswith("log ERROR")
    assert "cannot be written" in told[0]
    _, in_all, at_first, error = output.splitlines()[-1].split(maxsplit=3)
    notes: list[str] = []
    lines = list(read_recording(path, on_note=notes.append))
    if then == "none":
        assert error != "None"
        assert int(in_all) > int(at_first), "what waited is lost too, and counted"
        assert [text_of(line) for line in lines] == ["before"]
        assert len(notes) == 1
        return
    assert notes == []
    assert text_of(lines[0]) == "before"
    assert len(text_of(lines[1])) == 8000
    assert text_of(lines[-1]) == "after"
    [note] = [line for line in lines if line.kind == "note"]
    assert text_of(note).startswith(f"{in_all} lines are missing here")
    assert lines[-2] == note, "it stands where they are missing"
    assert len(lines) == 3 + 1 + 100 - int(in_all)


def test_what_is_masked_stays_json(tmp_path: Path) -> None:
    frame = '{"e":"order","listenKey":"abcdef","token": "t-1","id":"4f0c9e6a1b2c3d4e5f60718293a4b5c6","n":7}'
    with Recorder(tmp_path / "r.jsonl") as recorder:
        recorder.write(AT, "ws", "in", URL, 1, [frame, b"\xff"], mask=True)
    masked, binary = read_recording(tmp_path / "r.jsonl")
    assert json.loads(masked.frame) == {
        "e": "order", "listenKey": "***", "token": "***", "id": "4f0c9e6a1b2c3d4e5f60718293a4b5c6", "n": 7,
    }  # fmt: skip
    assert binary.frame == b"***"


def test_a_defect_ends_the_recording_not_the_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    with Recorder(tmp_path / "r.jsonl") as recorder:
        recorder.write(AT, "ws", "in", URL, 1, [b"good"])
        recorder.write(AT, "ws", "in", URL, "no number", [b"bad"])  # type: ignore[arg-type]
    recorder.write(AT, "ws", "in", URL, 1, [b"late"])
    assert "a defect ended the recording" in caplog.text
    assert recorder.status()["error"]
    assert recorder.status()["dropped"] == 1


LOST = """
    import resource, signal, sys, time
    from pathlib import Path
    from tickhive.errors import RecordingError
    from tickhive.recording import Recorder, read_recording, writer

    writer.RETRY_SECONDS = 0.02
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    recorder = Recorder(sys.argv[1], flush_seconds=0.01)
    recorder.write(1, "ws", "in", "wss://ws.acme.test", 1, ["before"])

    def written():
        try:
            return any(line.kind == "ws" for line in read_recording(Path(sys.argv[1]), on_note=lambda _: None))
        except RecordingError:  # it has no header yet
            return False

    while not written():
        time.sleep(0.005)
    resource.setrlimit(resource.RLIMIT_FSIZE, (recorder.status()["bytes"], resource.RLIM_INFINITY))
    for number in range(20):
        recorder.write(2 + number, "ws", "in", "wss://ws.acme.test", 1, ["after"])
    recorder.close()
    print(recorder.status()["lines"], recorder.status()["dropped"], recorder.status()["error"])
"""


@pytest.mark.skipif(os.name == "nt", reason="no limit for the size of files there")
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_what_was_packed_and_never_written_is_not_told_as_recorded(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"r.{ending}"
    output, _ = python(LOST, path).communicate(timeout=30)
    lines, dropped, error = output.splitlines()[-1].split(maxsplit=2)
    assert (int(lines), int(dropped)) == (1, 20)
    assert "File too large" in error
    assert [text_of(line) for line in read_recording(path, on_note=lambda _: None)] == ["before"]


def test_text_no_encoding_has_does_not_end_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with Recorder(path) as recorder:
        recorder.write(1, "close", "in", "wss://ws.acme.test", 1, ["refused: \ud800"])
        recorder.write(2, "ws", "in", "wss://ws.acme.test", 2, ["after"])
    assert [text_of(line) for line in read_recording(path)] == ["refused: ?", "after"]
