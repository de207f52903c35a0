"""What a venue allows in a time, shared fairly by everybody in the process who uses that venue.

A ``Budget`` counts dials, requests and REST weight in sliding windows, so that no window of a limit's length ever
holds more than its amount. A ``Backoff`` says how long to wait after the n-th failure in a row.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from tickhive.clock import NANOSECONDS, Clock
from tickhive.plugin.contract import Limit

_MANY_WINDOWS = 256
"""Above so many windows in one scope those of idle connections are dropped."""


class Random(Protocol):
    """The one thing asked of a source of randomness: ``random.Random`` has it."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between ``a`` and ``b``."""


class Backoff:
    """How long to wait before the next attempt: full jitter under a ceiling that doubles with every failure.

    The n-th ``next`` answers a number of seconds drawn evenly from 0 to ``min(cap_seconds, first_seconds * 2**n)``, so
    that a thousand clients cut off together do not come back together.
    """

    def __init__(self, first_seconds: float = 0.5, cap_seconds: float = 60.0, rng: Random | None = None) -> None:
        if first_seconds <= 0 or cap_seconds < first_seconds:
            raise ValueError(f"Backoff: expected 0 < first_seconds <= cap_seconds, got {first_seconds}, {cap_seconds}")
        self.first_seconds = first_seconds
        self.cap_seconds = cap_seconds
        self.failures = 0
        self._rng: Random = rng if rng is not None else random.Random()
        self._ceiling = first_seconds

    def next(self, cap_seconds: float | None = None) -> float:
        """The seconds to wait now; the ceiling doubles for the time after. ``cap_seconds``: stay under this."""
        self.failures += 1
        cap = self.cap_seconds if cap_seconds is None else min(cap_seconds, self.cap_seconds)
        ceiling = min(self._ceiling, cap)
        self._ceiling = min(cap, ceiling * 2)
        return self._rng.uniform(0.0, ceiling)

    def reset(self) -> None:
        """Begin again at ``first_seconds``: an attempt succeeded."""
        self.failures = 0
        self._ceiling = self.first_seconds


class _Window:
    """One limit's sliding window for one key: what was spent and when it comes free again."""

    __slots__ = ("amount", "length", "spent", "total")

    def __init__(self, limit: Limit) -> None:
        self.amount = limit.amount
        self.length = round(limit.seconds * NANOSECONDS)
        self.spent: deque[tuple[int, float]] = deque()
        self.total = 0.0

    def expire(self, now: int) -> None:
        """Forget what was spent a whole window ago. Something spent at t is free again just after t + length."""
        while self.spent and self.spent[0][0] + self.length < now:
            self.total -= self.spent.popleft()[1]
        if not self.spent:
            self.total = 0.0  # sums of floats drift; an empty window is exactly empty

    def free_at(self, amount: float, now: int) -> int:
        """When ``amount`` fits: ``now`` or later, ns of the monotonic clock."""
        self.expire(now)
        over = self.total + amount - self.amount
        if over <= 1e-9:
            return now
        for at, spent in self.spent:
            over -= spent
            if over <= 1e-9:
                return at + self.length + 1
        return now

    def take(self, amount: float, now: int) -> None:
        if self.spent and self.spent[-1][0] == now:
            self.spent[-1] = (now, self.spent[-1][1] + amount)
        else:
            self.spent.append((now, amount))
        self.total += amount


class _Scope:
    """Everything that is counted under one name, and who waits for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.limits: list[Limit] = []
        self.windows: dict[tuple[int, Hashable], _Window] = {}
        self.queues: dict[Hashable, _Queue] = {}
        self.penalised_until = 0
        self.acquired = 0.0
        self.waits = 0

    def windows_for(self, connection: Hashable, now: int) -> list[_Window]:
        if len(self.windows) > _MANY_WINDOWS:
            self._drop_idle(now)
        found = []
        for index, limit in enumerate(self.limits):
            key = (index, connection if limit.per_connection else None)
            window = self.windows.get(key)
            if window is None:
                window = self.windows[key] = _Window(limit)
            found.append(window)
        return found

    def _drop_idle(self, now: int) -> None:
        for key, window in list(self.windows.items()):
            window.expire(now)
            if not window.spent:
                del self.windows[key]


class _Queue:
    """A fair lock that knows how many want it, so that an idle one can be forgotten."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class Budget:
    """One venue's limits, charged by everybody in the process who uses the venue.

    Those who wait for a scope are served in the order they came; limits counted per connection make one queue per
    connection, so that a busy socket does not hold up another. A scope no limit names is free, but can be penalised.
    A wait is lengthened by up to ``jitter_seconds``, so that processes on one address do not march in step.
    """

    def __init__(
        self, limits: Sequence[Limit], clock: Clock, rng: Random | None = None, *, jitter_seconds: float = 0.05
    ) -> None:
        self._clock = clock
        self._rng: Random = rng if rng is not None else random.Random()
        self._jitter_seconds = jitter_seconds
        self._scopes: dict[str, _Scope] = {}
        for limit in limits:
            if limit.amount <= 0 or limit.seconds <= 0:
                raise ValueError(f"limit {limit.scope!r}: amount and seconds must be above zero, got {limit}")
            self._scope(limit.scope).limits.append(limit)

    async def acquire(self, scope: str, amount: float = 1.0, connection: Hashable = None) -> None:
        """Wait until ``amount`` may be spent on ``scope``, and spend it.

        ``connection`` names the socket for limits that are counted per connection. ``ValueError`` when the amount is
        more than a limit ever allows: waiting would never end.
        """
        counted = self._scopes.get(scope)
        if counted is None or amount <= 0:
            return
        for limit in counted.limits:
            if amount > limit.amount:
                raise ValueError(
                    f"{amount:g} of {scope!r} were asked for at once, the venue allows {limit.amount:g}"
                    f" per {limit.seconds:g} s; ask for less at a time"
                )
        key = connection if counted.limits and all(limit.per_connection for limit in counted.limits) else None
        queue = counted.queues.setdefault(key, _Queue())
        queue.users += 1
        try:
            async with queue.lock:
                await self._wait_and_take(counted, amount, connection)
        finally:
            queue.users -= 1
            if not queue.users:
                del counted.queues[key]

    async def _wait_and_take(self, scope: _Scope, amount: float, connection: Hashable) -> None:
        waited = False
        while True:
            # Looked up again after every wait: the connection may have been forgotten meanwhile.
            now = self._now()
            windows = scope.windows_for(connection, now)
            free_at = max([scope.penalised_until, *(window.free_at(amount, now) for window in windows)])
            if free_at <= now:
                break
            waited = True
            await self._clock.sleep((free_at - now) / NANOSECONDS + self._rng.uniform(0.0, self._jitter_seconds))
        for window in windows:
            window.take(amount, now)
        scope.acquired += amount
        scope.waits += waited

    def penalise(self, scope: str, seconds: float) -> None:
        """Hold back everybody in ``scope`` for so long: the venue asked for it. A shorter penalty changes nothing."""
        if seconds > 0:
            found = self._scope(scope)
            found.penalised_until = max(found.penalised_until, self._now() + round(seconds * NANOSECONDS))

    def forget(self, connection: Hashable) -> None:
        """Drop what was counted for a socket that is gone."""
        for scope in self._scopes.values():
            for key in [key for key in scope.windows if key[1] == connection and connection is not None]:
                del scope.windows[key]

    def status(self) -> dict[str, dict[str, Any]]:
        """Per scope: ``acquired``, ``waiting`` and ``waits`` (calls now and in all), ``penalised_seconds``, ``limits``.

        Each of ``limits`` gives ``amount``, ``seconds``, ``per_connection`` and ``used``, the most any of its windows
        holds now.
        """
        now = self._now()
        return {name: self._describe(scope, now) for name, scope in self._scopes.items()}

    def _describe(self, scope: _Scope, now: int) -> dict[str, Any]:
        used = [0.0] * len(scope.limits)
        for (index, _), window in scope.windows.items():
            window.expire(now)
            used[index] = max(used[index], window.total)
        return {
            "acquired": scope.acquired,
            "waiting": sum(queue.users for queue in scope.queues.values()),
            "waits": scope.waits,
            "penalised_seconds": max(0, scope.penalised_until - now) / NANOSECONDS,
            "limits": [
                {
                    "amount": limit.amount,
                    "seconds": limit.seconds,
                    "per_connection": limit.per_connection,
                    "used": used[index],
                }
                for index, limit in enumerate(scope.limits)
            ],
        }

    def _now(self) -> int:
        # Monotonic: a step of the machine's wall clock must neither open the gates nor bar them.
        return round(self._clock.monotonic() * NANOSECONDS)

    def _scope(self, name: str) -> _Scope:
        found = self._scopes.get(name)
        if found is None:
            found = self._scopes[name] = _Scope(name)
        return found
