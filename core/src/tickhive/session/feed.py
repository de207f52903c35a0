"""What outlives the sockets of one collector: its subscriptions, its books and where every stream stood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.events import DATA_TYPE_OF, BookDelta, BookSnapshot, Candle, MarketEvent
from tickhive.session.books import BookKeeper, BookView
from tickhive.session.continuity import Continuity
from tickhive.session.ledger import SubscriptionLedger
from tickhive.session.refill import Hole, report
from tickhive.session.trade_ids import TradeIds

if TYPE_CHECKING:
    from tickhive.plugin.stack import ExchangeStack

STREAM_TYPES = tuple(kind for kind in DATA_TYPE_OF if kind not in (BookSnapshot, BookDelta))
"""The event classes that are streams of independent events; books are chains and have their keepers."""

_CLASS_OF: dict[DataType, type[MarketEvent]] = {DATA_TYPE_OF[kind]: kind for kind in STREAM_TYPES}

BookKey = tuple[str, int]
"""Symbol and depth."""


def book_key(channel: Channel) -> BookKey:
    """The book an order book channel feeds: a numeric parameter is its depth."""
    params = channel.params
    return channel.symbol, int(params) if params.isascii() and params.isdecimal() and len(params) < 10 else 0


class Feed:
    """Shared by all sessions of one collector; each session is handed the same feed.

    ``ledger`` says how far every channel has come, ``books`` keeps every book, ``continuity`` remembers the last event
    of every other stream, so that a hole is recognised when data comes back, ``trade_ids`` where their ids stand.
    ``holes`` are those in the trades whose refill lost its socket, ``refilled`` the
    symbols and ids of the last trades handed out late.
    """

    def __init__(
        self,
        stack: ExchangeStack,
        exchange: str,
        settings: Any,
        instruments: InstrumentTable,
        *,
        verify_checksums: bool = True,
    ) -> None:
        self.stack = stack
        self.exchange = exchange
        self.settings = settings
        self.instruments = instruments
        self.verify_checksums = verify_checksums
        self.continuity = Continuity(STREAM_TYPES)
        self.trade_ids = TradeIds()
        self.holes: list[Hole] = []
        self.refilled: dict[tuple[str, int], None] = {}
        self.books: dict[BookKey, BookKeeper] = {}
        self.ledger = SubscriptionLedger(self.last_received)

    def book(self, symbol: str, depth: int = 0) -> BookView:
        """The book of a symbol, there or not yet: reading it raises BookNotLive until it is live."""
        return BookView(self.keeper((symbol, depth)), self.instruments)

    def keeper(self, key: BookKey) -> BookKeeper:
        """The keeper of a book, made when there is none."""
        keeper = self.books.get(key)
        if keeper is None:
            keeper = self.books[key] = BookKeeper(self.exchange, *key)
        return keeper

    def last_received(self, channel: Channel) -> int | None:
        """When the last event of this channel came, ns UTC."""
        if channel.data_type is DataType.ORDERBOOK:
            keeper = self.books.get(book_key(channel)) or self.books.get((channel.symbol, 0))
            return keeper.last_received if keeper is not None else None
        event = self.continuity.latest(_CLASS_OF[channel.data_type], stream_key(channel))
        return event.received if event is not None else None

    def finish(self) -> list[MarketEvent]:
        """No further socket will come: what was refilled of the holes that still wait, and their gaps as they stand.

        To be called after the last session was closed, by whoever will not dial again.
        """
        out = [event for hole in self.holes for event in report(hole)]
        self.holes.clear()
        return out

    def forget(self, channel: Channel) -> None:
        """Nobody wants this channel any more."""
        self.ledger.forget(channel)
        if channel.data_type is DataType.ORDERBOOK:
            keeper = self.books.pop(book_key(channel), None)
            if keeper is not None:
                keeper.doubt("given up")  # views that are still held must not show it
        else:
            self.continuity.forget(_CLASS_OF[channel.data_type], stream_key(channel))
            if channel.data_type is DataType.TRADE:
                self.trade_ids.forget(channel.symbol)


def stream_key(channel: Channel) -> str | tuple[str, str]:
    """What tells this channel's events from others of its class: candles of one symbol differ by interval."""
    return (channel.symbol, channel.params) if _CLASS_OF.get(channel.data_type) is Candle else channel.symbol
