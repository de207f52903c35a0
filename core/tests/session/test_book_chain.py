"""The one rule of book chains, point by point, and what it guarantees over a bad line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.events import BookDelta, Level
from tickhive.session.continuity import Verdict, judge

ACCEPT, DROP, GAP = Verdict.ACCEPT, Verdict.DROP, Verdict.GAP
SOME = (Level("1", "1"),)

# last, bridging, previous, first, sequence, empty, verdict
RULE = [
    # 1: `previous` is `last`
    (10, False, 10, None, 11, False, ACCEPT),
    (10, False, 10, None, 15, False, ACCEPT),
    (10, False, 10, None, 3, False, ACCEPT),  # maintenance: the numbers start anew
    (10, False, 10, None, 10, True, ACCEPT),  # keep-alive
    (10, True, 10, None, 11, False, ACCEPT),
    # 2: known already
    (10, False, 10, None, 10, False, DROP),
    (10, False, 9, None, 10, False, DROP),
    (10, False, 3, None, 4, False, DROP),
    (10, True, 9, None, 10, False, DROP),
    (10, False, None, 9, 10, False, DROP),
    (10, False, None, None, 7, False, DROP),
    # 3: the first one after a fetched snapshot
    (10, True, 8, None, 12, False, ACCEPT),
    (10, True, 9, 9, 12, False, ACCEPT),
    (10, True, None, 9, 12, False, ACCEPT),
    (10, True, None, 11, 12, False, ACCEPT),
    (10, True, 11, None, 12, False, GAP),
    (10, True, None, 12, 13, False, GAP),
    # 4: venues without `previous`
    (10, False, None, 11, 12, False, ACCEPT),
    (10, False, None, 11, 11, False, ACCEPT),
    (10, False, None, None, 11, False, ACCEPT),
    # 5: anything else
    (10, False, 9, None, 12, False, GAP),
    (10, False, 11, None, 12, False, GAP),
    (10, False, None, 10, 12, False, GAP),
    (10, False, None, 12, 12, False, GAP),
    (10, False, None, None, 12, False, GAP),
    # no numbers, nothing to check
    (None, False, None, None, None, False, ACCEPT),
    (10, False, None, None, None, False, ACCEPT),
    (None, False, 4, None, 5, False, ACCEPT),
]


@pytest.mark.parametrize(("last", "bridging", "previous", "first", "sequence", "empty", "verdict"), RULE)
def test_rule(last, bridging, previous, first, sequence, empty, verdict):
    delta = BookDelta("acme", "BTC-USDT", None, 1, () if empty else SOME, (), sequence, previous, first)
    assert judge(delta, last, bridging) is verdict


_change = st.tuples(st.sampled_from("ba"), st.integers(1, 12), st.sampled_from(["0", "1", "2"]))
_message = st.tuples(st.integers(1, 3), st.lists(_change, min_size=1, max_size=3), st.booleans())
_fate = st.sampled_from(["pass"] * 6 + ["lose", "double", "late", "snapshot"])


def _script(messages, with_previous):
    """A venue's own book after every message: the frames, and sequence number to the truth at that number."""
    truth, states, frames, last = {"b": {}, "a": {}}, {}, [], 100
    states[last] = ({}, {})
    for number, (step, changes, restart) in enumerate(messages):
        sequence = last + step if not (restart and with_previous) else last - 50
        sides = {"b": [], "a": []}
        for side, price, size in changes:
            # Bids below and asks above 100, so that no true book is crossed.
            text = str(100 - price if side == "b" else 100 + price)
            sides[side].append([text, size])
            truth[side].pop(text, None)
            if size != "0":
                truth[side][text] = size
        numbers = {"q": sequence, "p": last} if with_previous else {"q": sequence, "f": last + 1}
        frames.append({"e": "delta", "s": "BTC-USDT", "t": 10 * (number + 1), **numbers, **sides})
        states[sequence] = (dict(truth["b"]), dict(truth["a"]))
        last = sequence
    return frames, states


def _snapshot(states, sequence, time):
    bids, asks = states[sequence]
    return {
        "e": "book",
        "s": "BTC-USDT",
        "q": sequence,
        "t": time,
        "b": [list(row) for row in bids.items()],
        "a": [list(row) for row in asks.items()],
    }


@settings(deadline=None, max_examples=120)
@given(st.lists(_message, max_size=25), st.lists(_fate, max_size=25), st.booleans())
def test_a_live_book_is_the_venues_book_over_a_line_that_loses_doubles_and_reorders(
    talk, messages, fates, with_previous
):
    """Numbers repeat after a restart, so there the truth of a number is only sought while it is unambiguous."""
    frames, states = _script(messages, with_previous)
    if len(states) != len(frames) + 1:
        return
    speaking = talk("leaving", "orderbook BTC-USDT").open()
    speaking.hear(_snapshot(states, 100, 0))
    view = speaking.feed.book("BTC-USDT")
    late = []

    def hear(said):
        speaking.hear(json.dumps(said).encode())
        if view.live:
            bids, asks = states[view.sequence]
            copy = view.copy()
            assert (dict(copy.bids), dict(copy.asks)) == (bids, asks)

    for place, frame in enumerate(frames):
        fate = fates[place] if place < len(fates) else "pass"
        if fate == "snapshot":
            hear(_snapshot(states, frame["q"], frame["t"]))
        elif fate == "late":
            late.append(frame)
        elif fate != "lose":
            for _ in range(2 if fate == "double" else 1):
                hear(frame)
            while late:
                hear(late.pop())
