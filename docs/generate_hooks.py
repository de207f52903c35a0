"""Writes docs/reference/hooks.md from the hook specifications and docs/hook_examples.py.

    python docs/generate_hooks.py            # write the page
    python docs/generate_hooks.py --check    # exit code 1 when the page is stale

The tests of the documentation run the second form and every example.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import attrs
from writing import write_or_check

from tickhive.plugin import answers, contract, hookspecs, paging, reading, spreading, subscribed
from tickhive.plugin.validation import HOOKS

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "reference" / "hooks.md"
EXAMPLES = DOCS / "hook_examples.py"

HEAD = """\
# Hooks of an exchange plugin

<!-- Written by docs/generate_hooks.py from tickhive/plugin/hookspecs.py and docs/hook_examples.py; edit those. -->

{introduction}

An application may stack wrappers (`@hookimpl(wrapper=True)`) on a plugin; a plugin that is refused says which hook is
at fault, why, and what to do ([errors](errors.md#pluginerror)). To begin with, see
[write a plugin](../howto/write-a-plugin.md).

The examples below are one made-up exchange, Acme. They begin with

```python
{imports}
```

| hook | asked when | |
|---|---|---|
{table}
"""

HELPERS = (reading, answers, paging, spreading, subscribed)

WHEN = {
    "connect": "a collector starts, and when what it collects changes",
    "parse": "a frame came",
    "subscribe": "a socket is open, and whenever channels must be asked for again",
    "unsubscribe": "a channel is given up, or a broken book is to be asked for afresh",
    "instruments": "the first collector of the exchange starts",
    "read": "a REST answer came",
    "refused": "a REST request was answered with an error",
    "limits": "the first collector of the exchange starts",
    "authenticate": "a socket with `login` is open",
    "heartbeat": "every `Dial.upkeep` seconds",
    "sign": "before each attempt of a REST request",
    "snapshot": "no book streamed in, or a broken one cannot be asked for afresh; a private channel was confirmed",
    "backfill": "trade ids jumped, candles were left out, fills were missed, or an order is open no more and nobody "
    "said how it ended",
    "poll": "a collector starts, and when what it collects changes",
    "checksum": "a BookChecksum came for a live book",
    "settings": "the plugin is loaded",
    "memory": "a socket is opened",
    "hosts": "a recording is replayed",
    "collector": "a collector is made",
    "venue": "`tickhive demo` and `tickhive init`, and whoever tests",
}

NOTES = {
    "backfill": "Only what lies inside the hole and was not delivered is handed out, marked late. Where the venue's "
    "trade ids are not consecutive, include the trade before the hole: it shows that nothing lies in between. Of "
    "candles only closed ones count; include one from either side of the hole: it shows that the history reaches so "
    "far, and that an interval without a candle had no trades. What is still missing may be asked for again, within "
    "30 s.",
    "authenticate": "The credentials are those of the collector's [account](../howto/accounts.md). A Dial with `login` "
    "fails without them, and is not dialled again.",
    "sign": "`credentials` is None where the collector has no account. Where it has one this is asked for its public "
    "requests, too.",
}


def markdown(docstring: str | None) -> str:
    """A docstring as markdown paragraphs."""
    return inspect.cleandoc(docstring or "").replace("``", "`")


def examples() -> tuple[str, dict[str, str]]:
    """The imports of the examples, and for each hook its function with the classes that stand before it."""
    source = EXAMPLES.read_text(encoding="utf-8")
    lines = source.splitlines()
    imports: list[int] = []
    found: dict[str, str] = {}
    held: list[str] = []
    for node in ast.parse(source).body:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(each.lineno for each in decorators)])
        text = "\n".join(lines[first - 1 : node.end_lineno])
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports += [first - 1, node.end_lineno or first]
        elif isinstance(node, ast.ClassDef):
            held.append(text)
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = "\n\n\n".join([*held, text])
            held.clear()
    return "\n".join(lines[min(imports) : max(imports)]), found


def signature(name: str) -> str:
    """The call of a hook, one argument a line where it is long."""
    function = getattr(hookspecs, name)
    parts = [f"{key}: {value}" for key, value in inspect.get_annotations(function).items() if key != "return"]
    answer = inspect.get_annotations(function)["return"]
    line = f"{name}({', '.join(parts)}) -> {answer}"
    if len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f") -> {answer}"


def hook_sections() -> Iterator[str]:
    """One section per hook, in the order of the specifications."""
    _, example = examples()
    for name in HOOKS:
        required = " (required)" if name in hookspecs.REQUIRED_HOOKS else ""
        note = f"\n{NOTES[name]}\n" if name in NOTES else ""
        yield (
            f"### {name}\n\n```text\n{signature(name)}\n```\n\n{markdown(getattr(hookspecs, name).__doc__)}\n{note}\n"
            f"Asked when: {WHEN[name]}{required}.\n\n```python\n{example[name]}\n```\n"
        )


def values() -> Iterator[str]:
    """One section per value of the contract."""
    for name, value in vars(contract).items():
        if isinstance(value, type) and value.__module__ == contract.__name__ and attrs.has(value):
            fields = [_field(each) for each in attrs.fields(value)]
            call = f"{name}({', '.join(fields)})"
            if len(call) > 100:
                call = f"{name}(\n" + "".join(f"    {each},\n" for each in fields) + ")"
            yield f"### {name}\n\n```text\n{call}\n```\n\n{markdown(value.__doc__)}\n"


def helpers() -> Iterator[str]:
    """One row per module that plugins may share: its first sentence, and the names it defines."""
    for module in HELPERS:
        tree = ast.parse(inspect.getsource(module))
        sentence, _, _ = (ast.get_docstring(tree) or "").partition("\n")
        names = [name for node in tree.body for name in _defined(node) if not name.startswith("_")]
        names = [name for name in names if not isinstance(getattr(module, name), TypeVar)]
        yield f"| `{module.__name__}` | {sentence} | {' '.join(f'`{name}`' for name in names)} |"


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def _field(field: attrs.Attribute[Any]) -> str:
    if field.default is attrs.NOTHING:
        return f"{field.name}: {field.type}"
    default = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type, union-attr]
    return f"{field.name}: {field.type} = {default!r}"


def page() -> str:
    """The whole page."""
    imports, _ = examples()
    rows = [
        f"| [`{name}`](#{name}) | {WHEN[name]} | {'required' if name in hookspecs.REQUIRED_HOOKS else ''} |"
        for name in HOOKS
    ]
    head = HEAD.format(introduction=markdown(hookspecs.__doc__), imports=imports, table="\n".join(rows))
    return "\n".join(
        [
            head,
            "## The hooks\n",
            *hook_sections(),
            "## The values\n",
            "What hooks answer with and are given, importable from `tickhive.plugin`; market events are in "
            "[events](events.md).\n",
            *values(),
            "## Helpers\n",
            "What most plugins need; nobody has to use it. Unlike the rest of this page it follows tickhive's version, "
            "not that of the [plugin API](plugin-api-policy.md).\n",
            "| module | what it does | in it |\n|---|---|---|",
            *helpers(),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page, Path(__file__).name, __doc__))
