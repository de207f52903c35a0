"""Fills that were missed during a cut, where the venue lists an account's last ones: late, once, and one Gap after."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Fill, Gap
from tickhive.plugin.contract import Accepted, Answer, Fetch, Malformed, Rejected
from tickhive.plugin.hookspecs import hookimpl
from tickhive.session.resumption import resume, standing

from .account_line import SECOND, AccountLine, Venue

FILLS = Channel(EVERY, EVERY, DataType.FILL)


def fill(id: int, at: int, *, late: bool) -> Fill:
    """Number ``id``, filled in that second."""
    about = "main", str(id), "o", "buy", Decimal(1), Decimal(1)
    return Fill("tarn", f"S{id % 2}", id * SECOND, at, *about, late=late)


class Tarn(Venue):
    """Fills are their numbers; a negative one is a further page."""

    @hookimpl
    def snapshot(self, session, channel):
        return Fetch("https://tarn.test/fills", channel=channel)

    @hookimpl
    def parse(self, frame, at):
        said = json.loads(frame)
        return [Accepted("1")] if said == "ok" else [fill(id, at, late=False) for id in said]

    @hookimpl
    def read(self, fetch, answer, at):
        found: list[Any] = []
        for each in json.loads(answer.body):
            match each:
                case "bad":
                    found.append(Malformed("bad"))
                case "request" | "retry":
                    found.append(Rejected("no", each))
                case int() if each < 0:
                    found.append(Fetch("https://tarn.test/more", channel=fetch.channel))
                case _:
                    found.append(fill(each, at, late=True))
        return found


class Line(AccountLine):
    """The clock shows the second; speaks as ``shown``."""

    def __init__(self, second: int = 100) -> None:
        super().__init__("tarn", Tarn(), [FILLS], (second - 1) * SECOND)

    def hear(self, said: Any) -> list[str]:
        return shown(super().hear(said))

    def answer(self, *said: Any) -> list[str]:
        return shown(super().answer(said))

    def cut(self) -> list[str]:
        return shown(super().cut())

    def wait(self) -> list[str]:
        return shown(super().wait())


def shown(events: Any) -> list[str]:
    """``late 7`` for a fill, ``gap * whole since 101`` for a Gap."""
    found: list[str] = []
    for event in events:
        if isinstance(event, Fill):
            found.append(f"late {event.id}" if event.late else event.id)
        elif isinstance(event, Gap):
            start = "" if event.start is None else f" since {event.start // SECOND}"
            found.append(f"gap {event.symbol} {event.filled}{start}")
    return found


@pytest.fixture
def line() -> Line:
    """Fills 102 and 103 were heard; the socket was lost at 104, and the next one asks at 106 for the last fills."""
    line = Line()
    line.open()
    assert line.answer() == []
    assert line.hear([102, 103]) == ["102", "103"]
    line.cut()
    line.open()
    assert len(line.session.fetches) == 1
    return line


def test_what_was_missed_comes_late_with_one_gap(line: Line) -> None:
    assert line.answer(102, 103, 104, 105) == ["late 104", "late 105", "gap * whole since 103"]
    assert line.hear([106]) == ["106"]
    assert line.session.statistics.gaps == 1


def test_where_nothing_was_missed_nothing_is_told(line: Line) -> None:
    assert line.answer(102, 103) == []
    assert line.hear([106, 107]) == ["106", "107"]
    assert line.session.statistics.gaps == 0


def test_a_list_that_does_not_reach_what_is_known_fills_a_part(line: Line) -> None:
    assert line.answer(104, 105) == ["late 104", "late 105", "gap * part since 103"]


def test_pages_are_one_list(line: Line) -> None:
    assert line.answer(105, -1) == ["late 105"]
    assert line.answer(103, 104) == ["late 104", "gap * whole since 103"]


def test_history_from_before_anybody_asked_is_known_enough() -> None:
    line = Line()
    line.open()
    line.answer()
    line.cut()
    line.open()
    assert line.answer(99, 102) == ["late 102", "gap * whole since 101"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [((104, "request"), ["late 104", "gap * part since 103"]), (("request",), ["gap * none since 103"])],
)
def test_what_is_refused_is_a_gap(line: Line, said: Any, expected: list[str]) -> None:
    assert line.answer(*said) == expected
    assert line.hear([106]) == ["106"]


def test_what_cannot_be_read_is_tried_again(line: Line) -> None:
    assert line.answer(104, "bad") == ["late 104"]
    assert line.wait() == []
    assert line.answer(103, 104) == ["gap * whole since 103"]


def test_a_socket_lost_before_the_answer_leaves_it_to_the_next(line: Line) -> None:
    assert line.cut() == []
    line.at += 5 * SECOND
    line.open()
    assert line.answer(103, 104, 110) == ["late 104", "late 110", "gap * whole since 103"]


def test_a_run_goes_on_where_the_one_before_ended(line: Line) -> None:
    line.answer(103)
    following = Line(200)
    resume(following.feed, standing(line.feed), "the process ended", [FILLS])
    following.open()
    assert following.answer(102, 103, 150) == ["late 150", "gap * whole since 106"]


def test_fills_heard_since_do_not_show_that_nothing_is_missing(line: Line) -> None:
    assert line.hear([107, 108]) == ["107", "108"]
    assert line.answer(106, 107, 108) == ["late 106", "gap * part since 103"]


def test_what_a_first_try_brought_does_not_either(line: Line) -> None:
    assert line.answer(105, "bad") == ["late 105"]
    line.wait()
    assert line.answer(105, 106) == ["late 106", "gap * part since 103"]


def test_a_run_that_ended_before_the_answer_leaves_the_hole_to_the_next(line: Line) -> None:
    line.hear([107])
    events = standing(line.feed)
    following = Line(200)
    resume(following.feed, events, "the process ended", [FILLS])
    following.open()
    assert following.answer(102, 103, 104, 107) == ["late 104", "gap * whole since 103"]


def test_no_fill_comes_twice_over_a_restart(line: Line) -> None:
    assert line.answer(102, 103) == []
    line.hear([108, 110, 112])
    line.hear([109])
    following = Line(200)
    resume(following.feed, standing(line.feed), "the process ended", [FILLS])
    following.open()
    assert following.answer(103, 108, 109, 110, 112, 114) == ["late 114", "gap * whole since 109"]


def test_a_run_without_any_fill_is_an_absence_all_the_same() -> None:
    line = Line()
    line.open()
    line.answer()
    following = Line(200)
    resume(following.feed, standing(line.feed), "the process ended", [FILLS])
    following.open()
    assert following.answer("request") == ["gap * none since 101"]


def test_two_sockets_tell_of_one_absence_once(line: Line) -> None:
    first = line.session
    line.open()
    second, line.session = line.session, first
    late = shown(second.answered(second.fetches.pop(0), Answer(200, b"[103, 104]"), line.at))
    assert late == ["late 104"]
    assert line.answer(103, 104) == ["gap * whole since 103"]


def test_a_venue_that_never_answers_is_told_of() -> None:
    line = Line()
    line.open()
    line.answer(), line.cut(), line.open()
    found: list[str] = []
    for _ in range(6):
        found += line.answer("retry")
        found += line.wait()
    assert found == ["gap * none since 101"]
    assert line.answer(102) == ["late 102"]
