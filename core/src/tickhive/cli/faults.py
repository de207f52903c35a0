"""What was received and could not be used, in one line; silent as long as there is nothing of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

_WORDS = {
    "malformed": ("malformed frame", "malformed frames"),
    "unknown": ("unknown frame", "unknown frames"),
    "rejected": ("rejected request", "rejected requests"),
    "checksums_failed": ("failed checksum", "failed checksums"),
    "hook_errors": ("failed plugin hook", "failed plugin hooks"),
}


def faults_line(collectors: Iterable[Any]) -> str:
    """The faults all collectors have counted in their ``statistics``, empty when there are none.

    ``3 malformed frames, 1 failed checksum``
    """
    totals: Counter[str] = Counter()
    for collector in collectors:
        # A collector of the application's own need not count frames.
        totals.update(
            {name: count for name, count in collector.get_status().get("statistics", {}).items() if name in _WORDS}
        )
    return ", ".join(f"{totals[name]:,} {words[totals[name] != 1]}" for name, words in _WORDS.items() if totals[name])
