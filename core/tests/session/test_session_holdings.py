"""Positions and balances of an account over cuts: what is held no more is told as zero, and nothing out of date."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Balance, Gap, MarketEvent, Position
from tickhive.plugin.contract import (
    Accepted,
    Fetch,
    Malformed,
    Rejected,
    Request,
    Unsubscribed,
)
from tickhive.plugin.hookspecs import hookimpl
from tickhive.session.holdings import Holdings, emptied
from tickhive.session.resumption import resume, standing

from .account_line import AccountLine, Venue

POSITIONS, BALANCES = (Channel(EVERY, EVERY, kind) for kind in (DataType.POSITION, DataType.BALANCE))


def position(symbol: str, size: Any, at: int, side: Any = "net", id: str = "", time: int | None = None) -> Position:
    return Position("umbra", symbol, time, at, "main", id, side, Decimal(size), Decimal(7), margin_mode="cross")


def balance(currency: str, total: Any, at: int, time: int | None = None) -> Balance:
    return Balance("umbra", currency, time, at, "main", Decimal(total), Decimal(total))


class Umbra(Venue):
    """Speaks of ``[symbol, size, ...]`` as positions, and of ``[currency, total]`` as balances on that channel."""

    @hookimpl
    def unsubscribe(self, session, channels):
        return [Request("unsub", channels, "2")]

    @hookimpl
    def snapshot(self, session, channel):
        return Fetch(f"https://umbra.test/{channel.data_type.value}", channel=channel)

    @hookimpl
    def parse(self, session, frame, at):
        said = json.loads(frame)
        if said == "off":
            return [Unsubscribed("2")]
        return [Accepted("1")] if said == "ok" else [_event(session.channels[0], each, at) for each in said]

    @hookimpl
    def read(self, session, fetch, answer, at):
        return [_event(session.channels[0], each, at) for each in json.loads(answer.body)]


def _event(channel: Channel, said: Any, at: int) -> Any:
    match said:
        case "bad":
            return Malformed("bad")
        case "page":
            return Fetch("https://umbra.test/page")
        case "refused":
            return Rejected("no", "request")
        case _ if channel is BALANCES:
            return balance(said[0], said[1], at, *said[2:])
    return position(said[0], said[1], at, *said[2:])


class Line(AccountLine):
    """With one channel; speaks as ``held``."""

    def __init__(self, channel: Channel = POSITIONS) -> None:
        super().__init__("umbra", Umbra(), [channel])

    def hear(self, said: Any) -> list[Any]:
        return held(super().hear(said))

    def answer(self, said: Any) -> list[Any]:
        return held(super().answer(said))


def held(events: Sequence[MarketEvent]) -> list[Any]:
    """Positions and balances as (name, amount), Gaps as their symbols."""
    found: list[Any] = []
    for event in events:
        match event:
            case Position():
                found.append((event.symbol, int(event.size)))
            case Balance(total=Decimal() as total):
                found.append((event.symbol, int(total)))
            case Gap():
                found.append(event.symbol)
    return found


@pytest.mark.parametrize("channel", [POSITIONS, BALANCES], ids=lambda channel: channel.data_type.value)
def test_what_was_closed_during_a_cut_is_told_as_zero(channel: Channel) -> None:
    line = Line(channel)
    line.open()
    assert line.answer([["A", 3], ["B", 2]]) == [("A", 3), ("B", 2)]
    line.hear([["C", 1], ["B", 0]])
    line.cut()
    line.open()
    # Each stands after the Gap of the time in which nobody listened.
    assert line.answer([["A", 3]]) == ["A", ("A", 3), "C", ("C", 0)]
    line.cut()
    line.open()
    assert line.answer([["A", 4]]) == ["A", ("A", 4)]


@pytest.mark.parametrize("said", [[["A", 3], "bad"], [["A", 3], "refused"], [["A", 3], "page", "bad"]])
def test_nothing_is_zero_where_not_all_was_read(said: Any) -> None:
    line = Line()
    line.open()
    line.answer([["A", 3], ["B", 2]])
    line.cut()
    line.open()
    found = line.answer(said)
    while line.session.fetches:
        found += line.answer([])
    assert ("B", 0) not in found


def test_all_pages_are_waited_for() -> None:
    line = Line()
    line.open()
    line.answer([["A", 3], ["B", 2], ["C", 1], ["D", 4]])
    line.cut()
    line.open()
    assert line.answer([["A", 3], "page", "page"]) == ["A", ("A", 3)]
    assert line.answer([["B", 2]]) == ["B", ("B", 2)]
    assert line.answer([["C", 1]]) == ["C", ("C", 1), "D", ("D", 0)]


def test_what_is_answered_after_the_channel_was_given_up_is_left_out() -> None:
    line = Line()
    line.open()
    line.session.remove([POSITIONS], line.at)
    line.hear("off")
    assert line.answer([["A", 3]]) == []
    assert line.feed.holdings.held() == []


def test_of_two_sockets_the_later_word_counts() -> None:
    line = Line()
    line.open()
    line.answer([["A", 0, "net", "", 1]])
    first = line.session
    line.open()
    second, line.session = line.session, first
    assert held(second.receive([b'[["A", 1, "net", "", 5]]'], line.at)) == [("A", 1)]
    assert line.hear([["A", 0, "net", "", 3]]) == []
    line.hear([["A", 1, "net", "", 5]])
    assert [each.size for each in line.feed.holdings.held()] == [1]


def test_an_echo_is_not_the_last_word() -> None:
    line = Line()
    line.open()
    line.answer([])
    first = line.session
    line.open()
    second, line.session = line.session, first
    assert line.hear([["A", 2]]) == [("A", 2)]
    assert line.hear([["A", 1]]) == [("A", 1)]
    assert held(second.receive([b'[["A", 2]]'], line.at)) == []
    assert [each.size for each in line.feed.holdings.held()] == [1]


def test_what_the_stream_told_since_goes_before_what_was_fetched() -> None:
    line = Line()
    line.open()
    assert line.hear([["A", 1], ["B", 1], ["C", 0]]) == [("A", 1), ("B", 1), ("C", 0)]
    # The answer is of before: A had 3, B was not there, C was not closed.
    assert line.answer([["A", 3], ["C", 2], ["D", 5]]) == [("D", 5)]
    assert line.hear([["A", 3]]) == [("A", 3)]  # a stream is believed


@pytest.mark.parametrize(("time", "size", "expected"), [(6, 3, []), (7, 1, []), (7, 3, [("A", 3)]), (8, 3, [("A", 3)])])
def test_the_venues_times_are_compared_where_it_sends_them(time: int, size: int, expected: list[Any]) -> None:
    line = Line()
    line.open()
    line.hear([["A", 1, "net", "", 7]])
    assert line.answer([["A", size, "net", "", time]]) == expected
    line.cut()
    line.open()
    # Nobody listened meanwhile: it ends the Gap, changed or not.
    assert line.answer([["A", 3, "net", "", 8]]) == ["A", ("A", 3)]


def test_an_instrument_may_have_two_positions() -> None:
    line = Line()
    line.open()
    line.answer([["A", 3, "long", "1"], ["A", -2, "short", "2"]])
    line.cut()
    line.open()
    assert line.answer([["A", 3, "long", "1"]]) == ["A", ("A", 3), ("A", 0)]
    [last] = [event for event in line.feed.continuity.streams() if isinstance(event[1], Position)]
    assert (last[1].side, last[1].id, last[1].margin_mode, last[1].entry_price) == ("short", "2", "cross", None)


def test_a_run_goes_on_where_the_one_before_ended() -> None:
    line = Line()
    line.open()
    line.answer([["A", 3, "long", "1"], ["A", -2, "short", "2"], ["B", 1]])
    events = standing(line.feed)
    following = Line()
    following.at = line.at
    resume(following.feed, events, "the process ended", [POSITIONS])
    following.open()
    assert following.answer([["B", 1]]) == ["B", ("B", 1), "A", ("A", 0), ("A", 0)]


def test_a_balance_that_is_gone_keeps_what_was_not_told_untold() -> None:
    gone = emptied(Balance("umbra", "USD", 3, 4, "main", Decimal(5), None, Decimal(1)), 9)
    assert gone == Balance("umbra", "USD", None, 9, "main", Decimal(0), None, Decimal(0))


def test_what_is_known_is_bounded() -> None:
    holdings = Holdings()
    for number in range(20_100):
        holdings.note(position(f"S{number}", 1, 5))
    assert len(holdings.held()) == 20_000
    assert not holdings.outdated(position("S0", 2, 5), 5, 0)
    assert holdings.outdated(position("S20099", 2, 5), 5, 0)
