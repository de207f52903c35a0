"""Books that cannot be right are found without a reader, and no book grows without bound."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tickhive.channels import Instrument
from tickhive.errors import BookNotLive
from tickhive.events import Gap, Level
from tickhive.session.book import OrderBook, ShallowBook

B, B2 = "orderbook BTC-USDT", "orderbook:2 BTC-USDT"


def book(bids, asks, q=1, depth=0):
    sides = {"b": [[price, "1"] for price in bids], "a": [[price, "1"] for price in asks]}
    return {"e": "book", "s": "BTC-USDT", "q": q, "depth": depth, **sides}


def delta(q, bids=(), asks=(), size="1"):
    sides = {"b": [[price, size] for price in bids], "a": [[price, size] for price in asks]}
    return {"e": "delta", "s": "BTC-USDT", "q": q, "p": q - 1, **sides}


def causes(events):
    return [event.cause for event in events if isinstance(event, Gap)]


def test_a_crossed_book_nobody_reads_is_found_and_repaired(talk):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(["100"], ["101"]), delta(2, ["102"]))
    speaking.sent()
    assert causes(speaking.later(1)) == ["crossed book"]
    assert speaking.book_state() == "broken"
    assert speaking.sent() == ["unsub orderbook BTC-USDT"]


def test_a_look_finds_a_crossed_book_at_once_and_is_not_repeated_without_a_change(talk, monkeypatch):
    speaking = talk("leaving", B).open()
    desk, out, looks = speaking.session.desk, [], []
    speaking.hear({"e": "ok", "id": "1"}, book(["100"], ["101"]))
    keeper = speaking.feed.books[("BTC-USDT", 0)]
    fault = type(keeper).fault
    monkeypatch.setattr(type(keeper), "fault", lambda *args: looks.append(1) or fault(*args))
    for _ in range(3):
        desk.look(speaking.at, out)
    assert (len(looks), out) == (1, [])
    speaking.hear(delta(2, ["101"]))
    desk.look(speaking.at, out)
    assert causes(out) == ["crossed book"]


def test_books_may_cross_before_the_opening_and_not_after(talk):
    speaking = talk("leaving", B).open()
    names = ("acme", "BTC-USDT", "BTC-USDT", "spot", "BTC", "USDT")
    speaking.feed.instruments.add(Instrument(*names, status="preopen"))
    speaking.hear({"e": "ok", "id": "1"}, book(["102"], ["101"]))
    assert causes(speaking.later(3)) == []
    speaking.feed.instruments.add(Instrument(*names, status="live"))
    speaking.hear(delta(2, ["103"]))
    assert causes(speaking.later(1)) == ["crossed book"]


def test_a_level_that_is_no_number_is_found_too(talk):
    speaking = talk("leaving", B).open()
    speaking.hear({"e": "ok", "id": "1"}, book(["1e"], ["101"]))
    assert causes(speaking.later(1)) == ["a level that is not a number"]


@pytest.mark.parametrize(
    ("bid", "ask", "reaching"),
    [
        ("1", "2", False),
        ("2", "2", True),
        ("2.0", "2", True),
        ("3", "2", True),
        ("0.10000000000000000001", "0.10000000000000000002", False),  # one float, two prices
        ("0.10000000000000000002", "0.10000000000000000001", True),
    ],
)
def test_a_look_is_exact(bid, ask, reaching):
    looked_at = OrderBook()
    looked_at.apply_snapshot([Level(bid, "1")], [Level(ask, "1")])
    assert looked_at.reaching is looked_at.crossed is reaching


def test_looks_stay_right_however_often_a_book_changes_in_between():
    changing = OrderBook()
    changing.apply_snapshot([Level(str(n), "1") for n in range(1, 100)], [Level("200", "1")])
    for changes in (1, 5, 40, 200, 1):
        for _ in range(changes):
            changing.apply_delta([Level("150", "1")], [])
            changing.apply_delta([Level("150", "0")], [])
        assert not changing.reaching
        changing.apply_delta([Level("201", "1")], [])
        assert changing.reaching
        changing.apply_delta([Level("201", "0")], [])


# Depth


def test_a_channel_of_a_depth_drops_what_falls_out_of_it(talk):
    """Else 9, gone from the venue's two best unnoticed, would be served again once 11 is deleted."""
    speaking = talk("plain", B2).open()
    speaking.hear(book(["10", "9", "8"], ["20"], depth=2))
    keeper = speaking.feed.books[("BTC-USDT", 2)]
    assert set(keeper.book.bids) == {"10", "9"}
    assert isinstance(keeper.book, ShallowBook)
    keeper.book.apply_delta([Level("11", "1")], [])
    keeper.book.apply_delta([Level("11", "0"), Level("7", "1")], [])
    assert keeper.book.top(5)[0] == [(Decimal(10), Decimal(1)), (Decimal(7), Decimal(1))]


@pytest.mark.parametrize("depth", [1, 10, 70, 200])
def test_the_best_levels_are_kept_at_every_depth(depth):
    shallow = ShallowBook(depth)
    held = {}
    for step in range(500):
        price = str(1000 + step * 37 % 211)
        shallow.apply_delta([Level(price, str(step + 1))], [])
        held[price] = str(step + 1)
        held = dict(sorted(held.items(), key=lambda level: -int(level[0]))[:depth])
        assert dict(shallow.bids) == held


def test_a_book_without_depth_is_bounded_and_begins_anew_before_what_was_cut_off_matters(talk):
    speaking = talk("leaving", B).open()
    speaking.feed.books.clear()
    keeper = speaking.feed.keeper(("BTC-USDT", 0))
    keeper.most_levels = 100
    bids = [str(1000 - n) for n in range(150)]
    speaking.hear({"e": "ok", "id": "1"}, book(bids, ["1001"]))
    assert causes(speaking.later(1)) == []
    assert len(keeper.book.bids) == 75
    assert keeper.book.best_bid() == (Decimal(1000), Decimal(1))
    speaking.hear(delta(2, [str(1000 - n) for n in range(30)], size="0"))
    assert speaking.feed.book("BTC-USDT").best_bid() == (Decimal(970), Decimal(1))
    speaking.hear(delta(3, [str(970 - n) for n in range(10)], size="0"))
    with pytest.raises(BookNotLive):
        speaking.feed.book("BTC-USDT").best_bid()
    assert causes(speaking.hear(delta(4))) == ["the market came near levels that were cut off"]


@pytest.mark.parametrize("patience", [None, 1.0])
def test_a_book_whose_snapshot_never_came_is_asked_for_again(talk, patience):
    speaking = talk("leaving", B, patience=patience).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.sent()
    for second in range(32):
        speaking.hear({"e": "delta", "s": "BTC-USDT", "b": [["100", "1"]], "q": second + 2, "p": second + 1})
        speaking.later(1)
    assert speaking.sent()[:1] == [f"unsub {B}"]
    assert speaking.session.statistics.resyncs >= 1


def test_where_a_book_cannot_be_asked_for_again_the_socket_goes(talk):
    speaking = talk("plain", B, patience=1.0).open()
    speaking.hear({"e": "ok", "id": "1"}, {"e": "delta", "s": "BTC-USDT", "b": [["100", "1"]]})
    speaking.later(29)
    assert speaking.session.close_reason is None, "it may be a large one"
    speaking.later(20)
    assert speaking.session.close_reason == f"{B} is broken and cannot be repaired on this socket"


@pytest.mark.parametrize("kind", ["plain", "leaving"])
def test_a_book_of_which_nothing_comes_costs_no_socket(talk, kind):
    speaking = talk(kind, B, "trade BTC-USDT", patience=1.0).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.sent()
    speaking.later(600)
    assert speaking.sent() == []
    assert speaking.session.close_reason is None
    speaking.hear({"e": "book", "s": "BTC-USDT", "b": [["100", "1"]], "a": [["101", "1"]], "q": 5})
    assert speaking.book_state() == "live"
