"""A limit with bursts, as the exchanges count requests."""

from __future__ import annotations

from attrs import define

_SECOND = 1_000_000_000


@define
class Bucket:
    """``rate`` a second on the long run, ``burst`` at once.

    >>> bucket = Bucket(rate=2, burst=3)
    >>> [bucket.take(0) for _ in range(4)], bucket.take(500_000_000)
    ([True, True, True, False], True)
    """

    rate: float
    burst: float
    _level: float = 0.0
    _at: int = 0

    def take(self, at: int) -> bool:
        """Count one; False when it is one too many."""
        self._level = max(0.0, self._level - (at - self._at) / _SECOND * self.rate)
        self._at = max(self._at, at)
        if self._level + 1 > self.burst:
            return False
        self._level += 1
        return True
