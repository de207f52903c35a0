"""One numbered case of the conformance suite, what may come of it, and how it is tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen

from tickhive.collector.overrun import Held, Overrun, owns
from tickhive.collector.watchdog import WATCHDOG
from tickhive.plugin.validation import HOOKS

if TYPE_CHECKING:
    from tickhive.testing.subject import Subject

DOCS = "docs/reference/conformance.md"

DEADLINE_SECONDS = 30.0
"""A case that takes so long does not end."""

MOST_ENDLESS = 3
"""After so many cases that do not end no more are tried."""


STUCK = "It cannot be ended from within Python, so the run ends here."


class CaseEnded(BaseException):
    """Raised inside a case that does not end."""


class CaseFailed(Exception):
    """A plugin does not do what a case asks: ``seen`` says what it did instead, ``remedy`` what its author can do."""

    def __init__(self, seen: str, remedy: str) -> None:
        self.seen = seen
        self.remedy = remedy
        super().__init__(f"{seen}. {remedy}" if seen[-1:] not in ".!?" else f"{seen} {remedy}")


class NotOffered(Exception):
    """A case asks about something the plugin does not have; ``missing`` says what that is."""

    def __init__(self, missing: str) -> None:
        self.missing = missing
        super().__init__(missing)


class Outcome(StrEnum):
    """What came of a case."""

    PASSED = "passed"
    NOT_OFFERED = "not offered"
    FAILED = "failed"


Check: TypeAlias = "Callable[[Subject], str | None]"


@frozen
class Case:
    """A question to a plugin.

    ``number`` never changes its meaning. ``reason`` says what it would cost users, ``mend`` how an author meets it.
    ``check`` raises CaseFailed or NotOffered, and may answer what it measured.
    ``hooks`` are those a plugin must answer to be asked at all. ``quick`` cases need neither pytest nor hypothesis.
    """

    number: str
    title: str
    reason: str
    mend: str
    check: Check = field(repr=False)
    hooks: Sequence[str] = ()
    quick: bool = True

    @property
    def link(self) -> str:
        """Where it is explained."""
        return f"{DOCS}#{self.number.lower()}"

    def __str__(self) -> str:
        return f"{self.number} {self.title}"


@frozen
class Result:
    """What came of one case: ``seen`` and ``remedy`` of a failure, or what is ``missing`` for it to be tried.

    ``measured`` is what a case that passed has to say.
    """

    case: Case
    outcome: Outcome
    seen: str = ""
    remedy: str = ""
    missing: str = ""
    measured: str = ""
    seconds: float = 0.0


def case(
    number: str, title: str, *, reason: str, mend: str, hooks: Sequence[str] = (), quick: bool = True
) -> Callable[[Check], Case]:
    """Make a case of the function that checks it."""
    return lambda check: Case(number, title, reason, mend, check, tuple(hooks), quick)


def try_case(
    case: Case,
    subject: Subject,
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    stuck: Callable[[Result], None] | None = None,
) -> Result:
    """Ask a plugin one question. Whatever it does is an answer; only KeyboardInterrupt comes through.

    A case that does not end within ``deadline_seconds`` is ended, and has failed. ``stuck`` is called with that from
    another thread where it cannot be ended: it waits in C code, or does not let go.
    """
    if len(subject.endless) >= MOST_ENDLESS:
        return Result(case, Outcome.NOT_OFFERED, missing=f"a plugin that returns (see {', '.join(subject.endless)})")
    begun = time.perf_counter()
    held = Held(
        f"the case {case}",
        deadline_seconds,
        CaseEnded,
        __name__,
        anywhere=True,
        stuck=None if stuck is None else lambda over: stuck(_overran(case, over)),
        grace_seconds=max(1.0, min(5.0, deadline_seconds)),
    )
    found, over = WATCHDOG.bounded(held, lambda: _tried(case, subject, begun))
    if over is None and found is not None:
        return found
    assert over is not None
    subject.endless.append(case.number)
    return _overran(case, over)


def _tried(case: Case, subject: Subject, begun: float) -> Result:
    def result(outcome: Outcome, **words: str) -> Result:
        return Result(case, outcome, seconds=time.perf_counter() - begun, **words)

    try:
        for hook in case.hooks:
            if not subject.stack.offers(hook):
                raise NotOffered(f"the hook {hook}")
        measured = case.check(subject) or ""
    except NotOffered as absent:
        return result(Outcome.NOT_OFFERED, missing=absent.missing)
    except CaseFailed as failure:
        return result(Outcome.FAILED, seen=failure.seen, remedy=failure.remedy)
    except (Exception, SystemExit) as error:
        return result(Outcome.FAILED, seen=f"{type(error).__name__}: {error}", remedy=_raised_in(error, case))
    return result(Outcome.PASSED, measured=measured)


def _overran(case: Case, over: Overrun) -> Result:
    """A failure that says where the case stood, and in which hook: that the core asked, so the outermost."""
    hooks = [line.name for line in over.lines if owns(over.held, line.package) and line.name in HOOKS]
    within = f", hook {hooks[-1]}" if hooks else ""
    return Result(
        case,
        Outcome.FAILED,
        seen=f"{case.number} did not end within {over.held.seconds:g} s; it stands in {over.where}{within}",
        remedy="Return from every hook at once; allow a slow machine more time with --deadline, or deadline_seconds.",
        seconds=over.seconds,
    )


def _raised_in(error: BaseException, case: Case) -> str:
    """Where an error nobody expected came from: the innermost place is what an author looks at."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return case.mend
    code = trace.tb_frame.f_code
    return f"It was raised at {code.co_filename}:{trace.tb_lineno} in {code.co_name}. {case.mend}"
