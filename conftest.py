"""What holds for every test: hypothesis repeats exactly and has no deadline (timings are benchmarks), logging is as the
library leaves it, whatever a test of the command line has set up, and recorded traffic lies in one place or nowhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tickhive.logs import ROOT

settings.register_profile("tickhive", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("tickhive"), derandomize=False, max_examples=5_000)
settings.load_profile("tickhive")

RECORDED = Path(__file__).resolve().parents[1] / "shared" / "data"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Path]:
    """A recording of real traffic by its name. It lies beside the checkout; without it the test is skipped."""

    def find(name: str) -> Path:
        path = RECORDED / name
        if not path.is_file():
            pytest.skip(f"the recorded traffic is not there: {name}")
        return path

    return find


@pytest.fixture(autouse=True)
def _logging_is_left_alone() -> Iterator[None]:
    everything, ours = logging.getLogger(), logging.getLogger(ROOT)
    handlers, levels = everything.handlers[:], (everything.level, ours.level)
    yield
    everything.handlers[:] = handlers
    everything.setLevel(levels[0])
    ours.setLevel(levels[1])
