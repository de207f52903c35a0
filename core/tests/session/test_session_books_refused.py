"""A book the venue refuses is not fetched either."""

from __future__ import annotations

from typing import Any

BOOK = "orderbook BTC-USDT"


def test_a_refused_book_is_not_fetched_for_ever(talk: Any) -> None:
    speaking = talk("fetching", BOOK, patience=0.5).open()
    speaking.hear({"e": "no", "c": [BOOK]})
    assert speaking.states() == {BOOK: "rejected"}
    speaking.later(600)
    assert speaking.session.fetches == []
    assert speaking.session.close_reason is None
