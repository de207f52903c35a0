"""``tickhive verify``: try an exchange plugin against the conformance suite, and explain what failed."""

from __future__ import annotations

import json
import os
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from tickhive.cli.logs import configure_logging
from tickhive.collector.watchdog import exit_after
from tickhive.plugin.registry import default_registry, unknown_exchange
from tickhive.testing.case import DEADLINE_SECONDS, STUCK, Case, Outcome, Result, try_case
from tickhive.testing.cases import CASES, GROUPS
from tickhive.testing.subject import Subject

_MARKS = {Outcome.PASSED: "passed", Outcome.NOT_OFFERED: "-", Outcome.FAILED: "FAILED"}
_WIDTH = 96

FAREWELL_SECONDS = 10.0
"""So long after its deadline a case that keeps the interpreter to itself ends the process."""


@click.command("verify")
@click.argument("name")
@click.option(
    "--frames",
    type=click.Path(exists=True, path_type=Path),
    help="A recording, or a folder of recordings, to read as well.",
)
@click.option("--symbol", "symbols", multiple=True, help="Use these symbols instead of the simulated venue's own.")
@click.option("--only", multiple=True, metavar="TH-101", help="Try these cases, or groups (TH-3), only.")
@click.option("--all", "everything", is_flag=True, help="Try the slow cases too; some need hypothesis.")
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    default=DEADLINE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="A case that has not ended after so long has failed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    name: str,
    frames: Path | None,
    symbols: tuple[str, ...],
    only: tuple[str, ...],
    everything: bool,
    deadline: float,
    as_json: bool,
) -> None:
    """Try an installed exchange plugin against its own simulated venue and its frames. Exit code 1 when a case fails.

    Nothing is connected and nothing waits: the venue, its sockets and time are simulated in memory. A case that is "not
    offered" asks about something the plugin does not have. One that does not end is ended, and the next is tried; where
    that cannot be done, because it waits in C code, the run ends with what is known.
    """
    configure_logging("error")
    found = default_registry().found()
    if name not in found:
        raise unknown_exchange(name, found)
    cases = _chosen(only, everything)
    subject = Subject(name, frames=frames, symbols=symbols)
    tell: Callable[[Result], None] = _nothing if as_json else _Teller()
    results: list[Result] = []

    def note(result: Result) -> None:
        results.append(result)
        tell(result)

    def report() -> None:
        if as_json:
            click.echo(json.dumps(_described(name, results), indent=2))
        else:
            _summarise(name, results)

    def stuck(result: Result) -> None:
        note(result)
        click.echo(STUCK, err=True)
        report()
        os._exit(1)

    for case in cases:
        with exit_after(deadline + FAREWELL_SECONDS):
            note(try_case(case, subject, deadline_seconds=deadline, stuck=stuck))
    report()
    if any(result.outcome is Outcome.FAILED for result in results):
        raise SystemExit(1)


def _chosen(only: Iterable[str], everything: bool) -> list[Case]:
    wanted = tuple(text.upper() for text in only)
    if not wanted:
        return [case for case in CASES if case.quick or everything]
    unknown = [text for text in wanted if not any(case.number.startswith(text) for case in CASES)]
    if unknown:
        raise click.UsageError(f"there is no case {unknown[0]}; they are {CASES[0].number} to {CASES[-1].number}")
    return [case for case in CASES if case.number.startswith(wanted)]


def _nothing(_: Result) -> None:
    """Say nothing until all is known."""


class _Teller:
    """Prints each result when it is there, under the heading of its group; of a failure, what to do."""

    def __init__(self) -> None:
        self._group = ""

    def __call__(self, result: Result) -> None:
        """Print one."""
        case = result.case
        if case.number[3] != self._group:
            self._group = case.number[3]
            click.secho(GROUPS[self._group], bold=True)
        failed = result.outcome is Outcome.FAILED
        click.secho(f"  {case.number}  {_MARKS[result.outcome]:<7} {case.title}", fg="red" if failed else None)
        if result.missing:
            _tell("not offered", result.missing)
        if result.measured:
            _tell("measured", result.measured)
        if failed:
            _tell("seen", result.seen)
            _tell("to do", result.remedy)
            _tell("why", case.reason)
            _tell("more", case.link)


def _tell(what: str, text: str) -> None:
    indent = " " * 18
    label = f"{what + ': ':<8}"
    click.echo(textwrap.fill(text, _WIDTH, initial_indent=f"{indent}{label}", subsequent_indent=f"{indent}{' ' * 8}"))


def _summarise(name: str, results: Iterable[Result]) -> None:
    count = Counter(result.outcome for result in results)
    words = ", ".join(f"{count[outcome]} {outcome}" for outcome in Outcome)
    click.echo(f"{name}: {words}.")


def _described(name: str, results: list[Result]) -> dict[str, Any]:
    found = default_registry().found()[name]
    return {
        "exchange": name,
        "distribution": found.distribution,
        "version": found.version,
        "ok": all(result.outcome is not Outcome.FAILED for result in results),
        "cases": [
            {
                "number": result.case.number,
                "title": result.case.title,
                "outcome": result.outcome.value,
                "missing": result.missing,
                "measured": result.measured,
                "seen": result.seen,
                "remedy": result.remedy,
                "reason": result.case.reason,
                "link": result.case.link,
            }
            for result in results
        ],
    }
