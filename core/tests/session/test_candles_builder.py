"""Candles from trades, case by case: closing, correcting, counting once, empty intervals, volumes, refusals."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import permutations

import pytest

from tickhive import CandleBuilder, ConfigurationError
from tickhive.channels import Instrument
from tickhive.events import Candle, Trade

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
BASE = 1_795_392_000 * SECOND  # Monday 2026-11-23, 00:00 UTC


def trade(seconds, price="10", size="1", id="", symbol="BTC-USDT", received=None, count=1, exchange="acme"):
    at = BASE + round(seconds * SECOND)
    seen = at if received is None else BASE + round(received * SECOND)
    return Trade(exchange, symbol, at, seen, id, "buy", Decimal(price), Decimal(size), count)


def told(candles):
    """Minute of the start, prices, volume, revision."""
    return [
        ((c.start - BASE) // MINUTE, *map(str, (c.open, c.high, c.low, c.close, c.volume)), c.revision) for c in candles
    ]


def at(seconds):
    return BASE + round(seconds * SECOND)


def test_a_candle_closes_when_the_grace_after_it_is_over():
    builder = CandleBuilder(["1m"])
    for number, (second, price, size) in enumerate([(1, "10", "1"), (20, "12.5", "0.5"), (59.9, "9", "2")]):
        assert builder.add(trade(second, price, size, str(number))) == []
    assert builder.add(trade(61.9, "11", "1", "3")) == []
    [candle] = builder.add(trade(62, "11", "1", "4", received=62.5))
    assert candle == Candle(
        "acme", "BTC-USDT", at(59.9), at(62.5), "1m", BASE,
        Decimal(10), Decimal("12.5"), Decimal(9), Decimal(9), Decimal("3.5"),
        Decimal("3.5"), Decimal("34.25"), True, 0,
    )  # fmt: skip
    assert builder.advance(at(121.9)) == []
    assert told(builder.advance(at(122))) == [(1, "11", "11", "11", "11", "2", 0)]
    assert builder.advance(at(9999)) == []


def test_time_alone_closes_the_candles_of_all_symbols():
    builder = CandleBuilder(["1m"], grace_seconds=0.5)
    builder.add(trade(3, symbol="BTC-USDT"))
    builder.add(trade(4, symbol="ETH-USDT"))
    assert builder.advance(at(60.4)) == []
    closed = builder.advance(at(60.5))
    assert [(c.symbol, c.received) for c in closed] == [("BTC-USDT", at(60.5)), ("ETH-USDT", at(60.5))]


def test_a_symbol_does_not_close_another_ones_candles():
    builder = CandleBuilder(["1m"])
    builder.add(trade(3, symbol="BTC-USDT"))
    builder.add(trade(300, symbol="ETH-USDT"))
    assert told(builder.add(trade(4, symbol="BTC-USDT"))) == []
    assert builder.current("BTC-USDT", "1m").volume == 2


def test_all_intervals_at_once():
    builder = CandleBuilder(["1s", "1m", "1h"], grace_seconds=0)
    assert builder.add(trade(0.5, size="1")) == []
    assert [c.interval for c in builder.add(trade(1.5, size="2"))] == ["1s"]
    assert [(c.interval, c.volume) for c in builder.add(trade(60, size="4"))] == [("1s", 2), ("1m", 3)]
    closed = builder.advance(at(3600))
    assert [(c.interval, c.volume) for c in closed] == [("1s", 4), ("1m", 4), ("1h", 7)]


@pytest.mark.parametrize("late", [False, True])
def test_a_late_trade_corrects_the_closed_candle(late):
    builder = CandleBuilder(["1m"])
    builder.add(trade(1, "10", "1", "1"))
    builder.add(trade(50, "11", "1", "5"))
    assert len(builder.advance(at(62))) == 1
    for number, (second, expected) in enumerate(
        [
            (30, (0, "10", "20", "10", "11", "3", 1)),
            (55, (0, "10", "20", "10", "20", "4", 2)),
            (0, (0, "20", "20", "10", "20", "5", 3)),
        ]
    ):
        missed = trade(second, "20", "1", str(100 + number), received=70)
        missed.late = late
        corrected = builder.add(missed)
        assert told(corrected) == [expected]
        assert corrected[0].closed
        assert corrected[0].received == at(70)


def test_a_late_trade_in_an_interval_that_still_runs_is_nothing_special():
    builder = CandleBuilder(["1m", "1h"])
    builder.add(trade(1))
    builder.advance(at(62))
    [corrected] = builder.add(trade(2, received=63))
    assert (corrected.interval, corrected.revision) == ("1m", 1)
    [hour] = [c for c in builder.advance(at(3602)) if c.interval == "1h"]
    assert (hour.volume, hour.revision) == (2, 0)


def test_a_late_trade_in_a_skipped_interval_makes_its_first_candle():
    builder = CandleBuilder(["1m"])
    builder.add(trade(1, "10"))
    builder.add(trade(300, "11"))
    assert told(builder.add(trade(121, "12", received=301))) == [(2, "12", "12", "12", "12", "1", 0)]


def test_trades_within_the_grace_before_the_first_one_wait_for_their_close():
    builder = CandleBuilder(["1m"])
    assert builder.add(trade(60.5, "11")) == []
    assert builder.add(trade(59.5, "10", received=60.6)) == []
    assert told(builder.advance(at(62))) == [(0, "10", "10", "10", "10", "1", 0)]


@pytest.mark.parametrize(
    ("arriving", "ends"),
    [
        ([("9", "1"), ("10", "2")], ("1", "2")),
        ([("10", "2"), ("9", "1")], ("1", "2")),  # as numbers: nine comes before ten
        ([("11", "3"), ("9", "1"), ("10", "2")], ("1", "3")),
        ([("b", "1"), ("a", "2")], ("1", "2")),  # names have no order of their own
        ([("", "1"), ("", "2")], ("1", "2")),
    ],
)
def test_within_a_timestamp_ids_then_arrival_say_which_trade_is_first(arriving, ends):
    builder = CandleBuilder(["1m"])
    for number, price in arriving:
        builder.add(trade(5, price, id=number))
    candle = builder.current("BTC-USDT", "1m")
    assert (str(candle.open), str(candle.close)) == ends


def test_flat_candles_follow_the_last_close():
    builder = CandleBuilder(["1m"], empty="flat")
    assert builder.advance(at(0)) == []
    builder.add(trade(61, "10"))
    builder.add(trade(70, "12"))
    assert told(builder.advance(at(242))) == [
        (1, "10", "12", "10", "12", "2", 0),
        (2, "12", "12", "12", "12", "0", 0),
        (3, "12", "12", "12", "12", "0", 0),
    ]
    flat = builder.advance(at(302))[0]
    assert (flat.timestamp, flat.received, flat.base_volume, flat.quote_volume) == (None, at(302), 0, 0)


def test_a_late_trade_is_carried_into_the_flat_candles_after_it():
    builder = CandleBuilder(["1m"], empty="flat")
    builder.add(trade(1, "10"))
    builder.add(trade(301, "20"))
    assert len(builder.advance(at(422))) == 3
    assert told(builder.add(trade(121, "15", received=430))) == [
        (2, "15", "15", "15", "15", "1", 1),
        (3, "15", "15", "15", "15", "0", 1),
        (4, "15", "15", "15", "15", "0", 1),
    ]
    # Those after the last trade take its price, and so do the ones still to come.
    assert told(builder.add(trade(330, "21", received=431))) == [
        (5, "20", "21", "20", "21", "2", 1),
        (6, "21", "21", "21", "21", "0", 1),
    ]
    assert told(builder.advance(at(482))) == [(7, "21", "21", "21", "21", "0", 0)]


def test_a_correction_that_leaves_the_close_leaves_the_flat_candles():
    builder = CandleBuilder(["1m"], empty="flat")
    builder.add(trade(50, "10"))
    assert len(builder.advance(at(242))) == 4
    assert told(builder.add(trade(20, "12", received=243))) == [(0, "12", "12", "10", "10", "2", 1)]
    assert told(builder.add(trade(80, "10.0", received=244))) == [(1, "10.0", "10.0", "10.0", "10.0", "1", 1)]


def test_equal_prices_written_differently_make_the_same_candle_in_any_order():
    written = set()
    for prices in permutations([("1", "1.0"), ("2", "1.00"), ("3", "1")]):
        builder = CandleBuilder(["1m"])
        for identity, price in prices:
            builder.add(trade(1, price, id=identity))
        candle = builder.current("BTC-USDT", "1m")
        written.add(tuple(map(str, (candle.open, candle.high, candle.low, candle.close))))
    assert len(written) == 1


def test_a_trade_before_all_others_begins_the_flat_candles_earlier():
    builder = CandleBuilder(["1m"], empty="flat")
    builder.add(trade(183, "10"))
    assert told(builder.add(trade(1, "9", received=184))) == [
        (0, "9", "9", "9", "9", "1", 0),
        (1, "9", "9", "9", "9", "0", 0),
        (2, "9", "9", "9", "9", "0", 0),
    ]


def test_a_long_silence_is_filled_over_several_calls():
    builder = CandleBuilder(["1s"], empty="flat")
    builder.add(trade(0, "10"))
    starts = [candle.start for _ in range(4) for candle in builder.advance(at(25_002))]
    assert starts == [at(second) for second in range(25_000)]
    assert builder.held() < 3700


def test_a_trade_counts_once():
    builder = CandleBuilder(["1m"])
    for identity in ("7", "8", "uuid-a", "7", "uuid-a", "", ""):
        builder.add(trade(1, id=identity))
    assert builder.current("BTC-USDT", "1m").volume == 5
    assert builder.duplicates == 2
    builder.advance(at(62))
    assert builder.add(trade(1, id="8", received=63)) == []
    # The same id is another trade elsewhere.
    assert len(builder.add(trade(1, id="8", symbol="ETH-USDT"))) == 1
    assert len(builder.add(trade(1, id="8", exchange="other"))) == 1


def test_executions_that_were_merged_before_count_once():
    builder = CandleBuilder(["1m"])
    builder.add(trade(1, size="3", id="105", count=3))
    for identity in ("103", "104", "105", "106"):
        builder.add(trade(1, size="1", id=identity))
    assert builder.current("BTC-USDT", "1m").volume == 4
    assert builder.duplicates == 3


def test_a_trade_without_a_time_counts_by_its_arrival_and_once():
    builder = CandleBuilder(["1m"])
    for received in (1, 100):
        event = trade(0, id="5", received=received)
        event.timestamp = None
        builder.add(event)
    assert builder.duplicates == 1
    assert builder.advance(at(62))[0].timestamp is None


@pytest.mark.parametrize(
    ("event", "taken"),
    [
        (trade(7200 - 3600 - 2, id="1", received=7201), True),
        (trade(7200 - 3600 - 2.001, id="1", received=7201), False),
        (trade(7200 + 86_400 + 1, id="1", received=7200), False),  # a clock gone wrong closes nothing
        (Trade("acme", "BTC-USDT", -1, BASE, "1", "buy", Decimal(1), Decimal(1)), False),
    ],
)
def test_trades_far_from_now_are_dropped_from_all_intervals(event, taken):
    builder = CandleBuilder(["1m", "1d"])
    builder.add(trade(7200, id="0"))
    corrected = builder.add(event)
    assert [c.interval for c in corrected] == ["1m"] * taken
    assert builder.dropped == (not taken)
    assert builder.current("BTC-USDT", "1d").volume == 1 + taken


def test_a_venue_clock_ahead_closes_nothing_early():
    builder = CandleBuilder(["1m"])
    builder.add(trade(10))
    assert builder.add(trade(600, received=11)) == []
    assert builder.add(trade(20)) == []
    assert told(builder.advance(at(62))) == [(0, "10", "10", "10", "10", "2", 0)]


def test_current_is_the_candle_that_runs():
    builder = CandleBuilder(["1m", "5m"])
    assert builder.current("BTC-USDT", "1m") is None
    builder.add(trade(1, "10", received=2))
    builder.add(trade(61, "11"))
    running = builder.current("BTC-USDT", "1m")
    assert told([running]) == [(1, "11", "11", "11", "11", "1", 0)]
    assert not running.closed
    assert running.received == at(61)
    builder.advance(at(122))
    assert builder.current("BTC-USDT", "1m") is None
    assert builder.current("BTC-USDT", "5m").volume == 2


def test_one_symbol_of_two_exchanges_needs_a_name():
    builder = CandleBuilder(["1m"])
    builder.add(trade(1, "10", exchange="acme"))
    builder.add(trade(1, "20", exchange="other"))
    assert builder.current("BTC-USDT", "1m", exchange="other").open == 20
    with pytest.raises(ConfigurationError, match="acme, other"):
        builder.current("BTC-USDT", "1m")
    builder.forget("BTC-USDT", exchange="acme")
    assert builder.current("BTC-USDT", "1m").open == 20
    builder.forget("BTC-USDT")
    assert builder.held() == 0
    assert builder.advance(at(62)) == []


@pytest.mark.parametrize(
    ("symbol", "terms", "expected"),
    [
        ("BTC-USDT", None, ("3", "40")),
        ("BTC-USDT-PERP", None, (None, None)),
        ("BTC-USDT-PERP", {"size_unit": "base"}, ("3", "40")),
        ("BTC-USDT-PERP", {"contract_size": Decimal("0.01"), "contract_currency": "BTC"}, ("0.03", "0.40")),
        ("BTC-USDT-PERP", {"contract_size": Decimal(100), "contract_currency": "USDT"}, (None, "300")),
        ("BTC-USDT-PERP", {"contract_size": None}, (None, None)),
        ("BTC-USDT-PERP", {"contract_size": Decimal(1), "contract_currency": "XYZ"}, (None, None)),
    ],
)
def test_volumes_in_currencies_where_they_are_exact(symbol, terms, expected):
    builder = CandleBuilder(["1m"])
    if terms is not None:
        terms = {"size_unit": "contracts"} | terms
        builder.learn(Instrument("acme", symbol, "native", "perpetual", "BTC", "USDT", **terms))
    builder.add(trade(1, "10", "2", symbol=symbol))
    builder.add(trade(2, "20", "1", symbol=symbol))
    candle = builder.current(symbol, "1m")
    assert candle.volume == 3
    assert (candle.base_volume, candle.quote_volume) == tuple(None if e is None else Decimal(e) for e in expected)


def test_sums_keep_every_digit():
    builder = CandleBuilder(["1m"])
    for size in ("123456789012345678901234567890", "0.000000000000000001"):
        builder.add(trade(1, "0.00000001234567", size))
    candle = builder.current("BTC-USDT", "1m")
    assert str(candle.volume) == "123456789012345678901234567890.000000000000000001"
    assert Fraction(candle.quote_volume) == Fraction(candle.volume) * Fraction("0.00000001234567")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"intervals": []}, "intervals: name at least one"),
        ({"intervals": ["7x"]}, "'7x'"),
        ({"intervals": ["1m", "1H"]}, "'1H'"),
        ({"intervals": ["0m"]}, "'0m'"),
        ({"intervals": ["1m"], "empty": "fill"}, "'skip' or 'flat'"),
        ({"intervals": ["1m"], "grace_seconds": -1}, "grace_seconds"),
        ({"intervals": ["1m"], "revise_seconds": float("nan")}, "revise_seconds"),
        ({"intervals": ["1m"], "utc_offset_hours": 24}, "utc_offset_hours"),
    ],
)
def test_impossible_wishes_are_refused_by_name(arguments, says):
    with pytest.raises(ConfigurationError, match=says):
        CandleBuilder(arguments.pop("intervals"), **arguments)


def test_an_interval_that_is_not_built_is_named():
    with pytest.raises(ConfigurationError, match=r"'2m' is not built here; there is 1m, 5m"):
        CandleBuilder(["1m", "5m", "1m"]).current("BTC-USDT", "2m")
