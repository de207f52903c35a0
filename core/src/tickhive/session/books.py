"""One book's life: snapshot, chain of deltas, break and repair."""

from __future__ import annotations

from collections import deque

from tickhive.channels import InstrumentTable
from tickhive.events import BookDelta, BookSnapshot
from tickhive.session.book import BookState, OrderBook, ShallowBook
from tickhive.session.continuity import Verdict, chains, judge, moment
from tickhive.session.overlap import MOST_SEEN, Carrier, Mark, Overlap, mark_of
from tickhive.session.timers import SECOND

ACCEPT, DROP, GAP = Verdict.ACCEPT, Verdict.DROP, Verdict.GAP
LIVE = BookState.LIVE

_MOST_BUFFERED = 1000  # deltas kept while a snapshot is fetched: 100 s of a venue that sends ten a second
_LONGEST_HELD = 10 * SECOND  # no venue's REST answers lag behind its stream by more
_FIRST_WAIT = SECOND // 2
_LONGEST_WAIT = 30 * SECOND
_SETTLED = 60 * SECOND  # a book that lived this long starts its waits anew

NO_NUMBER = "a level that is not a number"
MOST_LEVELS = 50_000
"""Levels a side that are kept of a book without depth: above what any venue of today has in its deepest one."""


class BookKeeper:
    """A book with its place in the venue's numbering.

    ``cause`` is set while the book is broken and no Gap has said so yet. ``latest`` is the last event applied,
    ``heard`` when the last one for this book came, applied or not (ns UTC), ``looked`` what ``latest`` was at the last
    look whether the book can be right. ``carriers`` are the sockets that bring it; ``overlap`` is there while these are
    several, and until the one that is left has caught up. ``passed`` are the changes that consumers were given while it
    was not live. ``repairer`` is the one that sees to a repair. ``most_levels`` bounds a side without depth.
    """

    __slots__ = (
        "_stray",
        "book",
        "bridging",
        "buffer",
        "carriers",
        "cause",
        "depth",
        "exchange",
        "heard",
        "key",
        "latest",
        "live_since",
        "looked",
        "most_levels",
        "not_before",
        "overlap",
        "passed",
        "repairer",
        "repairs",
        "sequence",
        "state",
        "symbol",
    )

    def __init__(self, exchange: str, symbol: str, depth: int, most_levels: int = MOST_LEVELS) -> None:
        self.exchange = exchange
        self.symbol = symbol
        self.depth = depth
        self.key = (symbol, depth)
        self.most_levels = most_levels
        self.book = ShallowBook(depth) if depth else OrderBook()
        self.state = BookState.EMPTY
        self.sequence: int | None = None
        self.bridging = False
        self.latest: BookSnapshot | BookDelta | None = None
        self.heard: int | None = None
        self.cause: str | None = None
        self.buffer: deque[BookDelta] = deque(maxlen=_MOST_BUFFERED)
        self.live_since: int | None = None
        self.not_before = 0
        self.repairs = 0
        self.repairer: Carrier | None = None
        self.looked: BookSnapshot | BookDelta | None = None
        self.carriers: dict[Carrier, None] = {}
        self.passed: dict[Mark, None] = {}
        self.overlap: Overlap | None = None
        self._stray: BookDelta | None = None

    def join(self, carrier: Carrier) -> None:
        """A socket asks for the book or brings it."""
        if carrier not in self.carriers:
            if self.carriers and self.overlap is None:
                self.overlap = Overlap(self, next(iter(self.carriers)) if self.state is LIVE else None)
            self.carriers[carrier] = None

    @property
    def last_received(self) -> int | None:
        """When the stream last brought something of this book, ns UTC; a fetched snapshot is none of its doing."""
        applied = self.latest.received if self.latest is not None and not self.bridging else None
        return max(filter(None, (applied, self.heard)), default=None)

    def replace(self, snapshot: BookSnapshot, fetched: bool) -> bool:
        """Begin anew from a snapshot; a ``fetched`` one is followed by the deltas held since.

        Answers whether the book is live: a fetched snapshot older than what is held does not reach it.
        """
        levels = self.depth or snapshot.levels
        if levels != (self.book.depth if isinstance(self.book, ShallowBook) else 0):
            self.book = ShallowBook(levels) if levels else OrderBook()
        try:
            self.book.apply_snapshot(snapshot.bids, snapshot.asks)
        except Exception:
            self.doubt("a snapshot that cannot be read")
            raise
        self.heard = self.last_received
        self.sequence, self.bridging, self.latest = snapshot.sequence, fetched, snapshot
        self._stray = None
        if fetched and not self._catch_up():
            self.book.clear()
            while self.buffer and self.buffer[0].received < snapshot.received - _LONGEST_HELD:
                self.buffer.popleft()  # from before a restart of the numbers: no snapshot to come is older than it
            return False
        self.buffer.clear()
        self.passed.clear()
        self.state = LIVE
        self.live_since = snapshot.received
        return True

    def _catch_up(self) -> bool:
        """Apply the deltas held; False when they do not connect. Those of two sockets come in no common order."""
        waiting = list(self.buffer)
        while waiting:
            left = [delta for delta in waiting if self.follow(delta) is GAP]
            if len(left) == len(waiting):
                return False
            waiting = left
        return True

    def follow(self, delta: BookDelta) -> Verdict:
        """Apply a delta if it continues the chain."""
        verdict = judge(delta, self.sequence, self.bridging)
        if verdict is ACCEPT:
            try:
                self.book.apply_delta(delta.bids, delta.asks)
            except Exception:
                self.doubt("a delta that cannot be read")
                raise
            if delta.sequence is not None:
                self.sequence = delta.sequence
            self.bridging = False
            self.latest = delta
        elif verdict is DROP and self._restarted_unseen(delta):
            return GAP
        return verdict

    def _restarted_unseen(self, delta: BookDelta) -> bool:
        """Whether "already known" is a mistake: the venue restarted its numbers and that very delta was lost.

        Then what is dropped is later than the book by the venue's own clock and forms a chain of its own. Without
        this the book would stand still until the small numbers have grown past the large one.
        """
        latest, stray = self.latest, self._stray
        if latest is None or not self.later(delta):
            return False
        if self.bridging and delta.received < latest.received + _LONGEST_HELD:
            return False  # a fetched snapshot is normally ahead of the stream for a while
        self._stray = delta
        return stray is not None and chains(delta, stray)

    def strayed(self, delta: BookDelta) -> bool:
        """Whether this delta was dropped a moment ago and may be one after a restart of the numbers."""
        return self._stray is delta

    def later(self, event: BookSnapshot | BookDelta) -> bool:
        """Whether an event is later than the book by the venue's clock."""
        latest = self.latest
        return latest is not None and event.timestamp is not None and event.timestamp > moment(latest)

    def earlier(self, event: BookSnapshot | BookDelta) -> bool:
        """Whether an event is earlier than the book by the venue's clock."""
        latest = self.latest
        return latest is not None and None not in (event.timestamp, latest.timestamp) and moment(event) < moment(latest)

    def unseen(self, carrier: Carrier, delta: BookDelta) -> bool:
        """Whether consumers get a delta while the book is not live; they do once."""
        sequence, last = delta.sequence, self.sequence
        if sequence is not None and last is not None and sequence <= last and not self.later(delta):
            return False  # it is from before what broke the book
        if self.overlap is not None:
            return self.overlap.unseen(carrier, delta)
        if sequence is None:
            return True
        mark = mark_of(delta)
        if mark in self.passed:
            return False
        self.passed[mark] = None
        if len(self.passed) > MOST_SEEN:
            del self.passed[next(iter(self.passed))]
        return True

    def hold(self, delta: BookDelta) -> None:
        """Keep a delta until a snapshot is there; the oldest go first when too many wait."""
        self.buffer.append(delta)

    def sync(self) -> None:
        """A snapshot is on its way."""
        if self.state is not LIVE:
            self.state = BookState.SYNCING

    def doubt(self, cause: str) -> None:
        """The book is not known to be right any more; whoever serves it announces that and repairs it."""
        if self.state is not BookState.EMPTY and self.cause is None:
            self.cause = cause
        self.state = BookState.BROKEN
        self.book.clear()
        self.buffer.clear()
        if self.overlap is not None:
            self.overlap.broken()

    def fault(self, instruments: InstrumentTable) -> str | None:
        """Why the book cannot be right as it stands, None when nothing speaks against it. Costs no sorting when it was
        looked at before. Before a market opens, bids and asks may overlap.
        """
        book = self.book
        try:
            if book.reaching:
                instrument = instruments.get(self.symbol)
                if instrument is None or instrument.status != "preopen":
                    return "crossed book"
            if book.exhausted:
                return "the market came near levels that were cut off"
        except (ValueError, ArithmeticError):
            return NO_NUMBER
        return None

    def resume_from(self, event: BookSnapshot | BookDelta, cause: str) -> None:
        """Stand where an earlier run of the process ended: not served, and told as broken when it begins."""
        self.latest, self.sequence, self.cause = event, event.sequence, cause
        self.state = BookState.BROKEN

    def plan_repair(self, at: int) -> None:
        """Count a repair and set the earliest moment of the next: twice the wait each time, up to 30 s."""
        if self.live_since is not None and at - self.live_since > _SETTLED:
            self.repairs = 0
        self.not_before = at + min(_LONGEST_WAIT, _FIRST_WAIT << min(self.repairs, 10))
        self.repairs += 1
