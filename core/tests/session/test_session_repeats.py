"""What a venue says twice on one socket is handed out once, where its numbers tell."""

from __future__ import annotations

import pytest

from tickhive.events import BookDelta, Trade
from tickhive.session.refill import DEADLINE
from tickhive.session.trade_ids import PROOF

T, B, SYMBOL = "trade BTC-USDT", "orderbook BTC-USDT", "BTC-USDT"


def trade(id: int, n: int = 1, time: int | None = None):
    return {"e": "trade", "s": SYMBOL, "id": str(id), "t": id * 10 if time is None else time, "n": n}


def trades(first: int, last: int):
    return [trade(id) for id in range(first, last + 1)]


def shown(events):
    return [event.id if isinstance(event, Trade) else f"gap {event.first_id}-{event.last_id}" for event in events]


@pytest.fixture
def one(talk):
    """A socket on which trades up to 100 came, their ids known to be consecutive."""
    speaking = talk("quiet", T).open()
    speaking.hear(trade(2), *trades(100 - 2 * PROOF, 100))  # a jump doubles what a proof takes
    return speaking


@pytest.mark.parametrize(
    "again", [[trade(100)], [trade(99), trade(100)], [trade(90)], trades(85, 100), [trade(95, n=3)]]
)
def test_a_trade_is_handed_out_once(one, again):
    assert one.hear(*again) == []
    assert shown(one.hear(trade(101))) == ["101"]


def test_the_last_trade_is_known_without_a_time_too(one):
    untimed = {"e": "trade", "s": SYMBOL, "id": "101"}
    assert shown(one.hear(untimed, untimed)) == ["101"]


def test_what_was_told_as_missing_is_news_once(one):
    assert shown(one.hear(trade(110))) == ["gap 101-109", "110"]
    assert shown(one.hear(trade(105), trade(105), trade(104, n=2), trade(110), trade(101))) == ["105", "104", "101"]
    assert one.hear(trade(101), trade(103), trade(104)) == []


def test_what_is_being_fetched_comes_live_once(talk):
    one = talk("refilling", T).open()
    one.hear(*trades(100 - PROOF, 100))
    assert shown(one.hear(trade(110), trade(105), trade(105))) == ["110", "105"]
    assert shown(one.later(DEADLINE / 1e9 + 1)) == ["gap 101-109"]
    assert shown(one.hear(trade(106), trade(106), trade(105))) == ["106"]


def test_an_id_from_before_the_unbroken_ones_may_be_news(one):
    assert shown(one.hear(trade(50))) == ["50"]


def test_a_venue_that_begins_its_ids_anew_is_heard(one):
    assert shown(one.hear(trade(1, time=5000), trade(2, time=5010))) == ["1", "2"]
    anew = [trade(id, time=6000 + id) for id in range(3, 2000)]
    assert len(one.hear(*anew)) == len(anew)


def test_the_missing_is_bounded(one):
    for id in range(102, 1502, 2):
        one.hear(trade(id))
    assert shown(one.hear(trade(1499))) == ["1499"]
    assert one.hear(trade(103)) == [], "told as missing so long ago that nobody remembers"


# Books


def delta(q, t=None):
    return {"e": "delta", "s": SYMBOL, "b": [["100", str(q)]], "q": q, "p": q - 1, "t": q if t is None else t}


def book(q):
    return {"e": "book", "s": SYMBOL, "b": [["100", "1"]], "a": [["101", "1"]], "q": q, "t": q}


def changes(events):
    return [event.sequence for event in events if isinstance(event, BookDelta)]


@pytest.mark.parametrize("kind", ["leaving", "fetching"])
def test_a_change_of_a_broken_book_is_handed_out_once(talk, kind):
    one = talk(kind, B, patience=1).open()
    one.hear(book(4), delta(5))
    assert changes(one.hear(delta(9))) == [9], "8 is missing"
    assert changes(one.hear(delta(9), delta(10), delta(9), delta(10), delta(8), delta(8), delta(5))) == [10, 8]
    one.hear(book(20))
    assert changes(one.hear(delta(20), delta(21), delta(23), delta(21))) == [21, 23]


@pytest.mark.parametrize("kind", ["leaving", "fetching"])
def test_a_change_from_before_the_other_socket_came_or_went_is_handed_out_once(talk, kind):
    one = talk(kind, B, patience=1).open()
    one.hear(book(4), delta(5))
    assert changes(one.hear(delta(9))) == [9]
    two = one.twin()
    assert changes(two.hear(delta(5), delta(9), delta(10))) == [10]
    one.data(one.session.closed("cut", one.at))
    assert changes(two.hear(delta(9), delta(10), delta(11))) == [11]


def test_a_change_that_two_sockets_owed_is_handed_out_once(talk):
    one = talk("leaving", B).open()
    two = one.twin()
    one.hear(book(4), delta(5), delta(6))
    two.hear(book(4))
    one.data(one.session.closed("cut", one.at))
    assert changes(two.hear(delta(7))) == [7]
    assert changes(two.hear(delta(5), delta(6), delta(7), delta(9), delta(6))) == [9]


def test_changes_after_a_restart_of_the_numbers_are_handed_out_while_the_book_is_broken(talk):
    one = talk("leaving", B).open()
    one.hear(book(1000), delta(1001), delta(1003))
    assert changes(one.hear(delta(3, t=2000), delta(4, t=2001))) == [3, 4]
