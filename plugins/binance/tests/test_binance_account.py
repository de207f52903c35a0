"""An account's own data: who signs what, what its events say, and how its sockets are had and kept."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest

from tickhive.plugin import (
    EVERY,
    Accepted,
    Alive,
    Balance,
    Channel,
    Credentials,
    DataType,
    Dial,
    Fetch,
    Fill,
    Gap,
    Goodbye,
    Malformed,
    Order,
    Position,
    Rejected,
    Unknown,
)

D = Decimal
AT = 1_793_000_001_500_000_000
MS = 1_000_000
T = 1_793_000_000_000
NS = T * MS
KEY = Credentials("main", "the-api-key", "the-api-secret")
FUTURES = ["binance-usdm", "binance-coinm"]
ALL = [DataType.BALANCE, DataType.ORDER, DataType.FILL]


def private(*types):
    return [Channel(EVERY, EVERY, data_type) for data_type in types]


def signature(text):
    return hmac.new(b"the-api-secret", text.encode(), hashlib.sha256).hexdigest()


def socket(view, types=ALL):
    (dial,) = view.plugin.connect(private(*types), view.settings, KEY, ())
    return dial


# Signatures


def test_rest_about_the_account_is_signed_over_its_query(view):
    fetch = view.plugin.snapshot(view, private(DataType.ORDER)[0])
    signed = view.plugin.sign(fetch, KEY, AT)
    query, _, given = urlsplit(signed.url).query.rpartition("&signature=")
    assert signed.headers == {"X-MBX-APIKEY": "the-api-key"}
    assert dict(parse_qsl(query)) == {"timestamp": str(AT // MS)}
    assert given == signature(query)
    assert view.plugin.sign(fetch, KEY, AT + 1_000 * MS).url != signed.url
    assert view.plugin.sign(fetch, None, AT) == fetch
    order = Fetch("https://x/api/v3/order?symbol=BTCUSDT&orderId=5#left=1")
    query, _, given = urlsplit(view.plugin.sign(order, KEY, AT).url).query.rpartition("&signature=")
    assert query == f"symbol=BTCUSDT&orderId=5&timestamp={AT // MS}"
    assert given == signature(query)


@pytest.mark.parametrize("path", ["listenKey", "historicalTrades?symbol=BTCUSDT"])
def test_some_requests_carry_the_key_alone(view, path):
    fetch = Fetch(view.settings.rest(path), "POST")
    signed = view.plugin.sign(fetch, KEY, AT)
    assert (signed.url, signed.headers) == (fetch.url, {"X-MBX-APIKEY": "the-api-key"})


def test_public_requests_carry_nothing(view):
    for path in ("depth?symbol=BTCUSDT", "exchangeInfo", "klines?symbol=BTCUSDT", "aggTrades?symbol=BTCUSDT"):
        fetch = Fetch(view.settings.rest(path))
        assert view.plugin.sign(fetch, KEY, AT) == fetch


# Sockets


def test_spot_subscribes_its_account_on_the_websocket_api(make_view):
    view = make_view("binance", account="main")
    dial = socket(view)
    assert (dial.key, dial.urls) == ("account-1", ("wss://ws-api.binance.com:443/ws-api/v3",))
    assert (dial.ticket, dial.upkeep) == (None, None)
    view.dial = dial
    (request,) = view.plugin.subscribe(view, dial.channels, KEY, AT)
    said = json.loads(request.frame)
    assert (said["id"], said["method"]) == (request.id, "userDataStream.subscribe.signature")
    params = said["params"]
    assert params["signature"] == signature(f"apiKey=the-api-key&timestamp={AT // MS}")
    assert list(request.channels) == list(dial.channels)
    assert "the-api-" not in repr(request)
    assert view.parse({"id": request.id, "status": 200, "result": {"subscriptionId": 0}}) == [Accepted(request.id)]
    # Another channel of the account comes on the same subscription; a second one would tell everything twice.
    assert not view.plugin.subscribe(view, private(DataType.BALANCE), KEY, AT)


@pytest.mark.parametrize(
    ("code", "kind"), [(-1022, "credentials"), (-2015, "credentials"), (-1021, "retry"), (-1003, "rate")]
)
def test_a_refused_subscription(make_view, code, kind):
    view = make_view("binance", account="main")
    frame = {"id": "1", "status": 400, "error": {"code": code, "msg": "No."}, "rateLimits": []}
    (event,) = view.parse(frame)
    assert isinstance(event, Rejected)
    assert (event.id, event.kind) == ("1", kind)
    assert view.plugin.subscribe(view, private(*ALL), KEY, AT), "it is asked for again"


@pytest.mark.parametrize("exchange", FUTURES)
def test_futures_carry_the_account_by_a_listen_key_in_the_address(make_view, exchange):
    view = make_view(exchange, account="main")
    dial = socket(view, [*ALL, DataType.POSITION])
    assert dial.ticket == Fetch(view.settings.rest("listenKey"), "POST", costs={"weight": 1})
    assert dial.upkeep < 3_600
    (found,) = view.plugin.read(view, dial.ticket, answer({"listenKey": "pqia91ma19a5s61cv6a81va65sdf19v8a65a1"}), AT)
    assert isinstance(found, Dial)
    (url,) = found.urls
    assert "pqia91ma19a5s61cv6a81va65sdf19v8a65a1" in url
    if exchange == "binance-usdm":
        assert url.startswith("wss://fstream.binance.com/private/ws?listenKey=")
        assert url.endswith("&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE/listenKeyExpired"), (
            "what is not named is not told"
        )
    else:
        assert url.startswith("wss://dstream.binance.com/ws/")
    view.dial = dial
    assert not view.plugin.subscribe(view, dial.channels, KEY, AT)
    (renewal,) = view.plugin.heartbeat(view)
    assert (renewal.method, renewal.url) == ("PUT", dial.ticket.url)
    assert not view.plugin.read(view, renewal, answer({"listenKey": "same"}), AT)


def answer(body):
    from tickhive.plugin import Answer

    return Answer(200, json.dumps(body).encode())


@pytest.mark.parametrize("body", [{}, {"listenKey": ""}, {"listenKey": "a&b=c"}, {"listenKey": "../x"}, []])
def test_a_listen_key_that_is_none(make_view, body):
    view = make_view("binance-usdm", account="main")
    (event,) = view.plugin.read(view, socket(view).ticket, answer(body), AT)
    assert isinstance(event, Malformed)


@pytest.mark.parametrize("name", ["listenKeyExpired", "eventStreamTerminated"])
def test_the_end_of_an_accounts_events_is_a_farewell(view, name):
    (event,) = view.parse({"e": name, "E": T, "listenKey": "WsCMN0a4KHUPTQuX6IUnqEZfB1inxmv1qR4kbf1LuEjur5"})
    assert isinstance(event, Goodbye)
    assert "WsCMN" not in event.reason


# Events


SPOT_ORDER = {
    "e": "executionReport", "E": T + 1, "s": "BTCUSDT", "c": "mine", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "4",
    "p": "10", "P": "0", "g": -1, "C": "", "x": "NEW", "X": "NEW", "r": "NONE", "i": 77, "l": "0", "z": "0", "L": "0",
    "n": "0", "N": None, "T": T, "t": -1, "I": 1, "w": True, "m": False, "M": False, "O": T - 5, "Z": "0",
}  # fmt: skip
FUTURES_ORDER = {
    "s": "BTCUSDT", "c": "mine", "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "4", "p": "10", "ap": "0", "sp": "0",
    "x": "NEW", "X": "NEW", "i": 77, "l": "0", "z": "0", "L": "0", "N": "USDT", "n": "0", "T": T, "t": 0, "b": "0",
    "a": "0", "m": False, "R": True, "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "SHORT", "cp": False, "rp": "0",
}  # fmt: skip


@pytest.fixture
def spot(make_view):
    view = make_view("binance", account="main")
    return lambda **changes: view.parse({"subscriptionId": 0, "event": {**SPOT_ORDER, **changes}})


@pytest.fixture
def futures(make_view):
    view = make_view("binance-usdm", account="main")

    def parse(**changes):
        return view.parse({"e": "ORDER_TRADE_UPDATE", "E": T + 1, "T": T, "o": {**FUTURES_ORDER, **changes}})

    return parse


def test_a_spot_order_and_its_fill(spot):
    about = "binance", "BTC-USDT", NS, AT, "main"
    opened = Order(
        *about, "77", "buy", "limit", "open", D(4), D(0), D(10), None, "mine", False, None, "", NS - 5 * MS, "", "net"
    )
    assert spot() == [opened]
    order, fill = spot(x="TRADE", X="PARTIALLY_FILLED", l="1", z="3", L="9", n="0.1", N="BNB", t=5, m=True, Z="28.5")
    assert (order.status, order.filled, order.average_price) == ("partially_filled", D(3), D("9.5"))
    assert fill == Fill(*about, "5", "77", "buy", D(9), D(1), "maker", D("0.1"), "BNB", "mine", False, "net")


def test_a_cancelled_order_keeps_its_own_client_id(spot):
    (order,) = spot(x="CANCELED", X="CANCELED", c="the cancel", C="mine")
    assert (order.status, order.client_id, order.reason) == ("cancelled", "mine", "")
    (order,) = spot(x="REJECTED", X="REJECTED", r="INSUFFICIENT_BALANCE")
    assert (order.status, order.reason) == ("rejected", "insufficient_balance")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("FILLED", "filled"),
        ("EXPIRED", "expired"),
        ("EXPIRED_IN_MATCH", "expired"),
        ("PENDING_NEW", "open"),
        ("NEW_ADL", "open"),
        ("NEW_INSURANCE", "open"),
    ],
)
def test_states_of_orders(spot, futures, state, status):
    assert spot(X=state)[0].status == futures(X=state)[0].status == status


def test_a_state_nobody_knows_is_not_guessed_at(spot):
    assert isinstance(spot(X="MELTED")[0], Unknown)


def test_a_futures_order_and_its_fill(futures):
    about = "binance-usdm", "BTC-USDT-PERP", NS, AT, "main"
    assert [type(event) for event in futures()] == [Order], "trade 0 is none"
    order, fill = futures(x="TRADE", X="FILLED", l="1", z="4", L="9", n="0.1", t=5, ap="9.5")
    assert (order.status, order.average_price, order.reduce_only, order.position_side) == (
        "filled",
        D("9.5"),
        True,
        "short",
    )
    assert fill == Fill(*about, "5", "77", "sell", D(9), D(1), "taker", D("0.1"), "USDT", "mine", False, "short")


def test_balances_of_spot(make_view):
    view = make_view("binance", account="main")
    row = {"e": "outboundAccountPosition", "E": T, "u": T, "B": [{"a": "BTC", "f": "1.5", "l": "0.5"}]}
    (event,) = view.parse({"subscriptionId": 3, "event": row})
    assert event == Balance("binance", "BTC", NS, AT, "main", D(2), D("1.5"), D("0.5"))


@pytest.mark.parametrize("exchange", FUTURES)
def test_balances_and_positions_of_futures(make_view, exchange):
    view = make_view(exchange, account="main")
    native, symbol = view.channel("trade").native, view.channel("trade").symbol
    position = {"s": native, "pa": "-2", "ep": "10.5", "bep": "10", "cr": "3", "up": "-1", "mt": "isolated",
                "iw": "1", "ps": "SHORT"}  # fmt: skip
    frame = {"e": "ACCOUNT_UPDATE", "E": T, "T": T,
             "a": {"m": "ORDER", "B": [{"a": "BTC", "wb": "7", "cw": "6", "bc": "0"}], "P": [position]}}  # fmt: skip
    about = NS, AT, "main"
    expected = [
        Balance(exchange, "BTC", *about, D(7)),
        Position(exchange, symbol, *about, f"{native}/SHORT", "short", D(-2), D("10.5"), None, None, D(-1), None,
                 "isolated", D(3)),
    ]  # fmt: skip
    assert view.parse(frame) == expected
    view.plugin.subscribe(view, private(DataType.POSITION), KEY, AT)
    assert view.parse(frame) == expected[1:]


@pytest.mark.parametrize("name", ["TRADE_LITE", "MARGIN_CALL", "ALGO_UPDATE", "balanceUpdate", "listStatus"])
def test_events_that_say_nothing_more(view, name):
    assert view.parse({"e": name, "E": T, "T": T}) == [Alive()]


# By REST


def test_how_private_channels_stand(view):
    asked = {kind: view.plugin.snapshot(view, private(kind)[0]) for kind in (*ALL, DataType.POSITION)}
    assert asked[DataType.FILL] is None
    assert (asked[DataType.POSITION] is None) == (view.exchange == "binance")
    version = "v3" if view.exchange != "binance-coinm" else "v1"
    assert f"/{version}/account" in asked[DataType.BALANCE].url
    assert asked[DataType.ORDER].url.endswith("/openOrders")


def test_the_snapshots_of_an_account(make_view, exchange, composed):
    view = make_view(exchange, account="main")
    signed = [line for line in composed(exchange, "http") if "timestamp=" in line.url]
    found = [event for line in signed for event in view.read(line.url, line.frame)]
    assert {type(event) for event in found} == {Balance, Order} | ({Position} if exchange != "binance" else set())
    assert {event.account for event in found} == {"main"}
    balances = {event.symbol: event for event in found if isinstance(event, Balance)}
    (order,) = [event for event in found if isinstance(event, Order)]
    if exchange == "binance":
        assert set(balances) == {"BTC", "USDT"}
        assert balances["BTC"].total == D("0.6")
        assert (order.id, order.status, order.price, order.average_price) == ("4293160", "open", D(60000), None)
        return
    (coin,) = balances.values()
    assert (coin.total, coin.available, coin.equity) == (D("5.25"), D(5), D("5.35"))
    assert (order.average_price, order.position_side, order.filled < order.size) == (D("62990.5"), "long", True)
    (position,) = [event for event in found if isinstance(event, Position)]
    assert (position.side, position.size < 0, position.liquidation_price) == ("net", True, None)


def test_how_an_order_ended_is_asked_by_its_number(view):
    symbol, native = view.channel("trade").symbol, view.channel("trade").native
    lost = Gap(view.exchange, symbol, None, AT, DataType.ORDER, None, None, "untold", "77", "77")
    fetch = view.plugin.backfill(view, private(DataType.ORDER)[0], lost)
    assert dict(parse_qsl(urlsplit(fetch.url).query)) == {"symbol": native, "orderId": "77"}
    row = {
        "symbol": native, "orderId": 77, "status": "FILLED", "side": "SELL", "type": "MARKET", "origQty": "2",
        "executedQty": "2", "price": "0", "cummulativeQuoteQty": "19", "avgPrice": "9.5", "updateTime": T,
    }  # fmt: skip
    (order,) = view.read(fetch.url, row)
    assert (order.id, order.status, order.price, order.average_price) == ("77", "filled", None, D("9.5"))
