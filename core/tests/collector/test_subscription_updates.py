"""News of subscriptions are events, and no data: who hears them, who counts them, what becomes of lost ones."""

from __future__ import annotations

from decimal import Decimal

from tickhive.channels import DataType
from tickhive.cli.tally import Tally
from tickhive.collector.dispatcher import CallbackDispatcher
from tickhive.events import Gap, MarketEvent, SubscriptionUpdate, Trade
from tickhive.spool.buffer import Buffer
from tickhive.tasks import AsyncTaskManager

NEWS = SubscriptionUpdate("acme", "A-B", None, 7, DataType.CANDLE, "1m", "receiving")
TRADE = Trade("acme", "A-B", None, 8, "1", "buy", Decimal(1), Decimal(1))


def test_they_go_to_those_who_take_everything() -> None:
    dispatcher = CallbackDispatcher("test", AsyncTaskManager("test"))
    candles: list[MarketEvent] = []
    everything: list[MarketEvent] = []
    dispatcher.register(DataType.CANDLE, candles.append)
    dispatcher.register(None, everything.append)
    dispatcher.deliver([NEWS, TRADE])
    assert (candles, everything) == ([], [NEWS, TRADE])


def test_they_are_not_counted_as_data() -> None:
    tally = Tally()
    tally.take([NEWS])
    assert (tally.total, tally.rows) == (0, {})
    tally.take([NEWS, TRADE])
    assert (tally.total, tally.by_type()) == (1, {DataType.TRADE: 1})


def test_lost_ones_are_told_of_by_a_gap_in_their_stream() -> None:
    buffer = Buffer(1)
    buffer.put([TRADE, NEWS], "full")
    buffer.settle(len(buffer.take(1)), at=9)
    [gap] = buffer.take(9)
    assert isinstance(gap, Gap)
    assert (gap.symbol, gap.data_type, gap.params, gap.start) == ("A-B", DataType.CANDLE, "1m", 7)
