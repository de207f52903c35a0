"""A collector of one process goes on where the collector of another ended."""

from __future__ import annotations

from typing import Any

import pytest

from tickhive.channels import Channel, DataType
from tickhive.events import BookSnapshot, Candle, Gap, MarketEvent, Trade
from tickhive.session.resumption import resume, standing
from tickhive.session.trade_ids import PROOF

T, SYMBOL = "trade BTC-USDT", "BTC-USDT"
CAUSE = "the process was not running"


def trade(id: int, symbol: str = SYMBOL) -> dict[str, Any]:
    return {"e": "trade", "s": symbol, "id": str(id), "t": id * 10, "n": 1}


def shown(events: list[MarketEvent]) -> list[str]:
    out = []
    for event in events:
        if isinstance(event, Gap):
            out.append(f"gap {event.first_id}-{event.last_id} {event.filled}")
        elif isinstance(event, Trade):
            out.append(f"late {event.id}" if event.late else event.id)
        else:
            out.append(type(event).__name__)
    return out


@pytest.fixture
def again(talk):
    """A second run: begins with what the first one says, carries the same channels unless told otherwise."""

    def start(first: Any, kind: str, *channels: str) -> Any:
        events = standing(first.feed)
        second = talk(kind, *channels)
        second.at = first.at + 60 * 10**9
        resume(second.feed, events, CAUSE, second.dial.channels)
        return second.open()

    return start


def test_the_first_trade_is_preceded_by_the_gap(talk, again):
    first = talk("quiet", T).open()
    first.hear(trade(7), trade(9), trade(8))
    events = again(first, "quiet", T).hear(trade(15))
    assert shown(events) == ["gap 10-14 none", "15"], "the highest id counts"
    assert (events[0].cause, events[0].start, events[0].end) == (CAUSE, 90, 150)


def test_an_id_that_follows_proves_that_nothing_was_missed(talk, again):
    first = talk("quiet", T).open()
    first.hear(trade(7))
    assert shown(again(first, "quiet", T).hear(trade(7), trade(8))) == ["8"], "the last one is not told again"


def test_what_was_missed_is_refilled(talk, again):
    first = talk("refilling", T).open()
    first.hear(trade(7))
    second = again(first, "refilling", T)
    assert shown(second.hear(trade(10), trade(11))) == ["10", "11"]
    fetch = second.take_fetch()
    assert fetch.url.endswith("8-9")
    assert shown(second.answer(fetch, trade(7), trade(8), trade(9))) == ["late 8", "late 9", "gap 8-9 whole"]


def test_a_hole_that_was_being_filled_goes_on_being_filled(talk, again):
    first = talk("refilling", T).open()
    noted: list[Gap] = []
    first.feed.on_hole = noted.append
    first.hear(*(trade(id) for id in range(100 - PROOF, 101)), trade(104), trade(105))
    assert shown(noted) == ["gap 101-103 none"], "known before anything behind it is handed out"
    first.session.closed("killed", first.at)
    second = again(first, "refilling", T)
    second.later(0)
    fetch = second.take_fetch()
    assert fetch.url.endswith("101-103")
    events = second.answer(fetch, *(trade(id) for id in range(99, 107)))
    assert shown(events) == ["late 101", "late 102", "late 103", "gap 101-103 whole"]
    assert shown(second.hear(trade(106))) == ["106"]


def test_streams_that_are_not_carried_are_left_out(talk, again):
    first = talk("quiet", T, "trade ETH-USDT").open()
    first.hear(trade(7), trade(3, "ETH-USDT"))
    second = again(first, "quiet", "trade ETH-USDT")
    assert shown(second.hear(trade(9, "ETH-USDT"), trade(9))) == ["gap 4-8 none", "9", "9"]


def test_streams_without_an_event_stand_where_they_stood(talk, again):
    first = talk("quiet", T, "trade ETH-USDT").open()
    first.hear(trade(7), trade(3, "ETH-USDT"))
    second = again(first, "quiet", T, "trade ETH-USDT")
    second.hear(trade(8))
    assert sorted(shown(standing(second.feed))) == ["3", "8"]


def test_a_book_is_not_served_before_its_snapshot_and_the_gap_stands_before_that(talk):
    snapshot = BookSnapshot("acme", SYMBOL, 500, 500, (), (), 7)
    second = talk("plain", "orderbook BTC-USDT")
    resume(second.feed, [snapshot], CAUSE, second.dial.channels)
    second.open()
    assert second.book_state() != "live"
    events = second.hear({"e": "book", "s": SYMBOL, "t": 900, "seq": 12, "b": [["1", "1"]], "a": []})
    assert [type(event) for event in events] == [Gap, BookSnapshot]
    assert (events[0].start, events[0].end, events[0].cause) == (500, 900, CAUSE)
    assert second.book_state() == "live"


def test_candles_are_resumed_by_their_interval(talk):
    def candle(interval: str) -> Candle:
        return Candle("acme", SYMBOL, None, 1, interval, 60 * 10**9, *[1] * 5, closed=True)

    second = talk("quiet", "trade BTC-USDT")
    channels = [Channel(SYMBOL, SYMBOL, DataType.CANDLE, "1m")]
    resume(second.feed, [candle("1m"), candle("5m")], CAUSE, channels)
    assert standing(second.feed) == [candle("1m")]
