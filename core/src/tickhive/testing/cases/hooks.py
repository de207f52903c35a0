"""Cases 2xx: every hook answers values of the contract, and is a function of its arguments alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve

from tickhive.channels import EVERY, Channel, DataType
from tickhive.plugin.contract import Dial, Fetch, Heartbeat, Request
from tickhive.testing.account import placeholder
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.observing import Call
from tickhive.testing.rehearsal import Rehearsal
from tickhive.testing.subject import Subject

_MEMBERS: dict[str, tuple[type, ...]] = {
    "connect": (Dial, Fetch),
    "subscribe": (Request,),
    "unsubscribe": (Request,),
    "instruments": (Fetch,),
    "authenticate": (Request, Fetch),
    "heartbeat": (Request, Fetch),
}
"""What may be in the sequence a hook answers."""


@case(
    "TH-201",
    "hooks answer values of the contract",
    reason="A wrong value is refused far from where it was made, in somebody's log at night.",
    mend="Answer sequences of Dial, Request and Fetch with ws or http addresses and frames of str or bytes.",
)
def answers_are_typed(subject: Subject) -> None:
    """Look at every answer of a clean rehearsal, or of connect alone where there is no venue."""
    for call in _calls(subject):
        if call.hook not in _MEMBERS or call.error is not None:
            continue
        if isinstance(call.answer, (str, bytes, Mapping)) or not isinstance(call.answer, Iterable):
            kinds = " or ".join(kind.__name__ for kind in _MEMBERS[call.hook])
            raise CaseFailed(f"{call.fault(list, tuple)}, not a sequence", f"Answer a list of {kinds}, or ()")
        for answer in call.answer:
            _check_member(call.hook, answer)


def _calls(subject: Subject) -> list[Call]:
    try:
        return subject.clean.recorder.calls
    except NotOffered:
        call = Call("connect", {})
        call.answer = _connect(subject, _some_channels(subject))
        return [call]


def _check_member(hook: str, answer: Any) -> None:
    if not isinstance(answer, _MEMBERS[hook]):
        kinds = " or ".join(kind.__name__ for kind in _MEMBERS[hook])
        raise CaseFailed(f"{hook} answered a {type(answer).__name__}", f"Answer {kinds}")
    if isinstance(answer, Dial):
        _check_dial(answer)
    elif isinstance(answer, Fetch):
        if not answer.url.startswith(("http://", "https://")):
            raise CaseFailed(f"{hook} answered a Fetch of {answer.url!r}", "Give a Fetch an http or https address")
    elif isinstance(answer, Request):
        _check_request(hook, answer)


def _check_dial(dial: Dial) -> None:
    if not dial.key or not isinstance(dial.key, str):
        raise CaseFailed("connect answered a Dial without a key", "Give each Dial a key that names its socket")
    lacking = not dial.urls and dial.ticket is None
    if isinstance(dial.urls, str) or lacking or not all(u.startswith(("ws://", "wss://")) for u in dial.urls):
        raise CaseFailed(
            f"connect: the urls of Dial {dial.key!r} are {dial.urls!r}", "Answer a sequence of ws or wss addresses"
        )
    beat = dial.heartbeat
    if beat is not None and (not isinstance(beat, Heartbeat) or beat.after <= 0):
        raise CaseFailed(f"connect: the heartbeat of Dial {dial.key!r} is {beat!r}", "Answer Heartbeat(after=seconds)")
    for name in ("lifetime", "upkeep", "patience", "max_size"):
        value = getattr(dial, name)
        if value is not None and value <= 0:
            raise CaseFailed(f"connect: {name} of Dial {dial.key!r} is {value!r}", f"Make {name} positive, or None")


def _check_request(hook: str, request: Request) -> None:
    if not isinstance(request.frame, (str, bytes)):
        raise CaseFailed(
            f"{hook} answered a Request whose frame is a {type(request.frame).__name__}",
            "Encode the frame: str goes out as a text frame, bytes as a binary one",
        )
    if request.id is not None and not isinstance(request.id, str):
        raise CaseFailed(f"{hook} answered the request id {request.id!r}", "Write request ids as text")
    if isinstance(request.channels, Channel) or not all(isinstance(each, Channel) for each in request.channels):
        raise CaseFailed(f"{hook}: a Request's channels are {request.channels!r}", "Name them as a sequence of Channel")


@case(
    "TH-202",
    "each channel is in exactly one Dial",
    reason="A channel in two sockets comes twice, one in none never comes.",
    mend="Let connect put every channel it is asked for into one Dial, and give each Dial a key of its own.",
)
def one_dial_each(subject: Subject) -> None:
    """Ask for a few channels and for many."""
    some = _some_channels(subject)
    for channels in ([], some[:1], some, _many_channels(some)):
        dials = [answer for answer in _connect(subject, channels) if isinstance(answer, Dial)]
        keys = [dial.key for dial in dials]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise CaseFailed(f"connect answered two Dials of the key {twice.pop()!r}", "Give each Dial its own key")
        carried = [channel for dial in dials for channel in dial.channels]
        for channel in channels:
            count = carried.count(channel)
            if count > 1 or (count == 0 and dials):
                raise CaseFailed(
                    f"connect put {channel} into {count or 'no'} Dial{'s' if count > 1 else ''}, asked for "
                    f"{len(channels)} channels",
                    "Put each channel into exactly one Dial",
                )
        strays = set(carried) - set(channels)
        if strays:
            raise CaseFailed(f"connect answered {strays.pop()}, which nobody asked for", "Carry what is asked for only")


@case(
    "TH-203",
    "sockets keep their keys and their channels",
    reason="A socket whose key changes is closed and dialled again, and everything on it has a hole.",
    mend="Let connect answer the dials it is shown with the same key and url, adding channels to them or beside them.",
)
def keys_are_kept(subject: Subject) -> None:
    """Ask again: for the same, for more, for less."""
    some = _some_channels(subject)
    first = _dials(subject, some[:-1] or some, ())
    again = _dials(subject, some[:-1] or some, first)
    if _plan(again) != _plan(first):
        raise CaseFailed(
            f"connect asked again for the same channels answers {_told(again)} instead of {_told(first)}",
            "Answer the dials you are given, with the same keys, as long as their channels are wanted",
        )
    for what, wanted in (("one more channel", some), ("one channel less", some[1:])):
        homes = {channel: dial for dial in again for channel in dial.channels if channel in wanted}
        for dial in _dials(subject, wanted, again):
            for channel in dial.channels:
                home = homes.get(channel)
                if (
                    home is not None
                    and (home.key, tuple(home.urls)) != (dial.key, tuple(dial.urls))
                    and not _in_url(home, channel)
                ):
                    raise CaseFailed(
                        f"connect asked for {what} moves {channel} from {home.key!r} to {dial.key!r}",
                        "Keep channels on the dial that carries them; put others where there is room",
                    )


def _in_url(dial: Dial, channel: Channel) -> bool:
    """Whether the address itself carries the channel: then another set of channels is another address."""
    name = channel.native.lower()
    return any(name in url.lower() for url in dial.urls)


def _dials(subject: Subject, channels: Sequence[Channel], dials: Sequence[Dial]) -> list[Dial]:
    found = [answer for answer in _connect(subject, channels, dials) if isinstance(answer, Dial)]
    if not found:
        raise NotOffered("a Dial without a request before it")
    return found


def _plan(dials: Sequence[Dial]) -> dict[str, tuple[tuple[str, ...], frozenset[Channel]]]:
    return {dial.key: (tuple(dial.urls), frozenset(dial.channels)) for dial in dials}


def _told(dials: Sequence[Dial]) -> str:
    return ", ".join(f"{dial.key!r} with {len(dial.channels)} channels" for dial in dials)


@case(
    "TH-204",
    "what the venue does not have is refused, what is not known yet is not",
    reason="A configuration is checked before anything is connected; names of instruments are not known then.",
    mend="Raise ValueError that names the channel for a data type or parameter the venue lacks, and for nothing else.",
)
def refusals_are_clear(subject: Subject) -> None:
    """Ask for nonsense, and for a symbol nobody has heard of."""
    call, settings = subject.stack.call, subject.settings()
    some = _some_channels(subject)[0]
    odd = Channel(some.symbol, some.native, some.data_type, "no-such-parameter")
    try:
        if call.poll(channel=odd, settings=settings) is None:
            call.connect(channels=(odd,), settings=settings, credentials=None, dials=())
    except ValueError as error:
        words = str(error)
        if not any(word in words for word in (odd.params, str(odd.data_type), odd.symbol)):
            raise CaseFailed(
                f"connect refuses {odd} with {words!r}, which does not say what", "Name the channel in the error"
            ) from None
    except Exception as error:
        raise CaseFailed(
            f"connect refuses {odd} with {type(error).__name__}: {error}", "Raise ValueError that names the channel"
        ) from None
    else:
        raise CaseFailed(f"connect accepts {odd}", "Raise ValueError for a parameter the venue does not have")
    for data_type in DataType:
        _refused_clearly(subject, Channel(some.symbol, some.native, data_type, some.params))
    unheard = Channel("ZZZ-QQQ", "ZZZ-QQQ", some.data_type, some.params)
    try:
        if call.poll(channel=unheard, settings=settings) is None:
            call.connect(channels=(unheard,), settings=settings, credentials=None, dials=())
    except Exception as error:
        raise CaseFailed(
            f"connect refuses the unknown symbol {unheard.native} with {type(error).__name__}: {error}",
            "Let the venue judge native names: connect is asked before instruments are known",
        ) from None


def _refused_clearly(subject: Subject, channel: Channel) -> None:
    """A data type is accepted or refused with ValueError, whatever the account's secrets look like."""
    call, settings = subject.stack.call, subject.settings()
    verdicts = []
    for credentials in (subject.credentials, placeholder()) if channel.data_type.private else (None,):
        asked = evolve(channel, symbol=EVERY, native=EVERY, params="") if credentials is not None else channel
        try:
            if call.poll(channel=asked, settings=settings) is None:
                call.connect(channels=(asked,), settings=settings, credentials=credentials, dials=())
        except ValueError as error:
            verdicts.append(str(error))
        except Exception as error:
            raise CaseFailed(
                f"connect refuses {asked} with {type(error).__name__}: {error}",
                "Raise ValueError that names the channel",
            ) from None
        else:
            verdicts.append("")
    if len(verdicts) == 2 and not verdicts[0] and verdicts[1]:
        raise CaseFailed(
            f"connect refuses {channel.data_type} because of what the secrets look like: {verdicts[1]}",
            "Judge secrets where they are used, in authenticate or sign: connect is asked with made-up texts first",
        )


@case(
    "TH-205",
    "hooks do no I/O, read no clock, draw no lots and log nothing",
    reason="Replays, simulations and tests run the same plugin code; and nothing in the core waits for a hook.",
    mend="Take time from `at`, ids from session.next_id(), and answer a Fetch where something must be asked. Random "
    "numbers are for signatures only. What went wrong is an event, not a log line.",
)
def hooks_are_pure(subject: Subject) -> None:
    """Run them and look at every function they call."""
    for hook, what in subject.purity.acted:
        raise CaseFailed(f"{hook} {what}", _REMEDIES.get(what.partition(" (")[0], "Hooks answer with data only"))


_REMEDIES = {
    "reads the clock": "Use the argument `at`, which is the time now in ns UTC",
    "sleeps": "Hooks never wait: the core paces requests by what limits answers",
    "draws random numbers": "Take ids from session.next_id(); random numbers are for signing hooks only",
    "uses the network": "Answer a Fetch; the core makes the request and asks read about the answer",
    "touches files": "Read files when the module is imported, or better take what is needed from settings",
    "logs": "Answer Unknown, Malformed or Rejected: the core counts and shows them",
    "prints": "Answer Unknown, Malformed or Rejected: the core counts and shows them",
}


@case(
    "TH-206",
    "hooks change nothing they are given",
    reason="Channels, dials and settings are shared by all sockets of a collector.",
    mend="Make new values (attrs.evolve, list(...)) instead of changing arguments; only session.memory is yours.",
)
def inputs_stay(subject: Subject) -> None:
    """Compare arguments before and after every call."""
    for hook, name in subject.purity.changed:
        raise CaseFailed(
            f"{hook} changed its argument {name}",
            f"Copy before you change: list({name}), attrs.evolve; what a socket must remember goes into session.memory",
        )


@case(
    "TH-207",
    "the same question gets the same answer",
    reason="A recording must replay to the same events every time, or no bug can be reproduced.",
    mend="Keep nothing between calls but in session.memory; no counters or caches in the module, no random ids.",
)
def answers_are_steady(subject: Subject) -> None:
    """Ask everything twice, with equal arguments."""
    for hook, answers in subject.purity.wavered:
        raise CaseFailed(
            f"{hook} gave two answers to one question: {answers}",
            "Let the answer follow from the arguments and session.memory alone; ids come from session.next_id()",
        )


@case(
    "TH-208",
    "request ids are the socket's own",
    reason="An answer is matched to its request by id; one id used twice confirms the wrong channels.",
    mend="Take every id from session.next_id() and put the same text into the frame and into Request.id.",
    hooks=("subscribe",),
)
def ids_are_unique(subject: Subject) -> None:
    """Look at every request of a rehearsal, and whether those of one call share a channel."""
    seen: dict[tuple[int, str], str] = {}
    for call in subject.clean.recorder.of("subscribe", "unsubscribe"):
        _check_disjoint(call)
        for request in call.answer or ():
            if request.id is None:
                continue
            key = (id(call.arguments["session"]), request.id)
            if key in seen:
                raise CaseFailed(
                    f"{call.hook} used the request id {request.id!r} a second time on one socket",
                    "Take a fresh id from session.next_id() for each Request",
                )
            seen[key] = call.hook
            if isinstance(request.frame, str) and request.id not in request.frame:
                raise CaseFailed(
                    f"{call.hook}: the frame of the request with the id {request.id!r} does not hold that id",
                    "Write the id into the frame, so that the venue can echo it",
                )


def _check_disjoint(call: Call) -> None:
    """An answer confirms the channels of its request: each is in one that has an id."""
    named: dict[Channel, str] = {}
    for request in call.answer or ():
        if request.id is None:
            continue
        for channel in request.channels:
            other = named.setdefault(channel, request.id)
            if other != request.id:
                raise CaseFailed(
                    f"{call.hook} named {channel} in the channels of two requests, {other!r} and {request.id!r}",
                    "Name in Request.channels only what its own frame asks for",
                )


@case(
    "TH-209",
    "each socket has a memory of its own",
    reason="What one socket remembers must not be mixed into another's conversation.",
    mend="Make a fresh object in every call of memory.",
    hooks=("memory",),
)
def memory_is_fresh(subject: Subject) -> None:
    """Ask for two."""
    one, other = subject.stack.call.memory(), subject.stack.call.memory()
    if one is other and one is not None and not isinstance(one, (str, bytes, int, float, tuple, frozenset)):
        raise CaseFailed("memory answered the same object twice", "Build the object inside the hook: return Memory()")


def _some_channels(subject: Subject) -> list[Channel]:
    """Streamed channels of two symbols that connect accepts."""
    call, settings = subject.stack.call, subject.settings()
    symbols: list[tuple[str, str]] = [("BTC-USDT", "BTC-USDT"), ("ETH-USDT", "ETH-USDT")]
    kinds = subject.accepted(*symbols[0])
    try:
        rehearsal: Rehearsal = subject.rehearse()
    except NotOffered:
        pass
    else:
        shown = subject.channels(rehearsal)
        if shown:
            symbols = list(dict.fromkeys((channel.symbol, channel.native) for channel in shown))[:2]
            kinds = list(dict.fromkeys(channel.subscription for channel in shown))
    found = [
        channel
        for each in kinds
        for channel in (Channel(symbol, native, each.data_type, each.params) for symbol, native in symbols)
        if call.poll(channel=channel, settings=settings) is None
    ]
    if not found:
        raise NotOffered("a public data type that streams")
    return found


def _many_channels(some: Sequence[Channel]) -> list[Channel]:
    kinds = list(
        dict.fromkeys(channel.subscription for channel in some if channel.data_type is not DataType.INSTRUMENT)
    )
    names = [f"C{number}-USDT" for number in range(150)]
    return [Channel(name, name, each.data_type, each.params) for name in names for each in kinds[:3]]


def _connect(subject: Subject, channels: Sequence[Channel], dials: Sequence[Dial] = ()) -> Any:
    settings = subject.settings()
    try:
        return subject.stack.call.connect(
            channels=tuple(channels), settings=settings, credentials=None, dials=tuple(dials)
        )
    except Exception as error:
        raise CaseFailed(
            f"connect raised {type(error).__name__}: {error} for {len(channels)} channels it accepts one by one",
            "Answer as many Dials as it takes",
        ) from None
