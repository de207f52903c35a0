"""Coinbase Exchange may leave matches out: its heartbeat shows that, and REST tells what they were."""

from __future__ import annotations

import json
from typing import Any

from tickhive.channels import Channel, DataType, Instrument, InstrumentTable
from tickhive.events import Gap, Trade
from tickhive.plugin import Answer
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import Feed, Session
from tickhive_coinbase.exchange import plugin
from tickhive_coinbase.exchange.settings import CoinbaseExchangeSettings

SECOND = 1_000_000_000
TIME = "2026-10-07T10:30:00.123456Z"


def row(id: int) -> dict[str, Any]:
    return {"trade_id": id, "side": "sell", "size": "0.1", "price": "60000", "time": TIME}


def match(id: int) -> dict[str, Any]:
    return {"type": "match", "product_id": "BTC-USD", "sequence": 5} | row(id)


def test_a_match_that_was_dropped_is_fetched_before_the_next_one_comes() -> None:
    stack = ExchangeStack.from_plugin("coinbase-exchange", plugin)
    settings, table = CoinbaseExchangeSettings(), InstrumentTable("coinbase-exchange")
    table.add(Instrument("coinbase-exchange", "BTC-USD", "BTC-USD", "spot", "BTC", "USD"))
    channels = [Channel("BTC-USD", "BTC-USD", DataType.TRADE)]
    dials = stack.call.connect(channels=channels, settings=settings, credentials=None, dials=())
    session = Session(stack, dials[0], Feed(stack, "coinbase-exchange", settings, table))
    at = 1_791_369_351 * SECOND
    session.opened(at)

    def hear(*frames: dict[str, Any]) -> list[Any]:
        events = session.receive([json.dumps(frame, separators=(",", ":")).encode() for frame in frames], at)
        return [event for event in events if isinstance(event, Trade | Gap)]

    assert len(hear(*map(match, range(1, 31)))) == 30
    beat = {"type": "heartbeat", "sequence": 9, "last_trade_id": 32, "product_id": "BTC-USD", "time": TIME}
    assert hear(beat) == []
    assert session.tick(at + SECOND) == []
    (fetch,) = session.fetches
    assert fetch.url == "https://api.exchange.coinbase.com/products/BTC-USD/trades?limit=1000&after=33#until=30"
    session.fetches.clear()
    rows = [row(id) for id in range(32, 20, -1)]
    *trades, gap = session.answered(fetch, Answer(200, json.dumps(rows).encode()), at + SECOND)
    assert [(trade.id, trade.late) for trade in trades if isinstance(trade, Trade)] == [("31", True), ("32", True)]
    assert isinstance(gap, Gap)
    assert (gap.first_id, gap.last_id, gap.filled) == ("31", "32", "whole")
    assert [event.id for event in hear(match(33), beat | {"last_trade_id": 33})] == ["33"]
    session.tick(at + 5 * SECOND)
    assert not session.fetches
