"""The page of the conformance suite is the suite: every case is there, and every link of a failure leads to it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tickhive.testing.case import Outcome, try_case
from tickhive.testing.cases import CASES
from tickhive.testing.subject import Subject

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_is_what_the_cases_say() -> None:
    script = [sys.executable, str(ROOT / "docs" / "generate_conformance.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_link_leads_to_a_heading() -> None:
    for case in CASES:
        path, _, anchor = case.link.partition("#")
        headings = re.findall(r"^### (\S+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in [heading.lower() for heading in headings], case.number


def test_the_howto_speaks_of_cases_that_exist() -> None:
    page = (ROOT / "docs" / "howto" / "read-the-suites-table.md").read_text(encoding="utf-8")
    titles = {case.number: case.title for case in CASES}
    named = re.findall(r"^ *(TH-\d{3})  ?([a-z].*?)(?:  .*)?$", page, re.MULTILINE)
    assert named
    for number, title in named:
        assert titles[number] == title.strip()
    assert set(re.findall(r"TH-\d{3}", page)) <= titles.keys()


@pytest.mark.usefixtures("acme")
def test_the_how_tos_exchange_passes() -> None:
    subject = Subject("acme")
    results = [try_case(case, subject) for case in CASES]
    assert {result.case.number: result.seen for result in results if result.outcome is Outcome.FAILED} == {}
    assert sum(result.outcome is Outcome.PASSED for result in results) > len(CASES) * 3 / 4
