"""Candles built from the simulated OKX's trades are the candles it sends itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from attrs import evolve

from tickhive import Candle, CandleBuilder, Channel, DataType, Trade
from tickhive.plugin import Dial, VenueOptions
from tickhive.plugin.venue import Send
from tickhive_okx.venue import OKXVenue

SECOND = 1_000_000_000
START = 1_795_363_195 * SECOND  # 2026-11-22, 15:59:55 UTC: a day begins at UTC+8 five seconds later
SYMBOLS = {"BTC-USDT": "BTC-USDT", "BTC-USDT-PERP": "BTC-USDT-SWAP", "BTC-USD-PERP": "BTC-USD-SWAP"}
BARS = {"1s": "1s", "1m": "1m", "5m": "5m", "1h": "1H", "1d": "1D"}


def listen(view: Any, seconds: int, trades: str) -> Iterator[Any]:
    """What OKX says in this time, as events: all trades, one way or the other, and its own candles of every bar."""
    venue = OKXVenue(VenueOptions(seed=11, symbols=tuple(SYMBOLS)), early_data=0.0)
    venue.advance(START)
    for kind in ("SPOT", "SWAP"):
        path = f"/api/v5/public/instruments?instType={kind}"
        body = venue.request("GET", path, {}, b"", START).body
        view.learn(view.read(f"https://www.okx.com{path}", json.loads(body)))
    paths = {"trades": "public", "trades-all": "business"}
    asked = [(1, "business", f"candle{bar}") for bar in BARS.values()] + [(2, paths[trades], trades)]
    for connection, path in dict.fromkeys(one[:2] for one in asked):
        venue.opened(connection, f"/ws/v5/{path}", START)
    for symbol, native in SYMBOLS.items():
        for connection, _, channel in asked:
            frame = {"op": "subscribe", "args": [{"channel": channel, "instId": native}]}
            venue.received(connection, json.dumps(frame), START)
        view.ask(*(Channel(symbol, native, DataType.CANDLE, bar) for bar in BARS))
    # Five pieces a second: what a client receives lies between the pushes' own times.
    for step in range(seconds * 5):
        at = START + step * SECOND // 5
        venue.advance(at)
        for said in venue.outgoing():
            assert isinstance(said, Send)
            yield from view.parse(said.frame, at)


def build(events: list[Any], view: Any, **options: Any) -> dict[Any, Candle]:
    builder = CandleBuilder(BARS, utc_offset_hours=8, **options)
    for instrument in view.instruments:
        builder.learn(instrument)
    final = {}
    for trade in events:
        for candle in builder.add(trade):
            final[candle.symbol, candle.interval, candle.start] = candle
    for candle in builder.advance(events[-1].received + 60 * SECOND):
        final[candle.symbol, candle.interval, candle.start] = candle
    assert builder.dropped == builder.duplicates == 0
    return final


@pytest.mark.parametrize("order", ["as sent", "shuffled"])
@pytest.mark.parametrize("channel", ["trades", "trades-all"])
def test_our_candles_are_okxs(make_view: Any, channel: str, order: str) -> None:
    view = make_view(dial=Dial("all", ("wss://ws.okx.com/ws/v5/public",), ()))
    events = list(listen(view, 320, channel))
    trades = [event for event in events if isinstance(event, Trade)]
    theirs = {(c.symbol, c.interval, c.start): c for c in events if isinstance(c, Candle) and c.closed}
    if order == "shuffled":
        Random(5).shuffle(trades)
        trades = [evolve(trade, received=START + 400 * SECOND) for trade in trades]
    ours = build(trades, view)

    seen = dict.fromkeys((c.symbol, c.interval) for c in theirs.values())
    assert set(seen) >= {(symbol, bar) for symbol in SYMBOLS for bar in ("1s", "1m", "5m", "1h")}
    # Those that began before we listened hold trades we cannot know.
    whole = {key: candle for key, candle in theirs.items() if candle.start >= START}
    assert {key[1] for key in whole} >= {"1s", "1m", "5m"}
    assert len(whole) > 300
    for key, candle in whole.items():
        own = ours[key]
        names = ("open", "high", "low", "close", "volume", "quote_volume")
        assert [getattr(own, name) for name in names] == [getattr(candle, name) for name in names], key
        assert own.base_volume == (None if key[0] == "BTC-USD-PERP" else candle.base_volume)
    # And there are no others: seconds without a trade have no candle there either.
    last = max(candle.start for candle in whole.values() if candle.interval == "1s")
    assert {key for key in ours if key[1] == "1s" and key[2] <= last} == {key for key in whole if key[1] == "1s"}


def test_days_begin_where_okxs_do(make_view: Any) -> None:
    view = make_view(dial=Dial("all", ("wss://ws.okx.com/ws/v5/public",), ()))
    events = list(listen(view, 30, "trades"))
    builder = CandleBuilder(["1d"], utc_offset_hours=8)
    for event in events:
        if isinstance(event, Trade):
            builder.add(event)
    theirs = [c for c in events if isinstance(c, Candle) and c.interval == "1d" and c.symbol == "BTC-USDT"][-1]
    ours = builder.current("BTC-USDT", "1d")
    assert ours is not None
    # Its last push is up to a second older than our last trade.
    assert (ours.start, ours.open) == (theirs.start, theirs.open)
    assert ours.start == START + 5 * SECOND
