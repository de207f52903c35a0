"""Cases 5xx: what is asked for is answered, and both sides mean the same by it. Against the simulated venue."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tickhive.channels import Channel, DataType, Subscription
from tickhive.events import DATA_TYPE_OF, Candle, MarketEvent, Trade
from tickhive.plugin.contract import Accepted, Rejected, Unsubscribed
from tickhive.session import BookState, SubscriptionState
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.observing import Recorder
from tickhive.testing.rehearsal import Rehearsal, peeked
from tickhive.testing.subject import Subject
from tickhive.testing.wire import SECOND, Parcel, Wire

ANSWERED = (SubscriptionState.ACKNOWLEDGED, SubscriptionState.RECEIVING)


def started(
    subject: Subject, *kinds: DataType, symbols: int = 2, speed: float = 1.0, recorder: Recorder | None = None
) -> tuple[Rehearsal, list[Channel]]:
    """A rehearsal that collects these kinds of what the venue shows, two seconds old."""
    rehearsal = subject.rehearse(recorder, speed=speed)
    channels = subject.streams(rehearsal, *kinds, limit=symbols)
    if not channels:
        raise NotOffered(f"{' or '.join(kinds) or 'a stream'} at the simulated venue")
    rehearsal.start(channels)
    rehearsal.run(2.0)
    return rehearsal, channels


def states(rehearsal: Rehearsal, channels: Iterable[Channel]) -> dict[Channel, SubscriptionState | None]:
    """How far each channel has come."""
    return {channel: rehearsal.feed.ledger.state(channel) for channel in channels}


def about(event: object, channel: Channel) -> bool:
    """Whether an event is of a channel."""
    return (
        isinstance(event, MarketEvent)
        and DATA_TYPE_OF.get(type(event)) is channel.data_type
        and event.symbol == channel.symbol
        and (not isinstance(event, Candle) or event.interval == channel.params)
    )


@case(
    "TH-501",
    "a subscription is confirmed, or brings data",
    reason="What is neither is asked for again after ten seconds, then costs its neighbours their socket.",
    mend="Let subscribe ask for every channel it is given, and parse answer Accepted for the venue's confirmation.",
    hooks=("venue",),
)
def subscriptions_are_answered(subject: Subject) -> None:
    """Ask for everything, and look at the ledger."""
    clean = subject.clean
    shown = {Subscription.parse(text) for text in clean.rehearsal.venue.subscriptions}
    for channel, state in states(clean.rehearsal, clean.channels).items():
        if channel in clean.rehearsal.set_aside or channel in clean.rehearsal.polls or state in ANSWERED:
            continue
        if state is SubscriptionState.REJECTED and channel.subscription not in shown:
            continue  # the simulated venue is smaller than the true one
        reason = next((entry.reason for entry in clean.rehearsal.feed.ledger if entry.channel == channel), None)
        raise CaseFailed(
            f"{channel} is {state or 'not carried'} after 12 s at the simulated venue"
            + (f": {reason}" if reason else "")
            + _troubles(clean.rehearsal),
            "Look at the frames of subscribe, and at what parse answers to the venue's confirmation",
        )


def _troubles(rehearsal: Rehearsal) -> str:
    """What the sockets complain about."""
    for wire in (*rehearsal.wires, *rehearsal.ended):
        statistics = wire.session.statistics
        for text in (statistics.last_hook_error, statistics.last_malformed, statistics.last_rejection):
            if text:
                return f" ({text})"
    return ""


@case(
    "TH-502",
    "answers name what they answer",
    reason="A confirmation that names nothing confirms nothing: everything is asked for twice.",
    mend="Put the id the venue echoes (or the channels it names) into Accepted, Rejected and Unsubscribed.",
    hooks=("venue",),
)
def answers_name_their_request(subject: Subject) -> None:
    """Compare answers with the requests of the same socket."""
    clean = subject.clean
    ids: dict[int, set[str]] = {}
    for call in clean.recorder.of("subscribe", "unsubscribe"):
        for request in call.answer or ():
            ids.setdefault(id(call.arguments["session"]), set()).update({request.id} if request.id else ())
    seen = False
    for call in clean.recorder.of("parse"):
        session = call.arguments["session"]
        for event in call.answer or ():
            if not isinstance(event, (Accepted, Unsubscribed, Rejected)):
                continue
            seen = True
            kind = type(event).__name__
            if event.id is None and not event.channels:
                if not isinstance(event, Rejected):
                    raise CaseFailed(
                        f"parse answered {kind} with neither id nor channels",
                        f"Put the id of the answered request, or its channels, into {kind}",
                    )
            elif event.id is not None and not event.channels and event.id not in ids.get(id(session), ()):
                raise CaseFailed(
                    f"parse answered {kind} of the id {event.id!r}, which no Request of this socket has",
                    "Give the Request the id that the frame carries and the venue echoes, as text",
                )
            for channel in event.channels:
                if channel not in session.dial.channels:
                    raise CaseFailed(
                        f"parse answered {kind} of {channel}, which this socket does not carry",
                        "Name the very channels subscribe was asked for: keep them in session.memory",
                    )
    if not seen:
        raise NotOffered("confirmations: the venue sends none, or parse reads none")


@case(
    "TH-503",
    "an unknown symbol is refused, and the others do not suffer",
    reason="One delisted symbol in a configuration must not stop the rest of it.",
    mend="Answer Rejected(reason, 'symbol', id or channels) for the venue's refusal.",
    hooks=("venue",),
)
def unknown_symbol_is_refused(subject: Subject) -> None:
    """Ask for one symbol that does not exist among some that do."""
    recorder = Recorder()
    rehearsal = subject.rehearse(recorder)
    good = subject.streams(rehearsal, limit=2)
    if not good:
        raise NotOffered("a stream at the simulated venue")
    native = unheard_of(good[0].native)
    bad = Channel("ZQX-USDT", native, good[0].data_type, good[0].params)
    rehearsal.start([*good, bad])
    ledger = rehearsal.feed.ledger
    rehearsal.run_until(lambda: ledger.state(bad) is SubscriptionState.REJECTED, 25.0)
    rehearsal.run(3.0)
    state = ledger.state(bad)
    if any(about(event, bad) for event in rehearsal.events):
        raise CaseFailed(f"data of {bad} came, which the venue does not have", "Read the symbol from the frame")
    if state not in (SubscriptionState.REJECTED, *ANSWERED):
        raise CaseFailed(
            f"25 s after {bad} was asked for by the name {native!r} it is {state or 'not carried'}: neither refused "
            f"nor confirmed{_troubles(rehearsal)}",
            "Answer Rejected(reason, 'symbol', id) for the venue's refusal, with the id of the request",
        )
    for refusal in _refusals(recorder, bad):
        if refusal.kind != "symbol":
            raise CaseFailed(
                f"parse answered Rejected({refusal.reason!r}, {refusal.kind!r}) to the request for the unknown {bad}",
                "Say 'symbol' where the venue does not know what was asked for: Rejected(reason, 'symbol', id)",
            )
    for channel, other in states(rehearsal, good).items():
        if other not in ANSWERED:
            raise CaseFailed(
                f"{channel} is {other} because {bad} was asked for beside it",
                "Name in Rejected only what was refused; split requests where the venue refuses them whole",
            )
    if rehearsal.ended:
        raise CaseFailed(
            f"the socket of {len(good)} good channels was ended because of {bad}: "
            f"{rehearsal.ended[0].session.close_reason or rehearsal.ended[0].hung_up or 'no confirmation'}",
            "Answer Rejected(reason, 'symbol', id) for the venue's refusal",
        )


def _refusals(recorder: Recorder, channel: Channel) -> list[Rejected]:
    """What was refused of a channel that was asked for by itself, or is named."""
    alone = {
        (id(call.arguments["session"]), request.id)
        for call in recorder.of("subscribe")
        for request in call.answer or ()
        if request.id is not None and tuple(request.channels) == (channel,)
    }
    return [
        event
        for call in recorder.of("parse")
        for event in call.answer or ()
        if isinstance(event, Rejected)
        and (channel in event.channels or (id(call.arguments["session"]), event.id) in alone)
    ]


def unheard_of(native: str) -> str:
    """A name of the same form that no venue has."""
    base = re.match(r"[A-Za-z0-9]{3}", native)
    return f"ZQX{native[3:]}" if base is not None else "ZQX-USDT"


@case(
    "TH-504",
    "data that comes before its confirmation is kept",
    reason="Venues send both at once, in any order; the first trades must not be lost.",
    mend="Let parse read data whether or not it was confirmed: no flag in memory that waits for the confirmation.",
    hooks=("venue",),
)
def early_data_is_kept(subject: Subject) -> None:
    """Hold every confirmation back for three seconds."""
    rehearsal = subject.rehearse()
    held: list[Parcel] = []

    def release(wire: Wire, parcel: Parcel) -> None:
        if wire.alive:
            parcel.due = rehearsal.now
            wire.way.appendleft(parcel)

    def hold(wire: Wire, parcel: Parcel) -> Sequence[Parcel]:
        events = peeked(rehearsal, wire, parcel.frame)
        if not events or not all(isinstance(event, Accepted) for event in events):
            return (parcel,)
        held.append(parcel)
        rehearsal.after(3 * SECOND, release, wire, parcel)
        return ()

    rehearsal.carrier = hold
    channels = subject.streams(rehearsal, DataType.TRADE, DataType.ORDERBOOK, limit=2)
    if not channels:
        raise NotOffered("trades or books at the simulated venue")
    rehearsal.start(channels)
    rehearsal.run(2.5)
    if not held:
        raise NotOffered("confirmations: the venue sends none by themselves")
    early = [channel for channel in channels if any(about(event, channel) for event in rehearsal.events)]
    if not early:
        raise CaseFailed(
            "nothing was handed out while the venue's confirmation was 2.5 s late",
            "Let parse read data from the first frame on",
        )
    rehearsal.run(4.0)
    for channel in early:
        state = rehearsal.feed.ledger.state(channel)
        if state is not SubscriptionState.RECEIVING:
            raise CaseFailed(
                f"{channel} received data, then its confirmation, and is {state}{_troubles(rehearsal)}",
                "A late confirmation is Accepted, nothing else",
            )
        if channel.data_type is DataType.ORDERBOOK:
            book = rehearsal.feed.book(channel.symbol, depth_of(channel))
            if book.state is not BookState.LIVE:
                raise CaseFailed(
                    f"the book of {channel.symbol} is {book.state} after a late confirmation",
                    "Look at TH-601 first; where it passes, answer nothing but Accepted to a confirmation",
                )


def depth_of(channel: Channel) -> int:
    """The depth a book channel names."""
    return int(channel.params) if channel.params.isdecimal() else 0


@case(
    "TH-505",
    "what is given up stops, and is confirmed",
    reason="Broken books are repaired by asking for them afresh; data nobody wants fills the line.",
    mend="Let unsubscribe name the same streams as subscribe, and parse answer Unsubscribed (or Accepted with the id).",
    hooks=("unsubscribe", "venue"),
)
def unsubscribing_works(subject: Subject) -> None:
    """Give one channel up while others flow."""
    recorder = Recorder()
    rehearsal, channels = started(subject, DataType.TRADE, DataType.ORDERBOOK, DataType.TICKER, recorder=recorder)
    flowing = [channel for channel in channels if any(about(event, channel) for event in rehearsal.events)]
    if len(flowing) < 2:
        raise NotOffered("two channels that flow within two seconds")
    gone, stays = flowing[0], flowing[1:]
    sockets = len(rehearsal.ended)
    rehearsal.remove(gone)
    rehearsal.run(2.0)
    if rehearsal.feed.ledger.state(gone) is not None and len(rehearsal.ended) == sockets:
        raise CaseFailed(
            f"two seconds after {gone} was given up the venue's confirmation is not understood{_troubles(rehearsal)}",
            "Answer Unsubscribed(id) or Accepted(id) to it, with the id of the request of unsubscribe",
        )
    asked, told = len(recorder.calls), len(rehearsal.events)
    rehearsal.run(4.0)
    for call in recorder.calls[asked:]:
        if call.hook == "parse" and any(about(event, gone) for event in call.answer or ()):
            raise CaseFailed(
                f"{gone} still comes two seconds after it was given up",
                "Let the frames of unsubscribe name exactly what those of subscribe named",
            )
    for channel in stays:
        if not any(about(event, channel) for event in rehearsal.events[told:]):
            raise CaseFailed(
                f"{channel} stopped when {gone} was given up", "Let unsubscribe name only the channels it is given"
            )


@case(
    "TH-506",
    "a channel can be added to an open socket",
    reason="Collectors change what they collect while they run; what flows must go on flowing.",
    mend="Let connect keep the dials it is shown, and subscribe ask for just the channels it is given.",
    hooks=("venue",),
)
def adding_works(subject: Subject) -> None:
    """Add one channel to those that flow."""
    rehearsal, channels = started(subject, symbols=1)
    first = rehearsal.sockets()
    more = [each for each in subject.channels(rehearsal, limit=2) if each.symbol != channels[0].symbol]
    more = [each for each in more if each.data_type in (DataType.TRADE, DataType.ORDERBOOK)]
    if not more:
        raise NotOffered("a second symbol at the simulated venue")
    rehearsal.add(more[0])
    if not rehearsal.run_until(lambda: rehearsal.feed.ledger.state(more[0]) in ANSWERED, 12.0):
        raise CaseFailed(
            f"{more[0]} was added and is {rehearsal.feed.ledger.state(more[0])} after 12 s{_troubles(rehearsal)}",
            "Let connect name the socket that carries it, and subscribe ask for it there",
        )
    for channel in channels:
        if rehearsal.feed.ledger.state(channel) not in ANSWERED:
            raise CaseFailed(f"{channel} stopped when {more[0]} was added", "Keep the dials connect is shown")
    carries_in_url = not subject.stack.offers("subscribe")
    if not carries_in_url and any(not wire.alive for wire in first):
        raise CaseFailed(
            f"a socket was closed when {more[0]} was added", "Answer the dials you are shown with their own keys"
        )


@case(
    "TH-507",
    "what the venue says it sent is what was read",
    reason="tickhive demo and every test over real sockets compare these counts; a hidden loss shows nowhere else.",
    mend="Count in the venue's log each market event put on the wire: one a trade, one a snapshot (fetched too), one "
    "a change.",
    hooks=("venue",),
)
def the_log_agrees(subject: Subject) -> None:
    """Compare the venue's log with what parse and read made of it, frames on their way included."""
    recorder = Recorder()
    rehearsal, channels = started(subject, recorder=recorder)
    rehearsal.run(6.0)
    read: Counter[tuple[str, DataType]] = Counter()
    answers = [call.answer or () for call in recorder.of("parse", "read")]
    answers += [peeked(rehearsal, wire, parcel.frame) for wire in rehearsal.wires for parcel in wire.way]
    for event in itertools.chain.from_iterable(answers):
        data_type = DATA_TYPE_OF.get(type(event))
        if data_type is not None:
            read[event.symbol, data_type] += 1
    sent = rehearsal.venue.log.sent
    if not sent:
        raise CaseFailed("the venue's log is empty", "Call self.log.count(symbol, data_type) for what is sent")
    for channel in channels:
        key = (channel.symbol, channel.data_type)
        if read[key] != sent.get(key, 0):
            raise CaseFailed(
                f"parse read {read[key]} events of {channel.data_type} {channel.symbol}, the venue's log says "
                f"{sent.get(key, 0)}",
                "One side is wrong: parse loses or doubles events, or the venue counts otherwise than it sends",
            )


def trades_of(events: Iterable[MarketEvent], symbol: str) -> list[Trade]:
    """The trades of a symbol, in the order they were handed out."""
    return [event for event in events if isinstance(event, Trade) and event.symbol == symbol]
