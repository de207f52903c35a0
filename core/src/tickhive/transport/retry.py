"""How long a server asked us to stay away."""

from __future__ import annotations

import time
from datetime import UTC
from email.utils import parsedate_to_datetime

_LONGEST_SECONDS = 86_400.0


def retry_after_seconds(retry_after: str | None, date: str | None = None) -> float | None:
    """The seconds a ``Retry-After`` header asks for, at most a day; None without one that can be read.

    It holds seconds or a moment (RFC 9110, section 10.2.3). A moment is counted from the answer's ``Date`` where there
    is one, so that a wrong clock here does not matter.
    """
    if retry_after is None:
        return None
    text = retry_after.strip()
    try:
        seconds = float(text)
    except ValueError:
        until = _moment(text)
        if until is None:
            return None
        now = _moment(date)
        seconds = until - (now if now is not None else time.time())
    # Comparisons with NaN are false: what is no number of seconds asks for nothing.
    return min(max(seconds, 0.0), _LONGEST_SECONDS) if seconds == seconds else None


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()
