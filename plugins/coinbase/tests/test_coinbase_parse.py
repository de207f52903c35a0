"""What frames of both exchanges say: tables of frames and the events they become."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from tickhive.channels import EVERY, Channel, DataType, Instrument
from tickhive.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Fill,
    Gap,
    InstrumentUpdate,
    Level,
    Order,
    Quote,
    Ticker,
    Trade,
)
from tickhive.plugin import Alive, Goodbye, LastTrade, Malformed, Numbered, Rejected, Unknown

D = Decimal
TIME, NS = "2026-10-07T10:30:00.123456Z", 1_791_369_000_123_456_000
AT = 1_791_369_351_500_000_000
MATCH = {
    "type": "match", "trade_id": 502, "maker_order_id": "m", "taker_order_id": "t", "side": "sell", "size": "0.10",
    "price": "60000.01", "product_id": "BTC-USD", "sequence": 9, "time": TIME,
}  # fmt: skip
TICKER = {
    "type": "ticker", "sequence": 9, "product_id": "BTC-USD", "price": "60000.01", "open_24h": "58900.5",
    "volume_24h": "6629.5", "low_24h": "58200", "high_24h": "61200", "volume_30d": "2", "best_bid": "60000.00",
    "best_bid_size": "0.5", "best_ask": "60000.01", "best_ask_size": "0.25", "side": "buy", "time": TIME,
    "trade_id": 502, "last_size": "0.10",
}  # fmt: skip
FULL = ("60000.01", "0.10", "60000.00", "0.5", "60000.01", "0.25", "58900.5", "61200", "58200", "6629.5", "6629.5")


def trade(side: str, at: int = AT) -> Trade:
    return Trade("coinbase-exchange", "BTC-USD", NS, at, "502", side, D("60000.01"), D("0.10"))  # type: ignore[arg-type]


def without(frame: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in frame.items() if name not in names}


EXCHANGE = [
    ("the maker sold, so the taker bought", MATCH, [trade("buy")]),
    ("the maker bought", MATCH | {"side": "buy"}, [trade("sell")]),
    ("the last match before is a trade", MATCH | {"type": "last_match"}, [trade("buy")]),
    ("another order of keys", dict(reversed(MATCH.items())), [trade("buy")]),
    (
        "a ticker with sizes is a quote too",
        TICKER,
        [
            Ticker("coinbase-exchange", "BTC-USD", NS, AT, *map(D, FULL)),
            Quote("coinbase-exchange", "BTC-USD", NS, AT, D("60000.00"), D("0.5"), D("60000.01"), D("0.25"), 9),
        ],
    ),
    (
        "a ticker of 2021 is none",
        without(TICKER, "best_bid_size", "best_ask_size"),
        [
            Ticker(
                "coinbase-exchange",
                "BTC-USD",
                NS,
                AT,
                *[D(t) if t else None for t in (*FULL[:3], "", FULL[4], "")],
                *map(D, FULL[6:]),
            )
        ],
    ),
    (
        "a product that never traded",
        without(TICKER, "time", "trade_id", "side", "last_size", "price") | {"best_bid": "0", "best_bid_size": "0"},
        [
            Ticker("coinbase-exchange", "BTC-USD", None, AT, None, None, None, None, *map(D, FULL[4:])),
            Quote("coinbase-exchange", "BTC-USD", None, AT, None, None, D("60000.01"), D("0.25"), 9),
        ],
    ),
    (
        "a whole book has neither number nor time",
        {"type": "snapshot", "product_id": "BTC-USD", "bids": [["1.0", "2"]], "asks": [["1.1", "3"]]},
        [BookSnapshot("coinbase-exchange", "BTC-USD", None, AT, [Level("1.0", "2")], [Level("1.1", "3")])],
    ),
    (
        "changes of both sides",
        {
            "type": "l2update",
            "product_id": "BTC-USD",
            "changes": [["buy", "1.0", "0.0"], ["sell", "1.1", "4"]],
            "time": TIME,
        },
        [BookDelta("coinbase-exchange", "BTC-USD", NS, AT, [Level("1.0", "0.0")], [Level("1.1", "4")])],
    ),
    (
        "the time of year 1 is none",
        {"type": "l2update", "product_id": "BTC-USD", "changes": [], "time": "0001-01-01T00:00:00.000000Z"},
        [BookDelta("coinbase-exchange", "BTC-USD", None, AT, [], [])],
    ),
    (
        "a heartbeat",
        {"type": "heartbeat", "sequence": 1, "last_trade_id": 2, "product_id": "BTC-USD", "time": TIME},
        [LastTrade("BTC-USD", "2")],
    ),
    ("a heartbeat of a product that never traded", {"type": "heartbeat", "product_id": "BTC-USD"}, [Alive()]),
    ("a match without a time", MATCH | {"time": "0001-01-01T00:00:00.000000Z"}, [evolve(trade("buy"), timestamp=None)]),
    ("what nobody knows", {"type": "rfq_match"}, [Unknown("message of type 'rfq_match'")]),
    (
        "slow readers are told to go",
        {"type": "error", "message": "ErrSlowConsume", "reason": "x"},
        [Goodbye("ErrSlowConsume: x")],
    ),
    (
        "so are those who send too slowly",
        {"type": "error", "message": "ErrSlowRead", "reason": ""},
        [Goodbye("ErrSlowRead")],
    ),
    ("and whose messages are too big", {"type": "error", "message": "Message too big"}, [Goodbye("Message too big")]),
    ("an error nobody asked for", {"type": "error", "message": "who knows"}, [Rejected("who knows", "request")]),
]


@pytest.mark.parametrize(("frame", "events"), [pytest.param(*row[1:], id=row[0]) for row in EXCHANGE])
def test_exchange(exchange_view: Any, frame: dict[str, Any], events: list[Any]) -> None:
    said = exchange_view.parse(frame)
    for event in events:
        if hasattr(event, "received"):
            event.received = AT
    assert list(said) == events


def envelope(channel: str, *events: Any, number: int = 7, timestamp: str = TIME) -> dict[str, Any]:
    return {"channel": channel, "timestamp": timestamp, "sequence_num": number, "events": events}


def row(id: int, side: str, **fields: str) -> dict[str, Any]:
    return {
        "product_id": "BTC-USD",
        "trade_id": str(id),
        "price": "60000.01",
        "size": "0.10",
        "time": TIME,
        "side": side,
    } | fields


LEVELS = [
    {"side": "bid", "event_time": "1970-01-01T00:00:00Z", "price_level": "1.0", "new_quantity": "2"},
    {"side": "offer", "event_time": "1970-01-01T00:00:00Z", "price_level": "1.1", "new_quantity": "0"},
]
PRICES = {"product_id": "BTC-USD", "price": "5", "volume_24_h": "6", "low_24_h": "3", "high_24_h": "7"}
BEST = {"best_bid": "4", "best_ask": "6", "best_bid_quantity": "1", "best_ask_quantity": "2"}


def made(id: int, side: str) -> Trade:
    return Trade("coinbase", "BTC-USD", NS, AT, str(id), side, D("60000.01"), D("0.10"))  # type: ignore[arg-type]


def tick(bid: str | None, bid_size: str | None, ask: str | None, ask_size: str | None) -> Ticker:
    best = [D(text) if text else None for text in (bid, bid_size, ask, ask_size)]
    return Ticker("coinbase", "BTC-USD", NS, AT, D(5), None, *best, None, D(7), D(3), D(6), D(6))


ADVANCED = [
    (
        "trades come newest first and leave oldest first",
        envelope("market_trades", {"type": "update", "trades": [row(3, "SELL"), row(2, "BUY")]}),
        [Numbered(7), made(2, "sell"), made(3, "buy")],
    ),
    (
        "a snapshot of a book",
        envelope("l2_data", {"type": "snapshot", "product_id": "BTC-USD", "updates": LEVELS}),
        [Numbered(7), BookSnapshot("coinbase", "BTC-USD", NS, AT, [Level("1.0", "2")], [Level("1.1", "0")])],
    ),
    (
        "an update of a book",
        envelope("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": LEVELS}),
        [Numbered(7), BookDelta("coinbase", "BTC-USD", NS, AT, [Level("1.0", "2")], [Level("1.1", "0")])],
    ),
    (
        "a ticker",
        envelope("ticker", {"type": "update", "tickers": [PRICES | BEST]}),
        [Numbered(7), tick("4", "1", "6", "2"), Quote("coinbase", "BTC-USD", NS, AT, D(4), D(1), D(6), D(2))],
    ),
    (
        "a slow ticker has no best prices",
        envelope("ticker_batch", {"type": "update", "tickers": [PRICES]}),
        [Numbered(7), tick(None, None, None, None)],
    ),
    (
        "heartbeats write times of their own",
        envelope(
            "heartbeats", {"current_time": "2023-06-23 20:31:56.12 +0000 UTC m=+91717.5", "heartbeat_counter": "3"}
        ),
        [Numbered(7), Alive()],
    ),
    ("a channel nobody knows keeps its number", envelope("news", {}), [Numbered(7), Unknown("channel 'news'")]),
    ("an error has none", {"type": "error", "message": "who knows"}, [Rejected("who knows", "request")]),
    (
        "a trade without a time",
        envelope("market_trades", {"trades": [row(2, "BUY", time="0001-01-01T00:00:00Z")]}),
        [Numbered(7), evolve(made(2, "sell"), timestamp=None)],
    ),
    (
        "another order of keys",
        dict(reversed(envelope("market_trades", {"trades": [row(2, "BUY")]}).items())),
        [Numbered(7), made(2, "sell")],
    ),
]


@pytest.mark.parametrize(("frame", "events"), [pytest.param(*row[1:], id=row[0]) for row in ADVANCED])
def test_advanced(advanced_view: Any, frame: dict[str, Any], events: list[Any]) -> None:
    assert list(advanced_view.parse(frame)) == events


BAD = [
    ("coinbase-exchange", b""),
    ("coinbase-exchange", b"[]"),
    ("coinbase-exchange", json.dumps(MATCH | {"price": "NaN"}).encode()),
    ("coinbase-exchange", json.dumps(MATCH | {"price": "1e999999"}).encode()),
    ("coinbase-exchange", json.dumps(MATCH | {"size": "0"}).encode()),
    ("coinbase-exchange", json.dumps(MATCH | {"side": "Sell"}).encode()),
    ("coinbase-exchange", json.dumps(MATCH | {"time": "yesterday"}).encode()),
    ("coinbase", json.dumps(envelope("market_trades", {"trades": [row(1, "buy")]})).encode()),
    ("coinbase", json.dumps(envelope("market_trades", {"trades": [row(1, "BUY", price="x")]})).encode()),
    ("coinbase", json.dumps(envelope("l2_data", {"type": "new", "product_id": "B", "updates": []})).encode()),
]


@pytest.mark.parametrize(("exchange", "frame"), BAD)
def test_what_cannot_be_read_is_malformed_and_keeps_its_number(make_view: Any, exchange: str, frame: bytes) -> None:
    assert [type(event) for event in make_view(exchange).parse(frame)] == [Malformed]


@pytest.mark.parametrize(
    ("type", "data_type"),
    [("l2update", DataType.ORDERBOOK), ("snapshot", DataType.ORDERBOOK), ("match", DataType.TRADE), ("ticker", None)],
)
def test_what_cannot_be_read_says_what_it_was_about(make_view: Any, type: str, data_type: DataType | None) -> None:
    frame = {"type": type, "product_id": "BTC-USD", "changes": [["buy", "1.0", None]], "price": 5, "bids": 1}
    [event] = make_view("coinbase-exchange").parse(frame)
    assert isinstance(event, Malformed)
    assert (event.data_type, event.symbol) == (data_type, "BTC-USD" if data_type else "")


def candle_frame(kind: str, *starts: int, timestamp: str = TIME) -> dict[str, Any]:
    prices = {"high": "4", "low": "1", "open": "2", "close": "3", "volume": "5", "product_id": "BTC-USD"}
    rows = [{"start": str(start)} | prices for start in starts]
    return envelope("candles", {"type": kind, "candles": rows}, timestamp=timestamp)


def test_candles_close_by_time_or_by_the_next_one(advanced_view: Any) -> None:
    start = NS // 300_000_000_000 * 300

    def read(*frame: Any, **more: Any) -> list[tuple[int, bool]]:
        said = advanced_view.parse(candle_frame(*frame, **more))
        return [((event.start // 10**9 - start) // 300, event.closed) for event in said if isinstance(event, Candle)]

    # Of a long history only the last two are news.
    assert read("snapshot", start, start - 300, start - 600, start - 900) == [(-1, True), (0, False)]
    assert read("update", start) == [(0, False)]
    # The one before comes once more when it is over ...
    later = "2026-10-07T10:35:01.000000Z"
    assert read("update", start + 300, start, timestamp=later) == [(0, True), (1, False)]
    # ... or is closed by the next.
    assert read("update", start + 600, timestamp="2026-10-07T10:40:01Z") == [(1, True), (2, False)]


def test_status_tells_only_what_changed(make_view: Any) -> None:
    view = make_view("coinbase-exchange")
    product = {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "quote_increment": "0.01",
               "base_increment": "0.00000001", "status": "online"}  # fmt: skip
    (every,) = (Channel(EVERY, "BTC-USD", DataType.INSTRUMENT),)
    view.ask(every)
    (first,) = view.parse({"type": "status", "products": [product], "currencies": []})
    assert isinstance(first, InstrumentUpdate)
    assert (first.instrument.tick_size, first.instrument.status) == (D("0.01"), "live")
    assert view.parse({"type": "status", "products": [product], "currencies": []}) == (Alive(),)
    (second,) = view.parse({"type": "status", "products": [product | {"cancel_only": True}], "currencies": []})
    assert second.instrument.status == "suspended"


def test_status_of_advanced_trade_changes_what_is_known(advanced_view: Any) -> None:
    known = Instrument("coinbase", "BTC-USD", "BTC-USD", "spot", "BTC", "USD", tick_size=D("0.01"))
    advanced_view.instruments.add(known)
    told = {
        "id": "BTC-USD",
        "product_type": "SPOT",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "status": "delisted",
    }
    events = advanced_view.parse(envelope("status", {"type": "update", "products": [told]}))
    assert [type(event) for event in events] == [Numbered, InstrumentUpdate]
    assert (events[1].instrument.status, events[1].instrument.tick_size) == ("expired", D("0.01"))
    assert len(advanced_view.parse(envelope("status", {"type": "update", "products": [told]}))) == 1


OWN = {
    "order_id": "o-1", "client_order_id": "mine", "product_id": "BTC-USD", "order_side": "BUY", "order_type": "Limit",
    "status": "OPEN", "limit_price": "50000", "avg_price": "49999", "cumulative_quantity": "1", "leaves_quantity": "2",
    "number_of_fills": "1", "total_fees": "5.5", "creation_time": TIME, "end_time": "0001-01-01T00:00:00Z",
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "partially_filled"),
        ({"cumulative_quantity": "0", "leaves_quantity": "3"}, "open"),
        ({"status": "PENDING", "cumulative_quantity": "0"}, "open"),
        ({"status": "FILLED"}, "filled"),
        ({"status": "CANCELLED"}, "cancelled"),
        ({"status": "EXPIRED"}, "expired"),
        ({"status": "FAILED"}, "rejected"),
    ],
)
def test_orders_of_advanced_trade(advanced_view: Any, fields: dict[str, str], status: str) -> None:
    numbered, order = advanced_view.parse(envelope("user", {"type": "update", "orders": [OWN | fields]}))
    assert isinstance(order, Order)
    assert (numbered.number, order.status, order.side, order.fee, order.created) == (7, status, "buy", D("5.5"), NS)


def test_an_order_that_cannot_be_read_costs_no_other(advanced_view: Any) -> None:
    rows = [OWN | {"order_side": "HELD"}, {"order_id": 5}, OWN]
    events = advanced_view.parse(envelope("user", {"type": "update", "orders": rows}))
    bad = [Malformed, Gap, Gap]
    assert [type(event) for event in events] == [Numbered, *bad, *bad, Order]
    gaps = [(event.symbol, event.data_type) for event in events if isinstance(event, Gap)]
    assert gaps == [(EVERY, DataType.ORDER), (EVERY, DataType.FILL)] * 2


def test_an_order_state_nobody_knows_is_not_guessed_at(advanced_view: Any) -> None:
    events = advanced_view.parse(envelope("user", {"type": "update", "orders": [OWN | {"status": "DREAMING"}]}))
    assert list(events) == [Numbered(7), Unknown("order status DREAMING")]


def test_orders_of_exchange_are_kept_from_message_to_message(make_view: Any, keys: Any) -> None:
    view = make_view("coinbase-exchange")
    view.settings.account_products = ("BTC-USD",)
    view.ask(
        Channel(EVERY, EVERY, DataType.ORDER),
        Channel(EVERY, EVERY, DataType.FILL),
        credentials=keys["coinbase-exchange"],
    )
    about = {"product_id": "BTC-USD", "side": "buy", "time": TIME, "sequence": 1}
    ours = about | {"order_id": "o-1"}
    said: list[Any] = []
    for frame in (
        ours | {"type": "received", "order_type": "limit", "size": "3", "price": "50000", "client_oid": "mine"},
        ours | {"type": "open", "price": "50000", "remaining_size": "3"},
        about | {"type": "match", "trade_id": 9, "maker_order_id": "o-1", "taker_order_id": "x", "size": "1",
                 "price": "50000"},
        about | {"type": "match", "trade_id": 10, "maker_order_id": "x", "taker_order_id": "o-1", "size": "1",
                 "price": "49000", "side": "sell"},
        ours | {"type": "change", "new_size": "0.5", "old_size": "1", "price": "50000"},
        ours | {"type": "done", "reason": "canceled", "remaining_size": "0.5", "cancel_reason": "101:Time In Force"},
    ):  # fmt: skip
        said += view.parse(frame)
    orders = [event for event in said if isinstance(event, Order)]
    assert [(order.status, order.size, order.filled) for order in orders] == [
        ("open", D(3), D(0)), ("open", D(3), D(0)), ("partially_filled", D(3), D(1)), ("partially_filled", D(3), D(2)),
        ("partially_filled", D("2.5"), D(2)), ("cancelled", D("2.5"), D(2)),
    ]  # fmt: skip
    assert (orders[-1].average_price, orders[-1].reason, orders[-1].client_id) == (
        D(49_500),
        "101:Time In Force",
        "mine",
    )
    fills = [(event.id, event.side, event.liquidity) for event in said if isinstance(event, Fill)]
    assert fills == [("9", "buy", "maker"), ("10", "buy", "taker")]
