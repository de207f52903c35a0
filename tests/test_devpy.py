"""The set-up: pinned, hashed, complete, and clear about what is missing."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock"]


@pytest.fixture(scope="module")
def dev() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text()
    return dict(re.findall(r"(?m)^([A-Za-z0-9._-]+)==(\S+)", text))


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_with_hashes_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    requirements = re.split(r"(?m)^(?=[A-Za-z0-9._-]+==)", text)[1:]
    assert requirements
    assert all("--hash=sha256:" in each for each in requirements)
    assert not re.search(r"https?://|file:|(?m:^-)|index|find-links", text.replace("--hash", ""))


def test_what_runs_is_part_of_what_is_developed_with() -> None:
    run, develop = (pins(name) for name in LOCKS)
    assert run.items() <= develop.items()


def test_the_template_is_installed_for_development_alone(dev: ModuleType) -> None:
    assert set(dev.packages("dev")) - set(dev.packages("run")) == {dev.TEMPLATE}
    assert dev.TEMPLATE in dev.packages()
    assert dev.packages("run")[0] == ROOT / "core"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["acme"], ["acme", ROOT / "plugins" / "acme"]),
        (["acme", "there"], ["acme", Path.cwd() / "there"]),
        (["--help"], ["--help"]),
    ],
)
def test_a_package_is_started_among_the_others(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: list[str | Path]
) -> None:
    called: list[tuple[str | Path, ...]] = []
    monkeypatch.setattr(dev, "set_up", lambda group: None)
    monkeypatch.setattr(dev, "module", lambda *command: called.append(command) or 0)
    assert dev.main(["new", *arguments]) == 0
    assert called == [("tickhive.cli", "new", *expected)]


def test_every_dependency_is_pinned(dev: ModuleType) -> None:
    for group, path in dev.LOCKS.items():
        have = {name.lower().replace("_", "-") for name in pins(path.name)}
        names = {re.split(r"[<>=!~;\[ ]", text)[0].lower().replace("_", "-") for text in dev.requirements()[group]}
        assert names <= have, f"{path.name} lacks {sorted(names - have)}: python3 dev.py lock"


def test_wheels_of_the_other_systems_are_locked_too() -> None:
    # One file per system and Python is not enough for packages that are compiled.
    text = (ROOT / "requirements.lock").read_text()
    compiled = re.split(r"(?m)^(?=[a-z0-9-]+==)", text)
    for name in ("msgspec", "psutil", "pyarrow", "websockets"):
        (requirement,) = [each for each in compiled if each.startswith(f"{name}==")]
        assert requirement.count("--hash") > 5


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_it_lists_its_verbs_from_anywhere(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    for verb in ("demo", "test", "lint", "types", "docs", "bench", "new", "clean", "lock"):
        assert f"\n  {verb} " in done.stdout


def test_an_unknown_verb(tmp_path: Path) -> None:
    done = run("dance", cwd=tmp_path)
    assert done.returncode == 2
    assert "dance" in done.stderr


@pytest.mark.parametrize(("missing", "says"), [("venv", "python3-venv"), ("ensurepip", "python3-venv")])
def test_what_is_missing_is_said_in_one_line(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, missing: str, says: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(dev.Stop, match=says) as caught:
        dev.make_environment()
    assert "\n" not in str(caught.value)


def test_an_old_python_is_named(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "OLDEST_PYTHON", (99, 0))
    with pytest.raises(dev.Stop, match=r"this is \d+\.\d+"):
        dev.main(["demo"])


def test_a_failing_pip_says_what_to_do(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dev, "SCRATCH", tmp_path / "scratch")
    with pytest.raises(dev.Stop, match=r"(?s)pip failed: .*Check the network") as caught:
        dev.pip(
            "install", "--no-index", "--no-deps", "no-such-package-of-ours",
            remedy=dev.REMEDY_FETCH, python=Path(sys.executable),
        )  # fmt: skip
    assert "\n" not in str(caught.value)
    assert "no-such-package-of-ours" in (tmp_path / "scratch" / "pip.log").read_text()


def test_a_change_of_a_lock_or_place_asks_for_a_set_up(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {group: dev.fingerprint(group) for group in dev.LOCKS}
    assert before["run"] != before["dev"]
    monkeypatch.setattr(dev, "LOCKS", {"run": ROOT / "pyproject.toml", "dev": ROOT / "LICENSE"})
    assert all(dev.fingerprint(group) != before[group] for group in before)
