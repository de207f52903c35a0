"""A case that does not end has failed, with words, and the run goes on; where nothing can end it, the run ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tickhive.testing.case import MOST_ENDLESS

HERE = Path(__file__).resolve().parent

ENDLESS = """
import re
import time

from reed import Reed as Whole
from tickhive.plugin import hookimpl


class Reed(Whole):
    @hookimpl
    def parse(self, frame, at):
        {hang}  # it stands here
"""
SPIN = "while True: pass"
SLEEP = "time.sleep(60)"
REGEX = "re.match(r'(a|aa)+$', 'a' * 80 + 'b')"

VERIFY = """
import sys
import tickhive.cli.verify_command as verify

verify.FAREWELL_SECONDS = 3.0
from endless import Reed
from tickhive.cli.main import main
from tickhive.plugin.registry import default_registry

default_registry().register("reed", Reed())
main(["verify", "reed", "--deadline", "0.3", *sys.argv[1:]])
"""

SUITE = """
from endless import Reed
from tickhive.testing import ExchangeSuite


class TestReed(ExchangeSuite):
    exchange = "reed"
    plugin = Reed()
    deadline_seconds = 0.3
"""


def run(folder: Path, hang: str, *command: str) -> subprocess.CompletedProcess[str]:
    (folder / "reed.py").write_text((HERE / "reed.py").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "endless.py").write_text(ENDLESS.format(hang=hang), encoding="utf-8")
    (folder / "verify.py").write_text(VERIFY, encoding="utf-8")
    (folder / "test_it.py").write_text(SUITE, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    return subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=60)


def test_verify_goes_on_with_the_next_case_and_ends_when_it_is_the_rule(tmp_path: Path) -> None:
    done = run(tmp_path, SPIN, "verify.py", "--only", "TH-1", "--only", "TH-3", "--json")
    assert done.returncode == 1
    told = {each["number"]: each for each in json.loads(done.stdout)["cases"]}
    endless = [each for each in told.values() if "did not end within 0.3 s" in each["seen"]]
    assert len(endless) == MOST_ENDLESS
    for each in endless:
        assert each["seen"].startswith(f"{each['number']} did not end within 0.3 s; it stands in ")
        assert each["seen"].endswith("endless.py:12 in parse, hook parse")
    assert told["TH-104"]["outcome"] == "passed"
    last = list(told.values())[-1]
    assert last["outcome"] == "not offered"
    assert last["missing"] == f"a plugin that returns (see {', '.join(each['number'] for each in endless)})"


def test_verify_ends_where_a_case_cannot_be_ended(tmp_path: Path) -> None:
    done = run(tmp_path, SLEEP, "verify.py", "--only", "TH-104", "--only", "TH-301")
    assert done.returncode == 1
    words = " ".join(done.stdout.split())
    assert "TH-104 passed" in words
    assert "TH-301 FAILED" in words
    assert "endless.py:12 in parse, hook parse" in words
    assert "1 passed, 0 not offered, 1 failed." in words
    assert "cannot be ended from within Python" in done.stderr


def test_verify_ends_where_the_interpreter_is_held(tmp_path: Path) -> None:
    done = run(tmp_path, REGEX, "verify.py", "--only", "TH-104", "--only", "TH-301")
    assert done.returncode == 1
    assert "TH-104  passed" in done.stdout
    assert 'endless.py", line 12 in parse' in done.stderr


def test_in_pytest_it_is_a_failure_among_others(tmp_path: Path) -> None:
    script = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "-k", "TH-104 or TH-301 or TH-302")
    done = run(tmp_path, SPIN, *script)
    assert done.returncode == 1
    assert "did not end within 0.3 s; it stands in" in done.stdout
    assert "endless.py:12 in parse, hook parse" in done.stdout
    assert "TH-104" in done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_where_it_cannot_be_ended_pytest_ends_with_words(tmp_path: Path, capture: str) -> None:
    script = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", f"--capture={capture}", "-k", "TH-301")
    done = run(tmp_path, SLEEP, *script)
    assert done.returncode == 1
    assert "TH-301 did not end within 0.3 s" in done.stderr
    assert "endless.py:12 in parse, hook parse" in done.stderr
    assert "so the run ends here" in done.stderr
