"""Whatever bytes come, the readers answer; whatever Binance lists, its names go there and back."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tickhive.plugin import InstrumentTable, Malformed, Trade, is_symbol
from tickhive.testing import frames_of
from tickhive_binance.instruments import InstrumentRow, instrument
from tickhive_binance.market import COINM, SPOT, USDM

FRAMES = [
    (folder.name, line.kind, line.url, line.frame)
    for folder in sorted((Path(__file__).parent / "frames").iterdir())
    for line in frames_of(folder) + frames_of(folder, "http")
]
exchanges = st.sampled_from(["binance", "binance-usdm", "binance-coinm"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["NaN", "1e9999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(sorted({name for _, kind, _, frame in FRAMES if kind == "ws"
                                for name in [json.loads(frame).get("stream", "!x")]}))  # fmt: skip


def answer(view, kind, url, body):
    return view.read(url, body) if kind == "http" else view.parse(body)


@given(exchanges, st.binary(max_size=200))
def test_any_bytes(make_view, exchange, frame):
    assert isinstance(make_view(exchange).parse(frame), list | tuple)


@given(st.sampled_from(FRAMES), st.integers(0, 900), st.integers(0, 400), st.binary(max_size=6))
def test_frames_and_answers_that_were_cut_or_changed(make_view, line, start, length, put):
    exchange, kind, url, frame = line
    view = make_view(exchange)
    answer(view, kind, url, frame)
    assert isinstance(answer(view, kind, url, frame[:start] + put + frame[start + length :]), list | tuple)


@given(exchanges, st.sampled_from(FRAMES))
def test_frames_of_another_market(make_view, exchange, line):
    _, kind, url, frame = line
    assert isinstance(answer(make_view(exchange), kind, url, frame), list | tuple)


@given(exchanges, names, st.dictionaries(st.sampled_from(list("esEtTpqmafluUbBAckoixrSXP")), anything) | anything)
def test_right_keys_with_wrong_values(make_view, exchange, name, data):
    view = make_view(exchange)
    for frame in ({"stream": name, "data": data}, data):
        raw = json.dumps(frame).encode()
        for event in view.parse(raw):
            if isinstance(event, Trade):
                assert event.price.is_finite()


@given(exchanges, st.dictionaries(st.sampled_from(["id", "result", "code", "msg", "error", "status", "e"]), anything))
def test_any_control_frame(make_view, exchange, frame):
    assert isinstance(make_view(exchange).parse(frame), list | tuple)


@given(st.lists(st.sampled_from(["good", "bad", "odd"]), max_size=6))
def test_good_rows_survive_bad_ones(make_view, kinds):
    good = {"a": 1, "p": "1", "q": "1", "f": 1, "l": 1, "T": 1, "m": True}
    rows = {"good": good, "bad": {**good, "p": "much"}, "odd": 5}
    url = "https://fapi.binance.com/fapi/v1/aggTrades?symbol=BTCUSDT"
    events = make_view("binance-usdm").read(url, [rows[kind] for kind in kinds])
    assert [isinstance(event, Trade) for event in events] == [kind == "good" for kind in kinds]
    assert sum(isinstance(event, Malformed) for event in events) == len(kinds) - kinds.count("good")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value="1e-12", max_value="1e12"))
def test_prices_stay_exact(make_view, price):
    text = format(price, "f")[:40]
    if not Decimal(text):
        return
    row = {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 1, "p": text, "q": "1", "T": 1, "m": True}
    (trade,) = make_view("binance").parse({"stream": "btcusdt@trade", "data": row})
    assert trade.price == Decimal(text)


coins = st.from_regex(r"[A-Z0-9]{1,10}", fullmatch=True)
quotes = st.sampled_from(["USDT", "USDC", "USD", "BTC"])
days = st.from_regex(r"2[0-9](0[1-9]|1[0-2])(0[1-9]|[12][0-9])", fullmatch=True)


@given(st.sampled_from([SPOT, USDM, COINM]), st.lists(st.tuples(coins, quotes, st.none() | days), unique=True))
def test_names_go_there_and_back(market, listed):
    table = InstrumentTable("b")
    natives = {}
    for base, quote, day in listed:
        tail = f"_{day}" if market.futures and day else "_PERP" if market.contracts else ""
        native = f"{base}{quote}{tail}"
        if native in natives:
            continue  # two pairs of one name: no venue lists both
        found = instrument("b", market, InstrumentRow(native, base, quote))
        natives[native] = found.symbol
        table.add(found)
    for native, symbol in natives.items():
        assert is_symbol(symbol)
        assert table.symbols[native] == symbol
        assert table.native(symbol) == table.find(native).native == native
