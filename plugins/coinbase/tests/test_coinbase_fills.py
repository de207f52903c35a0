"""Fills of Advanced Trade that are counted and never shown: they are given up, and that is told."""

from __future__ import annotations

from typing import Any

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Gap

ADV = "https://api.coinbase.com/api/v3/brokerage/"
TIME, NS = "2026-10-07T10:30:00.123456Z", 1_791_369_000_123_456_000
AT = 1_791_369_351_500_000_000
OWN = {
    "order_id": "o-1", "product_id": "BTC-USD", "order_side": "BUY", "order_type": "Limit", "status": "FILLED",
    "cumulative_quantity": "1", "leaves_quantity": "0", "number_of_fills": "1",
}  # fmt: skip
ROW = {
    "trade_id": "t-1", "order_id": "o-1", "product_id": "BTC-USD", "side": "BUY", "price": "5", "size": "1",
    "trade_time": TIME,
}  # fmt: skip


def begun(make_view: Any, keys: Any) -> Any:
    view = make_view("coinbase")
    for kind in (DataType.ORDER, DataType.FILL):
        view.ask(Channel(EVERY, EVERY, kind), credentials=keys["coinbase"])
    return view


def user(view: Any, *rows: dict[str, Any], at: int = AT) -> list[Any]:
    frame = {"channel": "user", "timestamp": TIME, "sequence_num": 1, "events": [{"type": "update", "orders": rows}]}
    return list(view.parse(frame, at))


def beat(view: Any, at: int = AT) -> list[Gap]:
    frame = {"channel": "heartbeats", "timestamp": TIME, "sequence_num": 2, "events": []}
    return [event for event in view.parse(frame, at) if isinstance(event, Gap)]


def polled(view: Any) -> int:
    """How often fills are asked for until they are given up."""
    count = 0
    while found := view.plugin.heartbeat(view):
        count += 1
        assert count < 1_000
        view.read(found[0].url, {"fills": []})
        assert beat(view) == []
    return count


def test_what_never_comes_is_told_once_with_its_symbol(make_view: Any, keys: Any) -> None:
    view = begun(make_view, keys)
    user(view, OWN, OWN | {"order_id": "o-2", "product_id": "ETH-USD", "number_of_fills": "3"})
    assert polled(view) == 120
    gaps = beat(view, AT + 5)
    assert [(gap.symbol, gap.data_type, gap.start, gap.end) for gap in gaps] == [
        ("BTC-USD", DataType.FILL, AT, AT + 5), ("ETH-USD", DataType.FILL, AT, AT + 5),
    ]  # fmt: skip
    assert "order o-2 has 3 fills, 0 of which could be read" in gaps[1].cause
    assert beat(view) == []
    # The channel itself tells it too, where it is heard first.
    user(view, OWN | {"number_of_fills": "2"})
    polled(view)
    assert [event.symbol for event in user(view) if isinstance(event, Gap)] == ["BTC-USD"]


def test_what_comes_after_all_is_no_gap(make_view: Any, keys: Any) -> None:
    view = begun(make_view, keys)
    user(view, OWN)
    view.read(f"{ADV}orders/historical/fills?limit=250#since=1", {"fills": [ROW]})
    assert not view.plugin.heartbeat(view)
    user(view, OWN | {"order_id": "o-2"})
    polled(view)
    view.read(f"{ADV}orders/historical/fills?limit=250#since=1", {"fills": [ROW | {"order_id": "o-2"}]})
    assert beat(view) == []


def test_an_order_that_is_forgotten_while_fills_of_it_are_lacking_is_told(make_view: Any, keys: Any) -> None:
    view = begun(make_view, keys)
    user(view, OWN)
    for number in range(10_000):
        view.memory.fills.note(f"x-{number}", 0, "ETH-USD", AT, begun=False)
    assert [gap.symbol for gap in beat(view)] == ["BTC-USD"]
