"""Which event loop the command line runs on."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tickhive.cli.loops import run_on
from tickhive.errors import ConfigurationError


async def loop_module() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_the_loop_is_the_one_asked_for() -> None:
    assert run_on("asyncio", loop_module()).startswith("asyncio")
    pytest.importorskip("uvloop", reason="the extra uvloop is not installed (there is none for Windows)")
    assert run_on("uvloop", loop_module()).startswith("uvloop")


def test_a_loop_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tickhive\[uvloop\]'"):
        run_on("uvloop", loop_module())
