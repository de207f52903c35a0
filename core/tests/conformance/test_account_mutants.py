"""Walks through an account's world turn red when any one check of its channels is taken out, and are green with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tickhive.events import Fill
from tickhive.session import fills, orders, resumption
from tickhive.session.account import AccountDesk
from tickhive.session.account_requests import RecentFills, Standing
from tickhive.session.holdings import Holdings
from tickhive.session.orders import Orders

from .account import KINDS, SYMBOLS
from .account_world import AccountWorld
from .mutants import Mutant

BUDGET = 400
"""So many walks are tried beyond those that noticed before."""

Step = tuple[str, tuple[Any, ...]]
_HOW = ("whole",) * 7 + ("bad", "bad", "refused", "failed")
_TURNS = ("partially_filled", "filled", "cancelled")

OPERATIONS: dict[str, tuple[int, Callable[[random.Random, int], tuple[Any, ...]]]] = {
    "move": (6, lambda chance, pick: (chance.choice(SYMBOLS), chance.choice((0, 0, 1, 2)))),
    "fund": (5, lambda chance, pick: (chance.choice(SYMBOLS), chance.choice((0, 1, 2)))),
    "place": (5, lambda chance, pick: (chance.choice(SYMBOLS),)),
    "turn": (6, lambda chance, pick: (pick, chance.choice(_TURNS))),
    "fill": (6, lambda chance, pick: (chance.choice(SYMBOLS),)),
    "connect": (8, lambda chance, pick: ()),
    "deliver": (30, lambda chance, pick: (pick,)),
    "compute": (14, lambda chance, pick: (pick,)),
    "answer": (16, lambda chance, pick: (pick, chance.choice(_HOW))),
    "cut": (4, lambda chance, pick: (pick,)),
    "restart": (1, lambda chance, pick: (chance.random() < 0.5,)),
    "pass_time": (2, lambda chance, pick: (chance.choice((1, 3)),)),
    "give_up": (2, lambda chance, pick: (chance.choice(KINDS), chance.choice((None, pick)))),
    "take_up": (2, lambda chance, pick: (chance.choice(KINDS),)),
}
"""What may be done to a world: its method, how often, and with what."""


def plan(seed: int) -> tuple[dict[str, Any], list[Step]]:
    """A world, and what is done to it one after the other."""
    chance = random.Random(seed)
    links, timed = chance.choice(((1, True), (1, False), (2, True)))
    listed = chance.choice(("all", "recent", "by symbol"))
    world = {"links": links, "timed": timed, "dated": chance.random() < 0.5, "fills": listed}
    names = chance.choices(list(OPERATIONS), [weight for weight, _ in OPERATIONS.values()], k=60)
    return world, [(name, OPERATIONS[name][1](chance, chance.randrange(1_000))) for name in names]


def breach(seed: int) -> str | None:
    """What the walk of a seed says against the core, if anything."""
    kind, steps = plan(seed)
    world = AccountWorld(**kind)
    try:
        for name, arguments in steps:
            getattr(world, name)(*arguments)
        world.finish()
    except AssertionError as error:
        return str(error)
    return None


_untold = Holdings.untold


def _reached(self: RecentFills, event: object) -> None:
    Standing.note(self, event)
    if isinstance(event, Fill) and self.lost is not None:
        self.reached |= self.fills.known(event, event.received)


def _without(owner: object, name: str, other: object) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(owner, name, other)


def _nothing(*arguments: Any, **named: Any) -> Any:
    return None


MUTANTS = (
    Mutant("holdings out of date pass", _without(Holdings, "outdated", _nothing), seeds=(37,)),
    Mutant("orders out of date pass", _without(Orders, "outdated", _nothing), seeds=(26,)),
    Mutant(
        "what was told just now is told as ended",
        _without(Holdings, "untold", lambda self, kind, account, told, since: _untold(self, kind, account, (), since)),
    ),
    Mutant("what is held no more is not told", _without(Holdings, "untold", lambda *arguments: [])),
    Mutant("nobody asks how orders ended", _without(AccountDesk, "_look_for_endings", _nothing)),
    Mutant("any fill that is known ends the search", _without(RecentFills, "note", _reached), seeds=(182,)),
    Mutant("a restart forgets absences", _without(resumption, "_absences", lambda feed: []), seeds=(22,)),
    Mutant("what two sockets bring is not noted", _without(AccountDesk, "handed_out", _nothing), seeds=(53,)),
    Mutant(
        "ids of orders count for all symbols", _without(orders, "_key", lambda order: (order.account, "", order.id))
    ),
    Mutant("ids of fills count for all symbols", _without(fills, "_key", lambda fill: (fill.account, "", fill.id, ""))),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_check_of_an_account_that_is_taken_out_is_missed(mutant: Mutant) -> None:
    for seed in (*mutant.seeds, *range(BUDGET)):
        with pytest.MonkeyPatch.context() as patch:
            mutant.take_out(patch)
            found = breach(seed)
        if found is not None and breach(seed) is None:
            return
    pytest.fail(f"nobody noticed that {mutant.name}")
