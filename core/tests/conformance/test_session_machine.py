"""A hypothesis state machine over the operations of a world; the invariants hold after every step and at the end.

The budget is small and the same on every run. ``TICKHIVE_CONFORMANCE=long`` searches far longer, elsewhere each time.
"""

from __future__ import annotations

import faulthandler
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from .market import SYMBOLS
from .world import WANTED, World

LONG = os.environ.get("TICKHIVE_CONFORMANCE") == "long"

picks = st.integers(0, 999)
symbols = st.sampled_from(SYMBOLS)


class SessionMachine(RuleBasedStateMachine):
    """Every rule is something that happens to a collector's sockets, at its venue, or that its user asks for."""

    world: World | None = None

    @initialize(
        seed=st.integers(0, 2**16),
        plugin=st.sampled_from(("remembering", "plain", "clinging")),
        links=st.integers(1, 2),
        numbered=st.booleans(),
    )
    def begin(self, **kind: Any) -> None:
        self.world = World(**kind)

    @property
    def there(self) -> World:
        assert self.world is not None
        return self.world

    @rule(count=st.integers(1, 20))
    def trade_on(self, count: int) -> None:
        self.there.trade_on(count)

    @rule(milliseconds=st.sampled_from((1, 25, 500, 3_000, 20_000)))
    def pass_time(self, milliseconds: int) -> None:
        self.there.pass_time(milliseconds)

    @rule(pick=picks)
    def lose(self, pick: int) -> None:
        self.there.lose(pick)

    @rule(pick=picks)
    def repeat(self, pick: int) -> None:
        self.there.repeat(pick)

    @rule(pick=picks)
    def reorder(self, pick: int) -> None:
        self.there.reorder(pick)

    @rule(pick=picks)
    def corrupt(self, pick: int) -> None:
        self.there.corrupt(pick)

    @rule(pick=picks, milliseconds=st.sampled_from((30, 100, 1_500, 6_000)))
    def delay(self, pick: int, milliseconds: int) -> None:
        self.there.delay(pick, milliseconds)

    @rule()
    def bend(self) -> None:
        self.there.bend()

    @rule(pick=picks)
    def cut(self, pick: int) -> None:
        self.there.cut(pick)

    @rule(pick=picks)
    def freeze(self, pick: int) -> None:
        self.there.freeze(pick)

    @rule(pick=picks, seconds=st.sampled_from((0, 2, 30)))
    def notice(self, pick: int, seconds: int) -> None:
        self.there.notice(pick, seconds)

    @rule(symbol=symbols)
    def silence(self, symbol: str) -> None:
        self.there.silence(symbol)

    @rule(symbol=symbols)
    def starve(self, symbol: str) -> None:
        self.there.starve(symbol)

    @precondition(lambda self: self.world is not None and self.world.venue.silent)
    @rule()
    def speak(self) -> None:
        self.there.speak()

    @rule(symbol=symbols)
    def restart_numbers(self, symbol: str) -> None:
        self.there.restart_numbers(symbol)

    @rule(seconds=st.sampled_from((1, 4, 12, 40)))
    def be_late(self, seconds: int) -> None:
        self.there.be_late(seconds)

    @rule(requests=st.integers(0, 3), fetches=st.integers(0, 3))
    def refuse(self, requests: int, fetches: int) -> None:
        self.there.refuse(requests, fetches)

    @rule(requests=st.integers(1, 3))
    def ignore(self, requests: int) -> None:
        self.there.ignore(requests)

    @rule(seconds=st.sampled_from((1, 3)))
    def lag(self, seconds: int) -> None:
        self.there.lag(seconds)

    @rule(text=st.sampled_from(WANTED))
    def remove(self, text: str) -> None:
        self.there.remove(text)

    @precondition(lambda self: self.world is not None and len(self.world.wanted) < len(WANTED))
    @rule(text=st.sampled_from(WANTED))
    def add(self, text: str) -> None:
        self.there.add(text)

    @invariant()
    def holds(self) -> None:
        if self.world is not None:
            self.world.check()

    def teardown(self) -> None:
        if self.world is not None:
            self.world.finish()


@pytest.fixture(autouse=True)
def _patience() -> None:
    """A search outlasts the watchdog over single tests, and a long one every watchdog."""
    faulthandler.cancel_dump_traceback_later()
    if not LONG:
        faulthandler.dump_traceback_later(300, exit=True)


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(
    max_examples=1_500 if LONG else 80,
    stateful_step_count=60 if LONG else 25,
    derandomize=not LONG,
    # To find the shortest way to a failure takes minutes; a walk that fails is short enough to be read.
    phases=tuple(Phase) if LONG else (Phase.explicit, Phase.generate),
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
