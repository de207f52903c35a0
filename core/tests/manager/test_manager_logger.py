"""What the manager says: at its level, redacted, whatever it is given."""

from __future__ import annotations

from typing import Any

import pytest

from tickhive.manager import ManagerLogger
from tickhive.testing import capture_logs

LEVELS = ["debug", "info", "warning", "error", "critical"]


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


ODD: list[Any] = [None, 7, b"bytes", ("a", 1), {"k": "v"}, Broken(), ValueError("v"), "", "x" * 10_000, "%s {} \x00"]


EXC_INFO: list[Any] = [True, False, None, "yes", 3, (), (1, 2, 3), ValueError("given"), object()]


@pytest.mark.parametrize("level", LEVELS)
def test_every_method_logs_once_at_its_own_level(level):
    with capture_logs() as lines:
        for message in ODD:
            for exc_info in EXC_INFO:
                getattr(ManagerLogger(), f"_log_{level}")(message, exc_info)
    assert len(lines) == len(ODD) * len(EXC_INFO)
    assert {line["log_level"] for line in lines} == {level}
    assert all(isinstance(line["event"], str) and len(line["event"]) <= 500 for line in lines)


@pytest.mark.parametrize("level", LEVELS)
def test_errors_show_the_exception_by_default_and_the_others_do_not(level):
    with capture_logs() as lines:
        try:
            raise RuntimeError("call failed: api_key=abcdef0123456789")
        except RuntimeError:
            getattr(ManagerLogger(), f"_log_{level}")("it failed with secret=abcdef0123456789")
    (line,) = lines
    assert ("error" in line) is (level in ("error", "critical"))
    assert "abcdef0123456789" not in str(line)
    if "error" in line:
        assert line["error"].startswith("RuntimeError: call failed")
        assert "test_manager_logger.py" in line["traceback"]


def test_a_handler_that_raises_harms_nobody():
    class Full:
        def info(self, *_: Any, **__: Any) -> None:
            raise OSError("disk full")

    ManagerLogger(Full())._log_info("hello")
