"""What OKX allows, and that the plugin keeps to it: dials, requests, pages, and frames as large as they come."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Gap
from tickhive.plugin import Answer, Fetch, Limit, Malformed, VenueOptions
from tickhive.plugin.venue import Send
from tickhive_okx import plugin
from tickhive_okx.settings import OKXSettings
from tickhive_okx.venue import OKXVenue

SECOND = 1_000_000_000
START = 1_791_369_351 * SECOND

# The API guide, read in August 2026: requests in so many seconds, and the most rows of a page.
ALLOWED = {
    "dial": (3, 1.0),
    "request": (480, 3_600.0),
    "public/instruments": (20, 2.0),
    "market/books": (40, 2.0),
    "market/history-trades": (20, 2.0),
    "market/history-candles": (20, 2.0),
    "account/balance": (10, 2.0),
    "account/positions": (10, 2.0),
    "trade/orders-pending": (60, 2.0),
    "trade/order": (60, 2.0),
    "trade/fills": (60, 2.0),
}
ROWS = {
    "market/books": ("sz", 400),
    "market/history-trades": ("limit", 100),
    "market/history-candles": ("limit", 300),
    "trade/orders-pending": ("limit", 100),
    "trade/fills": ("limit", 100),
}


def limit(scope: str) -> Limit:
    return next(limit for limit in plugin.limits() if limit.scope == scope)


def market(data_type: DataType, params: str = "") -> Channel:
    return Channel("BTC-USDT", "BTC-USDT", data_type, params)


def gap(data_type: DataType) -> Gap:
    return Gap("okx", "BTC-USDT", None, 5, data_type, 60 * SECOND, 600_000 * SECOND, "lost", "100", "1000", params="1m")


def fetches(view: Any) -> dict[str, Fetch]:
    """Every request the plugin makes, by its path."""
    candle, trade, order = market(DataType.CANDLE, "1m"), market(DataType.TRADE), Channel(EVERY, EVERY, DataType.ORDER)
    made = [
        *plugin.instruments(view.settings),
        plugin.snapshot(view, market(DataType.ORDERBOOK)),
        plugin.snapshot(view, order),
        *(plugin.snapshot(view, Channel(EVERY, EVERY, kind)) for kind in (DataType.BALANCE, DataType.POSITION)),
        plugin.snapshot(view, Channel(EVERY, EVERY, DataType.FILL)),
        plugin.backfill(view, trade, gap(DataType.TRADE)),
        plugin.backfill(view, candle, gap(DataType.CANDLE)),
        plugin.backfill(view, order, gap(DataType.ORDER)),
    ]
    return {urlsplit(fetch.url).path.removeprefix("/api/v5/"): fetch for fetch in made if fetch is not None}


def test_no_more_is_asked_for_than_okx_allows() -> None:
    found = {limit.scope: (limit.amount, limit.seconds) for limit in plugin.limits()}
    assert found == ALLOWED
    assert [limit.scope for limit in plugin.limits() if limit.per_connection] == ["request"]


def test_every_request_counts_against_its_limit_and_a_page_is_as_long_as_okx_makes_it(view: Any) -> None:
    made = fetches(view)
    assert set(made) == set(ALLOWED) - {"dial", "request"}
    for path, fetch in made.items():
        assert dict(fetch.costs) == {path: 1.0}
        if path in ROWS:
            name, most = ROWS[path]
            assert int(dict(parse_qsl(urlsplit(fetch.url).query))[name]) == most


def test_dials_at_our_pace_break_no_rule() -> None:
    pace, venue = limit("dial"), OKXVenue(VenueOptions(start=START))
    number = 0
    for turn in range(4):
        for _ in range(int(pace.amount)):
            number += 1
            venue.opened(number, "/ws/v5/public", START + int(turn * pace.seconds * SECOND))
    assert not venue.violations


def test_requests_at_our_pace_are_all_answered() -> None:
    pace, venue = limit("request"), OKXVenue(VenueOptions(start=START, symbols=["BTC-USDT"]))
    venue.opened(1, "/ws/v5/public", START)
    request = json.dumps({"op": "unsubscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]})
    for turn in range(2):
        for _ in range(int(pace.amount)):
            venue.received(1, request, START + int(turn * pace.seconds * SECOND))
    said = [json.loads(each.frame)["event"] for each in venue.outgoing() if isinstance(each, Send)]
    assert said == ["unsubscribe"] * 2 * int(pace.amount)


def test_frames_as_large_as_they_come_are_taken(view: Any) -> None:
    """All options of a family that change their state at once, and a book of 400 levels with the longest numbers."""
    row = dict.fromkeys(("instFamily", "uly", "baseCcy", "quoteCcy", "settleCcy", "tickSz", "lotSz"), "x" * 24)
    rows = [row | {"instType": "OPTION", "instId": f"BTC-USD-261225-{n}-C", "upcChg": []} for n in range(4_000)]
    levels = [[f"{n}.123456789012345678", "9" * 30, "0", "9" * 9] for n in range(100_000, 100_400)]
    data = [{"asks": levels, "bids": levels, "ts": "1791369351001", "seqId": 1, "prevSeqId": -1, "checksum": 0}]
    frames = [
        {"arg": {"channel": "instruments", "instType": "OPTION"}, "data": rows},
        {"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": "snapshot", "data": data},
    ]
    asked = [market(DataType.INSTRUMENT), market(DataType.ORDERBOOK), market(DataType.TRADE, "all")]
    for dial in plugin.connect(asked, OKXSettings(), None, ()):
        assert dial.max_size > max(len(json.dumps(frame)) for frame in frames)
    assert all(view.parse(frame) for frame in frames)


@pytest.mark.parametrize(("source", "asked"), [("", ""), ("0", "&source=0")])
def test_a_fetched_book_may_say_its_source(make_view: Any, source: str, asked: str) -> None:
    fetch = plugin.snapshot(make_view(OKXSettings(book_source=source)), market(DataType.ORDERBOOK))
    assert fetch is not None
    assert fetch.url.endswith(f"/market/books?instId=BTC-USDT&sz=400{asked}")


def test_a_source_is_a_word() -> None:
    with pytest.raises(ValueError, match="book_source"):
        OKXSettings(book_source="0&sz=1")


def test_a_fetched_book_without_a_number_is_not_believed(view: Any) -> None:
    book = {"asks": [["2", "1", "0", "1"]], "bids": [["1", "3", "0", "1"]], "ts": "1700000000000"}
    fetch = plugin.snapshot(view, market(DataType.ORDERBOOK))
    assert fetch is not None
    body = json.dumps({"code": "0", "msg": "", "data": [book]}).encode()
    (event,) = plugin.read(view, fetch, Answer(200, body), START)
    assert isinstance(event, Malformed)
    assert "seqId" in event.why
