"""What OKX says of an account, in its documented shapes, and what it becomes; logins and signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal

import pytest
from attrs import evolve

from tickhive.channels import EVERY
from tickhive.events import Balance, Fill, Order, Position
from tickhive.plugin import (
    Answer,
    Channel,
    Credentials,
    DataType,
    Fetch,
    Malformed,
    Ready,
    Rejected,
    Unknown,
)
from tickhive_okx import plugin
from tickhive_okx.channels import MOST_FILLS
from tickhive_okx.settings import OKXSettings

dec = Decimal
AT = 1_791_369_351_500_000_000
TS, NS = "1791369351001", 1_791_369_351_001_000_000
MAIN = Credentials("main", "a-key", "a-secret", "a-phrase")


def private(data_type, params=""):
    return Channel(EVERY, EVERY, data_type, params)


BALANCE, POSITION, ORDER, FILL = map(private, (DataType.BALANCE, DataType.POSITION, DataType.ORDER, DataType.FILL))
BALANCE_FAST, POSITION_FAST = private(DataType.BALANCE, "fast"), private(DataType.POSITION, "fast")
FILL_VIP = private(DataType.FILL, "vip")


def push(name, *data, **more):
    return {"arg": {"channel": name, **more.pop("arg", {}), "uid": "77"}, **more, "data": list(data)}


@pytest.fixture
def account(make_view):
    return make_view(account="main")


USDT = {
    "availBal": "4734.371190691436", "availEq": "4734.371190691435", "cashBal": "4750.426970691436", "ccy": "USDT",
    "collateralEnabled": False, "disEq": "4889.37", "eq": "4892.951170691435", "frozenBal": "158.57998", "imr": "",
    "liab": "0", "uTime": TS, "upl": "-7.4758",
}  # fmt: skip
HELD = {
    "adl": "1", "availPos": "1", "avgPx": "2566.31", "cTime": TS, "ccy": "ETH", "instId": "ETH-USD-210430",
    "instType": "FUTURES", "lever": "10", "liqPx": "2352.84", "markPx": "2353.849", "mgnMode": "isolated", "pos": "1",
    "posCcy": "", "posId": "307173036051017730", "posSide": "long", "tradeId": "109844", "uTime": TS, "upl": "-0.0009",
    "closeOrderAlgo": [{"algoId": "123"}],
}  # fmt: skip
OPEN = {
    "accFillSz": "0", "algoId": "", "amendResult": "", "avgPx": "0", "cancelSource": "", "category": "normal",
    "clOrdId": "mine1", "code": "0", "cTime": TS, "execType": "", "fee": "0", "feeCcy": "BTC", "fillFee": "0",
    "fillFeeCcy": "", "fillPx": "", "fillSz": "0", "fillTime": "", "instId": "BTC-USDT", "instType": "SPOT", "msg": "",
    "ordId": "9", "ordType": "post_only", "posSide": "", "px": "60000", "rebate": "0", "reduceOnly": "false",
    "side": "buy", "state": "live", "sz": "0.1", "tdMode": "cash", "tgtCcy": "", "tradeId": "", "uTime": TS,
    "attachAlgoOrds": [], "linkedAlgoOrd": {"algoId": ""},
}  # fmt: skip
TRADED = OPEN | {
    "state": "partially_filled", "fillPx": "59999", "fillSz": "0.02", "tradeId": "77", "fillTime": TS,
    "fillFee": "-0.00002", "fillFeeCcy": "BTC", "execType": "T", "accFillSz": "0.02", "avgPx": "59999",
    "fee": "-0.00002",
}  # fmt: skip

BALANCE_EVENT = Balance(
    "okx", "USDT", NS, AT, "main", dec("4750.426970691436"), dec("4734.371190691436"), dec("158.57998"),
    dec("4892.951170691435"), dec(0),
)  # fmt: skip
POSITION_EVENT = Position(
    "okx", "ETH-USD-210430", NS, AT, "main", "307173036051017730", "long", dec(1), dec("2566.31"), dec("2353.849"),
    dec("2352.84"), dec("-0.0009"), dec(10), "isolated",
)  # fmt: skip
ORDER_EVENT = Order(
    "okx", "BTC-USDT", NS, AT, "main", "9", "buy", "post_only", "open", dec("0.1"), dec(0), dec(60000), None, "mine1",
    False, dec(0), "BTC", NS,
)  # fmt: skip
TRADED_EVENT = Order(
    "okx", "BTC-USDT", NS, AT, "main", "9", "buy", "post_only", "partially_filled", dec("0.1"), dec("0.02"),
    dec(60000), dec(59999), "mine1", False, dec("0.00002"), "BTC", NS,
)  # fmt: skip
FILL_EVENT = Fill(
    "okx", "BTC-USDT", NS, AT, "main", "77", "9", "buy", dec(59999), dec("0.02"), "taker", dec("0.00002"), "BTC",
    "mine1",
)  # fmt: skip
ANY = {"instType": "ANY"}
SNAPSHOT = {"eventType": "snapshot", "curPage": 1, "lastPage": True}
CHANGED = {
    "pTime": TS, "eventType": "snapshot",
    "balData": [{"ccy": "BTC", "cashBal": "1", "uTime": TS}],
    "posData": [{"posId": "1", "tradeId": "2", "instId": "BTC-USD-191018", "instType": "FUTURES", "mgnMode": "cross",
                 "posSide": "net", "pos": "-10", "ccy": "BTC", "posCcy": "", "avgPx": "3320", "uTime": TS}],
    "trades": [{"instId": "BTC-USD-191018", "tradeId": "2"}],
}  # fmt: skip
CHANGED_EVENTS = [
    Balance("okx", "BTC", NS, AT, "main", dec(1)),
    Position("okx", "BTC-USD-191018", NS, AT, "main", "1", "net", dec(-10), dec(3320), margin_mode="cross"),
]
VIP_FILL = {
    "instId": "BTC-USDT-SWAP", "fillSz": "100", "fillPx": "70000", "side": "buy", "ts": TS, "ordId": "68",
    "clOrdId": "0", "tradeId": "12345", "execType": "M", "count": "10",
}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "frame", "events"),
    [
        ([BALANCE], push("account", {"totalEq": "1", "uTime": TS, "details": [USDT]}, **SNAPSHOT), [BALANCE_EVENT]),
        ([BALANCE], push("account", {"details": []}, **SNAPSHOT), []),
        ([POSITION], push("positions", HELD, arg=ANY, **SNAPSHOT), [POSITION_EVENT]),
        ([POSITION], push("positions", HELD, arg=ANY, eventType="event_update"), [POSITION_EVENT]),
        ([ORDER], push("orders", OPEN, arg=ANY), [ORDER_EVENT]),
        ([ORDER], push("orders", TRADED, arg=ANY), [TRADED_EVENT]),
        ([FILL], push("orders", TRADED, arg=ANY), [FILL_EVENT]),
        ([FILL], push("orders", OPEN, arg=ANY), []),
        ([ORDER, FILL], push("orders", TRADED, arg=ANY), [TRADED_EVENT, FILL_EVENT]),
        ([ORDER, FILL], push("orders", TRADED, arg={"instType": "SPOT"}), [TRADED_EVENT, FILL_EVENT]),
        ([BALANCE_FAST], push("balance_and_position", CHANGED), CHANGED_EVENTS[:1]),
        ([POSITION_FAST], push("balance_and_position", CHANGED), CHANGED_EVENTS[1:]),
        ([BALANCE_FAST, POSITION_FAST], push("balance_and_position", CHANGED), CHANGED_EVENTS),
        (
            [FILL_VIP],
            push("fills", VIP_FILL),
            [Fill("okx", "BTC-USDT-SWAP", NS, AT, "main", "12345", "68", "buy", dec(70000), dec(100), "maker")],
        ),
    ],
)
def test_a_push(account, wanted, frame, events):
    account.ask(*wanted)
    assert account.parse(frame) == events


def test_a_recording_names_the_user_and_tells_everything(view):
    events = view.parse(push("orders", TRADED, arg=ANY))
    assert [(type(event), event.account) for event in events] == [(Order, "77"), (Fill, "77")]


@pytest.mark.parametrize(
    ("change", "size"),
    [
        ({"posSide": "short", "pos": "3"}, -3),
        ({"posSide": "net", "pos": "-2"}, -2),
        ({"posSide": "net", "pos": "0"}, 0),
        ({"posSide": "net", "pos": ""}, 0),
        ({"instType": "MARGIN", "instId": "BTC-USDT", "posSide": "net", "pos": "5", "posCcy": "BTC"}, 5),
        ({"instType": "MARGIN", "instId": "BTC-USDT", "posSide": "net", "pos": "5", "posCcy": "USDT"}, -5),
    ],
)
def test_the_size_of_a_position_is_signed(account, change, size):
    (event,) = account.parse(push("positions", HELD | change, arg=ANY))
    assert event.size == size


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"state": "live"}, "open", ""),
        ({"state": "partially_filled"}, "partially_filled", ""),
        ({"state": "filled", "cancelSource": ""}, "filled", ""),
        ({"state": "canceled", "cancelSource": "31"}, "cancelled", "cancel source 31"),
        ({"state": "canceled", "cancelSource": "1", "cancelSourceReason": "Order canceled by user"}, "cancelled",
         "Order canceled by user"),
        ({"state": "mmp_canceled"}, "cancelled", ""),
    ],
)  # fmt: skip
def test_the_states_of_an_order(account, change, status, reason):
    account.ask(ORDER)
    (event,) = account.parse(push("orders", OPEN | change, arg=ANY))
    assert (event.status, event.reason) == (status, reason)


def test_a_state_nobody_knows_is_not_guessed(account):
    account.ask(ORDER, FILL)
    assert account.parse(push("orders", TRADED | {"state": "dreaming"}, arg=ANY)) == [
        Unknown("order state dreaming"),
        FILL_EVENT,
    ]


def test_a_trade_is_told_once(account):
    account.ask(ORDER, FILL)
    amended = TRADED | {"sz": "0.2", "amendResult": "0"}
    told = [
        account.parse(push("orders", row, arg=ANY)) for row in (TRADED, TRADED, amended, TRADED | {"tradeId": "78"})
    ]
    assert [[event.id for event in events if isinstance(event, Fill)] for events in told] == [["77"], [], [], ["78"]]
    assert [sum(isinstance(event, Order) for event in events) for events in told] == [1, 1, 1, 1]


def test_the_same_trade_id_of_another_instrument_is_another_fill(account):
    account.ask(FILL)
    assert len(account.parse(push("orders", TRADED, TRADED | {"instId": "ETH-USDT"}, arg=ANY))) == 2


def test_a_bad_row_costs_no_fill_beside_it(account):
    account.ask(FILL)
    events = account.parse(push("orders", TRADED, TRADED | {"tradeId": "78", "fillPx": "NaN"}, arg=ANY))
    assert events[0] == FILL_EVENT
    assert isinstance(events[1], Malformed)
    assert "fillPx" in events[1].why or "fill_px" in events[1].why


@pytest.mark.parametrize("trade", ["", "0"])
def test_what_has_no_trade_id_is_no_fill(account, trade):
    account.ask(FILL)
    assert account.parse(push("orders", TRADED | {"tradeId": trade}, arg=ANY)) == []


def test_what_is_remembered_of_fills_is_bounded(account):
    account.ask(FILL)
    for number in range(MOST_FILLS + 10):
        account.memory.is_fresh(evolve(FILL_EVENT, id=str(number)))
    assert len(account.memory.fills) == MOST_FILLS


def test_the_arguments_of_private_channels(account):
    (request,) = account.ask(BALANCE, POSITION, ORDER, FILL, FILL_VIP, BALANCE_FAST, POSITION_FAST)
    assert json.loads(request.frame)["args"] == [
        {"channel": "account"},
        {"channel": "positions", "instType": "ANY"},
        {"channel": "orders", "instType": "ANY"},
        {"channel": "fills"},
        {"channel": "balance_and_position"},
    ]


def test_too_many_connections_end_that_subscription(account):
    account.ask(ORDER, FILL, BALANCE)
    (event,) = account.parse({"event": "channel-conn-count-error", "channel": "orders", "connCount": "30"})
    assert isinstance(event, Rejected)
    assert (event.kind, list(event.channels)) == ("rate", [ORDER, FILL])


# Sockets


def connect(*channels, credentials=MAIN, **settings):
    return plugin.connect(channels, OKXSettings(**settings), credentials, ())


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({}, "wss://ws.okx.com"),
        ({"demo": True}, "wss://wspap.okx.com"),
        ({"region": "eea"}, "wss://wseea.okx.com"),
    ],
)
def test_private_channels_and_fine_books_get_logged_in_sockets(settings, host):
    fine = Channel("BTC-USDT", "BTC-USDT", DataType.ORDERBOOK, "tbt")
    plain = Channel("ETH-USDT", "ETH-USDT", DataType.ORDERBOOK)
    dials = {dial.key: dial for dial in connect(ORDER, FILL, fine, plain, **settings)}
    assert {key: (*dial.urls, dial.login) for key, dial in dials.items()} == {
        "private-1": (f"{host}/ws/v5/private", True),
        "tbt-1": (f"{host}/ws/v5/public", True),
        "public-1": (f"{host}/ws/v5/public", False),
    }
    assert list(dials["private-1"].channels) == [ORDER, FILL]
    assert list(dials["tbt-1"].channels) == [fine]
    kept = plugin.connect([ORDER, FILL, fine, plain], OKXSettings(**settings), MAIN, list(dials.values()))
    assert {dial.key: dial for dial in kept} == dials


@pytest.mark.parametrize(
    ("credentials", "says"),
    [
        (Credentials("main", "k", "s"), "'main' has no passphrase"),
        (Credentials("main", "", "s"), "key, passphrase"),
    ],
)
@pytest.mark.parametrize("channel", [ORDER, Channel("BTC-USDT", "BTC-USDT", DataType.ORDERBOOK, "50tbt")])
def test_a_login_needs_all_three(credentials, says, channel):
    with pytest.raises(ValueError, match=says) as refused:
        connect(channel, credentials=credentials)
    assert str(channel.subscription) in str(refused.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (DataType.ORDERBOOK, ("", "tbt")),
        (DataType.ORDERBOOK, ("tbt", "50tbt")),
        (DataType.FILL, ("", "vip")),
    ],
)
def test_what_would_come_twice_is_refused(first, second):
    channels = [Channel("BTC-USDT", "BTC-USDT", first, params) for params in second]
    with pytest.raises(ValueError, match="not both"):
        connect(*channels)


def test_a_book_of_five_levels_goes_beside_a_fine_one():
    assert len(connect(*(Channel("A-B", "A-B", DataType.ORDERBOOK, params) for params in ("5", "tbt")))) == 2


# Login and signature: the documented recipe, written out again


def base64_hmac(text):
    return base64.b64encode(hmac.new(b"a-secret", text.encode(), hashlib.sha256).digest()).decode()


def test_a_login(view):
    (request,) = plugin.authenticate(MAIN, AT)
    assert json.loads(request.frame) == {
        "op": "login",
        "args": [
            {
                "apiKey": "a-key",
                "passphrase": "a-phrase",
                "timestamp": "1791369351",
                "sign": base64_hmac("1791369351GET/users/self/verify"),
            }
        ],
    }
    assert view.parse({"event": "login", "code": "0", "msg": "", "connId": "a"}) == [Ready()]


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("60009", "credentials", ""),
        ("60005", "credentials", ""),
        ("60024", "credentials", ""),
        ("60006", "retry", "clock"),
        ("60004", "retry", "clock"),
        ("60023", "rate", ""),
        ("63999", "retry", ""),
    ],
)
def test_a_login_that_is_refused(view, code, kind, says):
    (event,) = view.parse({"event": "error", "code": code, "msg": "No.", "connId": "a"})
    assert (type(event), event.kind) == (Rejected, kind)
    assert event.reason.startswith(f"{code} No.")
    assert says in event.reason


def test_private_requests_are_signed():
    url = "https://openapi.okx.com/api/v5/trade/fills?limit=100#left=500"
    fetch = plugin.sign(Fetch(url, headers={"x-simulated-trading": "1"}), MAIN, AT)
    moment = "2026-10-07T10:35:51.500Z"
    assert fetch.headers == {
        "x-simulated-trading": "1",
        "OK-ACCESS-KEY": "a-key",
        "OK-ACCESS-PASSPHRASE": "a-phrase",
        "OK-ACCESS-TIMESTAMP": moment,
        "OK-ACCESS-SIGN": base64_hmac(f"{moment}GET/api/v5/trade/fills?limit=100"),
    }
    assert fetch.url == url


@pytest.mark.parametrize("credentials", [MAIN, None])
def test_public_requests_are_not(credentials):
    fetch = Fetch("https://openapi.okx.com/api/v5/market/books?instId=BTC-USDT&sz=400")
    assert plugin.sign(fetch, credentials, AT) is fetch


def test_what_is_signed_shows_no_secret(view):
    (request,) = plugin.authenticate(MAIN, AT)
    fetch = plugin.sign(plugin.snapshot(view, ORDER), MAIN, AT)
    for secret in (MAIN.key, MAIN.secret, MAIN.passphrase):
        assert secret not in repr(request) + repr(fetch) + repr(MAIN)


# REST


def rest(view, fetch, *rows):
    body = json.dumps({"code": "0", "msg": "", "data": rows}).encode()
    return plugin.read(view, fetch, Answer(200, body), AT)


def test_open_orders_in_pages(account):
    fetch = plugin.snapshot(account, ORDER)
    assert fetch.url.endswith("/api/v5/trade/orders-pending?limit=100")
    *orders, further = rest(account, fetch, *(OPEN | {"ordId": str(500 - n)} for n in range(100)))
    assert {order.id for order in orders} == {str(500 - n) for n in range(100)}
    assert {order.account for order in orders} == {"main"}
    assert further.url.endswith("orders-pending?limit=100&after=401")
    assert further.channel == ORDER
    # The last trade of an order is no fill: REST repeats it for as long as the order lives.
    assert rest(account, further, TRADED) == [TRADED_EVENT]


def test_the_last_fills_in_pages(account):
    account.settings.recent_fills = 150
    row = {
        "side": "buy", "fillSz": "0.02", "fillPx": "59999", "fee": "-0.00002", "ordId": "9", "instType": "SPOT",
        "instId": "BTC-USDT", "clOrdId": "mine1", "billId": "5", "fillTime": TS, "execType": "T", "tradeId": "77",
        "feeCcy": "BTC", "ts": "1791369351003",
    }  # fmt: skip
    fetch = plugin.snapshot(account, FILL)
    assert fetch.url.endswith("/api/v5/trade/fills?limit=100#left=150")
    *found, further = rest(
        account, fetch, *(row | {"billId": str(900 - n), "tradeId": str(200 - n)} for n in range(100))
    )
    assert [int(fill.id) for fill in found] == list(range(101, 201))
    assert further.url.endswith("trade/fills?limit=50&after=801#left=50")
    (last,) = rest(account, further, row)
    assert last == evolve(FILL_EVENT, late=True)


def test_a_page_that_leads_nowhere_is_the_last(account):
    fetch = Fetch("https://x/api/v5/trade/orders-pending?limit=100&after=7", channel=ORDER)
    assert len(rest(account, fetch, *[OPEN | {"ordId": "7"}] * 100)) == 100


def test_fills_that_come_as_one_have_no_rest_snapshot(account):
    assert plugin.snapshot(account, FILL_VIP) is None


@pytest.mark.parametrize(
    ("channel", "path", "rows", "events"),
    [
        (BALANCE, "account/balance", [{"totalEq": "1", "details": [USDT]}], [BALANCE_EVENT]),
        (BALANCE_FAST, "account/balance", [{"totalEq": "1", "details": [USDT]}], [BALANCE_EVENT]),
        (POSITION, "account/positions", [HELD], [POSITION_EVENT]),
        (POSITION_FAST, "account/positions", [HELD], [POSITION_EVENT]),
    ],
)
def test_what_an_account_holds_is_read_by_rest_too(account, channel, path, rows, events):
    fetch = plugin.snapshot(account, channel)
    assert (fetch.url, fetch.channel) == (f"https://openapi.okx.com/api/v5/{path}", channel)
    assert rest(account, fetch, *rows) == events
    assert rest(account, fetch) == []


def test_a_bad_currency_or_position_costs_no_other(account):
    fetch = plugin.snapshot(account, BALANCE)
    bad, *good = rest(account, fetch, {"details": [USDT | {"cashBal": "x"}, USDT]})
    assert (type(bad), good) == (Malformed, [BALANCE_EVENT])
    bad, *good = rest(account, plugin.snapshot(account, POSITION), HELD | {"pos": "x"}, HELD)
    assert (type(bad), good) == (Malformed, [POSITION_EVENT])


def test_recent_fills_can_be_left_alone(make_view):
    assert plugin.snapshot(make_view(OKXSettings(recent_fills=0)), FILL) is None


@pytest.mark.parametrize(("code", "kind"), [("50113", "credentials"), ("50011", "rate"), ("50102", "retry")])
def test_a_refused_snapshot_does_not_end_the_stream(account, code, kind):
    fetch = plugin.snapshot(account, ORDER)
    (event,) = plugin.read(account, fetch, Answer(200, json.dumps({"code": code, "msg": "no"}).encode()), AT)
    assert (event.kind, event.channels) == (kind, ())


def test_demo_requests_say_so(make_view):
    view = make_view(OKXSettings(demo=True))
    assert plugin.snapshot(view, ORDER).headers == {"x-simulated-trading": "1"}


@pytest.mark.parametrize(("params", "depth"), [("", 400), ("tbt", 400), ("50tbt", 50)])
def test_fine_books_are_fetched_as_deep_as_they_are(view, params, depth):
    fetch = plugin.snapshot(view, Channel("BTC-USDT", "BTC-USDT", DataType.ORDERBOOK, params))
    assert fetch.url.endswith(f"instId=BTC-USDT&sz={depth}")
