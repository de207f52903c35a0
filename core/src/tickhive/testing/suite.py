"""The conformance suite as pytest runs it: one line for an author, one test for each case."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tickhive.testing.case import Case, Outcome, try_case
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
    to the reason why they are left out.
    """

    exchange: ClassVar[str]
    frames: ClassVar[str | None] = None
    symbols: ClassVar[Sequence[str]] = ()
    settings: ClassVar[Mapping[str, Any]] = {}
    credentials: ClassVar[Mapping[str, str]] = {}
    plugin: ClassVar[object | None] = None
    without: ClassVar[Mapping[str, str]] = {}

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

    def test_case(self, case: Case, record_property: Any) -> None:
        """Ask the plugin one question."""
        import pytest

        __tracebackhide__ = True
        subject = self.subject()
        if case.number in self.without:
            record_property(PROPERTY, (self.exchange, case.number, case.title, "left out", self.without[case.number]))
            pytest.skip(f"left out: {self.without[case.number]}")
        result = try_case(case, subject)
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
