"""The simulated OKX in memory: requests in, frames out, and every stream checked against a naive reading of it."""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tickhive.channels import DataType
from tickhive.plugin.venue import Hangup, Send, VenueOptions
from tickhive_okx.venue import OKXVenue

SECOND = 1_000_000_000
START = 1_791_369_351 * SECOND
PUBLIC, BUSINESS = "/ws/v5/public", "/ws/v5/business"
SWAP = "BTC-USDT-SWAP"
SYMBOLS = (
    "BTC-USDT",
    "BTC-USDT-PERP",
    "BTC-USD-PERP",
    "BTC-USD-20261225",
    "BTC-USD-20261225-60000-C",
    "ETH-USD-20261225-2500-P",
)


class Desk:
    """A venue with time, and what its connections were told."""

    def __init__(self, seed: int = 1, symbols: tuple[str, ...] = SYMBOLS, **options: Any) -> None:
        options.setdefault("early_data", 0.0)
        self.venue = OKXVenue(VenueOptions(seed=seed, symbols=symbols), **options)
        self.at = START
        self.frames: dict[int, list[Any]] = defaultdict(list)
        self.hangups: dict[int, Hangup] = {}
        self.venue.advance(self.at)

    def dial(self, path: str = PUBLIC, connection: int = 1) -> Desk:
        self.venue.opened(connection, path, self.at)
        return self.take()

    def say(self, frame: str | bytes | dict[str, Any], connection: int = 1) -> list[Any]:
        """Send a frame; answers what came back at once."""
        had = len(self.frames[connection])
        self.venue.received(connection, json.dumps(frame) if isinstance(frame, dict) else frame, self.at)
        self.take()
        return self.frames[connection][had:]

    def subscribe(self, *channels: str, native: str = SWAP, connection: int = 1) -> list[Any]:
        args = [{"channel": channel, "instId": native} for channel in channels]
        return self.say({"op": "subscribe", "args": args}, connection)

    def wait(self, seconds: float, steps: int = 1) -> Desk:
        for _ in range(steps):
            self.at += int(seconds * SECOND / steps)
            self.venue.advance(self.at)
            self.take()
        return self

    def take(self) -> Desk:
        for item in self.venue.outgoing():
            if isinstance(item, Send):
                assert isinstance(item.frame, str)
                text = item.frame
                self.frames[item.connection].append(json.loads(text) if text.startswith("{") else text)
            else:
                self.hangups[item.connection] = item
        return self

    def pushes(self, channel: str, connection: int = 1) -> list[Any]:
        return [f for f in self.frames[connection] if "data" in f and f["arg"]["channel"] == channel]

    def get(self, path: str) -> Any:
        answer = self.venue.request("GET", "/api/v5" + path, {}, b"", self.at)
        return json.loads(answer.body)


class NaiveBook:
    """A book kept the simplest way; counts what does not fit."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.last: int | None = None
        self.breaks = 0

    def apply(self, frame: Any) -> None:
        item = frame["data"][0]
        if frame["action"] == "snapshot":
            assert item["prevSeqId"] == -1
            self.sides = {"bids": {}, "asks": {}}
        elif item["prevSeqId"] != self.last:
            self.breaks += 1
        self.last = item["seqId"]
        for side, levels in self.sides.items():
            for price, size, _, _ in item[side]:
                if size == "0":
                    levels.pop(price, None)
                else:
                    levels[price] = size

    def checksum(self) -> int:
        bids = sorted(self.sides["bids"].items(), key=lambda row: -Decimal(row[0]))[:25]
        asks = sorted(self.sides["asks"].items(), key=lambda row: Decimal(row[0]))[:25]
        text = ":".join(f"{px}:{sz}" for pair in zip(bids, asks, strict=True) for px, sz in pair)
        return int.from_bytes(zlib.crc32(text.encode()).to_bytes(4, "big"), "big", signed=True)

    def truth(self, desk: Desk, native: str) -> bool:
        rows = desk.get(f"/market/books?instId={native}&sz=400")["data"][0]
        return all({row[0]: row[1] for row in rows[side]} == self.sides[side] for side in self.sides)


# The conversation.


def test_every_argument_is_acknowledged_for_itself_and_a_bad_one_spoils_nothing() -> None:
    desk = Desk().dial()
    args = [{"channel": c, "instId": i} for c, i in (("trades", SWAP), ("trades", "NOPE"), ("mark-price", SWAP))]
    answers = desk.say({"id": "s1", "op": "subscribe", "args": args})
    conn_id = answers[0]["connId"]
    assert answers[0] == {"id": "s1", "event": "subscribe", "arg": args[0], "connId": conn_id}
    assert (answers[1]["event"], answers[1]["code"], answers[1]["id"]) == ("error", "60018", "s1")
    assert "instId:NOPE" in answers[1]["msg"]
    assert answers[2] == {"id": "s1", "event": "subscribe", "arg": args[2], "connId": conn_id}
    desk.wait(5)
    assert desk.pushes("trades")
    assert desk.pushes("mark-price")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "60012"),
        ("[]", "60012"),
        ('"ping"', "60012"),
        ("[" * 5000, "60012"),
        (b"ping", "60012"),
        ({"op": "order", "args": [{}]}, "60012"),
        ({"op": "subscribe"}, "60013"),
        ({"op": "subscribe", "args": []}, "60013"),
        ({"op": "subscribe", "args": ["trades"]}, "60013"),
        ({"op": "subscribe", "args": [{"instId": SWAP}]}, "60013"),
        ({"op": "subscribe", "args": [{"channel": 5}]}, "60013"),
        ({"op": "subscribe", "id": "a-b", "args": [{"channel": "trades", "instId": SWAP}]}, "60033"),
        ({"op": "subscribe", "id": "x" * 33, "args": [{"channel": "trades", "instId": SWAP}]}, "60033"),
        ({"op": "subscribe", "args": [{"channel": "trades"}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "books-grouped", "instId": SWAP}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "candle1m", "instId": SWAP}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "trades-all", "instId": SWAP}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "funding-rate", "instId": "BTC-USDT"}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "open-interest", "instId": "BTC-USDT"}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "index-tickers", "instId": SWAP}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "liquidation-orders", "instType": "SPOT"}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "liquidation-orders", "instType": "SWAP", "instId": SWAP}]}, "60018"),
        ({"op": "subscribe", "args": [{"channel": "books-l2-tbt", "instId": SWAP}]}, "60011"),
        ({"op": "login", "args": [{"apiKey": "k"}]}, "60009"),
    ],
)
def test_bad_requests_get_an_error_and_the_connection_lives(frame: Any, code: str) -> None:
    desk = Desk().dial()
    (answer,) = desk.say(frame)
    assert (answer["event"], answer["code"]) == ("error", code)
    assert desk.say("ping") == ["pong"]
    assert not desk.hangups


def test_a_private_socket_asks_for_a_login() -> None:
    assert Desk().dial("/ws/v5/private").subscribe("trades")[0]["code"] == "60011"


def test_a_wrong_path_is_closed() -> None:
    assert Desk().dial("/ws/v5/pubic").hangups[1].code == 4002


def test_unsubscribing_ends_a_stream_and_is_acknowledged() -> None:
    desk = Desk().dial()
    desk.subscribe("trades", "mark-price")
    desk.wait(1)
    (answer,) = desk.say({"id": "u1", "op": "unsubscribe", "args": [{"channel": "trades", "instId": SWAP}]})
    assert (answer["id"], answer["event"]) == ("u1", "unsubscribe")
    had = len(desk.pushes("trades"))
    desk.wait(5)
    assert len(desk.pushes("trades")) == had > 0


@pytest.mark.parametrize("subscribed", [False, True])
def test_thirty_seconds_of_silence_end_a_connection(subscribed: bool) -> None:
    desk = Desk().dial()
    if subscribed:
        desk.say({"op": "subscribe", "args": [{"channel": "instruments", "instType": "SPOT"}]})
    desk.wait(29.9)
    assert not desk.hangups
    desk.say("ping")
    desk.wait(29.9)
    assert not desk.hangups
    due = desk.venue.advance(desk.at)
    assert due is not None
    assert due <= desk.at + SECOND // 10
    desk.wait(0.2)
    assert desk.hangups[1].code == 4004


def test_data_keeps_a_connection_alive() -> None:
    desk = Desk(symbols=("BTC-USDT",)).dial()
    desk.subscribe("trades", native="BTC-USDT")
    assert not desk.wait(60, steps=60).hangups


def test_payload_limits() -> None:
    desk = Desk().dial()
    desk.say("x" * 65_537)
    assert desk.hangups[1].code == 1009
    desk.dial(connection=2)
    args = [{"channel": "mark-price", "instId": SWAP}] * 500
    for _ in range(3):
        desk.say({"op": "subscribe", "args": args}, connection=2)
    assert desk.hangups[2].code == 4009


def test_480_requests_an_hour() -> None:
    desk = Desk(symbols=("BTC-USDT",)).dial()
    request = {"op": "unsubscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]}
    for _ in range(480):
        assert desk.say(request)[0]["event"] == "unsubscribe"
    assert desk.say(request)[0]["code"] == "60014"


def test_dialling_too_fast_is_noted() -> None:
    desk = Desk()
    for connection in range(1, 5):
        desk.dial(connection=connection)
    assert len(desk.venue.violations) == 1


def test_notice_and_kick() -> None:
    desk = Desk().dial().dial(connection=2)
    desk.venue.notice()
    desk.venue.kick(2, 4006)
    desk.take()
    assert [desk.frames[c][-1]["code"] for c in (1, 2)] == ["64008", "64008"]
    assert desk.hangups[2].code == 4006
    assert 1 not in desk.hangups


def test_data_may_precede_its_acknowledgement() -> None:
    def order(early: float, seed: int = 1) -> list[str]:
        desk = Desk(seed=seed, early_data=early).dial()
        answers = desk.subscribe("books", "tickers", "mark-price", "bbo-tbt", "books5", "price-limit")
        return [frame.get("event", "data") for frame in answers]

    assert order(0.0) == ["subscribe", "data"] * 6
    assert order(1.0) == ["data", "subscribe"] * 6
    assert order(0.5) == order(0.5)
    assert len({tuple(order(0.5, seed)) for seed in range(5)}) > 1


# The streams.


def everything(seed: int, steps: int) -> tuple[list[Any], Any]:
    desk = Desk(seed).dial().dial(BUSINESS, 2)
    public = ("trades", "tickers", "books", "books5", "bbo-tbt", "mark-price", "funding-rate", "open-interest")
    desk.subscribe(*public, "price-limit")
    desk.subscribe(*public[:5], native="BTC-USD-261225-60000-C")
    desk.subscribe("index-tickers", native="BTC-USD")
    desk.say({"op": "subscribe", "args": [{"channel": "liquidation-orders", "instType": "SWAP"}]})
    desk.say({"op": "subscribe", "args": [{"channel": "instruments", "instType": "SWAP", "instFamily": "BTC-USDT"}]})
    desk.subscribe("trades-all", "candle1m", "candle1s", "candle1D", connection=2)
    desk.wait(15, steps)
    desk.venue.change_instrument("BTC-USDT-PERP", state="suspend")
    desk.take()
    return desk.frames[1] + desk.frames[2], desk


def test_the_same_seed_gives_the_same_frames_however_often_it_is_advanced() -> None:
    once, desk = everything(7, 1)
    often, _ = everything(7, 100)
    assert once == often
    assert everything(8, 1)[0] != once
    # The log counts what was put on the wire, item by item.
    types = {"trades": "trade", "trades-all": "trade", "books": "orderbook", "books5": "orderbook", "bbo-tbt": "quote"}
    types |= {"tickers": "ticker", "index-tickers": "index_price", "liquidation-orders": "liquidation"}
    types |= {"instruments": "instrument"}
    counted: Counter[str] = Counter()
    for frame in once:
        if "data" in frame:
            channel = frame["arg"]["channel"]
            name = "candle" if channel.startswith("candle") else types.get(channel, channel.replace("-", "_"))
            counted[name] += len(frame["data"])
    assert counted == {data_type.value: events for data_type, events in desk.venue.log.by_type().items()}
    assert set(counted) == {data_type for data_type in DataType if not data_type.private}
    symbols = {symbol for symbol, _ in desk.venue.log.sent}
    assert {"BTC-USDT-PERP", "BTC-USD-20261225-60000-C", "BTC-USD"} <= symbols


@pytest.mark.parametrize("native", ["BTC-USDT", SWAP, "BTC-USD-261225", "ETH-USD-261225-2500-P"])
def test_books_chain_and_match_the_truth_with_checksums(native: str) -> None:
    desk = Desk(3, checksums=True).dial().dial(connection=2)
    desk.subscribe("books", native=native)
    desk.wait(2.05)
    joined = desk.subscribe("books", native=native, connection=2)[-1]  # between two pushes
    assert joined["data"][0]["seqId"] == desk.pushes("books")[-1]["data"][0]["seqId"]
    early = NaiveBook()
    for frame in desk.pushes("books"):
        early.apply(frame)
    assert early.truth(desk, native)  # what was due came first, so both listeners stand at the same place
    desk.wait(28)
    books = {}
    for connection in (1, 2):
        book = books[connection] = NaiveBook()
        for frame in desk.pushes("books", connection):
            book.apply(frame)
            assert book.checksum() == frame["data"][0]["checksum"]
        assert book.breaks == 0
    assert books[1].sides == books[2].sides
    assert books[1].last == books[2].last
    assert len(books[1].sides["bids"]) == (20 if native.endswith("-P") else 400)
    assert desk.pushes("books")[-1] == desk.pushes("books", 2)[-1]


def test_a_book_equals_the_market_at_the_end_of_a_push() -> None:
    desk = Desk(3, symbols=("BTC-USDT",)).dial()
    desk.subscribe("books", native="BTC-USDT")
    book, seen, right = NaiveBook(), 0, 0
    for _ in range(60):
        desk.wait(0.1 - (desk.at % (SECOND // 10)) / SECOND)
        for frame in desk.pushes("books")[seen:]:
            book.apply(frame)
            seen += 1
        right += book.truth(desk, "BTC-USDT")
    assert right == 60
    assert book.breaks == 0


def test_a_rest_book_bridges_into_updates_that_began_without_a_snapshot() -> None:
    desk = Desk(4, symbols=("BTC-USDT",), snapshots=False).dial()
    assert [f.get("event") for f in desk.subscribe("books", native="BTC-USDT")] == ["subscribe"]
    desk.wait(1.07)
    rest = desk.get("/market/books?instId=BTC-USDT&sz=400")["data"][0]
    desk.wait(3)
    updates = [f["data"][0] for f in desk.pushes("books") if f["data"][0]["seqId"] > rest["seqId"]]
    assert updates[0]["prevSeqId"] <= rest["seqId"] < updates[0]["seqId"]
    book = NaiveBook()
    book.apply({"action": "snapshot", "data": [rest | {"prevSeqId": -1}]})
    book.last = updates[0]["prevSeqId"]
    for update in updates:
        book.apply({"action": "update", "data": [update]})
    book_after = Desk(4, symbols=("BTC-USDT",)).dial()
    book_after.subscribe("books", native="BTC-USDT")
    expected = NaiveBook()
    for frame in book_after.wait(4.07).pushes("books"):
        expected.apply(frame)
    assert book.sides == expected.sides


def test_small_books_are_the_top_of_the_large_one() -> None:
    desk = Desk(5, symbols=("BTC-USDT",)).dial()
    desk.subscribe("books", "books5", "bbo-tbt", native="BTC-USDT")
    desk.wait(3.0)
    book = NaiveBook()
    for frame in desk.pushes("books"):
        book.apply(frame)
    five = desk.pushes("books5")[-1]
    assert "action" not in five
    item = five["data"][0]
    assert item["instId"] == "BTC-USDT"
    assert len(item["asks"]) == len(item["bids"]) == 5
    assert {row[0]: row[1] for row in item["asks"]}.items() <= book.sides["asks"].items()
    best = desk.pushes("bbo-tbt")
    assert all(len(frame["data"][0]["bids"]) == 1 for frame in best)
    assert len({json.dumps(frame["data"][0]["bids"] + frame["data"][0]["asks"]) for frame in best}) > 5
    times = [int(frame["data"][0]["ts"]) for frame in desk.pushes("books")[1:]]
    assert all(ts % 100 == 0 for ts in times)


def test_trades_are_aggregates_of_all_trades_with_consecutive_ids() -> None:
    desk = Desk(6).dial().dial(BUSINESS, 2)
    desk.subscribe("trades")
    desk.subscribe("trades-all", connection=2)
    desk.wait(20)
    rows = [row for frame in desk.pushes("trades") for row in frame["data"]]
    matches = [row for frame in desk.pushes("trades-all", 2) for row in frame["data"]]
    ids = [int(row["tradeId"]) for row in matches]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for earlier, later in pairwise(rows):
        assert int(later["tradeId"]) - int(later["count"]) == int(earlier["tradeId"])
    assert sum(Decimal(r["sz"]) for r in rows) == sum(Decimal(r["sz"]) for r in matches)
    assert sum(int(r["count"]) for r in rows) == len(matches)


def test_candles_close_once_and_hold_the_trades() -> None:
    desk = Desk(7, symbols=("BTC-USDT-PERP",)).dial().dial(BUSINESS, 2)
    desk.subscribe("trades")
    desk.subscribe("candle1m", connection=2)
    desk.wait(185, steps=50)
    rows = [frame["data"][0] for frame in desk.pushes("candle1m", 2)]
    closed = [row for row in rows if row[8] == "1"]
    assert len({row[0] for row in closed}) == len(closed) >= 3
    trades = [row for frame in desk.pushes("trades") for row in frame["data"]]
    whole = closed[1]
    inside = [t for t in trades if 0 <= int(t["ts"]) - int(whole[0]) < 60_000]
    assert Decimal(whole[5]) == sum(Decimal(t["sz"]) for t in inside)
    assert (whole[1], whole[4]) == (inside[0]["px"], inside[-1]["px"])
    assert Decimal(whole[6]) == Decimal(whole[5]) * Decimal("0.01")
    per_second = Counter(row[0] for row in rows)
    assert max(per_second.values()) <= 61


def test_a_quiet_book_is_kept_alive() -> None:
    desk = Desk(1, symbols=("BTC-USDT",)).dial()
    desk.subscribe("books", native="BTC-USDT")
    # The market stands still when nothing happens on its only instrument.
    desk.venue.market._due.clear()
    desk.wait(61, steps=3)
    desk.say("ping")
    desk.wait(1)
    item = desk.pushes("books")[-1]["data"][0]
    assert item["prevSeqId"] == item["seqId"]
    assert item["bids"] == item["asks"] == []


def test_a_maintenance_lowers_the_number_and_keeps_the_chain() -> None:
    desk = Desk(1).dial()
    desk.subscribe("books")
    desk.wait(1)
    desk.venue.reset_sequence("BTC-USDT-PERP")
    desk.wait(2)
    items = [frame["data"][0] for frame in desk.pushes("books")]
    lowered = [item for item in items if item["seqId"] < item["prevSeqId"]]
    assert len(lowered) == 1
    book = NaiveBook()
    for frame in desk.pushes("books"):
        book.apply(frame)
    assert book.breaks == 0


# Faults.


@pytest.mark.parametrize(("fault", "breaks"), [("drop", 1), ("repeat", 1), ("swap", 3)])
def test_faults_break_the_chain_of_one_book_only(fault: Any, breaks: int) -> None:
    desk = Desk(1).dial()
    desk.subscribe("books")
    desk.subscribe("books", native="BTC-USDT")
    desk.venue.faults.plan(fault, SWAP)
    desk.wait(3)
    for native, expected in ((SWAP, breaks), ("BTC-USDT", 0)):
        book = NaiveBook()
        for frame in desk.pushes("books"):
            if frame["arg"]["instId"] == native:
                book.apply(frame)
        assert book.breaks == expected
    sent = desk.venue.log.sent["BTC-USDT-PERP", DataType.ORDERBOOK]
    assert sent == sum(frame["arg"]["instId"] == SWAP for frame in desk.pushes("books"))


def test_a_corrupted_level_fails_the_checksum_and_nothing_else() -> None:
    desk = Desk(1, checksums=True).dial()
    desk.subscribe("books")
    desk.venue.faults.plan("corrupt", SWAP)
    clean = Desk(1, checksums=True).dial()
    clean.subscribe("books")
    differing = [
        (ours, theirs)
        for ours, theirs in zip(desk.wait(2).frames[1], clean.wait(2).frames[1], strict=True)
        if ours != theirs and "event" not in ours
    ]
    assert len(differing) == 1


def test_silence_of_one_symbol() -> None:
    desk = Desk(1).dial()
    desk.subscribe("trades")
    desk.subscribe("trades", native="BTC-USDT")
    desk.venue.faults.silent.add(SWAP)
    desk.wait(5)
    assert {frame["arg"]["instId"] for frame in desk.pushes("trades")} == {"BTC-USDT"}


def test_unanswered_requests_and_pings() -> None:
    desk = Desk(1).dial()
    desk.venue.faults.no_acks = desk.venue.faults.deaf = True
    assert desk.subscribe("trades") == []
    assert desk.say("ping") == []
    desk.venue.faults.rest = [503, 429]
    statuses = [desk.venue.request("GET", "/api/v5/public/time", {}, b"", desk.at).status for _ in range(3)]
    assert statuses == [503, 429, 200]


# REST.


@pytest.mark.parametrize(
    ("query", "some", "fields"),
    [
        ("SPOT", "BTC-USDT", {"baseCcy": "BTC", "quoteCcy": "USDT", "tickSz": "0.1", "state": "live"}),
        ("SWAP", "BTC-USD-SWAP", {"ctType": "inverse", "ctVal": "100", "ctValCcy": "USD", "settleCcy": "BTC"}),
        ("SWAP", SWAP, {"ctType": "linear", "ctVal": "0.01", "ctValCcy": "BTC", "settleCcy": "USDT"}),
        ("FUTURES", "BTC-USD-261225", {"expTime": "1798185600000", "instFamily": "BTC-USD"}),
        ("OPTION&instFamily=BTC-USD", "BTC-USD-261225-60000-C", {"optType": "C", "stk": "60000", "uly": "BTC-USD"}),
    ],
)
def test_instruments(query: str, some: str, fields: dict[str, str]) -> None:
    reply = Desk(symbols=()).get(f"/public/instruments?instType={query}")
    assert (reply["code"], reply["msg"]) == ("0", "")
    row = next(row for row in reply["data"] if row["instId"] == some)
    assert row.items() >= fields.items()
    assert all(row["instType"] == query.split("&")[0] for row in reply["data"])


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/public/instruments", "51000"),
        ("/public/instruments?instType=OPTION", "50015"),
        ("/market/books", "50014"),
        ("/market/books?instId=NOPE", "51001"),
        ("/market/books?instId=BTC-USDT&sz=many", "51000"),
        ("/market/candles?instId=BTC-USDT&bar=7m", "51000"),
        ("/market/history-trades?instId=BTC-USDT&after=x", "51000"),
        ("/public/funding-rate?instId=BTC-USDT", "51000"),
        ("/market/index-tickers?instId=NOPE", "51001"),
        ("/market/nothing", "404"),
    ],
)
def test_bad_rest_requests(path: str, code: str) -> None:
    reply = Desk().get(path)
    assert (reply["code"], reply["data"]) == (code, [])
    assert reply["msg"]


def test_history_pages_through_every_match_by_id_and_by_time() -> None:
    desk = Desk(9).dial(BUSINESS)
    desk.subscribe("trades-all")
    desk.wait(30)
    streamed = [row for frame in desk.pushes("trades-all") for row in frame["data"]]
    newest = int(streamed[-1]["tradeId"])
    paged: list[Any] = []
    after = newest + 1
    while page := desk.get(f"/market/history-trades?instId={SWAP}&type=1&after={after}&limit=50")["data"]:
        assert len(page) <= 50
        paged += page
        after = int(page[-1]["tradeId"])
    assert paged[: len(streamed)] == streamed[::-1]
    first, last = int(streamed[3]["tradeId"]), int(streamed[8]["tradeId"])
    hole = desk.get(f"/market/history-trades?instId={SWAP}&type=1&before={first}&after={last}")["data"]
    assert [int(row["tradeId"]) for row in hole] == list(range(last - 1, first, -1))
    by_time = desk.get(f"/market/history-trades?instId={SWAP}&type=2&before={streamed[-1]['ts']}")["data"]
    assert by_time == []
    latest = desk.get(f"/market/trades?instId={SWAP}&limit=2")["data"]
    assert latest[0]["tradeId"] == str(newest)


def test_candles_are_newest_first_and_bounded() -> None:
    desk = Desk(9).wait(61)
    rows = desk.get("/market/candles?instId=BTC-USDT&bar=5m&limit=10")["data"]
    starts = [int(row[0]) for row in rows]
    assert starts == sorted(starts, reverse=True)
    assert [row[8] for row in rows] == ["0"] + ["1"] * 9
    older = desk.get(f"/market/candles?instId=BTC-USDT&bar=5m&after={starts[3]}")["data"]
    assert int(older[0][0]) == starts[4]


@pytest.mark.parametrize(
    "path",
    [
        "/public/time",
        f"/public/mark-price?instId={SWAP}",
        f"/public/price-limit?instId={SWAP}",
        f"/public/open-interest?instId={SWAP}",
        f"/public/funding-rate?instId={SWAP}",
        f"/market/ticker?instId={SWAP}",
        "/market/index-tickers?instId=BTC-USD",
    ],
)
def test_single_values(path: str) -> None:
    (row,) = Desk().get(path)["data"]
    assert row["ts"] == str(START // 1_000_000)


# Options.


def test_chosen_symbols_trade_and_no_others() -> None:
    symbols = ("ZZZ-USDT", "ZZZ-USDT-PERP", "BTC-USD-20270326", "BTC-USD-20270326-50000-P")
    desk = Desk(symbols=symbols)
    assert desk.venue.symbols == symbols
    assert [desk.venue.native(symbol) for symbol in symbols] == [
        "ZZZ-USDT",
        "ZZZ-USDT-SWAP",
        "BTC-USD-270326",
        "BTC-USD-270326-50000-P",
    ]
    assert len(desk.get("/public/instruments?instType=SPOT")["data"]) == 1


def test_impossible_options_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'BTCUSDT'"):
        OKXVenue(VenueOptions(symbols=["BTCUSDT"]))
    with pytest.raises(ValueError, match="speed"):
        OKXVenue(VenueOptions(speed=0))
    with pytest.raises(ValueError, match="not begun"):
        _ = OKXVenue().market


def test_speed_and_start_shift_the_markets_time() -> None:
    venue = OKXVenue(VenueOptions(start=START, speed=60.0))
    venue.advance(5)
    due = venue.advance(5 + SECOND)
    assert venue.market.now == START + 60 * SECOND
    assert due is not None
    assert 5 + SECOND < due < 5 + SECOND + SECOND // 100
