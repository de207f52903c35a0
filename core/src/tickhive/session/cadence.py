"""How often a channel speaks, learned by looking at it now and then: nothing is counted per event."""

from __future__ import annotations

import math

from tickhive.session.timers import SECOND

MEMORY_SECONDS = 120.0
"""What is learned fades with this time constant, or with ``MEMORY_INTERVALS`` intervals where those last longer."""

MEMORY_INTERVALS = 50.0

LEAST_SECONDS = 10.0
"""What was watched for less is not known yet, nor what spoke fewer than ``LEAST_EVENTS`` times between looks."""

LEAST_EVENTS = 8

INTERVALS = 10.0
"""Quiet for so many intervals is silence."""

LEAST_LIMIT_SECONDS = 5.0
"""Less than this is never silence."""

_LEARN_AFTER = 5 * SECOND  # a stream that never rests need not be learned from at every look
_LONGEST_LOOK = 3 * SECOND  # whoever looks comes every second; after a longer pause nothing is known about it


class Cadence:
    """The mean age of a channel's last event, over all moments it was looked at.

    For events that come at random that is their mean interval; bursts weigh by the silence between them, which is what
    matters here; a strictly regular stream of period P gives P/2. The looks since the last event count once the next
    one has come: a channel that died does not teach that silence is usual, nor does one silence alone, however often
    there is one: only when the next comes soon the pace has changed.
    """

    __slots__ = (
        "_aged",
        "_events",
        "_last",
        "_long",
        "_long_at",
        "_looked",
        "_mean",
        "_seconds",
        "_waited",
        "interval",
        "limit",
    )

    def __init__(self) -> None:
        self.limit: float | None = None
        """Seconds of quiet that are silence; None while that is not known."""
        self.interval: float | None = None
        """The learned interval in seconds; None while it is not known. What little was seen is stretched by its
        uncertainty, so that a stream that began lively is not taken for dead a moment later.
        """
        self._mean = 0.0
        self._seconds = 0.0
        self._events = 0
        self._last = 0
        self._looked = 0
        self._waited = 0.0
        self._aged = 0.0
        self._long = False
        self._long_at: int | None = None

    @property
    def patience(self) -> float:
        """Seconds of quiet that the little that was seen makes likely; to lengthen another limit by."""
        return INTERVALS * self._mean

    def look(self, last: int, since: int, at: int) -> None:
        """Look at a channel whose last event came at ``last``; a wait before ``since`` does not count. All ns UTC.

        Several sockets may carry the channel: the latest of their events is meant.
        """
        if last > self._last:
            if self._waited >= _LEARN_AFTER:
                self._learn(at)
            self._last = last
            self._events += 1
        elapsed = at - self._looked
        self._looked = at
        if 0 < elapsed <= _LONGEST_LOOK:
            begun = self._last if self._last > since else since
            age = (at - begun) / 1e9
            if self.limit is not None and age > self.limit:
                self._long = True
                if age > 2.0 * self.limit:
                    return  # an outage must not teach that outages are usual
                age = self.limit
            if age > 0.0:
                self._aged += age * elapsed
            self._waited += elapsed

    def _learn(self, at: int) -> None:
        waited, mean = self._waited / 1e9, self._aged / self._waited
        memory = max(MEMORY_SECONDS, MEMORY_INTERVALS * self._mean)
        if self._long:
            alone = self._long_at is None or at - self._long_at > memory * 1e9
            self._long, self._long_at = False, at
            if alone:
                self._waited = self._aged = 0.0
                return
        self._seconds = min(self._seconds + waited, memory)
        weight = max(waited / self._seconds, -math.expm1(-waited / memory)) if waited < self._seconds else 1.0
        self._mean += (mean - self._mean) * weight
        self._waited = self._aged = 0.0
        if self.limit is not None or (self._seconds >= LEAST_SECONDS and self._events >= LEAST_EVENTS):
            self.interval = self._mean * (1.0 + 2.0 / math.sqrt(self._events))
            self.limit = max(LEAST_LIMIT_SECONDS, INTERVALS * self.interval)
