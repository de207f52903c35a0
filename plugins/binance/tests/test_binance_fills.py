"""An account's missed fills: asked for by symbol, window by window, each once and oldest first."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.plugin import EVERY, Channel, Credentials, DataType, Fetch, Fill, Gap, Malformed
from tickhive_binance import account_fills

D = Decimal
MS = 1_000_000
T = 1_793_000_000_000
AT = 1_793_000_001_500_000_000
HOUR = 3_600_000
FILLS = Channel(EVERY, EVERY, DataType.FILL)
PATHS = {"binance": "/api/v3/myTrades", "binance-usdm": "/fapi/v1/userTrades", "binance-coinm": "/dapi/v1/userTrades"}
HOURS = {"binance": 24, "binance-usdm": 168, "binance-coinm": 168}


def gap(view, start, end=T, symbol=""):
    symbol = symbol or view.channel("trade").symbol
    return Gap(view.exchange, symbol, None, AT, DataType.FILL, start * MS, end * MS, "cut")


def asked(fetch):
    """The parameters that are sent, numbers as such."""
    found = dict(parse_qsl(urlsplit(fetch.url).query))
    return {name: int(value) if value.isdecimal() else value for name, value in found.items()}


def row(view, number, time, **changes):
    spot = {"isBuyer": True, "isMaker": False}
    futures = {"side": "SELL", "buyer": False, "maker": True, "positionSide": "SHORT", "realizedPnl": "-0.9"}
    about = {
        "symbol": view.channel("trade").native, "id": number, "orderId": 77, "price": "9.5", "qty": "2",
        "commission": "0.01", "commissionAsset": "BNB", "time": time,
    }  # fmt: skip
    return about | (spot if view.exchange == "binance" else futures) | changes


@pytest.mark.parametrize("days", [0.5, 2.0, 20.0])
def test_what_is_asked_of_a_symbol(view, days):
    start = T - int(days * 24) * HOUR
    fetch = view.plugin.backfill(view, FILLS, gap(view, start))
    assert urlsplit(fetch.url).path == PATHS[view.exchange]
    assert fetch.costs == {"weight": 5 if view.exchange == "binance-usdm" else 20}
    assert fetch.channel == FILLS
    query = asked(fetch)
    expected = {"symbol": view.channel("trade").native, "startTime": start - 10_000, "limit": 1000}
    if days * 24 > HOURS[view.exchange]:
        expected["endTime"] = start - 10_000 + HOURS[view.exchange] * HOUR
    assert query == expected, "the last window has no end"
    signed = view.plugin.sign(fetch, Credentials("main", "key", "secret"), AT)
    assert set(asked(signed)) == {*query, "timestamp", "signature"}


def test_what_is_not_asked_for(make_view, exchange):
    view = make_view(exchange)
    assert view.plugin.backfill(view, FILLS, gap(view, T - 31 * 24 * HOUR)) is None
    assert view.plugin.backfill(view, FILLS, gap(view, T - HOUR, symbol="NOBODY-KNOWS")) is None
    view.settings.backfill_fill_days = 0
    assert view.plugin.backfill(view, FILLS, gap(view, T - 1)) is None


def test_a_fill_by_rest_is_the_same_as_on_the_stream(view):
    view.account = "main"
    fetch = view.plugin.backfill(view, FILLS, gap(view, T - HOUR))
    bad = row(view, 7, T, price="NaN")
    found = view.read(fetch.url, [row(view, 9, T + 1), bad, row(view, 8, T), row(view, 6, T)])
    assert isinstance(found.pop(), Malformed)
    assert [fill.id for fill in found] == ["6", "8", "9"]
    about = view.exchange, view.channel("trade").symbol, T * MS, AT, "main", "6", "77"
    side, liquidity, slot = ("buy", "taker", "net") if view.exchange == "binance" else ("sell", "maker", "short")
    assert found[0] == Fill(*about, side, D("9.5"), D(2), liquidity, D("0.01"), "BNB", "", True, slot)


def test_without_a_side_it_is_no_fill(view):
    changes = {"side": None, "isBuyer": None}
    (event,) = view.read(view.settings.rest(urlsplit(PATHS[view.exchange]).path[8:]), [row(view, 6, T, **changes)])
    assert isinstance(event, Malformed)


class History:
    """A venue's list of fills that answers at most so many, the oldest or the newest of the window."""

    def __init__(self, view, times, most, newest):
        self.rows = [row(view, number, time) for number, time in enumerate(sorted(times), 1)]
        self.view, self.most, self.newest = view, most, newest
        self.requests = 0

    def walk(self, fetch):
        """Everything a walk hands out."""
        found = []
        while fetch is not None:
            self.requests += 1
            assert self.requests < 500
            query, fetched = asked(fetch), fetch
            end = query.get("endTime", 1 << 62)
            assert end - query["startTime"] <= HOURS[self.view.exchange] * HOUR or end == 1 << 62
            rows = [each for each in self.rows if query["startTime"] <= each["time"] <= end]
            rows = rows[-self.most :] if self.newest else rows[: self.most]
            fetch = None
            for event in self.view.read(fetched.url, json.dumps(rows).encode(), FILLS):
                if isinstance(event, Fetch):
                    fetch = event
                else:
                    found.append(event)
        return found


@settings(max_examples=60, deadline=None)
@given(
    offsets=st.lists(st.integers(0, 30 * 24 * HOUR), max_size=40),
    spread=st.sampled_from([1, 1_000, 1_000_000]),
    most=st.integers(2, 6),
    newest=st.booleans(),
    exchange=st.sampled_from(sorted(PATHS)),
)
def test_every_fill_comes_once_and_oldest_first(make_view, offsets, spread, most, newest, exchange):
    view = make_view(exchange)
    start = T - 30 * 24 * HOUR
    times = [start + offset // spread for offset in offsets]
    history = History(view, times, most, newest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(account_fills, "ROWS_PER_PAGE", most)
        found = history.walk(view.plugin.backfill(view, FILLS, gap(view, start)))
    crowded = {time for time in times if times.count(time) >= most}
    fills = [event for event in found if isinstance(event, Fill)]
    assert [fill.timestamp for fill in fills] == sorted(fill.timestamp for fill in fills)
    assert len({fill.id for fill in fills}) == len(fills)
    lonely = [time * MS for time in sorted(times) if time not in crowded]
    assert [fill.timestamp for fill in fills if fill.timestamp // MS not in crowded] == lonely
    assert sum(isinstance(event, Malformed) for event in found) == len(crowded), "nothing is left out in silence"


def test_how_long_ago_is_a_setting(view):
    with pytest.raises(ValueError, match=r"backfill_fill_days: expected 0\.0 to 90\.0, got 91"):
        type(view.settings)(backfill_fill_days=91)
