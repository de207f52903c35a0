"""The watchdog and the process around it: stopped, forked, done with its loop, or with a log that breaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tickhive.collector import watchdog
from tickhive.collector.watchdog import LoopWatch, Watchdog

BEGIN = """
import asyncio, logging, os, signal, sys, threading, time
import tickhive.collector.watchdog as w
from tickhive.collector.overrun import Held
from tickhive.collector.watchdog import WATCHDOG
from tickhive.session.faults import HookEnded

w._FAREWELL_SECONDS = 0.2


def spin():
    while True:
        pass


def ended():
    held = Held("the test", 0.2, HookEnded, "tickhive.collector.overrun", frozenset(("__main__",)))
    return WATCHDOG.bounded(held, spin)[1] is not None
"""

STOPPED = """
async def main():
    WATCHDOG.exit_seconds = 1.0
    WATCHDOG.join()
    print("runs", flush=True)
    for _ in range(20):
        await asyncio.sleep(0.1)
    print("ran on", flush=True)

asyncio.run(main())
"""

DONE = """
async def main():
    WATCHDOG.exit_seconds = 0.3
    WATCHDOG.join()
    await asyncio.sleep(0.05)

asyncio.run(main())
time.sleep(2)
print("lives on", [thread.name for thread in threading.enumerate()])
"""

FORKED = """
async def main():
    WATCHDOG.exit_seconds = 5.0
    WATCHDOG.join()
    await asyncio.sleep(0.05)
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        good = ended()
        w._exit_later(60)
        sys.exit(7 if good else 1)
    while (done := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        await asyncio.sleep(0.02)
    print("child", os.waitstatus_to_exitcode(done[1]), "parent", ended())

asyncio.run(main())
"""

BROKEN_LOG = """
class Broken(logging.Filter):
    def filter(self, record):
        raise RuntimeError("this filter is broken")

for name in ("tickhive", "tickhive.watchdog"):
    logging.getLogger(name).addFilter(Broken())

async def main():
    WATCHDOG.stalled_seconds = 0.2
    WATCHDOG.join()
    await asyncio.sleep(0.05)
    time.sleep(1.5)
    print("ended", ended())
    WATCHDOG.exit_seconds = 0.5
    time.sleep(30)

asyncio.run(main())
"""


def begin(tmp_path: Path, text: str) -> subprocess.Popen[str]:
    (tmp_path / "process.py").write_text(BEGIN + text, encoding="utf-8")
    script = [sys.executable, "process.py"]
    return subprocess.Popen(script, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be stopped and continued here")
def test_a_process_that_was_stopped_goes_on(tmp_path: Path) -> None:
    process = begin(tmp_path, STOPPED)
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(1.6)  # longer than its limit, shorter than what the timer in C leaves it
    os.kill(process.pid, signal.SIGCONT)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "ran on\n"), error


def test_an_application_that_lives_on_after_its_loop_is_left_alone(tmp_path: Path) -> None:
    out, error = (process := begin(tmp_path, DONE)).communicate(timeout=30)
    assert (process.returncode, out) == (0, "lives on ['MainThread']\n"), error


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_a_watchdog_of_its_own(tmp_path: Path) -> None:
    out, error = (process := begin(tmp_path, FORKED)).communicate(timeout=30)
    assert (process.returncode, out) == (0, "child 7 parent True\n"), error


def test_a_log_that_breaks_ends_neither_the_watch_nor_the_end_of_the_process(tmp_path: Path) -> None:
    out, error = (process := begin(tmp_path, BROKEN_LOG)).communicate(timeout=30)
    assert (process.returncode, out) == (70, "ended True\n"), error
    assert error.count("RuntimeError: this filter is broken") == 1
    assert "tickhive watchdog" in error


async def test_the_limit_holds_for_loops_that_are_watched_already(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[str] = []
    monkeypatch.setattr(watchdog, "_exit_later", lambda seconds: timers.append(f"{seconds:.1f}"))
    monkeypatch.setattr("faulthandler.cancel_dump_traceback_later", lambda: timers.append("none"))
    own = Watchdog()
    watch = own.join()
    watch.beat()
    assert timers == []
    own.exit_seconds = 3.0
    watch.beat()
    assert timers == ["8.5"]
    own.exit_seconds = None
    watch.beat()
    own.leave(watch)
    assert timers == ["8.5", "none"]


def test_what_passes_between_two_looks_counts_no_more_than_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now, ends = [100.0], list[int]()
    timers: list[float | None] = []
    monkeypatch.setattr(watchdog, "monotonic", lambda: now[0])
    monkeypatch.setattr(watchdog, "_exit_later", lambda seconds: timers.append(round(seconds, 1)))
    monkeypatch.setattr("faulthandler.cancel_dump_traceback_later", lambda: timers.append(None))
    monkeypatch.setattr("os._exit", ends.append)
    watch = LoopWatch(exit_seconds=3.0)
    watch.beat()
    for now[0] in (100.2, 100.4, 4000.0, 4000.2):  # an hour of sleep
        watch.look(0.5)
        watch.exit_when_stalled()
    assert timers == [8.5, 7.6]
    assert ends == []
    for step in range(15):
        now[0] = 4000.4 + step / 5
        watch.look(0.5)
        watch.exit_when_stalled()
    assert ends
    assert now[0] > 4002.0
    watch.rest()
    assert (watch.stood(), timers[-1]) == (0.0, None)
