"""The conformance suite as pytest runs it: one line for an author, one test for each case."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tickhive.testing.case import DEADLINE_SECONDS, STUCK, Case, Outcome, Result, try_case
from tickhive.testing.cases import CASES
from tickhive.testing.pytest_plugin import PROPERTY
from tickhive.testing.subject import Subject


class ExchangeSuite:
    """Subclass it in a test file and name the exchange::

        from tickhive.testing import ExchangeSuite


        class TestAcme(ExchangeSuite):
            exchange = "acme"
            frames = "frames"

    ``frames`` is a folder of recordings beside the test file (or None). ``symbols`` are used instead of those the
    simulated venue names, ``settings`` is what ``[exchanges.acme]`` would say. ``credentials`` are ``key``, ``secret``
    and ``passphrase`` of no account, where made-up texts will not do because a secret must be a private key, say.
    ``plugin`` is a module or instance to be judged in place of an installed package. ``without`` maps numbers of cases
    to the reason why they are left out. A case fails that does not end within ``deadline_seconds``.
    """

    exchange: ClassVar[str]
    frames: ClassVar[str | None] = None
    symbols: ClassVar[Sequence[str]] = ()
    settings: ClassVar[Mapping[str, Any]] = {}
    credentials: ClassVar[Mapping[str, str]] = {}
    plugin: ClassVar[object | None] = None
    without: ClassVar[Mapping[str, str]] = {}
    deadline_seconds: ClassVar[float] = 2 * DEADLINE_SECONDS

    @classmethod
    def subject(cls) -> Subject:
        """What is judged, gathered once for the class."""
        found: Subject | None = cls.__dict__.get("_subject")
        if found is None:
            if not getattr(cls, "exchange", ""):
                raise TypeError(f'{cls.__name__} names no exchange: write exchange = "..." in the class')
            unknown = set(cls.without) - {case.number for case in CASES}
            if unknown:
                raise TypeError(f"{cls.__name__} leaves out {', '.join(sorted(unknown))}, which is no case")
            found = Subject(
                cls.exchange,
                plugin=cls.plugin,
                frames=Path(inspect.getfile(cls)).parent / cls.frames if cls.frames is not None else None,
                symbols=cls.symbols,
                settings=cls.settings,
                credentials=cls.credentials,
            )
            setattr(cls, "_subject", found)  # noqa: B010  # a plain assignment would be an attribute of the base
        return found

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each case."""
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", CASES, ids=str)

    def test_case(self, case: Case, record_property: Any, request: Any) -> None:
        """Ask the plugin one question."""
        import pytest

        __tracebackhide__ = True
        subject = self.subject()
        if case.number in self.without:
            record_property(PROPERTY, (self.exchange, case.number, case.title, "left out", self.without[case.number]))
            pytest.skip(f"left out: {self.without[case.number]}")

        def stuck(result: Result) -> None:
            """Nothing else ends this run: say why it ends, where pytest does not hold it back."""
            capture = request.config.pluginmanager.getplugin("capturemanager")
            if capture is not None:
                capture.suspend_global_capture(in_=True)
            print(f"\n{explain(case, result.seen, result.remedy)}\n  end:    {STUCK}", file=sys.__stderr__, flush=True)
            os._exit(1)

        result = try_case(case, subject, deadline_seconds=self.deadline_seconds, stuck=stuck)
        detail = result.missing or result.seen or result.measured
        told = (self.exchange, case.number, case.title, result.outcome.value, detail)
        record_property(PROPERTY, told)
        if result.outcome is Outcome.NOT_OFFERED:
            pytest.skip(f"not offered: {result.missing}")
        if result.outcome is Outcome.FAILED:
            pytest.fail(explain(case, result.seen, result.remedy), pytrace=False)


def explain(case: Case, seen: str, remedy: str) -> str:
    """A failure in words an author can act on."""
    return f"{case}\n  seen:   {seen}\n  to do:  {remedy}\n  why:    {case.reason}\n  more:   {case.link}"
