"""What outlives the sockets of one collector: its subscriptions, its books and where every stream stood."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any

from tickhive.channels import EVERY, Channel, DataType, InstrumentTable
from tickhive.events import DATA_TYPE_OF, BookDelta, BookSnapshot, Candle, Gap, MarketEvent
from tickhive.session.book_view import BookView
from tickhive.session.books import BookKeeper
from tickhive.session.candle_starts import CandleStarts
from tickhive.session.continuity import Continuity, Ending
from tickhive.session.doubles import Doubles
from tickhive.session.fills import Fills
from tickhive.session.handed_late import HandedLate
from tickhive.session.holdings import Holdings
from tickhive.session.holes import Hole, TradeHole, report
from tickhive.session.ledger import SilenceLimit, SubscriptionLedger
from tickhive.session.orders import Orders
from tickhive.session.trade_ids import TradeIds

if TYPE_CHECKING:
    from tickhive.plugin.stack import ExchangeStack
    from tickhive.session.session import Session

STREAM_TYPES = tuple(kind for kind in DATA_TYPE_OF if kind not in (BookSnapshot, BookDelta))
"""The event classes that are streams of independent events; books are chains and have their keepers."""

CLASS_OF: dict[DataType, type[MarketEvent]] = {DATA_TYPE_OF[kind]: kind for kind in STREAM_TYPES}
"""The event class of every data type but the order book."""

BookKey = tuple[str, int]
"""Symbol and depth."""


def book_key(channel: Channel) -> BookKey:
    """The book an order book channel feeds: a numeric parameter is its depth."""
    params = channel.params
    return channel.symbol, int(params) if params.isascii() and params.isdecimal() and len(params) < 10 else 0


class Feed:
    """Shared by all sessions of one collector; each session is handed the same feed.

    ``sessions`` are those whose socket is open, oldest first; several of them may carry the same channel. ``ledger``
    says how far every channel has come, ``books`` keeps every book, ``continuity`` remembers the last event of every
    other stream, so that a hole is recognised when data comes back, ``trade_ids`` where their ids stand, ``doubles``
    what several sockets brought, ``fills`` which fills were handed out, ``orders`` and
    ``holdings`` how an account stands. ``unseen`` are channels that only keep the
    instruments right: their events are not handed out. ``holes`` are those whose refill lost its socket, ``refilled``
    what was handed out late last, ``on_hole`` hears of each hole that begins to be filled, before any event that
    revealed it is handed out, ``missed_trades`` by symbol how many trades are known to be missing for good,
    ``candle_starts`` where every stream of candles stands. ``paused``: reading is held back on our side.
    """

    def __init__(
        self,
        stack: ExchangeStack,
        exchange: str,
        settings: Any,
        instruments: InstrumentTable,
        *,
        verify_checksums: bool = True,
        silence_limit: SilenceLimit | None = None,
    ) -> None:
        self.stack = stack
        self.exchange = exchange
        self.settings = settings
        self.instruments = instruments
        self.verify_checksums = verify_checksums
        self.paused = False
        self.sessions: list[Session] = []
        self.continuity = Continuity()
        self.trade_ids = TradeIds()
        self.doubles = Doubles(self.continuity, self.trade_ids, self.lacks)
        self.fills = Fills()
        self.orders = Orders()
        self.holdings = Holdings()
        self.unseen: frozenset[Channel] = frozenset()
        self.holes: list[Hole] = []
        self.on_hole: Callable[[Gap], None] | None = None
        self.refilled = HandedLate()
        self.missed_trades: dict[str, int] = {}
        self.candle_starts = CandleStarts()
        self.books: dict[BookKey, BookKeeper] = {}
        self.ledger = SubscriptionLedger(exchange, self.last_received, silence_limit, self.trades_seen)

    def book(self, symbol: str, depth: int = 0) -> BookView:
        """The book of a symbol, there or not yet: reading it raises BookNotLive until it is live."""
        return BookView(self.keeper((symbol, depth)), self.instruments)

    def keeper(self, key: BookKey) -> BookKeeper:
        """The keeper of a book, made when there is none."""
        keeper = self.books.get(key)
        if keeper is None:
            keeper = self.books[key] = BookKeeper(self.exchange, *key)
        return keeper

    # Sockets

    def join(self, session: Session, at: int) -> None:
        """A session's socket is open."""
        self.sessions.append(session)
        session.line.since = at
        self.continuity.lines.append(session.line)
        self.compare(at)

    def part(self, session: Session, cause: str, heard_at: int, at: int) -> list[Ending]:
        """A session's socket is gone, last heard at ``heard_at``; answers the streams this leaves a hole in."""
        if session in self.sessions:
            self.sessions.remove(session)
        self.compare(at)
        return self.continuity.close(session.line, cause, heard_at)

    def compare(self, at: int) -> None:
        """Find out which sockets share channels; to be called whenever any of them carries others."""
        count = Counter(channel for session in self.sessions for channel in session.asking.channels)
        shared = {channel for channel, carriers in count.items() if carriers > 1}
        for session in self.sessions:
            session.share(bool(shared) and not shared.isdisjoint(session.asking.channels), at)
        if not any(session.overlaps for session in self.sessions):
            self.doubles.clear()

    def carriers(self, channel: Channel) -> list[Session]:
        """The sessions that carry a channel on an open socket."""
        return [session for session in self.sessions if channel in session.asking.channels]

    def last_received(self, channel: Channel) -> int | None:
        """When the last event of this channel came, on whatever socket, ns UTC."""
        if channel.data_type is DataType.ORDERBOOK:
            keeper = self.books.get(book_key(channel)) or self.books.get((channel.symbol, 0))
            return keeper.last_received if keeper is not None else None
        if channel.symbol == EVERY:
            times = (session.last_received(channel) for session in self.sessions)
            return max((at for at in times if at is not None), default=None)
        event = self.continuity.latest((CLASS_OF[channel.data_type], stream_key(channel)))
        return event.received if event is not None else None

    # Holes

    def open_holes(self) -> Iterator[Hole]:
        """Those that are being filled: the ones that wait for a socket, then those of each socket."""
        return itertools.chain(self.holes, *(session.refill.holes for session in self.sessions))

    def trades_seen(self, symbol: str) -> tuple[int, int] | None:
        """The trades of a symbol that were handed out, and how many there are by their ids; None where the ids were not
        shown to be consecutive.
        """
        span = self.trade_ids.span(symbol)
        if span is None:
            return None
        expected = span[1] - span[0] + 1
        waiting = (hole.lost() for hole in self.open_holes() if hole.gap.symbol == symbol)
        lost = self.missed_trades.get(symbol, 0) + sum(waiting)
        return max(0, expected - lost), expected

    def lacks(self, symbol: str, number: int) -> bool:
        """Whether the trade of this id is known to be missing: waited for, or told so."""
        if self.trade_ids.lacks(symbol, number):
            return True
        return any(isinstance(hole, TradeHole) and hole.holds(symbol, number) for hole in self.open_holes())

    def finish(self) -> list[MarketEvent]:
        """No further socket will come: what was refilled of the holes that still wait, and their gaps as they stand.

        To be called after the last session was closed, by whoever will not dial again.
        """
        out = [event for hole in self.holes for event in report(hole, self.missed_trades)]
        self.holes.clear()
        return out

    def forget(self, channel: Channel) -> None:
        """Nobody wants this channel any more."""
        self.ledger.forget(channel)
        self.holes = [hole for hole in self.holes if hole.channel != channel]
        for session in self.sessions:
            session.refill.forget(channel)
        if channel.data_type is DataType.ORDERBOOK:
            keeper = self.books.pop(book_key(channel), None)
            if keeper is not None:
                keeper.doubt("given up")  # views that are still held must not show it
        else:
            kind = CLASS_OF[channel.data_type]
            for key in self.continuity.keys(kind) if channel.symbol == EVERY else (stream_key(channel),):
                self.continuity.forget((kind, key))
                self.doubles.forget((kind, key))
            if channel.data_type is DataType.TRADE:
                self.trade_ids.forget(channel.symbol)
                self.refilled.forget(channel.symbol)
                self.missed_trades.pop(channel.symbol, None)
            elif channel.data_type is DataType.CANDLE:
                self.candle_starts.forget(channel.symbol, channel.params)
                self.refilled.forget((channel.symbol, channel.params))


def stream_key(channel: Channel) -> Hashable:
    """What tells this channel's events from others of its class: candles of one symbol differ by interval."""
    return (channel.symbol, channel.params) if CLASS_OF.get(channel.data_type) is Candle else channel.symbol
