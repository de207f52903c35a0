"""What cannot be read: a frame that says at least what it was about, and levels that are no numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.errors import BookNotLive
from tickhive.events import BookDelta, BookSnapshot, Gap, Level, Quote, Trade
from tickhive.plugin.contract import Accepted, Dial, Malformed, Request
from tickhive.plugin.hookspecs import hookimpl
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import Feed, Session
from tickhive.session.trade_ids import PROOF

SECOND = 1_000_000_000
BOOK, TRADES, QUOTES = (Channel("A-B", "A-B", kind) for kind in (DataType.ORDERBOOK, DataType.TRADE, DataType.QUOTE))


class Umbra:
    """Books without numbers: ``{"snap": [...]}`` and ``{"bids": [...]}``; ``["bad", data type]`` cannot be read.

    ``"hole"`` is a hole nothing else would show.
    """

    @hookimpl
    def connect(self, channels):
        return ()

    @hookimpl
    def subscribe(self, session, channels):
        return [Request("sub", channels, str(len(channels)))]

    @hookimpl
    def unsubscribe(self, session, channels):
        return [Request("unsub", channels, "0")]

    @hookimpl
    def parse(self, frame, at):
        match json.loads(frame):
            case "ok":
                return [Accepted("3")]
            case {"snap": levels}:
                return [BookSnapshot("umbra", "A-B", None, at, [Level(*each) for each in levels], [Level("9", "1")])]
            case {"bids": levels}:
                return [BookDelta("umbra", "A-B", None, at, [Level(*each) for each in levels], [])]
            case {"trade": id}:
                return [Trade("umbra", "A-B", None, at, id, "buy", Decimal(1), Decimal(1))]
            case "quote":
                return [Quote("umbra", "A-B", None, at, Decimal(1), Decimal(1), Decimal(2), Decimal(1))]
            case "hole":
                return [Gap("umbra", "A-B", None, at, DataType.FILL, None, None, "the plugin knows")]
            case ["bad", data_type]:
                return [Malformed("a null", DataType(data_type), "A-B")]
            case _:
                return [Malformed("a null")]


class Line:
    """One socket that carries a book, trades and quotes."""

    def __init__(self) -> None:
        stack = ExchangeStack.from_plugin("umbra", Umbra())
        self.feed, self.at = Feed(stack, "umbra", None, InstrumentTable("umbra")), SECOND
        self.session = Session(stack, Dial("a", ("wss://umbra.test",), (BOOK, TRADES, QUOTES)), self.feed)
        self.session.opened(self.at)
        self.hear("ok")
        self.hear({"snap": [["5", "1"], ["4", "2"]]})
        self.book = self.feed.book("A-B")

    def hear(self, said: Any) -> list[Any]:
        self.at += SECOND
        return self.session.receive([json.dumps(said).encode()], self.at)


def test_a_book_whose_change_could_not_be_read_is_synchronised_again() -> None:
    line = Line()
    line.session.outbox.clear()
    [gap] = line.hear(["bad", "orderbook"])
    assert isinstance(gap, Gap)
    assert (gap.symbol, gap.data_type, gap.cause) == ("A-B", DataType.ORDERBOOK, "a frame could not be read: a null")
    with pytest.raises(BookNotLive):
        line.book.best_bid()
    assert [request.frame for request in line.session.outbox] == ["unsub"]
    assert line.hear(["bad", "orderbook"]) == []  # told once
    line.hear({"snap": [["5", "3"]]})
    assert line.book.best_bid() == (5, 3)
    assert line.session.statistics.malformed == 2


def test_a_frame_that_says_nothing_is_counted() -> None:
    line = Line()
    assert line.hear("what") == []
    assert line.book.live
    assert line.session.statistics.malformed == 1


def test_a_stream_whose_event_could_not_be_read_has_a_gap() -> None:
    line = Line()
    assert line.hear(["bad", "mark_price"]) == []  # nobody asked for it
    [gap] = line.hear(["bad", "quote"])
    assert (gap.data_type, gap.start, gap.end) == (DataType.QUOTE, None, line.at)
    line.hear("quote")
    [gap] = line.hear(["bad", "quote"])
    assert (gap.data_type, gap.start, gap.end) == (DataType.QUOTE, line.at - SECOND, line.at)
    assert line.session.statistics.gaps == 2


def test_a_hole_the_plugin_tells_of_is_counted() -> None:
    line = Line()
    assert [gap.cause for gap in line.hear("hole")] == ["the plugin knows"]
    assert line.session.statistics.gaps == 1


def test_numbered_trades_show_themselves_what_is_missing() -> None:
    line = Line()
    assert [gap.data_type for gap in line.hear(["bad", "trade"])] == [DataType.TRADE]
    for number in range(PROOF + 1):
        line.hear({"trade": str(number)})
    assert line.hear(["bad", "trade"]) == []
    gap, trade = line.hear({"trade": str(PROOF + 2)})
    assert gap.first_id == gap.last_id == str(PROOF + 1)
    assert trade.id == str(PROOF + 2)


@pytest.mark.parametrize("size", ["", "abc", "-5", "NaN", "Infinity", "1e999999999", "1e-40"])
@pytest.mark.parametrize("read", ["best_bid", "mid", "top"])
def test_a_level_whose_size_is_no_number_is_not_served(size: str, read: str) -> None:
    line = Line()
    line.hear({"bids": [["5", size]]})
    with pytest.raises(BookNotLive):
        line.book.top(3) if read == "top" else getattr(line.book, read)()
    assert not line.book.live
    [gap, *_] = line.hear({"bids": [["4", "1"]]})
    assert isinstance(gap, Gap)
    assert gap.cause == "a level that is not a number"
