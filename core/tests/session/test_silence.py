"""Silence: noticed within its limit, remedied step by step, reported when nothing helps; the others go on untouched."""

from __future__ import annotations

import itertools
import random

import pytest

from tickhive.events import Gap

SECOND = 10**9
SYMBOLS = [f"S{number}-USDT" for number in range(50)]
NAMES = [f"trade {symbol}" for symbol in SYMBOLS]
T, B, Q = NAMES[0], "orderbook S0-USDT", "quote BTC-USDT"


def minute(channel):
    return 60.0


class Market:
    """Trades that come every so many seconds on a socket, but for the symbols that are ``dead`` there."""

    def __init__(self, speaking, intervals, seed=1):
        self.speaking, self.intervals, self.dead = speaking, intervals, set()
        self.random = random.Random(seed)
        self.next = {symbol: self.wait(symbol) for symbol in intervals}
        self.now, self.id = 0.0, 0

    def wait(self, symbol):
        return self.random.expovariate(1 / self.intervals[symbol])

    def run(self, seconds, until=lambda: False):
        """Let the market live; answers how long it took ``until`` something."""
        begun, end = self.now, self.now + seconds
        while not until():
            symbol = min(self.next, key=self.next.__getitem__)
            at = self.next[symbol]
            # A stop at every second, so that what is waited for is seen soon.
            step = min(at, end, self.now + 0.1)
            self.speaking.later(step - self.now)
            self.now = step
            if step == at:
                self.next[symbol] = at + self.wait(symbol)
                if symbol not in self.dead:
                    self.id += 1
                    self.speaking.hear({"e": "trade", "s": symbol, "id": str(self.id)})
            elif step >= end:
                break
        return self.now - begun


def acknowledge(speaking):
    """The venue confirms all that was asked; answers what that was."""
    sent = speaking.sent()
    for said in sent:
        verb, _, names = said.partition(" ")
        speaking.hear({"e": "ok" if verb == "sub" else "off", "c": names.split(", ")})
    return sent


def row(speaking, index=0):
    return speaking.feed.ledger.status(speaking.at)[index]


def told(speaking, name):
    return [(each.state, each.reason) for each in speaking.news if f"{each.data_type.value} {each.symbol}" == name]


@pytest.mark.parametrize("interval", [0.2, 2.0])
def test_one_of_fifty_is_noticed_asked_again_and_moved(talk, interval):
    speaking = talk("leaving", *NAMES, silence=minute).open()
    acknowledge(speaking)
    intervals = dict.fromkeys(SYMBOLS, 0.4) | {SYMBOLS[0]: interval}
    market = Market(speaking, intervals)
    market.run(120)
    learned = row(speaking)
    assert learned["interval_seconds"] == pytest.approx(interval, rel=0.5)
    assert learned["silence_limit_seconds"] == max(5.0, 10 * learned["interval_seconds"])
    market.dead.add(SYMBOLS[0])
    last = learned["last_received"]
    market.run(60, until=lambda: speaking.states()[T] == "silent")
    assert (speaking.at - last) / SECOND == pytest.approx(learned["silence_limit_seconds"], rel=0.15, abs=1.0)
    assert {state for name, state in speaking.states().items() if name != T} == {"receiving"}
    assert speaking.feed.ledger.summary()["silent_channels"] == [T]
    assert speaking.sent() == [f"unsub {T}"]
    speaking.hear({"e": "off", "c": [T]})
    assert acknowledge(speaking) == [f"sub {T}"]
    assert speaking.states()[T] == "silent", "an acknowledgement is no data"
    assert row(speaking)["remedy"] == "asked again"
    patience = max(5.0, learned["silence_limit_seconds"] / 2)
    assert market.run(60, until=lambda: speaking.session.leaving is not None) == pytest.approx(patience, abs=1.0)
    assert speaking.session.leaving == f"no data for {T}"
    assert speaking.session.close_reason is None
    assert speaking.sent() == []
    # The fresh socket has it.
    fresh = speaking.twin()
    acknowledge(fresh)
    assert fresh.states()[T] == "silent"
    fresh.hear({"e": "trade", "s": SYMBOLS[0], "id": "99999999"})
    assert fresh.states()[T] == "receiving"
    speaking.data(speaking.session.closed("left", speaking.at))
    assert set(fresh.states().values()) == {"receiving"}
    shown = [state for state, _ in told(speaking, T) + told(fresh, T)]
    assert shown == ["asked", "acknowledged", "receiving", "silent", "receiving"]
    assert all(len(told(speaking, name)) == 3 for name in NAMES[1:])
    assert 0.5 < row(fresh)["live_share"] < 1.0


def test_asking_again_may_be_all_it_takes(talk):
    speaking = talk("plain", *NAMES[:5], silence=minute).open()
    acknowledge(speaking)
    market = Market(speaking, dict.fromkeys(SYMBOLS[:5], 0.2))
    market.run(60)
    market.dead.add(SYMBOLS[0])
    market.run(10, until=lambda: speaking.states()[T] == "silent")
    assert acknowledge(speaking) == [f"sub {T}"]
    market.dead.clear()
    market.run(3)
    market.run(60)
    assert speaking.states()[T] == "receiving"
    assert (speaking.sent(), speaking.session.leaving) == ([], None)
    assert (row(speaking)["reason"], row(speaking)["remedy"]) == (None, "asked again")


@pytest.mark.parametrize("kind", ["plain", "leaving"])
def test_what_may_have_been_missed_until_asking_again_helped_is_a_gap(talk, kind):
    """Between giving a channel up and having it again nothing of it comes; what arrives meanwhile is from before."""
    speaking = talk(kind, "quote BTC-USDT", "quote ETH-USDT", silence=minute).open()
    acknowledge(speaking)
    for _ in range(120):
        speaking.later(1)
        speaking.hear({"e": "quote", "s": "BTC-USDT"}, {"e": "quote", "s": "ETH-USDT"})
    while not (asked := speaking.sent()):
        speaking.later(1)
        speaking.hear({"e": "quote", "s": "ETH-USDT"})
    answers = {"unsub": "off", "sub": "ok"}
    speaking.later(1)
    last = speaking.at
    found = speaking.hear({"e": "quote", "s": "BTC-USDT"})
    assert [type(event) for event in found[:-1]] == ([Gap] if kind == "plain" else [])
    while asked:
        speaking.later(1)
        speaking.hear({"e": "quote", "s": "ETH-USDT"}, *({"e": answers[each.split()[0]], "c": [Q]} for each in asked))
        asked = speaking.sent()
    speaking.later(1)
    found = speaking.hear({"e": "quote", "s": "BTC-USDT"}, {"e": "quote", "s": "ETH-USDT"})
    gaps = [event for event in found if isinstance(event, Gap)]
    assert [(gap.symbol, gap.start, gap.end) for gap in gaps] == (
        [("BTC-USDT", last, speaking.at)] if kind == "leaving" else []
    )
    assert all("it was asked for again" in gap.cause for gap in gaps)


def test_what_nothing_helps_is_reported_and_asked_for_ever_more_seldom(talk):
    speaking = talk("plain", *NAMES[:5], silence=minute).open()
    acknowledge(speaking)
    market = Market(speaking, dict.fromkeys(SYMBOLS[:5], 0.5))
    market.run(60)
    market.dead.add(SYMBOLS[0])
    market.run(60, until=lambda: speaking.session.leaving is not None)
    fresh = speaking.twin()
    acknowledge(fresh)
    speaking.data(speaking.session.closed("left", speaking.at))
    market.speaking = fresh
    market.run(30)
    (state, reason) = told(fresh, T)[-1]
    assert state == "silent"
    assert reason.endswith("asking again and a fresh socket did not help")
    assert fresh.sent() == []
    asked = []
    while len(asked) < 7:
        fresh.session.asking.channels[fresh.dial.channels[1]].since = fresh.at  # the others are not the matter here
        for channel in fresh.dial.channels[1:]:
            fresh.hear({"e": "trade", "s": channel.symbol, "id": str(fresh.at)})
        fresh.later(1)
        if f"sub {T}" in acknowledge(fresh):
            asked.append(fresh.at)
    waits = [round((after - before) / SECOND / 60) for before, after in itertools.pairwise(asked)]
    assert waits == [2, 4, 8, 16, 30, 30]
    assert (fresh.session.leaving, fresh.session.close_reason) == (None, None)
    assert len(told(fresh, T)) == 1, "it is reported once"
    fresh.hear({"e": "trade", "s": SYMBOLS[0], "id": "77777777777777777777"})
    fresh.later(1)
    assert told(fresh, T)[-1] == ("receiving", None)


def test_a_channel_that_flaps_does_not_move_the_others_again_and_again(talk):
    speaking = talk("plain", *NAMES[:5], silence=minute).open()
    acknowledge(speaking)
    market = Market(speaking, dict.fromkeys(SYMBOLS[:5], 0.2))
    market.run(60)
    moved = []

    def live(seconds, *dead):
        market.dead = set(dead)
        for _ in range(seconds):
            market.run(1)
            acknowledge(market.speaking)
            if market.speaking.session.leaving is not None:
                moved.append(market.speaking.at)
                fresh = market.speaking.twin()
                acknowledge(fresh)
                market.speaking.session.closed("left", fresh.at)
                market.speaking = fresh

    for _ in range(10):
        live(11, SYMBOLS[0])
        live(2)
    assert len(moved) == 1
    live(75)
    assert set(market.speaking.states().values()) == {"receiving"}
    # It was well for a while, so that this is another silence; but a fresh socket was had a moment ago.
    live(60, SYMBOLS[0])
    assert row(market.speaking)["reason"].endswith("it was given a fresh socket a moment ago")
    assert len(moved) == 1
    live(400, SYMBOLS[0])
    assert len(moved) == 2
    assert moved[1] - moved[0] >= 300 * SECOND


def test_many_that_fall_silent_together_are_the_sockets_fault(talk):
    speaking = talk("plain", *NAMES[:6], silence=minute).open()
    acknowledge(speaking)
    market = Market(speaking, dict.fromkeys(SYMBOLS[:6], 0.2))
    market.run(60)
    market.dead.update(SYMBOLS[:5])
    took = market.run(60, until=lambda: speaking.session.leaving is not None)
    assert took < 7
    assert speaking.session.leaving.startswith("no data for trade S")
    assert sorted(speaking.states().values())[0] == "receiving"


def test_nobody_is_accused_while_reading_is_held_back_or_after_a_suspension(talk):
    speaking = talk("plain", *NAMES[:5], silence=minute).open()
    acknowledge(speaking)
    market = Market(speaking, dict.fromkeys(SYMBOLS[:5], 0.2))
    market.run(60)
    speaking.feed.paused = True
    speaking.later(300)
    speaking.feed.paused = False
    speaking.later(4)
    assert set(speaking.states().values()) == {"receiving"}
    market.run(10)
    speaking.at += 3600 * SECOND  # nobody was awake
    speaking.later(4)
    assert set(speaking.states().values()) == {"receiving"}
    assert row(speaking)["silence_limit_seconds"] < 6
    speaking.later(2)
    assert set(speaking.states().values()) == {"silent"}


def test_what_only_speaks_when_something_happens_may_be_quiet_for_ever(talk):
    speaking = talk("quiet", T, "trade S1-USDT", silence=lambda channel: None).open()
    market = Market(speaking, dict.fromkeys(SYMBOLS[:2], 0.2))
    market.run(60)
    speaking.later(100_000)
    assert set(speaking.states().values()) == {"receiving"}
    assert row(speaking)["silence_limit_seconds"] is None


def test_before_the_cadence_is_known_the_fallback_holds(talk):
    speaking = talk("quiet", T, silence=minute).open()
    speaking.hear({"e": "trade", "s": SYMBOLS[0], "id": "1"})
    speaking.later(59.9)
    assert speaking.states() == {T: "receiving"}
    assert (row(speaking)["interval_seconds"], row(speaking)["silence_limit_seconds"]) == (None, 60.0)
    speaking.later(0.2)
    assert speaking.states() == {T: "silent"}


def test_another_sockets_data_does_not_hide_that_this_one_is_silent(talk):
    first = talk("plain", *NAMES[:3], silence=minute).open()
    acknowledge(first)
    market = Market(first, dict.fromkeys(SYMBOLS[:3], 0.2))
    market.run(60)
    second = first.twin()
    acknowledge(second)
    for _ in range(80):
        market.run(0.5)
        second.at = first.at
        for symbol in SYMBOLS[1:3]:
            second.hear({"e": "trade", "s": symbol, "id": str(second.at)})
        second.data(second.session.tick(second.at))
        if second.session.outbox:
            break
    assert second.sent() == [f"sub {T}"]
    assert first.states()[T] == "receiving"
    assert all(state != "silent" for state, _ in told(first, T) + told(second, T))


def test_a_book_that_fell_silent_is_not_served(talk):
    speaking = talk("leaving", B, *NAMES[1:3], silence=minute).open()
    acknowledge(speaking)
    market = Market(speaking, dict.fromkeys(SYMBOLS[1:3], 0.2))
    book = {"e": "book", "s": SYMBOLS[0], "b": [["1", "1"]], "a": [["2", "1"]], "q": 1}
    speaking.hear(book)
    for number in range(1, 200):
        speaking.hear({"e": "delta", "s": SYMBOLS[0], "b": [["1", "2"]], "p": number, "q": number + 1})
        market.run(0.2)
    assert speaking.book_state(SYMBOLS[0]) == "live"
    market.run(6)
    assert speaking.states()[B] == "silent"
    assert speaking.book_state(SYMBOLS[0]) == "broken"
    assert acknowledge(speaking) == [f"unsub {B}"]
    assert acknowledge(speaking) == [f"sub {B}"]
    events = speaking.hear({**book, "q": 900})
    assert [event.__class__.__name__ for event in events] == ["Gap", "BookSnapshot"]
    assert speaking.states()[B] == "receiving"
    assert speaking.book_state(SYMBOLS[0]) == "live"


def test_a_fetched_snapshot_of_a_silent_book_is_no_data_and_is_not_served_for_long(talk):
    speaking = talk("fetching", B, *NAMES[1:3], silence=minute, patience=10.0).open()
    acknowledge(speaking)
    market = Market(speaking, dict.fromkeys(SYMBOLS[1:3], 0.2))
    book = {"e": "book", "s": SYMBOLS[0], "b": [["1", "1"]], "a": [["2", "1"]], "q": 1}
    speaking.hear(book)
    for number in range(1, 200):
        speaking.hear({"e": "delta", "s": SYMBOLS[0], "b": [["1", "2"]], "p": number, "q": number + 1})
        market.run(0.2)
    limit = row(speaking)["silence_limit_seconds"]
    served, fetches = 0.0, 0
    for _ in range(600):
        market.run(0.2)
        acknowledge(speaking)
        served += 0.2 * (speaking.book_state(SYMBOLS[0]) == "live")
        while speaking.session.fetches:
            fetches += 1
            speaking.answer(speaking.take_fetch(), {**book, "q": 300 + fetches})
            served = 0.0
        assert served <= limit + 1.5, "a book is served although its changes stay away"
    assert fetches
    assert [state for state, _ in told(speaking, B)].count("receiving") == 1
    speaking.hear({"e": "delta", "s": SYMBOLS[0], "b": [["1", "3"]], "p": 300 + fetches, "q": 301 + fetches})
    market.run(2)
    assert speaking.states()[B] == "receiving"
