"""How often a collector may be restarted, and how long to wait before the next time."""

from __future__ import annotations

import random
from collections import deque

from attrs import frozen

from tickhive.errors import ConfigurationError


@frozen(kw_only=True)
class RestartPolicy:
    """The rules of automatic restarts, all in seconds.

    Every ``check_seconds`` each collector is asked how it is. One that stays unhealthy for ``patience_seconds`` is
    restarted: at most ``max_restarts`` times within ``window_seconds``. After the first restart in a window, and after
    a start that failed, there is a further wait: ``first_wait_seconds`` doubled with every restart used, at most
    ``longest_wait_seconds``. Each wait is spread by up to ``jitter`` of itself. Two collectors are never restarted
    within ``stagger_seconds`` of each other. ``deadline_seconds`` bounds one start, stop or restart.
    """

    check_seconds: float = 5.0
    patience_seconds: float = 60.0
    max_restarts: int = 5
    window_seconds: float = 600.0
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    jitter: float = 0.5
    stagger_seconds: float = 1.0
    deadline_seconds: float = 60.0

    def __attrs_post_init__(self) -> None:
        """Refuse rules that cannot work, all at once."""
        positive = ("check_seconds", "window_seconds", "deadline_seconds")
        others = ("patience_seconds", "max_restarts", "first_wait_seconds", "longest_wait_seconds", "jitter")
        problems = [f"{name}: must be more than 0" for name in positive if not getattr(self, name) > 0]
        problems += [
            f"{name}: must not be negative" for name in (*others, "stagger_seconds") if not getattr(self, name) >= 0
        ]
        if problems:
            raise ConfigurationError(problems)


class RestartBudget:
    """The restarts one collector has used. Moments are monotonic seconds given by the caller."""

    def __init__(self, policy: RestartPolicy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self._used: deque[float] = deque()

    def spend(self, now: float) -> bool:
        """Take one restart; False when none is left within the window."""
        if self.used(now) >= self._policy.max_restarts:
            return False
        self._used.append(now)
        return True

    def used(self, now: float) -> int:
        """Restarts taken within the window that ends now."""
        while self._used and now - self._used[0] >= self._policy.window_seconds:
            self._used.popleft()
        return len(self._used)

    def wait_seconds(self, now: float) -> float:
        """How long to wait before the next restart, jittered."""
        policy = self._policy
        wait = min(policy.longest_wait_seconds, policy.first_wait_seconds * 2.0 ** min(self.used(now), 64))
        return wait * (1.0 + policy.jitter * self._rng.random())

    def reset(self) -> None:
        """Give every restart back."""
        self._used.clear()
