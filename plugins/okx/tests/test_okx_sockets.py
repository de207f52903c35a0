"""Which sockets the channels get, and the frames that subscribe them."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from attrs import evolve

from tickhive.plugin import Channel, DataType
from tickhive_okx import plugin
from tickhive_okx.channels import BARS, LOGIN, WIRES, wire_for
from tickhive_okx.settings import OKXSettings


def spot(number, data_type=DataType.TRADE, params=""):
    name = f"C{number}-USDT"
    return Channel(name, name, data_type, params)


def connect(channels, settings=None, dials=(), credentials=None):
    return plugin.connect(channels, settings or OKXSettings(), credentials, dials)


def test_public_and_business_channels_get_a_socket_each():
    channels = [spot(1), spot(1, DataType.TRADE, "all"), spot(1, DataType.CANDLE, "1m"), spot(1, DataType.TICKER)]
    dials = {dial.key: dial for dial in connect(channels)}
    assert set(dials) == {"public-1", "business-1"}
    assert dials["public-1"].urls == ("wss://ws.okx.com/ws/v5/public",)
    assert dials["business-1"].urls == ("wss://ws.okx.com/ws/v5/business",)
    assert list(dials["business-1"].channels) == channels[1:3]
    heartbeat = dials["public-1"].heartbeat
    assert (heartbeat.send, heartbeat.reply) == ("ping", b"pong")
    assert heartbeat.after < 30
    assert not dials["public-1"].login


def test_fewer_than_thirty_books_share_a_socket():
    channels = [spot(n, t) for n in range(100) for t in (DataType.ORDERBOOK, DataType.TRADE)]
    dials = connect(channels)
    books = [sum(c.data_type is DataType.ORDERBOOK for c in dial.channels) for dial in dials]
    assert sum(books) == 100
    assert max(books) <= 29
    assert len(dials) == 4


def test_every_channel_is_in_exactly_one_socket():
    wanted = [
        spot(n, t, p)
        for n in range(200)
        for t, p in [
            (DataType.TRADE, ""),
            (DataType.CANDLE, "1m"),
            (DataType.ORDERBOOK, "5"),
            (DataType.LIQUIDATION, ""),
        ]
    ]
    carried = Counter(channel for dial in connect(wanted) for channel in dial.channels)
    assert carried == Counter(wanted)


def test_arguments_of_one_socket_stay_under_64_kilobytes():
    long = [evolve(spot(n), native=f"{'X' * 200}{n}-USDT") for n in range(1_000)]
    for dial in connect(long, OKXSettings(channels_per_connection=1_000)):
        sent = sum(len(json.dumps(wire_for(c).arg(wire_for(c).key(c.native)))) for c in dial.channels)
        assert sent < 64 * 1024


def test_sockets_that_are_there_keep_their_channels():
    before = connect([spot(n, DataType.ORDERBOOK) for n in range(40)])
    assert [len(dial.channels) for dial in before] == [29, 11]
    gone, added = spot(3, DataType.ORDERBOOK), spot(99, DataType.ORDERBOOK)
    wanted = [c for dial in before for c in dial.channels if c != gone] + [added]
    after = {dial.key: dial for dial in connect(wanted, dials=before)}
    assert list(after) == ["public-1", "public-2"]
    assert set(after["public-1"].channels) == {*before[0].channels, added} - {gone}
    assert after["public-2"] == before[1]


def test_a_socket_without_channels_is_given_up_and_its_key_used_again():
    before = connect([spot(n, DataType.ORDERBOOK) for n in range(40)])
    rest = connect(before[1].channels, dials=before)
    assert [dial.key for dial in rest] == ["public-2"]
    more = connect([*before[1].channels, *(spot(n, DataType.ORDERBOOK) for n in range(50, 80))], dials=rest)
    assert {dial.key for dial in more} == {"public-1", "public-2"}


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"demo": True}, "wss://wspap.okx.com/ws/v5/public"),
        ({"region": "us"}, "wss://wsus.okx.com/ws/v5/public"),
        ({"region": "eea", "demo": True}, "wss://wseeapap.okx.com/ws/v5/public"),
        ({"url": "ws://127.0.0.1:9001/"}, "ws://127.0.0.1:9001/ws/v5/public"),
    ],
)
def test_the_address_follows_from_the_settings(settings, url):
    assert connect([spot(1)], OKXSettings(**settings))[0].urls == (url,)


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        (spot(1, DataType.CANDLE, "7m"), "1m, candle:3m"),
        (spot(1, DataType.CANDLE), "candle:1h"),
        (spot(1, DataType.ORDERBOOK, "50"), "orderbook, orderbook:5"),
        (spot(1, DataType.TICKER, "fast"), "ticker"),
    ],
)
def test_what_okx_does_not_have_is_named_with_what_it_has(channel, says):
    with pytest.raises(ValueError, match="C1-USDT") as refused:
        connect([spot(2), channel])
    assert str(channel.subscription) in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize("bar", BARS)
def test_every_bar_in_both_spellings(bar):
    ours = bar.replace("H", "h").replace("D", "d").replace("W", "w")
    assert wire_for(spot(1, DataType.CANDLE, ours)) is wire_for(spot(1, DataType.CANDLE, bar))
    assert wire_for(spot(1, DataType.CANDLE, bar)).name == f"candle{bar}"


def test_minutes_and_months_stay_apart():
    assert wire_for(spot(1, DataType.CANDLE, "1m")).name == "candle1m"
    assert wire_for(spot(1, DataType.CANDLE, "1M")).name == "candle1M"


def test_requests_are_bounded_and_numbered(view):
    channels = [spot(n) for n in range(100)]
    requests = view.ask(*channels)
    assert [len(request.channels) for request in requests] == [40, 40, 20]
    assert [channel for request in requests for channel in request.channels] == channels
    for request in requests:
        frame = json.loads(request.frame)
        assert (frame["op"], frame["id"]) == ("subscribe", request.id)
        assert frame["args"] == [{"channel": "trades", "instId": c.native} for c in request.channels]
        assert isinstance(request.frame, str)
    assert len({request.id for request in requests}) == 3


@pytest.mark.parametrize(
    ("native", "data_type", "arg"),
    [
        ("BTC-USDT-SWAP", DataType.LIQUIDATION, {"channel": "liquidation-orders", "instType": "SWAP"}),
        ("BTC-USD-241227", DataType.LIQUIDATION, {"channel": "liquidation-orders", "instType": "FUTURES"}),
        ("BTC-USD-241227-1-C", DataType.LIQUIDATION, {"channel": "liquidation-orders", "instType": "OPTION"}),
        ("BTC-USDT", DataType.LIQUIDATION, {"channel": "liquidation-orders", "instType": "MARGIN"}),
        ("BTC-USDT", DataType.INSTRUMENT, {"channel": "instruments", "instType": "SPOT"}),
        ("BTC-USDT-SWAP", DataType.INDEX_PRICE, {"channel": "index-tickers", "instId": "BTC-USDT"}),
        ("BTC-USD_UM_XPERP-310404", DataType.INDEX_PRICE, {"channel": "index-tickers", "instId": "BTC-USD"}),
        ("BTC-USD", DataType.INDEX_PRICE, {"channel": "index-tickers", "instId": "BTC-USD"}),
        ("BTC-USDT-SWAP", DataType.MARK_PRICE, {"channel": "mark-price", "instId": "BTC-USDT-SWAP"}),
        ("BTC-USDT-SWAP", DataType.PRICE_LIMIT, {"channel": "price-limit", "instId": "BTC-USDT-SWAP"}),
        ("BTC-USDT-SWAP", DataType.FUNDING_RATE, {"channel": "funding-rate", "instId": "BTC-USDT-SWAP"}),
        ("BTC-USDT-SWAP", DataType.OPEN_INTEREST, {"channel": "open-interest", "instId": "BTC-USDT-SWAP"}),
        ("BTC-USDT", DataType.QUOTE, {"channel": "bbo-tbt", "instId": "BTC-USDT"}),
    ],
)
def test_the_argument_of_each_kind(view, native, data_type, arg):
    (request,) = view.ask(Channel(native, native, data_type))
    assert json.loads(request.frame)["args"] == [arg]


def test_a_shared_argument_is_sent_once_and_given_up_last(view):
    first, second = (Channel(f"{c}-USDT-PERP", f"{c}-USDT-SWAP", DataType.LIQUIDATION) for c in ("BTC", "ETH"))
    (request,) = view.ask(first, second)
    assert len(json.loads(request.frame)["args"]) == 1
    assert list(request.channels) == [first, second]
    assert plugin.unsubscribe(view, [first]) == []
    (last,) = plugin.unsubscribe(view, [second])
    assert json.loads(last.frame)["op"] == "unsubscribe"


def test_a_book_is_given_up_and_asked_for_again(view):
    book = spot(1, DataType.ORDERBOOK)
    view.ask(book)
    (given_up,) = plugin.unsubscribe(view, [book])
    arg = {"channel": "books", "instId": "C1-USDT"}
    assert json.loads(given_up.frame)["args"] == [arg]
    (event,) = view.parse({"event": "unsubscribe", "arg": arg, "id": given_up.id})
    assert list(event.channels) == [book]
    (again,) = view.ask(book)
    assert json.loads(again.frame)["args"] == [arg]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"region": "mars"}, "region"),
        ({"url": "http://x"}, "url"),
        ({"instrument_types": ("SPOT", "EVENTS")}, "instrument_types"),
        ({"option_families": ("BTC",)}, "option_families"),
        ({"option_families": ("BTC-",)}, "option_families"),
        ({"books_per_connection": 0}, "books_per_connection"),
        ({"channels_per_connection": 10_000}, "channels_per_connection"),
        ({"snapshot_patience_seconds": float("nan")}, "snapshot_patience_seconds"),
    ],
)
def test_wrong_settings_are_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        OKXSettings(**wrong)


@pytest.mark.parametrize(
    "name", ["BTC-USDT-PERP", "btc-usdt", "BTCUSDT", "-", "BTC-USD-20261225-50000-C", "Ä-B-C-D-E-F-G"]
)
def test_a_name_never_seen_is_no_reason_to_refuse(name):
    wanted = [Channel(name, name, wire.data_type, wire.params) for wire in WIRES if wire.place not in LOGIN]
    assert sum(len(dial.channels) for dial in connect(wanted)) == len(wanted)


@pytest.mark.parametrize(
    ("data_type", "params"), [(DataType.CANDLE, ""), (DataType.CANDLE, "1x"), (DataType.ORDERBOOK, "7")]
)
def test_what_the_venue_does_not_have_is_named(data_type, params):
    with pytest.raises(
        ValueError, match=f"OKX has no {f'{data_type.value}:{params}'.rstrip(':')} .*; it has {data_type.value}"
    ):
        connect([spot(1), spot(1, data_type, params)])
