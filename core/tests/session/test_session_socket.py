"""The socket's own affairs: heartbeat, upkeep, lifetime, numbering, interruptions, and frames nobody understands."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.channels import DataType
from tickhive.events import Gap, Trade
from tickhive.plugin.contract import Fetch, Heartbeat, Request
from tickhive.plugin.hookspecs import hookimpl

T, B, C1, C5 = "trade BTC-USDT", "orderbook BTC-USDT", "candle:1m BTC-USDT", "candle:5m BTC-USDT"


def trade(id: int, t: int | None = None, n: int = 1, s: str = "BTC-USDT"):
    return {"e": "trade", "s": s, "id": str(id), "t": t, "n": n}


def kinds(events):
    return [type(event).__name__ for event in events]


def test_heartbeat_is_sent_after_silence_and_its_answer_awaited(talk):
    speaking = talk("plain", T, heartbeat=Heartbeat(20, "ping", b"pong")).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.sent()
    speaking.later(19)
    speaking.hear({"e": "alive"})
    speaking.later(19.5)
    assert speaking.sent() == []
    speaking.later(1)
    assert speaking.sent() == ["ping"]
    speaking.hear(b"pong")
    assert speaking.session.statistics.malformed == 0
    speaking.later(19)
    assert speaking.session.close_reason is None
    speaking.later(25)
    assert speaking.sent() == ["ping"]
    assert speaking.session.close_reason == "no answer to the heartbeat"


def test_an_answer_within_one_tick_of_a_coarse_clock_is_an_answer(talk):
    speaking = talk("plain", T, heartbeat=Heartbeat(20, "ping", b"pong")).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.sent()
    for _ in range(3):
        speaking.later(20)
        assert speaking.sent() == ["ping"]
        speaking.hear(b"pong")
    assert speaking.session.close_reason is None
    speaking.later(20)
    speaking.later(20)
    assert speaking.session.close_reason == "no answer to the heartbeat"


def test_heartbeat_by_websocket_ping(talk):
    speaking = talk("plain", T, heartbeat=Heartbeat(20)).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.later(20)
    assert speaking.session.wants_ping
    speaking.session.wants_ping = False
    speaking.later(5)
    speaking.session.ponged(speaking.at)
    speaking.later(19)
    assert not speaking.session.wants_ping
    speaking.later(1)
    assert speaking.session.wants_ping
    assert speaking.session.close_reason is None


def test_without_heartbeat_a_quiet_socket_is_left_in_peace(talk):
    speaking = talk("quiet", T).open()
    speaking.later(1000)
    assert (speaking.sent(), speaking.session.wants_ping, speaking.session.close_reason) == ([], False, None)


def test_upkeep_and_lifetime(talk_with):
    class Kept:
        @hookimpl
        def connect(self, channels):
            return ()

        @hookimpl
        def parse(self, frame):
            return ()

        @hookimpl
        def heartbeat(self, at):
            return [Request("keep"), Fetch("https://acme.test/keep")]

    speaking = talk_with(Kept(), T, upkeep=1800, lifetime=86400).open()
    speaking.later(3601)
    assert speaking.sent() == ["keep", "keep"]
    assert [fetch.url for fetch in speaking.session.fetches] == ["https://acme.test/keep"] * 2
    speaking.later(82_000)
    assert speaking.session.close_reason is None
    speaking.later(800)
    assert speaking.session.leaving == "the venue cuts its sockets after 86400 s"


def test_reply_and_goodbye(talk):
    speaking = talk("quiet", T).open()
    speaking.hear({"e": "reply"}, {"e": "bye", "why": "upgrade\nsoon"})
    assert speaking.sent() == ["back"]
    assert speaking.session.leaving == "the venue says goodbye: upgrade soon"


def test_a_jump_in_the_numbers_of_a_socket_is_a_gap_in_all_it_carries(talk):
    speaking = talk("leaving", T, B).open()
    book = {"e": "book", "s": "BTC-USDT", "b": [["1", "1"]], "a": [["2", "1"]], "q": 5, "t": 50}
    speaking.hear({"e": "num", "v": 7}, book, {"e": "num", "v": 8}, trade(1, 60))
    assert speaking.book_state() == "live"
    events = speaking.hear([{"e": "num", "v": 10}, trade(2, 90)])
    assert kinds(events) == ["Gap", "Gap", "Trade"]
    assert {(gap.data_type, gap.start) for gap in events[:2]} == {(DataType.ORDERBOOK, 50), (DataType.TRADE, 60)}
    assert all("expected 9, got 10" in gap.cause for gap in events[:2])
    assert speaking.book_state() == "broken"
    assert kinds(speaking.hear([{"e": "num", "v": 11}, trade(3, 91)])) == ["Trade"]


# Interruptions


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([trade(6, 200)], ["Trade"]),  # the next id: nothing was missed
        ([trade(8, 200, n=3)], ["Trade"]),  # merged executions 6 to 8
        ([trade(9, 200, n=3)], ["Gap", "Trade"]),
        ([trade(7, 200)], ["Gap", "Trade"]),
        ([trade(5, 100), trade(6, 200)], ["Trade"]),  # the last one is told once, and proves nothing yet
        ([trade(5, 100), trade(9, 200, n=3)], ["Gap", "Trade"]),
        ([trade(2, 200)], ["Gap", "Trade"]),  # lower id, later time: numbers restarted
    ],
)
def test_what_was_missed_while_the_socket_was_away(talk, after, expected):
    speaking = talk("quiet", T).open()
    assert kinds(speaking.hear(trade(5, 100))) == ["Trade"]
    speaking.redial("disconnected: 1006")
    events = speaking.hear(*after)
    assert kinds(events) == expected
    for gap in events:
        if isinstance(gap, Gap):
            assert (gap.data_type, gap.start, gap.end) == (DataType.TRADE, 100, 200)
            assert (gap.cause, gap.filled) == ("disconnected: 1006", "none")
            assert (gap.first_id, gap.last_id) in [("6", "6"), (None, None)]
    assert speaking.session.statistics.gaps == expected.count("Gap")
    assert kinds(speaking.hear(trade(99, 300))) == ["Trade"]


def test_trades_without_numbers_for_ids_are_a_gap(talk):
    speaking = talk("quiet", T).open()
    speaking.hear({"e": "trade", "s": "BTC-USDT", "id": "abc"})
    speaking.redial()
    assert kinds(speaking.hear({"e": "trade", "s": "BTC-USDT", "id": "abd"})) == ["Gap", "Trade"]


def test_streams_that_had_not_begun_have_no_gap_where_no_time_passed(talk):
    speaking = talk("quiet", T).open()
    speaking.redial()
    assert kinds(speaking.hear(trade(1))) == ["Trade"]


def test_candles_of_each_interval_are_streams_of_their_own(talk):
    speaking = talk("quiet", C1, C5).open()
    one, five = ({"e": "candle", "s": "BTC-USDT", "i": interval, "t": 100} for interval in ("1m", "5m"))
    speaking.hear(one)
    assert speaking.states() == {C1: "receiving", C5: "acknowledged"}
    speaking.hear(five, one)
    speaking.redial("cut")
    one, five = one | {"o": 600}, five | {"o": 600}
    events = speaking.hear(one, one, five)
    assert kinds(events) == ["Gap", "Candle", "Candle", "Gap", "Candle"]
    assert [event.params for event in events if isinstance(event, Gap)] == ["1m", "5m"]


def test_a_book_after_an_interruption_begins_with_a_gap(talk):
    speaking = talk("plain", B).open()
    book = {"e": "book", "s": "BTC-USDT", "b": [["1", "1"]], "a": [["2", "1"]], "q": 5, "t": 50}
    speaking.hear(book)
    speaking.session.closed("cut", speaking.at)
    assert speaking.book_state() == "broken"
    speaking.dialled()
    speaking.open()
    assert speaking.book_state() == "syncing"
    events = speaking.hear({**book, "t": 90})
    assert kinds(events) == ["Gap", "BookSnapshot"]
    assert (events[0].start, events[0].end, events[0].cause) == (50, 90, "cut")
    assert speaking.book_state() == "live"


# Frames nobody understands


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "parse failed: TypeError"),
        (7, "parse failed: TypeError"),
        ("text", "parse answered str, which is no event"),
        ([None], "parse answered NoneType, which is no event"),
        ([Trade("acme", ["unhashable"], None, 1, "1", "buy", 1, 1)], "parse failed: TypeError"),
        (ValueError("a\nb" * 500), "parse failed: ValueError: a b"),
        (RecursionError(), "parse failed: RecursionError"),
    ],
)
def test_a_parse_that_misbehaves_costs_its_frame_only(talk_with, answer, words):
    class Odd:
        @hookimpl
        def connect(self, channels):
            return ()

        @hookimpl
        def parse(self, frame, at):
            if frame != b"odd":
                return [Trade("acme", "BTC-USDT", None, at, "1", "buy", 1, 1)]
            if isinstance(answer, Exception):
                raise answer
            return answer

    speaking = talk_with(Odd(), T).open()
    assert kinds(speaking.hear(b"odd", b"even", b"odd")) == ["Trade"]
    statistics = speaking.session.statistics
    assert (statistics.frames, statistics.malformed, statistics.events) == (3, 2, 1)
    assert statistics.last_malformed.startswith(words)
    assert len(statistics.last_malformed) < 250
    assert statistics.last_malformed.isprintable()


def test_unknown_and_malformed_are_counted(talk):
    speaking = talk("quiet", T, heartbeat=Heartbeat(20, "ping", b'{"e": "pong"}')).open()
    assert speaking.hear({"e": "news"}, {"e": "bad"}, {"e": "pong"}) == []
    statistics = speaking.session.statistics
    assert (statistics.unknown, statistics.last_unknown) == (1, "news")
    assert (statistics.malformed, statistics.last_malformed) == (1, "bad")


_words = st.sampled_from(
    ["trade", "candle", "book", "delta", "sum", "ok", "off", "no", "ready", "num", "reply", "bye", "bad", "news"]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_said = st.fixed_dictionaries(
    {"e": _words},
    optional=dict.fromkeys(("id", "c", "t", "n", "p", "q", "f", "v", "b", "a", "depth", "why", "kind", "i"), _values)
    | {"s": st.sampled_from(["BTC-USDT", "ETH-USDT"]) | _values},
)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(max_size=30) | _said.map(lambda said: json.dumps(said).encode()), max_size=12))
def test_no_frame_ever_raises(talk_with, plugins, frames):
    for plugin in plugins:
        speaking = talk_with(plugin(), T, B, C1, heartbeat=Heartbeat(20, "ping", b"pong"), patience=1.0).open()
        speaking.hear(*frames)
        speaking.later(5)
        speaking.hear(*frames)
        for fetch in speaking.session.fetches[:]:
            speaking.session.fetch_failed(fetch, "down", speaking.at)
        speaking.later(100)
        assert speaking.session.statistics.frames == 2 * len(frames)
        speaking.feed.ledger.status(speaking.at)
        speaking.redial()
