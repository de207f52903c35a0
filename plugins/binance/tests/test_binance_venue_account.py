"""The simulated Binance's private side: signatures, listen keys, subscriptions, and an account the market fills."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from tickhive.channels import DataType
from tickhive.plugin.venue import Hangup, Send, VenueOptions
from tickhive.simulation.tape import Fill
from tickhive_binance.venue import BinanceVenue
from tickhive_binance.venue_login import API_KEY, API_SECRET

SECOND = 1_000_000_000
START = 1_791_369_300 * SECOND
HOUR = 3600
FUTURES = {"usdm": ("/fapi/v1/", "/private/ws/"), "coinm": ("/dapi/v1/", "/ws/")}
PERPETUAL = {"spot": "BTC-USDT", "usdm": "BTC-USDT-PERP", "coinm": "BTC-USD-PERP"}
SIGNED = {
    "spot": {"account": "/api/v3/account", "orders": "/api/v3/openOrders", "trades": "/api/v3/myTrades"},
    "usdm": {"account": "/fapi/v3/account", "orders": "/fapi/v1/openOrders", "trades": "/fapi/v1/userTrades"},
    "coinm": {"account": "/dapi/v1/account", "orders": "/dapi/v1/openOrders", "trades": "/dapi/v1/userTrades"},
}


def sign(text: str, secret: str = API_SECRET) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Desk:
    """A venue with its account, and what its connections were told."""

    def __init__(self, market: Any, speed: float = 1.0) -> None:
        self.market = market
        self.venue = BinanceVenue(market, VenueOptions(speed=speed))
        self.account = self.venue.account
        self.at = START
        self.hangups: list[Hangup] = []
        self.venue.advance(self.at)
        self.product = self.venue.product(PERPETUAL[market])

    def dial(self, path: str, connection: int = 1) -> None:
        self.venue.opened(connection, path, self.at)

    def take(self, connection: int = 1) -> list[Any]:
        said = self.venue.outgoing()
        self.hangups += [item for item in said if isinstance(item, Hangup)]
        return [json.loads(i.frame) for i in said if isinstance(i, Send) and i.connection == connection]

    def say(self, frame: Any, connection: int = 1) -> Any:
        self.venue.received(connection, json.dumps(frame), self.at)
        (answer,) = self.take(connection)
        return answer

    def wait(self, seconds: float, connection: int = 1) -> list[Any]:
        self.at += int(seconds * SECOND)
        self.venue.advance(self.at)
        return self.take(connection)

    def ask(self, method: str, path: str, headers: Any = None) -> tuple[int, Any]:
        headers = {"x-mbx-apikey": API_KEY} if headers is None else headers
        answer = self.venue.request(method, path, headers, b"", self.at)
        return answer.status, json.loads(answer.body)

    def signed(self, path: str, secret: str = API_SECRET, headers: Any = None, **params: Any) -> tuple[int, Any]:
        query = urlencode({"timestamp": self.at // 1_000_000} | params)
        return self.ask("GET", f"{path}?{query}&signature={sign(query, secret)}", headers)

    def subscribe(self, secret: str = API_SECRET, connection: int = 1, **changes: Any) -> Any:
        params = {"timestamp": self.at // 1_000_000, "apiKey": API_KEY, **changes}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = changes.get("signature", sign(text, secret))
        frame = {"id": "s1", "method": "userDataStream.subscribe.signature", "params": params}
        return self.say(frame, connection)

    def listen_key(self) -> str:
        status, body = self.ask("POST", FUTURES[self.market][0] + "listenKey")
        assert status == 200
        return str(body["listenKey"])

    def listen(self) -> str:
        key = self.listen_key()
        self.dial(FUTURES[self.market][1] + key)
        return key


# Who may speak


@pytest.mark.parametrize(
    ("headers", "changes", "status", "code"),
    [
        (None, {}, 200, None),
        (None, {"recvWindow": 60000, "timestamp": START // 1_000_000 - 59_000}, 200, None),
        ({}, {}, 401, -2014),
        ({"x-mbx-apikey": "somebody-elses-key"}, {}, 401, -2015),
        (None, {"secret": "other"}, 400, -1022),
        (None, {"timestamp": START // 1_000_000 - 5_000}, 200, None),
        (None, {"timestamp": START // 1_000_000 - 5_001}, 400, -1021),
        (None, {"timestamp": START // 1_000_000 + 1_001}, 400, -1021),
        (None, {"timestamp": ""}, 400, -1102),
        (None, {"recvWindow": 60001}, 400, -1131),
    ],
)
@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
def test_who_may_ask_by_rest(market: str, headers: Any, changes: Any, status: int, code: int | None) -> None:
    answered, body = Desk(market).signed(SIGNED[market]["account"], headers=headers, **changes)
    assert (answered, body.get("code")) == (status, code)


def test_what_was_sent_is_what_must_be_signed() -> None:
    desk = Desk("spot")
    path, name = SIGNED["spot"]["account"], "\u6771"
    time = desk.at // 1_000_000
    encoded = f"note=%E6%9D%B1&timestamp={time}"
    assert desk.ask("GET", f"{path}?{encoded}&signature={sign(encoded)}")[0] == 200
    assert desk.ask("GET", f"{path}?{encoded}&signature={sign(f'note={name}&timestamp={time}')}")[1]["code"] == -1022
    assert desk.ask("GET", f"{path}?{encoded}")[1]["code"] == -1102


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"apiKey": "short"}, 401, -2014),
        ({"apiKey": "somebody-elses-key"}, 401, -2015),
        ({"secret": "other"}, 400, -1022),
        ({"signature": ""}, 400, -1102),
        ({"timestamp": START // 1_000_000 - 6_000}, 400, -1021),
    ],
)
def test_who_may_subscribe(changes: Any, status: int, code: int) -> None:
    desk = Desk("spot")
    desk.dial("/ws-api/v3")
    answer = desk.subscribe(**changes)
    assert (answer["id"], answer["status"], answer["error"]["code"]) == ("s1", status, code)
    desk.account.deposit("USDT", "1")
    assert desk.take() == []


def test_a_subscription_is_answered_and_given_up() -> None:
    desk = Desk("spot")
    desk.dial("/ws-api/v3")
    rates = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 2}]
    assert desk.subscribe() == {"id": "s1", "status": 200, "result": {"subscriptionId": 0}, "rateLimits": rates}
    assert desk.subscribe()["result"] == {"subscriptionId": 1}
    desk.account.deposit("USDT", "1")
    assert [frame["subscriptionId"] for frame in desk.take()] == [0, 1, 0, 1]
    gone = {"id": 9, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 0}}
    assert desk.say(gone)["status"] == 200
    assert desk.say(gone)["error"]["code"] == -1130
    desk.account.deposit("USDT", "1")
    assert {frame["subscriptionId"] for frame in desk.take()} == {1}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"id": 1, "method": "userDataStream.subscribe"}, -2015),
        ({"id": 1, "method": "userDataStream.start"}, -1135),
        ({"id": 1}, -1135),
        ([], -1135),
    ],
)
def test_what_the_socket_does_not_know(frame: Any, code: int) -> None:
    desk = Desk("spot")
    desk.dial("/ws-api/v3")
    assert desk.say(frame)["error"]["code"] == code
    assert not desk.hangups


def test_spot_has_no_listen_keys_any_more() -> None:
    assert Desk("spot").ask("POST", "/api/v3/userDataStream")[0] == 404
    assert Desk("spot").ask("POST", "/api/v3/listenKey")[0] == 404


# Listen keys


@pytest.mark.parametrize("market", FUTURES)
def test_a_listen_key_lives_an_hour_from_its_last_renewal(market: str) -> None:
    desk = Desk(market, speed=1e-6)
    path = FUTURES[market][0] + "listenKey"
    assert desk.ask("POST", path, {})[1]["code"] == -2014
    assert desk.ask("PUT", path)[1]["code"] == -1125
    key = desk.listen()
    assert desk.listen_key() == key
    desk.at += 50 * 60 * SECOND
    assert desk.ask("PUT", path)[0] == 200
    assert desk.wait(59 * 60) == []
    (told,) = desk.wait(60)
    assert told == {"e": "listenKeyExpired", "E": desk.at // 1_000_000, "listenKey": key}
    assert not desk.hangups
    assert desk.ask("PUT", path)[1]["code"] == -1125
    desk.account.deposit("USDT", "1")
    assert desk.take() == []
    fresh = desk.listen_key()
    assert fresh != key
    assert desk.ask("DELETE", path)[0] == 200
    assert desk.ask("DELETE", path)[1]["code"] == -1125


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ("", ["listenKeyExpired"]),
        ("&events=ORDER_TRADE_UPDATE/listenKeyExpired", ["listenKeyExpired"]),
        ("&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE", []),
    ],
)
def test_the_end_of_a_key_is_told_to_those_who_chose_it(chosen: str, told: list[str]) -> None:
    desk = Desk("usdm")
    desk.dial(f"/private/ws?listenKey={desk.listen_key()}{chosen}")
    desk.venue.expire_listen_keys()
    assert [each["e"] for each in desk.wait(0)] == told


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/private/ws/{}", ["ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]),
        ("/private/ws?listenKey={}", ["ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]),
        ("/private/ws?listenKey={}&events=ORDER_TRADE_UPDATE", ["ORDER_TRADE_UPDATE"]),
        ("/private/ws?listenKey={}&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE", ["ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]),
        ("/private/stream?listenKey={}&events=ACCOUNT_UPDATE", ["ACCOUNT_UPDATE"]),
        ("/private/ws/no-such-key", []),
        ("/market/ws/{}", []),
        ("/ws/{}", []),
    ],
)
def test_which_addresses_bring_what(path: str, told: list[str]) -> None:
    desk = Desk("usdm")
    key = desk.listen_key()
    desk.dial(path.format(key))
    desk.account.deposit("USDT", "5")
    desk.account.place_order(desk.product, "BUY", "0.1", "1")
    frames = desk.take()
    if "/stream" in path:
        assert {frame["stream"] for frame in frames} == {key}
    assert [frame.get("data", frame)["e"] for frame in frames] == told
    assert not desk.hangups


# The account


def test_a_spot_order_is_filled_by_the_market() -> None:
    desk = Desk("spot")
    desk.dial("/ws-api/v3")
    desk.subscribe()
    product = desk.product
    price = product.price(desk.venue.market.stocks[product.native].bids.best or 0)
    number = desk.account.place_order(product, "BUY", "0.05000000", price)
    placed, held = (frame["event"] for frame in desk.take())
    assert (placed["e"], placed["x"], placed["X"], placed["t"], placed["i"]) == (
        "executionReport",
        "NEW",
        "NEW",
        -1,
        number,
    )
    locked = Decimal(price) * Decimal("0.05")
    assert held["B"] == [{"a": "USDT", "f": f"{100_000 - locked:.8f}", "l": f"{locked:.8f}"}]
    events = [frame["event"] for frame in desk.wait(120)]
    fills = [event for event in events if event["e"] == "executionReport"]
    assert {fill["x"] for fill in fills} == {"TRADE"}
    assert [fill["X"] for fill in fills] == ["PARTIALLY_FILLED"] * (len(fills) - 1) + ["FILLED"]
    assert sum(Decimal(fill["l"]) for fill in fills) == Decimal("0.05") == Decimal(fills[-1]["z"])
    assert {(fill["L"], fill["m"], fill["N"]) for fill in fills} == {(price, True, "BTC")}
    last = [event for event in events if event["e"] == "outboundAccountPosition"][-1]
    account = desk.signed(SIGNED["spot"]["account"])[1]
    rows = [{"a": row["asset"], "f": row["free"], "l": row["locked"]} for row in account["balances"][:2]]
    assert sorted(rows, key=lambda row: row["a"]) == sorted(last["B"], key=lambda row: str(row["a"]))
    assert {row["a"]: row["f"] for row in last["B"]} == {"BTC": "2.04995000", "USDT": f"{100_000 - locked:.8f}"}
    trades = desk.signed(SIGNED["spot"]["trades"], symbol=product.native)[1]
    assert [(row["id"], row["qty"], row["commission"]) for row in trades] == [
        (fill["t"], fill["l"], fill["n"]) for fill in fills
    ]
    assert desk.signed(SIGNED["spot"]["trades"])[1]["code"] == -1102
    sent = desk.venue.log.by_type()
    assert (sent[DataType.ORDER], sent[DataType.FILL]) == (len(fills) + 1, len(fills))


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_a_future_is_bought_and_sold(market: str) -> None:
    desk = Desk(market)
    desk.listen()
    product, asset = desk.product, "USDT" if market == "usdm" else "BTC"
    before = desk.account.balances[asset][0]
    desk.account.place_order(product, "BUY", "20" if market == "coinm" else "0.02")
    bought = desk.wait(60)
    orders = [event for event in bought if event["e"] == "ORDER_TRADE_UPDATE"]
    assert [order["o"]["x"] for order in orders][:2] == ["NEW", "TRADE"]
    assert orders[-1]["o"]["X"] == "FILLED"
    changes = [event for event in bought if event["e"] == "ACCOUNT_UPDATE"]
    held = changes[-1]["a"]["P"][0]
    assert (held["s"], Decimal(held["pa"])) == (product.native, 20 if market == "coinm" else Decimal("0.02"))
    assert ("i" in changes[-1]) is (market == "coinm")
    risk = "/fapi/v3/positionRisk" if market == "usdm" else "/dapi/v1/positionRisk"
    (row,) = [row for row in desk.signed(risk)[1] if Decimal(row["positionAmt"])]
    assert (row["positionAmt"], row["entryPrice"]) == (held["pa"], held["ep"])
    assert Decimal(held["ep"]) == pytest.approx(Decimal(orders[-1]["o"]["ap"]), rel=Decimal("1e-3"))
    desk.account.place_order(product, "SELL", "20" if market == "coinm" else "0.02")
    sold = desk.wait(60)
    closed = [event["a"] for event in sold if event["e"] == "ACCOUNT_UPDATE"][-1]
    assert Decimal(closed["P"][0]["pa"]) == 0
    fills = [event["o"] for event in bought + sold if event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE"]
    profit = sum(Decimal(fill["rp"]) - Decimal(fill["n"]) for fill in fills)
    assert abs(Decimal(closed["B"][0]["wb"]) - before - profit) < Decimal("0.000001")
    gained = sum(Decimal(fill["rp"]) for fill in fills)
    paid, got = (Decimal([fill for fill in fills if fill["S"] == side][-1]["ap"]) for side in ("BUY", "SELL"))
    worth = Decimal("0.02") * (got - paid) if market == "usdm" else 2_000 / paid - 2_000 / got
    assert worth
    assert abs(gained - worth) < Decimal("0.000001")
    trades = desk.signed(SIGNED[market]["trades"], symbol=product.native)[1]
    assert [(row["id"], row["qty"], row["realizedPnl"]) for row in trades] == [(f["t"], f["l"], f["rp"]) for f in fills]
    # COIN-M lists every instrument.
    assert not any(Decimal(row["positionAmt"]) for row in desk.signed(risk)[1])
    assert len(desk.signed(risk)[1]) == (0 if market == "usdm" else 2)
    assert desk.signed(SIGNED[market]["trades"])[1]["code"] == -1102
    which = {"symbol": product.native, "orderId": orders[0]["o"]["i"]}
    ended = desk.signed(SIGNED[market]["orders"].replace("openOrders", "order"), **which)[1]
    assert (ended["status"], ended["avgPrice"]) == ("FILLED", orders[-1]["o"]["ap"])
    assert desk.signed(SIGNED[market]["trades"], **which)[1] == trades[: len(orders) - 1]


FIELDS = {
    "spot": {
        "trades": "symbol id orderId orderListId price qty quoteQty commission commissionAsset time isBuyer isMaker "
        "isBestMatch",
        "order": "symbol orderId orderListId clientOrderId price origQty executedQty cummulativeQuoteQty status "
        "timeInForce type side stopPrice icebergQty time updateTime isWorking workingTime origQuoteOrderQty "
        "selfTradePreventionMode",
        "account": "makerCommission takerCommission buyerCommission sellerCommission commissionRates canTrade "
        "canWithdraw canDeposit brokered requireSelfTradePrevention preventSor updateTime accountType balances "
        "permissions uid",
    },
    "usdm": {
        "trades": "buyer commission commissionAsset id maker orderId price qty quoteQty realizedPnl side positionSide "
        "symbol time",
        "order": "avgPrice clientOrderId cumQuote executedQty orderId origQty origType price reduceOnly side "
        "positionSide status stopPrice closePosition symbol time timeInForce type updateTime workingType priceProtect "
        "priceMatch selfTradePreventionMode goodTillDate",
        "account": "totalInitialMargin totalMaintMargin totalWalletBalance totalUnrealizedProfit totalMarginBalance "
        "totalPositionInitialMargin totalOpenOrderInitialMargin totalCrossWalletBalance totalCrossUnPnl "
        "availableBalance maxWithdrawAmount assets positions",
        "asset": "asset walletBalance unrealizedProfit marginBalance maintMargin initialMargin positionInitialMargin "
        "openOrderInitialMargin crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount updateTime",
        "held": "symbol positionSide positionAmt unrealizedProfit isolatedMargin notional isolatedWallet initialMargin "
        "maintMargin updateTime",
        "position": "symbol positionSide positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit "
        "liquidationPrice isolatedMargin notional marginAsset isolatedWallet initialMargin maintMargin "
        "positionInitialMargin openOrderInitialMargin adl bidNotional askNotional updateTime",
        "balance": "accountAlias asset balance crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount "
        "marginAvailable updateTime",
    },
    "coinm": {
        "trades": "symbol id orderId pair side price qty realizedPnl marginAsset baseQty commission commissionAsset "
        "time positionSide buyer maker",
        "order": "avgPrice clientOrderId cumBase executedQty orderId origQty origType price reduceOnly side "
        "positionSide status stopPrice closePosition symbol pair time timeInForce type updateTime workingType "
        "priceProtect priceMatch selfTradePreventionMode",
        "account": "assets positions canDeposit canTrade canWithdraw feeTier updateTime",
        "asset": "asset walletBalance unrealizedProfit marginBalance maintMargin initialMargin positionInitialMargin "
        "openOrderInitialMargin maxWithdrawAmount crossWalletBalance crossUnPnl availableBalance updateTime",
        "held": "symbol positionAmt initialMargin maintMargin unrealizedProfit positionInitialMargin "
        "openOrderInitialMargin leverage isolated positionSide entryPrice breakEvenPrice maxQty updateTime",
        "position": "symbol positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice leverage "
        "maxQty marginType isolatedMargin isAutoAddMargin positionSide updateTime",
        "balance": "accountAlias asset balance withdrawAvailable crossWalletBalance crossUnPnl availableBalance "
        "updateTime",
    },
}
"""The fields of the documentation's example answers, see ``venue_signed``."""


@pytest.mark.parametrize("market", FIELDS)
def test_the_account_is_told_in_the_documented_fields(market: str) -> None:
    desk, paths = Desk(market), SIGNED[market]
    desk.account.place_order(desk.product, "BUY", "20" if market == "coinm" else "0.02")
    desk.wait(60)
    desk.account.place_order(desk.product, "BUY", "20" if market == "coinm" else "0.02", "1")
    account = desk.signed(paths["account"])[1]
    found = {
        "trades": desk.signed(paths["trades"], symbol=desk.product.native)[1][0],
        "order": desk.signed(paths["orders"])[1][0],
        "account": account,
    }
    if market != "spot":
        version = paths["account"].removesuffix("account")
        held = [row for row in desk.signed(f"{version}positionRisk")[1] if Decimal(row["positionAmt"])]
        found |= {"asset": account["assets"][0], "held": account["positions"][0], "position": held[0]}
        found["balance"] = desk.signed(f"{version}balance")[1][0]
    assert {name: set(row) for name, row in found.items()} == {k: set(v.split()) for k, v in FIELDS[market].items()}


_DAY_MS = 24 * 3_600_000


@pytest.mark.parametrize(
    ("market", "asked", "code"),
    [
        ("spot", {"startTime": 0, "endTime": _DAY_MS}, None),
        ("spot", {"startTime": 0, "endTime": _DAY_MS + 1}, -1127),
        ("spot", {"fromId": 1, "orderId": 2}, None),
        ("spot", {"fromId": 1, "startTime": 2}, -1128),
        ("spot", {"orderId": 1, "startTime": 2}, -1128),
        ("usdm", {"startTime": -7 * _DAY_MS, "endTime": 0}, None),
        ("usdm", {"startTime": -7 * _DAY_MS - 1, "endTime": 0}, -1127),
        ("usdm", {"startTime": -91 * _DAY_MS}, -4166),
        ("usdm", {"fromId": 1, "endTime": 2}, -1128),
        ("usdm", {"symbol": None, "pair": "BTCUSD"}, -1102),
        ("coinm", {"startTime": -91 * _DAY_MS}, None),
        ("coinm", {"symbol": None, "pair": "BTCUSD"}, None),
        ("coinm", {"pair": "BTCUSD"}, -1128),
        ("coinm", {"symbol": None, "pair": "BTCUSD", "fromId": 1}, -1128),
        ("coinm", {"symbol": None}, -1102),
    ],
)
def test_how_an_accounts_trades_may_be_asked_for(market: str, asked: dict[str, Any], code: int | None) -> None:
    """Times are ms from now."""
    desk = Desk(market)
    now = desk.at // 1_000_000
    query = {"symbol": desk.product.native} | asked
    query = {
        name: now + value if name.endswith("Time") else value for name, value in query.items() if value is not None
    }
    body = desk.signed(SIGNED[market]["trades"], **query)[1]
    assert (body["code"] if isinstance(body, dict) else None) == code


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_without_a_time_trades_of_seven_days_are_listed(market: str) -> None:
    desk = Desk(market, speed=1e-6)
    desk.account.place_order(desk.product, "BUY", "20" if market == "coinm" else "0.02")
    desk.account.traded(desk.product, [Fill(desk.at, "buy", 1, 10**9, 1, 77)])
    path, symbol = SIGNED[market]["trades"], desk.product.native
    assert [row["id"] for row in desk.signed(path, symbol=symbol)[1]] == [77]
    desk.wait(7 * 24 * HOUR + 1)
    assert desk.signed(path, symbol=symbol)[1] == []
    assert [row["id"] for row in desk.signed(path, symbol=symbol, fromId=70)[1]] == [77]


@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
def test_a_waiting_order_is_listed_until_it_is_cancelled(market: str) -> None:
    desk = Desk(market)
    funds = {asset: list(amounts) for asset, amounts in desk.account.balances.items()}
    number = desk.account.place_order(desk.product, "SELL", "1", "900000")
    assert [row["orderId"] for row in desk.signed(SIGNED[market]["orders"])[1]] == [number]
    other = desk.venue.native(desk.venue.symbols[-1])
    assert desk.signed(SIGNED[market]["orders"], symbol=other)[1] == []
    desk.wait(5)
    desk.account.cancel(number)
    path = SIGNED[market]["orders"].replace("openOrders", "order")
    assert desk.signed(path, symbol=desk.product.native, orderId=number)[1]["status"] == "CANCELED"
    assert desk.signed(path, symbol=desk.product.native, orderId=number + 1)[1]["code"] == -2013
    assert desk.signed(SIGNED[market]["orders"])[1] == []
    assert desk.account.balances == funds
