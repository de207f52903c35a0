"""The simulated OKX's private side: logins, pushes and signed REST; and a session's conversation with it in memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest

from tickhive.channels import EVERY, Channel, DataType, InstrumentTable
from tickhive.events import Balance, Fill, Gap, MarketEvent, Order, Position, SubscriptionUpdate
from tickhive.plugin.contract import Credentials
from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.venue import Hangup, Send, VenueOptions
from tickhive.session import Feed, Session
from tickhive_okx import plugin
from tickhive_okx.settings import OKXSettings
from tickhive_okx.venue import OKXVenue
from tickhive_okx.venue_account import SimulatedAccount

SECOND = 1_000_000_000
START = 1_791_369_351 * SECOND
PRIVATE, PUBLIC = "/ws/v5/private", "/ws/v5/public"
KEY, SECRET, PHRASE = "a-key-7f3a", "a-secret-91cc", "a-phrase-e0d5"
MAIN = Credentials("main", KEY, SECRET, PHRASE)
SYMBOLS = ("BTC-USDT", "BTC-USDT-PERP")
TYPES = (DataType.BALANCE, DataType.POSITION, DataType.ORDER, DataType.FILL)


def simulated(**options: Any) -> SimulatedAccount:
    return SimulatedAccount(KEY, SECRET, PHRASE, **options)


class Desk:
    """A venue with accounts and time, and what its connections were told."""

    def __init__(self, *accounts: SimulatedAccount, **options: Any) -> None:
        self.account = accounts[0] if accounts else simulated()
        every = accounts or (self.account,)
        self.venue = OKXVenue(VenueOptions(symbols=SYMBOLS), early_data=0.0, accounts=every, **options)
        self.at = START
        self.frames: list[tuple[int, Any]] = []
        self.hangups: dict[int, Hangup] = {}
        self.venue.advance(self.at)

    def dial(self, path: str = PRIVATE, connection: int = 1) -> Desk:
        self.venue.opened(connection, path, self.at)
        return self

    def take(self) -> list[tuple[int, Any]]:
        new: list[tuple[int, Any]] = []
        for item in self.venue.outgoing():
            if isinstance(item, Send):
                new.append((item.connection, json.loads(item.frame)))
            else:
                self.hangups[item.connection] = item
        self.frames += new
        return new

    def say(self, frame: Any, connection: int = 1) -> list[Any]:
        self.venue.received(connection, json.dumps(frame), self.at)
        return [told for number, told in self.take() if number == connection]

    def login(self, connection: int = 1, **changes: str) -> Any:
        timestamp = changes.get("timestamp", str(self.at // SECOND))
        args = {"apiKey": KEY, "passphrase": PHRASE, "timestamp": timestamp}
        args["sign"] = sign(changes.pop("secret", SECRET), f"{timestamp}GET/users/self/verify")
        (answer,) = self.say({"op": "login", "args": [args | changes]}, connection)
        return answer

    def subscribe(self, connection: int = 1, **arg: str) -> list[Any]:
        return self.say({"op": "subscribe", "args": [arg]}, connection)

    def get(self, path: str, **changes: str) -> tuple[int, Any]:
        moment = changes.pop("timestamp", "2026-10-07T10:35:51.000Z")
        headers = {"ok-access-key": KEY, "ok-access-passphrase": PHRASE, "ok-access-timestamp": moment}
        headers["ok-access-sign"] = sign(SECRET, f"{moment}GET/api/v5{path}")
        answer = self.venue.request("GET", "/api/v5" + path, headers | changes, b"", self.at)
        return answer.status, json.loads(answer.body)


def sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


# The venue by itself


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"timestamp": f"{START // SECOND - 29}.5"}, None),
        ({"timestamp": str(START // SECOND - 31)}, "60006"),
        ({"timestamp": str(START // SECOND + 31)}, "60006"),
        ({"timestamp": "soon"}, "60004"),
        ({"apiKey": "other"}, "60005"),
        ({"passphrase": "other"}, "60024"),
        ({"secret": "other"}, "60007"),
        ({"sign": 5}, "60009"),
    ],
)
@pytest.mark.parametrize("path", [PRIVATE, PUBLIC])
def test_who_may_log_in(path: str, changes: Any, code: str | None) -> None:
    answer = Desk().dial(path).login(**changes)
    assert answer["event"] == ("login" if code is None else "error")
    assert answer["code"] == (code or "0")


def test_a_second_login_is_refused_and_harmless() -> None:
    desk = Desk().dial()
    desk.login()
    assert desk.login()["code"] == "60031"
    assert desk.subscribe(channel="account")[0]["event"] == "subscribe"


@pytest.mark.parametrize(
    ("path", "arg", "code"),
    [
        (PRIVATE, {"channel": "orders"}, "60018"),
        (PRIVATE, {"channel": "positions", "instType": "SPOT"}, "60018"),
        (PRIVATE, {"channel": "trades", "instId": "BTC-USDT"}, "60018"),
        (PUBLIC, {"channel": "account"}, "60018"),
        (PRIVATE, {"channel": "fills"}, "64003"),
        (PUBLIC, {"channel": "books-l2-tbt", "instId": "BTC-USDT"}, "64003"),
    ],
)
def test_what_a_login_does_not_open(path: str, arg: Any, code: str) -> None:
    desk = Desk().dial(path)
    assert desk.subscribe(**arg)[0]["code"] in (code, "60011")
    desk.login()
    assert desk.subscribe(**arg)[0]["code"] == code


def test_fine_books_go_with_no_other() -> None:
    desk = Desk(simulated(vip=True)).dial(PUBLIC)
    desk.login()
    assert desk.subscribe(channel="books", instId="BTC-USDT")[0]["event"] == "subscribe"
    assert desk.subscribe(channel="books-l2-tbt", instId="BTC-USDT")[0]["code"] == "64004"
    assert desk.subscribe(channel="books50-l2-tbt", instId="BTC-USDT")[0]["event"] == "subscribe"


def test_a_snapshot_comes_in_pages() -> None:
    desk = Desk(simulated(page=2)).dial()
    for number in range(5):
        desk.account.set_balance(f"C{number}", "1")
    desk.login()
    ack, count, *pages = desk.subscribe(channel="account")
    assert (ack["event"], count["event"], count["connCount"]) == ("subscribe", "channel-conn-count", "1")
    assert [(page["eventType"], page["curPage"], page["lastPage"]) for page in pages] == [
        ("snapshot", 1, False), ("snapshot", 2, False), ("snapshot", 3, True),
    ]  # fmt: skip
    assert [len(page["data"][0]["details"]) for page in pages] == [2, 2, 1]


def test_one_connection_too_many_gets_nothing() -> None:
    desk = Desk(simulated(connections=1)).dial().dial(connection=2)
    desk.login()
    desk.login(2)
    desk.subscribe(channel="orders", instType="ANY")
    ack, refused = desk.subscribe(2, channel="orders", instType="ANY")
    assert (ack["event"], refused["event"]) == ("subscribe", "channel-conn-count-error")
    desk.account.place_order("BTC-USDT", "buy", "1", "5")
    assert [connection for connection, _ in desk.take()] == [1]


def test_an_argument_chooses_what_is_told() -> None:
    desk = Desk().dial()
    desk.login()
    desk.subscribe(channel="orders", instType="SWAP", instId="BTC-USDT-SWAP")
    desk.account.place_order("BTC-USDT", "buy", "1", "5")
    assert desk.take() == []
    desk.account.place_order("BTC-USDT-SWAP", "buy", "1", "5")
    ((_, told),) = desk.take()
    assert told["arg"] == {
        "channel": "orders", "instType": "SWAP", "instId": "BTC-USDT-SWAP", "uid": desk.account.uid,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ok-access-key": ""}, "50103"),
        ({"ok-access-passphrase": ""}, "50104"),
        ({"ok-access-sign": ""}, "50106"),
        ({"ok-access-timestamp": ""}, "50107"),
        ({"ok-access-timestamp": "now"}, "50112"),
        ({"timestamp": "2026-10-07T10:34:51.000Z"}, "50102"),
        ({"ok-access-key": "other"}, "50111"),
        ({"x-simulated-trading": "1"}, "50101"),
        ({"ok-access-passphrase": "other"}, "50105"),
        ({"ok-access-sign": "other"}, "50113"),
    ],
)
def test_who_may_ask_by_rest(changes: Any, code: str) -> None:
    status, body = Desk().get("/trade/fills", **changes)
    assert (status, body["code"]) == (401, code)


def test_demo_trading_wants_its_header() -> None:
    desk = Desk(demo=True)
    assert desk.get("/account/balance")[1]["code"] == "50101"
    assert desk.get("/account/balance", **{"x-simulated-trading": "1"})[1]["code"] == "0"


def test_rest_tells_the_same_account_in_pages() -> None:
    desk = Desk()
    desk.account.set_balance("USDT", "1000")
    desk.account.set_position("BTC-USDT-SWAP", "3")
    orders = [desk.account.place_order("BTC-USDT", "buy", "2", "5") for _ in range(5)]
    trades = [desk.account.fill(order, "1") for order in orders]
    assert [row["ccy"] for row in desk.get("/account/balance")[1]["data"][0]["details"]] == ["USDT", "BTC"]
    assert desk.get("/account/positions?instType=SWAP")[1]["data"][0]["pos"] == "3"
    first = desk.get("/trade/orders-pending?limit=3")[1]["data"]
    assert [row["ordId"] for row in first] == orders[:1:-1]
    rest = desk.get(f"/trade/orders-pending?limit=3&after={first[-1]['ordId']}")[1]["data"]
    assert [row["ordId"] for row in rest] == orders[1::-1]
    assert [row["tradeId"] for row in desk.get("/trade/fills")[1]["data"]] == trades[::-1]


# Both sides


class Line:
    """Sessions of one feed that talk to the venue in memory, everything at once."""

    def __init__(self, desk: Desk, *channels: Channel, credentials: Credentials = MAIN, **settings: Any) -> None:
        self.desk = desk
        self.stack = ExchangeStack.from_plugin("okx", plugin)
        self.settings = OKXSettings(**settings)
        table = InstrumentTable("okx", {"BTC-USDT": "BTC-USDT", "BTC-USDT-SWAP": "BTC-USDT-PERP"})
        self.feed = Feed(self.stack, "okx", self.settings, table)
        self.credentials = credentials
        (self.dial,) = self.stack.call.connect(
            channels=channels, settings=self.settings, credentials=credentials, dials=()
        )
        self.events: list[MarketEvent] = []
        self.connection = 0
        self.open()

    def open(self) -> None:
        self.connection += 1
        self.session = Session(self.stack, self.dial, self.feed, credentials=self.credentials)
        self.desk.dial(urlsplit(self.dial.urls[0]).path, self.connection)
        self.session.opened(self.desk.at)
        self.run()

    def run(self) -> list[MarketEvent]:
        """Let both sides say what they have to say; answers the data that came."""
        came: list[MarketEvent] = []
        session, venue, at = self.session, self.desk.venue, self.desk.at
        while True:
            for request in session.outbox:
                venue.received(self.connection, request.frame, at)
            session.outbox.clear()
            fetches, session.fetches[:] = list(session.fetches), []
            for fetch in fetches:
                signed = plugin.sign(fetch, self.credentials, at)
                url = urlsplit(signed.url)
                headers = {name.lower(): value for name, value in signed.headers.items()}
                answer = venue.request("GET", f"{url.path}?{url.query}".rstrip("?"), headers, b"", at)
                assert answer.status == 200, answer.body
                came += session.answered(fetch, answer, at)
            said = venue.outgoing()
            frames = [item.frame.encode() for item in said if isinstance(item, Send) and isinstance(item.frame, str)]
            self.desk.hangups.update({item.connection: item for item in said if isinstance(item, Hangup)})
            if frames:
                came += session.receive(frames, at)
            if not (session.outbox or session.fetches or said):
                came = [event for event in came if not isinstance(event, SubscriptionUpdate)]
                self.events += came
                return came

    def cut(self) -> None:
        self.events += self.session.closed("the line was cut", self.desk.at)
        self.desk.venue.closed(self.connection, self.desk.at)


def private(data_type: DataType, params: str = "") -> Channel:
    return Channel(EVERY, EVERY, data_type, params)


EVERYTHING = tuple(map(private, TYPES))


def of(kind: type, events: list[MarketEvent]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_an_account_from_the_first_login_on() -> None:
    desk = Desk()
    account = desk.account
    account.set_balance("USDT", "1000", frozen="10")
    account.set_position("BTC-USDT-SWAP", "-3", "60000")
    waiting = account.place_order("BTC-USDT", "buy", "2", "50000")
    line = Line(desk, *EVERYTHING)
    assert {type(event): event.symbol for event in line.events} == {
        Balance: "USDT", Position: "BTC-USDT-PERP", Order: "BTC-USDT",
    }  # fmt: skip
    (order,) = of(Order, line.events)
    assert (order.id, order.status) == (waiting, "open")
    trade = account.fill(waiting, "0.5", fee="-0.0005")
    told = line.run()
    (fill,) = of(Fill, told)
    assert (fill.id, fill.order_id, fill.size, fill.price) == (trade, waiting, Decimal("0.5"), Decimal(50000))
    assert (fill.liquidity, fill.fee, fill.fee_currency, fill.late) == ("maker", Decimal("0.0005"), "BTC", False)
    (order,) = of(Order, told)
    assert (order.status, order.filled, order.average_price) == ("partially_filled", Decimal("0.5"), Decimal(50000))
    assert {each.symbol: each.total for each in of(Balance, told)} == {
        "BTC": Decimal("0.4995"), "USDT": Decimal(-24000),
    }  # fmt: skip
    account.amend(waiting, sz="3")
    assert [type(event) for event in line.run()] == [Order]
    account.cancel(waiting)
    (order,) = of(Order, line.run())
    assert (order.status, order.reason) == ("cancelled", "cancel source 1")
    account.set_position("BTC-USDT-SWAP", "0")
    (position,) = of(Position, line.run())
    assert (position.size, position.side) == (0, "net")
    kinds = (Balance, Position, Order, Fill)
    assert {event.account for kind in kinds for event in of(kind, line.events)} == {"main"}
    found = line.session.statistics
    assert (found.unknown, found.malformed, found.hook_errors, found.rejected) == (0, 0, 0, 0)
    counted = Counter(type(event) for event in line.events)
    sent = desk.venue.log.by_type()
    # What REST told of balances and positions was no news; the open order was.
    assert counted[Balance] == sent[DataType.BALANCE]
    assert counted[Position] == sent[DataType.POSITION]
    assert counted[Order] == sent[DataType.ORDER] + 1


@pytest.mark.parametrize("params", ["", "fast"])
def test_what_is_gone_while_nobody_is_connected_is_told_as_nothing(params: str) -> None:
    desk = Desk()
    account = desk.account
    account.set_balance("USDT", "1000")
    account.set_balance("BTC", "1")
    account.set_position("BTC-USDT-SWAP", "-3", "60000")
    line = Line(desk, private(DataType.BALANCE, params), private(DataType.POSITION, params))
    line.cut()
    desk.at += SECOND
    desk.venue.advance(desk.at)
    account.set_balance("BTC", "0")
    account.set_position("BTC-USDT-SWAP", "0")
    had = len(line.events)
    line.open()
    assert {(event.symbol, event.total) for event in of(Balance, line.events[had:])} == {
        ("USDT", Decimal(1000)), ("BTC", Decimal(0)),
    }  # fmt: skip
    assert [(event.symbol, event.size) for event in of(Position, line.events[had:])] == [("BTC-USDT-PERP", 0)]
    assert EVERY not in {gap.symbol for gap in of(Gap, line.events[had:])}


def test_a_swap_fills_into_a_position() -> None:
    desk = Desk()
    line = Line(desk, *EVERYTHING)
    for side, size, held in (("buy", "2", 2), ("sell", "5", -3), ("buy", "3", 0)):
        desk.account.fill(desk.account.place_order("BTC-USDT-SWAP", side, size, "60000"), size)
        (position,) = of(Position, line.run())
        assert (position.symbol, position.size) == ("BTC-USDT-PERP", held)


def test_a_liquidation_is_an_order_now_and_a_fill_by_rest() -> None:
    desk = Desk()
    desk.account.set_position("BTC-USDT-SWAP", "3")
    line = Line(desk, *EVERYTHING)
    trade = desk.account.liquidate("BTC-USDT-SWAP", "3", "50000")
    told = line.run()
    assert (of(Order, told)[-1].status, of(Fill, told)) == ("filled", [])
    line.cut()
    line.open()
    assert [fill.id for fill in of(Fill, line.events)] == [trade]


def test_the_fast_channel_tells_both() -> None:
    desk = Desk()
    desk.account.set_balance("USDT", "7")
    line = Line(desk, private(DataType.BALANCE, "fast"), private(DataType.POSITION, "fast"))
    assert [(event.symbol, event.total, event.available) for event in of(Balance, line.events)] == [
        ("USDT", Decimal(7), None),
        ("USDT", Decimal(7), Decimal(7)),  # by REST, which knows more
    ]
    desk.account.set_position("BTC-USDT-SWAP", "2")
    assert [event.size for event in of(Position, line.run())] == [2]


def test_vip_fills() -> None:
    desk = Desk(simulated(vip=True))
    line = Line(desk, private(DataType.FILL, "vip"))
    desk.account.fill(desk.account.place_order("BTC-USDT", "buy", "1", "5", clOrdId="a1"), "1")
    (fill,) = of(Fill, line.run())
    assert (fill.size, fill.client_id, fill.fee) == (1, "", None)


def test_vip_fills_without_vip_are_rejected_and_nothing_else() -> None:
    line = Line(Desk(), private(DataType.FILL, "vip"), private(DataType.ORDER))
    states = {entry["data_type"]: (entry["state"], entry["reason"]) for entry in line.feed.ledger.status()}
    assert states["fill"][0] == "rejected"
    assert "64003" in states["fill"][1]
    assert states["order"][0] in ("acknowledged", "receiving")


def test_after_a_cut_the_orders_are_told_again_and_the_missed_fill_late() -> None:
    desk = Desk()
    account = desk.account
    line = Line(desk, *EVERYTHING)
    orders = [account.place_order("BTC-USDT", "buy", "2", "5") for _ in range(150)]
    known = account.fill(orders[0], "1")
    line.run()
    line.cut()
    had = len(line.events)
    desk.at += 5 * SECOND
    desk.venue.advance(desk.at)
    desk.venue.outgoing()
    missed = account.fill(orders[0], "0.5", quietly=True)
    account.fill(orders[1], "2", quietly=True)
    line.open()
    again = line.events[had:]
    assert {order.id for order in of(Order, again)} == set(orders)
    assert {order.id for order in of(Order, again) if order.status == "filled"} == {orders[1]}
    assert next(fill.id for fill in of(Fill, again)) == missed
    assert all(fill.late for fill in of(Fill, again))
    assert known not in [fill.id for fill in of(Fill, again)]
    assert len(of(Fill, line.events)) == 3


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (Credentials("main", KEY, "wrong-secret-55", PHRASE), "60007"),
        (Credentials("main", "wrong-key-55", SECRET, PHRASE), "60005"),
        (Credentials("main", KEY, SECRET, "wrong-phrase-55"), "60024"),
    ],
)
def test_wrong_credentials_stop_for_good(credentials: Credentials, code: str) -> None:
    line = Line(Desk(), *EVERYTHING, credentials=credentials)
    assert line.session.fatal is not None
    assert code in line.session.fatal
    assert line.session.close_reason is not None
    assert line.events == []
    shown = repr(line.session.fatal) + repr(line.feed.ledger.status()) + repr(line.session.statistics)
    for secret in (KEY, SECRET, PHRASE, "wrong-secret-55", "wrong-key-55", "wrong-phrase-55"):
        assert secret not in shown


def test_a_clock_that_is_off_is_no_fault_of_the_key() -> None:
    desk = Desk()
    line = Line(desk, *EVERYTHING)
    line.cut()
    line.session = Session(line.stack, line.dial, line.feed, credentials=MAIN)
    desk.dial(connection=2)
    line.connection = 2
    line.session.opened(desk.at - 45 * SECOND)
    line.run()
    assert line.session.fatal is None
    assert line.session.close_reason is not None
    assert "60006" in line.session.close_reason
    assert "clock" in line.session.close_reason


def test_a_deleted_key_closes_the_socket_and_then_the_feed() -> None:
    desk = Desk()
    line = Line(desk, *EVERYTHING)
    desk.venue.revoke(desk.account)
    line.run()
    assert desk.hangups[1].code == 4007
    line.cut()
    line.open()
    assert line.session.fatal is not None
    assert "60032" in line.session.fatal


def test_demo_trading_end_to_end() -> None:
    desk = Desk(demo=True)
    order = desk.account.place_order("BTC-USDT", "buy", "2", "5")
    line = Line(desk, *EVERYTHING, demo=True)
    assert line.dial.urls == ("wss://wspap.okx.com/ws/v5/private",)
    assert [each.id for each in of(Order, line.events)] == [order]


@pytest.mark.parametrize(("params", "depth"), [("tbt", 400), ("50tbt", 50)])
def test_a_fine_book_is_the_markets_book(params: str, depth: int) -> None:
    desk = Desk(simulated(vip=True))
    line = Line(desk, Channel("BTC-USDT-PERP", "BTC-USDT-SWAP", DataType.ORDERBOOK, params))
    assert line.dial.login
    due: int | None = desk.at
    while due is not None and due < START + 3 * SECOND:
        desk.at = due
        due = desk.venue.advance(due)
        line.run()
        book = line.feed.book("BTC-USDT-PERP")
        stock = desk.venue.market.stocks["BTC-USDT-SWAP"]
        top = stock.bids.top(depth)
        listing = desk.venue.product("BTC-USDT-PERP").listing
        bids, asks = book.top(depth)
        assert [str(level[0]) for level in bids] == [listing.price(row[0]) for row in top]
        assert len(asks) == len(stock.asks.top(depth))
    assert line.session.statistics.gaps == 0
