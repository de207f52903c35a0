"""Real OKX traffic of 2022 and 2026 through the plugin's hooks."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tickhive.events import SubscriptionUpdate
from tickhive.plugin import (
    Accepted,
    BookChecksum,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    DataType,
    Fetch,
    InstrumentTable,
    InstrumentUpdate,
    Malformed,
    Ticker,
    Trade,
    Unknown,
)
from tickhive.plugin.stack import ExchangeStack
from tickhive.session.book import OrderBook
from tickhive.session.feed import Feed
from tickhive.session.session import Session
from tickhive_okx import plugin
from tickhive_okx.settings import OKXSettings


def feed(view, lines):
    return [event for line in lines for event in view.parse(line.frame)]


def verify(events):
    """Build every book, compare every checksum; answers how many held and how many did not."""
    books, outcome = {}, Counter()
    for event in events:
        match event:
            case BookSnapshot():
                books[event.symbol] = OrderBook()
                books[event.symbol].apply_snapshot(event.bids, event.asks)
            case BookDelta():
                books[event.symbol].apply_delta(event.bids, event.asks)
            case BookChecksum():
                outcome[plugin.checksum(books[event.symbol]) == event.value] += 1
    return outcome[True], outcome[False]


def test_2022_every_frame_is_read(view, okx_2022):
    counts = Counter(type(event) for event in feed(view, okx_2022))
    assert counts == {
        Trade: 74,
        Ticker: 28,
        BookSnapshot: 3,
        BookDelta: 287,
        BookChecksum: 290,
        Accepted: 18,
    }


def test_2022_books_have_no_numbers(view, okx_2022):
    books = [event for event in feed(view, okx_2022) if isinstance(event, BookSnapshot | BookDelta)]
    assert {event.sequence for event in books} == {None}
    assert max(len(event.bids) for event in books if isinstance(event, BookSnapshot)) == 400


def test_2022_every_checksum_holds(view, okx_2022):
    assert verify(feed(view, okx_2022)) == (290, 0)


def test_2022_one_altered_level_fails(view, okx_2022):
    events = feed(view, okx_2022)
    snapshot = next(event for event in events if isinstance(event, BookSnapshot))
    snapshot.bids[0].size += "1"
    held, failed = verify(events)
    assert held + failed == 290
    assert failed >= 1


def test_2022_instruments_give_every_name_once(view, okx_2022, okx_2022_answers):
    for line in okx_2022_answers:
        events = view.read(line.url, line.frame)
        assert {type(event) for event in events} == {InstrumentUpdate}
        view.learn(events)
    listed = [i for i in view.instruments if i.type != "index"]
    assert len(listed) == 513 + 166 + 104 + 346 + 350
    assert all(view.instruments.native(view.instruments.symbols[i.native]) == i.native for i in view.instruments)
    symbols = {event.symbol for event in feed(view, okx_2022) if isinstance(event, Trade)}
    assert symbols == {"BTC-USDT", "UNI-USD-PERP", "BTC-USD-20220527"}


def test_2022_acknowledgements_name_their_channels(view, okx_2022, okx_2022_answers):
    for line in okx_2022_answers:
        view.learn(view.read(line.url, line.frame))
    named = {channel for e in feed(view, okx_2022) if isinstance(e, Accepted) for channel in e.channels}
    assert len(named) == 9
    assert Channel("UNI-USD-PERP", "UNI-USD-SWAP", DataType.ORDERBOOK) in named


def test_2026_every_frame_is_read(view, okx_2026):
    events = feed(view, okx_2026)
    assert not [event for event in events if isinstance(event, Malformed | Unknown | Fetch)]
    assert {Trade, Ticker, BookSnapshot, Candle, Accepted} == {type(event) for event in events}


def test_2026_candle_comes_before_its_acknowledgement(view, okx_2026):
    business = [line for line in okx_2026 if line.url.endswith("business")]
    kinds = [type(event) for event in feed(view, business)]
    assert kinds.index(Candle) < kinds.index(Accepted)


def test_2026_trade_fields(view, okx_2026):
    trade = next(event for event in feed(view, okx_2026) if isinstance(event, Trade))
    assert (trade.id, trade.side, str(trade.price), str(trade.size), trade.count, trade.timestamp) == (
        "1040968613",
        "buy",
        "64040.2",
        "0.00240857",
        2,
        1786538760218000000,
    )


def test_2022_through_a_session(okx_2022):
    stack = ExchangeStack.from_plugin("okx", plugin)
    natives = ("BTC-USDT", "UNI-USD-SWAP", "BTC-USD-220527")
    wanted = [Channel(n, n, t) for n in natives for t in (DataType.TRADE, DataType.TICKER, DataType.ORDERBOOK)]
    settings = OKXSettings()
    (dial,) = plugin.connect(wanted, settings, None, ())
    feed_ = Feed(stack, "okx", settings, InstrumentTable("okx"))
    session = Session(stack, dial, feed_)
    start = 1_652_459_222_000_000_000
    session.opened(start)
    (request,) = session.outbox
    assert len(json.loads(request.frame)["args"]) == 9
    counts = Counter()
    for line in okx_2022:
        events = session.receive([line.frame], start + 1)
        counts.update(type(e) for e in events if not isinstance(e, SubscriptionUpdate))
    assert counts == {Trade: 74, Ticker: 28, BookSnapshot: 3, BookDelta: 287}
    found = session.statistics
    assert (found.checksums_verified, found.checksums_failed, found.malformed, found.unknown) == (290, 0, 0, 0)
    assert {entry["state"] for entry in feed_.ledger.status()} == {"receiving"}


@pytest.mark.parametrize("spaced", [False, True])
def test_key_order_and_spaces_change_nothing(make_view, okx_2022, okx_2026, spaced):
    separators = (", ", " : ") if spaced else (",", ":")

    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    for line in okx_2022 + okx_2026:
        mixed = json.dumps(turned(json.loads(line.frame)), separators=separators)
        assert make_view().parse(mixed) == make_view().parse(line.frame)
