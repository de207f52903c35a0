"""The simulated Binance in memory: commands in, frames out, and every stream checked against a naive reading of it."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tickhive.channels import DataType
from tickhive.plugin.venue import Hangup, Send, VenueOptions
from tickhive_binance.venue import BinanceVenue

SECOND = 1_000_000_000
START = 1_791_369_351 * SECOND
MARKETS = ("spot", "usdm", "coinm")
PUBLIC = {"spot": "/ws", "usdm": "/public/ws", "coinm": "/ws"}
MARKET = PUBLIC | {"usdm": "/market/ws"}
REST = {"spot": "/api/v3/", "usdm": "/fapi/v1/", "coinm": "/dapi/v1/"}
BTC = {"spot": "BTCUSDT", "usdm": "BTCUSDT", "coinm": "BTCUSD_PERP"}


class Desk:
    """A venue with time, and what its connections were told."""

    def __init__(self, market: Any = "spot", seed: int = 1, symbols: tuple[str, ...] = (), **options: Any) -> None:
        self.market = market
        self.venue = BinanceVenue(market, VenueOptions(seed=seed, symbols=symbols, **options))
        self.at = START
        self.frames: dict[int, list[Any]] = defaultdict(list)
        self.hangups: dict[int, Hangup] = {}
        self.venue.advance(self.at)
        self._ids = 0

    def dial(self, path: str | None = None, connection: int = 1) -> Desk:
        self.venue.opened(connection, path or PUBLIC[self.market], self.at)
        return self.take()

    def say(self, frame: str | bytes | dict[str, Any], connection: int = 1) -> list[Any]:
        """Send a frame; answers what came back at once."""
        had = len(self.frames[connection])
        self.venue.received(connection, json.dumps(frame) if isinstance(frame, dict) else frame, self.at)
        self.take()
        return self.frames[connection][had:]

    def subscribe(self, *names: str, connection: int = 1, method: str = "SUBSCRIBE") -> list[Any]:
        self._ids += 1
        return self.say({"method": method, "params": names, "id": self._ids}, connection)

    def wait(self, seconds: float, steps: int = 1) -> Desk:
        for _ in range(steps):
            self.at += int(seconds * SECOND / steps)
            self.venue.advance(self.at)
            self.take()
        return self

    def whole_second(self) -> Desk:
        """Go on to where streams of every pace have told all there is."""
        self.at += -self.at % SECOND
        return self.wait(0)

    def take(self) -> Desk:
        for item in self.venue.outgoing():
            if isinstance(item, Send):
                self.frames[item.connection].append(json.loads(item.frame))
            else:
                self.hangups[item.connection] = item
        return self

    def told(self, event: str, connection: int = 1) -> list[Any]:
        return [f for f in self.frames[connection] if isinstance(f, dict) and f.get("e") == event]

    def ask(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, Any, Any]:
        path = path if path.startswith("/") else REST[self.market] + path
        answer = self.venue.request(method, path, headers or {}, b"", self.at)
        return answer.status, json.loads(answer.body), answer.headers

    def get(self, path: str) -> Any:
        status, body, _ = self.ask(path)
        assert status == 200, body
        return body

    def refused(self, path: str) -> tuple[int, int]:
        status, body, _ = self.ask(path)
        return status, body["code"]


# Commands


def test_commands_are_answered_with_their_number() -> None:
    desk = Desk().dial()
    assert desk.subscribe("btcusdt@trade", "ethusdt@depth") == [{"result": None, "id": 1}]
    assert desk.subscribe(method="LIST_SUBSCRIPTIONS") == [{"result": ["btcusdt@trade", "ethusdt@depth"], "id": 2}]
    assert desk.subscribe("ethusdt@depth", method="UNSUBSCRIBE") == [{"result": None, "id": 3}]
    desk.wait(3)
    assert {frame["e"] for frame in desk.frames[1][3:]} == {"trade"}
    assert not desk.venue.violations


@pytest.mark.parametrize(
    ("market", "path", "name"),
    [
        ("spot", "/ws", "BTCUSDT@trade"),
        ("spot", "/ws", "nopeusdt@trade"),
        ("spot", "/ws", "btcusdt@markPrice"),
        ("spot", "/ws", "!ticker@arr"),
        ("spot", "/ws", "btcusdt@depth@500ms"),
        ("coinm", "/ws", "btcusdt@trade"),
        ("usdm", "/public/ws", "btcusdt@kline_1s"),
        ("usdm", "/public/ws", "btcusdt@aggTrade"),
        ("usdm", "/market/ws", "btcusdt@bookTicker"),
        ("usdm", "/private/ws", "btcusdt@depth"),
        ("usdm", "/ws", "btcusdt@markPrice"),
    ],
)
def test_an_acknowledgement_proves_nothing(market: str, path: str, name: str) -> None:
    desk = Desk(market).dial(path)
    assert desk.subscribe(name) == [{"result": None, "id": 1}]
    assert len(desk.wait(7).frames[1]) == 1


@pytest.mark.parametrize("path", ["/ws", "/public/ws", "/public/stream"])
def test_an_address_of_before_the_split_brings_books_alone(path: str) -> None:
    desk = Desk("usdm").dial(path)
    desk.subscribe("btcusdt@depth@100ms", "btcusdt@aggTrade")
    frames = desk.wait(2).frames[1][1:]
    assert {frame.get("data", frame)["e"] for frame in frames} == {"depthUpdate"}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ({"params": ["x"], "id": 1}, 2),
        ({"method": "subscribe", "params": ["x"], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [5], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": ["x"], "id": 1.5}, 2),
        ({"method": "SUBSCRIBE", "params": ["x"], "id": "not-a-word"}, 2),
        ({"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}, 1),
        ({"method": "GET_PROPERTY", "params": ["colour"], "id": 1}, 0),
    ],
)
@pytest.mark.parametrize("market", MARKETS)
def test_errors_leave_the_connection_open(market: str, frame: Any, code: int) -> None:
    desk = Desk(market).dial()
    (answer,) = desk.say(frame)
    if market == "spot":
        assert answer["code"] == code
        assert set(answer) == {"code", "msg"}
    else:
        assert answer["error"]["code"] == code
        assert set(answer) == {"error", "id"}
    assert not desk.hangups
    assert len(desk.venue.violations) == 1


def test_texts_number_requests_on_spot_only() -> None:
    frame = {"method": "LIST_SUBSCRIPTIONS", "id": "a1"}
    assert Desk().dial().say(frame) == [{"result": [], "id": "a1"}]
    assert Desk("usdm").dial().say(frame)[0]["error"]["code"] == 2


def test_frames_name_their_stream_where_that_is_asked_for() -> None:
    desk = Desk().dial("/stream?streams=btcusdt@trade/btcusdt@depth5").wait(2)
    assert {frame["stream"] for frame in desk.frames[1]} == {"btcusdt@trade", "btcusdt@depth5"}
    assert {frozenset(frame) for frame in desk.frames[1]} == {frozenset({"stream", "data"})}
    desk.say({"method": "SET_PROPERTY", "params": ["combined", False], "id": 4})
    assert desk.say({"method": "GET_PROPERTY", "params": ["combined"], "id": 5}) == [{"result": False, "id": 5}]
    had = len(desk.frames[1])
    assert not any("stream" in frame for frame in desk.wait(2).frames[1][had:])
    assert Desk().dial("/ws/btcusdt@trade").wait(2).told("trade")
    assert Desk().dial("/ws/anything").subscribe("btcusdt@trade")[0] == {"result": None, "id": 1}


@pytest.mark.parametrize(("market", "allowed"), [("spot", 5), ("usdm", 10), ("coinm", 10)])
def test_too_many_messages_end_a_connection(market: str, allowed: int) -> None:
    desk = Desk(market).dial()
    for _ in range(2):
        for _ in range(allowed):
            desk.subscribe(method="LIST_SUBSCRIPTIONS")
        desk.wait(1)
    assert not desk.hangups
    assert not desk.venue.violations
    for _ in range(allowed + 1):
        desk.subscribe(method="LIST_SUBSCRIPTIONS")
    assert (desk.hangups[1].code, desk.hangups[1].reason) == (1008, "Too many requests")
    assert desk.venue.violations


def test_too_many_streams_end_a_connection() -> None:
    desk = Desk("usdm").dial()
    desk.subscribe(*(f"c{number}usdt@depth" for number in range(1024)))
    desk.subscribe("c0usdt@depth")
    assert not desk.hangups
    (answer,) = desk.subscribe("c1024usdt@depth")
    assert answer == {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 3}
    assert (desk.hangups[1].code, desk.hangups[1].reason) == (1008, "Invalid request")


def test_three_hundred_connections_in_five_minutes() -> None:
    desk = Desk(speed=1e-6)
    for number in range(1, 301):
        desk.dial(connection=number)
        desk.venue.closed(number, desk.at)
    assert not desk.venue.violations
    assert desk.dial(connection=301).hangups[301].code == 1008
    assert desk.wait(300).dial(connection=302).hangups.keys() == {301}


def test_a_day_ends_a_connection() -> None:
    desk = Desk(symbols=("C0-USDT",), speed=1e-6).dial()
    desk.wait(24 * 3600 - 1)
    assert not desk.hangups
    assert desk.wait(1).hangups[1].code is None


def test_a_shutdown_is_announced() -> None:
    desk = Desk().dial().dial("/stream", 2)
    desk.venue.notify_shutdown()
    desk.take()
    event = {"e": "serverShutdown", "E": START // 1_000_000}
    assert desk.frames == {1: [event], 2: [{"stream": "!serverShutdown", "data": event}]}
    desk.venue.kick(2)
    assert desk.take().hangups.keys() == {2}


# Books


class NaiveBook:
    """A book kept as Binance tells to; ``wrong`` counts what breaks its rules."""

    def __init__(self, snapshot: Any, spot: bool) -> None:
        self.last = snapshot["lastUpdateId"]
        self.sides = {side: dict(snapshot[side]) for side in ("bids", "asks")}
        self.spot = spot
        self.applied = self.wrong = 0

    def apply(self, event: Any) -> None:
        first, last = event["U"], event["u"]
        if last <= self.last if self.spot else last < self.last:
            return
        if self.applied:
            self.wrong += first != self.last + 1 if self.spot else event["pu"] != self.last
        elif self.spot:
            self.wrong += not first <= self.last + 1 <= last
        else:
            self.wrong += not (first <= self.last <= last or event["pu"] == self.last)
        self.applied += 1
        self.last = last
        for side, key in (("bids", "b"), ("asks", "a")):
            for price, size in event[key]:
                if Decimal(size):
                    self.sides[side][price] = size
                else:
                    self.sides[side].pop(price, None)


@pytest.mark.parametrize("speed", ["", "@100ms"])
@pytest.mark.parametrize("market", MARKETS)
def test_books_bridge_and_follow_their_snapshot(market: str, speed: str) -> None:
    for late in (0.0, 0.03, 0.11, 0.49, 1.3):
        desk = Desk(market).wait(0.7).dial()
        name = BTC[market]
        desk.subscribe(f"{name.lower()}@depth{speed}")
        desk.wait(late)
        early, snapshot = len(desk.told("depthUpdate")), desk.get(f"depth?symbol={name}&limit=1000")
        book = NaiveBook(snapshot, market == "spot")
        desk.wait(5).whole_second()
        assert all(event["u"] > snapshot["lastUpdateId"] for event in desk.told("depthUpdate")[early:])
        for event in desk.told("depthUpdate"):
            book.apply(event)
        assert book.applied > 4
        assert book.wrong == 0
        truth = desk.get(f"depth?symbol={name}&limit=1000")
        assert book.last == truth["lastUpdateId"]
        assert {side: dict(truth[side]) for side in ("bids", "asks")} == book.sides
        assert desk.venue.log.by_type() == {DataType.ORDERBOOK: len(desk.told("depthUpdate")) + 2}


def test_futures_number_all_books_together() -> None:
    desk = Desk("usdm").dial()
    desk.subscribe("btcusdt@depth@100ms", "ethusdt@depth@100ms")
    desk.wait(5)
    events = desk.told("depthUpdate")
    assert {(event["ps"], event["st"]) for event in events} == {("BTCUSDT", 1), ("ETHUSDT", 1)}
    chains = {name: [e for e in events if e["s"] == name] for name in ("BTCUSDT", "ETHUSDT")}
    for chain in chains.values():
        assert all(later["pu"] == earlier["u"] < later["U"] <= later["u"] for earlier, later in pairwise(chain))
        assert any(later["U"] != earlier["u"] + 1 for earlier, later in pairwise(chain))
    assert not {e["u"] for e in chains["BTCUSDT"]} & {e["u"] for e in chains["ETHUSDT"]}


def test_a_stale_snapshot_is_older_than_the_stream() -> None:
    desk = Desk()
    desk.venue.grow_stale(1)
    desk.wait(1).dial()
    desk.subscribe("btcusdt@depth@100ms")
    desk.wait(1)
    first = desk.told("depthUpdate")[0]["U"]
    assert desk.get("depth?symbol=BTCUSDT")["lastUpdateId"] < first - 1
    assert desk.get("depth?symbol=BTCUSDT")["lastUpdateId"] >= first


def test_a_lost_frame_leaves_a_hole() -> None:
    desk = Desk().dial()
    desk.subscribe("btcusdt@depth@100ms")
    desk.wait(1)
    desk.venue.lost["btcusdt@depth@100ms"] = 1
    desk.wait(1)
    events = desk.told("depthUpdate")
    assert sum(later["U"] != earlier["u"] + 1 for earlier, later in pairwise(events)) == 1
    assert desk.venue.log.by_type() == {DataType.ORDERBOOK: len(events)}


@pytest.mark.parametrize("market", MARKETS)
def test_the_best_levels_and_the_quote_are_the_books(market: str) -> None:
    desk = Desk(market).dial(re.sub("ws$", "stream", PUBLIC[market]))
    name = BTC[market].lower()
    desk.subscribe(f"{name}@depth10@100ms", f"{name}@bookTicker")
    desk.wait(2)
    by_stream = {frame["stream"]: frame["data"] for frame in desk.frames[1][1:]}
    truth = desk.get(f"depth?symbol={BTC[market]}&limit=10")
    top, quote = by_stream[f"{name}@depth10@100ms"], by_stream[f"{name}@bookTicker"]
    sides = ("bids", "asks") if market == "spot" else ("b", "a")
    assert [top[side] for side in sides] == [truth["bids"], truth["asks"]]
    assert [[quote["b"], quote["B"]], [quote["a"], quote["A"]]] == [truth["bids"][0], truth["asks"][0]]
    assert ("e" in quote, "T" in quote, "st" in quote) == ((market != "spot"),) * 3
    assert set(top) == ({"lastUpdateId", "bids", "asks"} if market == "spot" else set(top) | {"pu", "st", "ps"})


# Trades and klines


@pytest.mark.parametrize("market", MARKETS)
def test_trades_are_numbered_without_a_hole_and_aggregated_in_order(market: str) -> None:
    desk = Desk(market).dial(MARKET[market]).dial(PUBLIC[market], 2)
    name = BTC[market].lower()
    desk.subscribe(f"{name}@aggTrade")
    desk.subscribe(f"{name}@trade", connection=2)
    desk.wait(20)
    trades, sums = desk.told("trade", 2), desk.told("aggTrade")
    assert len(trades) > len(sums) > 20
    assert all(later["t"] == earlier["t"] + 1 for earlier, later in pairwise(trades))
    assert all(later["a"] == earlier["a"] + 1 for earlier, later in pairwise(sums))
    assert all(later["f"] == earlier["l"] + 1 for earlier, later in pairwise(sums))
    by_id = {trade["t"]: trade for trade in trades}
    for each in sums:
        parts = [by_id[number] for number in range(each["f"], each["l"] + 1)]
        assert {(part["p"], part["m"]) for part in parts} == {(each["p"], each["m"])}
        assert sum(Decimal(part["q"]) for part in parts) == Decimal(each["q"])
        assert ("nq" in each, "st" in each) == ((market != "spot"),) * 2
    assert desk.venue.log.by_type() == {DataType.TRADE: len(trades) + len(sums)}


@pytest.mark.parametrize(("market", "interval"), [("spot", "1s"), ("spot", "1m"), ("usdm", "1m"), ("coinm", "1m")])
def test_klines_are_made_of_the_trades(market: str, interval: str) -> None:
    desk = Desk(market).dial(MARKET[market]).dial(PUBLIC[market], 2)
    name = BTC[market].lower()
    desk.subscribe(f"{name}@kline_{interval}")
    desk.subscribe(f"{name}@trade", connection=2)
    desk.wait(130)
    trades = desk.told("trade", 2)
    closed = [event["k"] for event in desk.told("kline") if event["k"]["x"]]
    assert len(closed) >= (100 if interval == "1s" else 2)
    assert all(later["t"] == earlier["T"] + 1 for earlier, later in pairwise(closed))
    assert any(not event["k"]["x"] for event in desk.told("kline")) is (interval != "1s")
    for bar in closed[1:]:
        inside = [trade for trade in trades if bar["t"] <= trade["T"] <= bar["T"]]
        assert bar["n"] == len(inside)
        if not inside:
            assert (bar["f"], bar["L"], bar["v"]) == (-1, -1, "0.00000000")
            continue
        prices = [Decimal(trade["p"]) for trade in inside]
        told = [Decimal(bar[key]) for key in "ohlc"]
        assert told == [prices[0], max(prices), min(prices), prices[-1]]
        assert (bar["f"], bar["L"]) == (inside[0]["t"], inside[-1]["t"])
        assert Decimal(bar["v"]) == sum(Decimal(trade["q"]) for trade in inside)
        assert Decimal(bar["V"]) == sum(Decimal(trade["q"]) for trade in inside if not trade["m"])
        if market != "coinm":
            assert Decimal(bar["q"]) == sum(Decimal(trade["q"]) * Decimal(trade["p"]) for trade in inside)
    rows = desk.get(f"klines?symbol={BTC[market]}&interval={interval}&startTime={closed[0]['t']}")
    keys = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")
    assert [row[:11] for row in rows[: len(closed)]] == [[bar[key] for key in keys] for bar in closed]


# Statistics and futures


@pytest.mark.parametrize("market", MARKETS)
def test_tickers_agree_with_rest(market: str) -> None:
    desk = Desk(market).dial(MARKET[market])
    name = BTC[market].lower()
    desk.subscribe(f"{name}@ticker", f"{name}@miniTicker")
    desk.wait(3)
    whole, mini = desk.told("24hrTicker")[-1], desk.told("24hrMiniTicker")[-1]
    row = desk.get(f"ticker/24hr?symbol={BTC[market]}")
    row = row[0] if market == "coinm" else row
    names = {"c": "lastPrice", "o": "openPrice", "v": "volume", "p": "priceChange", "L": "lastId"}
    assert {key: whole[key] for key in names} == {key: row[value] for key, value in names.items()}
    assert {key: mini[key] for key in "cohlvq"} == {key: whole[key] for key in "cohlvq"}
    assert ("b" in whole) is (market == "spot")
    assert len(desk.told("24hrTicker")) == 3


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_mark_prices_carry_funding_where_there_is_any(market: str) -> None:
    desk = Desk(market)
    perpetual, dated = (desk.venue.native(desk.venue.symbols[i]) for i in (0, -1))
    desk.dial(MARKET[market]).subscribe(f"{perpetual.lower()}@markPrice@1s", f"{dated.lower()}@markPrice")
    desk.wait(6)
    rows = {name: [e for e in desk.told("markPriceUpdate") if e["s"] == name] for name in (perpetual, dated)}
    assert [len(each) for each in rows.values()] == [6, 2]
    last, end = rows[perpetual][-1], rows[dated][-1]
    assert re.fullmatch(r"-?0\.\d{8}", last["r"])
    assert last["T"] % (8 * 3600 * 1000) == 0
    assert last["T"] > last["E"]
    assert (end["r"], end["T"]) == ("" if market == "coinm" else "0.00000000", 0)
    assert last["st"] == (2 if market == "coinm" else 1)
    sent = desk.venue.log.by_type()
    index = {DataType.INDEX_PRICE: 8} if market == "usdm" else {}  # COIN-M has a stream of its own for it
    assert sent == {DataType.MARK_PRICE: 8, DataType.FUNDING_RATE: 6} | index
    assert ("i" in last) is (market == "usdm")
    premium = desk.get(f"premiumIndex?symbol={perpetual}")
    premium = premium[0] if market == "coinm" else premium
    assert (premium["markPrice"], premium["nextFundingTime"]) == (last["p"], last["T"])


def test_arrays_hold_the_other_family_too() -> None:
    desk = Desk("usdm").dial(MARKET["usdm"])
    desk.subscribe("!markPrice@arr@1s", "!miniTicker@arr", "!ticker@arr")
    desk.wait(1)
    for rows in desk.frames[1][1:]:
        assert {row["st"] for row in rows} == {1, 2}
        assert len(rows) == 4
    assert {symbol for symbol, _ in desk.venue.log.sent} == set(desk.venue.symbols)


def test_a_pair_of_coin_margined_futures() -> None:
    desk = Desk("coinm").dial()
    desk.subscribe("btcusd@markPrice@1s", "btcusd@indexPrice@1s")
    desk.wait(1)
    rows, index = desk.frames[1][1:]
    assert [row["s"] for row in rows] == [product.native for product in map(desk.venue.product, desk.venue.symbols)]
    assert (index["e"], index["i"], index["p"]) == ("indexPriceUpdate", "BTCUSD", rows[0]["P"])


def test_liquidations_come_at_most_once_a_second() -> None:
    desk = Desk("usdm").dial(MARKET["usdm"])
    desk.subscribe("btcusdt@forceOrder", "!forceOrder@arr")
    desk.wait(60)
    forced = desk.told("forceOrder")
    singly = [event for event in forced if event["o"]["s"] == "BTCUSDT"][::2]
    assert len(singly) > 5
    assert all(later["E"] - earlier["E"] >= 1000 for earlier, later in pairwise(singly))
    assert {event["o"]["S"] for event in forced} == {"BUY", "SELL"}
    assert desk.venue.log.by_type() == {DataType.LIQUIDATION: len(forced)}


def test_contracts_come_and_go() -> None:
    desk = Desk("usdm").dial(MARKET["usdm"])
    desk.subscribe("!contractInfo", "ethusdt@aggTrade")
    product = desk.venue.list_product("SOL-USDT-PERP")
    desk.subscribe("solusdt@aggTrade")
    desk.wait(3)
    desk.venue.delist("ETH-USDT-PERP")
    had = len(desk.take().told("aggTrade"))
    desk.wait(5)
    news = desk.told("contractInfo")
    assert [(each["s"], each["ct"], each["cs"]) for each in news] == [
        ("SOLUSDT", "PERPETUAL", "TRADING"), ("ETHUSDT", "PERPETUAL", "CLOSE"),
    ]  # fmt: skip
    assert {each["s"] for each in desk.told("aggTrade")[had:]} == {"SOLUSDT"}
    listed = {row["symbol"] for row in desk.get("exchangeInfo")["symbols"]}
    assert product.native in listed
    assert "ETHUSDT" not in listed
    with pytest.raises(ValueError, match="trades here already"):
        desk.venue.list_product("SOL-USDT-PERP")


# The market


def test_the_same_seed_is_the_same_market_however_it_is_driven() -> None:
    def told(seed: int, steps: int) -> Any:
        desk = Desk("usdm", seed).dial()
        desk.subscribe("btcusdt@trade", "btcusdt@depth@100ms", "btcusdt@bookTicker")
        return desk.wait(5, steps).frames

    assert told(1, 1) == told(1, 40) != told(2, 1)


@pytest.mark.parametrize(
    ("market", "symbol"),
    [("spot", "BTC-USDT-PERP"), ("spot", "BTCUSDT"), ("usdm", "BTC-USDT"), ("usdm", "BTC-USD-PERP"),
     ("coinm", "BTC-USDT-PERP"), ("coinm", "BTC-USD-2026")],
)  # fmt: skip
def test_an_impossible_symbol_is_named(market: Any, symbol: str) -> None:
    with pytest.raises(ValueError, match=symbol):
        BinanceVenue(market, VenueOptions(symbols=[symbol]))


@pytest.mark.parametrize("market", MARKETS)
def test_many_symbols_and_all_data_types_are_counted(market: Any) -> None:
    suffix = {"spot": "-USDT", "usdm": "-USDT-PERP", "coinm": "-USD-PERP"}[market]
    desk = Desk(market, symbols=tuple(f"C{number:02}{suffix}" for number in range(20)))
    names = [desk.venue.native(symbol).lower() for symbol in desk.venue.symbols]
    desk.dial(PUBLIC[market]).dial(MARKET[market], 2)
    for kind, number in (("depth@100ms", 1), ("bookTicker", 1), ("trade", 1), ("ticker", 2), ("kline_1m", 2)):
        desk.subscribe(*(f"{name}@{kind}" for name in names), connection=number)
    desk.wait(5)
    counted = Counter(symbol for symbol, _ in desk.venue.log.sent)
    assert counted == dict.fromkeys(desk.venue.symbols, 5)
    assert sum(desk.venue.log.by_type().values()) == sum(map(len, desk.frames.values())) - 5
    assert not desk.venue.violations
