"""What came and could not be used: said once for every tenfold, and a fault of the collector when it is most of it."""

from __future__ import annotations

from typing import Any

from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.plugin.stack import ExchangeStack

WORTH_SAYING = {
    "malformed": "last_malformed",
    "unknown": "last_unknown",
    "hook_errors": "last_hook_error",
    "checksums_failed": None,
}
"""Counters that should stay at zero, and where the latest cause stands."""

LOOKS = 3
"""So many looks in a row must find most frames malformed; those between which nothing came do not count."""


class Complaints:
    """Looks at a collector's statistics from time to time and names the package whose answers they are about."""

    def __init__(self, stack: ExchangeStack, telemetry: CollectorStateAndTelemetry) -> None:
        self._stack = stack
        self._telemetry = telemetry
        self._said: dict[str, int] = {}
        self._before = (0, 0)
        self._misread = 0

    def look(self, statistics: dict[str, Any]) -> None:
        """Log what has grown tenfold."""
        for name, latest in WORTH_SAYING.items():
            count = statistics[name]
            if count >= self._said.get(name, 1):
                self._said[name] = 10 ** len(str(count))
                last = statistics[latest] if latest else None
                self._telemetry.log.warning(
                    f"{name.replace('_', ' ')}: {count}",
                    plugin=self._stack.package,
                    **({"last": last} if last else {}),
                )
        frames, malformed = statistics["frames"], statistics["malformed"]
        came, unread = frames - self._before[0], malformed - self._before[1]
        self._before = frames, malformed
        if came > 0:
            self._misread = self._misread + 1 if 2 * unread > came else 0

    @property
    def misread(self) -> bool:
        """Whether the plugin has not been able to read most of what came."""
        return self._misread >= LOOKS

    def misreading(self, statistics: dict[str, Any]) -> str:
        """What is wrong with the plugin's reading, in a sentence that names it."""
        return f"{self._stack.package} cannot read most of what comes: {statistics['last_malformed']}"
