"""The order book against a naive one that keeps Decimals and sorts every time."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.events import Level
from tickhive.session import OrderBook
from tickhive.session.book import BookCopy
from tickhive.session.book_side import ZEROS

# Prices of one spelling each: near and far, negative, huge, and such that only many digits tell apart.
_near = st.integers(-150, 150).map(str)
_huge = st.integers(0, 40).map(lambda n: str(10**25 + n))
_close = st.integers(1, 40).map(lambda n: f"0.1000000000000000000{n:02}")
_prices = _near | _huge | _close
_sizes = st.sampled_from(["1", "2.50", "0.001", "0", "0.0", "0.00000000"])
_rows = st.lists(st.tuples(_prices, _sizes), max_size=12)
_unique = st.lists(st.tuples(_prices, _sizes), max_size=12, unique_by=lambda row: row[0])
_crowd = st.integers(0, 200).map(lambda n: [(str(price), "1") for price in range(-n, n)])
_steps = st.lists(
    st.tuples(st.just("delta"), _rows, _rows)
    | st.tuples(st.just("snapshot"), _unique | _crowd, _unique | _crowd)
    | st.tuples(st.just("read"), st.integers(0, 60), st.none())
    | st.tuples(st.just("idle"), st.none(), st.none()),
    max_size=40,
)


class NaiveBook:
    def __init__(self):
        self.bids, self.asks = {}, {}

    def apply(self, side, rows):
        for price, size in rows:
            if Decimal(size):
                side[Decimal(price)] = Decimal(size)
            else:
                side.pop(Decimal(price), None)

    def top(self, depth):
        return sorted(self.bids.items(), reverse=True)[:depth], sorted(self.asks.items())[:depth]


def levels(rows):
    return [Level(*row) for row in rows]


@settings(deadline=None, max_examples=150)
@given(_steps)
def test_a_book_is_what_a_naive_one_is(steps):
    book, naive = OrderBook(), NaiveBook()
    for kind, bids, asks in steps:
        if kind == "snapshot":
            book.apply_snapshot(levels(bids), levels(asks))
            naive.__init__()
        elif kind == "delta":
            book.apply_delta(levels(bids), levels(asks))
        elif kind == "idle":
            for _ in range(70):
                book.apply_delta(levels([("7", "3")]), levels([("7", "0")]))
            bids, asks = [("7", "3")], [("7", "0")]
        else:
            assert book.top(bids) == naive.top(bids)
            continue
        naive.apply(naive.bids, bids)
        naive.apply(naive.asks, asks)
    assert book.top(400) == naive.top(400)
    assert book.top(5) == naive.top(5)
    best_bids, best_asks = naive.top(1)
    assert book.best_bid() == (best_bids[0] if best_bids else None)
    assert book.best_ask() == (best_asks[0] if best_asks else None)
    assert book.crossed == bool(best_bids and best_asks and best_bids[0][0] >= best_asks[0][0])


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from([1, 10, 25, 50]))
def test_reading_after_every_change_is_exact(seed, depth):
    """The way of a checksum: hundreds of levels, many changes near the top, a read after each message."""
    random = Random(seed)
    book, naive = OrderBook(), NaiveBook()
    start = [(f"{1000 + n / 10:.1f}", "1") for n in range(200)]
    book.apply_snapshot(levels(start), ())
    naive.apply(naive.bids, start)
    for _ in range(120):
        rows = [
            (f"{1000 + min(400, int(random.expovariate(0.02))) / 10:.1f}", random.choice(["0", "1", "2"]))
            for _ in range(random.randrange(8))
        ]
        book.apply_delta(levels(rows), ())
        naive.apply(naive.bids, rows)
        read, _ = book.top_text(depth)
        assert [(Decimal(price), Decimal(size)) for price, size in read] == naive.top(depth)[0]


@pytest.mark.parametrize("zero", sorted(ZEROS))
def test_every_spelling_of_zero_is_zero_and_deletes(zero):
    assert Decimal(zero) == 0
    book = OrderBook()
    book.apply_snapshot([Level("1", "1"), Level("2", zero)], [])
    assert dict(book.bids) == {"1": "1"}
    book.apply_delta([Level("1", zero), Level("9", zero)], [])
    assert dict(book.bids) == {}


def test_text_stays_as_the_venue_wrote_it():
    book = OrderBook()
    book.apply_snapshot([Level("1.50", "2.00")], [Level("1.60", "0.10")])
    assert [list(side) for side in book.top_text(25)] == [[("1.50", "2.00")], [("1.60", "0.10")]]


@pytest.mark.parametrize("price", ["nan", "abc", ""])
def test_a_price_that_is_no_number_is_refused_when_read(price):
    book = OrderBook()
    book.apply_snapshot([Level("1", "1"), Level(price, "1")], [])
    with pytest.raises((ValueError, ArithmeticError)):
        book.top(2)


def test_a_copy_stands_still():
    book = OrderBook()
    book.apply_snapshot([Level("1", "1")], [Level("2", "1")])
    copy = book.copy()
    book.apply_delta([Level("1", "0")], [Level("1.5", "1")])
    assert isinstance(copy, BookCopy)
    assert copy.top(5) == ([(Decimal(1), Decimal(1))], [(Decimal(2), Decimal(1))])
    with pytest.raises(TypeError):
        copy.bids["3"] = "1"


@pytest.mark.parametrize("sign", [1, -1])
def test_the_ordered_part_stays_whole_while_it_grows_is_cut_back_and_melts(sign):
    book, naive = OrderBook(), NaiveBook()
    steps = [[(str(price), "1")] for price in range(0, 300, 2)]  # grows from nothing, past what is kept in order
    steps += [[(str(price), "0")] for price in range(0, 100, 2)]  # melts from one end
    steps += [[(str(price), "0")] for price in range(298, 200, -2)]  # and from the other
    steps += [[(str(price), "2")] for price in range(101, 290, 7)]
    for rows in steps:
        for side, true in (("bids", naive.bids), ("asks", naive.asks)):
            rows_here = [(str(sign * int(price)), size) for price, size in rows]
            book.apply_delta(*((levels(rows_here), ()) if side == "bids" else ((), levels(rows_here))))
            naive.apply(true, rows_here)
        assert book.top(50) == naive.top(50)
