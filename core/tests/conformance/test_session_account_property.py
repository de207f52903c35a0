"""Whatever sockets, answers and restarts do to an account, what was told of it last is so, or a Gap says otherwise.

A hypothesis state machine over the operations of an account's world. Two sockets need a venue that sends times: without
them what one brings late cannot be told from a state that came back, so that combination is left out.

The budget is small and the same on every run. ``TICKHIVE_CONFORMANCE=long`` searches far longer, elsewhere each time.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from .account import KINDS, SYMBOLS
from .account_world import AccountWorld, How

LONG = os.environ.get("TICKHIVE_CONFORMANCE") == "long"

picks = st.integers(0, 999)
symbols = st.sampled_from(SYMBOLS)
sizes = st.integers(0, 3)
kinds = st.sampled_from(KINDS)


class AccountMachine(RuleBasedStateMachine):
    """Every rule is something that happens to an account, on the way from its venue, or that its user asks for."""

    world: AccountWorld | None = None

    @initialize(
        links_and_times=st.sampled_from(((1, True), (1, False), (2, True))),
        dated=st.booleans(),
        fills=st.sampled_from(("all", "recent", "by symbol")),
    )
    def begin(self, links_and_times: tuple[int, bool], **venue: Any) -> None:
        links, timed = links_and_times
        self.world = AccountWorld(links, timed, **venue)
        self.world.connect()

    @property
    def there(self) -> AccountWorld:
        assert self.world is not None
        return self.world

    def _lacks_sockets(self) -> bool:
        return self.world is not None and len(self.world.sockets) < self.world.links

    def _has_frames(self) -> bool:
        return self.world is not None and any(socket.frames for socket in self.world.sockets)

    def _has_questions(self) -> bool:
        return self._waits(looked=False)

    def _has_answers(self) -> bool:
        return self._waits(looked=True)

    def _waits(self, looked: bool) -> bool:
        sockets = self.world.sockets if self.world is not None else ()
        return any((each.rows is not None) is looked for socket in sockets for each in socket.waiting)

    @rule(symbol=symbols, size=sizes)
    def move(self, symbol: str, size: int) -> None:
        self.there.move(symbol, size)

    @rule(currency=symbols, total=sizes)
    def fund(self, currency: str, total: int) -> None:
        self.there.fund(currency, total)

    @rule(symbol=symbols)
    def place(self, symbol: str) -> None:
        self.there.place(symbol)

    @precondition(lambda self: self.world is not None and self.world.account.open())
    @rule(pick=picks, status=st.sampled_from(("partially_filled", "filled", "cancelled")))
    def turn(self, pick: int, status: str) -> None:
        self.there.turn(pick, status)

    @rule(symbol=symbols)
    def fill(self, symbol: str) -> None:
        self.there.fill(symbol)

    @precondition(_lacks_sockets)
    @rule()
    def connect(self) -> None:
        self.there.connect()

    @precondition(_has_frames)
    @rule(chosen=st.lists(picks, min_size=1, max_size=4))
    def deliver(self, chosen: list[int]) -> None:
        for pick in chosen:
            self.there.deliver(pick)

    @precondition(_has_questions)
    @rule(pick=picks)
    def compute(self, pick: int) -> None:
        self.there.compute(pick)

    @precondition(_has_answers)
    @rule(pick=picks, how=st.sampled_from(("whole", "whole", "whole", "bad", "refused", "failed")))
    def answer(self, pick: int, how: How) -> None:
        self.there.answer(pick, how)

    @rule(pick=picks)
    def cut(self, pick: int) -> None:
        self.there.cut(pick)

    @rule(orderly=st.booleans())
    def restart(self, orderly: bool) -> None:
        self.there.restart(orderly)

    @rule(seconds=st.sampled_from((1, 3)))
    def pass_time(self, seconds: int) -> None:
        self.there.pass_time(seconds)

    @rule(kind=kinds, pick=st.none() | picks)
    def give_up(self, kind: Any, pick: int | None) -> None:
        self.there.give_up(kind, pick)

    @rule(kind=kinds)
    def take_up(self, kind: Any) -> None:
        self.there.take_up(kind)

    def teardown(self) -> None:
        if self.world is not None:
            self.world.finish()


TestAccountMachine = AccountMachine.TestCase
TestAccountMachine.settings = settings(
    max_examples=5_000 if LONG else 200,
    stateful_step_count=80 if LONG else 40,
    derandomize=not LONG,
    # To find the shortest way to a failure takes minutes; a walk that fails is short enough to be read.
    phases=tuple(Phase) if LONG else (Phase.explicit, Phase.generate),
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
