"""The seeded market: deterministic, consistent, and true to its own statistics."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.simulation.ladder import Ladder
from tickhive.simulation.market import SECOND, Change, Index, Listing, Market, decimal_text
from tickhive.simulation.tape import MINUTE, Fill, every
from tickhive.simulation.walk import STEP, Walk

START = 1_700_000_000 * SECOND
INDICES = [Index("AAA", 60_000.0), Index("BBB", 0.5)]
LISTINGS = [
    Listing(name="AAA-USD", index="AAA", price_decimals=1, size_decimals=8, depth=40),
    Listing(name="AAA-PERP", index="AAA", price_decimals=1, size_decimals=2, depth=40, leveraged=True, rate=20.0),
    Listing(name="BBB-USD", index="BBB", price_decimals=5, size_decimals=0, depth=10),
]


def make(seed: int = 1) -> Market:
    return Market(LISTINGS, INDICES, seed, START)


def state(market: Market) -> object:
    return [
        (list(s.bids), list(s.asks), list(s.tape), s.day, list(s.minutes), s.sequence, s.open_interest)
        for s in market.stocks.values()
    ]


def facts(changes: list[Change]) -> list[object]:
    return [(c.at, c.stock.listing.name, list(c.fills), c.forced) for c in changes]


@given(stops=st.lists(st.integers(0, 20 * SECOND), max_size=20))
@settings(max_examples=15, deadline=None)
def test_how_often_it_is_advanced_makes_no_difference(stops: list[int]) -> None:
    once, often = make(), make()
    expected = facts(list(once.advance(START + 20 * SECOND)))
    seen: list[Change] = []
    for stop in [*sorted(stops), 20 * SECOND]:
        seen += often.advance(START + stop)
        often.index_price("AAA", often.now)  # asking for prices does not disturb it either
    assert facts(seen) == expected
    assert state(often) == state(once)


def walks() -> tuple[Walk, Walk]:
    common = Walk("common", START, 1.0)
    return Walk("one", START, 0.3, common, 0.9), Walk("other", START, 0.3, common, 0.9)


def test_a_walk_jumps_to_where_it_would_have_walked() -> None:
    stepped, jumped = walks()[0], walks()[0]
    steps = [stepped.value(START + step * STEP) for step in range(500)]
    assert steps[0] == 0.0
    assert jumped.value(START + 250 * STEP) == steps[250]
    assert jumped.value(START + 499 * STEP + STEP - 1) == steps[499]
    assert jumped.value(START) == steps[499]  # time does not go back


def test_walks_that_share_a_common_one_are_correlated() -> None:
    one, other = ([walk.value(START + step * STEP) for step in range(3000)] for walk in walks())
    moves = [(b - a, d - c) for (a, b), (c, d) in zip(pairwise(one), pairwise(other), strict=True)]
    same = sum(x * y > 0 for x, y in moves) / len(moves)
    assert 0.7 < same < 0.9  # 0.8 is what a correlation of 0.81 gives


def test_seeds_differ() -> None:
    one, other = make(1), make(2)
    assert facts(list(one.advance(START + SECOND * 5))) != facts(list(other.advance(START + SECOND * 5)))


def test_books_stay_full_and_uncrossed_and_follow_their_index() -> None:
    market = make(3)
    for change in market.advance(START + 60 * SECOND):
        stock = change.stock
        bid, ask = stock.bids.best, stock.asks.best
        assert bid is not None
        assert ask is not None
        assert bid < ask
        assert len(stock.bids) == len(stock.asks) == stock.listing.depth
    for name in market.stocks:
        assert abs(market.premium(name, market.now)) < 0.005
        prices = [row[0] for row in market.stocks[name].asks]
        assert prices == sorted(prices)


def test_what_watchers_collect_rebuilds_the_book() -> None:
    market = make(4)
    stock = market.stocks["AAA-PERP"]
    sides = [(ladder, ladder.watch(), {row[0]: row[1:] for row in ladder}) for ladder in (stock.bids, stock.asks)]
    for number, _ in enumerate(market.advance(START + 30 * SECOND)):
        if number % 7:
            continue
        for ladder, changed, copy in sides:
            for price, size, orders in ladder.changes(changed):
                if size:
                    copy[price] = (size, orders)
                else:
                    copy.pop(price, None)
            assert copy == {row[0]: row[1:] for row in ladder}


def test_trade_ids_are_consecutive_and_the_tape_agrees_with_candles_and_day() -> None:
    market = make(5)
    stock = market.stocks["AAA-PERP"]
    before = stock.trade_id, stock.day.volume
    begin = every(10 * SECOND)
    stock.bars("10s", begin)
    fills = [f for c in market.advance(START + 90 * SECOND) for f in c.fills if c.stock is stock]
    ids = [number for fill in fills for number, _ in fill.parts()]
    assert ids == list(range(before[0] + 1, stock.trade_id + 1))
    assert all(sum(size for _, size in fill.parts()) == fill.size for fill in fills)
    assert stock.day.volume - before[1] == sum(fill.size for fill in fills)
    for bars, start_of in ((stock.bars("10s", begin), begin), (stock.minutes, every(MINUTE))):
        for bar in [bar for bar in bars if bar.start >= START - START % MINUTE]:
            inside = [fill for fill in fills if start_of(fill.at) == bar.start]
            assert bar.volume == sum(fill.size for fill in inside)
            assert (bar.open, bar.close) == (inside[0].price, inside[-1].price)
            assert (bar.high, bar.low) == (max(f.price for f in inside), min(f.price for f in inside))


def test_takers_take_the_side_they_say() -> None:
    market = make(6)
    tops = {name: (s.bids.best, s.asks.best) for name, s in market.stocks.items()}
    for change in market.advance(START + 20 * SECOND):
        name = change.stock.listing.name
        if change.fills:
            first = change.fills[0]
            assert first.price == tops[name][1 if first.side == "buy" else 0]
        tops[name] = (change.stock.bids.best, change.stock.asks.best)


def test_only_leveraged_instruments_are_liquidated() -> None:
    names = {c.stock.listing.name for c in make(7).advance(START + 120 * SECOND) if c.forced}
    assert names == {"AAA-PERP"}


def test_longer_candles_merge_the_minutes_before() -> None:
    stock = make(8).stocks["AAA-USD"]
    hours = stock.bars("1H", every(60 * MINUTE))
    minutes = stock.minutes
    for hour in hours:
        inside = [m for m in minutes if hour.start <= m.start < hour.start + 60 * MINUTE]
        assert (hour.open, hour.close, hour.volume) == (
            inside[0].open,
            inside[-1].close,
            sum(m.volume for m in inside),
        )


@pytest.mark.parametrize(
    ("units", "decimals", "expected"),
    [(0, 8, "0"), (1, 8, "0.00000001"), (123, 0, "123"), (12300, 2, "123"), (12345, 2, "123.45"), (10, 2, "0.1")],
)
def test_numbers_are_written_the_short_way(units: int, decimals: int, expected: str) -> None:
    assert decimal_text(units, decimals) == expected


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3))))
def test_a_ladder_is_a_sorted_dictionary(puts: list[tuple[int, int]]) -> None:
    for sign in (1, -1):
        ladder, plain = Ladder(sign), {}
        changed = ladder.watch()
        for price, size in puts:
            ladder.put(price, size, 1)
            plain[price] = size
        expected = sorted(((p, s, 1) for p, s in plain.items() if s), reverse=sign > 0)
        assert list(ladder) == expected
        assert ladder.top(3) == expected[:3]
        assert ladder.best == (expected[0][0] if expected else None)
        assert {row[0] for row in ladder.changes(changed) if row[1]} == {row[0] for row in expected}
        assert not changed


def test_a_fill_splits_into_its_matches() -> None:
    assert Fill(0, "buy", 1, 10, 3, 100).parts() == [(98, 4), (99, 3), (100, 3)]
