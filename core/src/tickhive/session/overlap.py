"""One book over several sockets: who brings a change first wins, doubles are dropped, what comes early waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from tickhive.events import BookDelta, BookSnapshot, MarketEvent
from tickhive.session.continuity import Verdict, judge
from tickhive.session.timers import SECOND

if TYPE_CHECKING:
    from tickhive.session.books import BookKeeper

ACCEPT, DROP, GAP = Verdict.ACCEPT, Verdict.DROP, Verdict.GAP

_PATIENCE = SECOND  # by so much one socket may be behind another before what it still owes counts as lost
_MOST_EARLY = 1000  # deltas

MOST_SEEN = 256
"""Deltas: at least two seconds of the busiest books there are."""

Mark: TypeAlias = tuple[int | None, int | None, int | None, int | None]
"""What the same change has in common on all sockets."""


class Carrier(Protocol):
    """A socket that brings a book."""

    @property
    def is_open(self) -> bool:
        """Whether it may still bring something."""

    def shares(self, key: tuple[str, int]) -> None:
        """Another socket carries this book too."""

    def inherit(self, key: tuple[str, int], repair: bool) -> None:
        """Another socket that carried this book is gone; ``repair``: it was to repair it."""

    def confirmed(self, key: tuple[str, int], by: int) -> bool:
        """Whether the venue had confirmed on this socket, by then (ns UTC), that it brings this book."""


class Early(NamedTuple):
    """A delta that does not connect yet, when it came (ns UTC), and what it was to the book then."""

    delta: BookDelta
    came: int
    verdict: Verdict


class Overlap:
    """What has to be remembered of a book while more than one socket carries it.

    ``source`` is the socket that brought the last change of a numbered book. One without numbers cannot be merged: it
    belongs to its source, the socket whose snapshot was applied last, and what others bring is not used. ``heard`` is
    when each socket last brought anything of the book (ns UTC). ``early`` are deltas that do not connect yet.
    """

    __slots__ = ("_keeper", "_seen", "early", "heard", "source")

    def __init__(self, keeper: BookKeeper, first: Carrier | None) -> None:
        self._keeper = keeper
        self.source = first
        self.heard: dict[Carrier, int] = {}
        heard = keeper.last_received
        if first is not None and heard is not None:
            self.heard[first] = heard
        # What consumers were given, oldest first; True: it is in the book as it stands. Numbers alone cannot tell:
        # after a restart of the venue's numbers the old ones of a socket that lags look like later ones.
        self._seen: dict[Mark, bool] = dict.fromkeys(keeper.passed, False)
        self.early: dict[Mark, Early] = {}

    # Deltas

    def follow(self, carrier: Carrier, delta: BookDelta, at: int, out: list[MarketEvent]) -> BookDelta | None:
        """Take a delta for a live book; answers the one that breaks it, if it does."""
        keeper = self._keeper
        if delta.sequence is None:
            if self.source is carrier:
                keeper.follow(delta)
                out.append(delta)
            return None
        mark = mark_of(delta)
        known = self._seen.get(mark)
        verdict = DROP if known else keeper.follow(delta)
        if verdict is ACCEPT:
            self.source = carrier
            self._give(mark, delta, known is None, True, out)
            if self.early:
                self._drain(out)
            return None
        if self.source is carrier:
            self.source = None  # what this socket says of its book is about another state than ours
        if verdict is DROP and (known or not keeper.strayed(delta)):
            return None
        if len(self.early) >= _MOST_EARLY or not self._others(carrier):
            return None if verdict is DROP else delta
        self.early.setdefault(mark, Early(delta, at, verdict))
        return None

    def _others(self, carrier: Carrier) -> bool:
        """Whether another socket may still bring what is missing."""
        return any(other is not carrier and other.is_open and other in self.heard for other in self._keeper.carriers)

    def _drain(self, out: list[MarketEvent]) -> None:
        """Apply what connects now."""
        keeper, early = self._keeper, self.early
        progress = True
        while progress and early:
            progress = False
            for mark, waiting in list(early.items()):
                delta = waiting.delta
                verdict = judge(delta, keeper.sequence, keeper.bridging)
                if verdict is ACCEPT:
                    del early[mark]
                    keeper.follow(delta)
                    self.source = None
                    self._give(mark, delta, mark not in self._seen, True, out)
                    progress = True
                elif verdict is DROP and not keeper.later(delta):
                    del early[mark]

    def _give(self, mark: Mark, delta: BookDelta, fresh: bool, applied: bool, out: list[MarketEvent]) -> None:
        if fresh:
            out.append(delta)
        self._note(mark, applied)

    def _note(self, mark: Mark, applied: bool) -> None:
        seen = self._seen
        seen.pop(mark, None)
        seen[mark] = applied
        if len(seen) > MOST_SEEN:
            del seen[next(iter(seen))]

    def unseen(self, carrier: Carrier, delta: BookDelta) -> bool:
        """Whether consumers get a delta of a book that is not live; they do once."""
        if delta.sequence is None:
            if self.source is None or not self.source.is_open:
                self.source = carrier
            return self.source is carrier
        mark = mark_of(delta)
        if mark in self._seen:
            return False
        self._note(mark, False)
        return True

    # What comes early

    @property
    def due(self) -> int | None:
        """When the patience with the first early delta ends, ns UTC."""
        for waiting in self.early.values():
            return waiting.came + _PATIENCE
        return None

    def overdue(self, at: int) -> BookDelta | None:
        """The first early delta when what is before it did not come in time; forgets those that prove nothing."""
        if self.due is None or self.due > at:
            return None
        keeper = self._keeper
        for waiting in self.early.values():
            verdict = judge(waiting.delta, keeper.sequence, keeper.bridging)
            # One that was a gap and has a known number goes on after a restart of the numbers that was missed.
            if verdict is GAP or (waiting.verdict is GAP and keeper.later(waiting.delta)):
                return waiting.delta
        self.early.clear()
        return None

    def release(self, out: list[MarketEvent]) -> list[BookDelta]:
        """The book is broken: consumers get what was held back. Answers it."""
        released = [waiting.delta for waiting in self.early.values()]
        for mark, waiting in self.early.items():
            self._give(mark, waiting.delta, mark not in self._seen, False, out)
        self.early.clear()
        return released

    # Snapshots

    def replaces(self, carrier: Carrier, snapshot: BookSnapshot) -> bool:
        """Whether a snapshot is later than the live book: a socket that joins begins with one that may not be."""
        keeper = self._keeper
        latest, last = keeper.latest, keeper.sequence
        whole_states = isinstance(latest, BookSnapshot)
        if self.source is carrier:
            return True
        if snapshot.sequence is None or last is None:
            if carrier not in self.heard or not whole_states:
                return True  # its deltas build on it: the book goes on with this socket
        elif self._seen.get(_snapshot_mark(snapshot)) or keeper.earlier(snapshot):
            return False
        elif snapshot.sequence > last or len(keeper.carriers) < 2:
            return True
        # Whole states whose numbers say nothing: the later one by the venue's clock.
        return whole_states and keeper.later(snapshot) and (last is None or snapshot.sequence != last)

    def replaced(self, carrier: Carrier, snapshot: BookSnapshot, out: list[MarketEvent]) -> None:
        """A snapshot was applied and handed out: go on with what connects to it."""
        self.source = carrier
        if snapshot.sequence is not None:
            self._note(_snapshot_mark(snapshot), True)
        self._drain(out)

    # Sockets that come and go

    def keeps(self, carrier: Carrier, until: int | None = None) -> bool:
        """Whether the live book stays right without this socket, which was heard ``until`` then (ns UTC): another one
        has brought something of it, or will bring what comes after.
        """
        keeper = self._keeper
        if keeper.sequence is None:
            return self.source is not carrier
        if self._others(carrier):
            return True
        return until is not None and any(
            other is not carrier and other.is_open and other.confirmed(keeper.key, until) for other in keeper.carriers
        )

    def broken(self) -> None:
        """The book is not known to be right: nothing is in it."""
        for mark in self._seen:
            self._seen[mark] = False


def mark_of(delta: BookDelta) -> Mark:
    """Keep-alives repeat their numbers; they differ by time."""
    time = None if delta.bids or delta.asks else delta.timestamp
    return delta.sequence, delta.previous, delta.first, time


def _snapshot_mark(snapshot: BookSnapshot) -> Mark:
    return snapshot.sequence, None, None, -1
