"""A stream that had brought nothing when its socket was lost: what it missed is told with its first event."""

from __future__ import annotations

import pytest

from tickhive.channels import DataType
from tickhive.events import Gap

SECOND = 1_000_000_000
T, Q, C = "trade BTC-USDT", "quote BTC-USDT", "candle:1m BTC-USDT"
OK = {"e": "ok", "id": "1"}
SAID = {
    T: {"e": "trade", "s": "BTC-USDT", "id": "7"},
    Q: {"e": "quote", "s": "BTC-USDT"},
    C: {"e": "candle", "s": "BTC-USDT", "i": "1m", "o": 60},
}


def start(talk, text=T):
    one = talk("plain", text, "trade ETH-USDT").open()
    one.hear(OK)
    one.at = 1010 * SECOND
    one.hear({"e": "alive"})
    return one


@pytest.mark.parametrize("text", [T, Q, C])
def test_what_was_missed_is_told_with_the_first_event(talk, text):
    one = start(talk, text)
    one.at = 1020 * SECOND
    one.redial("cut")
    one.at = 1025 * SECOND
    one.hear(OK)
    one.at = 1500 * SECOND
    gap, _ = one.hear(SAID[text])
    assert isinstance(gap, Gap)
    assert (gap.symbol, gap.data_type, gap.cause) == ("BTC-USDT", DataType(text.split()[0].split(":")[0]), "cut")
    assert (gap.start, gap.end) == (1010 * SECOND, 1025 * SECOND)
    assert gap.params == ("1m" if text == C else "")
    assert len(one.hear(SAID[text])) == 1
    assert one.session.statistics.gaps == 1


def test_several_cuts_are_one_hole(talk):
    one = start(talk)
    one.redial("cut").hear(OK)
    one.at = 1100 * SECOND
    one.redial("cut again").hear(OK)
    gap, _ = one.hear(SAID[T])
    assert (gap.start, gap.end, gap.cause) == (1010 * SECOND, 1100 * SECOND, "cut")


def test_what_another_socket_carried_was_not_missed(talk):
    one = start(talk)
    two = one.twin()
    two.hear(OK)
    one.hear({"e": "alive"})
    one.session.closed("cut", one.at)
    assert len(two.hear(SAID[T])) == 1


def test_what_was_never_confirmed_was_not_promised(talk):
    one = talk("plain", T).open()
    one.redial("cut").hear(OK)
    assert len(one.hear(SAID[T])) == 1


def test_a_channel_given_up_meanwhile_begins_anew(talk):
    one = start(talk)
    channel = one.dial.channels[0]
    one.redial("cut").hear(OK)
    one.session.remove([channel], one.at)
    one.session.add([channel], one.at)
    assert len(one.hear(SAID[T])) == 1
    assert one.feed.continuity.unheard.keys() <= {k for k in one.feed.continuity.unheard if k[1] == "ETH-USDT"}


def test_a_socket_that_hangs_half_open_vouches_for_nothing_when_it_asks_again(talk):
    one = start(talk, Q)
    one.hear({**SAID[Q], "t": 1})
    one.at += 20 * SECOND
    fresh = one.twin()
    fresh.hear(OK)
    fresh.at += SECOND
    assert len(fresh.hear({**SAID[Q], "t": 2})) == 1, "the other socket still counts"
    one.session.asking.again([one.dial.channels[0]], fresh.at + SECOND)
    _, gap = fresh.hear({**SAID[Q], "t": 3})
    assert isinstance(gap, Gap)
    assert (gap.start, gap.end, gap.cause) == (1, 2, "it was asked for again")
