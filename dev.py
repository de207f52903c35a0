"""Every chore of this repository, with nothing but Python: ``python3 dev.py demo`` and ``python3 dev.py test``.

Each verb first sees to its own set-up: a virtual environment in ``.venv`` beside this file, the packages pinned with
hashes in ``requirements.lock`` (what running needs) or ``requirements-dev.lock`` (that and the tools), and the
packages of this repository in editable form. A stamp in the environment remembers what was installed, so that a
repeat starts at once.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SCRATCH = ROOT / ".dev"
LOCKS = {"run": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
TEMPLATE = ROOT / "plugins" / "template"
"""What exchange packages begin as. Nobody collects from it: only the group ``dev`` installs it."""
OLDEST_PYTHON = (3, 11)
CACHES = (".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".coverage")


class Stop(Exception):
    """A chore cannot go on; the message is one line that says what to do."""


# The environment.


def packages(group: str = "dev") -> list[Path]:
    """The folders of the packages of this repository that a group installs, the core first."""
    plugins = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
    return [ROOT / "core", *(path for path in plugins if group == "dev" or path != TEMPLATE)]


def fingerprint(group: str) -> str:
    """What the environment must have been made from. Moving the checkout changes it: editable installs name paths."""
    digest = hashlib.sha256(f"{ROOT}\n{group}\n".encode())
    for path in [LOCKS[group], *(package / "pyproject.toml" for package in packages(group))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stamp(group: str) -> Path:
    """Where the environment keeps the fingerprint of a group."""
    return VENV / f"tickhive-{group}.stamp"


def is_set_up(group: str) -> bool:
    """Tell whether the environment holds what this group needs; the group ``dev`` holds what ``run`` needs."""
    if not PYTHON.exists():
        return False
    return any(stamp(name).is_file() and stamp(name).read_text() == fingerprint(name) for name in {group, "dev"})


def set_up(group: str) -> None:
    """Make the environment hold this group's packages; does nothing when it already does."""
    if is_set_up(group):
        return
    began = time.monotonic()
    for name in LOCKS:
        stamp(name).unlink(missing_ok=True)
    if not runs(PYTHON):
        say("Set-up: making .venv")
        make_environment()
    count = sum(1 for line in LOCKS[group].read_text().splitlines() if "==" in line)
    say(f"Set-up: installing {count} pinned packages")
    pip("install", "--require-hashes", "-r", LOCKS[group], remedy=REMEDY_FETCH)
    say("Set-up: installing the packages of this repository")
    editable = [argument for package in packages(group) for argument in ("-e", str(package))]
    pip("install", "--no-deps", "--no-build-isolation", *editable, remedy="Mend the package it names.")
    stamp(group).write_text(fingerprint(group))
    say(f"Set-up: done in {time.monotonic() - began:.0f} s; it is kept for the next time")


REMEDY_FETCH = (
    "Check the network; behind a mirror, set PIP_INDEX_URL (or pip's configuration) to it; then run this again."
)


def runs(python: Path) -> bool:
    """Tell whether an environment's interpreter still starts, and with a pip: the one it was made from may be gone."""
    if not python.exists():
        return False
    return subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0


def make_environment() -> None:
    """Make ``.venv`` afresh."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise Stop(NO_VENV)
    if VENV.exists():
        shutil.rmtree(VENV)
    made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        if "ensurepip" in made.stdout + made.stderr:
            raise Stop(NO_VENV)
        raise Stop(f"Python could not make {VENV}: {last_line(made.stderr or made.stdout)}")


NO_VENV = (
    "This Python cannot make virtual environments: install its venv package "
    "(Debian, Ubuntu: sudo apt install python3-venv), then run this again."
)


def pip(*arguments: str | Path, remedy: str, python: Path = PYTHON) -> None:
    """Run pip in an environment; its output is shown only when it fails."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    quick = {"PIP_RETRIES": "2", "PIP_PROGRESS_BAR": "off", "PIP_NO_COMPILE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quick | os.environ, cwd=ROOT)
    if done.returncode == 0:
        return
    SCRATCH.mkdir(exist_ok=True)
    log = SCRATCH / "pip.log"
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
    raise Stop(f"pip failed: {last_line(errors[0] if errors else '')} {remedy} (All it said: {log})")


def last_line(text: str) -> str:
    """The last line of a text that is not blank."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def say(text: str) -> None:
    """Tell the user how far it is, beside the output of the chore itself."""
    print(text, file=sys.stderr, flush=True)


def run(*command: str | Path) -> int:
    """Run a program of the environment in the checkout and answer its exit code. Ctrl-C is the program's to handle."""
    # pip was told not to compile, so the first run does, and keeps it.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    with subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the terminal sent it to the program too: wait for its orderly end
                continue


def module(name: str, *arguments: str | Path) -> int:
    """Run a module with the environment's Python."""
    return run(PYTHON, "-m", name, *arguments)


def peer_environment() -> Path:
    """The interpreter of the benchmarks' peer, in an environment of its own: its needs must not bend ours."""
    lock_file = ROOT / "benchmarks" / "peer.lock"
    python = SCRATCH / "peer" / PYTHON.relative_to(VENV)
    made_from = SCRATCH / "peer" / "tickhive-peer.stamp"
    wanted = hashlib.sha256(lock_file.read_bytes()).hexdigest()
    if not made_from.is_file() or made_from.read_text() != wanted:
        say("Set-up: installing the peer the benchmarks compare with")
        subprocess.run([sys.executable, "-m", "venv", "--clear", python.parent.parent], check=True)
        pip("install", "--require-hashes", "-r", lock_file, remedy=REMEDY_FETCH, python=python)
        made_from.write_text(wanted)
    return python


# The verbs.


def demo(arguments: Sequence[str]) -> int:
    """Collect from a simulated exchange for ten seconds, store it, and show what came of it."""
    set_up("run")
    return module("tickhive.cli", "demo", *arguments)


def test(arguments: Sequence[str]) -> int:
    """Run everything the continuous integration runs; with arguments: pytest alone, with these."""
    set_up("dev")
    if arguments:
        return module("pytest", *arguments)
    failed = [name for name, chore in (("lint", lint), ("types", types)) if chore(()) != 0]
    code = module("pytest", "-q", "-n", "2", "--dist", "loadfile")
    if failed:
        say(f"FAILED before the tests: {', '.join(failed)} (python3 dev.py {failed[0]} shows it alone)")
    return code or (1 if failed else 0)


def lint(arguments: Sequence[str]) -> int:
    """Check style and format with ruff; ``--fix`` mends what it can."""
    set_up("dev")
    fix = "--fix" in arguments
    checked = module("ruff", "check", *(["--fix"] if fix else []), ".")
    formatted = module("ruff", "format", *([] if fix else ["--check"]), ".")
    return checked or formatted


def types(arguments: Sequence[str]) -> int:
    """Check types with mypy, strictly."""
    set_up("dev")
    everything: list[str | Path] = [*(package / "src" for package in packages()), ROOT / "dev.py"]
    return module("mypy", *(arguments or everything))


def docs(arguments: Sequence[str]) -> int:
    """Run the examples in the README, the documentation and the docstrings."""
    set_up("dev")
    tests = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").glob("test_doc*.py"))
    return module("pytest", "-q", *tests, *arguments)


def bench(arguments: Sequence[str]) -> int:
    """Measure socket to callback beside its peers, in one run, as tables; ``--quick`` for a first look."""
    set_up("dev")
    return run(PYTHON, ROOT / "benchmarks" / "run.py", "--peer-python", peer_environment(), *arguments)


def new(arguments: Sequence[str]) -> int:
    """Start an exchange package from the template: ``new NAME`` in plugins/NAME, ``new NAME DIR`` in DIR."""
    set_up("run")
    match arguments:
        case [name] if not name.startswith("-"):
            return module("tickhive.cli", "new", name, ROOT / "plugins" / name)
        case [name, folder]:
            return module("tickhive.cli", "new", name, Path(folder).resolve())
    return module("tickhive.cli", "new", *arguments)


def clean(arguments: Sequence[str]) -> int:
    """Remove what the chores made: the environment, caches and builds. Collected data stays."""
    doomed: list[Path] = [VENV, SCRATCH, *(ROOT / name for name in CACHES)]
    for package in packages():
        doomed += [package / "dist", package / "build", *package.rglob("__pycache__"), *package.rglob(".hypothesis")]
    doomed += (ROOT / "tests").rglob("__pycache__")
    for path in doomed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return 0


def lock(arguments: Sequence[str]) -> int:
    """Write both lock files from the pyproject files; ``--upgrade`` takes the newest versions."""
    wanted = requirements()
    with tempfile.TemporaryDirectory(prefix="tickhive-lock-") as folder:
        python = Path(folder) / "venv" / PYTHON.relative_to(VENV)
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        pip("install", "pip-tools", remedy=REMEDY_FETCH, python=python)
        pinned: list[str] = []
        for group in ("dev", "run"):
            source = Path(folder) / f"{group}.in"
            source.write_text("\n".join([*wanted[group], *pinned]) + "\n")
            options = ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
            options += ["--no-annotate", "--no-header", "--strip-extras", "--allow-unsafe", "--quiet", *arguments]
            command = [
                str(python),
                "-m",
                "piptools",
                "compile",
                *options,
                "--output-file",
                str(LOCKS[group]),
                str(source),
            ]
            if subprocess.run(command, check=False, cwd=ROOT).returncode != 0:
                raise Stop(f"The lock of {group!r} could not be resolved; what stands above says why.")
            text = LOCKS[group].read_text()
            LOCKS[group].write_text(f"# Written by: python3 dev.py lock\n{text.lstrip()}")
            pinned = [f"-c {LOCKS[group]}"]
    return 0


def requirements() -> dict[str, list[str]]:
    """What the two groups ask for, from the pyproject files. The repository's own packages are left out."""
    import tomllib

    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    needed: set[str] = set(tools["build"])
    extras: set[str] = set()
    for package in packages():
        project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        needed.update(project["dependencies"])
        for extra in project.get("optional-dependencies", {}).values():
            extras.update(extra)
    run_group = sorted(name for name in needed if not name.startswith("tickhive"))
    dev_group = sorted({*run_group, *tools["dev"], *(name for name in extras if not name.startswith("tickhive"))})
    return {"run": run_group, "dev": dev_group}


VERBS = {verb.__name__: verb for verb in (demo, test, lint, types, docs, bench, new, clean, lock)}


def main(arguments: Iterable[str]) -> int:
    """Run one verb; what follows it is the verb's own."""
    if sys.version_info < OLDEST_PYTHON:
        have = ".".join(map(str, sys.version_info[:3]))
        raise Stop(f"tickhive needs Python 3.11 or newer, this is {have}: install one and run it with that.")
    listed = "\n".join(f"  {name:<8}{(verb.__doc__ or '').splitlines()[0]}" for name, verb in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Every chore of this repository. What follows the verb is the verb's own.",
        epilog=f"verbs:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=VERBS, metavar="verb")
    first, rest = (list(arguments) or ["--help"])[:1], list(arguments)[1:]
    return VERBS[parser.parse_args(first).verb](rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as reason:
        say(f"dev.py: {reason}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
