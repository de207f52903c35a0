"""Follow a tutorial as its reader does: write its files, make its edits, type its commands, compare what they print.

What a fenced block is, its language and the sentence above it say. A sentence that ends in ```path`:`` names the file
that the block is: the whole of it, or a further part where it says ``at the end of``. A ``diff`` changes the file
named: each part of it, between lines ``@@``, must be there exactly once. A ``console`` block is typed: after ``$`` a
command, below it what it prints, where ``...`` stands for anything, in a line or for lines. It has to fail when its
block shows that something failed. Every other block is only shown.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import Factory, define
from installing import BIN, ROOT, attempt

PAGES = sorted((ROOT / "docs" / "tutorial").glob("[0-9]*.md"))
"""The tutorial, in the order of its reading."""

FILES = {"python", "jsonl", "toml", "markdown"}
_NAMED = re.compile(r"(at the end of\s+)?`([\w./-]+)`:$", re.IGNORECASE)
_FAILS = re.compile(r"\b[1-9]\d* (failed|error)")
PIP = ("--disable-pip-version-check", "--no-input")

Program = Callable[[Sequence[str], Path], tuple[int, str]]
"""Runs a command in a folder; answers how it ended, and what it printed."""


@define
class Step:
    """One thing to do, and where the page says so: a file to write, to continue or to change, or commands to type."""

    where: str
    kind: str
    path: str
    text: str

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """The commands of a console block, each with the lines that it should print."""
        command, shown = "", list[str]()
        for line in self.text.splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, shown
                command, shown = line[2:], []
            else:
                shown.append(line.rstrip())
        yield command, shown


def steps(page: Any) -> Iterator[Step]:
    """What a page (of ``read_page``) asks its reader to do."""
    lines = page.text.splitlines()
    for block in page.blocks:
        above = "\n".join(lines[: block.line - 2]).rstrip()
        named, where = _NAMED.search(above), f"{page.path.name}:{block.line}"
        if block.language == "console":
            yield Step(where, "type", "", block.text)
        elif named is not None and block.language == "diff":
            yield Step(where, "change", named[2], block.text)
        elif named is not None and block.language in FILES:
            yield Step(where, "continue" if named[1] else "write", named[2], block.text)
        else:
            assert block.language not in {"diff", *FILES}, f"{where}: the sentence above names no file"


@define
class Reader:
    """Somebody who follows the pages: ``folder`` is where the shell stands, ``programs`` are those it finds by name.

    Commands whose text has ``elsewhere`` in it are left to another reader. ``finished`` are the pages done.
    """

    folder: Path
    programs: dict[str, Program]
    elsewhere: str = "\0"
    finished: list[Path] = Factory(list)

    def follow(self, step: Step) -> None:
        """Do what a step asks for; AssertionError says what was otherwise than the page shows."""
        path = self.folder / step.path
        match step.kind:
            case "write":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step.text, encoding="utf-8")
            case "continue":
                assert path.is_file(), f"{step.where}: there is no {step.path}"
                path.write_text(f"{path.read_text(encoding='utf-8').rstrip()}\n\n\n{step.text}", encoding="utf-8")
            case "change":
                path.write_text(changed(path.read_text(encoding="utf-8"), step), encoding="utf-8")
            case "type":
                for command, shown in step.commands():
                    if self.elsewhere not in command:
                        self._type(step, command, shown)

    def _type(self, step: Step, command: str, shown: Sequence[str]) -> None:
        name, *arguments = shlex.split(command.partition("  #")[0])
        match name:
            case "cd":
                self.folder = (self.folder / arguments[0]).resolve()
                return
            case "rm":
                for argument in arguments:
                    (self.folder / argument).unlink()
                return
        assert name in self.programs, f"{step.where}: no program {name}"
        code, printed = self.programs[name](arguments, self.folder)
        fails = any(_FAILS.search(line) for line in shown)
        assert (code != 0) == fails, f"{step.where}: {command} ended with {code}:\n{printed}"
        if shown:
            assert resembles(printed, shown), f"{step.where}: {command} printed\n{printed}\nand the page shows\n" + (
                "\n".join(shown)
            )


def changed(text: str, step: Step) -> str:
    """The text with the parts of a diff in place of those they replace."""
    for part in re.split(r"^@@.*\n", step.text, flags=re.MULTILINE):
        lines = part.splitlines()
        if not lines:
            continue
        before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
        after = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
        assert text.count(before) == 1, f"{step.where}: {step.path} has {text.count(before)} times\n{before}"
        text = text.replace(before, after)
    return text


def resembles(printed: str, shown: Sequence[str]) -> bool:
    """Whether this was printed: ``...`` alone stands for any lines, within a line for any text."""
    pattern = ""
    for line in shown:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*".join(map(re.escape, line.split("..."))) + r"[ ]*\n"
    text = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, text) is not None


def programs_of(environment: Path, *pip_options: str) -> dict[str, Program]:
    """What is found in a virtual environment, whose pip is this interpreter's."""
    python = environment / BIN / "python"

    def run(*command: str | Path) -> Program:
        def program(arguments: Sequence[str], folder: Path) -> tuple[int, str]:
            done = attempt(*command, *arguments, cwd=folder)
            return done.returncode, done.stdout + done.stderr

        return program

    def pip(arguments: Sequence[str], folder: Path) -> tuple[int, str]:
        options = pip_options if "install" in arguments else ()
        command = (sys.executable, "-m", "pip", *PIP, "--python", python, *arguments, *options)
        return run(*command)((), folder)

    return {
        "python": run(python),
        "pip": pip,
        "pytest": run(python, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"),
        "tickhive": run(python, "-m", "tickhive.cli"),
    }
