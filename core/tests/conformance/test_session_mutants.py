"""The walks turn red when any one check of the core is taken out, and are green with it."""

from __future__ import annotations

import pytest

from .mutants import MUTANTS, Mutant
from .walk import Plan, plan, walk

BUDGET = 120
"""So many walks are tried beyond those that noticed before."""


def breach(way: Plan) -> str | None:
    """What a walk says against the core, if anything."""
    try:
        walk(way)
    except AssertionError as error:
        return str(error)
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_check_that_is_taken_out_is_missed(mutant: Mutant) -> None:
    for seed in (*mutant.seeds, *range(BUDGET)):
        way = plan(seed, **mutant.world)
        with pytest.MonkeyPatch.context() as patch:
            mutant.take_out(patch)
            found = breach(way)
        if found is not None and breach(way) is None:
            return
    pytest.fail(f"nobody noticed that {mutant.name}")
