"""Several sockets that carry the same channels: everything is handed out once, and losing one of them loses nothing."""

from __future__ import annotations

import gc
import random
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.events import Gap, Trade

SECOND = 1_000_000_000
T, U, Q = "trade BTC-USDT", "trade ETH-USDT", "quote BTC-USDT"


def trade(id: int | str, symbol: str = "BTC-USDT") -> dict[str, object]:
    return {"e": "trade", "s": symbol, "id": str(id), "t": id if isinstance(id, int) else None}


def ids(events: list[object]) -> list[str]:
    return [event.id if isinstance(event, Trade) else "gap" for event in events]


def test_what_both_bring_is_handed_out_once(talk):
    one = talk("quiet", T, U).open()
    two = one.twin()
    assert one.session.overlaps
    assert two.session.overlaps
    assert ids(one.hear(trade(1), trade(2))) == ["1", "2"]
    assert ids(two.hear(trade(1), trade(2), trade(3))) == ["3"]
    assert ids(one.hear(trade(3), trade(4))) == ["4"]
    assert ids(two.hear(trade(1, "ETH-USDT"))) == ["1"]
    assert one.feed.doubles.hidden == 3


def test_the_lost_one_leaves_no_hole(talk):
    one = talk("quiet", T).open()
    two = one.twin()
    one.hear(trade(1), trade(2))
    two.hear(trade(1))
    assert one.session.closed("cut", one.at) == []
    assert ids(two.hear(trade(2), trade(3))) == ["3"], "the other one had brought 2 before it was lost"
    two.later(11)
    assert not two.session.overlaps
    assert ids(two.hear(trade(4))) == ["4"]


def test_a_stream_the_newcomer_has_not_brought_yet_is_not_interrupted(talk):
    one = talk("quiet", T).open()
    one.hear(trade(1))
    two = one.twin()
    one.session.closed("goodbye", one.at)
    assert ids(two.hear(trade(2))) == ["2"]


def test_a_newcomer_that_was_cut_before_it_brought_anything_hides_no_hole(talk):
    one = talk("quiet", T).open()
    one.hear(trade("a"))
    two = one.twin()
    one.session.closed("goodbye", one.at)
    two.session.closed("cut", two.at)
    three = one.twin()
    gap, _ = three.hear(trade("c"))
    assert isinstance(gap, Gap)
    assert (gap.first_id, gap.last_id, gap.cause) == ("a", "c", "cut")


def test_a_newcomer_the_venue_has_not_confirmed_covers_nothing(talk):
    one = talk("plain", T).open()
    one.hear({"e": "ok", "id": "1"}, trade("a"))
    two = one.twin()
    one.session.closed("goodbye", one.at)
    assert ids(two.hear({"e": "ok", "id": "1"}, trade("c"))) == ["gap", "c"]


def test_trades_from_before_the_second_socket_came_are_known(talk):
    one = talk("quiet", T).open()
    one.hear(*[trade(number) for number in range(1, 40)])
    two = one.twin()
    assert ids(two.hear(trade(38), trade(39), trade(40))) == ["40"]


def test_equal_contents_on_one_socket_are_two_events(talk):
    """A venue without times may say x, y, x: the second x is no echo of the first."""
    one = talk("quiet", "candle:1m BTC-USDT").open()
    two = one.twin()
    x = {"e": "candle", "s": "BTC-USDT", "i": "1m", "t": 1}
    assert len(one.hear(x, x)) == 2
    assert len(two.hear(x)) == 0
    assert len(two.hear(x, x)) == 1
    assert len(one.hear(x)) == 0


def test_the_state_a_newcomer_is_told_first_is_known(talk):
    one = talk("quiet", "candle:1m BTC-USDT").open()
    x = {"e": "candle", "s": "BTC-USDT", "i": "1m", "t": 1}
    one.hear(x)
    one.later(5)
    two = one.twin()
    assert two.hear(x) == []


def test_channels_that_differ_do_not_overlap(talk):
    one = talk("quiet", T).open()
    two = one.twin(U)
    assert not one.session.overlaps
    assert not two.session.overlaps
    one.session.add(two.dial.channels, one.at)
    assert one.session.overlaps


@given(seed=st.integers(0, 2**32), lag=st.integers(0, 30))
@pytest.mark.parametrize("proven", [False, True])
def test_any_interleaving_of_two_sockets_hands_out_each_trade_once(talk, proven, seed, lag):
    rng = random.Random(seed)
    one = talk("quiet", T).open()
    if proven:
        one.hear(*[trade(number) for number in range(1, 101)])
    two = one.twin()
    sockets, places, out = [one, two], [101, 101], []
    while min(places) < 200:
        which = rng.randrange(2)
        if places[which] < 200 and places[which] - places[1 - which] <= lag:
            out += ids(sockets[which].hear(trade(places[which])))
            places[which] += 1
    assert sorted(map(int, out)) == list(range(101, 200))


def test_a_socket_that_hung_before_its_successor_came_leaves_a_hole(talk):
    """What a half-open socket missed while it was alone is not covered by the one that came later."""
    one = talk("quiet", "quote BTC-USDT").open()
    one.hear({"e": "quote", "s": "BTC-USDT"})
    one.at += 20 * SECOND
    two = one.twin()
    two.hear({"e": "quote", "s": "BTC-USDT"})
    gap, *rest = one.session.closed("no answer to the heartbeat", two.at)
    assert isinstance(gap, Gap)
    assert (gap.symbol, gap.start, gap.end) == ("BTC-USDT", 1000 * SECOND, two.at)
    assert gap.cause == "no answer to the heartbeat"
    assert not [event for event in rest if isinstance(event, Gap)]


def test_a_socket_that_was_heard_after_its_successor_came_leaves_none(talk):
    one = talk("quiet", "quote BTC-USDT").open()
    one.hear({"e": "quote", "s": "BTC-USDT"})
    one.at += 20 * SECOND
    two = one.twin()
    two.hear({"e": "quote", "s": "BTC-USDT"})
    one.at += SECOND
    one.hear({"e": "alive"})
    assert one.session.closed("goodbye", one.at) == []


def test_ids_that_begin_anew_while_two_sockets_are_there_are_no_doubles(talk):
    one = talk("quiet", T).open()
    one.hear(*[trade(number) for number in range(1000, 1040)])
    two = one.twin()
    assert two.hear(trade(1039)) == []
    anew = [{**trade(number), "t": 2000 + number} for number in range(1, 50)]
    assert len(one.hear(*anew)) == len(anew)
    assert two.hear(*anew) == []


def test_what_is_remembered_of_ids_is_bounded_by_time(talk):
    one = talk("quiet", T).open()
    two = one.twin()
    for minute in range(10):
        for speaking in (one, two):
            speaking.at = (2000 + 61 * minute) * SECOND
        said = [trade(f"{minute}-{number}") for number in range(1000)]
        assert len(one.hear(*said)) == len(said)
        assert two.hear(*said) == []
    (ids_kept,) = one.feed.doubles._ids.values()
    assert len(ids_kept.young) + len(ids_kept.old) <= 2500


def test_a_quiet_symbol_is_told_its_history_by_a_newcomer_and_nobody_twice(talk):
    one = talk("quiet", T).open()
    two = one.twin()
    history = []
    for hour in range(200):
        one.at = (2000 + 3600 * hour) * SECOND
        history.append(trade(f"id {hour}"))
        assert len(one.hear(history[-1])) == 1
    two.at = one.at
    assert two.hear(*history) == []


def test_a_closed_socket_is_not_kept_alive_by_what_it_brought(talk):
    one = talk("quiet", Q, U).open()
    two = one.twin()
    lines = []
    for number in range(3):
        two.hear({"e": "quote", "s": "BTC-USDT", "t": number})
        lines.append(weakref.ref(two.session.refill))
        two.session.closed("cut", two.at)
        two = one.twin()
    gc.collect()
    assert [line() for line in lines] == [None] * 3


@pytest.mark.parametrize("id", [[1], {"a": 1}, None])
def test_an_id_of_a_wrong_kind_harms_nothing(talk, id):
    one = talk("quiet", T).open()
    two = one.twin()
    for speaking in (one, two):
        assert len(speaking.hear({"e": "trade", "s": "BTC-USDT", "id": id})) <= 1
    assert ids(one.hear(trade(7))) == ["7"]
