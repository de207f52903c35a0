"""The conformance suite catches mistakes: each deliberate fault of a correct plugin fails the case meant for it."""

from __future__ import annotations

import pytest
from wrong_plugins import FAULTS, NAME, VARIANTS, Fault, FullWren, Variant, Wren

from tickhive.testing.case import Case, Outcome, try_case
from tickhive.testing.cases import CASES
from tickhive.testing.subject import Subject

BY_NUMBER = {case.number: case for case in CASES}
FULLER = ("TH-308", "TH-414", "TH-415", "TH-707")
"""Cases about what only the fuller plugin has."""


@pytest.fixture(scope="module")
def correct() -> Subject:
    return Subject(NAME, plugin=Wren())


@pytest.fixture(scope="module")
def fuller() -> Subject:
    return Subject(NAME, plugin=FullWren())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_correct_plugin_passes(correct: Subject, case: Case) -> None:
    result = try_case(case, correct)
    expected = Outcome.NOT_OFFERED if case.number in ("TH-101", *FULLER) else Outcome.PASSED
    assert result.outcome is expected, (result.seen, result.remedy, result.missing)


@pytest.mark.parametrize("case", [case for case in CASES if case.number[3] in "34" or case.number in FULLER], ids=str)
def test_a_fuller_one_passes_too(fuller: Subject, case: Case) -> None:
    result = try_case(case, fuller)
    assert result.outcome is Outcome.PASSED, (result.seen, result.remedy, result.missing)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_wrong_one_fails_where_it_should(fault: Fault) -> None:
    subject = Subject(NAME, plugin=fault.make())
    result = try_case(BY_NUMBER[fault.number], subject, deadline_seconds=fault.deadline_seconds)
    assert result.outcome is Outcome.FAILED, result.missing or "it passed"
    message = f"{result.seen}. {result.remedy}"
    assert fault.says.lower() in message.lower(), message
    assert "It was raised at" not in message, message


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_another_right_way_passes(variant: Variant) -> None:
    subject = Subject(NAME, plugin=variant.make())
    for number in variant.passes:
        result = try_case(BY_NUMBER[number], subject)
        assert result.outcome is Outcome.PASSED, (number, result.seen, result.remedy, result.missing)


def test_every_case_catches_something() -> None:
    caught = {fault.number for fault in FAULTS}
    assert caught | {"TH-101"} == set(BY_NUMBER)


def test_a_name_nobody_announces() -> None:
    result = try_case(BY_NUMBER["TH-101"], Subject("no-such-exchange"))
    assert result.outcome is Outcome.FAILED
    assert "no-such-exchange" in result.seen
    assert "tickhive.exchanges" in result.remedy
    other = try_case(BY_NUMBER["TH-301"], Subject("no-such-exchange"))
    assert other.outcome is Outcome.NOT_OFFERED
