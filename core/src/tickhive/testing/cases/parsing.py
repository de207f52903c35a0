"""Cases 3xx: whatever comes, parse answers, says what it did not understand, and says the same the next time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tickhive.channels import DataType, Subscription
from tickhive.events import DATA_TYPE_OF, EVENT_TYPES, Candle
from tickhive.plugin.contract import Answer, Fetch, Malformed, Rejected, SessionEvent, Unknown
from tickhive.session import OutsideView
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.mutations import BARE, FOREIGN, GARBAGE, mutations
from tickhive.testing.samples import Sample
from tickhive.testing.subject import Subject
from tickhive.testing.wire import REST_URL, START

_EVENTS = (*EVENT_TYPES, *SessionEvent.__args__)
_MUTATIONS = 2_000
_SHORT = 400
"""A description is at most so long: it goes into statuses."""


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Some samples of every kind of frame, rare kinds first."""
    kinds: dict[tuple[Any, ...], list[Sample]] = {}
    for sample in samples:
        kinds.setdefault((*map(type, sample.events[:3]), sample.url), []).append(sample)
    chosen: list[Sample] = []
    for rank in range(most):
        layer = [found[rank] for found in kinds.values() if rank < len(found)]
        if not layer or len(chosen) >= most:
            break
        chosen += layer
    return chosen[:most]


def ask(subject: Subject, view: OutsideView, frame: bytes, at: int, what: str) -> Sequence[Any]:
    """What parse says of a frame; CaseFailed when it says nothing that can be used."""
    try:
        answer = subject.stack.call.parse(session=view, frame=frame, at=at)
    except Exception as error:
        raise CaseFailed(
            f"parse raised {type(error).__name__}: {str(error)[:200]} on {what} {shown(frame)}",
            "Catch what decoding and converting can raise and answer [Malformed(why)]",
        ) from None
    if not isinstance(answer, (list, tuple)):
        raise CaseFailed(
            f"parse answered {'None' if answer is None else f'a {type(answer).__name__}'} to {what} {shown(frame)}",
            "Answer a list of events: [Malformed(why)] for what cannot be read, [Unknown(what)] for what is not known",
        )
    for event in answer:
        if not isinstance(event, _EVENTS):
            raise CaseFailed(
                f"parse answered a {type(event).__name__}, which is no event, to {what} {shown(frame)}",
                "Answer events of tickhive.plugin only",
            )
    return answer


def views(subject: Subject, samples: Sequence[Sample]) -> list[OutsideView]:
    """A socket for each address the samples came from, and each Dial that leads there."""
    dials = {(sample.url, sample.dial.key if sample.dial is not None else ""): sample.dial for sample in samples}
    return [subject.view(dial=dial or subject.dial(url)) for (url, _), dial in dials.items()]


@case(
    "TH-301",
    "parse never raises",
    reason="One odd frame must cost that frame only, and be counted by name.",
    mend="Decode inside try; catch msgspec.MsgspecError, ValueError, ArithmeticError and RecursionError, answer "
    "[Malformed(why)].",
)
def parse_never_raises(subject: Subject) -> None:
    """Frames cut, bent, spliced, with odd values, of another venue, and no frames at all."""
    for sample in subject.samples:
        if sample.fault:
            raise CaseFailed(
                f"{sample.fault} on a frame of {sample.source}: {shown(sample.frame)}",
                "Answer a list of events for every frame",
            )
    some = spread(subject.samples, 60)
    sockets = views(subject, some)
    for view in sockets:
        for frame in (*GARBAGE, *BARE, *FOREIGN):
            ask(subject, view, frame, START, "the frame")
    chance = subject.random("mutations")
    frames = [sample.frame for sample in some]
    for number, frame in enumerate(mutations(frames, chance, _MUTATIONS)):
        ask(subject, sockets[number % len(sockets)], frame, START, "the spoilt frame")


@case(
    "TH-302",
    "what is not understood is said",
    reason="A venue changes its protocol one day; silence would look like a quiet market.",
    mend="Answer Unknown for a well-formed frame of a kind the plugin does not know, Malformed for one it cannot read, "
    "each with a short description that is not the frame.",
)
def nonsense_is_reported(subject: Subject) -> None:
    """Frames of another venue, and of none."""
    (view, *_) = views(subject, spread(subject.samples, 20))
    for kind, frames in (("a frame of another venue", FOREIGN), ("a frame that is none", GARBAGE)):
        for frame in frames:
            events = ask(subject, view, frame, START, kind)
            odd = [event for event in events if not isinstance(event, (Unknown, Malformed))]
            if odd:
                raise CaseFailed(
                    f"parse read a {type(odd[0]).__name__} in {kind}: {shown(frame)}",
                    "Recognise a frame by what makes it yours, not by what it lacks",
                )
            if not events and frame.strip():
                raise CaseFailed(
                    f"parse answered nothing to {kind}: {shown(frame)}",
                    "Answer [Unknown(what)] or [Malformed(why)], so that it is counted",
                )
            for event in events:
                words = event.what if isinstance(event, Unknown) else event.why
                if not isinstance(words, str) or not words or len(words) > _SHORT:
                    raise CaseFailed(
                        f"parse describes {kind} in {len(words) if isinstance(words, str) else 'no'} characters",
                        "Describe what was seen in a few words; never put the frame itself there",
                    )


@case(
    "TH-303",
    "its own frames are understood",
    reason="What is Unknown or Malformed is data that users do not get.",
    mend="Read every frame of the data types connect accepts, and answers of the conversation too.",
)
def own_frames_are_understood(subject: Subject) -> None:
    """Nothing in the rehearsal or the recordings may be Unknown or Malformed."""
    for sample in subject.samples:
        for event in sample.events:
            if isinstance(event, (Unknown, Malformed)) and not _is_reply(subject, sample):
                words = event.what if isinstance(event, Unknown) else event.why
                raise CaseFailed(
                    f"parse answered {type(event).__name__}({words!r}) to a frame of {sample.source}: "
                    f"{shown(sample.frame)}",
                    "Read this kind of frame; answer () where a known frame says nothing",
                )


def _is_reply(subject: Subject, sample: Sample) -> bool:
    """Whether the frame answers a heartbeat, which parse need not know."""
    try:
        dials = subject.clean.rehearsal.dials
    except NotOffered:
        return False
    return any(dial.heartbeat is not None and dial.heartbeat.reply == sample.frame for dial in dials)


@case(
    "TH-304",
    "every data type it shows comes through",
    reason="A data type that connect accepts and parse forgets is a subscription that stays silent for ever.",
    mend="Read the frames of every data type the simulated venue lists in its subscriptions.",
    hooks=("venue",),
)
def all_types_arrive(subject: Subject) -> None:
    """Each data type that the venue shows, or was asked for and sent, must have brought an event."""
    clean = subject.clean
    brought = set()
    for event in clean.rehearsal.events:
        data_type = DATA_TYPE_OF.get(type(event))
        if data_type is not None:
            brought.add((data_type, event.interval if isinstance(event, Candle) else ""))
    kinds = {data_type for data_type, _ in brought}
    for text in clean.rehearsal.venue.subscriptions:
        wanted = Subscription.parse(text)
        if wanted.data_type.private:
            continue
        if wanted.data_type not in kinds:
            raise CaseFailed(
                f"no {wanted} came within {clean.rehearsal.now // 10**9 - START // 10**9} s of the simulated venue",
                f"Let subscribe ask for {wanted} and parse read its frames, or take it out of the venue's "
                "subscriptions",
            )
        if wanted.data_type is DataType.CANDLE:
            intervals = {interval for data_type, interval in brought if data_type is wanted.data_type}
            if wanted.params not in intervals:
                raise CaseFailed(
                    f"candles of {wanted} came with the interval {', '.join(sorted(intervals))}",
                    "Give Candle.interval the spelling of the channel's parameter",
                )
    for channel in clean.channels:
        sent = clean.rehearsal.venue.log.sent.get((channel.symbol, channel.data_type), 0)
        if sent > 1 and channel.data_type not in kinds:
            raise CaseFailed(
                f"the simulated venue sent {sent} events of {channel}, and none came through",
                f"Let parse read the frames of {channel.data_type}, or let connect refuse it",
            )


@case(
    "TH-305",
    "parse reads the same frames the same way",
    reason="A recorded bug is worth nothing when it replays differently.",
    mend="Let what parse answers follow from the frame, `at` and session.memory alone.",
)
def parse_is_deterministic(subject: Subject) -> None:
    """All frames twice, each time with fresh sockets."""
    samples = subject.samples[:3_000]
    first, second = list(_replayed(subject, samples)), list(_replayed(subject, samples))
    for sample, one, other in zip(samples, first, second, strict=True):
        if one != other:
            raise CaseFailed(
                f"parse read {shown(sample.frame)} as {_told(one)}, and the second time as {_told(other)}",
                "Keep what a socket must remember in session.memory, never in the module",
            )


def _replayed(subject: Subject, samples: Sequence[Sample]) -> Iterator[Sequence[Any]]:
    sockets: dict[object, OutsideView] = {}
    for sample in samples:
        view = sockets.get(sample.socket)
        if view is None:
            view = sockets[sample.socket] = subject.view(dial=sample.dial)
        yield ask(subject, view, sample.frame, sample.at, "the frame")


@case(
    "TH-306",
    "read never raises",
    reason="Proxies and maintenance pages answer in the venue's place; that must not end a collector.",
    mend="Decode inside try and answer [Malformed(why)], as parse does.",
    hooks=("read",),
)
def read_never_raises(subject: Subject) -> None:
    """Answers cut, bent, and of somebody else."""
    calls = subject.clean.recorder.of("read")
    if not calls:
        raise NotOffered("a REST request in the rehearsal")
    chance = subject.random("answers")
    bodies = [call.arguments["answer"].body[:20_000] for call in calls[:20]]
    spoilt = [*GARBAGE, *BARE, *FOREIGN, b"<html>502 Bad Gateway</html>", *mutations(bodies, chance, 300)]
    asked = {call.arguments["fetch"].url.partition("?")[0]: call.arguments for call in calls}
    for number, body in enumerate(spoilt):
        arguments = list(asked.values())[number % len(asked)]
        view = subject.view()
        view.dial = arguments["session"].dial
        try:
            answer = subject.stack.call.read(session=view, fetch=arguments["fetch"], answer=Answer(200, body), at=START)
        except Exception as error:
            raise CaseFailed(
                f"read raised {type(error).__name__}: {str(error)[:200]} on the answer {shown(body)}",
                "Catch what decoding can raise and answer [Malformed(why)]",
            ) from None
        if not isinstance(answer, (list, tuple)):
            raise CaseFailed(f"read answered a {type(answer).__name__}", "Answer a list of events and Fetches")


@case(
    "TH-307",
    "refused reads any HTTP error",
    reason="Errors come from gateways as often as from the venue, with pages in place of its words.",
    mend="Decode the body inside try; answer Rejected with a short reason, or None to be judged by the status.",
    hooks=("refused",),
)
def refused_never_raises(subject: Subject) -> None:
    """Errors of every status, with bodies of the venue, of a gateway, and of nobody."""
    fetches = [*(subject.stack.call.instruments(settings=subject.local) or ()), Fetch(f"{REST_URL}/account")]
    bodies = [*GARBAGE, *BARE, *FOREIGN, b"<html>502 Bad Gateway</html>", b'{"code":-1,"msg":"no","error":{}}']
    for number, body in enumerate(bodies):
        for status in (400, 401, 403, 418, 429, 500, 503):
            answer = Answer(status, body, {"retry-after": "soon"})
            fetch = fetches[number % len(fetches)]
            try:
                said = subject.stack.call.refused(fetch=fetch, answer=answer)
            except Exception as error:
                raise CaseFailed(
                    f"refused raised {type(error).__name__}: {str(error)[:200]} on HTTP {status} with {shown(body)}",
                    "Catch what decoding can raise and answer None",
                ) from None
            if said is not None and (not isinstance(said, Rejected) or not 0 < len(said.reason) <= _SHORT):
                raise CaseFailed(
                    f"refused answered {said!r} to HTTP {status}"[:300], "Answer Rejected(reason, kind) or None"
                )


def shown(frame: bytes) -> str:
    """The beginning of a frame, for a message."""
    text = repr(frame[:80])
    return f"{text}... ({len(frame)} bytes)" if len(frame) > 80 else text


def _told(events: Sequence[Any]) -> str:
    text = ", ".join(map(repr, events)) or "nothing"
    return text if len(text) < 200 else f"{text[:197]}..."
