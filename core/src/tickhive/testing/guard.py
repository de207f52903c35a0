"""Notices what a hook may not do: input and output, the clock, chance, logging, threads.

While a hook runs, every function it calls, directly or not, is looked at by its identity (``sys.setprofile``), so that
it does not matter under which name or from where it was imported. Nothing is patched and nothing is prevented.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FrameType
from typing import Any

CHANCE = "draws random numbers"
"""The one thing that is allowed where a request is signed."""

CLOCK, SLEEP, OUTPUT, INPUT = "reads the clock", "sleeps", "prints", "reads from the terminal"
FILES, NETWORK, LOGS, THREADS = "touches files", "uses the network", "logs", "starts threads or processes"
ENVIRONMENT = "reads the environment"

_SYSTEM = {
    **dict.fromkeys(("open", "read", "write", "stat", "listdir", "scandir", "mkdir", "remove", "unlink"), FILES),
    **dict.fromkeys(("urandom", "getrandom"), CHANCE),
    **dict.fromkeys(("system", "fork", "posix_spawn", "execv"), THREADS),
}
_CLOCKS = (
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time",
    "process_time_ns", "thread_time", "thread_time_ns", "clock_gettime", "clock_gettime_ns",
)  # fmt: skip

_BUILTINS: dict[str, dict[str, str]] = {
    "time": dict.fromkeys(_CLOCKS, CLOCK) | {"sleep": SLEEP},
    "builtins": {"print": OUTPUT, "input": INPUT, "open": FILES},
    "_io": {"open": FILES, "open_code": FILES},
    "posix": _SYSTEM,
    "nt": _SYSTEM,
    "_thread": dict.fromkeys(("start_new_thread", "start_new", "start_joinable_thread"), THREADS),
    "_posixsubprocess": {"fork_exec": THREADS},
    "_socket": dict.fromkeys(("getaddrinfo", "gethostbyname", "gethostname", "socketpair"), NETWORK),
}
"""Functions of C modules, by module and name."""

_METHODS: dict[str, tuple[str, frozenset[str] | None]] = {
    "_socket": (NETWORK, None),
    "_ssl": (NETWORK, None),
    "_random": (CHANCE, frozenset(("random", "getrandbits"))),
    "datetime": (CLOCK, frozenset(("now", "utcnow", "today"))),
    "_asyncio": (THREADS, None),
}
"""Methods of C types, by the module of the type; None: all of them."""

_FILE_TYPES = frozenset(("TextIOWrapper", "FileIO", "BufferedReader", "BufferedWriter", "BufferedRandom"))

_MODULES = {
    "logging": LOGS, "structlog": LOGS, "tickhive.logs": LOGS,
    "asyncio": THREADS, "threading": THREADS, "subprocess": THREADS, "multiprocessing": THREADS,
    "concurrent": THREADS,
    "socket": NETWORK, "ssl": NETWORK, "http.client": NETWORK, "urllib.request": NETWORK, "httpx": NETWORK,
    "secrets": CHANCE, "random": CHANCE,
}  # fmt: skip
"""Python modules whose functions tell what is being done, whatever they call."""

_HARMLESS = frozenset((("logging", "getLogger"), ("tickhive.logs", "get_logger")))
"""Functions that may be called, whatever they call."""


@contextmanager
def watched(report: Callable[[str, str], None]) -> Iterator[None]:
    """Tell ``report`` of each forbidden thing done inside the block: what it is, and the call, once each.

    What importing a module does is no business of the hook that is the first to need it.
    """
    told: set[tuple[str, str]] = set()
    passed: list[FrameType] = []

    def tell(what: str, call: str) -> None:
        if (what, call) not in told:
            told.add((what, call))
            report(what, call)

    def look(frame: FrameType, event: str, argument: Any) -> None:
        if passed:
            if event == "return" and frame is passed[-1]:
                passed.pop()
            return
        if event == "call":
            module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
            if module == "importlib._bootstrap" or (module, name) in _HARMLESS:
                passed.append(frame)
                return
            what = _python(module, name)
            if what is not None:
                tell(what, f"{module}.{name}")
        elif event == "c_call":
            found = _builtin(argument)
            if found is not None:
                tell(*found)

    before, collecting = sys.getprofile(), gc.isenabled()
    gc.disable()  # what finalizers and callbacks of a collection do is nobody's doing here
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
        if collecting:
            gc.enable()


def _python(module: str, name: str) -> str | None:
    """What a function written in Python does, None where that is fine or shows in what it calls."""
    if module in _MODULES or module.partition(".")[0] in _MODULES:
        return _MODULES.get(module) or _MODULES[module.partition(".")[0]]
    if module == "os" and name in ("getenv", "__getitem__"):
        return ENVIRONMENT
    return None


def _builtin(function: Any) -> tuple[str, str] | None:
    """What a function written in C does, and how it is called; None where that is fine."""
    if not isinstance(function, BuiltinFunctionType):
        return None
    owner = function.__self__
    if owner is None or isinstance(owner, type(sys)):
        module = function.__module__ or getattr(owner, "__name__", "")
        what = _BUILTINS.get(module, {}).get(function.__name__)
        return (what, f"{_public(module)}.{function.__name__}") if what is not None else None
    kind = owner if isinstance(owner, type) else type(owner)
    for base in kind.__mro__:
        if base.__module__ == "_io" and base.__name__ in _FILE_TYPES:
            return FILES, f"{base.__name__}.{function.__name__}"
        rule = _METHODS.get(base.__module__)
        if rule is not None and (rule[1] is None or function.__name__ in rule[1]):
            return rule[0], f"{_public(base.__module__)}.{kind.__name__}.{function.__name__}"
    return None


def _public(module: str) -> str:
    return {"posix": "os", "nt": "os", "_io": "io", "_thread": "threading"}.get(module, module.removeprefix("_"))
