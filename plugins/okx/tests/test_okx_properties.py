"""Whatever bytes come, the readers answer; whatever OKX lists, its names go there and back."""

from __future__ import annotations

import json
from decimal import Decimal
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from tickhive.plugin import InstrumentTable, Malformed, Trade, Unknown, is_symbol
from tickhive_okx import plugin
from tickhive_okx.channels import BY_NAME
from tickhive_okx.instruments import InstrumentRow, instrument, symbol_of, type_of

FRAME = (
    b'{"arg":{"channel":"%b","instId":"BTC-USDT"},"action":"update","data":[{"instId":"BTC-USDT","tradeId":"7",'
    b'"px":"1.5","sz":"2","side":"buy","ts":"1700000000000","asks":[["1","2","0","1"]],"bids":[],"seqId":5,'
    b'"prevSeqId":4,"checksum":0,"markPx":"1","idxPx":"1","fundingRate":"0.1","oi":"1","details":[],"count":"1"}]}'
)
names = st.sampled_from(sorted(BY_NAME))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["NaN", "1e9999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KEYS = [
    "instId", "instType", "tradeId", "px", "sz", "side", "ts", "count", "asks", "bids", "seqId", "prevSeqId",
    "checksum",
    "last", "vol24h", "markPx", "idxPx", "fundingRate", "fundingTime", "oi", "details", "buyLmt", "enabled", "ctVal",
]  # fmt: skip


@given(st.binary(max_size=200))
def test_any_bytes(make_view, frame):
    assert isinstance(make_view().parse(frame), list | tuple)


@given(names, st.integers(0, 400), st.integers(0, 400), st.binary(max_size=6))
def test_frames_that_were_cut_or_changed(make_view, name, start, length, put):
    frame = FRAME % name.encode()
    assert isinstance(make_view().parse(frame[:start] + put + frame[start + length :]), list | tuple)


@given(names, st.lists(st.dictionaries(st.sampled_from(KEYS), anything) | anything, max_size=3), anything)
def test_right_keys_with_wrong_values(make_view, name, rows, action):
    frame = {"arg": {"channel": name, "instId": "BTC-USDT"}, "data": rows, "action": action}
    for event in make_view().parse(frame):
        if isinstance(event, Trade):
            assert event.price.is_finite()


@given(st.dictionaries(st.sampled_from(["event", "arg", "code", "msg", "id", "data"]), anything))
def test_any_control_frame(make_view, frame):
    assert isinstance(make_view().parse(frame), list | tuple)


@given(st.sampled_from(["public/instruments", "market/books", "market/history-trades"]), anything | st.lists(anything))
def test_any_answer(make_view, path, data):
    url = f"https://www.okx.com/api/v5/{path}?instId=A-B&after=5#until=1"
    assert isinstance(make_view().read(url, {"code": "0", "data": data}), list | tuple)


@given(st.lists(st.sampled_from(["good", "bad", "odd"]), max_size=6))
def test_good_rows_survive_bad_ones(make_view, kinds):
    good = {"instId": "A-B", "tradeId": "1", "px": "1", "sz": "1", "side": "buy", "ts": "1"}
    rows = {"good": good, "bad": good | {"px": "x"}, "odd": 5}
    events = make_view().parse({"arg": {"channel": "trades", "instId": "A-B"}, "data": [rows[kind] for kind in kinds]})
    assert [isinstance(event, Trade) for event in events] == [kind == "good" for kind in kinds]
    assert not any(isinstance(event, Unknown) for event in events)
    assert sum(isinstance(event, Malformed) for event in events) == len(kinds) - kinds.count("good")


currencies = st.from_regex(r"[A-Z0-9]{1,10}", fullmatch=True)
quotes = st.from_regex(r"[A-Z]{1,6}(_UM)?(_XPERP)?", fullmatch=True)
days = st.from_regex(r"[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9])", fullmatch=True)
strikes = st.from_regex(r"[1-9][0-9]{0,6}(\.[0-9]{1,4})?", fullmatch=True)
tails = st.one_of(
    st.just(""),
    st.just("-SWAP"),
    days.map(lambda day: f"-{day}"),
    st.builds(lambda day, strike, right: f"-{day}-{strike}-{right}", days, strikes, st.sampled_from("CP")),
)
natives = st.builds(lambda base, quote, tail: f"{base}-{quote}{tail}", currencies, quotes, tails)


@given(st.lists(natives, unique=True, max_size=20))
def test_names_go_there_and_back(listed):
    table = InstrumentTable("okx")
    table.extend(found for name in listed if (found := instrument("okx", InstrumentRow(type_of(name), name))))
    assert len(table) == len(listed)
    for name in listed:
        symbol = table.symbols[name]
        assert symbol == symbol_of(name)
        assert is_symbol(symbol)
        assert table.native(symbol) == table.find(name).native == name


sides = st.lists(st.tuples(st.decimals(1, 99, places=2).map(str), st.integers(1, 99).map(str)), max_size=40)


class Sides:
    def __init__(self, bids, asks):
        self.bids, self.asks = bids, asks

    def top_text(self, depth):
        return self.bids[:depth], self.asks[:depth]


@given(sides, sides)
def test_the_checksum_interleaves_and_is_signed(bids, asks):
    parts = []
    for place in range(25):
        parts += [":".join(side[place]) for side in (bids, asks) if place < len(side)]
    value = plugin.checksum(Sides(bids, asks))
    assert value % 2**32 == crc32(":".join(parts).encode())
    assert -(2**31) <= value < 2**31


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value="1e-12", max_value="1e12"))
def test_prices_stay_exact(make_view, price):
    text = format(price, "f")[:40]
    if not Decimal(text):
        return
    row = {"instId": "A-B", "tradeId": "1", "px": text, "sz": "1", "side": "buy", "ts": "1"}
    frame = json.dumps({"arg": {"channel": "trades", "instId": "A-B"}, "data": [row]})
    (trade,) = make_view().parse(frame)
    assert trade.price == Decimal(text)
