"""Properties: parse answers something for any frame, the same each time, and keeps every digit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.events import Trade
from tickhive.testing import frames_of

FRAMES = {
    exchange: [line.frame for line in frames_of(Path(__file__).parent / "frames" / exchange)]
    for exchange in ("coinbase", "coinbase-exchange")
}
EXCHANGES = list(FRAMES)


@st.composite
def mutated(draw: Any, exchange: str) -> bytes:
    frame = bytearray(draw(st.sampled_from(FRAMES[exchange])))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(frame) - 1)))
        match draw(st.sampled_from(("byte", "cut", "double", "insert"))):
            case "byte" if frame:
                frame[place] = draw(st.integers(0, 255))
            case "cut":
                del frame[place : place + draw(st.integers(1, 20))]
            case "double":
                frame[place:place] = frame[place : place + draw(st.integers(1, 40))]
            case "insert":
                piece = draw(
                    st.sampled_from((b"null", b"-1", b"1e400", b'"NaN"', b"[]", b"{}", b"\xff", b"true", b"9" * 40))
                )
                frame[place:place] = piece
    return bytes(frame)


@pytest.mark.parametrize("account", [False, True])
@pytest.mark.parametrize("exchange", EXCHANGES)
@given(data=st.data())
def test_parse_never_raises_and_repeats_itself(make_view: Any, exchange: str, account: bool, data: Any) -> None:
    frame = data.draw(st.one_of(mutated(exchange), st.binary(max_size=80)))
    views = make_view(exchange), make_view(exchange)
    for view in views:
        view.memory.account = account
    first, second = (list(view.parse(frame)) for view in views)
    assert first == second


PRICES = st.decimals("1e-12", "1e12", allow_nan=False, allow_infinity=False, places=12).filter(bool)


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(price=PRICES, size=PRICES)
def test_every_digit_of_a_trade_is_kept(make_view: Any, exchange: str, price: Decimal, size: Decimal) -> None:
    row = {"product_id": "BTC-USD", "price": f"{price:f}", "size": f"{size:f}", "time": "2026-10-07T10:30:00Z"}
    if exchange == "coinbase":
        trade = row | {"trade_id": "1", "side": "BUY"}
        frame: Any = {"channel": "market_trades", "sequence_num": 0, "events": [{"type": "update", "trades": [trade]}]}
    else:
        frame = {"type": "match", "trade_id": 1, "side": "buy"} | row
    (trade_event,) = [event for event in make_view(exchange).parse(frame) if isinstance(event, Trade)]
    assert (str(trade_event.price), str(trade_event.size)) == (str(Decimal(row["price"])), str(Decimal(row["size"])))


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(body=st.one_of(st.binary(max_size=60), st.sampled_from([b"[null]", b"{}", b'[{"id":1}]', b'{"trades":[1]}'])))
def test_read_never_raises(make_view: Any, exchange: str, body: bytes) -> None:
    paths = {
        "coinbase": ("market/products", "market/products/A-B/ticker", "market/products/A-B/candles", "accounts",
                     "orders/historical/batch", "orders/historical/fills", "orders/historical/1",
                     "market/products/A-B"),
        "coinbase-exchange": ("products", "products/A-B/trades", "orders", "orders/1", "accounts", "fills"),
    }[exchange]  # fmt: skip
    prefix = "https://x/api/v3/brokerage/" if exchange == "coinbase" else "https://x/"
    for path in paths:
        make_view(exchange).read(prefix + path, body)
