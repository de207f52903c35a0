"""Holes in the trades: what is asked for, what is handed out late, and how each hole is said to have ended."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.channels import DataType
from tickhive.events import Gap, Trade
from tickhive.session.refill import DEADLINE
from tickhive.session.trade_ids import PROOF

T, SYMBOL = "trade BTC-USDT", "BTC-USDT"
SECONDS = DEADLINE / 1e9


def trade(id: int, n: int = 1):
    return {"e": "trade", "s": SYMBOL, "id": str(id), "t": id * 10, "n": n}


def trades(first: int, last: int):
    return [trade(id) for id in range(first, last + 1)]


def shown(events):
    """``7`` for a trade, ``late 7`` for one fetched afterwards, ``gap 5-6 whole``."""
    out = []
    for event in events:
        if isinstance(event, Gap):
            out.append(f"gap {event.first_id}-{event.last_id} {event.filled}")
        else:
            out.append(f"late {event.id}" if event.late else event.id)
    return out


@pytest.fixture
def proven(talk):
    speaking = talk("refilling", T).open()
    speaking.hear(*trades(100 - PROOF, 100))
    return speaking


def asked(speaking):
    return [fetch.url.partition("?")[2] for fetch in speaking.session.fetches]


def test_a_jump_is_fetched_and_handed_out_in_order_then_reported(proven):
    assert shown(proven.hear(trade(105), trade(106))) == ["105", "106"]
    assert asked(proven) == ["101-104"]
    events = proven.answer(proven.take_fetch(), *reversed(trades(99, 107)))
    assert shown(events) == ["late 101", "late 102", "late 103", "late 104", "gap 101-104 whole"]
    gap = events[-1]
    assert (gap.start, gap.end, gap.data_type) == (1000, 1050, DataType.TRADE)
    assert gap.cause == "trade ids jump from 100 to 105"
    assert proven.session.statistics.gaps == 1
    assert proven.later(60) == []


def test_without_the_hook_the_gap_stands_before_what_follows_it(talk):
    speaking = talk("quiet", T).open()
    speaking.hear(*trades(100 - PROOF, 100))
    events = speaking.hear(trade(101), trade(105, n=2), trade(106))
    assert shown(events) == ["101", "gap 102-103 none", "105", "106"]
    assert speaking.session.statistics.gaps == 1


def test_ids_that_are_not_consecutive_are_no_hole(talk):
    speaking = talk("refilling", T).open()
    assert not [event for event in speaking.hear(*(trade(id) for id in range(0, 500, 3))) if isinstance(event, Gap)]
    assert asked(speaking) == []


def test_an_interruption_is_refilled_by_the_next_socket(proven):
    proven.redial("cut")
    assert shown(proven.hear(trade(103))) == ["103"]
    events = proven.answer(proven.take_fetch(), *trades(101, 102))
    assert shown(events) == ["late 101", "late 102", "gap 101-102 whole"]
    assert events[-1].cause == "cut"


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (trades(5, 9), ["late 6", "late 9", "gap 6-9 whole"]),
        ([trade(5)], ["gap 6-9 whole"]),  # nothing was traded meanwhile
        ([trade(9)], ["late 9"]),  # nobody knows yet what lies below
        ([], []),
    ],
)
def test_where_ids_jump_anyway_a_walk_down_to_the_known_is_whole(talk, history, expected):
    history = [each for each in history if each["id"] not in ("7", "8")]
    speaking = talk("refilling", T).open()
    speaking.hear(trade(5))
    speaking.redial()
    speaking.hear(trade(10))
    events = speaking.answer(speaking.take_fetch(), *history)
    if expected and expected[-1].startswith("gap"):
        assert shown(events) == expected
    else:
        assert events == []  # the history may lag: asked again, then reported
        for _ in range(2):
            events = speaking.later(2)
            assert events == []
            events = speaking.answer(speaking.take_fetch(), *history)
        assert shown(events) == [*expected, f"gap 6-9 {'part' if expected else 'none'}"]


@pytest.mark.parametrize(
    ("before", "filled", "cause"),
    [((), "none", "down"), (trades(103, 104), "part", "down")],
)
def test_a_fetch_that_fails_ends_the_hole_as_it_stands(proven, before, filled, cause):
    proven.hear(trade(105))
    fetch = proven.take_fetch()
    if before:
        proven.answer(fetch, {"e": "fetch", "url": "https://acme.test/2"}, *before)
        fetch = proven.take_fetch()
    events = proven.session.fetch_failed(fetch, "down", proven.at)
    assert shown(events) == [f"late {each['id']}" for each in before] + [f"gap 101-104 {filled}"]
    assert events[-1].cause == "trade ids jump from 100 to 105; refill: down"


def test_pages_are_followed_and_handed_out_together(proven):
    proven.hear(trade(105))
    assert proven.answer(proven.take_fetch(), *trades(103, 104), {"e": "fetch", "url": "https://acme.test/2"}) == []
    assert shown(proven.answer(proven.take_fetch(), *trades(101, 102)))[-1] == "gap 101-104 whole"


def test_pages_without_end_are_not_followed_for_ever(proven):
    proven.hear(trade(105))
    pages = 0
    while proven.session.fetches:
        proven.answer(proven.take_fetch(), {"e": "fetch", "url": "https://acme.test/again"})
        pages += 1
    assert pages == 1000


@pytest.mark.parametrize(("kind", "again"), [("rate", True), ("retry", True), ("symbol", False), ("request", False)])
def test_a_refusal_is_asked_again_only_when_that_may_help(proven, kind, again):
    proven.hear(trade(105))
    events = proven.answer(proven.take_fetch(), {"e": "no", "kind": kind, "why": "busy"})
    if again:
        assert events == []
        proven.later(2)
        assert asked(proven) == ["101-104"]
    else:
        assert shown(events) == ["gap 101-104 none"]
        assert events[0].cause.endswith("refill: busy")
    assert proven.states() == {T: "receiving"}


def test_what_is_late_beyond_the_deadline_is_reported_as_it_stands(proven):
    proven.hear(trade(105))
    fetch = proven.take_fetch()
    assert proven.later(SECONDS - 0.1) == []
    events = proven.later(0.2)
    assert shown(events) == ["gap 101-104 none"]
    assert events[0].cause.endswith("not complete within 30 s")
    assert proven.answer(fetch, *trades(101, 104)) == []


def test_a_trade_that_comes_live_after_all_is_not_handed_out_twice(proven):
    proven.hear(trade(105))
    assert shown(proven.hear(trade(102))) == ["102"]
    events = proven.answer(proven.take_fetch(), *trades(101, 104))
    assert shown(events) == ["late 101", "late 103", "late 104", "gap 101-104 whole"]
    assert shown(proven.hear(trade(103), trade(106))) == ["106"]


def test_a_history_of_single_matches_knows_what_a_merged_trade_holds(proven):
    proven.hear(trade(108, n=3))
    events = proven.answer(proven.take_fetch(), *trades(98, 108))
    assert shown(events) == [*(f"late {id}" for id in range(101, 106)), "gap 101-105 whole"]


def test_a_merged_trade_that_was_delivered_in_part_is_not_handed_out(proven):
    proven.hear(trade(105))
    assert proven.answer(proven.take_fetch(), trade(102, n=3), *trades(103, 104)) == []
    assert asked(proven) == []
    proven.later(2)
    assert asked(proven) == ["101-102"]


def test_a_hole_outlives_its_socket_and_keeps_what_it_has(proven):
    proven.hear(trade(105))
    proven.answer(proven.take_fetch(), *trades(104, 104), {"e": "fetch", "url": "https://acme.test/2"})
    stale = proven.take_fetch()
    session = proven.session
    proven.redial("cut")
    assert session.answered(stale, None, proven.at) == []
    proven.later(0)
    assert asked(proven) == ["101-103"]
    events = proven.answer(proven.take_fetch(), *trades(101, 103))
    assert shown(events) == [*(f"late {id}" for id in range(101, 105)), "gap 101-104 whole"]


def test_time_without_a_socket_does_not_count(proven):
    proven.hear(trade(105))
    proven.later(SECONDS - 5)
    proven.session.closed("cut", proven.at)
    proven.at += 10 * DEADLINE
    proven.dialled()
    proven.open()
    assert proven.later(4.9) == []
    assert asked(proven) == ["101-104"]
    assert shown(proven.later(0.2)) == ["gap 101-104 none"]


def test_holes_are_reported_when_no_socket_will_come(proven):
    proven.hear(trade(105))
    proven.session.closed("stopped", proven.at)
    assert shown(proven.feed.finish()) == ["gap 101-104 none"]
    assert proven.feed.finish() == []


def test_numbers_that_restarted_are_a_gap_at_once(proven):
    proven.redial("cut")
    events = proven.hear({**trade(3), "t": 5000})
    assert shown(events) == ["gap None-None none", "3"]
    assert asked(proven) == []


_steps = st.lists(
    st.one_of(
        st.sampled_from(["trade", "trade", "trade", "lose", "swap", "cut", "answer", "answer", "fail", "page", "wait"])
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(_steps)
def test_every_trade_is_delivered_once_or_lies_in_a_reported_gap(talk, steps):
    speaking = talk("refilling", T).open()
    out = speaking.hear(*trades(100 - PROOF, 100))
    id = 100

    def page(fetch, size):
        first, last = map(int, fetch.url.partition("?")[2].split("-"))
        low = max(first - 1, last - size + 1)
        rows = [trade(each) for each in range(low, last + 1)]
        if low > first:
            rows.append({"e": "fetch", "url": f"https://acme.test/trades?{first}-{low - 1}"})
        return rows

    for step in [*steps, "cut", "trade", *["answer"] * 5]:
        match step:
            case "trade":
                id += 1
                out += speaking.hear(trade(id))
            case "lose":
                id += 1
            case "swap":
                id += 2
                out += speaking.hear(trade(id), trade(id - 1))
            case "cut":
                speaking.redial("cut")
                out += speaking.later(0)
            case "answer" | "page" if speaking.session.fetches:
                fetch = speaking.take_fetch()
                out += speaking.answer(fetch, *page(fetch, 2 if step == "page" else 1000))
            case "fail" if speaking.session.fetches:
                out += speaking.session.fetch_failed(speaking.take_fetch(), "down", speaking.at)
            case "wait":
                out += speaking.later(7)
    out += speaking.later(2 * SECONDS)
    speaking.session.closed("stopped", speaking.at)
    out += speaking.feed.finish()

    delivered = [int(event.id) for event in out if isinstance(event, Trade)]
    assert len(delivered) == len(set(delivered))
    gaps = [(int(event.first_id), int(event.last_id), event.filled) for event in out if isinstance(event, Gap)]
    accounted = set(delivered)
    for first, last, filled in gaps:
        hole = set(range(first, last + 1))
        if filled == "whole":
            assert hole <= set(delivered)
        accounted |= hole
    assert accounted == set(range(100 - PROOF, id + 1))
    lates = [int(event.id) for event in out if isinstance(event, Trade) and event.late]
    assert all(any(first <= late <= last for first, last, _ in gaps) for late in lates)
    assert not speaking.feed.holes
