"""Writes docs/reference/conformance.md from the cases of the suite.

    python docs/generate_conformance.py            # write the page
    python docs/generate_conformance.py --check    # exit code 1 when the page is stale

The tests of the documentation run the second form.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from writing import write_or_check

from tickhive.testing.case import Case
from tickhive.testing.cases import CASES, GROUPS

PAGE = Path(__file__).resolve().parent / "reference" / "conformance.md"

HEAD = """\
# The conformance suite, case by case

<!-- Written by docs/generate_conformance.py from tickhive/testing/cases; edit those. -->

Whether a plugin keeps what the core relies on is tried by {count} numbered cases. A number never changes its meaning.
One line puts a plugin under all of them:

```python
from tickhive.testing import ExchangeSuite


class TestAcme(ExchangeSuite):
    exchange = "acme"
```

```console
$ pip install tickhive[testing]
$ pytest
$ tickhive verify acme
```

pytest runs a test for each case and prints a [table](../howto/read-the-suites-table.md) at the end; `tickhive verify`
needs neither pytest nor hypothesis and leaves out what is marked *slow* here. The plugin is tried against its own
simulated venue (hook `venue`) and against recorded frames. Both happen in memory: nothing is connected, and time is
moved by hand. What a plugin does not have is *not offered*, which is no failure. Private data (balances, positions,
orders, fills) is not rehearsed: simulated venues are not told of accounts, so what their events say is for a plugin's
own tests.

| attribute of the class | meaning |
|---|---|
| `exchange` | the exchange's name |
| `frames` | a folder of [recordings](#recordings) beside the test file; none otherwise |
| `symbols` | symbols to use instead of those the simulated venue names |
| `settings` | what `[exchanges.acme]` would say, as a dictionary |
| `credentials` | `key`, `secret` and `passphrase` of no account, where made-up texts will not do: a private key, say |
| `plugin` | a module or instance to be judged in place of an installed package |
| `without` | cases to leave out, each with the reason: `{{"TH-604": "..."}}` |
| `deadline_seconds` | how long a case may take before it is ended and has failed; 60 |

## Recordings

A recording is a file `*.jsonl`, also `.gz` or `.zst`, with one JSON object a line:

```json
{{"t": 1790000000.25, "dir": "in", "kind": "ws", "url": "wss://ws.acme.example/v1", "conn": 1, "frame": "{{...}}"}}
```

`t` is when, in seconds (null: unknown), `kind` is `ws`, `http` (the answer's body) or `connect`, `conn` numbers the
sockets. What `tickhive run --record FILE` and `tickhive cut` write is read as it is
([its form](../howto/record-and-replay.md#the-file)). Only lines whose host `hosts` names are read, where the plugin
answers that hook.

"""


def sections() -> Iterator[str]:
    """Every group with its cases."""
    for digit, name in GROUPS.items():
        cases = [case for case in CASES if case.number[3] == digit]
        yield f"## {name}\n"
        yield "| case | |\n|---|---|"
        yield "\n".join(f"| [{case.number}](#{case.number.lower()}) | {case.title} |" for case in cases) + "\n"
        for case in cases:
            yield section(case)


def section(case: Case) -> str:
    """One case."""
    tried = inspect.cleandoc(case.check.__doc__ or "").replace("``", "`")
    slow = "" if case.quick else " *Slow.*"
    lines = [
        f"### {case.number}\n",
        wrapped(f"**{case.title}.**{slow} {case.reason}") + "\n",
        wrapped(f"- Tried: {tried}"),
        wrapped(f"- To do: {case.mend}"),
    ]
    if case.hooks:
        *most, last = (f"`{hook}`" for hook in case.hooks)
        lines.append(f"- Offered by plugins that answer {', '.join(most)}{' and ' if most else ''}{last}.")
    return "\n".join(lines) + "\n"


def wrapped(text: str) -> str:
    """A paragraph or list item in lines."""
    return textwrap.fill(
        text,
        120,
        subsequent_indent="  " if text.startswith("- ") else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def page() -> str:
    """The whole page."""
    return HEAD.format(count=len(CASES)) + "\n".join(sections())


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page, Path(__file__).name, __doc__))
