"""The simulated venues themselves, in memory: their rules, their limits, and their answers to the wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tickhive.plugin.venue import Hangup, Send, VenueOptions
from tickhive_coinbase.simulated.advanced import CoinbaseVenue
from tickhive_coinbase.simulated.exchange import CoinbaseExchangeVenue

SECOND = 1_000_000_000
START = 1_791_369_351 * SECOND


class Desk:
    """One client of a venue, and the time."""

    def __init__(self, venue: Any) -> None:
        self.venue, self.at = venue, START
        self.venue.advance(START)
        self.venue.opened(1, "/", START)
        self.hangups: list[Hangup] = []

    def say(self, **message: Any) -> list[dict[str, Any]]:
        self.venue.received(1, json.dumps(message), self.at)
        return self.heard()

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        self.at += int(seconds * SECOND)
        self.venue.advance(self.at)
        return self.heard()

    def heard(self) -> list[dict[str, Any]]:
        said = self.venue.outgoing()
        self.hangups += [item for item in said if isinstance(item, Hangup)]
        return [json.loads(item.frame) for item in said if isinstance(item, Send)]

    def get(self, path: str) -> tuple[int, Any]:
        answer = self.venue.request("GET", path, {}, b"", self.at)
        return answer.status, json.loads(answer.body)


@pytest.fixture
def advanced() -> Desk:
    return Desk(CoinbaseVenue(VenueOptions(seed=2, symbols=["BTC-USD", "BTC-USDC"])))


@pytest.fixture
def exchange() -> Desk:
    return Desk(CoinbaseExchangeVenue(VenueOptions(seed=2, symbols=["BTC-USD", "C00-USD"]), early_data=0.0))


@pytest.mark.parametrize("name", ["advanced", "exchange"])
def test_who_asks_for_nothing_is_sent_away_after_five_seconds(name: str, request: pytest.FixtureRequest) -> None:
    desk = request.getfixturevalue(name)
    desk.wait(4.9)
    assert desk.hangups == []
    desk.wait(0.2)
    assert [hangup.connection for hangup in desk.hangups] == [1]
    assert desk.venue.violations


def test_the_snapshot_comes_with_number_zero_before_the_acknowledgement(advanced: Desk) -> None:
    snapshot, ack = advanced.say(type="subscribe", channel="level2", product_ids=["BTC-USD"])
    assert (snapshot["channel"], snapshot["sequence_num"]) == ("l2_data", 0)
    assert {row["event_time"] for row in snapshot["events"][0]["updates"]} == {"1970-01-01T00:00:00Z"}
    assert (ack["channel"], ack["sequence_num"]) == ("subscriptions", 1)
    numbers = [frame["sequence_num"] for frame in advanced.wait(2)]
    assert numbers == list(range(2, 2 + len(numbers)))


def test_a_shared_market_is_told_under_its_own_name(advanced: Desk) -> None:
    *_, ack = advanced.say(type="subscribe", channel="market_trades", product_ids=["BTC-USDC"])
    assert ack["events"] == [{"subscriptions": {"market_trades": ["BTC-USD"]}}]
    rows = [row for frame in advanced.wait(3) for event in frame["events"] for row in event["trades"]]
    assert {row["product_id"] for row in rows} == {"BTC-USD"}
    ids = [int(row["trade_id"]) for row in rows]
    assert sorted(ids) == list(range(min(ids), max(ids) + 1))


def test_heartbeats_keep_a_quiet_socket_and_silence_loses_it(advanced: Desk) -> None:
    advanced.say(type="subscribe", channel="heartbeats")
    assert len(advanced.wait(100)) == 100
    assert advanced.hangups == []
    advanced.say(type="unsubscribe", channel="heartbeats")
    advanced.wait(80)
    assert len(advanced.hangups) == 1


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"channel": "level2", "product_ids": ["FOO-USD"]}, "FOO-USD is not a valid product"),
        ({"channel": "news"}, "not a valid channel"),
        ({"channel": "level2"}, "product_ids are required"),
        ({"channel": "user"}, "authentication failure"),
        ({"channel": "ticker", "product_ids": ["BTC-USD"], "jwt": "a.b"}, "authentication failure"),
        ({"channels": ["ticker"]}, "channel is required"),
    ],
)
def test_advanced_refuses(advanced: Desk, message: dict[str, Any], says: str) -> None:
    (error,) = advanced.say(type="subscribe", **message)
    assert error["type"] == "error"
    assert says in error["message"]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"channels": ["matches"], "product_ids": ["BTC-USD", "FOO-USD"]}, "FOO-USD is not a valid product"),
        ({"channels": ["level2"], "product_ids": ["BTC-USD"]}, "require authentication"),
        ({"channels": ["news"]}, "news is not a valid channel"),
        ({"channels": ["user"], "product_ids": ["BTC-USD"], "signature": "x"}, "invalid signature"),
    ],
)
def test_exchange_refuses_the_whole_message(exchange: Desk, message: dict[str, Any], says: str) -> None:
    (error,) = exchange.say(type="subscribe", **message)
    assert error["type"] == "error"
    assert says in error["reason"]
    assert exchange.wait(2) == []


def test_exchange_lists_the_whole_state_under_former_names(exchange: Desk) -> None:
    channels = ["level2_batch", {"name": "ticker", "product_ids": ["C00-USD"]}]
    ack, *_ = exchange.say(type="subscribe", product_ids=["BTC-USD"], channels=channels)
    assert ack["channels"] == [
        {"name": "level2_50", "product_ids": ["BTC-USD"], "account_ids": None},
        {"name": "ticker", "product_ids": ["C00-USD"], "account_ids": None},
    ]


def test_exchange_pages_its_trades_backwards(exchange: Desk) -> None:
    exchange.say(type="subscribe", product_ids=["BTC-USD"], channels=["matches"])
    live = [frame for frame in exchange.wait(20) if frame["type"] == "match"]
    _, first = exchange.get("/products/BTC-USD/trades?limit=10")
    _, second = exchange.get(f"/products/BTC-USD/trades?limit=10&after={first[-1]['trade_id']}")
    ids = [row["trade_id"] for row in first + second]
    assert ids == list(range(live[-1]["trade_id"], live[-1]["trade_id"] - 20, -1))
    assert {row["trade_id"]: row["side"] for row in first} == {row["trade_id"]: row["side"] for row in live[-10:]}


def test_limits_are_kept_account_of(exchange: Desk) -> None:
    statuses = [exchange.get("/products")[0] for _ in range(16)]
    assert statuses == [200] * 15 + [429]
    for number in range(2, 23):
        exchange.venue.opened(number, "/", exchange.at)
    assert [text for text in exchange.venue.violations if "connections" in text]


def test_private_paths_want_a_signature(advanced: Desk, exchange: Desk) -> None:
    assert advanced.get("/api/v3/brokerage/accounts")[0] == 401
    assert exchange.get("/accounts")[0] == 401
    assert exchange.get("/products/BTC-USD/book?level=2")[0] == 200
    assert advanced.get("/api/v3/brokerage/market/product_book?product_id=BTC-USD&limit=5")[0] == 200
    assert advanced.get("/api/v3/brokerage/market/products/FOO-USD/ticker")[0] == 404


def test_equal_seeds_make_equal_markets() -> None:
    def told() -> list[dict[str, Any]]:
        desk = Desk(CoinbaseExchangeVenue(VenueOptions(seed=9, symbols=["BTC-USD"])))
        desk.say(type="subscribe", product_ids=["BTC-USD"], channels=["matches", "level2_batch", "ticker"])
        return desk.wait(3)

    assert told() == told()


def test_an_impossible_symbol_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="BTC"):
        CoinbaseExchangeVenue(VenueOptions(symbols=["BTC"]))
