"""Real traffic of 2021 (Exchange) and 2026 (Advanced Trade) through the hooks, and through a replay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tickhive.events import BookDelta, BookSnapshot, InstrumentUpdate, Quote, Ticker, Trade
from tickhive.plugin import Malformed, Numbered, Unknown
from tickhive.recording import Line, Replay
from tickhive.session.book import OrderBook
from tickhive.testing import frames_of


def test_2021_every_frame_is_read_and_no_book_is_ever_crossed(
    exchange_view: Any, exchange_2021: list[Line], recorded: Callable[[str], Path]
) -> None:
    for line in frames_of(recorded("coinbase-exchange-2021.jsonl.gz"), "http"):
        listed = exchange_view.read(line.url, line.frame)
        assert {type(event) for event in listed} == {InstrumentUpdate}
        exchange_view.learn(listed)
    assert len(exchange_view.instruments) == 162
    books: dict[str, OrderBook] = {}
    counts: Counter[type] = Counter()
    for line in exchange_2021:
        for event in exchange_view.parse(line.frame):
            counts[type(event)] += 1
            if isinstance(event, BookSnapshot):
                books[event.symbol] = OrderBook()
                books[event.symbol].apply_snapshot(event.bids, event.asks)
            elif isinstance(event, BookDelta):
                books[event.symbol].apply_delta(event.bids, event.asks)
                assert not books[event.symbol].crossed
    # 97 matches, and the last one before the subscription of ten products.
    assert (counts[BookDelta], counts[BookSnapshot], counts[Trade], counts[Ticker]) == (9_719, 10, 97 + 10, 107)
    assert not {Malformed, Unknown, Quote} & counts.keys()


def test_2021_trade_ids_are_consecutive_and_tickers_name_the_takers_side(
    exchange_view: Any, exchange_2021: list[Line]
) -> None:
    frames = [line.frame for line in exchange_2021]
    trades = [event for frame in frames for event in exchange_view.parse(frame) if isinstance(event, Trade)]
    by_symbol: dict[str, list[Trade]] = {}
    for trade in trades:
        by_symbol.setdefault(trade.symbol, []).append(trade)
    for each in by_symbol.values():
        assert all(int(after.id) == int(before.id) + 1 for before, after in pairwise(each))
    sides = {(trade.symbol, trade.id): trade.side for trade in trades}
    tickers = [json.loads(frame) for frame in frames if b'"type":"ticker"' in frame]
    assert len(tickers) == 107
    assert all(sides[row["product_id"], str(row["trade_id"])] == row["side"] for row in tickers)


def test_a_replay_knows_the_retired_hosts(recorded: Callable[[str], Path]) -> None:
    result = Replay([recorded("coinbase-exchange-2021.jsonl.gz")]).run()
    assert result.exchanges == ["coinbase-exchange"]
    assert result.events == {
        "book_delta": 9_719, "book_snapshot": 10, "trade": 107, "ticker": 107, "instrument_update": 162,
    }  # fmt: skip
    assert (result.malformed, result.unknown, result.gaps, result.skipped) == (0, 0, 0, 0)


def test_2026_every_frame_is_read(advanced_view: Any, advanced_2026: list[Line]) -> None:
    events = [event for line in advanced_2026 for event in advanced_view.parse(line.frame)]
    counts = Counter(type(event) for event in events)
    assert counts == {Trade: 7, Ticker: 2, Quote: 2, Numbered: 6}
    assert [event.number for event in events if isinstance(event, Numbered)] == [0, 1, 2, 0, 1, 2]


def test_2026_trades_come_oldest_first_with_the_takers_side(advanced_view: Any, advanced_2026: list[Line]) -> None:
    trades = [e for line in advanced_2026 for e in advanced_view.parse(line.frame) if isinstance(e, Trade)]
    assert [int(trade.id) for trade in trades] == list(range(1_069_726_287, 1_069_726_294))
    assert {trade.side for trade in trades} == {"sell"}
    assert (str(trades[-1].price), trades[-1].timestamp) == ("63310.25", 1_786_562_868_298_771_000)
