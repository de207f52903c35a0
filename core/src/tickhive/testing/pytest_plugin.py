"""What pytest loads of tickhive: the table of the conformance suite at the end of a run in which one ran."""

from __future__ import annotations

from typing import Any

PROPERTY = "tickhive conformance"
"""Under this name a result travels in a test's report, from worker processes too."""

_results: dict[str, dict[str, tuple[str, str, str]]] = {}


def pytest_runtest_logreport(report: Any) -> None:
    """Keep what a case came to."""
    if report.when == "call":
        for name, told in report.user_properties:
            if name == PROPERTY:
                exchange, number, *rest = told
                _results.setdefault(exchange, {})[number] = tuple(rest)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the tables."""
    if not _results:
        return
    from tickhive.testing.table import lines

    for exchange, rows in _results.items():
        terminalreporter.section(f"conformance of {exchange}", sep="-")
        for line in lines(rows, verbose=terminalreporter.verbosity > 0):
            terminalreporter.write_line(line)
    _results.clear()
