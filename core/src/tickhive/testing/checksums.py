"""How the loss of a change shows in a book: by numbers, or by a checksum, and then only in the levels it sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tickhive.channels import Channel
from tickhive.events import BookDelta, BookSnapshot, Level
from tickhive.plugin.contract import BookChecksum, Numbered
from tickhive.session.book import OrderBook
from tickhive.testing.case import NotOffered

if TYPE_CHECKING:
    from tickhive.testing.subject import Subject

Key: TypeAlias = tuple[str, int]
Way: TypeAlias = Literal["numbers", "checksums"]

LEVELS = 10
"""So many levels a side are compared: how deep a book goes depends on when it began."""

_DEEPEST = 100
"""A checksum that sums more levels than this counts as one over so many."""

LOOK = (
    "The checksums of these books are all that tells: look at TH-604 first, and answer the BookChecksum of every change"
)
"""What to do where nothing but checksums could have shown it."""

USELESS = "checksums that tell one book from another (see TH-604)"
UNTOLD = "numbers or checksums in the books: the loss of a single change cannot be noticed"


class Telling:
    """How losses show in each book of a plugin. NotOffered where they do in none."""

    def __init__(self, subject: Subject) -> None:
        self._numbered = False
        self._ways: dict[Key, Way] = {}
        self._levels: dict[Key, int] = {}
        summed: set[Key] = set()
        for sample in subject.samples:
            for event in sample.events:
                if isinstance(event, Numbered):
                    self._numbered = True
                elif isinstance(event, BookDelta) and event.sequence is not None:
                    self._ways[event.symbol, event.depth] = "numbers"
                elif isinstance(event, BookChecksum):
                    summed.add((event.symbol, event.depth))
        self.useless = False
        if summed - self._ways.keys() and not self._numbered:
            levels = summed_levels(subject)
            for key in summed - self._ways.keys():
                self._levels[key] = levels.get(key, LEVELS)
                if self._levels[key]:
                    self._ways[key] = "checksums"
                else:
                    self.useless = True

    @property
    def missing(self) -> str:
        """What is not there, where nothing tells of losses."""
        return USELESS if self.useless else UNTOLD

    def way(self, key: Key) -> Way | None:
        """How a lost change of this book shows; None: it does not."""
        return self._ways.get(key, "numbers" if self._numbered else None)

    def levels(self, key: Key) -> int:
        """So many levels a side are known to be right. What a checksum does not sum may be wrong for a while."""
        return min(LEVELS, self._levels.get(key, LEVELS))


def summed_levels(subject: Subject) -> dict[Key, int]:
    """How many levels a side the hook ``checksum`` looks at, for each book that began in the calm rehearsal.

    0: none, its value is the same for every book. Empty where the plugin has no such hook or no such rehearsal.
    """
    if not subject.stack.offers("checksum"):
        return {}
    try:
        rehearsal = subject.clean.rehearsal
    except NotOffered:
        return {}
    largest: dict[Key, BookSnapshot] = {}
    for event in rehearsal.events:
        if isinstance(event, BookSnapshot):
            key = (event.symbol, event.depth)
            if key not in largest or len(event.bids) + len(event.asks) > _size(largest[key]):
                largest[key] = event
    found = {}
    for key, snapshot in largest.items():
        instrument = rehearsal.instruments.get(key[0])

        def ask(book: OrderBook, instrument: Any = instrument) -> Any:
            return subject.stack.call.checksum(book=book, instrument=instrument)

        try:
            found[key] = _looked_at(ask, snapshot)
        except Exception:
            continue  # the calm line shows what it raises
    return found


def _size(snapshot: BookSnapshot) -> int:
    return len(snapshot.bids) + len(snapshot.asks)


def _looked_at(ask: Callable[[OrderBook], Any], snapshot: BookSnapshot) -> int:
    bids = sorted(snapshot.bids, key=lambda level: -float(level.price))
    asks = sorted(snapshot.asks, key=lambda level: float(level.price))
    whole = ask(_book(bids, asks))
    most = min(max(len(bids), len(asks)), _DEEPEST)
    for levels in range(most):
        try:
            if ask(_book(bids[:levels], asks[:levels])) == whole:
                return levels
        except Exception:
            continue  # a side without levels need not have a checksum
    return most


def _book(bids: Sequence[Level], asks: Sequence[Level]) -> OrderBook:
    book = OrderBook()
    book.apply_snapshot(bids, asks)
    return book


def shows(book: OrderBook, delta: BookDelta, levels: int) -> bool:
    """Whether a change is seen in so many levels a side."""
    before = book.top_text(levels)
    changed = _book(*([Level(*each) for each in side] for side in book.top_text(100_000)))
    changed.apply_delta(delta.bids, delta.asks)
    return changed.top_text(levels) != before


def book_of(channel: Channel) -> Key:
    """Symbol and depth of a book channel."""
    return channel.symbol, int(channel.params) if channel.params.isdecimal() else 0
