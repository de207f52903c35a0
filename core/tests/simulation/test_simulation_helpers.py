"""What simulated venues share: the market's time, what a made-up exchange lists, and candles that know their trades."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime
from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.simulation import catalogue, timing
from tickhive.simulation.catalogue import price_decimals, quarterly_expiries, usual_price
from tickhive.simulation.market import Index, Listing, Market
from tickhive.simulation.tape import MINUTE, every
from tickhive.simulation.timing import MarketTime

SECOND = 1_000_000_000
START = 1_791_369_351 * SECOND


@pytest.mark.parametrize("module", [catalogue, timing])
def test_the_examples_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@given(
    start=st.sampled_from([0, START]),
    speed=st.sampled_from([0.5, 1.0, 20.0]),
    began=st.integers(1, 2 * START),
    passed=st.lists(st.integers(0, 10**12), max_size=5),
)
def test_both_times_go_together_and_never_back(start: int, speed: float, began: int, passed: list[int]) -> None:
    time = MarketTime(start, speed)
    assert time.known is bool(start)
    time.reach(began)
    time.reach(began - 5)
    assert time.now == began
    assert time.known
    assert time.market(began) == (start or began)
    moments = [time.market(began + each) for each in sorted(passed)]
    assert moments == sorted(moments)
    for each in passed:
        assert abs(time.real(time.market(began + each)) - began - each) <= 1 + 1 / speed


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_a_speed_is_greater_than_nothing(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        MarketTime(speed=speed)


@given(st.integers(0, 4 * 10**18))
def test_quarters_end_on_the_last_friday(at: int) -> None:
    dates = [datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC) for date in quarterly_expiries(at, 4)]
    now = datetime.fromtimestamp(at // SECOND, UTC)
    assert 7 <= (dates[0] - now).days <= 7 + 98
    assert all(84 <= (later - earlier).days <= 98 for earlier, later in pairwise(dates))
    for date in dates:
        assert (date.weekday(), date.month % 3) == (4, 0)
        assert date.day > {3: 31, 6: 30, 9: 30, 12: 31}[date.month] - 7


def test_any_currency_has_a_price_and_a_tick_that_fits() -> None:
    for base in ("BTC", "DOGE", "C17", "X" * 9):
        price = usual_price(base)
        assert price == usual_price(base) > 0
        assert price * 10 ** price_decimals(price) >= 50_000


def test_candles_know_their_trades() -> None:
    listing = Listing(name="ABC", index="abc", price_decimals=2, size_decimals=3, rate=20.0)
    market = Market([listing], [Index("abc", 100.0)], start=START)
    stock = market.stocks["ABC"]
    known = {name: stock.bars(name, every(length)) for name, length in (("1s", SECOND), ("5m", 5 * MINUTE))}
    fills = [fill for change in market.advance(START + 400 * SECOND) for fill in change.fills]
    for name, length in (("1s", SECOND), ("5m", 5 * MINUTE)):
        for bar in list(known[name])[-2:]:
            inside = [fill for fill in fills if bar.start <= fill.at < bar.start + length]
            bought = [fill for fill in inside if fill.side == "buy"]
            assert (bar.matches, bar.last_id) == (sum(fill.matches for fill in inside), inside[-1].id)
            assert bar.volume == sum(fill.size for fill in inside)
            assert bar.bought == sum(fill.size for fill in bought)
            assert bar.bought_turnover == sum(fill.size * fill.price for fill in bought)
