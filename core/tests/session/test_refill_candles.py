"""Holes in the candles: what counts as one, what is asked for, and how each is said to have ended."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.channels import DataType
from tickhive.events import Candle, Gap
from tickhive.session.candle_starts import PROOF, interval_of
from tickhive.session.refill import DEADLINE

C, SYMBOL, SECOND = "candle:1m BTC-USDT", "BTC-USDT", 10**9
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND


def candle(minute: int, closed: bool = True, interval: str = "1m", symbol: str = SYMBOL):
    return {"e": "candle", "s": symbol, "i": interval, "o": minute * 60, "x": closed}


def candles(first: int, last: int):
    return [candle(minute) for minute in range(first, last + 1)]


def running(minute: int):
    return candle(minute, closed=False)


def shown(events):
    """``7`` for a candle of minute 7, ``7~`` while it runs, ``late 7`` for one fetched, ``gap 5-6 whole``."""
    out = []
    for event in events:
        if isinstance(event, Gap):
            minutes = f"{event.start // SECOND // 60}-{event.end // SECOND // 60}"
            out.append(f"gap {minutes} {event.filled}")
        else:
            minute = f"{event.start // SECOND // 60}{'' if event.closed else '~'}"
            out.append(f"late {minute}" if event.late else minute)
    return out


def asked(speaking):
    """The minutes asked for."""
    queries = [fetch.url.partition("?")[2].split("-") for fetch in speaking.session.fetches]
    return [f"{int(first) // 60}-{int(last) // 60}" for first, last in queries]


@pytest.fixture
def running_at_10(talk):
    speaking = talk("refilling", C).open()
    speaking.hear(*candles(8, 9), running(10))
    return speaking


def test_an_interruption_is_fetched_with_the_end_of_the_candle_that_ran(running_at_10):
    speaking = running_at_10.redial("cut")
    assert shown(speaking.hear(running(13))) == ["13~"]
    assert asked(speaking) == ["10-12"]
    events = speaking.answer(speaking.take_fetch(), *reversed(candles(8, 12)), running(13))
    assert shown(events) == ["late 10", "late 11", "late 12", "gap 10-12 whole"]
    gap = events[-1]
    assert (gap.data_type, gap.params, gap.cause) == (DataType.CANDLE, "1m", "cut")
    assert speaking.session.statistics.gaps == 1
    assert speaking.later(60) == []


@pytest.mark.parametrize(
    ("before", "first", "missing"),
    [
        (running(10), running(10), None),
        (running(10), candle(10), None),
        (candle(10), running(11), None),
        (candle(10), candle(10), None),
        (running(10), running(11), "10-10"),
        (candle(10), running(12), "11-11"),
    ],
)
def test_what_an_interruption_leaves_out(talk, before, first, missing):
    speaking = talk("refilling", C).open()
    speaking.hear(before)
    speaking.redial()
    assert not [event for event in speaking.hear(first) if isinstance(event, Gap)]
    assert asked(speaking) == ([missing] if missing else [])
    quiet = talk("quiet", C).open()
    quiet.hear(before)
    quiet.redial()
    gaps = [event for event in quiet.hear(first) if isinstance(event, Gap)]
    assert shown(gaps) == ([f"gap {missing} none"] if missing else [])


def test_a_venue_that_begins_with_the_candle_before_leaves_nothing_unseen(running_at_10):
    speaking = running_at_10.redial("cut")
    assert shown(speaking.hear(candle(9))) == ["9"]
    assert shown(speaking.hear(running(12))) == ["12~"]
    assert asked(speaking) == ["10-11"]
    events = speaking.answer(speaking.take_fetch(), *candles(9, 12))
    assert shown(events)[-1] == "gap 10-11 whole"
    assert events[-1].cause == "cut"


def test_a_skip_is_fetched(running_at_10):
    speaking = running_at_10
    assert shown(speaking.hear(candle(10), running(13))) == ["10", "13~"]
    assert asked(speaking) == ["11-12"]
    assert shown(speaking.answer(speaking.take_fetch(), *candles(10, 13))) == ["late 11", "late 12", "gap 11-12 whole"]


def test_without_the_hook_only_a_stream_that_left_out_none_is_accused(talk):
    speaking = talk("quiet", C).open()
    assert shown(speaking.hear(*candles(1, 3), candle(5))) == ["1", "2", "3", "5"]
    speaking.hear(*candles(6, 6 + 2 * PROOF))
    last = 6 + 2 * PROOF
    events = speaking.hear(candle(last + 3))
    assert shown(events) == [f"gap {last + 1}-{last + 2} none", f"{last + 3}"]


@pytest.mark.parametrize("cut", [False, True])
def test_a_venue_without_candles_for_intervals_without_trades_has_no_holes(talk, cut):
    speaking = talk("refilling", C).open()
    speaking.hear(candle(1))
    minute, walks = 1, 0
    for _ in range(20):
        minute += 3
        if cut:
            speaking.redial()
        assert shown(speaking.hear(candle(minute))) == [f"{minute}"]
        if speaking.session.fetches:
            walks += 1
            # Its history reaches past the hole on both sides and has nothing in it.
            assert speaking.answer(speaking.take_fetch(), candle(minute - 3), candle(minute)) == []
    assert walks == (20 if cut else 4)  # after an interruption only the history can tell
    assert speaking.session.statistics.gaps == 0


def test_some_intervals_without_trades_are_no_part(running_at_10):
    speaking = running_at_10.redial()
    speaking.hear(running(15))
    events = speaking.answer(speaking.take_fetch(), candle(9), candle(10), candle(13), running(15))
    assert shown(events) == ["late 10", "late 13", "gap 10-14 whole"]


@pytest.mark.parametrize(
    ("history", "filled", "rest"),
    [
        ([], "none", "10-14"),
        ([candle(11), candle(12)], "part", "10-14"),
        ([candle(9), *candles(10, 12)], "part", "13-14"),
        ([*candles(13, 15)], "part", "10-12"),
        ([candle(9), candle(10), candle(11), running(14), candle(15)], "part", "14-14"),
        ([*candles(10, 13), running(14)], "part", "14-14"),
    ],
)
def test_a_history_that_lags_is_asked_again_for_what_lacks_then_reported(running_at_10, history, filled, rest):
    speaking = running_at_10.redial()
    speaking.hear(running(15))
    assert speaking.answer(speaking.take_fetch(), *history) == []
    for _ in range(2):
        assert speaking.later(2) == []
        assert asked(speaking) == [rest]
        events = speaking.answer(speaking.take_fetch(), *history)
    assert shown(events)[-1] == f"gap 10-14 {filled}"
    assert all(event.late and event.closed for event in events[:-1])
    assert speaking.session.fetches == []


def test_a_candle_that_comes_live_after_all_is_not_handed_out_twice(running_at_10):
    speaking = running_at_10
    speaking.hear(candle(10), running(14))
    assert shown(speaking.hear(candle(12))) == ["12"]
    events = speaking.answer(speaking.take_fetch(), *candles(10, 14))
    assert shown(events) == ["late 11", "late 13", "gap 11-13 whole"]
    assert shown(speaking.hear(candle(11), running(13), candle(14))) == ["14"]


@pytest.mark.parametrize(("before", "filled"), [((), "none"), (candles(12, 13), "part")])
def test_a_fetch_that_fails_ends_the_hole_as_it_stands(running_at_10, before, filled):
    speaking = running_at_10
    speaking.hear(candle(10), running(14))
    fetch = speaking.take_fetch()
    if before:
        assert speaking.answer(fetch, {"e": "fetch", "url": "https://acme.test/2"}, *before) == []
        fetch = speaking.take_fetch()
    events = speaking.session.fetch_failed(fetch, "down", speaking.at)
    assert shown(events)[-1] == f"gap 11-13 {filled}"
    assert events[-1].cause.endswith("; refill: down")


def test_a_hole_outlives_its_socket_and_its_deadline_ends_it(running_at_10):
    speaking = running_at_10
    speaking.hear(candle(10), running(14))
    speaking.redial("cut")
    assert speaking.later(0) == []
    assert asked(speaking) == ["11-13"]
    events = speaking.later(DEADLINE / 1e9)
    assert shown(events) == ["gap 11-13 none"]
    assert events[0].cause.endswith("not complete within 30 s")


def test_each_interval_has_its_own_holes(talk):
    speaking = talk("refilling", C, "candle:5m BTC-USDT", "candle:odd BTC-USDT").open()
    speaking.hear(candle(5), candle(5, interval="5m"), candle(5, interval="odd"))
    speaking.hear(candle(6), candle(15, interval="5m"), candle(55, interval="odd"))
    assert asked(speaking) == ["10-10"]
    fetch = speaking.take_fetch()
    assert fetch.channel.params == "5m"
    events = speaking.answer(fetch, candle(10), *(candle(minute, interval="5m") for minute in (5, 10, 15)))
    assert shown(events) == ["late 10", "gap 10-10 whole"]
    assert events[0].interval == "5m"


def test_an_interval_of_unknown_length_is_reported_as_it_was_seen(talk):
    speaking = talk("refilling", "candle:odd BTC-USDT").open()
    speaking.hear(candle(5, interval="odd"))
    speaking.redial("cut")
    assert [type(event) for event in speaking.hear(candle(50, interval="odd"))] == [Gap, Candle]
    assert speaking.session.fetches == []
    speaking.redial("cut")
    assert [type(event) for event in speaking.hear(candle(50, interval="odd"))] == [Candle]


def test_what_another_socket_brings_was_never_missing(running_at_10):
    speaking = running_at_10
    other = speaking.twin()
    speaking.hear(candle(10), running(13))
    assert asked(speaking) == []
    assert shown(other.hear(*candles(11, 12))) == ["11", "12"]
    assert speaking.later(60) == []
    assert speaking.session.fetches == []


def test_a_socket_that_lags_does_not_open_a_candle_again(talk):
    one = talk("quiet", C).open()
    other = one.twin()
    one.hear(running(10), candle(10))
    other.hear(running(10))
    one.session.closed("cut", one.at)
    other.redial("cut")
    assert [event for event in other.hear(running(11)) if isinstance(event, Gap)] == []


def test_after_a_second_it_is_fetched_all_the_same(running_at_10):
    speaking = running_at_10
    other = speaking.twin()
    speaking.hear(candle(10), running(14))
    other.hear(candle(11))
    assert speaking.later(1) == []
    assert asked(speaking) == ["12-13"]
    assert shown(speaking.answer(speaking.take_fetch(), *candles(11, 14))) == ["late 12", "late 13", "gap 12-13 whole"]


@pytest.mark.parametrize(
    ("name", "start", "length"),
    [
        ("1s", 5 * SECOND, SECOND),
        ("6H", 10 * HOUR, 6 * HOUR),
        ("1D", 16 * HOUR, DAY),
        ("1dutc", DAY, DAY),
        ("2d", 3 * DAY, 2 * DAY),
        ("1W", 4 * DAY - 8 * HOUR, 7 * DAY),
        ("1M", 31 * DAY, 28 * DAY),
        ("1M", 31 * DAY - 8 * HOUR, 28 * DAY),
        ("3M", -8 * HOUR, 90 * DAY),
        ("1M", 31 * DAY + 5 * HOUR, 28 * DAY),
    ],
)
def test_an_interval_begins_where_its_candles_do(name, start, length):
    interval = interval_of(name, start)
    assert interval.after(start) == start + length
    assert interval.begin(start + length - 1) == start


@pytest.mark.parametrize("name", ["", "odd", "0m", "1x", "m", "1mm", "1M"])
def test_a_name_that_tells_no_length(name):
    assert interval_of(name, 12 * DAY + 1) is None


_steps = st.lists(st.sampled_from(["next", "next", "lose", "cut", "answer", "answer", "fail", "wait"]), max_size=50)


@settings(deadline=None, max_examples=100)
@given(_steps, st.integers(1, 3), st.booleans())
def test_every_candle_is_delivered_closed_once_or_lies_in_a_reported_gap(talk, steps, every, paged):
    """``every``: only each so many-th minute has a candle at all."""
    speaking = talk("refilling", C).open()
    minute, out = 300, []
    out += speaking.hear(candle(minute))

    def history(fetch):
        first, last = (int(part) // 60 for part in fetch.url.partition("?")[2].split("-"))
        rows = [candle(each) for each in range(300, minute + 1) if each % every == 0]
        rows = [row for row in rows if first - 60 * 60 * every <= row["o"] // 60 <= last + every]
        if paged and last - first > 2:
            middle = (first + last) // 2
            rest = {"e": "fetch", "url": f"https://acme.test/candles?{first * 60}-{middle * 60}"}
            return [row for row in rows if row["o"] // 60 > middle] + [rest]
        return rows

    for step in [*steps, "cut", "next", *["answer"] * 12]:
        match step:
            case "next":
                minute += every - minute % every
                out += speaking.hear(running(minute), candle(minute))
            case "lose":
                minute += every - minute % every
            case "cut":
                speaking.redial("cut")
                out += speaking.later(0)
            case "answer" if speaking.session.fetches:
                fetch = speaking.take_fetch()
                out += speaking.answer(fetch, *history(fetch))
            case "fail" if speaking.session.fetches:
                out += speaking.session.fetch_failed(speaking.take_fetch(), "down", speaking.at)
            case "wait":
                out += speaking.later(7)
    out += speaking.later(2 * DEADLINE / 1e9)
    speaking.session.closed("stopped", speaking.at)
    out += speaking.feed.finish()

    closed = [event.start // SECOND // 60 for event in out if isinstance(event, Candle) and event.closed]
    assert len(closed) == len(set(closed))
    accounted = set(closed)
    for gap in out:
        if isinstance(gap, Gap):
            hole = range(gap.start // SECOND // 60, gap.end // SECOND // 60 + 1)
            if gap.filled == "whole":
                assert {each for each in hole if each % every == 0} <= set(closed)
            accounted |= set(hole)
    there = {each for each in range(300, minute + 1) if each % every == 0}
    if speaking.feed.candle_starts.of(next(event for event in out if isinstance(event, Candle))).sparse:
        return  # of a venue that leaves out intervals only an interruption tells
    assert there <= accounted


def test_a_candle_that_ran_on_a_socket_that_hung_and_on_no_other_is_fetched(running_at_10):
    one = running_at_10
    one.at += 10 * SECOND
    two = one.twin()
    assert shown(two.hear(running(11))) == ["11~"]
    assert shown(two.hear(candle(11), running(12))) == ["11", "12~"]
    assert one.data(one.session.closed("no answer to the heartbeat", one.at)) == []
    assert asked(two) == ["10-10"]
    assert shown(two.answer(two.take_fetch(), *candles(8, 11))) == ["late 10", "gap 10-10 whole"]


def test_a_candle_that_another_socket_closed_before_is_not_missing(running_at_10):
    one = running_at_10
    two = one.twin()
    two.hear(candle(10), running(11))
    two.session.closed("cut", two.at)
    two.at = one.at = one.at + 10 * SECOND
    three = one.twin()
    three.hear(running(11))
    assert one.data(one.session.closed("no answer to the heartbeat", one.at)) == []
    assert asked(three) == []
