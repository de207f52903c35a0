"""Books on a socket: snapshots, chains, checksums, breaks and the repair of one book alone."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tickhive.channels import DataType, Instrument
from tickhive.errors import BookNotLive
from tickhive.events import Gap

B, E, B5, T = "orderbook BTC-USDT", "orderbook ETH-USDT", "orderbook:5 BTC-USDT", "trade BTC-USDT"


def book(q=None, bid="100", ask="101", s="BTC-USDT", t=None, depth=0):
    return {"e": "book", "s": s, "b": [[bid, "1"]], "a": [[ask, "1"]], "q": q, "t": t, "depth": depth}


def delta(q=None, p=None, f=None, b=(), a=(), s="BTC-USDT", t=None):
    return {"e": "delta", "s": s, "b": b, "a": a, "q": q, "p": p, "f": f, "t": t}


def kinds(events):
    return [type(event).__name__ for event in events]


def best(speaking, symbol="BTC-USDT"):
    view = speaking.feed.book(symbol)
    return str(view.best_bid()[0]), str(view.best_ask()[0])


def test_a_book_is_served_only_while_it_is_right(talk):
    speaking = talk("leaving", B).open()
    view = speaking.feed.book("BTC-USDT")
    with pytest.raises(BookNotLive, match="syncing"):
        view.top(1)
    speaking.hear(book(5, t=50))
    assert view.live
    assert (view.sequence, view.timestamp) == (5, 50)
    assert view.mid() == Decimal("100.5")
    speaking.hear(delta(6, 5, b=[["100.5", "2"]], t=51))
    assert view.top(2) == (
        [(Decimal("100.5"), Decimal(2)), (Decimal(100), Decimal(1))],
        [(Decimal(101), Decimal(1))],
    )
    kept = view.copy()
    speaking.hear(delta(9, 8))
    with pytest.raises(BookNotLive, match="broken"):
        view.best_bid()
    assert kept.best_bid() == (Decimal("100.5"), Decimal(2))


def test_a_gap_breaks_and_repairs_that_book_alone(talk):
    speaking = talk("leaving", B, E).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5, t=50), book(5, s="ETH-USDT"))
    speaking.sent()
    events = speaking.hear(delta(9, 8, t=90))
    assert kinds(events) == ["Gap", "BookDelta"]
    gap = events[0]
    assert (gap.data_type, gap.symbol, gap.start, gap.end) == (DataType.ORDERBOOK, "BTC-USDT", 50, None)
    assert (gap.first_id, gap.last_id, gap.cause) == ("5", "9", "expected a delta on 5, got one on 8")
    assert speaking.sent() == ["unsub orderbook BTC-USDT"]
    assert speaking.book_state("ETH-USDT") == "live"
    assert kinds(speaking.hear(delta(10, 9))) == ["BookDelta"]  # delivered, not applied, announced once
    speaking.hear({"e": "off", "c": [B]})
    assert speaking.sent() == ["sub orderbook BTC-USDT"]
    assert speaking.book_state() == "syncing"
    assert kinds(speaking.hear(book(20))) == ["BookSnapshot"]
    assert best(speaking) == ("100", "101")
    assert speaking.states() == {B: "receiving", E: "receiving"}
    assert (speaking.session.statistics.gaps, speaking.session.statistics.resyncs) == (1, 1)
    speaking.later(200)
    assert speaking.session.close_reason is None
    assert speaking.sent() == []


def test_repairs_of_a_book_wait_longer_each_time_then_ask_for_a_fresh_socket(talk):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5))
    speaking.sent()
    waits = []
    for _ in range(8):
        speaking.hear(delta(9, 8))
        before = speaking.at
        while not speaking.session.outbox:
            speaking.later(0.5)
        waits.append((speaking.at - before) / 10**9)
        assert speaking.sent() == ["unsub orderbook BTC-USDT"]
        speaking.hear({"e": "off", "c": [B]}, {"e": "ok", "c": [B]}, book(5))
        speaking.sent()
    assert waits == [0, 0.5, 1, 2, 4, 8, 16, 30]
    speaking.hear(delta(9, 8))
    speaking.later(31)
    assert speaking.session.close_reason == f"{B} does not stay right"


def test_a_repair_that_brings_no_snapshot_is_tried_again(talk):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5), delta(9, 8), {"e": "off", "c": [B]}, {"e": "ok", "c": [B]})
    speaking.sent()
    speaking.later(31)
    assert speaking.sent() == ["unsub orderbook BTC-USDT"]


def test_an_unsubscribe_without_answer_goes_on_at_its_deadline(talk):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5), delta(9, 8))
    speaking.sent()
    speaking.later(10.1)
    assert speaking.sent() == ["sub orderbook BTC-USDT"]


def test_without_any_way_to_repair_the_socket_goes(talk):
    speaking = talk("plain", B).open()
    speaking.hear(book(5), delta(9, 8))
    assert speaking.session.close_reason == f"{B} is broken and cannot be repaired on this socket"


# Fetched snapshots


def test_a_snapshot_is_fetched_when_patience_ends_and_bridged_to_the_deltas_held(talk):
    speaking = talk("fetching", B, patience=0.5).open()
    speaking.hear({"e": "ok", "id": "1"}, delta(11, 10), delta(14, 11, b=[["100.2", "1"]]), delta(15, 14))
    assert speaking.states() == {B: "receiving"}
    assert speaking.session.fetches == []
    speaking.later(0.5)
    fetch = speaking.take_fetch()
    assert fetch.url.endswith("BTC-USDT")
    assert kinds(speaking.answer(fetch, book(12))) == ["BookSnapshot"]
    assert best(speaking) == ("100.2", "101")
    assert speaking.feed.book("BTC-USDT").sequence == 15
    speaking.later(100)
    assert speaking.session.fetches == []


def test_a_snapshot_older_than_what_is_held_is_fetched_again(talk):
    speaking = talk("fetching", B, patience=0.5).open()
    speaking.hear({"e": "ok", "id": "1"}, delta(11, 10), delta(12, 11))
    speaking.later(1)
    assert kinds(speaking.answer(speaking.take_fetch(), book(5))) == ["BookSnapshot"]
    assert speaking.book_state() == "syncing"
    speaking.later(1)
    speaking.answer(speaking.take_fetch(), book(11))
    assert speaking.book_state() == "live"
    assert speaking.session.statistics.gaps == 0


@pytest.mark.parametrize("failure", ["refused", "nothing", "failed"])
def test_a_fetch_that_brings_nothing_is_made_again(talk, failure):
    speaking = talk("fetching", B, patience=0.5).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.later(1)
    fetch = speaking.take_fetch()
    if failure == "failed":
        speaking.session.fetch_failed(fetch, "503", speaking.at)
    else:
        speaking.answer(fetch, *([{"e": "no", "kind": "retry"}] if failure == "refused" else []))
    speaking.later(1)
    speaking.answer(speaking.take_fetch(), book(11))
    assert speaking.book_state() == "live"


def test_a_further_page_still_belongs_to_the_book(talk):
    speaking = talk("fetching", B, patience=0.5).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.later(1)
    speaking.answer(speaking.take_fetch(), {"e": "fetch", "url": "https://acme.test/next"})
    page = speaking.take_fetch()
    speaking.later(60)
    assert speaking.session.fetches == []
    speaking.session.fetch_failed(page, "down", speaking.at)
    speaking.later(31)
    assert len(speaking.session.fetches) == 1


def test_a_streamed_snapshot_wins_over_a_fetched_one(talk):
    speaking = talk("fetching", B, patience=0.5).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.later(1)
    speaking.hear(book(20))
    assert speaking.answer(speaking.take_fetch(), book(15, bid="90")) == []
    assert best(speaking) == ("100", "101")


def test_a_break_is_repaired_by_fetching_where_that_is_offered(talk):
    speaking = talk("fetching", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5))
    assert kinds(speaking.hear(delta(9, 8), delta(10, 9))) == ["Gap", "BookDelta", "BookDelta"]
    speaking.answer(speaking.take_fetch(), book(9))
    assert speaking.feed.book("BTC-USDT").sequence == 10
    assert speaking.sent() == ["sub orderbook BTC-USDT"]


def test_a_recorded_fetch_is_recognised_by_its_channel(talk):
    speaking = talk("quiet").open()  # a replay: nothing was asked for
    speaking.hear(delta(11, 10), delta(12, 11))
    fetch = talk("fetching", B).stack.call.snapshot(session=None, channel=talk("quiet", B).dial.channels[0])
    assert kinds(speaking.answer(fetch, book(11))) == ["BookSnapshot"]


# What the chain lets through


def test_known_deltas_are_dropped_and_not_delivered(talk):
    speaking = talk("leaving", B).open()
    speaking.hear(book(5, t=10))
    assert kinds(speaking.hear(delta(6, 5, t=11), delta(6, 5, t=11), delta(5, 4, t=10))) == ["BookDelta"]
    assert speaking.book_state() == "live"


def test_a_restart_of_the_numbers_that_was_missed_does_not_leave_the_book_standing(talk):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(1000, t=10))
    # The delta 1000 -> 5 is lost; what follows has small numbers, but later times and a chain of its own.
    assert kinds(speaking.hear(delta(8, 5, t=12), delta(9, 8, t=13))) == ["Gap", "BookDelta"]
    assert speaking.book_state() == "broken"


def test_books_without_numbers_are_always_applied(talk):
    speaking = talk("plain", B).open()
    speaking.hear(book(), delta(b=[["100.1", "1"]]), delta(b=[["100.2", "1"]]))
    assert best(speaking) == ("100.2", "101")


def test_whole_states_of_a_shallow_channel_replace_each_other(talk):
    speaking = talk("plain", B5, T).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5, depth=5), book(3, bid="99", depth=5))
    view = speaking.feed.book("BTC-USDT", 5)
    assert view.best_bid() == (Decimal(99), Decimal(1))
    assert speaking.states()[B5] == "receiving"
    assert not speaking.feed.book("BTC-USDT").live


def test_what_falls_out_of_the_levels_a_venue_keeps_up_to_date_is_dropped(talk):
    speaking = talk("plain", B).open()
    speaking.hear({**book(1), "levels": 2}, delta(2, 1, b=[["99", "1"]]), delta(3, 2, b=[["98", "1"]]))
    speaking.hear(delta(4, 3, b=[["100", "0"]]))
    assert speaking.feed.book("BTC-USDT").copy().bids == {"99": "1"}, "98 was not among the best two: it is not known"
    speaking.hear(book(5), delta(6, 5, b=[["99", "1"]]), delta(7, 6, b=[["98", "1"]]))
    assert len(speaking.feed.book("BTC-USDT").copy().bids) == 3


def test_the_checksum_of_a_change_that_was_known_already_is_of_a_state_gone_by(talk):
    speaking = talk("plain", B).open()
    change = delta(2, 1, b=[["99", "1"]])
    speaking.hear(book(1), change, delta(3, 2, b=[["98", "1"]]))
    speaking.hear([change, {"e": "sum", "s": "BTC-USDT", "v": 1}])
    assert speaking.book_state() == "live"
    speaking.hear([delta(4, 3), {"e": "sum", "s": "BTC-USDT", "v": 1}])
    assert speaking.book_state() == "broken"


@pytest.mark.parametrize("sides", [{"b": [["1"]]}, {"b": 5}, {"b": [[[], "1"]]}])
def test_a_delta_that_cannot_be_applied_breaks_the_book(talk, sides):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5))
    speaking.hear({**delta(6, 5), **sides})
    assert speaking.session.statistics.malformed == 1
    events = speaking.hear(delta(7, 6))
    assert speaking.book_state() == "broken"
    assert kinds(events) == ["Gap", "BookDelta"]


# Checksums and crossed books


def test_checksums_are_verified_after_every_change(talk, talk_with):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5))
    speaking.sent()
    value = speaking.stack.call.checksum(book=speaking.feed.books[("BTC-USDT", 0)].book, instrument=None)
    assert speaking.hear({"e": "sum", "s": "BTC-USDT", "v": value}) == []
    (gap,) = speaking.hear({"e": "sum", "s": "BTC-USDT", "v": value + 1})
    assert gap.cause == "checksum failed"
    statistics = speaking.session.statistics
    assert (statistics.checksums_verified, statistics.checksums_failed) == (1, 1)
    assert speaking.sent() == ["unsub orderbook BTC-USDT"]
    assert speaking.hear({"e": "sum", "s": "BTC-USDT", "v": 1}) == []
    assert statistics.checksums_failed == 1


def test_checksums_may_be_left_unverified(talk):
    speaking = talk("leaving", B)
    speaking.feed.verify_checksums = False
    speaking.dialled()
    speaking.open().hear(book(5))
    assert speaking.hear({"e": "sum", "s": "BTC-USDT", "v": 1}) == []
    assert speaking.book_state() == "live"


def test_a_reader_who_finds_the_book_crossed_has_it_repaired(talk):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5), delta(6, 5, b=[["102", "1"]], t=60))
    speaking.sent()
    view = speaking.feed.book("BTC-USDT")
    assert view.crossed
    with pytest.raises(BookNotLive, match="crossed"):
        view.top(1)
    assert not view.live
    events = speaking.hear(delta(7, 6, t=70))
    assert [event.cause for event in events if isinstance(event, Gap)] == ["crossed book"]
    assert speaking.sent() == ["unsub orderbook BTC-USDT"]


def test_before_the_opening_a_crossed_book_is_right(talk):
    speaking = talk("leaving", B).open()
    speaking.feed.instruments.add(Instrument("acme", "BTC-USDT", "BTC-USDT", "spot", "BTC", "USDT", status="preopen"))
    speaking.hear(book(5, bid="102"))
    assert speaking.feed.book("BTC-USDT").best_bid() == (Decimal(102), Decimal(1))


def test_a_level_that_is_no_number_is_found_by_its_reader(talk):
    speaking = talk("leaving", B).open()
    speaking.hear(book(5, bid="1e"), {"e": "ok", "id": "1"})
    with pytest.raises(BookNotLive, match="broken"):
        speaking.feed.book("BTC-USDT").best_bid()


def test_a_book_given_up_is_not_served(talk):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5))
    view = speaking.feed.book("BTC-USDT")
    speaking.session.remove(speaking.dial.channels, speaking.at)
    speaking.hear({"e": "off", "c": [B]})
    with pytest.raises(BookNotLive):
        view.best_bid()
    assert speaking.states() == {}


def test_only_the_first_delta_after_a_fetched_snapshot_may_overlap_it(talk):
    speaking = talk("fetching", B, patience=0.5).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.later(1)
    speaking.answer(speaking.take_fetch(), book(12))
    assert kinds(speaking.hear(delta(14, 10))) == ["BookDelta"]
    assert kinds(speaking.hear(delta(18, 12))) == ["Gap", "BookDelta"]


def test_a_refused_book_is_not_repaired_for_ever(talk):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(5), delta(9, 8), {"e": "off", "c": [B]}, {"e": "no", "c": [B]})
    speaking.sent()
    speaking.later(300)
    assert speaking.sent() == []
    assert speaking.states() == {B: "rejected"}
    assert speaking.session.close_reason is None
