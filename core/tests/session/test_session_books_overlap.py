"""One book carried by two sockets at once: which one's data counts, and what happens when one goes."""

from __future__ import annotations

import json

import pytest

from tickhive.events import BookDelta, BookSnapshot, Gap
from tickhive.session import Session

B = "orderbook BTC-USDT"


def book(q=None, bid="100", ask="101", t=None, depth=0):
    return {"e": "book", "s": "BTC-USDT", "b": [[bid, "1"]], "a": [[ask, "1"]], "q": q, "t": t, "depth": depth}


def delta(q=None, p=None, t=None, b=(["99", "1"],), f=None):
    return {"e": "delta", "s": "BTC-USDT", "b": b, "a": [], "q": q, "p": p, "f": f, "t": t}


class Two:
    """Two open sessions of one feed, as two sockets would drive them."""

    def __init__(self, speaking):
        self.talk = speaking.open()
        self.feed, self.view = speaking.feed, speaking.feed.book("BTC-USDT")
        self.one = speaking.session
        self.two = self.another()

    def another(self):
        session = Session(self.talk.stack, self.talk.dial, self.feed)
        session.opened(self.talk.at)
        return session

    def say(self, session, *said):
        """What comes of these frames: Gap causes, snapshot numbers, delta numbers."""
        events = session.receive([json.dumps(item).encode() for item in said], self.talk.at)
        return [short(event) for event in events if isinstance(event, Gap | BookSnapshot | BookDelta)]

    def later(self, seconds):
        self.talk.at += int(seconds * 10**9)
        out = []
        for session in (self.one, self.two):
            out += session.tick(self.talk.at)
        return [short(event) for event in out if isinstance(event, Gap | BookSnapshot | BookDelta)]

    def asked(self, session):
        found = [json.loads(request.frame)["op"] for request in session.outbox]
        session.outbox.clear()
        return found

    def best(self):
        return str(self.view.best_bid()[0])


def short(event):
    return event.cause if isinstance(event, Gap) else f"{type(event).__name__} {event.sequence}"


@pytest.fixture
def two(talk):
    both = Two(talk("leaving", B))
    assert both.say(both.one, {"e": "ok", "c": [B]}, book(10, t=10)) == ["BookSnapshot 10"]
    assert both.say(both.two, {"e": "ok", "c": [B]}, book(10, t=10)) == []
    both.asked(both.one), both.asked(both.two)
    return both


def test_the_first_one_wins_and_doubles_are_dropped(two):
    assert two.say(two.one, delta(11, 10), delta(12, 11)) == ["BookDelta 11", "BookDelta 12"]
    assert two.say(two.two, delta(11, 10), delta(12, 11), delta(13, 12)) == ["BookDelta 13"]
    assert two.say(two.one, delta(13, 12), delta(14, 13)) == ["BookDelta 14"]
    assert (two.view.sequence, two.one.statistics.gaps, two.two.statistics.gaps) == (14, 0, 0)


def test_what_one_socket_lost_the_other_brings_and_order_stays(two):
    assert two.say(two.one, delta(12, 11), delta(13, 12)) == []
    assert two.view.sequence == 10
    assert two.say(two.two, delta(11, 10)) == ["BookDelta 11", "BookDelta 12", "BookDelta 13"]
    assert two.say(two.two, delta(12, 11), delta(13, 12)) == []
    assert two.later(5) == []
    assert two.view.live


def test_what_nobody_brings_is_a_break_after_a_second_repaired_by_the_one_that_noticed(two):
    assert two.say(two.one, delta(12, 11), delta(13, 12)) == []
    assert two.later(0.9) == []
    assert two.view.live
    assert two.later(0.2) == ["expected a delta on 10, got one on 11", "BookDelta 12", "BookDelta 13"]
    assert (two.asked(two.one), two.asked(two.two)) == (["unsub"], [])
    assert two.say(two.two, delta(12, 11), delta(14, 13)) == ["BookDelta 14"]  # each once, though none is applied
    assert two.asked(two.two) == []


def test_a_restart_of_the_numbers_survives_a_socket_that_lags(two):
    frames = [delta(11, 10, 11), delta(3, 11, 12), delta(5, 3, 13), delta(8, 5, 14)]
    assert two.say(two.one, *frames) == ["BookDelta 11", "BookDelta 3", "BookDelta 5", "BookDelta 8"]
    assert two.say(two.two, *frames, delta(9, 8, 15)) == ["BookDelta 9"]
    assert two.view.sequence == 9


def test_a_socket_that_lags_over_a_restart_may_be_the_one_that_is_left(two):
    frames = [delta(11, 10, 11), delta(3, 11, 12), delta(5, 3, 13)]
    two.say(two.one, *frames)
    two.say(two.two, frames[0])
    two.one.closed("disconnected: 1006", two.talk.at)
    assert two.view.live
    assert two.say(two.two, *frames[1:], delta(6, 5, 14)) == ["BookDelta 6"]


def test_a_snapshot_from_before_a_restart_is_not_newer(two):
    two.say(two.one, delta(3, 10, 12))
    assert two.say(two.another(), book(11, t=11)) == []
    assert two.view.sequence == 3


def test_what_was_handed_out_already_is_applied_again_to_a_book_that_began_anew(two):
    assert two.say(two.one, delta(11, 10), delta(12, 11)) == ["BookDelta 11", "BookDelta 12"]
    assert two.say(two.one, {"e": "sum", "s": "BTC-USDT", "v": 1}) == ["checksum failed"]
    assert two.say(two.one, {"e": "off", "c": [B]}, book(11)) == ["BookSnapshot 11"]
    assert two.say(two.two, delta(12, 11)) == []
    assert two.view.sequence == 12


def test_a_keep_alive_of_both_is_handed_out_once(two):
    assert two.say(two.one, delta(10, 10, 70, b=())) == ["BookDelta 10"]
    assert two.say(two.two, delta(10, 10, 70, b=()), delta(10, 10, 130, b=())) == ["BookDelta 10"]


def test_a_snapshot_of_a_joining_socket_counts_when_it_is_newer(two):
    third = two.another()
    assert two.say(two.one, delta(12, 10)) == ["BookDelta 12"]
    assert two.say(third, book(11, bid="98")) == []
    assert two.view.sequence == 12
    fourth = two.another()
    assert two.say(fourth, book(15, bid="98")) == ["BookSnapshot 15"]
    assert two.best() == "98"
    assert two.say(two.one, delta(15, 12), delta(16, 15)) == ["BookDelta 16"]


@pytest.mark.parametrize("first", [True, False])
def test_killing_either_socket_is_no_gap(two, first):
    two.say(two.one, delta(11, 10))
    two.say(two.two, delta(11, 10), delta(12, 11))
    lost, left = (two.one, two.two) if first else (two.two, two.one)
    lost.closed("disconnected: 1006", two.talk.at)
    assert two.view.live
    assert two.say(left, delta(12, 11), delta(13, 12)) == (["BookDelta 13"])
    assert two.later(5) == []
    # Alone again: a hole is one at once.
    assert two.say(left, delta(15, 14)) == ["expected a delta on 13, got one on 14", "BookDelta 15"]


def test_a_socket_that_has_brought_nothing_keeps_no_book(talk):
    both = Two(talk("leaving", B))
    both.say(both.one, {"e": "ok", "c": [B]}, book(10))
    both.one.closed("disconnected: 1006", both.talk.at)
    assert not both.view.live
    assert both.say(both.two, book(12)) == ["disconnected: 1006", "BookSnapshot 12"]
    assert both.view.live


def test_a_repair_goes_on_with_the_socket_that_is_left(two):
    two.say(two.one, delta(12, 11))
    two.later(1.1)
    assert two.asked(two.one) == ["unsub"]
    two.one.closed("disconnected: 1006", two.talk.at)
    two.later(1)
    assert two.asked(two.two) == ["unsub"]


def test_frames_lost_on_one_socket_leave_a_numbered_book_alone(two):
    assert two.say(two.one, {"e": "num", "v": 1}, {"e": "num", "v": 3}) == []
    assert two.view.live


def test_checksums_count_from_the_socket_of_the_last_change(two):
    right = two.talk.stack.call.checksum(book=two.feed.books[("BTC-USDT", 0)].book, instrument=None)
    wrong = {"e": "sum", "s": "BTC-USDT", "v": right + 1}
    assert two.say(two.one, delta(11, 10)) == ["BookDelta 11"]
    assert two.say(two.two, delta(11, 10), wrong) == []
    assert two.say(two.one, delta(13, 12), wrong) == []
    assert two.say(two.one, delta(12, 11), wrong) == ["BookDelta 12", "BookDelta 13"]
    assert two.say(two.one, delta(14, 13), wrong) == ["BookDelta 14", "checksum failed"]


def test_deltas_without_snapshots_join_a_live_book(talk):
    both = Two(talk("fetching", B))
    both.say(both.one, book(10))
    assert both.say(both.two, delta(9, 8), delta(12, 11), delta(13, 12)) == []
    assert both.say(both.one, delta(11, 10)) == ["BookDelta 11", "BookDelta 12", "BookDelta 13"]
    assert both.view.live
    assert both.two.fetches == []


def test_only_one_socket_fetches_a_snapshot(talk):
    both = Two(talk("fetching", B, patience=0.1))
    both.later(0.2)
    assert (len(both.one.fetches), len(both.two.fetches)) == (1, 0)


def test_heard_is_told_for_each_socket(two):
    key = ("BTC-USDT", 0)
    start = two.talk.at
    two.talk.at += 5
    two.say(two.one, delta(11, 10))
    assert (two.one.desk.heard(key), two.two.desk.heard(key)) == (start + 5, start)
    assert two.another().desk.heard(key) is None


def test_a_channel_given_up_on_one_socket_leaves_the_book_to_the_other(two):
    two.one.desk.leave(two.talk.dial.channels[0])
    assert two.view.live
    two.two.desk.leave(two.talk.dial.channels[0])
    assert not two.view.live


# Books without numbers belong to one socket


@pytest.fixture
def bare(talk):
    both = Two(talk("leaving", B))
    both.say(both.one, {"e": "ok", "c": [B]}, book(bid="97"), delta(b=[["97.5", "1"]]))
    assert both.best() == "97.5"
    return both


def test_without_numbers_only_the_owner_is_used(bare):
    assert bare.say(bare.two, delta(b=[["99", "1"]]), {"e": "sum", "s": "BTC-USDT", "v": 1}) == []
    assert bare.say(bare.one, delta(b=[["98", "1"]])) == ["BookDelta None"]
    assert bare.best() == "98"


def test_without_numbers_a_joining_snapshot_takes_the_book_over(bare):
    assert bare.say(bare.two, book(bid="96")) == ["BookSnapshot None"]
    assert bare.say(bare.one, delta(b=[["98", "1"]])) == []
    assert bare.say(bare.two, delta(b=[["96.5", "1"]])) == ["BookDelta None"]
    bare.one.closed("disconnected: 1006", bare.talk.at)
    assert bare.best() == "96.5"


def test_without_numbers_the_loss_of_the_owner_is_a_gap_repaired_by_the_other(bare):
    bare.say(bare.two, {"e": "ok", "c": [B]}, book(bid="96"))
    bare.asked(bare.one)
    bare.two.closed("disconnected: 1006", bare.talk.at)
    assert not bare.view.live
    assert bare.later(1) == ["disconnected: 1006"]
    assert bare.asked(bare.one) == ["unsub"]
    assert bare.say(bare.one, {"e": "off", "c": [B]}, book(bid="95")) == ["BookSnapshot None"]
    assert bare.best() == "95"


def test_whole_states_of_two_sockets_go_forward_only(talk):
    both = Two(talk("plain", "orderbook:5 BTC-USDT"))
    view = both.feed.book("BTC-USDT", 5)
    for session, number, told in [
        (both.one, 5, True),
        (both.two, 5, False),
        (both.two, 7, True),
        (both.one, 6, False),
        (both.one, 8, True),
    ]:
        assert both.say(session, book(number, depth=5)) == ([f"BookSnapshot {number}"] if told else [])
    assert view.sequence == 8
