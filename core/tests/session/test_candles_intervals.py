"""Where intervals begin and end, and the window in which ids are remembered."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive import CandleBuilder, Trade
from tickhive.session.candle_ids import IdRanges, SeenTrades
from tickhive.session.candle_intervals import SECOND, Interval
from tickhive.session.candles import MOST_IDS

BASE = 1_795_392_000 * SECOND  # Monday 2026-11-23, 00:00 UTC


def ns(text):
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp()) * SECOND


def trade(at, price="1", id="", symbol="BTC-USDT", received=None):
    return Trade("acme", symbol, at, at if received is None else received, id, "buy", Decimal(price), Decimal(1))


@pytest.mark.parametrize(
    ("name", "hours", "moment", "begin", "end"),
    [
        ("1s", 0, "2026-11-22T12:34:56", "2026-11-22T12:34:56", "2026-11-22T12:34:57"),
        ("1m", 0, "2026-11-22T12:34:56", "2026-11-22T12:34:00", "2026-11-22T12:35:00"),
        ("5m", 0, "2026-11-22T12:34:56", "2026-11-22T12:30:00", "2026-11-22T12:35:00"),
        ("1h", 0, "2026-11-22T12:34:56", "2026-11-22T12:00:00", "2026-11-22T13:00:00"),
        ("4h", 0, "2026-11-22T12:34:56", "2026-11-22T12:00:00", "2026-11-22T16:00:00"),
        ("4h", 8, "2026-11-22T12:34:56", "2026-11-22T12:00:00", "2026-11-22T16:00:00"),
        ("6h", 8, "2026-11-22T12:34:56", "2026-11-22T10:00:00", "2026-11-22T16:00:00"),
        ("1d", 0, "2026-11-22T23:59:59", "2026-11-22T00:00:00", "2026-11-23T00:00:00"),
        ("1d", 8, "2026-11-22T12:34:56", "2026-11-21T16:00:00", "2026-11-22T16:00:00"),
        ("1d", 8, "2026-11-22T16:00:00", "2026-11-22T16:00:00", "2026-11-23T16:00:00"),
        ("1d", -5, "2026-11-22T04:59:59", "2026-11-21T05:00:00", "2026-11-22T05:00:00"),
        ("1d", 5.5, "2026-11-22T18:30:00", "2026-11-22T18:30:00", "2026-11-23T18:30:00"),
        ("1w", 0, "2026-11-22T23:59:59", "2026-11-16T00:00:00", "2026-11-23T00:00:00"),
        ("1w", 0, "2026-11-23T00:00:00", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        ("1w", 8, "2026-11-22T16:00:00", "2026-11-22T16:00:00", "2026-11-29T16:00:00"),
        ("1M", 0, "2026-02-28T23:59:59", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
        ("1M", 0, "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
        ("1M", 0, "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("1M", 8, "2026-11-30T16:00:00", "2026-11-30T16:00:00", "2026-12-31T16:00:00"),
        ("1M", 8, "2026-11-30T15:59:59", "2026-10-31T16:00:00", "2026-11-30T16:00:00"),
        ("3M", 0, "2026-11-22T00:00:00", "2026-10-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_where_intervals_begin_and_end(name, hours, moment, begin, end):
    interval = Interval(name, round(hours * 3600) * SECOND)
    assert interval.begin(ns(moment)) == ns(begin)
    assert interval.after(ns(begin)) == ns(end)
    assert interval.begin(ns(end)) == ns(end)
    assert interval.begin(ns(end) - 1) == ns(begin)


@given(
    st.sampled_from(["1s", "7m", "4h", "1d", "3d", "2w", "1M", "5M"]),
    st.integers(-23, 23),
    st.integers(0, 4_000_000_000 * SECOND),
)
def test_intervals_cover_all_time_without_overlap(name, hours, at):
    interval = Interval(name, hours * 3600 * SECOND)
    start = interval.begin(at)
    end = interval.after(start)
    assert start <= at < end
    assert interval.begin(start) == start
    assert interval.begin(end) == end
    assert interval.begin(end - 1) == start


def test_the_builder_puts_trades_at_month_and_offset_boundaries():
    builder = CandleBuilder(["1d", "1M"], grace_seconds=0, utc_offset_hours=8)
    month_end = ns("2026-11-30T16:00:00")
    builder.add(trade(month_end - 1, "1"))
    closed = builder.add(trade(month_end, "2"))
    assert [(c.interval, c.start, c.close) for c in closed] == [
        ("1d", ns("2026-11-29T16:00:00"), 1),
        ("1M", ns("2026-10-31T16:00:00"), 1),
    ]
    assert builder.current("BTC-USDT", "1M").start == ns("2026-11-30T16:00:00")


# Ids.


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6))))
def test_ranges_are_a_set(pairs):
    ranges, plain = IdRanges(), set()
    for first, more in pairs:
        ranges.add(first, first + more)
        plain.update(range(first, first + more + 1))
    assert [number for number in range(-2, 70) if number in ranges] == sorted(plain)
    assert len(ranges) == sum(number - 1 not in plain for number in plain)


def test_ids_are_held_for_the_window_and_not_beyond():
    seen = SeenTrades(640 * SECOND, 1000)
    for second in range(2000):
        seen.note(f"id-{second}", None, 1, second * SECOND)
        seen.forget((second - 640) * SECOND, second * SECOND)
    assert len(seen) <= 660
    assert all(seen.seen(f"id-{s}", None, s * SECOND, exact=True) for s in range(1360, 2000))
    assert seen.since <= 1360 * SECOND


def test_too_many_ids_let_go_of_the_oldest_but_never_of_the_present():
    seen = SeenTrades(640 * SECOND, 100)
    for number in range(200):
        seen.note(f"id-{number}", None, 1, number * SECOND)
        seen.forget(0, number * SECOND)
    assert 80 <= len(seen) <= 110
    assert seen.since > 80 * SECOND
    for number in range(500):
        seen.note(f"now-{number}", None, 1, 200 * SECOND)
        seen.forget(0, 200 * SECOND)
    assert seen.since <= 200 * SECOND
    assert seen.seen("now-0", None, 200 * SECOND, exact=True)


def test_what_was_let_go_of_is_dropped_rather_than_counted_twice():
    builder = CandleBuilder(["1M"], revise_seconds=6400)
    for number in range(MOST_IDS + 20_000):
        builder.add(trade(BASE + number * SECOND // 100, id=f"id-{number}"))
    assert builder.held() <= MOST_IDS + 20_000
    assert builder.add(trade(BASE, id="id-0", received=BASE + 1200 * SECOND)) == []
    assert (builder.dropped, builder.duplicates) == (1, 0)
    builder.add(trade(BASE + 1199 * SECOND, id="id-119900", received=BASE + 1200 * SECOND))
    assert builder.duplicates == 1


@pytest.mark.parametrize("empty", ["skip", "flat"])
@pytest.mark.parametrize("numbers", [True, False])
def test_memory_does_not_grow_with_time(empty, numbers):
    builder = CandleBuilder(["1s", "1m", "1M"], empty=empty, revise_seconds=60)
    sizes = []
    for second in range(3000):
        # A number in five is missing: ids of a venue that counts all its symbols together.
        identity = str(second + second // 5) if numbers else f"id-{second}"
        builder.add(trade(BASE + second * SECOND, id=identity, symbol=f"A{second % 3}-USDT"))
        if second % 500 == 499:
            sizes.append(builder.held())
    assert max(sizes[1:]) <= sizes[0] + 10
    assert sizes[0] < 3 * (63 + 63 + 5)
