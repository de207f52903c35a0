"""The wheels: complete, and usable where nothing of this checkout is installed."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installing import BIN, PROJECTS, ROOT, build_wheels, call

from tickhive.authoring.template import template_files

TEMPLATE = ROOT / "plugins" / "template"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every distribution's wheel, by its import name."""
    return build_wheels(tmp_path_factory.mktemp("wheels"), *PROJECTS)


@pytest.fixture(scope="module")
def third_parties(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed here, without what this checkout put there: the dependencies a user's pip would fetch."""
    folder = tmp_path_factory.mktemp("third-parties")
    for source in map(Path, {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        for entry in source.iterdir():
            if entry.name.startswith(("tickhive", "_editable", "__editable")) or entry.suffix == ".pth":
                continue
            if os.name != "nt":
                (folder / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
            elif entry.is_dir():
                shutil.copytree(entry, folder / entry.name)
            else:
                shutil.copy(entry, folder / entry.name)
    return folder


class Place:
    """A virtual environment that holds the given wheels and their dependencies, and nothing else."""

    def __init__(self, folder: Path, third_parties: Path, *installed: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=False)
        self.python = folder / BIN / "python"
        packages = Path(call(self.python, "-c", "import site; print(site.getsitepackages()[-1])", cwd=folder).strip())
        (packages / "third-parties.pth").write_text(f"{third_parties}\n")
        options = ["--no-deps", "--no-index", "--disable-pip-version-check", "--no-compile"]
        # --ignore-installed: pip would otherwise look at the dependencies' own folder too.
        call(self.python, "-m", "pip", "install", "--ignore-installed", *options, *installed, cwd=folder)

    def run(self, *arguments: str, expect: int = 0) -> str:
        return call(self.folder / BIN / "tickhive", *arguments, cwd=self.folder, expect=expect)

    def python_says(self, source: str) -> str:
        return call(self.python, "-c", source, cwd=self.folder).strip()


@pytest.fixture(scope="module")
def core_alone(
    tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path], third_parties: Path
) -> Iterator[Place]:
    return Place(tmp_path_factory.mktemp("core-alone"), third_parties, wheels["tickhive"])


@pytest.fixture(scope="module")
def core_and_okx(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path], third_parties: Path) -> Place:
    return Place(tmp_path_factory.mktemp("core-okx"), third_parties, wheels["tickhive"], wheels["tickhive_okx"])


def test_every_project_makes_a_wheel(wheels: dict[str, Path]) -> None:
    assert len(wheels) == len(PROJECTS)


def test_wheels_are_complete_and_hold_nothing_else(wheels: dict[str, Path]) -> None:
    for name, path in wheels.items():
        with zipfile.ZipFile(path) as wheel:
            names = wheel.namelist()
            metadata = wheel.read(next(each for each in names if each.endswith("dist-info/METADATA"))).decode()
        assert f"{name}/py.typed" in names
        assert any(each.endswith("dist-info/licenses/LICENSE") for each in names), f"{path.name} has no LICENSE"
        assert {each.split("/")[0] for each in names} == {
            name,
            path.name.removesuffix("-py3-none-any.whl") + ".dist-info",
        }
        assert "Requires-Python: >=3.11" in metadata
        assert "License-Expression: MIT" in metadata
        assert str(ROOT) not in metadata


def test_the_core_carries_the_template_and_nothing_tools_left_there(wheels: dict[str, Path]) -> None:
    assert carried(wheels["tickhive"]) == sorted(path.as_posix() for path in template_files(TEMPLATE))
    assert not any("cache" in name or name.endswith(".pyc") for name in carried(wheels["tickhive"]))


def test_a_wheel_made_from_the_sdist_is_the_same(wheels: dict[str, Path], tmp_path: Path) -> None:
    hatch = [sys.executable, "-m", "hatchling", "build", "--directory", tmp_path, "--target"]
    call(*hatch, "sdist", cwd=ROOT / "core")
    (sdist,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path, filter="data")
    call(*hatch, "wheel", cwd=tmp_path / sdist.name.removesuffix(".tar.gz"))
    (again,) = tmp_path.glob("*.whl")
    assert contents(again) == contents(wheels["tickhive"])


def carried(wheel: Path) -> list[str]:
    """The template's files in a wheel of the core."""
    inside = "tickhive/authoring/template/"
    return sorted(name.removeprefix(inside) for name in contents(wheel) if name.startswith(inside))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as files:
        return {name: files.read(name) for name in files.namelist() if not name.endswith(("/RECORD", "/METADATA"))}


def test_the_same_licence_everywhere() -> None:
    texts = {(project / "LICENSE").read_text() for project in PROJECTS} | {(ROOT / "LICENSE").read_text()}
    assert len(texts) == 1


def plugins(place: Place) -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(place.run("plugins", "--json"))
    return listed


def test_the_core_alone(core_alone: Place) -> None:
    assert core_alone.run("--version").startswith("tickhive ")
    assert plugins(core_alone) == {"exchanges": [], "sinks": []}
    where = core_alone.python_says("import tickhive; print(tickhive.__file__)")
    assert Path(where).is_relative_to(core_alone.folder)


def test_the_core_alone_names_what_to_install(core_alone: Place) -> None:
    done = subprocess.run(
        [core_alone.folder / BIN / "tickhive", "run", "acme", "BTC-USDT", "--for", "1s"],
        capture_output=True, text=True, check=False, cwd=core_alone.folder, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Exchange not supported: 'acme'" in done.stderr
    assert "pip install tickhive-acme" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_exchange_beside_the_core(core_and_okx: Place) -> None:
    (okx,) = plugins(core_and_okx)["exchanges"]
    assert (okx["name"], okx["distribution"], okx["status"]) == ("okx", "tickhive-okx", "available")
    core_and_okx.run("init", "mine.toml")
    assert "okx" in core_and_okx.run("check", "--config", "mine.toml")


def test_nothing_of_this_checkout_leaks_in(core_alone: Place) -> None:
    path = json.loads(core_alone.python_says("import json, sys; print(json.dumps(sys.path))"))
    assert not any(Path(each).is_relative_to(ROOT / "core") for each in path)
    assert not set(site.getsitepackages()) & set(path)
