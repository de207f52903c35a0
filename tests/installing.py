"""Programs and wheels as a user has them: run without this checkout's environment, built from its packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
BIN = "Scripts" if os.name == "nt" else "bin"
OURS = ("PYTHON", "PYTEST", "TICKHIVE", "COV")
"""Variables of the environment that would bring something of this checkout along."""
UNATTENDED = {"CI", "BUILD_NUMBER"}
"""Variables that say nobody is looking: pytest then prints longer lines than its users see at a terminal."""


def attempt(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program, however it ends."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(OURS) and key not in UNATTENDED}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=clean, timeout=120)


def call(*command: str | Path, cwd: Path, expect: int = 0) -> str:
    """Run a program that must end with this code; answers what it printed."""
    done = attempt(*command, cwd=cwd)
    assert done.returncode == expect, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build_wheels(folder: Path, *projects: Path) -> dict[str, Path]:
    """Build the wheels of these projects; answers them by their import names."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--wheel-dir", folder]
    call(sys.executable, "-m", "pip", "wheel", *options, *projects, cwd=folder)
    return {path.name.split("-")[0]: path for path in folder.glob("*.whl")}
