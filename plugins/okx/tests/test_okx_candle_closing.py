"""A candle is closed once: when OKX says so, or when the next one has begun; what differs afterwards corrects it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tickhive.channels import Channel, DataType
from tickhive.events import Candle
from tickhive.plugin import VenueOptions
from tickhive.plugin.venue import Send
from tickhive_okx import plugin
from tickhive_okx.venue import OKXVenue

SECOND = 1_000_000_000
START = 1_795_363_195 * SECOND
ARG = {"channel": "candle1m", "instId": "BTC-USDT"}
MINUTES = Channel("BTC-USDT", "BTC-USDT", DataType.CANDLE, "1m")


def bar(minute: int, volume: str = "1", confirm: str = "0") -> list[str]:
    return [str(minute * 60_000), "1", "2", "0.5", "1.5", volume, "2", "2", confirm]


def told(view: Any, *rows: list[str]) -> list[tuple[int, str, bool, int]]:
    """Minute, volume, closed and revision of what comes of rows, one push each."""
    events = [event for row in rows for event in view.parse({"arg": ARG, "data": [row]})]
    assert all(isinstance(event, Candle) for event in events)
    return [(event.start // (60 * SECOND), str(event.volume), event.closed, event.revision) for event in events]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([bar(1), bar(2)], [(1, "1", False, 0), (1, "1", True, 0), (2, "1", False, 0)]),
        ([bar(1), bar(5)], [(1, "1", False, 0), (1, "1", True, 0), (5, "1", False, 0)]),
        ([bar(1), bar(2, "3", "1")], [(1, "1", False, 0), (1, "1", True, 0), (2, "3", True, 0)]),
        ([bar(1), bar(1, "3", "1"), bar(2)], [(1, "1", False, 0), (1, "3", True, 0), (2, "1", False, 0)]),
        # It comes after all: nothing else, or another last word.
        ([bar(1), bar(2), bar(1, "1", "1")], [(1, "1", False, 0), (1, "1", True, 0), (2, "1", False, 0)]),
        (
            [bar(1), bar(2), bar(1, "4", "1"), bar(1, "5", "1"), bar(2, "2"), bar(3)],
            [
                (1, "1", False, 0), (1, "1", True, 0), (2, "1", False, 0), (1, "4", True, 1), (1, "5", True, 2),
                (2, "2", False, 0), (2, "2", True, 0), (3, "1", False, 0),
            ],
        ),
        # Closed stays closed.
        ([bar(1, "3", "1"), bar(1, "3", "1"), bar(1, "3")], [(1, "3", True, 0)]),
        ([bar(1, "3", "1"), bar(1, "4"), bar(2)], [(1, "3", True, 0), (1, "4", True, 1), (2, "1", False, 0)]),
        ([bar(2), bar(1, "1", "1")], [(2, "1", False, 0), (1, "1", True, 0)]),
    ],
)  # fmt: skip
def test_a_bar_is_closed_once(view: Any, rows: list[list[str]], expected: list[Any]) -> None:
    assert told(view, *rows) == expected


def test_bars_in_one_push_and_a_bad_one_among_them(view: Any) -> None:
    rows = [bar(1), bar(2), ["180000", "x"], bar(3)]
    events = view.parse({"arg": ARG, "data": rows})
    assert [(type(event).__name__, getattr(event, "closed", None)) for event in events] == [
        ("Candle", False), ("Candle", True), ("Candle", False), ("Malformed", None),
        ("Candle", True), ("Candle", False),
    ]  # fmt: skip


def test_each_spelling_is_closed(view: Any) -> None:
    arg = {"channel": "candle1H", "instId": "BTC-USDT"}
    view.ask(*(Channel("BTC-USDT", "BTC-USDT", DataType.CANDLE, name) for name in ("1h", "1H")))
    view.parse({"arg": arg, "data": [bar(60)]})
    events = view.parse({"arg": arg, "data": [bar(120)]})
    assert [(event.interval, event.closed) for event in events] == [
        ("1h", True), ("1H", True), ("1h", False), ("1H", False),
    ]  # fmt: skip


def test_what_ran_before_an_unsubscription_is_not_closed_by_what_comes_later(view: Any) -> None:
    view.ask(MINUTES)
    told(view, bar(1))
    (request,) = plugin.unsubscribe(view, [MINUTES])
    told(view, bar(2))
    view.parse({"event": "unsubscribe", "arg": ARG, "id": request.id})
    view.ask(MINUTES)
    assert told(view, bar(20)) == [(20, "1", False, 0)]


def test_fetched_candles_change_nothing_of_the_stream(view: Any) -> None:
    told(view, bar(5))
    url = "https://x/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&limit=300#until=0"
    view.read(url, {"code": "0", "msg": "", "data": [bar(9, "1", "1"), bar(8, "1", "1")]}, MINUTES)
    assert told(view, bar(6)) == [(5, "1", True, 0), (6, "1", False, 0)]


# Of bars of one second the last word is the only one.
@pytest.mark.parametrize(("unclosed", "bars"), [(False, {"1s": 100, "1m": 2}), (True, {"1m": 2})])
def test_every_candle_of_the_simulated_okx_is_closed_once_and_before_its_successor(
    view: Any, unclosed: bool, bars: dict[str, int]
) -> None:
    venue = OKXVenue(VenueOptions(seed=11, symbols=("BTC-USDT",)), early_data=0.0)
    venue.faults.unclosed = unclosed
    venue.advance(START)
    venue.opened(1, "/ws/v5/business", START)
    args = [{"channel": f"candle{name}", "instId": "BTC-USDT"} for name in bars]
    venue.received(1, json.dumps({"op": "subscribe", "args": args}), START)
    candles: list[Candle] = []
    for step in range(130):
        at = START + step * SECOND
        venue.advance(at)
        for said in venue.outgoing():
            assert isinstance(said, Send)
            candles += [event for event in view.parse(said.frame, at) if isinstance(event, Candle)]
    for interval, least in bars.items():
        ours = [candle for candle in candles if candle.interval == interval]
        closed = [candle.start for candle in ours if candle.closed]
        assert len(closed) >= least
        assert closed == sorted(set(closed))
        assert set(closed) >= {candle.start for candle in ours} - {ours[-1].start}
        for before, after in itertools.pairwise(ours):
            assert before.closed or after.start == before.start
