"""The observer that enforces what a hook may be: a function of its arguments, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, field

from tickhive.channels import Channel, DataType
from tickhive.plugin.contract import Answer, Dial, Fetch
from tickhive.testing.account import private_channels
from tickhive.testing.case import NotOffered
from tickhive.testing.fingerprint import fingerprint
from tickhive.testing.guard import CHANCE, watched
from tickhive.testing.observing import ObservedStack
from tickhive.testing.samples import Recorded
from tickhive.testing.views import alike
from tickhive.testing.wire import REST_URL, START

if TYPE_CHECKING:
    from tickhive.testing.subject import Subject

EXEMPT = ("venue", "collector")
"""Hooks that make what is no part of the protocol."""


@define
class Purity:
    """Looks at every call of every hook. Each fault is noted once: the hook, and what it did.

    ``acted`` are input, output, clock and chance, ``changed`` arguments that are not what they were, ``wavered``
    answers that differ when the same question is asked again. ``asked`` counts the calls that were looked at.
    """

    acted: dict[tuple[str, str], None] = field(factory=dict)
    changed: dict[tuple[str, str], None] = field(factory=dict)
    wavered: dict[tuple[str, str], None] = field(factory=dict)
    asked: dict[str, int] = field(factory=dict)

    def __call__(self, hook: str, arguments: Mapping[str, Any], ask: Any) -> Any:
        """Ask a hook, looking on."""
        if hook in EXEMPT:
            return ask(**arguments)
        self.asked[hook] = self.asked.get(hook, 0) + 1
        twins = self._twins(arguments)
        before = {name: fingerprint(value) for name, value in arguments.items()}
        try:
            answer = self._guarded(hook, arguments, ask)
        finally:
            for name, value in arguments.items():
                if fingerprint(value) != before[name]:
                    self.changed[hook, name] = None
        if twins is not None:
            self._compare(hook, ask, *twins)
        return answer

    def _guarded(self, hook: str, arguments: Mapping[str, Any], ask: Any) -> Any:
        signs = arguments.get("credentials") is not None

        def report(what: str, call: str) -> None:
            if not (signs and what == CHANCE):  # a signature may want some
                self.acted[hook, f"{what} ({call})"] = None

        with watched(report):
            return ask(**arguments)

    def _twins(self, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The same arguments twice, each with a memory of its own; None where the answer may differ by right."""
        if arguments.get("credentials") is not None or not arguments:
            return None
        session = arguments.get("session")
        if session is None:
            return dict(arguments), dict(arguments)
        try:
            views = [alike(session) for _ in range(2)]
        except Exception:
            return None  # a memory that cannot be copied cannot be compared
        return {**arguments, "session": views[0]}, {**arguments, "session": views[1]}

    def _compare(self, hook: str, ask: Any, one: dict[str, Any], other: dict[str, Any]) -> None:
        first, second = _answer(ask, one), _answer(ask, other)
        if first != second:
            self.wavered[hook, f"{_shown(first)}, then {_shown(second)}"] = None


def _answer(ask: Any, arguments: dict[str, Any]) -> Any:
    try:
        answer = ask(**arguments)
    except Exception as error:
        return (type(error).__name__, str(error))
    return list(answer) if isinstance(answer, (list, tuple)) else answer


def _shown(answer: Any) -> str:
    text = repr(answer)
    return text if len(text) <= 120 else f"{text[:117]}..."


def examine(subject: Subject) -> Purity:
    """Look at every hook: in a rehearsal where there is a venue, with a made-up account, and on recorded frames."""
    observer = Purity()
    try:
        rehearsal = subject.rehearse(observer)
    except NotOffered:
        pass
    else:
        channels = subject.channels(rehearsal, limit=2)
        rehearsal.start(channels)
        rehearsal.run(2.5)
        for change in (rehearsal.remove, rehearsal.add):
            for channel in channels[:2]:
                change(channel)
                rehearsal.run(0.5)
    _ask_the_rest(subject, observer)
    if subject.frames is not None:
        for _ in Recorded(subject, ObservedStack(subject.stack, observer)).read(limit=400):
            pass
    return observer


def _dial_of(subject: Subject, channels: Sequence[Channel]) -> Dial | None:
    """The first socket connect answers for channels of the made-up account."""
    if not channels:
        return None
    try:
        answer = subject.stack.call.connect(
            channels=tuple(channels), settings=subject.local, credentials=subject.credentials, dials=()
        )
        return next((each for each in answer if isinstance(each, Dial)), None)
    except Exception:
        return None


def _ask_the_rest(subject: Subject, observer: Purity) -> None:
    """Hooks that need no venue to be asked, and those that use an account."""
    call, settings = ObservedStack(subject.stack, observer).call, subject.settings()
    channel = Channel("BTC-USDT", "BTC-USDT", DataType.TRADE)
    credentials, view = subject.credentials, subject.view()
    private = private_channels(subject.stack, settings, credentials)
    view.dial = _dial_of(subject, private) or view.dial
    account = {"credentials": credentials, "at": START}
    questions: list[tuple[str, dict[str, Any]]] = [
        ("settings", {}),
        ("hosts", {}),
        ("memory", {}),
        ("limits", {"settings": settings}),
        ("instruments", {"settings": settings}),
        ("poll", {"channel": channel, "settings": settings}),
        ("connect", {"channels": [channel], "settings": settings, "credentials": None, "dials": []}),
        ("connect", {"channels": private, "settings": settings, "credentials": credentials, "dials": []}),
        ("authenticate", {"session": view, **account}),
        ("subscribe", {"session": view, "channels": private, **account}),
        ("refused", {"fetch": Fetch(REST_URL), "answer": Answer(429, b'{"code":1,"msg":"later"}')}),
        ("sign", {"fetch": Fetch(f"{REST_URL}/account"), **account}),
    ]
    for hook, arguments in questions:
        if subject.stack.offers(hook):
            try:
                getattr(call, hook)(**arguments)
            except Exception:
                continue  # other cases ask whether it may
