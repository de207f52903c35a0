"""A plugin and its venue in memory: frames both ways, cuts, farewells, REST and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from tickhive.channels import Channel, DataType
from tickhive.events import Trade
from tickhive.plugin import Answer, Dial, Event, ExchangeSettings, Fetch, Hangup, SessionView, hookimpl
from tickhive.session import SubscriptionState
from tickhive.testing.case import NotOffered
from tickhive.testing.observing import Recorder
from tickhive.testing.subject import Subject
from tickhive.testing.wire import SECOND, START

from .reed import Reed, ReedVenue

TRADES = Channel("A-B", "A-B", DataType.TRADE)
OTHERS = Channel("C-D", "C-D", DataType.TRADE)


class World:
    def __init__(self, plugin: Reed | None = None, **settings: Any) -> None:
        self.recorder = Recorder()
        self.subject = Subject("reed", plugin=plugin or Reed())
        self.rehearsal = self.subject.rehearse(self.recorder, **settings)
        assert isinstance(self.rehearsal.venue, ReedVenue)
        self.venue = self.rehearsal.venue

    def trades(self) -> list[Trade]:
        return [event for event in self.rehearsal.events if isinstance(event, Trade)]


@pytest.fixture
def world() -> World:
    return World()


def test_frames_go_both_ways(world: World) -> None:
    world.rehearsal.start([TRADES])
    world.rehearsal.run(1.05)
    assert world.venue.paths == ["/ws"]
    assert world.venue.said == ["on A-B"]
    assert [trade.id for trade in world.trades()] == [str(number) for number in range(1, 11)]
    assert world.rehearsal.feed.ledger.state(TRADES) is SubscriptionState.RECEIVING
    assert world.rehearsal.now == START + 1_050_000_000


def test_time_passes_in_the_same_steps_however_it_is_run() -> None:
    one, other = World(), World()
    for world in (one, other):
        world.rehearsal.start([TRADES])
    one.rehearsal.run(3.0)
    for _ in range(30):
        other.rehearsal.run(0.1)
    assert one.trades() == other.trades()


def test_a_cut_is_followed_by_another_socket(world: World) -> None:
    world.rehearsal.start([TRADES, OTHERS])
    world.rehearsal.run(1.0)
    world.rehearsal.cut()
    assert world.rehearsal.wires == []
    world.rehearsal.run(2.0)
    assert len(world.rehearsal.wires) == len(world.rehearsal.ended) == 1
    assert world.venue.said == ["on A-B", "on C-D"] * 2


def test_a_venue_that_hangs_up_is_noted(world: World) -> None:
    world.rehearsal.start([TRADES])
    world.rehearsal.run(0.5)
    world.venue.out.append(Hangup(1, 4000, "silence"))
    world.rehearsal.run(2.0)
    assert world.rehearsal.ended[0].hung_up == "4000 silence"
    assert len(world.rehearsal.wires) == 1


def test_channels_come_and_go(world: World) -> None:
    world.rehearsal.start([TRADES])
    world.rehearsal.run(0.5)
    world.rehearsal.add(OTHERS)
    world.rehearsal.run(0.5)
    assert {trade.symbol for trade in world.trades()} == {"A-B", "C-D"}
    world.rehearsal.remove(TRADES)
    world.rehearsal.run(0.5)
    before = len(world.trades())
    world.rehearsal.run(0.5)
    assert {trade.symbol for trade in world.trades()[before:]} == {"C-D"}
    assert world.venue.said == ["on A-B", "on C-D", "off A-B"]
    assert world.rehearsal.ended == []


def test_what_the_plugin_refuses_is_set_aside(world: World) -> None:
    candles = Channel("A-B", "A-B", DataType.CANDLE, "1m")
    world.rehearsal.start([TRADES, candles])
    assert list(world.rehearsal.set_aside) == [candles]
    assert [dial.channels for dial in world.rehearsal.dials] == [(TRADES,)]


def test_polls_are_asked_again_and_again(world: World) -> None:
    world.rehearsal.start([Channel("A-B", "A-B", DataType.OPEN_INTEREST)])
    world.rehearsal.run(12.0)
    assert world.venue.asked == ["/open?m=A-B"] * 3
    assert world.rehearsal.wires == []


def test_a_dead_line_carries_nothing_and_nobody_is_told(world: World) -> None:
    world.rehearsal.start([TRADES])
    world.rehearsal.run(0.5)
    (wire,) = world.rehearsal.wires
    wire.deaf = True
    before = len(world.trades())
    world.rehearsal.run(5.0)
    assert len(world.trades()) == before
    assert wire.alive


def test_parcels_can_be_kept_back(world: World) -> None:
    world.rehearsal.carrier = lambda wire, parcel: () if b"trade" in parcel.frame else (parcel, parcel)
    world.rehearsal.start([TRADES])
    world.rehearsal.run(1.0)
    assert world.trades() == []
    assert [call.arguments["frame"] for call in world.recorder.of("parse")] == [b'["ok", "1"]'] * 2


def test_a_witness_hears_what_the_collector_does_not(world: World) -> None:
    world.rehearsal.start([TRADES])
    world.rehearsal.watch()
    world.rehearsal.carrier = lambda wire, parcel: ()
    world.rehearsal.run(1.0)
    assert world.trades() == []
    assert len(world.rehearsal.witnessed) >= 9


def test_another_address_than_the_venues_is_not_reached(world: World) -> None:
    with pytest.raises(NotOffered, match="TH-104"):
        World(settings=world.subject.settings()).rehearsal.start([TRADES])


def test_it_waits_until_something_is_true(world: World) -> None:
    world.rehearsal.start([TRADES])
    assert world.rehearsal.run_until(lambda: len(world.trades()) >= 5, 10.0)
    assert world.rehearsal.now < START + SECOND
    assert not world.rehearsal.run_until(lambda: False, 1.0)


def test_a_ticket_names_the_address_of_each_dialling() -> None:
    class Ticketed(Reed):
        @hookimpl
        def connect(self, channels: Sequence[Channel], settings: ExchangeSettings) -> Sequence[Dial | Fetch]:
            (dial,) = super().connect(channels, settings)
            assert isinstance(dial, Dial)
            return [evolve(dial, urls=[], ticket=Fetch(f"{settings.rest_url}/ticket"))]

        @hookimpl
        def read(self, session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Dial | Fetch]:
            return [Dial("main", [f"{session.settings.url}/ws?token={at}"], [])]

    world = World(Ticketed())
    world.rehearsal.start([TRADES])
    world.rehearsal.run(1.0)
    world.rehearsal.cut()
    world.rehearsal.run(2.0)
    assert world.venue.asked == ["/ticket"] * 2
    assert world.venue.paths == [f"/ws?token={START}", f"/ws?token={START + 2 * SECOND}"]
