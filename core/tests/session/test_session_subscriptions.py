"""Subscribing: what goes out, what the venue may answer, and what the ledger says then."""

from __future__ import annotations

import pytest

from tickhive.plugin.contract import Credentials, Request
from tickhive.plugin.hookspecs import hookimpl

T, U, B = "trade BTC-USDT", "trade ETH-USDT", "orderbook BTC-USDT"
TRADE = {"e": "trade", "s": "BTC-USDT", "id": "1"}

# What the venue says, then what is sent and what the ledger holds, step by step.
CONVERSATIONS = {
    "acknowledged by id": [({"e": "ok", "id": "1"}, [], {T: "acknowledged", U: "acknowledged"})],
    "acknowledged by name": [
        ({"e": "ok", "c": [U]}, [], {T: "asked", U: "acknowledged"}),
        ({"e": "ok", "c": [T]}, [], {T: "acknowledged", U: "acknowledged"}),
    ],
    "data before its ack": [
        (TRADE, [], {T: "receiving", U: "asked"}),
        ({"e": "ok", "id": "1"}, [], {T: "receiving", U: "acknowledged"}),
    ],
    "rejected by name": [
        ({"e": "no", "c": [T]}, [], {T: "rejected", U: "asked"}),
        ({"e": "ok", "c": [U]}, [], {T: "rejected", U: "acknowledged"}),
    ],
    "rejected by the id of many: each alone": [
        ({"e": "no", "id": "1"}, [f"sub {T}", f"sub {U}"], {T: "asked", U: "asked"}),
        ({"e": "ok", "id": "2"}, [], {T: "acknowledged", U: "asked"}),
        ({"e": "no", "id": "3"}, [], {T: "acknowledged", U: "rejected"}),
    ],
    "an acknowledged one is not asked for again": [
        ({"e": "ok", "c": [T]}, [], {T: "acknowledged", U: "asked"}),
        ({"e": "no", "id": "1"}, [], {T: "acknowledged", U: "rejected"}),
    ],
    "a refusal that names nothing means the only open request": [
        ({"e": "no"}, [f"sub {T}", f"sub {U}"], {T: "asked", U: "asked"}),
        ({"e": "no"}, [], {T: "asked", U: "asked"}),
    ],
    "answers about nothing we know": [
        ({"e": "ok", "id": "77"}, [], {T: "asked", U: "asked"}),
        ({"e": "no", "id": "77"}, [], {T: "asked", U: "asked"}),
        ({"e": "off", "c": [T]}, [], {T: "asked", U: "asked"}),
        ({"e": "ready"}, [], {T: "asked", U: "asked"}),
    ],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(talk, name):
    speaking = talk("plain", T, U).open()
    assert speaking.sent() == [f"sub {T}, {U}"]
    for said, sent, states in CONVERSATIONS[name]:
        speaking.hear(said)
        assert speaking.sent() == sent
        states_now = speaking.states()
        assert states_now == states
    assert speaking.session.close_reason is None


def test_channels_the_address_carries_are_acknowledged_at_once(talk):
    speaking = talk("quiet", T).open()
    assert speaking.sent() == []
    assert speaking.states() == {T: "acknowledged"}


def test_a_missing_ack_is_asked_for_again_once_then_the_socket_goes(talk):
    speaking = talk("plain", T, U).open()
    speaking.sent()
    speaking.hear({"e": "ok", "c": [U]})
    speaking.later(9.9)
    assert speaking.sent() == []
    speaking.later(0.2)
    assert speaking.sent() == [f"sub {T}"]
    assert speaking.session.close_reason is None
    speaking.later(10)
    assert speaking.session.close_reason == f"no acknowledgement of {T}"


def test_data_is_acknowledgement_enough(talk):
    speaking = talk("plain", T).open()
    speaking.sent()
    speaking.hear(TRADE)
    speaking.later(60)
    assert speaking.sent() == []
    assert speaking.session.close_reason is None


@pytest.mark.parametrize("kind", ["rate", "retry"])
def test_a_passing_refusal_is_asked_again_later_and_later(talk, kind):
    speaking = talk("plain", T).open()
    speaking.sent()
    waits = []
    for attempt in range(1, 9):
        speaking.hear({"e": "no", "id": str(attempt), "kind": kind})
        assert speaking.states() == {T: "wanted"}
        before = speaking.at
        while not speaking.session.outbox:
            speaking.later(1)
        waits.append((speaking.at - before) // 10**9)
        speaking.sent()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_refused_credentials_end_the_feed(talk):
    speaking = talk("plain", T).open()
    speaking.hear({"e": "no", "kind": "credentials", "why": "bad key"})
    assert speaking.session.fatal == "the venue refused the credentials: bad key"
    assert speaking.session.close_reason == speaking.session.fatal


def test_what_was_refused_for_good_is_not_asked_for_on_the_next_socket(talk):
    speaking = talk("plain", T, U).open()
    speaking.hear({"e": "no", "c": [T], "why": "no such thing"})
    speaking.redial()
    assert speaking.sent() == [f"sub {U}"]
    (refused, _) = speaking.feed.ledger.status()
    assert (refused["state"], refused["reason"], refused["symbol"]) == ("rejected", "no such thing", "BTC-USDT")


def test_login_comes_first(talk):
    speaking = talk("plain", T, credentials=Credentials("me", key="k"), login=True).open()
    assert speaking.session.state == "login"
    assert speaking.sent() == ["login k"]
    speaking.hear({"e": "ready"})
    assert speaking.session.state == "open"
    assert speaking.sent() == [f"sub {T}"]
    speaking.hear({"e": "ready"})
    assert speaking.sent() == []


@pytest.mark.parametrize(
    ("said", "close_reason", "fatal"),
    [
        ([{"e": "no", "why": "busy", "kind": "retry"}], "the login was refused: busy", False),
        ([{"e": "no", "why": "who?", "kind": "credentials"}], "the venue refused the credentials: who?", True),
        ([], "no answer to the login", False),
    ],
)
def test_login_that_fails(talk, said, close_reason, fatal):
    speaking = talk("plain", T, credentials=Credentials("me", key="k"), login=True).open()
    speaking.hear(*said)
    speaking.later(11)
    assert speaking.session.close_reason == close_reason
    assert bool(speaking.session.fatal) is fatal


def test_login_without_credentials_is_fatal(talk):
    speaking = talk("plain", T, login=True).open()
    assert speaking.session.fatal == "this socket needs a login and no credentials are configured"


def test_channels_come_and_go_while_the_socket_lives(talk):
    speaking = talk("leaving", T).open()
    speaking.hear({"e": "ok", "id": "1"}, TRADE)
    speaking.session.add([], speaking.at)
    from_text = next(iter(talk("plain", U).dial.channels))
    speaking.session.add([from_text], speaking.at)
    assert speaking.sent() == [f"sub {T}", f"sub {U}"]
    speaking.session.remove(speaking.dial.channels, speaking.at)
    assert speaking.sent() == [f"unsub {T}"]
    assert T in speaking.states()
    speaking.hear({"e": "ok", "id": "3"})  # a venue whose acknowledgement names only the id
    assert speaking.states() == {U: "asked"}
    assert speaking.session.channels == [from_text]
    assert speaking.session.close_reason is None


def test_giving_up_without_an_answer_is_done_at_the_deadline(talk):
    speaking = talk("leaving", T).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.session.remove(speaking.dial.channels, speaking.at)
    speaking.later(11)
    assert speaking.states() == {}
    assert speaking.session.close_reason is None


def test_giving_up_where_the_venue_knows_no_way_takes_a_fresh_socket(talk):
    speaking = talk("plain", T, U).open()
    speaking.session.remove(speaking.dial.channels[:1], speaking.at)
    assert speaking.states() == {U: "asked"}
    assert speaking.session.close_reason == "channels were given up, which takes a fresh socket here"


def test_a_channel_whose_request_cannot_be_written_harms_no_other(talk_with):
    class Picky:
        @hookimpl
        def connect(self, channels):
            return ()

        @hookimpl
        def parse(self, frame):
            return ()

        @hookimpl
        def subscribe(self, channels):
            return [Request({"BTC-USDT": "hello"}[channel.symbol], [channel]) for channel in channels]

    speaking = talk_with(Picky(), T, U).open()
    assert speaking.sent() == ["hello"]
    assert speaking.states() == {T: "asked", U: "rejected"}
    assert speaking.feed.ledger.status()[1]["reason"] == "subscribe failed: KeyError: 'ETH-USDT'"
    assert speaking.session.statistics.hook_errors == 2


def test_silence_is_read_off_the_ledger(talk):
    speaking = talk("plain", T, U).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.later(20)
    speaking.hear(TRADE)
    speaking.later(15)
    status = {row["symbol"]: row for row in speaking.feed.ledger.status(speaking.at, 30)}
    assert (status["BTC-USDT"]["state"], status["BTC-USDT"]["silent_seconds"]) == ("receiving", 15)
    assert (status["ETH-USDT"]["state"], status["ETH-USDT"]["silent_seconds"]) == ("silent", 35)
    assert status["ETH-USDT"]["last_received"] is None
    summary = speaking.feed.ledger.summary(speaking.at, 30)
    assert (summary["channels"], summary["receiving"], summary["silent"]) == (2, 1, 1)
    assert summary["silent_channels"] == [U]
    assert speaking.feed.ledger.summary(speaking.at, lambda channel: None)["silent"] == 0


def test_a_late_acknowledgement_does_not_pass_for_giving_up(talk):
    speaking = talk("leaving", T).open()
    speaking.session.remove(speaking.dial.channels, speaking.at)
    speaking.hear({"e": "ok", "c": [T]})
    assert T in speaking.states()
    speaking.hear({"e": "off", "c": [T]})
    assert speaking.states() == {}
