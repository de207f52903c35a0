"""Installed packages for the tests: real modules and real dist-info folders on sys.path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

WORKING = """
from tickhive.plugin import Dial, hookimpl

@hookimpl
def connect(channels):
    return [Dial("main", ["ws://127.0.0.1:1"], channels)]

@hookimpl
def parse(frame):
    return []
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write a package as an installer would: ``install("acme", source)`` brings the distribution tickhive-acme."""
    before = set(sys.modules)
    monkeypatch.delenv("TICKHIVE_BLOCK_PLUGINS", raising=False)

    def write(
        exchange: str,
        source: str = WORKING,
        *,
        distribution: str = "",
        version: str = "1.0",
        target: str = "",
        site: str = "site",
        entry_points: str | None = None,
        metadata: str | None = None,
    ) -> Path:
        distribution = distribution or f"tickhive-{exchange}"
        folder = tmp_path / site
        module = distribution.replace("-", "_")
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(dedent(source), encoding="utf-8")
        if metadata is None:
            metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        if entry_points is None:
            entry_points = f"[tickhive.exchanges]\n{exchange} = {target or module}\n"
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
        monkeypatch.syspath_prepend(str(folder))
        return folder

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
