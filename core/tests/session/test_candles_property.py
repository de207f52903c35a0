"""However trades arrive, after all revisions the candles are those of the trades sorted by time and id."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive import CandleBuilder
from tickhive.digest import canonical_line
from tickhive.events import Candle, Trade
from tickhive.session.candle_intervals import Interval

SECOND = 1_000_000_000
BASE = 1_795_391_990 * SECOND  # ten seconds before a Monday
INTERVALS = ("1s", "5s", "1m", "1d", "1w")

decimals = st.decimals("0.01", 50, places=2)
rows = st.lists(
    st.tuples(st.integers(0, 90_000), st.sampled_from(["BTC-USDT", "ETH-USDT"]), decimals, decimals), max_size=25
)


def make(events):
    """Trades with ids that grow in time, as venues number them; some share their timestamp."""
    return [
        Trade("acme", symbol, BASE + ms * 1_000_000, BASE + ms * 1_000_000, str(8 + number), "sell", price, size)
        for number, (ms, symbol, price, size) in enumerate(sorted(events, key=lambda row: row[0] // 500))
    ]


def naive(trades, empty, until, hours):
    """All candles, from the trades sorted first."""
    candles = []
    for symbol in {trade.symbol for trade in trades}:
        own = sorted((t for t in trades if t.symbol == symbol), key=lambda t: (t.timestamp, int(t.id)))
        for name in INTERVALS:
            interval = Interval(name, hours * 3600 * SECOND)
            start, price = interval.begin(own[0].timestamp), None
            while interval.after(start) <= until:
                end = interval.after(start)
                inside = [trade for trade in own if start <= trade.timestamp < end]
                prices = [trade.price for trade in inside] or [price]
                price = prices[-1]
                if inside or empty == "flat":
                    volume = sum((t.size for t in inside), Decimal(0))
                    quote = sum((t.price * t.size for t in inside), Decimal(0))
                    last = inside[-1].timestamp if inside else None
                    candles.append(
                        Candle("acme", symbol, last, 0, name, start, prices[0], max(prices), min(prices), price,
                               volume, volume, quote, True)
                    )  # fmt: skip
                start = end
    return candles


def key(candle):
    return candle.symbol, candle.interval, candle.start


@settings(max_examples=250, deadline=None)
@given(
    rows,
    st.randoms(use_true_random=False),
    st.sampled_from(["skip", "flat"]),
    st.sampled_from([0.0, 2.0, 30.0]),
    st.integers(0, 1),
    st.lists(st.integers(0, 60_000), max_size=6),
    st.booleans(),
)
def test_any_order_of_arrival_gives_the_same_candles(events, random, empty, grace, offset, pauses, live):
    trades = make(events)
    arriving = [*trades, *random.sample(trades, len(trades) // 3)]  # some come twice
    random.shuffle(arriving)
    hours = 8 * offset
    builder = CandleBuilder(INTERVALS, empty=empty, grace_seconds=grace, utc_offset_hours=hours)
    handed_out = []
    now = BASE
    for number, trade in enumerate(arriving):
        # Received after it happened, at a time that never goes back.
        now = max(now, trade.timestamp) + (1 if live else 0)
        handed_out += builder.add(evolve(trade, received=now, late=number % 2 == 0))
        if number < len(pauses):
            now += pauses[number] * 1_000_000
            handed_out += builder.advance(now)
    until = now + 30 * SECOND
    handed_out += builder.advance(until)

    assert builder.duplicates == len(arriving) - len(trades)
    assert builder.dropped == 0
    final = {}
    for candle in handed_out:
        assert candle.closed
        before = final.get(key(candle))
        assert candle.revision == (0 if before is None else before.revision + 1)
        final[key(candle)] = candle
    expected = naive(trades, empty, until - round(grace * SECOND), hours)
    plain = [evolve(candle, received=0, revision=0) for candle in final.values()]
    # Line by line: equal to the last digit as written.
    assert sorted(map(canonical_line, plain)) == sorted(map(canonical_line, expected))


@settings(max_examples=100, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_shorter_candles_add_up_to_the_longer_ones(events, random):
    trades = make(events)
    random.shuffle(trades)
    builder = CandleBuilder(["1s", "1m"], revise_seconds=20)
    final = {}
    for trade in trades:
        final |= {key(candle): candle for candle in builder.add(trade)}
    final |= {key(candle): candle for candle in builder.advance(BASE + 3600 * SECOND)}
    totals = {name: sum(c.volume for c in final.values() if c.interval == name) for name in ("1s", "1m")}
    # Also when some trades are too old: they are missing from both.
    assert totals["1s"] == totals["1m"]
