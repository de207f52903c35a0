"""What is to be written beside the batches: where the streams stood when so much was accepted, and new holes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TypeAlias

from attrs import frozen

from tickhive.events import Gap, MarketEvent
from tickhive.spool import codec

STREAMS = "streams"
HOLES = "holes"

Rows: TypeAlias = dict[str, bytes]
"""What goes into the file, by name."""


@frozen
class DueNotes:
    """The notes to be written with one batch, and what of them is then done with."""

    rows: Rows
    checkpoint: tuple[int, Sequence[MarketEvent]] | None
    holes: int


class Notes:
    """Made by the event loop, written by the writer's thread in the same transaction as a batch.

    A checkpoint tells where every stream stood when ``accepted`` events had been taken. It is due with the batch that
    holds the last of them, never earlier: what it says is then committed. A hole is noted before the events that
    revealed it and is due at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checkpoint: tuple[int, Sequence[MarketEvent]] | None = None
        self._holes: list[tuple[int, Gap]] = []
        self._written = 0

    def checkpoint(self, accepted: int, events: Sequence[MarketEvent]) -> None:
        """Say where every stream stands now."""
        with self._lock:
            self._checkpoint = (accepted, events)

    def hole(self, accepted: int, gap: Gap) -> None:
        """Say that a hole is being filled; it counts until its Gap was accepted."""
        with self._lock:
            self._holes.append((accepted, gap))

    def due(self, settled: int) -> DueNotes | None:
        """What is to be written with the batch after which ``settled`` events are committed."""
        with self._lock:
            checkpoint = self._checkpoint
            if checkpoint is not None and checkpoint[0] > settled:
                checkpoint = None
            if checkpoint is None and len(self._holes) == self._written:
                return None
            holes = self._later(checkpoint)
        rows = {HOLES: codec.encode([gap for _, gap in holes])}
        if checkpoint is not None:
            rows[STREAMS] = _encode(checkpoint[1])
        return DueNotes(rows, checkpoint, len(holes))

    def done(self, notes: DueNotes) -> None:
        """These notes are committed."""
        with self._lock:
            if notes.checkpoint is not None:
                self._holes = self._later(notes.checkpoint)
                if self._checkpoint is notes.checkpoint:
                    self._checkpoint = None
            self._written = notes.holes

    def _later(self, checkpoint: tuple[int, Sequence[MarketEvent]] | None) -> list[tuple[int, Gap]]:
        """The holes that a checkpoint does not tell of."""
        return [hole for hole in self._holes if checkpoint is None or hole[0] >= checkpoint[0]]


def _encode(events: Sequence[MarketEvent]) -> bytes:
    try:
        return codec.encode(events)
    except Exception:
        return codec.encode([event for event in events if codec.storable(event)])
