"""Cases 7xx: sockets end, fall quiet and come back, and nothing is forgotten or mixed up."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from tickhive.channels import DataType
from tickhive.events import Gap, Trade
from tickhive.plugin.contract import Event, Rejected
from tickhive.session import OutsideView
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.cases.conversation import ANSWERED, about, started, states, trades_of
from tickhive.testing.observing import Recorder
from tickhive.testing.rehearsal import Rehearsal
from tickhive.testing.subject import Subject
from tickhive.testing.wire import SECOND

_QUIET_SECONDS = 240.0
_QUIET_SPEED = 0.001
_DEAD_SECONDS = 150.0
_OUTAGE_SECONDS = 3.0
_CLOCKS_APART = 2 * SECOND
"""So much coarser may a time be by REST."""
_SHOWN = 24
"""So many trades show that their ids are consecutive."""


@case(
    "TH-701",
    "after a cut everything is asked for again",
    reason="Lines are cut every day; nobody is there to restart anything.",
    mend="Let subscribe ask for every channel it is given, whatever was asked for on sockets before.",
    hooks=("venue",),
)
def reconnects_from_scratch(subject: Subject) -> None:
    """Cut every line twice and compare what is asked for."""
    recorder = Recorder()
    rehearsal, channels = started(subject, symbols=2, recorder=recorder)
    before = states(rehearsal, channels)
    first = _asked(recorder)
    for _ in range(2):
        mark, told = len(recorder.calls), len(rehearsal.events)
        rehearsal.cut()
        rehearsal.run(4.0)
        again = _asked(Recorder(recorder.calls[mark:]))
        if again != first:
            missing = first - again
            raise CaseFailed(
                f"subscribe asked for {len(again)} channels after a cut, {len(first)} before"
                + (f": {min(map(str, missing))} is missing" if missing else ""),
                "Ask for all channels subscribe is given: a fresh socket knows nothing",
            )
        for channel, state in states(rehearsal, channels).items():
            flowed = before[channel] == "receiving"
            flows = any(about(event, channel) for event in rehearsal.events[told:])
            if state not in ANSWERED and before[channel] in ANSWERED:
                raise CaseFailed(
                    f"{channel} was {before[channel]} and is {state} 4 s after a cut",
                    "Let nothing outlive the socket but what the core keeps: memory is made afresh",
                )
            if flowed and not flows and channel.data_type in (DataType.TRADE, DataType.ORDERBOOK):
                raise CaseFailed(
                    f"nothing of {channel} came within 4 s after a cut",
                    "Keep what parse must know about a socket in session.memory, nothing in the module",
                )


def _asked(recorder: Recorder) -> set[Any]:
    """What subscribe was given and put into requests, over all sockets."""
    return {
        channel for call in recorder.of("subscribe") for request in call.answer or () for channel in request.channels
    }


@case(
    "TH-702",
    "sockets share nothing",
    reason="Two sockets at once, and one after another, are the usual case; what one knows must not bend the other.",
    mend="Keep what a socket must remember in session.memory; nothing changeable lives in the module or the instance.",
    hooks=("venue",),
)
def sockets_share_nothing(subject: Subject) -> None:
    """Replay each socket of the clean rehearsal for two at once, and compare with what it read then."""
    clean = subject.clean
    conversations: dict[int, list[Any]] = {}
    for call in clean.recorder.of("subscribe", "unsubscribe", "authenticate", "parse"):
        if call.error is None:
            conversations.setdefault(id(call.arguments["session"]), []).append(call)
    if not any(call.hook == "parse" for calls in conversations.values() for call in calls):
        raise NotOffered("frames from the simulated venue")
    for calls in conversations.values():
        twins = [_fresh(subject, clean.rehearsal, calls[0].arguments["session"]) for _ in range(2)]
        for call in calls:
            for place, view in enumerate(twins):
                hook = getattr(subject.stack.call, call.hook)
                try:
                    answer = list(hook(**{**call.arguments, "session": view}) or ())
                except Exception as error:
                    answer = [f"{type(error).__name__}: {error}"]
                if call.hook == "parse" and _steady(answer) != _steady(call.answer or ()):
                    raise CaseFailed(
                        f"parse read a frame as {_told(call.answer)} on one socket and as {_told(answer)} on "
                        f"{('the next', 'a second one beside it')[place]}",
                        "Move what is remembered between frames from the module or the instance into session.memory",
                    )


def _fresh(subject: Subject, rehearsal: Rehearsal, session: Any) -> OutsideView:
    view = OutsideView(subject.exchange, session.settings, rehearsal.instruments, subject.stack.call.memory())
    view.dial = session.dial
    view._ids = itertools.count(1)
    return view


def _steady(events: Sequence[Event]) -> list[Event]:
    """Without refusals, whose reason the core makes fit to be shown."""
    return [event for event in events if not isinstance(event, Rejected)]


def _told(events: Sequence[Any]) -> str:
    text = ", ".join(map(repr, events)) or "nothing"
    return text if len(text) < 160 else f"{text[:157]}..."


@case(
    "TH-703",
    "a quiet socket stays open",
    reason="Venues close sockets on which nobody says a word; quiet markets must not cost a reconnect a minute.",
    mend="Answer Dial.heartbeat (after, send, reply) as the venue asks for it, or upkeep with the hook heartbeat.",
    hooks=("venue",),
)
def quiet_sockets_live(subject: Subject) -> None:
    """Four minutes of a market in which nearly nothing happens."""
    rehearsal, _ = started(subject, symbols=1, speed=_QUIET_SPEED)
    rehearsal.run(_QUIET_SECONDS)
    for wire in rehearsal.ended:
        why = f"the venue hung up ({wire.hung_up})" if wire.hung_up else wire.session.close_reason or "it was closed"
        if wire.session.leaving is not None:
            continue  # a successor took over
        raise CaseFailed(
            f"in four quiet minutes a socket was lost: {why}",
            "Send what keeps it alive: Dial(heartbeat=Heartbeat(after=seconds, send='ping', reply=b'pong'))",
        )
    for wire in rehearsal.wires:
        statistics = wire.session.statistics
        if statistics.unknown or statistics.malformed:
            raise CaseFailed(
                "the answer to the heartbeat is not understood: "
                f"{statistics.last_unknown or statistics.last_malformed}",
                "Name it in Heartbeat.reply, or answer Alive to it",
            )


@case(
    "TH-704",
    "a dead socket is noticed",
    reason="A half-open line brings nothing and says nothing; data stops while the status looks healthy.",
    mend="Give every Dial a heartbeat: Heartbeat(after=seconds), which sends a WebSocket ping, or the venue's own.",
    hooks=("venue",),
)
def dead_sockets_are_noticed(subject: Subject) -> None:
    """Let every line go half open."""
    rehearsal, _ = started(subject, symbols=1, speed=0.05)
    wires = rehearsal.sockets()
    for wire in wires:
        wire.deaf = True
    rehearsal.run(_DEAD_SECONDS)
    for wire in wires:
        if wire.alive:
            raise CaseFailed(
                f"the socket {wire.dial.key!r} is dead for {_DEAD_SECONDS:g} s and still counts as open",
                "Let connect answer Dial(..., heartbeat=Heartbeat(after=20.0))",
            )


@case(
    "TH-705",
    "missed trades are refilled: once, late and in order",
    reason="A hole in the tape is forgiven when it is filled, and worse than a hole when it is filled wrongly.",
    mend="Let backfill ask for gap.first_id to gap.last_id, and read answer those trades with late=True, page after "
    "page.",
    hooks=("backfill", "read", "venue"),
)
def trades_are_refilled(subject: Subject) -> None:
    """Cut the line for three seconds, and compare with a collector that was not cut."""
    rehearsal = subject.rehearse()
    channels = subject.streams(rehearsal, DataType.TRADE, limit=2)
    channels = list({channel.symbol: channel for channel in channels}.values())
    if not channels:
        raise NotOffered("trades at the simulated venue")
    rehearsal.start(channels)
    rehearsal.watch()
    rehearsal.run_until(
        lambda: all(len(trades_of(rehearsal.events, channel.symbol)) >= _SHOWN for channel in channels), 60.0, 2.0
    )
    for wire in rehearsal.sockets():
        wire.deaf = True
    rehearsal.run(_OUTAGE_SECONDS)
    rehearsal.cut()
    mark = len(rehearsal.events)
    rehearsal.run(45.0)
    refilled = 0
    for channel in channels:
        mine, witnessed = (trades_of(events, channel.symbol) for events in (rehearsal.events, rehearsal.witnessed))
        if not mine or not all(trade.id.isdecimal() for trade in mine):
            continue
        gaps = [
            event
            for event in rehearsal.events[mark:]
            if isinstance(event, Gap) and event.data_type is DataType.TRADE and event.symbol == channel.symbol
        ]
        late = [trade for trade in mine if trade.late]
        refilled += len(late)
        _check_refill(channel.symbol, mine, witnessed, late, gaps)
    if not refilled:
        raise NotOffered("trades with consecutive ids at the simulated venue, so that missing ones can be named")


def _check_refill(
    symbol: str, mine: Sequence[Trade], witnessed: Sequence[Trade], late: Sequence[Trade], gaps: Sequence[Gap]
) -> None:
    ids = [int(trade.id) for trade in mine]
    twice = {number for number in ids if ids.count(number) > 1} if len(set(ids)) < len(ids) else set()
    if twice:
        raise CaseFailed(f"the trade {min(twice)} of {symbol} was handed out twice", "Answer the ids of the gap only")
    numbers = [int(trade.id) for trade in late]
    if numbers != sorted(numbers):
        raise CaseFailed(f"late trades of {symbol} came in the order {numbers[:6]}", "Answer the oldest first")
    known = {int(trade.id): trade for trade in witnessed}
    for trade in late:
        other = known.get(int(trade.id))
        if other is not None and other.count == trade.count and other.size != trade.size:
            raise CaseFailed(
                f"the trade {trade.id} of {symbol} was of {other.size} live and of {trade.size} by REST",
                "Look at which column of the REST rows is the size, and what it counts",
            )
        if other is not None and (other.price, other.side) != (trade.price, trade.side):
            raise CaseFailed(
                f"the trade {trade.id} of {symbol} was {other.side} at {other.price} live and {trade.side} at "
                f"{trade.price} by REST",
                "Read REST rows as the stream's: the venue may word the side differently there",
            )
        if other is not None and other.timestamp is not None and trade.timestamp is not None:
            apart = abs(trade.timestamp - other.timestamp)
            if apart > _CLOCKS_APART:
                raise CaseFailed(
                    f"the trade {trade.id} of {symbol} was at {other.timestamp} live and at {trade.timestamp} by REST, "
                    f"{apart / SECOND:,.0f} s apart",
                    "Look at the unit and the zone of the times in REST rows: the venue may write them differently",
                )
    span = [number for number in known if min(ids) <= number <= max(ids)]
    missing = sorted(set(span) - set(ids))
    if missing and any(gap.filled == "whole" for gap in gaps) and late:
        raise CaseFailed(f"trade {missing[0]} of {symbol} is missing, its gap counts as filled", "Answer every id")
    if gaps and not late and any(gap.first_id is not None for gap in gaps):
        raise CaseFailed(
            f"{len(missing)} trades of {symbol} were missed and backfill brought none of them: {gaps[0].cause}",
            "Look at what the request of backfill asks for and what read makes of its answer",
        )
    if missing and late:
        raise CaseFailed(
            f"{len(late)} trades of {symbol} were refilled and {len(missing)} are missing still, the first is "
            f"{missing[0]}",
            "Answer a further Fetch from read while the gap goes on",
        )
