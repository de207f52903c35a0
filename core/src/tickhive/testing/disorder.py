"""A line on which frames are lost, repeated and overtake each other, and a witness to whom nothing happens.

The books of both are compared wherever they stand at the same number, and once more when all is calm again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TypeAlias

from tickhive.channels import Channel, DataType
from tickhive.events import BookDelta, Gap
from tickhive.plugin.contract import BookChecksum, Numbered
from tickhive.session import BookState, Feed
from tickhive.testing.case import CaseFailed, NotOffered
from tickhive.testing.rehearsal import Rehearsal, peeked
from tickhive.testing.subject import Subject
from tickhive.testing.wire import MILLISECOND, SECOND, Parcel, Wire

Key: TypeAlias = tuple[str, int]
Top: TypeAlias = tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]

LEVELS = 10
"""So many levels a side are compared: how deep a book goes depends on when it began."""

PATIENCE = 120.0
"""Seconds within which every book must be live again once the line is calm."""


class Disorder:
    """Order books of two symbols. ``told``: the venue numbers or sums its books, so that a loss shows. ``done`` is what
    was done to the line, ``compared`` counts the states that were held against the witness's.
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
        self.told = tells_losses(subject)
        self.done: list[str] = []
        self.compared = 0
        self._planned: list[str] = []
        self._tops: dict[bool, dict[tuple[Key, int], Top]] = {True: {}, False: {}}
        self._last: dict[tuple[bool, Key], int] = {}
        rehearsal.start(self.channels)
        rehearsal.watch()
        rehearsal.on_change = self._changed
        rehearsal.carrier = self._carry
        if not rehearsal.run_until(lambda: self._all_live(rehearsal.feed), 30.0):
            raise NotOffered("books that begin on a calm line (see TH-601)")

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
        if not self._planned or not changes(self.rehearsal, wire, parcel.frame):
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
            sequence = keeper.sequence
            if keeper.state is BookState.LIVE and sequence is not None and self._last.get((own, key)) != sequence:
                self._last[own, key] = sequence
                try:
                    self._tops[own][key, sequence] = keeper.book.top_text(LEVELS)
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
            if not same(mine.book.top_text(LEVELS), other.book.top_text(LEVELS)):
                raise CaseFailed(
                    f"the book of {channel.symbol} differs from the venue's after {self.story()}",
                    "A snapshot replaces the whole book, a delta sets absolute sizes; zero deletes",
                )

    def story(self) -> str:
        """What was done, in words."""
        words = {"lose": "a lost frame", "repeat": "a repeated frame", "delay": "a late frame", "cut": "a cut line",
                 "be_late": "slow REST answers"}  # fmt: skip
        return ", ".join(words[each] for each in self.done[-8:]) or "a calm while"

    def _all_live(self, feed: Feed) -> bool:
        return all(feed.book(*book_of(channel)).live for channel in self.channels)


def tells_losses(subject: Subject) -> bool:
    """Whether a lost frame shows: by the number of a delta or of the frame, or by a checksum."""
    for sample in subject.samples:
        for event in sample.events:
            if isinstance(event, (BookChecksum, Numbered)):
                return True
            if isinstance(event, BookDelta) and event.sequence is not None:
                return True
    return False


def changes(rehearsal: Rehearsal, wire: Wire, frame: bytes, symbol: str | None = None) -> bool:
    """Whether a frame changes a book, or that of one symbol; changes of nothing do not count."""
    return any(
        isinstance(event, BookDelta) and (event.bids or event.asks) and symbol in (None, event.symbol)
        for event in peeked(rehearsal, wire, frame)
    )


def book_of(channel: Channel) -> Key:
    """Symbol and depth of a book channel."""
    return channel.symbol, int(channel.params) if channel.params.isdecimal() else 0


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
