"""The tutorial is followed from an empty folder to the built package: every file, edit and command, and its output."""

from __future__ import annotations

import faulthandler
import itertools
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest
from tutorial import PAGES, Reader, Step, changed, programs_of, resembles, steps


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Who begins in an empty folder, with an environment of their own that has what is installed here."""
    folder = tmp_path_factory.mktemp("reader")
    environment, empty = folder / "venv", folder / "work"
    empty.mkdir()
    venv.create(environment, with_pip=False)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)}))
    lines = [f"import site; site.addsitedir({sysconfig.get_path(each)!r})" for each in ("purelib", "platlib")]
    (site / "borrowed.pth").write_text("\n".join(dict.fromkeys(lines)) + "\n", encoding="utf-8")
    # What the last page does in a clean environment, `test_new_plugin.py` does: it has one.
    return Reader(empty, programs_of(environment, "--no-index", "--no-build-isolation"), elsewhere="../clean")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_step_does_what_the_page_says(
    page: Path, reader: Reader, read_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulthandler.cancel_dump_traceback_later()  # each command has a deadline of its own
    earlier = [path for path in PAGES if path < page and path not in reader.finished]
    assert not earlier, f"{earlier[0].name} was not followed to its end"
    monkeypatch.setenv("COLUMNS", "96")
    for step in steps(read_page(page)):
        reader.follow(step)
    reader.finished.append(page)
    if page == PAGES[-1]:
        assert [path.suffix for path in sorted((reader.folder / "dist").iterdir())] == [".whl", ".gz"]


def test_pages_follow_on_each_other(read_page: Any) -> None:
    for page, following in itertools.pairwise(PAGES):
        assert f"]({following.name})" in " ".join(page.read_text("utf-8").splitlines()[-2:]), page.name
    assert [step.kind for step in steps(read_page(PAGES[0]))] == ["type", "type", "write"]


# The one who follows it sees what is wrong


def follow(folder: Path, kind: str, text: str, path: str = "a.py") -> None:
    programs = {"say": lambda arguments, _: (int(arguments[0]), "".join(f"{each}\n" for each in arguments[1:]))}
    Reader(folder, programs, elsewhere="not here").follow(Step("page.md:1", kind, path, text))


def test_an_edit_changes_what_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a = 1\nb = 1\nc = 1\n")
    follow(tmp_path, "change", " a = 1\n-b = 1\n+b = 2\n@@\n+# more\n c = 1\n")
    assert (tmp_path / "a.py").read_text() == "a = 1\nb = 2\n# more\nc = 1\n"
    for missing in ("-d = 1\n+d = 2\n", " a = 1\n-c = 1\n"):
        with pytest.raises(AssertionError, match=r"page.md:1: a.py has 0 times"):
            follow(tmp_path, "change", missing)
    with pytest.raises(AssertionError, match="2 times"):
        changed("x\nx\n", Step("", "change", "", "-x\n"))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("$ say 0 yes\nyes\n", ""),
        ("$ say 0 yes  # a remark\n", ""),
        ("$ say 1 '1 failed'\n1 failed\n", ""),
        ("$ say 9 not here\n", ""),
        ("$ say 0 yes\nno\n", "printed\nyes"),
        ("$ say 0 one two\none\n", "printed\none"),
        ("$ say 1 yes\n", "ended with 1"),
        ("$ say 0 '1 failed'\n1 failed\n", "ended with 0"),
        ("$ sing\n", "no program sing"),
        ("$ say 0 yes\nyes\n$ say 0 yes\nno\n", "printed"),
    ],
)
def test_what_a_command_prints_is_compared(tmp_path: Path, text: str, wrong: str) -> None:
    if not wrong:
        follow(tmp_path, "type", text)
        return
    with pytest.raises(AssertionError, match=wrong):
        follow(tmp_path, "type", text)


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        (["a 1 b", "c"], True),
        (["a ... b", "c"], True),
        (["...", "c"], True),
        (["a 1 b", "c", "..."], True),
        (["a 1 b"], False),
        (["c"], False),
        (["a ... c"], False),
        (["...", "d"], False),
    ],
)
def test_dots_stand_for_anything(shown: list[str], same: bool) -> None:
    assert resembles("a 1 b  \nc\n", shown) is same


def test_a_file_block_without_a_name_is_refused(tmp_path: Path, read_page: Any) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nLook:\n\n```python\nx = 1\n```\n")
    with pytest.raises(AssertionError, match=r"page.md:6: the sentence above names no file"):
        list(steps(read_page(page)))
