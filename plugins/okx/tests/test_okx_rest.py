"""REST requests and answers: instruments, book snapshots, missed trades, errors."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tickhive.plugin import (
    BookSnapshot,
    Channel,
    DataType,
    Fetch,
    Gap,
    InstrumentTable,
    Malformed,
    Rejected,
    Trade,
    Unknown,
    is_symbol,
)
from tickhive.plugin.stack import ExchangeStack
from tickhive_okx import plugin
from tickhive_okx.settings import OKXSettings

dec = Decimal

BASE = "https://openapi.okx.com/api/v5/"
INSTRUMENTS = BASE + "public/instruments?instType=ANY"
TRADES = Channel("BTC-USDT", "BTC-USDT", DataType.TRADE)
BOOK = Channel("BTC-USDT", "BTC-USDT", DataType.ORDERBOOK)


def answer(*data, code="0", msg=""):
    return {"code": code, "msg": msg, "data": list(data)}


def row(inst_type, inst_id, **more):
    return {"instType": inst_type, "instId": inst_id, "state": "live", "baseCcy": "", "quoteCcy": "", **more}


def gap(first="100", last="1000"):
    return Gap("okx", "BTC-USDT", None, 5, DataType.TRADE, 1, 2, "lost", first, last)


def test_one_list_per_type_and_option_family():
    fetches = plugin.instruments(OKXSettings(option_families=("BTC-USD",)))
    assert [fetch.url.partition("?")[2] for fetch in fetches] == [
        "instType=SWAP",
        "instType=FUTURES",
        "instType=OPTION&instFamily=BTC-USD",
        "instType=SPOT",
    ]
    scopes = {limit.scope for limit in plugin.limits()}
    assert all(set(fetch.costs) <= scopes for fetch in fetches)


def test_demo_requests_say_so():
    (fetch, *_) = plugin.instruments(OKXSettings(demo=True))
    assert fetch.headers == {"x-simulated-trading": "1"}


@pytest.mark.parametrize(
    ("given", "symbol", "expected"),
    [
        (row("SPOT", "BTC-USDT", baseCcy="BTC", quoteCcy="USDT"), "BTC-USDT", {"type": "spot", "size_unit": "base"}),
        (row("SPOT", "NEW-USDT", state="preopen"), "NEW-USDT", {"base": "NEW", "quote": "USDT", "status": "preopen"}),
        (
            row("SWAP", "BTC-USDT-SWAP", ctVal="0.01", ctMult="1", ctValCcy="BTC", ctType="linear"),
            "BTC-USDT-PERP",
            {"type": "perpetual", "contract_size": dec("0.01"), "contract_currency": "BTC", "inverse": False},
        ),
        (
            row("FUTURES", "BTC-USD-241227", ctVal="100", ctMult="1", ctType="inverse", expTime="1735286400000"),
            "BTC-USD-20241227",
            {"type": "future", "expiry": 1735286400000000000, "inverse": True, "size_unit": "contracts"},
        ),
        (
            row("OPTION", "BTC-USD-241227-60000-C", ctVal="1", ctMult="0.1", stk="60000", optType="C"),
            "BTC-USD-20241227-60000-C",
            {"type": "option", "strike": dec(60000), "option_type": "call", "contract_size": dec("0.1")},
        ),
        (
            row("FUTURES", "BTC-USD_UM_XPERP-310404", ruleType="xperp"),
            "BTC-USD_UM_XPERP-20310404",
            {"type": "future", "base": "BTC", "quote": "USD"},
        ),
        (row("SWAP", "ETH-USDT-SWAP", state="rebase"), "ETH-USDT-PERP", {"status": "suspended"}),
    ],
)
def test_an_instrument(view, given, symbol, expected):
    *_, update = view.read(INSTRUMENTS, answer(given))
    assert update.symbol == update.instrument.symbol == symbol
    assert is_symbol(symbol)
    assert {name: getattr(update.instrument, name) for name in expected} == expected


def test_families_that_look_alike_stay_apart(view):
    names = ["BTC-USD-310404", "BTC-USD_UM-310404", "BTC-USD_UM_XPERP-310404", "BTC-USD-SWAP", "BTC-USD_UM-SWAP"]
    view.learn(view.read(INSTRUMENTS, answer(*(row("FUTURES", name) for name in names))))
    assert len({view.instruments.symbols[name] for name in names}) == len(names)


def test_derivatives_announce_their_index(view):
    view.learn(view.read(INSTRUMENTS, answer(row("SWAP", "BTC-USD-SWAP"), row("FUTURES", "BTC-USD-241227"))))
    index = view.instruments.find("BTC-USD")
    assert (index.type, index.native) == ("index", "BTC-USD")


@pytest.mark.parametrize("spot_first", [True, False])
def test_a_spot_pair_keeps_the_name_it_shares_with_an_index(view, spot_first):
    answers = [answer(row("SPOT", "BTC-USDT")), answer(row("SWAP", "BTC-USDT-SWAP"))]
    for body in answers if spot_first else reversed(answers):
        view.learn(view.read(INSTRUMENTS, body))
    assert view.instruments.find("BTC-USDT").type == "spot"


def test_a_row_of_a_kind_without_a_name_harms_no_other(view):
    body = answer(
        row("EVENTS", "WHO-WINS"), row("SPOT", "nodash"), row("SPOT", "A-B", tickSz="x"), 5, row("SPOT", "C-D")
    )
    kinds = [type(event) for event in view.read(INSTRUMENTS, body)]
    assert kinds[:4] == [Unknown, Unknown, Malformed, Malformed]
    assert len(kinds) == 5


def test_a_fetched_book(view):
    fetch = plugin.snapshot(view, BOOK)
    assert fetch.url == BASE + "market/books?instId=BTC-USDT&sz=400"
    body = answer({"asks": [["2", "1", "0", "1"]], "bids": [["1", "3", "0", "1"]], "ts": "1700000000000", "seqId": 55})
    (snapshot,) = view.read(fetch.url, body, BOOK)
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.symbol, snapshot.sequence, snapshot.depth) == ("BTC-USDT", 55, 0)
    assert (snapshot.bids[0].price, snapshot.asks[0].size) == ("1", "1")


@pytest.mark.parametrize("channel", [TRADES, Channel("BTC-USDT", "BTC-USDT", DataType.ORDERBOOK, "5")])
def test_only_whole_books_are_fetched(view, channel):
    assert plugin.snapshot(view, channel) is None


def trade_rows(newest, count):
    return [
        {"instId": "BTC-USDT", "tradeId": str(n), "px": "1", "sz": "1", "side": "buy", "ts": "1700000000000"}
        for n in range(newest, newest - count, -1)
    ]


def test_missed_trades_are_walked_down_to_the_last_known_one(view):
    pages, found, fetch = 0, [], plugin.backfill(view, TRADES, gap("101", "349"))
    while fetch is not None:
        after = int(fetch.url.partition("after=")[2].partition("&")[0])
        events = view.read(fetch.url, answer(*trade_rows(after - 1, 100)), TRADES)
        pages += 1
        found += [event for event in events if isinstance(event, Trade)]
        fetch = next((event for event in events if isinstance(event, Fetch)), None)
    assert pages == 3
    assert sorted(int(trade.id) for trade in found) == list(range(100, 350))
    assert all(trade.late for trade in found)


def test_a_page_is_handed_out_oldest_first(view):
    fetch = plugin.backfill(view, TRADES, gap("2", "4"))
    assert [trade.id for trade in view.read(fetch.url, answer(*trade_rows(4, 5)), TRADES)] == ["1", "2", "3", "4"]


def test_a_page_that_leads_nowhere_is_not_followed(view):
    fetch = plugin.backfill(view, TRADES, gap("2", "499"))
    events = view.read(fetch.url, answer(*trade_rows(900, 100)), TRADES)
    assert not [event for event in events if isinstance(event, Fetch)]


def test_a_wide_gap_is_refilled_in_part(make_view):
    view = make_view(settings=OKXSettings(backfill_trades=50))
    assert plugin.backfill(view, TRADES, gap("101", "999")).url.endswith("&after=1000&limit=100#until=949")


@pytest.mark.parametrize(
    ("channel", "first"), [(BOOK, "1"), (TRADES, None), (TRADES, "not a number"), (TRADES, "9" * 40)]
)
def test_what_cannot_be_refilled_is_not_asked_for(view, channel, first):
    assert plugin.backfill(view, channel, gap(first)) is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [("50011", "rate"), ("50001", "retry"), ("51001", "symbol"), ("51000", "request"), ("50111", "credentials")],
)
def test_an_error_in_the_answer(view, code, kind):
    fetch = plugin.snapshot(view, BOOK)
    body = answer(code=code, msg="No.")
    assert view.read(fetch.url, body, BOOK) == [Rejected(f"{code} No.", kind, None, (BOOK,))]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code":[]}', b"\xff", b"[" * 100_000])
def test_an_answer_that_cannot_be_read(view, body):
    assert [type(event) for event in view.read(INSTRUMENTS, body)] == [Malformed]


def test_an_answer_to_something_else(view):
    assert [type(event) for event in view.read("https://www.okx.com/api/v5/public/time", answer())] == [Unknown]


def test_the_plugin_answers_the_core():
    stack = ExchangeStack.from_plugin("okx", plugin)
    assert stack.settings_type is OKXSettings
    for hook in (
        "connect",
        "parse",
        "subscribe",
        "unsubscribe",
        "instruments",
        "read",
        "snapshot",
        "backfill",
        "venue",
    ):
        assert stack.offers(hook), hook
    hosts = stack.call.hosts()
    assert {"ws.okx.com", "www.okx.com", "openapi.okx.com"} <= set(hosts)
    assert InstrumentTable("okx").native("BTC-USDT") == "BTC-USDT"
