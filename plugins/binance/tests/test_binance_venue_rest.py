"""The simulated Binance's REST: what it lists and answers, what it refuses, and what it charges."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from tickhive.plugin.venue import Send, VenueOptions
from tickhive_binance.venue import BinanceVenue
from tickhive_binance.venue_login import API_KEY

SECOND = 1_000_000_000
START = 1_791_369_300 * SECOND
MS = START // 1_000_000
MARKETS = ("spot", "usdm", "coinm")
REST = {"spot": "/api/v3/", "usdm": "/fapi/v1/", "coinm": "/dapi/v1/"}
BTC = {"spot": "BTCUSDT", "usdm": "BTCUSDT", "coinm": "BTCUSD_PERP"}
KEY = {"x-mbx-apikey": API_KEY}


class Desk:
    """A venue with time, asked by REST."""

    def __init__(self, market: Any, seconds: float = 0) -> None:
        self.market = market
        self.venue = BinanceVenue(market, VenueOptions())
        self.at = START
        self.venue.advance(START)
        self.wait(seconds)

    def wait(self, seconds: float) -> Desk:
        self.at += int(seconds * SECOND)
        self.venue.advance(self.at)
        return self

    def ask(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, Any, Any]:
        path = (path if path.startswith("/") else REST[self.market] + path).replace("BTC&", BTC[self.market] + "&")
        answer = self.venue.request(method, path, headers or {}, b"", self.at)
        return answer.status, json.loads(answer.body), answer.headers

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        status, body, _ = self.ask(path, headers)
        assert status == 200, body
        return body


@pytest.mark.parametrize("market", MARKETS)
def test_instruments_are_listed_as_documented(market: str) -> None:
    desk = Desk(market)
    rows = {row["symbol"]: row for row in desk.get("exchangeInfo")["symbols"]}
    assert list(rows) == [desk.venue.native(symbol) for symbol in desk.venue.symbols]
    row = rows[BTC[market]]
    filters = {each["filterType"]: each for each in row["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"].rstrip("0") == "0.1"
    assert row["baseAsset"] == "BTC"
    if market == "spot":
        assert (row["status"], row["quoteAsset"]) == ("TRADING", "USDT")
        assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
        assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
        return
    dated = next(each for each in rows.values() if each["contractType"] != "PERPETUAL")
    assert (row["contractType"], row["deliveryDate"]) == ("PERPETUAL", 4133404800000)
    assert dated["deliveryDate"] == 1_924_588_800_000  # 2030-12-27 08:00 UTC
    assert dated["symbol"] == f"{dated['pair']}_301227"
    if market == "coinm":
        assert (row["contractStatus"], row["contractSize"], row["marginAsset"]) == ("TRADING", 100, "BTC")
        assert filters["LOT_SIZE"]["stepSize"] == "1"
    else:
        assert (row["status"], row["marginAsset"]) == ("TRADING", "USDT")
        assert filters["MIN_NOTIONAL"]["notional"] == "5"


def test_a_start_chooses_the_quarter() -> None:
    venue = BinanceVenue("coinm", VenueOptions(start=START))
    assert venue.symbols == ("BTC-USD-PERP", "BTC-USD-20261225")
    assert venue.product("BTC-USD-20261225").row["contractType"] == "CURRENT_QUARTER"


@pytest.mark.parametrize("market", MARKETS)
def test_aggregate_trades_come_by_id_and_by_time(market: str) -> None:
    desk = Desk(market, 30)
    newest = desk.get("aggTrades?symbol=BTC&limit=1000")
    assert len(newest) > 40
    assert all(later["a"] == earlier["a"] + 1 for earlier, later in pairwise(newest))
    assert desk.get("aggTrades?symbol=BTC&limit=3") == newest[-3:]
    assert desk.get(f"aggTrades?symbol=BTC&limit=3&fromId={newest[5]['a']}") == newest[5:8]
    start, end = newest[4]["T"], newest[20]["T"]
    inside = [row for row in newest if start <= row["T"] <= end]
    assert desk.get(f"aggTrades?symbol=BTC&startTime={start}&endTime={end}") == inside
    assert desk.get(f"aggTrades?symbol=BTC&fromId={newest[-1]['a'] + 1}") == []
    assert set(newest[0]) == {"a", "p", "q", "f", "l", "T", "m"} | ({"M"} if market == "spot" else set())


@pytest.mark.parametrize("market", MARKETS)
def test_single_trades_come_by_id(market: str) -> None:
    desk = Desk(market, 30)
    newest = desk.get("trades?symbol=BTC&limit=100")
    assert all(later["id"] == earlier["id"] + 1 for earlier, later in pairwise(newest))
    middle = newest[37]["id"]
    assert desk.get(f"historicalTrades?symbol=BTC&limit=20&fromId={middle}", KEY) == newest[37:57]
    assert desk.get("historicalTrades?symbol=BTC&limit=100", KEY) == newest
    status, body, _ = desk.ask("historicalTrades?symbol=BTC&limit=20")
    assert (status, body.get("code") if status != 200 else None) == ((200, None) if market == "spot" else (401, -2014))


@pytest.mark.parametrize("market", MARKETS)
def test_klines_of_every_interval(market: str) -> None:
    desk = Desk(market, 90)
    for interval in ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]:
        rows = desk.get(f"klines?symbol=BTC&interval={interval}")
        assert all(later[0] == earlier[6] + 1 for earlier, later in pairwise(rows))
        assert rows[-1][0] <= desk.at // 1_000_000 <= rows[-1][6]
    minutes = desk.get("klines?symbol=BTC&interval=1m")
    assert len(minutes) == 242
    assert desk.get("klines?symbol=BTC&interval=1m&limit=5") == minutes[-5:]
    start, end = minutes[100][0], minutes[110][0]
    assert desk.get(f"klines?symbol=BTC&interval=1m&startTime={start}&limit=5") == minutes[100:105]
    assert desk.get(f"klines?symbol=BTC&interval=1m&startTime={start}&endTime={end}") == minutes[100:111]
    assert desk.get(f"klines?symbol=BTC&interval=1m&endTime={end}&limit=2") == minutes[109:111]


@pytest.mark.parametrize(
    ("market", "path", "status", "code"),
    [
        ("spot", "depth?symbol=NOPE", 400, -1121),
        ("spot", "depth?symbol=btcusdt", 400, -1100),
        ("spot", "depth", 400, -1102),
        ("spot", "depth?symbol=BTC&limit=x", 400, -1130),
        ("usdm", "depth?symbol=BTC&limit=400", 400, -4021),
        ("spot", "klines?symbol=BTC&interval=7m", 400, -1120),
        ("usdm", "klines?symbol=BTC&interval=1s", 400, -1120),
        ("spot", "klines?symbol=BTC&limit=1", 400, -1102),
        ("coinm", f"klines?symbol=BTC&interval=1m&startTime={MS - 201 * 86_400_000}", 400, -4166),
        ("usdm", f"aggTrades?symbol=BTC&startTime={MS - 49 * 3_600_000}", 400, -4166),
        ("usdm", f"aggTrades?symbol=BTC&startTime={MS - 7_200_000}&endTime={MS}", 400, -1127),
        ("spot", "aggTrades?symbol=BTC&fromId=1&startTime=2", 400, -1128),
        ("spot", "aggTrades?symbol=BTC&fromId=-1", 400, -1100),
        ("spot", "nothing?symbol=BTC", 404, -5000),
        ("spot", "/fapi/v1/depth?symbol=BTC&limit=5", 404, -5000),
        ("usdm", "/fapi/v2/depth?symbol=BTC&limit=5", 404, -5000),
        ("spot", "openInterest?symbol=BTC&x=1", 404, -5000),
    ],
)
def test_errors_have_their_codes(market: str, path: str, status: int, code: int) -> None:
    answered, body, _ = Desk(market).ask(path)
    assert (answered, body["code"]) == (status, code)
    assert isinstance(body["msg"], str)


@pytest.mark.parametrize(
    ("market", "path", "weight"),
    [
        ("spot", "ping", 1),
        ("spot", "exchangeInfo", 20),
        ("usdm", "exchangeInfo", 1),
        ("spot", "depth?symbol=BTC&limit=100", 5),
        ("spot", "depth?symbol=BTC&limit=500", 25),
        ("spot", "depth?symbol=BTC&limit=1000", 50),
        ("spot", "depth?symbol=BTC&limit=5000", 250),
        ("usdm", "depth?symbol=BTC&limit=5", 2),
        ("usdm", "depth?symbol=BTC&limit=500", 10),
        ("coinm", "depth?symbol=BTC&limit=1000", 20),
        ("spot", "aggTrades?symbol=BTC&x=1", 4),
        ("usdm", "aggTrades?symbol=BTC&x=1", 20),
        ("usdm", "klines?symbol=BTC&interval=1m&limit=1500", 10),
        ("usdm", "klines?symbol=BTC&interval=1m&limit=100", 1),
        ("spot", "ticker/24hr", 80),
        ("usdm", "premiumIndex?symbol=BTC&x=1", 1),
        ("usdm", "premiumIndex", 10),
    ],
)
def test_requests_are_weighed(market: str, path: str, weight: int) -> None:
    desk = Desk(market)
    desk.get(path)
    _, _, headers = desk.ask("time")
    assert headers["x-mbx-used-weight-1m"] == str(weight + 1)
    assert desk.wait(60).ask("time")[2]["x-mbx-used-weight-1m"] == "1"


def test_too_much_weight_is_refused_until_the_minute_is_over() -> None:
    desk = Desk("spot", 10)
    for _ in range(24):
        desk.get("depth?symbol=BTC&limit=5000")
    assert not desk.venue.violations
    status, body, headers = desk.ask("time")
    assert (status, body["code"], headers["retry-after"]) == (429, -1003, "51")
    assert desk.venue.violations
    assert desk.wait(51).ask("time")[0] == 200
    for _ in range(27):
        status, _, headers = desk.ask("depth?symbol=BTC&limit=5000")
    assert (status, headers["retry-after"]) == (418, "121")
    assert desk.wait(119).ask("time")[0] == 418
    assert desk.wait(1).ask("time")[0] == 200


def test_a_failing_server_fails_as_often_as_asked() -> None:
    desk = Desk("usdm")
    desk.venue.failing += [503, 500]
    assert [desk.ask("time")[0] for _ in range(3)] == [503, 500, 200]


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_open_interest_and_funding(market: str) -> None:
    desk = Desk(market, 5)
    row = desk.get("openInterest?symbol=BTC&x=1")
    assert float(row["openInterest"]) > 0
    symbol, name = (
        desk.venue.symbols[0],
        "pair=BTCUSD&contractType=PERPETUAL" if market == "coinm" else "symbol=BTCUSDT",
    )
    (past,) = desk.get(f"/futures/data/openInterestHist?{name}&period=5m")
    assert past["sumOpenInterest"] == row["openInterest"]
    assert {key: count for (key, _), count in desk.venue.log.sent.items()} == {symbol: 1}
    (rate,) = desk.get("fundingRate?symbol=BTC&limit=1")
    assert rate["fundingTime"] < desk.at // 1_000_000
    dated = desk.venue.native(desk.venue.symbols[-1])
    assert desk.get(f"fundingRate?symbol={dated}") == []
    assert len(desk.get("premiumIndex")) == len(desk.venue.symbols)


def test_what_rest_knows_is_what_the_stream_said() -> None:
    desk = Desk("spot")
    desk.venue.opened(1, "/ws/btcusdt@aggTrade/btcusdt@trade", desk.at)
    desk.wait(20)
    pushed = [json.loads(item.frame) for item in desk.venue.outgoing() if isinstance(item, Send)]
    sums = [{key: each[key] for key in "apqflTmM"} for each in pushed if each["e"] == "aggTrade"]
    assert desk.get("aggTrades?symbol=BTC&limit=1000") == sums
    singly = [(each["t"], each["p"], each["q"]) for each in pushed if each["e"] == "trade"]
    assert [(row["id"], row["price"], row["qty"]) for row in desk.get("trades?symbol=BTC&limit=1000")] == singly
