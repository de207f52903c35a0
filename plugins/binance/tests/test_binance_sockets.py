"""Which sockets the channels get, the frames that subscribe them, and what is refused with words."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tickhive.plugin import EVERY, Channel, Credentials, DataType
from tickhive_binance import plugin
from tickhive_binance.settings import CoinmSettings, SpotSettings, UsdmSettings

KEY = Credentials("main", "a-key", "a-secret")
PLUGINS = {SpotSettings: plugin.spot, UsdmSettings: plugin.usdm, CoinmSettings: plugin.coinm}


def channel(number, data_type=DataType.TRADE, params=""):
    return Channel(f"C{number}-USDT", f"C{number}USDT", data_type, params)


def connect(channels, settings=None, dials=(), credentials=None):
    return plugin.spot.connect(channels, settings or SpotSettings(), credentials, dials)


def test_spot_and_coinm_have_one_path():
    kinds = [DataType.TRADE, DataType.ORDERBOOK, DataType.QUOTE, DataType.TICKER]
    (dial,) = connect([channel(1, kind) for kind in kinds])
    assert (dial.key, dial.urls) == ("market-1", ("wss://stream.binance.com:9443/stream",))
    assert dial.lifetime <= 86_400
    assert (dial.heartbeat.send, dial.login) == (None, False)
    (dial,) = connect([channel(1, kind) for kind in [*kinds, DataType.MARK_PRICE]], CoinmSettings())
    assert dial.urls == ("wss://dstream.binance.com/stream",)


def test_usdm_has_two_paths_and_a_wrong_one_would_stay_silent():
    public = [(DataType.ORDERBOOK, ""), (DataType.ORDERBOOK, "20"), (DataType.QUOTE, ""), (DataType.TRADE, "raw")]
    market = [(DataType.TICKER, ""), (DataType.CANDLE, "1m"), (DataType.MARK_PRICE, ""), (DataType.LIQUIDATION, "")]
    wanted = {key: [channel(1, *kind) for kind in kinds] for key, kinds in (("public", public), ("market", market))}
    dials = {dial.key: dial for dial in connect([c for each in wanted.values() for c in each], UsdmSettings())}
    for place, channels in wanted.items():
        dial = dials[f"{place}-1"]
        assert dial.urls == (f"wss://fstream.binance.com/{place}/stream",)
        assert set(dial.channels) == set(channels)
    (dial,) = connect([channel(1, DataType.TRADE, "raw")], UsdmSettings(raw_trade_path="market"))
    assert dial.key == "market-1"
    (dial,) = connect([channel(1)], UsdmSettings())
    assert dial.key == "market-1"


@pytest.mark.parametrize("settings", [SpotSettings, UsdmSettings, CoinmSettings])
def test_one_address_serves_all_paths(settings):
    places = {"/stream", "/public/stream", "/market/stream", "/ws-api/v3", "/ws", "/private/ws"}
    here = settings(url="ws://127.0.0.1:9/", rest_url="http://127.0.0.1:8/")
    wanted = [channel(1, kind) for kind in (DataType.TRADE, DataType.ORDERBOOK)]
    wanted.append(Channel(EVERY, EVERY, DataType.ORDER))
    for dial in PLUGINS[settings].connect(wanted, here, KEY, ()):
        (url,) = dial.urls
        assert url.startswith("ws://127.0.0.1:9/")
        assert url.removeprefix("ws://127.0.0.1:9") in places
    (fetch,) = PLUGINS[settings].instruments(here)
    assert fetch.url == f"http://127.0.0.1:8{settings.market.prefix}/exchangeInfo"


@pytest.mark.parametrize(
    ("settings", "environment", "socket", "rest"),
    [
        (SpotSettings, "testnet", "wss://stream.testnet.binance.vision", "https://testnet.binance.vision"),
        (SpotSettings, "demo", "wss://demo-stream.binance.com", "https://demo-api.binance.com"),
        (UsdmSettings, "testnet", "wss://fstream.binancefuture.com", "https://testnet.binancefuture.com"),
        (UsdmSettings, "demo", "wss://demo-fstream.binance.com", "https://demo-fapi.binance.com"),
    ],
)
def test_environments(settings, environment, socket, rest):
    chosen = settings(environment=environment)
    (dial,) = connect([channel(1)], chosen)
    (fetch,) = plugin.spot.instruments(chosen)
    assert dial.urls[0].startswith(f"{socket}/")
    assert fetch.url.startswith(f"{rest}/")


@pytest.mark.parametrize(
    ("form", "given", "named"),
    [
        (CoinmSettings, {"environment": "demo"}, "environment"),
        (SpotSettings, {"snapshot_limit": 5001}, "snapshot_limit"),
        (UsdmSettings, {"snapshot_limit": 250}, "snapshot_limit"),
        (UsdmSettings, {"streams_per_connection": 1025}, "streams_per_connection"),
        (SpotSettings, {"open_interest_seconds": 0.0}, "open_interest_seconds"),
        (UsdmSettings, {"dials_per_five_minutes": 0}, "dials_per_five_minutes"),
        (SpotSettings, {"url": "http://here"}, "url"),
    ],
)
def test_settings_are_refused_by_name(form, given, named):
    with pytest.raises(ValueError, match=f"^{named}: "):
        form(**given)


def test_streams_are_spread_and_sockets_keep_theirs():
    settings = SpotSettings(streams_per_connection=100)
    before = connect([channel(n) for n in range(250)], settings)
    assert [len(dial.channels) for dial in before] == [100, 100, 50]
    gone, added = channel(3), channel(999)
    wanted = [c for dial in before for c in dial.channels if c != gone] + [added]
    after = connect(wanted, settings, before)
    assert [dial.key for dial in after] == ["market-1", "market-2", "market-3"]
    assert set(after[0].channels) == {*before[0].channels, added} - {gone}
    assert after[1:] == before[1:]
    assert Counter(c for dial in after for c in dial.channels) == Counter(wanted)
    assert [dial.key for dial in connect(before[1].channels, settings, before)] == ["market-2"]


def test_channels_of_one_stream_count_once():
    kinds = (DataType.MARK_PRICE, DataType.INDEX_PRICE, DataType.FUNDING_RATE)
    wanted = [channel(n, kind) for n in range(100) for kind in kinds]
    (dial,) = connect(wanted, UsdmSettings(streams_per_connection=100))
    assert len(dial.channels) == 300


@pytest.mark.parametrize(
    ("settings", "asked", "words"),
    [
        (SpotSettings(), channel(1, DataType.MARK_PRICE), "Binance spot has no stream of mark_price"),
        (SpotSettings(), channel(1, DataType.OPEN_INTEREST), "open_interest"),
        (SpotSettings(), channel(1, DataType.CANDLE, "7m"), "candle:1m, candle:3m"),
        (SpotSettings(), channel(1, DataType.ORDERBOOK, "50"), "orderbook, orderbook:5, orderbook:10"),
        (SpotSettings(), channel(1, DataType.INSTRUMENT), "instrument"),
        (UsdmSettings(), channel(1, DataType.CANDLE, "1s"), "candle:1s"),
        (UsdmSettings(), channel(1, DataType.TRADE, "agg"), "trade, trade:raw"),
        (CoinmSettings(), channel(1, DataType.PRICE_LIMIT), "price_limit"),
        (SpotSettings(), Channel(EVERY, EVERY, DataType.ORDER), "name one"),
        (SpotSettings(), Channel(EVERY, EVERY, DataType.POSITION), "Binance spot has no stream of position"),
        (UsdmSettings(), Channel(EVERY, EVERY, DataType.FILL, "fast"), "fill:fast"),
    ],
)
def test_what_a_market_does_not_have_is_refused_with_words(settings, asked, words):
    with pytest.raises(ValueError, match=words) as refused:
        connect([asked], settings)
    assert str(asked.subscription) in str(refused.value)


def test_an_account_needs_a_whole_key():
    order = Channel(EVERY, EVERY, DataType.ORDER)
    with pytest.raises(ValueError, match="'main' has no secret"):
        connect([order], credentials=Credentials("main", key="k"))
    with pytest.raises(ValueError, match="set url"):
        connect([order], SpotSettings(environment="demo"), credentials=KEY)


def test_the_trades_of_a_symbol_are_numbered_one_way():
    with pytest.raises(ValueError, match="trade or trade:agg, not both"):
        connect([channel(1), channel(1, DataType.TRADE, "agg")])
    connect([channel(1), channel(2, DataType.TRADE, "agg")])


def test_listings_of_usdm_have_a_channel_of_their_own(make_view):
    (dial,) = connect([Channel(EVERY, "BTCUSDT", DataType.INSTRUMENT)], UsdmSettings())
    (request,) = plugin.usdm.subscribe(make_view("binance-usdm"), dial.channels, None, 0)
    assert json.loads(request.frame)["params"] == ["!contractInfo"]


def test_requests_name_their_channels_and_are_bounded(make_view):
    view = make_view("binance")
    wanted = [channel(n) for n in range(120)]
    requests = view.plugin.subscribe(view, wanted, None, 0)
    assert [len(request.channels) for request in requests] == [50, 50, 20]
    said = [json.loads(request.frame) for request in requests]
    assert [str(each["id"]) for each in said] == [request.id for request in requests]
    assert {each["method"] for each in said} == {"SUBSCRIBE"}
    assert [name for each in said for name in each["params"]] == [f"c{n}usdt@trade" for n in range(120)]


def test_a_stream_that_others_need_stays(make_view):
    view = make_view("binance-usdm")
    view.ask("mark_price", "funding_rate", "quote")
    assert not view.plugin.unsubscribe(view, [view.channel("mark_price")])
    (request,) = view.plugin.unsubscribe(view, [view.channel("funding_rate"), view.channel("quote")])
    assert json.loads(request.frame)["method"] == "UNSUBSCRIBE"
    assert json.loads(request.frame)["params"] == ["btcusdt@markPrice@1s", "btcusdt@bookTicker"]
    assert len(request.channels) == 2


@pytest.mark.parametrize(
    ("settings", "text", "stream"),
    [
        (SpotSettings(), (DataType.TRADE, "agg"), "c1usdt@aggTrade"),
        (SpotSettings(), (DataType.CANDLE, "1M"), "c1usdt@kline_1M"),
        (SpotSettings(), (DataType.ORDERBOOK, "5"), "c1usdt@depth5@100ms"),
        (UsdmSettings(), (DataType.TRADE, ""), "c1usdt@aggTrade"),
        (UsdmSettings(), (DataType.LIQUIDATION, ""), "c1usdt@forceOrder"),
        (CoinmSettings(), (DataType.INDEX_PRICE, ""), "c1usdt@indexPrice@1s"),
    ],
)
def test_names_of_streams(make_view, settings, text, stream):
    exchange = {"spot": "binance", "usdm": "binance-usdm", "coinm": "binance-coinm"}[settings.market.name]
    view = make_view(exchange, settings=settings)
    (request,) = view.plugin.subscribe(view, [channel(1, *text)], None, 0)
    assert json.loads(request.frame)["params"] == [stream]


def test_the_index_of_coinm_is_that_of_the_pair(make_view):
    view = make_view("binance-coinm")
    for symbol in ("BTC-USD-PERP", "BTC-USD-20261225"):
        (request,) = view.plugin.subscribe(view, [view.channel("index_price", symbol)], None, 0)
        assert json.loads(request.frame)["params"] == ["btcusd@indexPrice@1s"]
    frame = {"stream": "btcusd@indexPrice@1s", "data": {"e": "indexPriceUpdate", "E": 1, "i": "BTCUSD", "p": "2"}}
    assert [event.symbol for event in view.parse(frame)] == ["BTC-USD-PERP", "BTC-USD-20261225"]


def test_limits_stay_below_what_binance_allows():
    for settings, messages, weight in ((SpotSettings(), 5, 6000), (UsdmSettings(), 10, 2400)):
        limits = {limit.scope: limit for limit in plugin.spot.limits(settings)}
        assert limits["request"].amount < messages
        assert limits["request"].per_connection
        assert limits["weight"].amount < weight
        assert (limits["dial"].amount, limits["dial"].seconds) == (300, 300.0)


@pytest.mark.parametrize("form", [SpotSettings, UsdmSettings, CoinmSettings])
def test_how_often_may_be_dialled_is_a_setting(form):
    (dial,) = [limit for limit in plugin.spot.limits(form(dials_per_five_minutes=40)) if limit.scope == "dial"]
    assert (dial.amount, dial.seconds) == (40, 300.0)


def test_hosts_tell_the_markets_apart():
    hosts = {name: set(each.hosts()) for name, each in (("s", plugin.spot), ("u", plugin.usdm), ("c", plugin.coinm))}
    assert {"stream.binance.com", "api.binance.com", "ws-api.binance.com"} <= hosts["s"]
    assert {"fstream.binance.com", "fapi.binance.com"} <= hosts["u"]
    assert {"dstream.binance.com", "dapi.binance.com"} <= hosts["c"]
    assert sum(map(len, hosts.values())) == len(set().union(*hosts.values()))
