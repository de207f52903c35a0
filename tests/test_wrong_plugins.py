"""The conformance suite catches mistakes: each deliberate fault of a correct plugin fails the case meant for it."""

from __future__ import annotations

import pytest
from wrong_plugins import FAULTS, NAME, VARIANTS, Fault, Variant, Wren

from tickhive.testing.case import Case, Outcome, try_case
from tickhive.testing.cases import CASES
from tickhive.testing.subject import Subject

BY_NUMBER = {case.number: case for case in CASES}


@pytest.fixture(scope="module")
def correct() -> Subject:
    return Subject(NAME, plugin=Wren())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_correct_plugin_passes(correct: Subject, case: Case) -> None:
    result = try_case(case, correct)
    expected = Outcome.NOT_OFFERED if case.number == "TH-101" else Outcome.PASSED
    assert result.outcome is expected, (result.seen, result.remedy, result.missing)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_wrong_one_fails_where_it_should(fault: Fault) -> None:
    result = try_case(BY_NUMBER[fault.number], Subject(NAME, plugin=fault.make()))
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
