"""What a hook may not do is noticed under whatever name it was imported; what it may do is not."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import hmac
import importlib
import io
import json
import logging
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from time import time_ns as now
from typing import Any

import msgspec
import pytest

from tickhive.channels import Channel, DataType
from tickhive.events import Level
from tickhive.logs import get_logger
from tickhive.plugin import ExchangeSettings
from tickhive.testing.fingerprint import fingerprint
from tickhive.testing.guard import watched


def noticed(act: Callable[[], Any]) -> set[str]:
    found: set[str] = set()
    with watched(lambda what, call: found.add(what)):
        act()
    return found


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (time.time, "reads the clock"),
        (now, "reads the clock"),
        (time.perf_counter, "reads the clock"),
        (datetime.now, "reads the clock"),
        (lambda: datetime.now(UTC), "reads the clock"),
        (date.today, "reads the clock"),
        (lambda: time.sleep(0), "sleeps"),
        (random.random, "draws random numbers"),
        (lambda: random.Random(1).randint(0, 5), "draws random numbers"),
        (lambda: os.urandom(4), "draws random numbers"),
        (lambda: secrets.token_hex(4), "draws random numbers"),
        (uuid.uuid4, "draws random numbers"),
        (lambda: Path(__file__).read_text(), "touches files"),
        (lambda: open(os.devnull).close(), "touches files"),
        (lambda: socket.socket().close(), "uses the network"),
        (lambda: socket.gethostbyname("localhost"), "uses the network"),
        (lambda: print("", end="", file=io.StringIO()), "prints"),
        (lambda: logging.getLogger("reed").debug("x"), "logs"),
        (lambda: get_logger("tickhive.reed").debug("x"), "logs"),
        (lambda: threading.Thread(target=int).start(), "starts threads or processes"),
        (lambda: subprocess.run([sys.executable, "-c", ""], check=True), "starts threads or processes"),
        (lambda: asyncio.new_event_loop().close(), "starts threads or processes"),
        (lambda: os.environ.get("HOME"), "reads the environment"),
    ],
)  # fmt: skip
def test_it_is_noticed(act: Callable[[], Any], what: str) -> None:
    assert what in noticed(act)


@pytest.mark.parametrize(
    "act",
    [
        lambda: json.loads('{"a": [1, 2]}'),
        lambda: msgspec.json.decode(b'{"a": 1}'),
        lambda: Decimal("1.5") * 3,
        lambda: hmac.digest(b"k", b"m", "sha256"),
        lambda: hashlib.sha256(b"x").hexdigest(),
        lambda: datetime.fromtimestamp(1_790_000_000, UTC).isoformat(),
        lambda: io.BytesIO(b"x").read(),
        lambda: sorted(range(5), key=lambda each: -each),
        lambda: logging.getLogger("reed"),
    ],
)
def test_it_is_let_pass(act: Callable[[], Any]) -> None:
    assert noticed(act) == set()


def test_what_an_import_does_is_not_the_hooks_doing() -> None:
    sys.modules.pop("this", None)
    sys.modules.pop("colorsys", None)
    assert noticed(lambda: importlib.import_module("colorsys")) == set()


def test_the_guard_ends_with_its_block_and_names_a_call_once() -> None:
    def act() -> None:
        for _ in range(3):
            time.time()
        raise ZeroDivisionError

    told: list[str] = []
    before = sys.getprofile()
    with pytest.raises(ZeroDivisionError), watched(lambda what, call: told.append(call)):
        act()
    time.monotonic()
    assert told == ["time.time"]
    assert sys.getprofile() is before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1, 2], [2, 1]),
        ({"a": [1]}, {"a": [2]}),
        (1, True),
        ((1,), [1]),
        (Channel("A", "A", DataType.TRADE), Channel("A", "A", DataType.TICKER)),
        (ExchangeSettings(), ExchangeSettings(url="ws://a.example")),
        (Level("1", "2"), Level("1", "3")),
    ],
    ids=repr,
)
def test_a_change_shows_in_the_fingerprint(before: Any, after: Any) -> None:
    assert fingerprint(before) != fingerprint(after)
    assert fingerprint(before) == fingerprint(copy.deepcopy(before))
