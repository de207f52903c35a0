"""``tickhive new``: what it makes installs and passes its tests at once, where nothing of this checkout is."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from click.testing import CliRunner, Result
from installing import BIN, ROOT, attempt, build_wheels, call
from tutorial import PAGES, Reader, programs_of, steps

from tickhive.authoring.naming import Names
from tickhive.authoring.template import template_files
from tickhive.cli.main import cli
from tickhive.errors import ConfigurationError
from tickhive.plugin.registry import default_registry

TEMPLATE = ROOT / "plugins" / "template"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")


def new(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["new", *map(str, arguments)])


def test_it_says_what_to_do_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = new("acme")
    assert done.exit_code == 0
    steps = ["cd tickhive-acme", 'pip install -e ".[test]"', "pytest", "tickhive verify acme"]
    for step in [*steps, "tickhive demo --exchange acme"]:
        assert f"\n  {step}\n" in done.output
    assert (tmp_path / "tickhive-acme" / "pyproject.toml").is_file()
    assert "Note" not in done.output


def test_a_name_that_is_taken_is_mentioned(tmp_path: Path) -> None:
    assert "Note: okx is offered by tickhive-okx 0.1.0 already" in new("okx", tmp_path / "mine").output


@pytest.mark.parametrize(
    ("name", "close"),
    [("My Venue", "my-venue"), ("acme-", "acme"), ("a--b", "a-b"), ("-acme", "acme"), ("acmé", "acm"), ("", None)],
)
def test_a_name_no_package_can_have_is_refused(tmp_path: Path, name: str, close: str | None) -> None:
    with pytest.raises(ConfigurationError, match="lower-case letters and digits") as caught:
        Names(name)
    assert close is None or f"'{close}' would be one" in str(caught.value)
    assert isinstance(new("--", name, tmp_path / "x").exception, ConfigurationError)
    assert not (tmp_path / "x").exists()


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    mine, file, empty = tmp_path / "mine", tmp_path / "file", tmp_path / "empty"
    mine.mkdir()
    (empty / ".git").mkdir(parents=True)
    (mine / "work.py").write_text("x = 1\n")
    file.write_text("")
    refused = new("acme", mine)
    assert "not empty; name another folder" in str(refused.exception)
    assert [path.name for path in mine.iterdir()] == ["work.py"]
    assert new("acme", file).exit_code == 2
    assert new("acme", empty).exit_code == 0


@pytest.mark.parametrize("name", ["acme", "my-venue", "my_venue", "1inch"])
def test_every_trace_of_the_template_is_gone(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "package"
    assert new(name, folder).exit_code == 0
    made = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(made) == len(list(template_files(TEMPLATE)))
    for path in made:
        text = path.read_text(encoding="utf-8")
        assert "template" not in f"{path.relative_to(folder)} {text}".lower(), path
        if path.suffix == ".py":
            compile(text, str(path), "exec", dont_inherit=True)


def test_a_name_that_holds_the_word_is_put_in_once() -> None:
    names = Names("my-template")
    said = "tickhive-template tickhive_template template Template TestTemplate template.example"
    assert names.rename(said) == (
        "tickhive-my-template tickhive_my_template my-template My Template TestMyTemplate my-template.example"
    )


def test_a_name_of_two_words_in_all_its_forms(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    new("my-venue", folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "tickhive-my-venue"
    assert project["entry-points"]["tickhive.exchanges"] == {"my-venue": "tickhive_my_venue.plugin"}
    tests = folder / "tests"
    assert "class TestMyVenue(ExchangeSuite):" in (tests / "test_my_venue_conformance.py").read_text(encoding="utf-8")
    assert "class SimulatedMyVenue(" in (folder / "src/tickhive_my_venue/venue.py").read_text(encoding="utf-8")
    assert "\nMy Venue for [tickhive]" in (folder / "README.md").read_text(encoding="utf-8")
    # Driven without sockets it needs no installation.
    run = "import sys; sys.path.insert(0, sys.argv.pop(1)); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    options = ["-q", "-p", "no:cacheprovider", tests / "test_my_venue_plugin.py"]
    assert " passed" in call(sys.executable, "-B", "-c", run, folder / "src", *options, cwd=folder)


def test_files_that_tools_leave_are_not_the_templates(tmp_path: Path) -> None:
    kept = ["README.md", ".gitignore", "src/a/plugin.py", "tests/frames/x.jsonl"]
    left = [".coverage", "src/a/__pycache__/plugin.pyc", ".hypothesis/x", "dist/a.whl", "a.egg-info/PKG-INFO", "x.pyc"]
    for name in [*kept, *left]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(path.as_posix() for path in template_files(tmp_path)) == sorted(kept)


def test_an_installation_without_the_template_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickhive.authoring.packaging.template_folder", lambda: None)
    assert "reinstall it" in str(new("acme", tmp_path / "x").exception)


def test_a_demo_does_not_take_the_template_where_an_exchange_is_installed() -> None:
    # Development installs both; the order is the alphabet's, and the real ones come before it.
    assert default_registry().available()[0] != "template"


# In a clean environment


@define
class Author:
    """Somebody with an environment of their own: tickhive's wheel, and what ``tickhive new acme`` made, installed."""

    folder: Path
    wheels: dict[str, Path]

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / "venv" / BIN / "python"

    def install(self, *wanted: str | Path) -> None:
        """Have pip install something, from whatever index it is configured for."""
        call(*PIP, "--python", self.python, "install", "--no-compile", *wanted, cwd=self.folder)

    def run(self, *arguments: str, expect: int = 0) -> str:
        """Run ``tickhive``."""
        return call(self.folder / "venv" / BIN / "tickhive", *arguments, cwd=self.folder, expect=expect)

    def exchanges(self) -> dict[str, Any]:
        """What ``tickhive plugins`` knows, by name."""
        return {row["name"]: row for row in json.loads(self.run("plugins", "--json"))["exchanges"]}


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Author:
    faulthandler.cancel_dump_traceback_later()  # downloads take what they take; each command has its own deadline
    folder = tmp_path_factory.mktemp("author")
    tried = attempt(*PIP, "download", "--retries", "1", "--no-deps", "--dest", folder / "tried", "attrs", cwd=folder)
    if tried.returncode:
        pytest.skip(f"pip reaches no package registry: {tried.stderr.strip().splitlines()[-1]}")
    author = Author(folder, build_wheels(folder, ROOT / "core", ROOT / "plugins" / "okx"))
    venv.create(folder / "venv", with_pip=False)
    author.install(author.wheels["tickhive"], "hatchling")
    author.run("new", "acme")
    author.install("--no-build-isolation", f"{folder / 'tickhive-acme'}[test]")
    return author


def test_the_new_package_passes_its_tests_where_nothing_of_this_checkout_is(author: Author) -> None:
    paths = json.loads(call(author.python, "-c", "import json, sys; print(json.dumps(sys.path))", cwd=author.folder))
    assert not any(Path(path).is_relative_to(ROOT) for path in paths)
    said = call(author.python, "-m", "pytest", "-p", "no:cacheprovider", cwd=author.folder / "tickhive-acme")
    assert "tests/test_acme_conformance.py" in said.replace(os.sep, "/")
    assert " passed" in said


def test_it_is_there_by_its_name(author: Author) -> None:
    acme = author.exchanges()["acme"]
    assert (acme["distribution"], acme["version"], acme["status"]) == ("tickhive-acme", "0.1.0", "available")
    report = json.loads(author.run("demo", "--for", "1s", "--json"))
    assert (report["exchange"], report["equal"]) == ("acme", True)
    assert report["collected"].keys() == {"trade", "orderbook"}


def test_it_passes_the_quick_part_of_the_suite(author: Author) -> None:
    assert "0 failed" in author.run("verify", "acme", "--frames", "tickhive-acme/tests/frames")


def test_what_pip_compiles_is_not_copied(author: Author) -> None:
    compiled = "import compileall, tickhive.authoring as a; compileall.compile_dir(a.__path__[0], quiet=1)"
    call(author.python, "-c", compiled, cwd=author.folder)
    author.run("new", "other")
    made = [path for path in (author.folder / "tickhive-other").rglob("*") if path.is_file()]
    assert len(made) == len(list(template_files(TEMPLATE)))


def test_removing_a_wheel_removes_its_exchange_and_nothing_else(author: Author) -> None:
    before = author.exchanges()
    assert before.keys() == {"acme"}
    author.install("--no-deps", author.wheels["tickhive_okx"])
    assert author.exchanges().keys() == {"acme", "okx"}
    call(*PIP, "--python", author.python, "uninstall", "--yes", "tickhive-okx", cwd=author.folder)
    assert author.exchanges() == before


def test_the_tutorials_package_works_in_a_clean_environment(author: Author, read_page: Any) -> None:
    # `test_docs_tutorial.py` types every command but those for a clean environment; those are typed here.
    programs = {f"../clean/bin/{name}": program for name, program in programs_of(author.folder / "venv").items()}
    author.run("new", "gate")
    reader = Reader(author.folder / "tickhive-gate", {**programs, "python": lambda arguments, folder: (0, "")})
    for step in (step for page in PAGES for step in steps(read_page(page))):
        if step.kind != "type":
            reader.follow(step)
        elif "../clean" in step.text:
            call(author.python, "-m", "hatchling", "build", cwd=reader.folder)
            reader.follow(step)
    call(*PIP, "--python", author.python, "uninstall", "--yes", "tickhive-gate", cwd=author.folder)
    assert "gate" not in author.exchanges()
