"""Prices as correlated random walks: the same seed gives the same path, however often it is asked.

Only additions and multiplications of ``Random.random()`` are used, no logarithm and no cosine, so that the path is the
same on every platform.
"""

from __future__ import annotations

from random import Random

STEP = 100_000_000
"""A walk moves once in this many ns and stands still in between."""

_REVERSION = 1e-7
"""How strongly a walk is drawn back to where it began, per step: it stays within some ten percent for ever."""

_STEPS_PER_YEAR = 365 * 24 * 3600 * 1_000_000_000 / STEP


def unit_noise(random: Random) -> float:
    """A random number of mean 0 and variance 1, roughly bell-shaped, between -3 and 3."""
    draw = random.random
    return (draw() + draw() + draw() - 1.5) * 2.0


class Walk:
    """A random walk around zero: relative price changes since ``start`` (ns UTC). Time only goes forward.

    ``volatility`` is relative per year (0.3: thirty percent). With a ``common`` walk, ``correlation`` (0 to 1) says how
    much of the movement is shared with it.
    """

    def __init__(
        self, seed: str, start: int, volatility: float, common: Walk | None = None, correlation: float = 0.0
    ) -> None:
        self._random = Random(seed)
        self._start = start
        self._common = common
        self._own_scale = volatility * (1.0 - correlation * correlation) ** 0.5 / _STEPS_PER_YEAR**0.5
        self._common_scale = volatility * correlation / _STEPS_PER_YEAR**0.5
        self._index = 0
        self._value = 0.0
        self._noises: list[float] = []
        self._forgotten = 0

    def value(self, at: int) -> float:
        """The relative change since the start at this time; the latest known one for a time already passed."""
        index = (at - self._start) // STEP
        while self._index < index:
            self._index += 1
            own = self._noise(self._index) if self._common is None else unit_noise(self._random)
            shared = 0.0 if self._common is None else self._common._noise(self._index)
            self._value += own * self._own_scale + shared * self._common_scale - self._value * _REVERSION
        return self._value

    def _noise(self, index: int) -> float:
        """The noise of step ``index`` (from 1), for the walk itself and those that share it."""
        noises = self._noises
        while self._forgotten + len(noises) < index:
            noises.append(unit_noise(self._random))
        if len(noises) > 20_000:
            # Every walk of a market is asked at least every few seconds: nobody is this far behind.
            self._forgotten += 10_000
            del noises[:10_000]
        return noises[max(0, index - 1 - self._forgotten)]
