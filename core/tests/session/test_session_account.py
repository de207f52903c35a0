"""Orders of an account over cuts: what is open is asked for, what ended unheard is found out or told as a Gap."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Gap, Order
from tickhive.plugin.contract import (
    Accepted,
    Credentials,
    Dial,
    Fetch,
    Malformed,
    Rejected,
    Request,
    Unsubscribed,
)
from tickhive.plugin.hookspecs import hookimpl
from tickhive.session import Session
from tickhive.session.orders import Orders

from .account_line import SECOND, AccountLine, Venue

ORDERS = Channel(EVERY, EVERY, DataType.ORDER)


def order(id: str, status: Any, at: int) -> Order:
    return Order("umbra", "A-B", None, at, "main", id, "buy", "limit", status, Decimal(1), Decimal(0))


class Umbra(Venue):
    """Answers lists of [id, status]; a bare text instead is an error, a number a further page."""

    @hookimpl
    def snapshot(self, session, channel):
        return Fetch("https://umbra.test/open", channel=channel)

    @hookimpl
    def parse(self, frame, at):
        said = json.loads(frame)
        return [Accepted("1")] if said == "ok" else [order(*each, at) for each in said]

    @hookimpl
    def read(self, fetch, answer, at):
        found: list[Any] = []
        for each in json.loads(answer.body):
            match each:
                case int():
                    found.append(Fetch(f"https://umbra.test/page{each}"))
                case "bad":
                    found.append(Malformed("bad"))
                case str():
                    found.append(Rejected("no", each))
                case _:
                    found.append(order(*each, at))
        return found


class Backfilling(Umbra):
    @hookimpl
    def backfill(self, channel, gap):
        assert gap.data_type is DataType.ORDER
        return Fetch(f"https://umbra.test/order/{gap.first_id}", channel=channel)


class Parting(Umbra):
    """Lets a channel be given up."""

    @hookimpl
    def unsubscribe(self, session, channels):
        return [Request("unsub", channels, "2")]

    @hookimpl
    def parse(self, frame, at):
        return [Unsubscribed("2")] if frame == b'"off"' else super().parse(frame, at)


class Line(AccountLine):
    """With the channel of orders."""

    def __init__(self, plugin: Umbra) -> None:
        super().__init__("umbra", plugin, [ORDERS])


def told(events: Sequence[Any]) -> list[Any]:
    """Orders by id and status, endings nobody tells as the id with None."""
    found: list[Any] = []
    for event in events:
        if isinstance(event, Order):
            found.append((event.id, event.status))
        elif isinstance(event, Gap) and event.first_id is not None:
            assert event.data_type is DataType.ORDER
            assert event.first_id == event.last_id
            found.append((event.first_id, None))
    return found


def interrupted(plugin: Umbra, *, then: Callable[[Line], None] = lambda line: None) -> Line:
    """Orders 1 and 2 were open when the socket was lost, 3 had ended; another one is open and asks how things stand."""
    line = Line(plugin)
    line.open()
    line.answer([["1", "open"]])
    line.hear([["2", "partially_filled"], ["3", "open"], ["3", "filled"]])
    then(line)
    line.cut()
    line.open()
    assert line.asked() == ["open"]
    return line


def test_an_order_that_ended_unheard_is_asked_about() -> None:
    line = interrupted(Backfilling())
    assert told(line.answer([["2", "open"]])) == [("2", "open")]
    assert line.asked() == ["order/1"]
    assert told(line.answer([["1", "cancelled"]])) == [("1", "cancelled")]
    assert line.asked() == []


def test_pages_are_read_to_the_end_first() -> None:
    line = interrupted(Backfilling())
    assert told(line.answer([["1", "open"], 2])) == [("1", "open")]
    assert line.asked() == ["page2"]
    line.answer([["2", "open"]])
    assert line.asked() == []


@pytest.mark.parametrize("plugin", [Umbra, Backfilling])
def test_what_nobody_tells_is_a_gap_once(plugin: type[Umbra]) -> None:
    line = interrupted(plugin())
    found = told(line.answer([]))
    while line.session.fetches:
        found += told(line.answer([]) if len(line.session.fetches) > 1 else line.fail())
    assert sorted(found) == [("1", None), ("2", None)]
    line.cut()
    line.open()
    assert told(line.answer([])) == []
    assert line.asked() == []


def test_what_was_heard_meanwhile_needs_no_gap() -> None:
    line = interrupted(Backfilling())
    line.answer([["2", "open"]])
    line.hear([["1", "filled"]])
    assert told(line.fail()) == []


@pytest.mark.parametrize("said", [["bad"], ["request"], ["retry"], "unreadable"], ids=str)
def test_a_list_that_is_not_whole_ends_nothing(said: Any) -> None:
    line = interrupted(Umbra())
    assert told(line.answer(said)) == []
    assert line.session.close_reason is None


def test_what_failed_is_asked_again_less_and_less_often() -> None:
    line = interrupted(Umbra())
    waits = []
    for attempt in range(4):
        line.answer(["rate"]) if attempt == 1 else line.fail()
        assert line.asked() == []
        failed_at = line.at
        while not line.session.fetches:
            due = line.session.deadline()
            assert due is not None
            line.at = max(line.at, due)
            line.session.tick(line.at)
        waits.append((line.at - failed_at) // SECOND)
        assert line.asked() == ["open"]
    assert waits == [1, 2, 4, 8]
    assert told(line.answer([["1", "open"]])) == [("1", "open"), ("2", None)]


def test_a_signature_the_venue_does_not_accept_ends_the_feed() -> None:
    line = interrupted(Umbra())
    line.fail(unauthorised=True)
    assert line.session.fatal == line.session.close_reason == "the venue refused the credentials (no way)"


def test_a_socket_that_lags_opens_nothing_again() -> None:
    orders = Orders()
    for status in ("open", "filled", "open"):
        orders.note(order("1", status, 5))
    assert orders.untold("main", 9) == []
    orders.note(order("2", "open", 5))
    assert [each.id for each in orders.untold("main", 9)] == ["2"]
    assert orders.untold("other", 9) == orders.untold("main", 5) == []


def test_what_was_asked_for_before_the_stream_spoke_is_not_handed_out() -> None:
    line = Line(Umbra())
    line.open()
    line.hear([["1", "open"]])
    line.hear([["1", "cancelled"], ["2", "partially_filled"]])
    assert told(line.answer([["1", "open"], ["2", "open"], ["3", "open"], ["1", "cancelled"]])) == [("3", "open")]
    assert told(line.hear([["1", "open"]])) == []  # no venue opens an order again
    line.cut()
    line.open()
    assert told(line.answer([["2", "open"], ["3", "open"]])) == [("2", "open"), ("3", "open")]


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [(7, 8, []), (8, 7, [("1", "open")]), (7, 7, [("1", "open")]), (None, 7, []), (7, None, [])],
)
def test_the_venues_time_decides_which_word_is_the_last(earlier: Any, later: Any, expected: list[Any]) -> None:
    orders = Orders()
    first, second = (order("1", "open", 5) for _ in range(2))
    first.timestamp, second.timestamp = later, earlier
    orders.note(first)
    assert orders.outdated(second, asked_at=5) is (not expected)
    assert not orders.outdated(second)


def test_what_cannot_be_read_is_asked_for_again_and_then_told() -> None:
    line = interrupted(Umbra())
    found: list[Any] = []
    for attempt in range(5):
        assert line.asked() == ["open"]
        found += line.answer(["bad", ["2", "open"]] if attempt % 2 else 5)
        for _ in range(20):
            due = line.session.deadline()
            if line.session.fetches or due is None:
                break
            line.at = max(line.at, due)
            found += line.session.tick(line.at)
    gaps = [each for each in found if isinstance(each, Gap) and each.symbol == EVERY]
    assert [(gap.data_type, gap.filled, gap.cause) for gap in gaps] == [
        (DataType.ORDER, "none", "cut; how the account stands could not be read")
    ]
    assert line.asked() == []
    line.cut()
    line.open()
    assert told(line.answer([["2", "open"]])) == [("2", "open"), ("1", None)]


def test_numbers_of_orders_are_those_of_a_symbol() -> None:
    orders = Orders()
    first, second = order("1", "filled", 5), order("1", "open", 5)
    second.symbol = "C-D"
    orders.note(first)
    assert not orders.outdated(second)
    orders.note(second)
    assert orders.open() == [second]


def test_an_order_that_ended_while_its_channel_was_given_up_is_asked_about() -> None:
    line = Line(Parting())
    line.open()
    line.answer([])
    line.hear([["1", "open"]])
    line.session.remove([ORDERS], line.at)
    line.hear("off")
    line.at += SECOND
    line.session.add([ORDERS], line.at)
    line.hear("ok")
    assert told(line.answer([])) == [("1", None)]


class Mute(Umbra):
    """Nobody says how things stand."""

    @hookimpl
    def snapshot(self, session, channel):
        return None


def test_what_cannot_be_fetched_after_a_cut_is_one_gap_for_the_whole_account() -> None:
    line = Line(Mute())
    line.open()
    line.hear([["1", "open"]])
    heard = line.at
    line.cut()
    line.at += SECOND
    dial = Dial("a", ("wss://umbra.test",), (ORDERS,))
    line.session = Session(line.stack, dial, line.feed, credentials=Credentials("main", "k"))
    line.session.opened(line.at)
    gap, *_ = line.hear("ok")
    assert isinstance(gap, Gap)
    assert (gap.symbol, gap.data_type, gap.start, gap.end, gap.cause) == (EVERY, DataType.ORDER, heard, line.at, "cut")
    assert line.hear([["2", "open"]])[0].symbol == "A-B"
    assert line.session.statistics.gaps == 2  # that of the account, and that of the symbol heard of before
    line.cut()
    line.open()
    assert line.session.statistics.gaps == 1


def test_what_a_failed_request_tells_is_counted() -> None:
    line = interrupted(Backfilling())
    line.answer([["2", "open"]])
    before = line.session.statistics.events
    out = line.fail()
    assert told(out) == [("1", None)]
    assert line.session.statistics.events == before + len(out)


def test_a_channel_that_is_taken_up_again_is_asked_how_it_stands() -> None:
    line = Line(Parting())
    line.open()
    line.answer([])
    line.session.remove([ORDERS], line.at)
    line.hear("off")
    line.session.add([ORDERS], line.at)
    line.hear("ok")
    assert line.asked() == ["open"]
