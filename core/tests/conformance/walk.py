"""The operations and their likelihood, and a walk through them that a seed alone decides."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from attrs import define

from .market import SYMBOLS
from .world import WANTED, World

Pick = Callable[[random.Random], tuple[Any, ...]]


def _any(chance: random.Random) -> tuple[Any, ...]:
    return (chance.randrange(1_000),)


def _symbol(chance: random.Random) -> tuple[Any, ...]:
    return (chance.choice(SYMBOLS),)


def _text(chance: random.Random) -> tuple[Any, ...]:
    return (chance.choice(WANTED),)


OPERATIONS: dict[str, tuple[int, Pick]] = {
    "trade_on": (6, lambda chance: (chance.randint(1, 20),)),
    "pass_time": (3, lambda chance: (chance.choice((1, 25, 500, 3_000, 20_000)),)),
    "lose": (5, _any),
    "repeat": (3, _any),
    "reorder": (3, _any),
    "delay": (3, lambda chance: (chance.randrange(1_000), chance.choice((30, 100, 1_500, 6_000)))),
    "corrupt": (2, _any),
    "bend": (1, lambda chance: ()),
    "cut": (3, _any),
    "freeze": (1, _any),
    "notice": (2, lambda chance: (chance.randrange(1_000), chance.choice((0, 2, 30)))),
    "silence": (1, _symbol),
    "starve": (1, _symbol),
    "speak": (2, lambda chance: ()),
    "restart_numbers": (2, _symbol),
    "be_late": (2, lambda chance: (chance.choice((1, 4, 12, 40)),)),
    "refuse": (1, lambda chance: (chance.randint(0, 3), chance.randint(0, 3))),
    "ignore": (2, lambda chance: (chance.randint(1, 3),)),
    "lag": (1, lambda chance: (chance.choice((1, 3)),)),
    "remove": (1, _text),
    "add": (1, _text),
}
"""What may be done to a world: its method, how often, and with what."""


@define
class Plan:
    """A world, and what is done to it one after the other."""

    world: dict[str, Any]
    steps: list[tuple[str, tuple[Any, ...]]]

    def __str__(self) -> str:
        made = ", ".join(f"{name}={value!r}" for name, value in self.world.items())
        return "\n".join([f"World({made})", *(f".{name}{arguments}" for name, arguments in self.steps)])


def plan(seed: int, steps: int = 25, **world: Any) -> Plan:
    """What a seed decides; ``world`` fixes what it shall not."""
    chance = random.Random(seed)
    kind = {
        "seed": seed,
        "plugin": chance.choice(("remembering", "remembering", "plain", "clinging")),
        "links": chance.choice((1, 1, 2)),
        "numbered": chance.random() < 0.25,
        **world,
    }
    names, weights = list(OPERATIONS), [weight for weight, _ in OPERATIONS.values()]
    return Plan(kind, [(name, OPERATIONS[name][1](chance)) for name in chance.choices(names, weights, k=steps)])


def walk(way: Plan) -> None:
    """Do what is planned, checking all the way; whatever fails carries the plan with it."""
    try:
        place = World(**way.world)
        for name, arguments in way.steps:
            getattr(place, name)(*arguments)
            place.check()
        place.finish()
    except Exception as error:
        error.add_note(str(way))
        raise


def shorten(way: Plan, alike: Callable[[Exception], bool]) -> Plan:
    """The same failure with as few steps as leaving some out can do."""
    size = len(way.steps)
    while size:
        size = max(1, size // 2)
        begin = 0
        while begin < len(way.steps):
            shorter = Plan(way.world, way.steps[:begin] + way.steps[begin + size :])
            try:
                walk(shorter)
            except Exception as error:
                if alike(error):
                    way = shorter
                    continue
            begin += size
        if size == 1:
            break
    return way
