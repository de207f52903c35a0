"""Case 9xx: no secret shows in anything that can be printed, logged or looked up."""

from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from attrs import define, evolve, field

from tickhive.channels import Channel
from tickhive.plugin.contract import Answer, Credentials, Dial, Fetch, Request
from tickhive.session import Feed, Session
from tickhive.testing.account import private_channels
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.logs import capture_logs
from tickhive.testing.subject import Subject
from tickhive.testing.wire import START


@case(
    "TH-901",
    "no secret shows in reprs, errors, addresses and logs",
    reason="Logs, statuses and bug reports are shared; an API key in one of them is an account lost.",
    mend="Keep secrets in frames, headers and bodies of Request and Fetch, whose reprs hide them; never in ids, keys, "
    "addresses or the text of an exception.",
)
def no_secret_shows(subject: Subject) -> None:
    """Ask everything with made-up credentials and search all that can be shown."""
    shown = _Shown(_needles(subject.credentials))
    printed = io.StringIO()
    with capture_logs() as lines, _root_logs() as others, redirect_stdout(printed), redirect_stderr(printed):
        _ask_with_credentials(subject, shown)
        _rehearse_with_credentials(subject, shown)
    for line in (*map(str, lines), *others):
        shown.look("a log line", line)
    shown.look("the output of the process", printed.getvalue())
    for hook, part, text in shown.found:
        raise CaseFailed(f"the {part} shows in {hook}: {text}", _remedy(hook))
    if not shown.signed:
        raise NotOffered("hooks that use credentials: authenticate, sign, private channels")


def _needles(credentials: Credentials) -> dict[str, str]:
    """What to search for: each part, of one with several lines the longest."""
    parts = {name: getattr(credentials, name) for name in ("key", "secret", "passphrase")}
    return {name: max(text.splitlines(), key=len) for name, text in parts.items() if text}


def _remedy(hook: str) -> str:
    if "address" in hook:
        return "Send it in a header or the body of the Fetch, or in a frame: addresses are logged"
    if "error" in hook:
        return "Say which part is missing or wrong, never its text"
    return "Keep it in Request.frame, Fetch.headers or Fetch.body, whose reprs hide it"


@define
class _Shown:
    """Texts that can be shown, searched for secrets. ``signed`` counts the answers that used them."""

    parts: Mapping[str, str]
    found: list[tuple[str, str, str]] = field(factory=list)
    signed: int = 0

    def look(self, where: str, text: str) -> None:
        for part, secret in self.parts.items():
            if secret in text:
                masked = text
                for other, each in self.parts.items():
                    masked = masked.replace(each, f"<{other}>")
                self.found.append((where, part, masked[:200]))

    def answer(self, hook: str, answer: Any) -> None:
        """Everything printable in what a hook answered."""
        for each in answer if isinstance(answer, (list, tuple)) else (answer,):
            if isinstance(each, Dial):
                for url in (*each.urls, each.ticket.url if each.ticket is not None else ""):
                    self.look(f"an address of {hook}", url)
            elif isinstance(each, Fetch):
                self.look(f"an address of {hook}", each.url)
                self._count(str(each.headers), each.body.decode("utf-8", "replace"), each.url)
            elif isinstance(each, Request):
                frame = each.frame if isinstance(each.frame, str) else each.frame.decode("utf-8", "replace")
                self._count(frame)
            self.look(f"the repr of a {type(each).__name__} that {hook} answers", repr(each))

    def _count(self, *texts: str) -> None:
        if any(secret in text for text in texts for secret in self.parts.values()):
            self.signed += 1


def _ask_with_credentials(subject: Subject, shown: _Shown) -> None:
    call, settings = subject.stack.call, subject.local
    channels = private_channels(subject.stack, subject.local, subject.credentials)
    public = [Channel("BTC-USDT", "BTC-USDT", each.data_type, each.params) for each in _public(subject)]
    dials: list[Dial] = []
    full = subject.credentials
    for group in (channels, public):
        if group:
            for answer in _answers(
                shown, "connect", call.connect, full, settings=settings, channels=tuple(group), dials=()
            ):
                if isinstance(answer, Dial):
                    dials.append(answer)
    half = evolve(full, passphrase="")
    for credentials in (half, evolve(half, key="")):
        _answers(shown, "connect", call.connect, credentials, settings=settings, channels=tuple(channels), dials=())
    for dial in dials:
        session = _session(subject, dial)
        for hook in ("authenticate", "subscribe", "unsubscribe"):
            if not subject.stack.offers(hook):
                continue
            wanted = {} if hook == "authenticate" else {"channels": list(dial.channels)}
            for credentials in (full, half):
                function = getattr(call, hook)
                for answer in _answers(shown, hook, function, credentials, session=session, at=START, **wanted):
                    _echo(shown, session, answer)
        for text in (repr(session.memory), repr(session.statistics), repr(session.dial)):
            shown.look("what a socket remembers", text)
    for fetch in _fetches(subject, channels):
        for credentials in (full, half):
            for signed in _answers(shown, "sign", call.sign, credentials, fetch=fetch, at=START):
                if isinstance(signed, Fetch):
                    # A token hides what it is made of: that the request is another one shows that it was signed.
                    shown.signed += signed != call.sign(fetch=fetch, credentials=None, at=START)
                    answer = Answer(200, signed.body + str(signed.headers).encode())
                    _answers(
                        shown, "read", call.read, None, session=_view(subject), fetch=fetch, answer=answer, at=START
                    )


def _rehearse_with_credentials(subject: Subject, shown: _Shown) -> None:
    """Let the account knock at the simulated venue, which does not know it, and look at what was dialled and asked."""
    try:
        rehearsal = subject.rehearse(credentials=subject.credentials)
        private = private_channels(subject.stack, subject.local, subject.credentials)
        rehearsal.start([*subject.channels(rehearsal, limit=1), *private])
        rehearsal.run(3.0)
    except NotOffered:
        return
    except Exception as error:  # secrets of a form the venue cannot have, say
        shown.look("an error of a hook", str(error))
        return
    for url in rehearsal.urls:
        shown.look("an address that was used", url)
    for wire in (*rehearsal.wires, *rehearsal.ended):
        shown.look("the status of a socket", f"{wire.session.statistics.last_hook_error} {wire.session.fatal}")


def _answers(
    shown: _Shown, hook: str, function: Any, credentials: Credentials | None, **arguments: Any
) -> Sequence[Any]:
    """Ask, and look at the answer or at the error."""
    if hook != "read":
        arguments["credentials"] = credentials
    try:
        answer = function(**arguments)
    except Exception as error:
        shown.look(f"an error of {hook}", "".join(traceback.format_exception_only(error)))
        return ()
    shown.answer(hook, answer)
    return answer if isinstance(answer, (list, tuple)) else (answer,)


def _echo(shown: _Shown, session: Session, answer: Any) -> None:
    """A venue that sends our own frame back, as some do with what they do not understand."""
    if isinstance(answer, Request):
        frame = answer.frame if isinstance(answer.frame, bytes) else answer.frame.encode()
        try:
            events = session.stack.call.parse(session=session, frame=frame, at=START)
        except Exception as error:
            shown.look("an error of parse", str(error))
        else:
            shown.answer("parse", list(events or ()))


def _public(subject: Subject) -> Sequence[Any]:
    return subject.accepted("BTC-USDT", "BTC-USDT")[:3]


def _fetches(subject: Subject, channels: Sequence[Channel]) -> Iterator[Fetch]:
    call = subject.stack.call
    yield from call.instruments(settings=subject.local) or ()
    view = _view(subject)
    for channel in channels:
        try:
            fetch = call.snapshot(session=view, channel=channel)
        except Exception:
            continue
        if fetch is not None:
            yield fetch


def _view(subject: Subject) -> Any:
    view = subject.view()
    view.account = subject.credentials.account
    return view


def _session(subject: Subject, dial: Dial) -> Session:
    feed = Feed(subject.stack, subject.exchange, subject.local, subject.view().instruments)
    return Session(subject.stack, dial, feed, credentials=subject.credentials)


class _root_logs(logging.Handler):  # noqa: N801  # used as the context it is
    """What the plugin logs by the standard library."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._lines.append(record.getMessage())

    def __enter__(self) -> list[str]:
        self._level = logging.getLogger().level
        logging.getLogger().addHandler(self)
        logging.getLogger().setLevel(logging.DEBUG)
        return self._lines

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)
        logging.getLogger().setLevel(self._level)
