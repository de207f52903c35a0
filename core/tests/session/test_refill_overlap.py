"""Holes while several sockets carry a stream, and how many trades are counted as missing for good."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.events import Gap, Trade
from tickhive.session.refill import DEADLINE, PATIENCE
from tickhive.session.trade_ids import PROOF

T, SYMBOL = "trade BTC-USDT", "BTC-USDT"
SECONDS = PATIENCE / 1e9


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


def asked(speaking):
    return [fetch.url.partition("?")[2] for fetch in speaking.session.fetches]


@pytest.fixture(params=["refilling", "quiet"])
def pair(talk, request):
    """Two sockets of one collector that carry the same trades, with and without a history to ask."""
    one = talk(request.param, T).open()
    one.hear(*trades(100 - PROOF, 100))
    return one, one.twin(), request.param == "refilling"


def pass_time(pair, seconds):
    return pair[0].later(seconds) + pair[1].later(seconds)


def test_what_the_other_socket_brings_within_a_second_was_never_missing(pair):
    one, other, _ = pair
    assert shown(one.hear(trade(104))) == ["104"]
    assert pass_time(pair, SECONDS - 0.01) == []
    assert shown(other.hear(*trades(101, 104))) == ["101", "102", "103"]
    assert pass_time(pair, 2 * DEADLINE / 1e9) == []
    assert asked(one) == asked(other) == []
    assert one.session.statistics.gaps == other.session.statistics.gaps == 0
    assert one.feed.missed_trades == {}
    assert shown(one.hear(trade(105))) == ["105"]


def test_merged_trades_of_the_other_socket_count_in_full(pair):
    one, other, _ = pair
    one.hear(trade(106))
    assert shown(other.hear(trade(103, n=3), trade(105, n=2), trade(106))) == ["103", "105"]
    assert pass_time(pair, 10) == []


def test_what_no_socket_brought_is_asked_for_or_reported(pair):
    one, other, offered = pair
    one.hear(trade(106))
    assert shown(other.hear(*trades(101, 102), trade(104))) == ["101", "102", "104"]
    events = pass_time(pair, SECONDS)
    if offered:
        assert events == []
        assert asked(one) == ["103-105"]
        events = one.answer(one.take_fetch(), *trades(102, 106))
        assert shown(events) == ["late 103", "late 105", "gap 103-105 whole"]
        assert one.feed.missed_trades == {}
    else:
        assert shown(events) == ["gap 103-105 part"]
        assert one.feed.missed_trades == {SYMBOL: 2}
    assert one.session.statistics.gaps == 1


def test_the_hole_of_a_lost_socket_is_taken_over_at_once(pair):
    one, other, offered = pair
    one.hear(trade(104))
    one.session.closed("cut", one.at)
    assert shown(other.hear(trade(101))) == ["101"]
    assert other.later(SECONDS - 0.01) == []
    assert asked(other) == []
    events = other.later(0.01)
    if offered:
        assert asked(other) == ["102-103"]
        events = other.answer(other.take_fetch(), *trades(100, 104))
        assert shown(events) == ["late 102", "late 103", "gap 102-103 whole"]
    else:
        assert shown(events) == ["gap 102-103 none"]
    assert shown(other.hear(*trades(102, 105))) == ["105"] if offered else ["102", "103", "105"]


def test_a_fetch_of_a_lost_socket_is_made_again_by_the_other(talk):
    one = talk("refilling", T).open()
    one.hear(*trades(100 - PROOF, 100), trade(104))
    assert asked(one) == ["101-103"]
    other = one.twin()
    one.session.closed("cut", one.at)
    assert other.later(0) == []
    assert asked(other) == ["101-103"]
    assert shown(other.answer(other.take_fetch(), *trades(100, 104)))[-1] == "gap 101-103 whole"


def test_a_trade_brought_by_the_other_while_it_is_fetched_is_not_handed_out_twice(talk):
    one = talk("refilling", T).open()
    one.hear(*trades(100 - PROOF, 100), trade(104))
    other = one.twin()
    assert shown(other.hear(trade(102))) == ["102"]
    assert shown(one.answer(one.take_fetch(), *trades(100, 104))) == ["late 101", "late 103", "gap 101-103 whole"]
    assert other.hear(trade(103)) == []


@pytest.mark.parametrize(
    ("history", "missed"), [([], 3), (trades(102, 102), 2), ([trade(102, n=2)], 1), (trades(101, 103), 0)]
)
def test_ids_missing_for_good_are_counted(talk, history, missed):
    one = talk("refilling", T).open()
    one.hear(*trades(100 - PROOF, 100))
    one.redial()
    one.hear(trade(104))
    one.answer(one.take_fetch(), *history)
    one.later(2 * DEADLINE / 1e9)
    assert one.feed.missed_trades.get(SYMBOL, 0) == missed
    assert one.feed.trade_ids.span(SYMBOL) == (100 - PROOF, 104)


def test_holes_that_were_never_asked_for_are_counted_too(talk):
    one = talk("quiet", T).open()
    one.hear(*trades(100 - PROOF, 100), trade(104), trade(107, n=2))
    one.redial()
    one.hear(trade(110))
    assert one.feed.missed_trades == {SYMBOL: 3 + 1 + 2}
    one.redial()
    one.hear({**trade(3), "t": 10_000})
    assert one.feed.missed_trades == {}  # the venue restarted its numbers


def test_where_ids_jump_anyway_nothing_is_counted(talk):
    one = talk("quiet", T).open()
    one.hear(trade(5), trade(20))
    one.redial()
    one.hear(trade(50))
    assert one.feed.missed_trades == {}
    assert one.feed.trade_ids.span(SYMBOL) is None


_steps = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["bring", "bring", "bring", "lose", "answer", "fail", "cut", "wait"])),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(_steps, st.booleans())
def test_with_two_sockets_every_trade_comes_once_or_lies_in_a_reported_gap(talk, steps, offered):
    """Each socket lags by its own measure and loses trades of its own."""
    kind = "refilling" if offered else "quiet"
    one = talk(kind, T).open()
    out = one.hear(*trades(100 - PROOF, 100))
    pair, next_id = [one, one.twin()], [101, 101]

    for which, step in [*steps, *[(n, "bring") for n in (0, 1)], *[(n % 2, "answer") for n in range(10)]]:
        socket = pair[which]
        match step:
            case "bring":
                out += socket.hear(trade(next_id[which]))
                next_id[which] += 1
            case "lose":
                next_id[which] += 1
            case "answer" if socket.session.fetches:
                fetch = socket.take_fetch()
                first, last = map(int, fetch.url.partition("?")[2].split("-"))
                out += socket.answer(fetch, *trades(first - 1, last))
            case "fail" if socket.session.fetches:
                out += socket.session.fetch_failed(socket.take_fetch(), "down", socket.at)
            case "cut":
                out += socket.data(socket.session.closed("cut", socket.at))
                # What was traded while there was no socket comes on none.
                next_id[which] = max(next_id)
                socket.dialled()
                socket.open()
            case "wait":
                out += pair[0].later(0.6) + pair[1].later(0.6)
    for _ in range(4):
        out += pair[0].later(DEADLINE / 1e9) + pair[1].later(DEADLINE / 1e9)
    for socket in pair:
        out += socket.data(socket.session.closed("stopped", socket.at))
    out += one.feed.finish()

    delivered = [int(event.id) for event in out if isinstance(event, Trade)]
    assert len(delivered) == len(set(delivered))
    accounted, missing = set(delivered), set()
    for gap in out:
        if isinstance(gap, Gap):
            hole = set(range(int(gap.first_id), int(gap.last_id) + 1))
            accounted |= hole
            missing |= hole - set(delivered)
            assert gap.filled != "whole" or hole <= set(delivered)
    assert set(range(100 - PROOF, max(next_id))) <= accounted
    assert one.feed.missed_trades.get(SYMBOL, 0) >= len(missing)
    assert one.feed.holes == []
