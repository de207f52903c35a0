"""One number for a whole stream of events: equal digests mean every field of every event is equal, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from tickhive.events import EVENT_TYPES, MarketEvent
from tickhive.rows import row_writer

_WRITERS = {cls: row_writer(cls, cls.__name__) for cls in EVENT_TYPES}
_encode = msgspec.json.Encoder(decimal_format="string").encode


def canonical_line(event: MarketEvent) -> bytes:
    """Write an event as one line of JSON: its class name, then every field in order.

    Decimals are text exactly as they are held, so ``1.0`` and ``1.00`` differ; times are integers, missing values
    null, book levels pairs of text, an instrument a list of its fields. The line does not depend on the machine, the
    Python version or its hash seed.
    """
    return _encode(_WRITERS[event.__class__](event)) + b"\n"


class EventDigest:
    """SHA-256 over the canonical lines of the events seen so far, and their number.

    >>> from decimal import Decimal
    >>> from tickhive.events import MarkPrice
    >>> digest = EventDigest()
    >>> digest.update(MarkPrice("acme", "BTC-USDT", None, 1, Decimal("2.50")))
    >>> digest.count, digest.hexdigest()[:16]
    (1, '6d9f2e745a888f7f')
    """

    __slots__ = ("_hash", "count")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0

    def update(self, event: MarketEvent) -> None:
        """Add one event."""
        self._hash.update(canonical_line(event))
        self.count += 1

    def extend(self, events: Iterable[MarketEvent]) -> None:
        """Add events in order."""
        for event in events:
            self.update(event)

    def hexdigest(self) -> str:
        """Give the digest of everything added so far as 64 hexadecimal digits; more may be added afterwards."""
        return self._hash.hexdigest()
