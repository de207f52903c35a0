"""A call that does not return is ended where it stands, and nobody else is ever struck."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tickhive.collector.overrun import CallWatch, Held, Line, Overrun, may_strike, stack_of
from tickhive.collector.watchdog import WATCHDOG
from tickhive.session.faults import HookEnded

HOME = "tickhive.collector.overrun"
OWN = frozenset((__name__.partition(".")[0],))


def held(seconds: float = 0.05, **options: Any) -> Held:
    return Held("the test", seconds, HookEnded, options.pop("home", HOME), options.pop("packages", OWN), **options)


def spin() -> None:
    while True:
        pass


def test_a_call_that_returns_is_left_alone() -> None:
    assert WATCHDOG.bounded(held(), lambda: 7) == (7, None)
    with pytest.raises(KeyError):
        WATCHDOG.bounded(held(), lambda: dict[str, int]()["nothing"])


def test_one_that_does_not_is_ended_where_it_stands() -> None:
    answer, over = WATCHDOG.bounded(held(), spin)
    assert answer is None
    assert over is not None
    assert over.seconds >= 0.05
    assert over.where.startswith(f"{__file__}:{spin.__code__.co_firstlineno + 1}")
    assert over.where.endswith(" in spin")


def test_except_exception_does_not_hold_it_up() -> None:
    def stubborn() -> None:
        while True:
            with contextlib.suppress(Exception):
                spin()

    assert WATCHDOG.bounded(held(), stubborn)[1] is not None


def test_one_that_swallows_everything_is_ended_again() -> None:
    swallowed = []

    def stubborn() -> None:
        while True:
            try:
                spin()
            except BaseException as error:
                swallowed.append(error)
                if len(swallowed) == 3:
                    raise

    assert WATCHDOG.bounded(held(), stubborn)[1] is not None
    assert [type(error) for error in swallowed] == [HookEnded] * 3


def test_one_that_makes_something_of_it_was_ended_all_the_same() -> None:
    def sly() -> str:
        try:
            spin()
        except BaseException:
            return "nothing happened"
        return ""

    _, over = WATCHDOG.bounded(held(), sly)
    assert over is not None


def test_what_it_called_is_interrupted_too_but_for_what_holds_locks() -> None:
    own, library, lock = Line("acme", "a.py", 1, "a"), Line("json", "j.py", 1, "j"), Line("logging", "l.py", 1, "l")
    core, debugger = Line("tickhive", "t.py", 1, "t"), Line("bdb", "b.py", 1, "b")
    plugin = held(packages=frozenset(("acme",)))
    told = [
        (lines, may_strike(lines, plugin, willing=False), may_strike(lines, plugin, willing=True))
        for lines in [(own, core), (library, own), (core, own), (lock, own), (core, library), (debugger, own), ()]
    ]
    assert [each[1:] for each in told] == [
        (True, True),
        (False, True),
        (False, True),
        (False, False),
        (False, False),
        (False, False),
        (False, False),
    ]
    assert may_strike((core, library), held(packages=None, anywhere=True), willing=True)
    assert not may_strike((core, library), held(packages=None, anywhere=True), willing=False)
    assert may_strike((own,), held(packages=None), willing=False)


def test_the_stack_ends_at_home() -> None:
    lines = stack_of(sys._getframe(), "_pytest.python")
    assert lines[0].name == "test_the_stack_ends_at_home"
    assert all(line.package != "_pytest" for line in lines)


def test_a_machine_that_was_asleep_is_no_plugins_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    struck: list[object] = []
    monkeypatch.setattr("tickhive.collector.overrun.perf_counter", lambda: now[0])
    monkeypatch.setattr("tickhive.collector.overrun._raise_in", lambda thread, error: struck.append(error))
    watch = CallWatch()
    watch.holder, watch.began = held(1.0, home="", packages=frozenset(("tickhive",))), 100.0
    for now[0] in (100.1, 3700.0, 3700.2):
        watch.look(0.3)
    assert struck == []
    for now[0] in (3700.4, 3700.6, 3700.8):
        watch.look(0.3)
    assert struck == [HookEnded]
    now[0] = 3701.0
    watch.began = 3701.0 + 0.0  # another call
    watch.look(0.3)
    assert struck == [HookEnded]
    monkeypatch.undo()
    assert watch.settle() is not None
    assert watch.settle() is None


def test_what_cannot_be_ended_is_told_once() -> None:
    stuck: list[Overrun] = []
    told = threading.Event()

    def tell(over: Overrun) -> None:
        stuck.append(over)
        told.set()

    def wait() -> None:
        assert told.wait(10)
        time.sleep(0.1)

    WATCHDOG.bounded(held(0.02, stuck=tell, grace_seconds=0.05), wait)
    assert len(stuck) == 1
    assert " in wait" in stuck[0].where


def test_a_call_within_a_call_is_ended_alone() -> None:
    watch = CallWatch()
    outer, inner = held(30.0), held(0.05)
    with looking_at(watch, 0.01):
        answer, over = watch.run(outer, lambda: watch.run(inner, spin))
    assert over is None
    assert answer is not None
    assert answer[1] is not None
    assert answer[1].held is inner


def test_a_call_that_makes_many_within_it_is_ended_by_its_own_deadline() -> None:
    watch = CallWatch()
    outer, inner = held(0.1), held(30.0)
    until = time.perf_counter() + 10

    def many() -> None:
        while time.perf_counter() < until:
            watch.run(inner, lambda: sum(range(20_000)))

    with looking_at(watch, 0.01):
        answer, over = watch.run(outer, many)
    assert answer is None
    assert over is not None
    assert over.held is outer
    assert watch.holder is None
    assert watch.around is None
    assert not watch.overdue


def test_the_long_call_within_is_ended_not_the_one_around_it() -> None:
    watch = CallWatch()
    outer, inner = held(0.1), held(0.1)
    with looking_at(watch, 0.01):
        answer, over = watch.run(outer, lambda: watch.run(inner, spin))
    assert over is None
    assert answer is not None
    assert answer[1] is not None
    assert answer[1].held is inner


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_what_is_no_fault_of_its_own_comes_through_an_ended_call(error: type[BaseException]) -> None:
    def interrupted() -> None:
        with contextlib.suppress(HookEnded):
            spin()
        raise error

    with pytest.raises(error):
        WATCHDOG.bounded(held(), interrupted)


def test_what_it_makes_of_its_end_does_not() -> None:
    def faulty() -> None:
        with contextlib.suppress(HookEnded):
            spin()
        raise SystemExit(3)

    assert WATCHDOG.bounded(held(), faulty)[1] is not None


class looking_at:  # noqa: N801 - reads as a word
    """A thread that looks at a watch all the time."""

    def __init__(self, watch: CallWatch, interval: float) -> None:
        self.over = threading.Event()

        def look() -> None:
            while not self.over.wait(interval):
                watch.look(1.0)

        self.thread = threading.Thread(target=look, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


@pytest.fixture
def quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
def test_calls_that_return_at_the_deadline_leave_no_stray_exception() -> None:
    """A thousand calls of about the length of the deadline: some are ended, some are not, and all that comes of it is
    what ``run`` answers. Between them stands code that an exception must not hit.
    """
    watch, chance = CallWatch(), random.Random(5)
    deadline = 0.0006
    mine, ended, whole = held(deadline), 0, 0

    def work(until: float) -> str:
        while time.perf_counter() < until:
            pass
        return "done"

    with looking_at(watch, 0.0001):
        for _ in range(1000):
            until = time.perf_counter() + chance.uniform(0.5, 2.0) * deadline
            answer, over = watch.run(mine, lambda until=until: work(until))  # type: ignore[misc]
            assert (answer is None) or answer == "done"
            assert over is not None or answer == "done"
            ended += over is not None
            whole += over is None
            for _ in range(20):  # a stray one would strike here
                len(str(chance))
    assert watch.holder is None
    assert watch.over is None
    assert ended > 10
    assert whole > 10


PROFILED = """
import sys
from tickhive.collector.overrun import CallWatch, Held, Overrun
from tickhive.session.faults import HookEnded

watch = CallWatch()
watch.over = Overrun(Held("the test", 1.0, HookEnded, ""), 1.0, ())
assert watch.settle() is not None
sys.setprofile(lambda *_: None)
print(len(sorted(range(5), key=lambda number: -number)))
"""


def test_profiled_code_runs_on_after_a_call_was_ended() -> None:
    done = subprocess.run([sys.executable, "-c", PROFILED], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "5", done.stderr


EXIT = """
import asyncio, sys, time
from tickhive.collector.watchdog import WATCHDOG
from tickhive.cli.logs import configure_logging

configure_logging("info")


def hang():
    {hang}


async def main():
    WATCHDOG.exit_seconds = 0.3
    WATCHDOG.join()
    await asyncio.sleep(0.05)
    hang()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("hang", "code", "says"),
    [
        ("time.sleep(60)", 70, "the process ends itself"),
        ("import re; re.match(r'(a|aa)+$', 'a' * 80 + 'b')", 1, "Timeout"),
    ],
    ids=["a call that lets others run", "a call that keeps the interpreter"],
)
def test_a_process_whose_loop_stands_ends_itself_where_that_is_wanted(
    tmp_path: Path, hang: str, code: int, says: str
) -> None:
    text = "import tickhive.collector.watchdog as w; w._FAREWELL_SECONDS = 0.5\n" + EXIT.format(hang=hang)
    (tmp_path / "stalled.py").write_text(text, encoding="utf-8")
    script = [sys.executable, "stalled.py"]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "in hang" in done.stderr
