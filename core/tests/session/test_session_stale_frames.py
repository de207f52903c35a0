"""Frames that are numbered per socket: what came before, or too late, changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tickhive.events import BookDelta, BookSnapshot, Gap

SNAPSHOT = {"e": "book", "s": "BTC-USDT", "b": [["10", "1"]], "a": [["11", "1"]]}


def numbered(number: int, said: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"e": "num", "v": number}, said]


def delta(size: str) -> dict[str, Any]:
    return {"e": "delta", "s": "BTC-USDT", "b": [["10", size]]}


@pytest.fixture
def talking(talk: Any) -> Any:
    return talk("leaving", "orderbook BTC-USDT").open()


def test_a_repeated_frame_changes_nothing(talking: Any) -> None:
    talking.hear(numbered(0, SNAPSHOT), numbered(1, delta("2")), numbered(2, delta("3")))
    assert talking.hear(numbered(1, delta("2"))) == []
    bids, _ = talking.feed.keeper(("BTC-USDT", 0)).book.top_text(1)
    assert list(bids) == [("10", "3")]
    assert talking.session.statistics.malformed == 0


def test_a_late_frame_does_not_touch_the_snapshot_that_repaired_its_loss(talking: Any) -> None:
    talking.hear(numbered(0, SNAPSHOT), numbered(1, delta("2")))
    lost = talking.hear(numbered(3, delta("4")))
    assert [type(event) for event in lost] == [Gap, BookDelta]
    repaired = talking.hear(numbered(4, SNAPSHOT | {"b": [["10", "5"]]}), numbered(2, delta("3")))
    assert [type(event) for event in repaired] == [BookSnapshot]
    bids, _ = talking.feed.keeper(("BTC-USDT", 0)).book.top_text(1)
    assert list(bids) == [("10", "5")]
