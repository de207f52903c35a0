"""The suite as authors use it: one class, a table, words to act on; and `tickhive verify`, which needs no pytest."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from tickhive.cli.verify_command import command
from tickhive.plugin.registry import default_registry
from tickhive.testing import ExchangeSuite
from tickhive.testing.case import CaseFailed, NotOffered, Outcome, case, try_case
from tickhive.testing.cases import CASES, GROUPS
from tickhive.testing.subject import Subject

from .reed import Reed

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("each", CASES, ids=str)
def test_each_case_says_what_it_is(each: Any) -> None:
    assert re.fullmatch(r"TH-[1-9]\d\d", each.number)
    assert each.number[3] in GROUPS
    assert each.title[0] == each.title[0].lower() or each.title.startswith("TH")
    assert not each.title.endswith(".")
    assert each.reason.endswith(".")
    assert each.mend.endswith(".")
    assert (each.check.__doc__ or "").rstrip().endswith(".")


def test_the_cases_are_numbered_once() -> None:
    numbers = [each.number for each in CASES]
    assert numbers == sorted(set(numbers))
    assert {number[3] for number in numbers} == set(GROUPS)


def _judging(check: Any) -> Any:
    return case("TH-999", "a case", reason="Because.", mend="Mend it.")(check)


@pytest.mark.parametrize(
    ("raised", "outcome", "words"),
    [
        (None, Outcome.PASSED, ""),
        (NotOffered("a venue"), Outcome.NOT_OFFERED, "a venue"),
        (CaseFailed("it did this", "do that"), Outcome.FAILED, "it did this do that"),
        (KeyError("x"), Outcome.FAILED, "KeyError: 'x'"),
        (SystemExit(3), Outcome.FAILED, "SystemExit: 3"),
    ],
)
def test_whatever_a_case_does_is_a_result(raised: BaseException | None, outcome: Outcome, words: str) -> None:
    def check(_: Subject) -> None:
        if raised is not None:
            raise raised

    result = try_case(_judging(check), Subject("reed", plugin=Reed()))
    assert result.outcome is outcome
    assert words in f"{result.missing}{result.seen} {result.remedy}"
    if isinstance(raised, KeyError):
        assert f"{Path(__file__).name}" in result.remedy


def test_a_case_asks_only_plugins_that_answer_its_hooks() -> None:
    def check(_: Subject) -> None:
        raise AssertionError("asked")

    asked = case("TH-999", "a case", reason="Because.", mend="Mend it.", hooks=("parse", "checksum"))(check)
    result = try_case(asked, Subject("reed", plugin=Reed()))
    assert (result.outcome, result.missing) == (Outcome.NOT_OFFERED, "the hook checksum")


# In pytest

SUITE = """
from tickhive.testing import ExchangeSuite
from reed import Reed


class TestReed(ExchangeSuite):
    exchange = "reed"
    plugin = Reed()
    without = {"TH-306": "Reed answers no questions"}
"""
ALONE = "def test_something():\n    pass\n"


def pytest_on(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    (folder / "reed.py").write_text((HERE / "reed.py").read_text(encoding="utf-8"))
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    script = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *arguments]
    return subprocess.run(script, cwd=folder, capture_output=True, text=True, timeout=90)


def test_one_class_brings_every_case_and_a_table(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, SUITE)
    assert "conformance of reed" in done.stdout
    for each in CASES:
        assert re.search(rf"^  {each.number}  ", done.stdout, re.MULTILINE), each.number
    assert re.search(r"TH-306 .*left out\n +Reed answers no questions", done.stdout)
    assert re.search(r"TH-604 .*not offered\n +the hook checksum", done.stdout)
    assert re.search(r"^\d+ passed, \d+ not offered, 0 failed, 1 left out$", done.stdout, re.MULTILINE)
    assert done.returncode == 0


def test_workers_bring_the_same_table(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    done = pytest_on(tmp_path, SUITE, "-n", "2", "-k", "TH-1 or TH-4")
    assert re.search(r"TH-103 .*passed", done.stdout), done.stdout
    assert re.search(r"TH-401 .*passed", done.stdout)


def test_without_a_suite_nothing_is_said(tmp_path: Path) -> None:
    done = pytest_on(tmp_path, ALONE)
    assert done.returncode == 0
    assert "conformance" not in done.stdout
    code = "import sys, tickhive.testing.pytest_plugin; print([m for m in sys.modules if m.startswith('tickhive')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert shown.stdout.strip() == "['tickhive', 'tickhive.testing', 'tickhive.testing.pytest_plugin']"


def test_a_class_that_names_nothing_says_so() -> None:
    class Nameless(ExchangeSuite):
        pass

    class Misnumbered(ExchangeSuite):
        exchange = "reed"
        without: ClassVar = {"TH-000": "there is none"}

    with pytest.raises(TypeError, match="Nameless names no exchange"):
        Nameless.subject()
    with pytest.raises(TypeError, match="TH-000, which is no case"):
        Misnumbered.subject()


def test_frames_are_found_beside_the_test_file() -> None:
    class Framed(ExchangeSuite):
        exchange = "reed"
        frames = "frames"

    assert Framed.subject().frames == HERE / "frames"
    assert Framed.subject() is Framed.subject()


def test_a_folder_without_recordings_is_told(tmp_path: Path) -> None:
    subject = Subject("reed", plugin=Reed(), frames=tmp_path)
    result = try_case(next(each for each in CASES if each.number == "TH-301"), subject)
    assert result.outcome is Outcome.FAILED
    assert "holds no recording" in result.seen


def test_frames_alone_are_enough(tmp_path: Path) -> None:
    class Mute(Reed):
        venue = None  # type: ignore[assignment]

    line = {"t": 1790000000.5, "dir": "in", "kind": "ws", "url": "wss://reed.example/ws", "conn": 1}
    rows = [
        line | {"frame": json.dumps(["trade", "A-B", 1790000000 * 10**9, number, "1.5", "2"])} for number in range(3)
    ]
    (tmp_path / "some.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    subject = Subject("reed", plugin=Mute(), frames=tmp_path)
    outcomes = {each.number: try_case(each, subject) for each in CASES}
    assert outcomes["TH-301"].outcome is outcomes["TH-403"].outcome is Outcome.PASSED
    assert outcomes["TH-501"].missing == "the hook venue"


# On the command line


@pytest.fixture
def registered() -> Iterator[None]:
    default_registry().register("reed", Reed())
    yield
    default_registry().unregister("reed")


@pytest.mark.usefixtures("registered")
def test_verify_explains_what_it_tried() -> None:
    done = CliRunner().invoke(command, ["reed", "--only", "TH-104", "--only", "th-604"])
    assert done.exit_code == 0, done.output
    assert "TH-104  passed  url and rest_url lead everywhere" in done.output
    assert "not offered: the hook checksum" in done.output
    assert done.output.endswith("reed: 1 passed, 1 not offered, 0 failed.\n")


@pytest.mark.usefixtures("registered")
def test_verify_fails_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickhive.testing.cases.discovery.URL", "ws://elsewhere.test")
    done = CliRunner().invoke(command, ["reed", "--only", "TH-104"])
    assert done.exit_code == 1
    words = " ".join(done.output.split())
    assert "FAILED" in done.output
    assert "seen: connect answers" in words
    assert "to do: Begin every address of connect" in words
    assert "docs/reference/conformance.md#th-104" in words


@pytest.mark.usefixtures("registered")
def test_verify_speaks_json() -> None:
    done = CliRunner().invoke(command, ["reed", "--only", "TH-2", "--json"])
    told = json.loads(done.output)
    assert told["exchange"] == "reed"
    assert told["ok"] is (done.exit_code == 0)
    assert [row["number"] for row in told["cases"]] == [each.number for each in CASES if each.number[3] == "2"]


@pytest.mark.usefixtures("registered")
def test_verify_knows_its_cases_and_exchanges() -> None:
    done = CliRunner().invoke(command, ["reed", "--only", "TH-777"])
    assert done.exit_code == 2
    assert "there is no case TH-777" in done.output
    nobody = CliRunner().invoke(command, ["nobody"])
    assert "Exchange not supported: 'nobody'" in str(nobody.exception)


def test_verify_needs_neither_pytest_nor_hypothesis() -> None:
    code = (
        "import sys; sys.modules['pytest'] = sys.modules['hypothesis'] = None\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from reed import Reed\nfrom tickhive.plugin.registry import default_registry\n"
        "default_registry().register('reed', Reed())\n"
        "from tickhive.cli.main import main\nmain(['verify', 'reed', '--only', 'TH-6', '--only', 'TH-5'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TH-505  passed" in done.stdout
