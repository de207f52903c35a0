"""A frame whose reading was ended: its market data is not believed, and the next Gap tells of it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tickhive.events import Balance, Gap
from tickhive.plugin.hookspecs import hookimpl
from tickhive.session.faults import HookEnded

SECOND = 1_000_000_000
OK = {"e": "ok", "id": "1"}
T, Q, C = "trade BTC-USDT", "quote BTC-USDT", "candle:1m BTC-USDT"
SAID = {
    T: {"e": "trade", "s": "BTC-USDT", "id": "7"},
    Q: {"e": "quote", "s": "BTC-USDT"},
    C: {"e": "candle", "s": "BTC-USDT", "i": "1m", "o": 60},
}


@pytest.fixture
def endless(talk_with: Any, plugins: Any) -> Any:
    """Starts a conversation with a plugin that is ended in a frame which says so, after all that frame holds."""

    class Endless(plugins[0]):  # type: ignore[misc]
        @hookimpl
        def parse(self, session: Any, frame: bytes, at: int) -> Any:
            said = super().parse(session, frame.removeprefix(b"endless "), at)
            return self.flood(said) if frame.startswith(b"endless ") else said

        def flood(self, said: list[Any]) -> Any:
            yield from said
            raise HookEnded

        def event(self, said: Any, at: int) -> Any:
            if said["e"] == "balance":
                return Balance("acme", "BTC", None, at, "main", Decimal(said["v"]), Decimal(1))
            return super().event(said, at)

    return lambda *channels: talk_with(Endless(), *channels).open()


def as_endless(*said: Any) -> bytes:
    return b"endless " + json.dumps(said).encode()


def test_what_the_frames_before_it_brought_goes_out_and_nothing_of_it(endless: Any) -> None:
    one = endless(T)
    one.hear(OK)
    out = one.hear(SAID[T], {**SAID[T], "id": "8"}, as_endless(*({**SAID[T], "id": str(n)} for n in range(9, 5000))))
    assert [event.id for event in out] == ["7", "8"]
    assert one.session.statistics.malformed == 1
    assert one.session.statistics.events == 2


def test_where_it_followed_on_what_is_no_data_the_whole_read_is_told_of(endless: Any) -> None:
    one = endless(T)
    one.hear(OK)
    one.hear(SAID[T])
    one.at = 1020 * SECOND
    assert one.hear({**SAID[T], "id": "8"}, {"e": "alive"}, as_endless({**SAID[T], "id": "9"})) == []
    one.redial("ended").hear(OK)
    gap, trade = one.hear({**SAID[T], "id": "10"})
    assert (gap.start, trade.id) == (1000 * SECOND, "10")


@pytest.mark.parametrize("text", [T, Q, C])
def test_the_next_gap_tells_of_it(endless: Any, text: str) -> None:
    one = endless(text)
    one.hear(OK)
    one.at = 1010 * SECOND
    one.hear(SAID[text])
    one.at = 1020 * SECOND
    assert one.hear(as_endless(*[{**SAID[text], "id": "900", "t": 1020 * SECOND, "o": 120}] * 3)) == []
    one.redial("ended")
    one.hear(OK)
    one.at = 1100 * SECOND
    gap, event = one.hear({**SAID[text], "id": "11", "t": 1099 * SECOND, "o": 180})
    assert isinstance(gap, Gap)
    assert gap.start == (120 if text == C else 1010) * SECOND, "candles are known by their start"
    assert gap.end == (120 if text == C else 1099) * SECOND
    if text == T:
        assert event.id == "11"
        assert "900" not in (gap.first_id, gap.last_id)


def test_what_becomes_of_an_account_is_told_up_to_a_bound(endless: Any) -> None:
    one = endless("balance BTC", T)
    one.hear(OK)
    said = [{"e": "balance", "v": str(value)} for value in range(3)]
    out = one.hear(SAID[T], as_endless(*said, {**SAID[T], "id": "8"}))
    assert [event.__class__.__name__ for event in out] == ["Trade", "Balance", "Balance", "Balance"]
    assert len(one.hear(as_endless(*[said[0]] * 3000))) == 1000
