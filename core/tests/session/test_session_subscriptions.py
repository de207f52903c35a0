"""Subscribing: what goes out, what the venue may answer, and what the ledger says then."""

from __future__ import annotations

import pytest

from tickhive.plugin.contract import Credentials, Reply, Request
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
    assert speaking.session.fatal == "the venue refused the credentials (bad key)"
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
        ([{"e": "no", "why": "who?", "kind": "credentials"}], "the venue refused the credentials (who?)", True),
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
    assert speaking.session.leaving == "channels were given up, which takes a fresh socket here"


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


def test_a_second_socket_does_not_make_a_flowing_channel_look_asked(talk):
    first = talk("plain", T).open()
    first.hear({"e": "ok", "id": "1"}, TRADE)
    second = first.twin()
    assert (first.states(), second.session.asking.state(second.dial.channels[0])) == ({T: "receiving"}, "asked")
    second.hear({"e": "ok", "id": "1"})
    first.data(first.session.closed("gone", first.at))
    assert first.states() == {T: "receiving"}  # nothing had to be said on the second one yet
    second.data(second.session.closed("gone too", second.at))
    assert [(each.state, each.reason) for each in first.news + second.news] == [
        ("asked", None),
        ("acknowledged", None),
        ("receiving", None),
        ("wanted", "gone too"),
    ]


def test_data_on_one_socket_is_no_acknowledgement_on_another(talk):
    first = talk("plain", T).open()
    first.hear({"e": "ok", "id": "1"}, TRADE)
    second = first.twin()
    second.sent()
    second.later(10.1)
    assert second.sent() == [f"sub {T}"]
    second.later(10)
    assert second.session.close_reason == f"no acknowledgement of {T}"
    assert first.states() == {T: "receiving"}


def test_a_missing_ack_does_not_cut_off_those_that_flow(talk):
    speaking = talk("plain", T, U).open()
    speaking.hear({"e": "ok", "c": [T]}, TRADE)
    speaking.later(20.1)
    assert speaking.session.close_reason is None
    assert speaking.session.leaving == f"no acknowledgement of {U}"
    second = speaking.twin()
    speaking.session.closed("left", speaking.at)
    second.hear({"e": "ok", "c": [T]}, {**TRADE, "id": "2"})
    second.later(20.1)  # there neither: it is not moved on and on, but asked for now and then
    assert (second.session.leaving, second.session.close_reason) == (None, None)
    assert second.states() == {T: "receiving", U: "wanted"}
    second.sent()
    second.later(61)
    assert second.sent()[0] == f"sub {U}"


def test_a_refusal_on_one_socket_holds_for_all(talk):
    first = talk("plain", T, U).open()
    second = first.twin()
    second.hear({"e": "no", "c": [T], "why": "delisted"})
    assert first.states() == {T: "rejected", U: "asked"}
    first.sent()
    first.session.closed("cut", first.at)
    first.dialled()
    assert first.open().sent() == [f"sub {U}"]


def test_every_change_is_told_once(talk):
    speaking = talk("plain", T, U).open()
    speaking.hear({"e": "ok", "id": "1"})
    speaking.hear(TRADE, TRADE)
    speaking.hear({"e": "ok", "id": "1"})
    speaking.redial("cut")
    speaking.hear({"e": "no", "c": [U], "why": "gone"})
    told = [(f"{each.data_type.value} {each.symbol}", each.state, each.reason) for each in speaking.news]
    assert told == [
        (T, "asked", None),
        (U, "asked", None),
        (T, "acknowledged", None),
        (U, "acknowledged", None),
        (T, "receiving", None),
        (T, "wanted", "cut"),
        (U, "wanted", "cut"),
        (T, "asked", None),
        (U, "asked", None),
        (U, "rejected", "gone"),
    ]
    assert {each.received for each in speaking.news} == {speaking.at}


def test_a_late_acknowledgement_does_not_pass_for_giving_up(talk):
    speaking = talk("leaving", T).open()
    speaking.session.remove(speaking.dial.channels, speaking.at)
    speaking.hear({"e": "ok", "c": [T]})
    assert T in speaking.states()
    speaking.hear({"e": "off", "c": [T]})
    assert speaking.states() == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda channels: Request({"op": "subscribe"}, channels),
        lambda channels: Request(7, channels),
        lambda channels: Request("sub", channels[0]),
        lambda channels: Request("sub", [str(channel) for channel in channels]),
        lambda channels: Request("sub", channels, ["1"]),
    ],
)
def test_a_request_that_cannot_be_sent_is_the_plugins_fault_and_said_so(talk_with, make):
    class Careless:
        @hookimpl
        def connect(self, channels):
            return ()

        @hookimpl
        def parse(self, frame):
            return [Reply({"op": "pong"})]

        @hookimpl
        def subscribe(self, channels):
            return [make(channels)]

    speaking = talk_with(Careless(), T).open()
    assert speaking.session.outbox == []
    assert speaking.states() == {T: "rejected"}
    assert "subscribe failed: TypeError: a Request's" in speaking.session.statistics.last_hook_error
    assert speaking.hear(b"ping") == []
    assert speaking.session.outbox == []
    assert "a Reply's frame is str or bytes, got dict" in speaking.session.statistics.last_malformed
