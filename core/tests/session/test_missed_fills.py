"""Fills over cuts where the venue lists them by symbol: fetched for every symbol that is known, the rest is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Fill, Gap, MarketEvent, Order, Position
from tickhive.plugin.contract import Accepted, Fetch, Malformed, Rejected
from tickhive.plugin.hookspecs import hookimpl
from tickhive.session.resumption import resume, standing

from .account_line import SECOND, AccountLine, Venue

CHANNELS = tuple(Channel(EVERY, EVERY, kind) for kind in (DataType.FILL, DataType.ORDER, DataType.POSITION))


class Tarn(Venue):
    """Says ["fill"|"late"|"order"|"position", symbol, id]; "bad" is malformed, a number a further page, other words
    refuse.
    """

    @hookimpl
    def snapshot(self, session, channel):
        return None if channel.data_type is DataType.FILL else Fetch(f"https://tarn.test/{channel.data_type}")

    @hookimpl
    def parse(self, session, frame, at):
        said = json.loads(frame)
        return [Accepted("1")] if said == "ok" else self.events(said, at)

    @hookimpl
    def read(self, session, fetch, answer, at):
        return self.events(json.loads(answer.body), at)

    def events(self, said, at):
        found: list[Any] = []
        for each in said:
            match each:
                case int():
                    found.append(Fetch(f"https://tarn.test/page{each}"))
                case "bad":
                    found.append(Malformed("bad"))
                case str():
                    found.append(Rejected("no", each))
                case [word, symbol, id]:
                    found.append(self.event(word, symbol, id, at))
        return found

    def event(self, word, symbol, id, at):
        about, one = ("tarn", symbol, None, at, "main", id), Decimal(1)
        match word:
            case "order":
                return Order(*about, "buy", "limit", "open", one, Decimal(0))
            case "position":
                return Position(*about, "net", one)
            case _:
                return Fill(*about, "o1", "buy", one, one, late=word == "late")


class Deep(Tarn):
    """Lists fills by symbol, but for one that it has given up."""

    @hookimpl
    def backfill(self, session, channel, gap):
        if gap.data_type is not DataType.FILL or gap.symbol == "GONE":
            return None
        assert gap.start is not None
        return Fetch(f"https://tarn.test/{gap.symbol}?since={gap.start // SECOND}", channel=channel)


class Account(AccountLine):
    """With three channels; ``heard`` is what the confirmation brought, ``since`` when the socket was lost."""

    heard: list[MarketEvent]
    since: int

    def __init__(self, plugin: Tarn) -> None:
        super().__init__("tarn", plugin, CHANNELS)

    def open(self) -> list[MarketEvent]:
        self.heard = super().open()
        return self.heard

    def answer(self, *said: Any) -> list[MarketEvent]:
        return super().answer(said)


def told(events: Sequence[Any]) -> list[Any]:
    """Fills by symbol, id and whether late; gaps in fills by symbol and how much is filled."""
    return [
        (each.symbol, each.id, each.late) if isinstance(each, Fill) else (each.symbol, each.filled)
        for each in events
        if isinstance(each, Fill) or (isinstance(each, Gap) and each.data_type is DataType.FILL)
    ]


def cut_off(plugin: Tarn | None = None, *, asked: bool = True) -> Account:
    """Fills of A and B came, an order of C, a position in D; then a cut, a fresh socket, and how things stand."""
    line = Account(plugin or Deep())
    line.open()
    assert line.asked() == ["order", "position"]
    line.answer()
    line.answer(["position", "D", "p"])
    line.hear([["fill", "A", "1"], ["fill", "B", "7"]])
    line.hear([["order", "C", "9"]])
    line.since = line.at // SECOND
    line.cut()
    line.open()
    if asked:
        assert line.asked() == ["order", "position"]
        assert told(line.answer(["order", "E", "10"])) == []
        assert told(line.answer(["position", "D", "p"])) == []
    return line


def test_every_known_symbol_is_asked_for_once_it_is_known_how_things_stand() -> None:
    line = cut_off()
    since = line.since
    assert line.asked() == [f"{symbol}?since={since - 10}" for symbol in "DECAB"], "those heard of last come first"
    assert told(line.answer()) == []
    assert told(line.answer(["late", "E", "3"])) == [("E", "3", True), ("E", "whole")]
    assert told(line.answer(["order", "C", "9"])) == []
    assert told(line.answer(["late", "A", "1"], ["late", "A", "2"])) == [("A", "2", True), ("A", "whole")]
    out = line.answer(["late", "B", "7"])
    assert told(out) == [(EVERY, "part")], "nothing of B was missed; what else was traded nobody knows"
    assert (out[0].start, out[0].cause) == (since * SECOND, "cut; refill: only of D, E, C, A, B")
    assert told(line.hear([["fill", "B", "8"]])) == [("B", "8", False)], "nothing is told twice"


def test_pages_are_read_to_the_end() -> None:
    line = cut_off()
    assert told(line.answer(["late", "D", "3"], 2)) == [("D", "3", True)]
    assert line.asked()[-1] == "page2"
    line.session.fetches.insert(0, line.session.fetches.pop())
    assert told(line.answer(["late", "D", "4"])) == [("D", "4", True), ("D", "whole")]


def test_what_streams_in_meanwhile_is_no_hole() -> None:
    line = cut_off()
    assert told(line.hear([["fill", "A", "3"]])) == [("A", "3", False)]
    line.session.fetches = line.session.fetches[3:4]
    assert told(line.answer(["late", "A", "2"], ["late", "A", "3"])) == [("A", "2", True), ("A", "whole")]


@pytest.mark.parametrize(
    ("said", "filled"), [(["bad"], "none"), (["symbol"], "none"), ([["late", "D", "3"], "bad"], "part")]
)
def test_what_could_not_be_read_is_told(said: Any, filled: str) -> None:
    line = cut_off()
    assert told(line.answer(*said))[-1] == ("D", filled)
    for _ in range(3):
        line.answer()
    (gap,) = line.answer()
    assert (gap.filled, gap.cause) == ("part", "cut; refill: only of E, C, A, B")


def test_what_failed_is_asked_again_and_then_told() -> None:
    line = cut_off()
    del line.session.fetches[1:]
    for attempt in range(3):
        assert line.answer("rate") == [] if attempt == 1 else line.fail() == []
        assert line.asked() == []
        line.wait()
        assert line.asked()[0].startswith("D")
    assert told(line.fail()) == [("D", "none")]


def test_where_nothing_could_be_fetched_the_rest_is_not_partly_there() -> None:
    line = cut_off()
    for _ in range(4):
        assert told(line.answer("symbol"))[0][1] == "none"
    symbol, last = told(line.answer("symbol"))
    assert (symbol[1], last) == ("none", (EVERY, "none"))


def test_a_fill_that_streams_in_before_the_answer_brings_no_gap_of_its_own() -> None:
    line = Account(Deep())
    line.open()
    while line.session.fetches:
        line.answer()
    line.hear([["fill", "A", "1"]])
    line.cut()
    line.open()
    assert told(line.hear([["fill", "A", "9"]])) == [("A", "9", False)]


@pytest.mark.parametrize("plugin", [Tarn, Deep])
def test_where_nobody_can_say_anything_there_is_one_gap(plugin: type[Tarn]) -> None:
    line = Account(plugin())
    line.open()
    line.answer()
    line.answer()
    if plugin is Deep:
        line.hear([["fill", "GONE", "1"]])
    line.cut()
    line.open()
    out = line.heard
    while line.session.fetches:
        out += line.answer()
    assert told(out) == [(EVERY, "none")]
    assert told(line.hear([["fill", "GONE", "2"]])) == [("GONE", "2", False)]


def test_a_list_of_orders_that_does_not_come_keeps_nobody_waiting() -> None:
    line = cut_off(asked=False)
    line.fail()
    line.fail()
    assert len(line.asked()) == 4


def test_a_second_cut_does_not_shorten_the_first() -> None:
    line = cut_off()
    since = line.since
    line.answer()
    assert told(line.cut()) == []
    line.open()
    line.answer()
    line.answer()
    assert {text.partition("?")[2] for text in line.asked()} == {f"since={since - 10}"}
    assert len(line.asked()) == 5


def test_where_another_socket_goes_on_the_holes_are_told_as_they_stand() -> None:
    line = cut_off()
    one = line.session
    line.answer()
    line.answer(["late", "E", "3"], "bad")
    line.open()
    line.session = one
    assert told(line.cut()) == [("C", "none"), ("A", "none"), ("B", "none"), (EVERY, "part")]


def test_an_absence_of_the_process_is_one_too() -> None:
    line = Account(Deep())
    line.open()
    line.hear([["fill", "A", "1"]])
    last = line.at
    elsewhere = Fill("tarn", "Z", None, last + SECOND, "other", "5", "o1", "buy", Decimal(1), Decimal(1))
    left = [*standing(line.feed), elsewhere]
    line.cut()
    line.begin()
    resume(line.feed, left, "stopped", CHANNELS)
    line.at += 100 * SECOND
    line.open()
    line.answer()
    line.answer()
    assert line.asked() == [f"A?since={last // SECOND - 10}"]
    out = line.answer(["late", "A", "1"], ["late", "A", "2"])
    assert told(out) == [("A", "2", True), ("A", "whole"), (EVERY, "part")]


def test_what_is_given_up_meanwhile_is_not_told_of() -> None:
    line = cut_off()
    line.session.remove([CHANNELS[0]], line.at)
    assert [told(line.answer(["late", "D", "3"])) for _ in range(5)] == [[]] * 5
