"""What the simulated Binance allows an address: weight of REST requests a minute, and connections in five minutes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import Factory, define

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_BAN = 120 * _SECOND
_PATIENCE = 400
"""Weight beyond the limit that is answered 429 before the address is banned."""

_DIALS = 300


@define
class Meter:
    """All clients' requests, counted together. ``limit`` is the weight a minute; ``violated`` hears what went wrong.

    All times are ns UTC.
    """

    limit: int
    violated: Callable[[str], None]
    used: int = 0
    _minute: int = 0
    _banned: int = 0
    _dials: deque[int] = Factory(deque)

    def may_dial(self, at: int) -> bool:
        """Count a connection."""
        while self._dials and at - self._dials[0] >= 5 * _MINUTE:
            self._dials.popleft()
        self._dials.append(at)
        if len(self._dials) > _DIALS:
            self.violated(f"{len(self._dials)} connections within five minutes, {_DIALS} are allowed")
        return len(self._dials) <= _DIALS

    def use(self, weight: int, at: int) -> tuple[int, int] | None:
        """Count a request; answers the HTTP status it is refused with and the seconds to wait, None when it is not."""
        if at < self._banned:
            self.violated("a request while banned")
            return 418, (self._banned - at) // _SECOND + 1
        minute = at // _MINUTE
        self._minute, self.used = minute, weight + (self.used if self._minute == minute else 0)
        if self.used <= self.limit:
            return None
        self.violated(f"weight {self.used} within a minute, {self.limit} are allowed")
        if self.used > self.limit + _PATIENCE:
            self._banned = at + _BAN
        return 429, (_MINUTE - at % _MINUTE) // _SECOND + 1
