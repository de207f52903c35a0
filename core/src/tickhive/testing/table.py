"""The table of a conformance run: what passed, what is not offered, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tickhive.testing.cases import GROUPS

Rows = Mapping[str, tuple[str, str, str]]
"""Title, outcome and detail (what is missing, was seen or measured) by the case's number."""

_WIDTH = 62


def lines(rows: Rows, *, verbose: bool = False) -> Iterator[str]:
    """The table, a line at a time. Details of failures are cut short unless ``verbose``."""
    group = ""
    for number, (title, outcome, detail) in sorted(rows.items()):
        if number[3] != group:
            group = number[3]
            yield GROUPS[group]
        yield f"  {number}  {title:<{_WIDTH}}  {outcome}".rstrip()
        if detail:
            yield f"          {detail if verbose or len(detail) <= 160 else f'{detail[:157]}...'}"
    count = Counter(outcome for _, outcome, _ in rows.values())
    always = ("passed", "not offered", "failed")
    yield ", ".join(f"{count[outcome]} {outcome}" for outcome in dict.fromkeys((*always, *count)))
