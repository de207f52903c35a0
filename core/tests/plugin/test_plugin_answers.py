"""Reading REST answers by a table of paths: which reader is found, what it is told, and what cannot be read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from attrs import define, field
from msgspec import Raw

from tickhive.channels import Channel, DataType, Instrument, InstrumentTable
from tickhive.events import InstrumentUpdate
from tickhive.plugin import Answer, Fetch, Malformed, Rejected, Unknown
from tickhive.plugin.answers import Answered, Read, read_answer

BASE = "https://rest.acme.example/api/v1/"
TRADES = Channel("BTC-USDT", "BTCUSDT", DataType.TRADE)
ORDERS = Channel("*", "*", DataType.ORDER)


@define
class View:
    exchange: str = "acme"
    instruments: InstrumentTable = field(factory=lambda: InstrumentTable("acme", {"BTCUSDT": "BTC-USDT"}))


def told(name: str) -> Any:
    return lambda answered: [(name, answered.name, list(answered.parts), dict(answered.query))]


READERS = {
    "markets": told("list"),
    "markets/*": told("one"),
    "markets/*/trades": told("trades"),
    "orders/open": told("open"),
    "orders/*": told("order"),
    "/v1/fees": told("fees"),
}


def read(readers: Any, url: str, body: bytes = b"{}", channel: Channel | None = None, **more: Any) -> list[Any]:
    view: Any = View()
    return list(read_answer(readers, view, Fetch(url, channel=channel), Answer(200, body), 7, **more))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("markets", ("list", "markets", [], {})),
        ("markets/", ("list", "markets", [], {})),
        ("markets?kind=spot", ("list", "markets", [], {"kind": "spot"})),
        ("markets/BTC-USDT", ("one", "markets/BTC-USDT", ["BTC-USDT"], {})),
        (
            "markets/BTC-USDT/trades?after=9&limit=5#until=3&after=8",
            ("trades", "markets/BTC-USDT/trades", ["BTC-USDT"], {"after": "8", "limit": "5", "until": "3"}),
        ),
        ("orders/open", ("open", "orders/open", [], {})),
        ("orders/17", ("order", "orders/17", ["17"], {})),
        ("fees", ("fees", "v1/fees", [], {})),
    ],
)
def test_the_first_pattern_that_the_end_of_the_path_fits(url: str, expected: Any) -> None:
    assert read(READERS, BASE + url) == [expected]


@pytest.mark.parametrize("path", ["", "time", "markets/BTC-USDT/candles", "trades", "open"])
def test_a_path_without_a_reader_is_unknown(path: str) -> None:
    assert read(READERS, BASE + path) == [Unknown(f"answer of /api/v1/{path}")]


def test_a_long_path_is_not_quoted_whole() -> None:
    (unknown,) = read({}, BASE + "x" * 500)
    assert len(unknown.what) < 100


def rows(answered: Answered[list[Raw]]) -> Read:
    return answered.rows(answered.content, lambda raw: [msgspec.json.decode(raw, type=int)])


def in_a_list(answer: Answer) -> list[Raw] | Rejected:
    found = msgspec.json.decode(answer.body, type=dict[str, Any] | list[Raw])
    return found if isinstance(found, list) else Rejected(found["why"], "rate")


def test_a_bad_row_costs_no_other() -> None:
    one, bad, two = read({"ids": rows}, BASE + "ids", b'[1, "x", 2]', unwrap=in_a_list)
    assert (one, two) == (1, 2)
    assert isinstance(bad, Malformed)
    assert bad.why.startswith("ids: ValidationError")


@pytest.mark.parametrize("body", [b"", b"<html>", b"5", b"\xff", b"[" * 100_000])
def test_an_answer_that_cannot_be_read(body: bytes) -> None:
    (bad,) = read({"ids": rows}, BASE + "ids", body, unwrap=in_a_list)
    assert isinstance(bad, Malformed)
    assert bad.why.startswith("answer of /api/v1/ids: ")


def test_a_reader_that_stumbles_is_malformed() -> None:
    (bad,) = read({"ids": lambda answered: int("none")}, BASE + "ids")
    assert isinstance(bad, Malformed)


@pytest.mark.parametrize(
    ("channel", "refused"), [(TRADES, (TRADES,)), (ORDERS, ()), (None, ())], ids=["market", "account", "recording"]
)
def test_what_is_refused_is_the_channel_unless_it_is_an_accounts(
    channel: Channel | None, refused: tuple[Channel, ...]
) -> None:
    assert read({"ids": rows}, BASE + "ids", b'{"why": "busy"}', channel, unwrap=in_a_list) == [
        Rejected("busy", "rate", None, refused)
    ]


def test_a_plugin_may_say_itself_whom_a_refusal_is_about() -> None:
    rejected = Rejected("no", channels=(ORDERS,))
    assert read({"ids": rows}, BASE + "ids", channel=TRADES, unwrap=lambda answer: rejected) == [rejected]


def test_what_a_reader_is_told() -> None:
    (answered,) = read({"ids": lambda it: [it]}, BASE + "ids?limit=2&from=x#until=5", b"body", TRADES)
    assert (answered.content, answered.channel, answered.at) == (b"body", TRADES, 7)
    assert [answered.number(name) for name in ("until", "from", "none")] == [5, None, None]
    assert [answered.full(range(count)) for count in (0, 1, 2, 3)] == [False, False, True, True]
    assert [answered.symbol(native) for native in ("BTCUSDT", "ETHUSDT")] == ["BTC-USDT", "ETHUSDT"]


def test_an_instrument_of_the_list_and_one_without_a_name() -> None:
    known = Instrument("acme", "BTC-USDT", "BTCUSDT", "spot", "BTC", "USDT")
    readers = {"ids": lambda answered: [answered.listed(known, "BTCUSDT"), answered.listed(None, "WHO-WINS")]}
    assert read(readers, BASE + "ids") == [
        InstrumentUpdate("acme", "BTC-USDT", None, 7, known),
        Unknown("instrument WHO-WINS"),
    ]
