"""A book as users hold it: served while it is known to be right, else BookNotLive."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from tickhive.channels import InstrumentTable
from tickhive.errors import BookNotLive
from tickhive.session.book import BookCopy, BookState, OrderBook, PriceSize
from tickhive.session.books import NO_NUMBER, BookKeeper

Read = TypeVar("Read")


class BookView:
    """A book as users hold it: served while it is known to be right, BookNotLive otherwise.

    The view stays valid over breaks and reconnects; it always shows the book of the same symbol and depth.
    """

    __slots__ = ("_instruments", "_keeper")

    def __init__(self, keeper: BookKeeper, instruments: InstrumentTable) -> None:
        self._keeper = keeper
        self._instruments = instruments

    @property
    def exchange(self) -> str:
        """The exchange's name."""
        return self._keeper.exchange

    @property
    def symbol(self) -> str:
        """The normalised symbol."""
        return self._keeper.symbol

    @property
    def depth(self) -> int:
        """Levels a side of the venue's channel; 0: as deep as it goes."""
        return self._keeper.depth

    @property
    def state(self) -> BookState:
        """Empty, syncing, live or broken."""
        return self._keeper.state

    @property
    def live(self) -> bool:
        """Whether the book is known to be right."""
        return self._keeper.state is BookState.LIVE

    @property
    def sequence(self) -> int | None:
        """The venue's number of this state of the book; None where it numbers none."""
        return self._keeper.sequence

    @property
    def timestamp(self) -> int | None:
        """The venue's time of the last change, ns UTC; None where it sends none."""
        latest = self._keeper.latest
        return latest.timestamp if latest is not None else None

    @property
    def received(self) -> int | None:
        """When the last change was received, ns UTC."""
        latest = self._keeper.latest
        return latest.received if latest is not None else None

    @property
    def crossed(self) -> bool:
        """Whether the best bid reaches the best ask. Raises BookNotLive only when the book is not live."""
        return self._live().crossed

    def best_bid(self) -> PriceSize | None:
        """The highest bid as (price, size); None when there is none."""
        return self._read(OrderBook.best_bid)

    def best_ask(self) -> PriceSize | None:
        """The lowest ask as (price, size); None when there is none."""
        return self._read(OrderBook.best_ask)

    def mid(self) -> Decimal | None:
        """The middle between best bid and ask; None while a side is empty."""
        bid, ask = self._read(lambda book: (book.best_bid(), book.best_ask()))
        return (bid[0] + ask[0]) / 2 if bid is not None and ask is not None else None

    def top(self, depth: int) -> tuple[list[PriceSize], list[PriceSize]]:
        """The best ``depth`` bids and asks as (price, size), best first."""
        return self._read(lambda book: book.top(depth))

    def copy(self) -> BookCopy:
        """The whole book as it is now; nothing changes it again. Of a book with more levels than are kept, the far ones
        are missing.
        """
        return self._read(OrderBook.copy)

    def _live(self) -> OrderBook:
        keeper = self._keeper
        if keeper.state is not BookState.LIVE:
            raise BookNotLive(keeper.exchange, keeper.symbol, keeper.state.value)
        return keeper.book

    def _read(self, read: Callable[[OrderBook], Read]) -> Read:
        """Read the book, after a look whether it can be right. Before a market opens its sides may overlap."""
        book, keeper = self._live(), self._keeper
        fault = keeper.fault(self._instruments)
        if fault is None:
            try:
                return read(book)
            except (ValueError, ArithmeticError):
                fault = NO_NUMBER
        keeper.doubt(fault)
        state = "crossed" if fault == "crossed book" else keeper.state.value
        raise BookNotLive(keeper.exchange, keeper.symbol, state)
