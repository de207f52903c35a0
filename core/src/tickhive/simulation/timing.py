"""How a simulated market's time follows the time of whoever drives it: from its own first moment, at its own speed."""

from __future__ import annotations

import math

from attrs import define, field


@define
class MarketTime:
    """The market begins at ``start`` (ns UTC; 0: the first moment it is given) and runs at ``speed`` times real time.

    >>> time = MarketTime(start=1_000, speed=2.0)
    >>> time.reach(50_000)
    >>> time.market(50_010), time.real(1_020)
    (1020, 50010)
    """

    start: int = 0
    speed: float = field(default=1.0)
    now: int = field(default=0, init=False)
    _began: int | None = field(default=None, init=False)

    @speed.validator
    def _check(self, attribute: object, speed: float) -> None:
        if not 0 < speed < math.inf:
            raise ValueError(f"speed: a market needs a number greater than 0, got {speed}")

    def reach(self, at: int) -> None:
        """Note the real time; it never goes back, whatever the machine's clock does."""
        if self._began is None:
            self._began = at
            self.start = self.start or at
        self.now = max(self.now, at)

    @property
    def known(self) -> bool:
        """Whether the market's first moment is known."""
        return bool(self.start)

    def market(self, at: int) -> int:
        """The market's time at a real time, both ns UTC."""
        began = self._began if self._began is not None else at
        if self.speed == 1.0:
            return self.start + at - began
        return self.start + int((at - began) * self.speed)

    def real(self, at: int) -> int:
        """The real time at which the market reaches a time of its own, both ns UTC."""
        began = self._began or 0
        if self.speed == 1.0:
            return began + at - self.start
        return began + math.ceil((at - self.start) / self.speed)
