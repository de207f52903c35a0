"""A line on which frames are lost, repeated and overtake each other, and a witness to whom nothing happens.

The books of both are compared wherever they stand at the same number, and once more when all is calm again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Iterable, Sequence
from decimal import Decimal
from typing import TypeAlias

from tickhive.channels import DataType
from tickhive.events import BookDelta, Gap
from tickhive.session import BookState, Feed
from tickhive.session.books import BookKeeper
from tickhive.testing.case import CaseFailed, NotOffered
from tickhive.testing.checksums import LOOK, Key, Telling, book_of
from tickhive.testing.rehearsal import Rehearsal, peeked
from tickhive.testing.subject import Subject
from tickhive.testing.wire import MILLISECOND, SECOND, Parcel, Wire

Top: TypeAlias = tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]

PATIENCE = 120.0
"""Seconds within which every book must be live again once the line is calm."""

_CALM = 3.0
"""Seconds in which it shows whether a book without numbers passes through the states the witness's does."""

_STRAYS = 2
"""So many states in a row that the witness's book never had are too many: a snapshot may fall between two changes."""


class Disorder:
    """Order books of two symbols. ``told``: the venue numbers or sums some of them, so that a loss shows; only their
    changes are lost, repeated and late, and of a book that is only summed only the summed levels are compared. ``done``
    is what was done to the line, ``compared`` counts the states that were held against the witness's.
    """

    def __init__(self, subject: Subject) -> None:
        self.rehearsal = rehearsal = subject.rehearse()
        self.channels = [
            channel
            for channel in subject.channels(rehearsal, DataType.ORDERBOOK, limit=2)
            if rehearsal.stack.call.poll(channel=channel, settings=rehearsal.settings) is None
        ]
        if not self.channels:
            raise NotOffered("order books at the simulated venue")
        self._telling = telling = Telling(subject)
        self._told = {book_of(channel) for channel in self.channels if telling.way(book_of(channel)) is not None}
        self.told = bool(self._told)
        if telling.useless and not self.told:
            raise NotOffered(telling.missing)
        self.done: list[str] = []
        self.compared = 0
        self._planned: list[str] = []
        self._tops: dict[bool, dict[tuple[Key, int], Top]] = {True: {}, False: {}}
        self._last: dict[tuple[bool, Key], object] = {}
        self._unheld: dict[Key, list[Top | None]] = {}  # None: it began afresh
        self._passed: dict[Key, set[Hashable]] = {}
        self._strays: Counter[Key] = Counter()
        rehearsal.start(self.channels)
        rehearsal.watch()
        rehearsal.on_change = self._changed
        rehearsal.carrier = self._carry
        if not rehearsal.run_until(lambda: self._all_live(rehearsal.feed), 30.0):
            raise NotOffered("books that begin on a calm line (see TH-601)")
        summed = [key for key in self._told if telling.way(key) == "checksums"]
        if summed:
            self._unheld, self._passed = {key: [] for key in summed}, {key: set() for key in summed}
            rehearsal.run(_CALM)
            # Where a venue gathers changes for each socket by itself, two sockets never show the same states.
            for key in [key for key in summed if self._stray(key)]:
                del self._unheld[key]

    # What goes wrong

    def lose(self) -> None:
        """The next change of a book never arrives."""
        self._plan("lose")

    def repeat(self) -> None:
        """It arrives twice."""
        self._plan("repeat")

    def delay(self) -> None:
        """It arrives after others that were sent after it."""
        self._plan("delay")

    def cut(self) -> None:
        """The line is gone."""
        self.done.append("cut")
        self.rehearsal.cut()

    def be_late(self) -> None:
        """Answers to requests take two seconds from now on, or no time again."""
        self.done.append("be_late")
        late = self.rehearsal.fetch_delay is not _late
        self.rehearsal.fetch_delay = _late if late else _prompt

    def go_on(self, milliseconds: int) -> None:
        """The market goes on."""
        self.rehearsal.run(milliseconds / 1000)
        self.check()

    def _plan(self, what: str) -> None:
        if self.told:
            self.done.append(what)
            self._planned.append(what)
            self.rehearsal.run_until(lambda: not self._planned, 5.0, 0.05)
            self._planned.clear()

    def _carry(self, wire: Wire, parcel: Parcel) -> Iterable[Parcel]:
        if not self._planned or not changes(self.rehearsal, wire, parcel.frame, self._told):
            return (parcel,)
        match self._planned.pop():
            case "lose":
                return ()
            case "repeat":
                return (parcel, Parcel(parcel.due, parcel.frame))
            case _:
                self.rehearsal.after(350 * MILLISECOND, _at_last, self.rehearsal, wire, parcel)
                return ()

    # What must hold

    def _changed(self, feed: Feed) -> None:
        """Note the tops of books whose number is another."""
        own = feed is self.rehearsal.feed
        for key, keeper in feed.books.items():
            if keeper.state is not BookState.LIVE:
                if own and key in self._unheld:
                    self._unheld[key].append(None)
                continue
            sequence, levels = keeper.sequence, self._telling.levels(key)
            try:
                if sequence is not None:
                    if self._last.get((own, key)) != sequence:
                        self._last[own, key] = sequence
                        self._tops[own][key, sequence] = keeper.book.top_text(levels)
                elif key in self._unheld:
                    top = keeper.book.top_text(levels)
                    if self._last.get((own, key)) != top:
                        self._last[own, key] = top
                        if own:
                            self._unheld[key].append(top)
                        else:
                            self._passed[key].add(_hashable(top))
            except (ValueError, ArithmeticError):
                continue  # such a book is not served either

    def check(self) -> None:
        """Wherever both stand at one number, both have the same book."""
        mine, witnessed = self._tops[True], self._tops[False]
        for place in [place for place in mine if place in witnessed]:
            (symbol, _), sequence = place
            self.compared += 1
            if not same(mine.pop(place), witnessed[place]):
                raise CaseFailed(
                    f"the book of {symbol} at {sequence} is served as live and differs from the venue's, after "
                    f"{self.story()}",
                    "Give deltas the numbers they build on (sequence, previous, first) exactly as the venue sends them",
                )
        for key in self._unheld:
            self.compared += sum(top is not None for top in self._unheld[key])
            if self._stray(key):
                raise CaseFailed(
                    f"the book of {key[0]} is served as live and is none the venue ever had, after {self.story()}", LOOK
                )

    def _stray(self, key: Key) -> bool:
        """Whether a book without numbers went through states in a row that the witness's never had."""
        strayed = False
        for top in self._unheld[key]:
            known = top is None or _hashable(top) in self._passed[key]
            self._strays[key] = 0 if known else self._strays[key] + 1
            strayed = strayed or self._strays[key] >= _STRAYS
        self._unheld[key].clear()
        return strayed

    def settle(self) -> None:
        """The line is calm: every book comes back, and is the venue's."""
        rehearsal = self.rehearsal
        rehearsal.fetch_delay = _prompt
        self._planned.clear()
        witness = rehearsal.witness
        assert witness is not None
        if not rehearsal.run_until(lambda: self._all_live(rehearsal.feed), PATIENCE, 1.0):
            for channel in self.channels:
                book = rehearsal.feed.book(*book_of(channel))
                if not book.live:
                    raise CaseFailed(
                        f"the book of {channel.symbol} is still {book.state} {PATIENCE:g} s after {self.story()}",
                        "A book is asked for afresh by unsubscribe and subscribe, or by snapshot: its snapshot must "
                        "carry the number the next delta builds on",
                    )
        rehearsal.run(1.0)
        self.check()
        for channel in self.channels:
            key = book_of(channel)
            mine, other = rehearsal.feed.books[key], witness.books[key]
            if mine.state is not BookState.LIVE or other.state is not BookState.LIVE or mine.sequence != other.sequence:
                continue
            self.compared += 1
            levels, summed = self._telling.levels(key), self._telling.way(key) == "checksums"

            def alike(mine: BookKeeper = mine, other: BookKeeper = other, levels: int = levels) -> bool:
                return same(mine.book.top_text(levels), other.book.top_text(levels))

            # A loss that only a checksum shows is noticed at the next change.
            if not (rehearsal.run_until(alike, _CALM, 0.1) if summed else alike()):
                raise CaseFailed(
                    f"the book of {channel.symbol} differs from the venue's after {self.story()}",
                    LOOK if summed else "A snapshot replaces the whole book, a delta sets absolute sizes; zero deletes",
                )

    def story(self) -> str:
        """What was done, in words."""
        words = {"lose": "a lost frame", "repeat": "a repeated frame", "delay": "a late frame", "cut": "a cut line",
                 "be_late": "slow REST answers"}  # fmt: skip
        return ", ".join(words[each] for each in self.done[-8:]) or "a calm while"

    def _all_live(self, feed: Feed) -> bool:
        return all(feed.book(*book_of(channel)).live for channel in self.channels)


def changes(rehearsal: Rehearsal, wire: Wire, frame: bytes, books: Container[Key]) -> list[BookDelta]:
    """The changes of these books in a frame; changes of nothing do not count."""
    return [
        event
        for event in peeked(rehearsal, wire, frame)
        if isinstance(event, BookDelta) and (event.bids or event.asks) and (event.symbol, event.depth) in books
    ]


def gaps_of(events: Iterable[object], symbol: str) -> list[Gap]:
    """The holes in a symbol's book."""
    return [
        event
        for event in events
        if isinstance(event, Gap) and event.symbol == symbol and event.data_type is DataType.ORDERBOOK
    ]


def same(one: Top, other: Top) -> bool:
    """Whether two books show the same at their top: as text, or else as numbers."""
    return one == other or _numbers(one) == _numbers(other)


def _hashable(top: Top) -> Hashable:
    return tuple(map(tuple, _numbers(top)))


def _numbers(top: Top) -> list[list[tuple[Decimal, Decimal]]]:
    return [[(Decimal(price), Decimal(size)) for price, size in side] for side in top]


def _at_last(rehearsal: Rehearsal, wire: Wire, parcel: Parcel) -> None:
    if wire.alive:
        parcel.due = rehearsal.now
        wire.way.appendleft(parcel)


def _late(_: object) -> int:
    return 2 * SECOND


def _prompt(_: object) -> int:
    return 0
