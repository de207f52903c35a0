"""The books one socket feeds: apply, verify, announce a break and repair that book alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickhive.channels import Channel, DataType
from tickhive.events import BookDelta, BookSnapshot, Gap, MarketEvent
from tickhive.plugin.contract import BookChecksum, Fetch
from tickhive.session.book import BookState
from tickhive.session.books import BookKeeper
from tickhive.session.continuity import Verdict, moment
from tickhive.session.faults import describe
from tickhive.session.feed import BookKey, book_key
from tickhive.session.ledger import RECEIVING, REJECTED
from tickhive.session.timers import SECOND

if TYPE_CHECKING:
    from tickhive.session.session import Session

LIVE, BROKEN = BookState.LIVE, BookState.BROKEN
ACCEPT, GAP = Verdict.ACCEPT, Verdict.GAP

_REPAIR_PATIENCE = 30 * SECOND  # a repair that brought no snapshot by then is tried again
_MOST_REPAIRS = 8  # repairs in a row without a book that lasts: a fresh socket is the better cure


class BookDesk:
    """Handlers for book events. Each takes (event, frame, at, out) and appends to ``out`` what consumers get.

    Consumers get every delta the venue sent, also while a book is broken (those who record want them); a Gap stands
    before the first one that does not follow. The hole ends with the next BookSnapshot.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        feed = session.feed
        self._keepers = feed.books
        self._mine: dict[BookKey, None] = {}  # in the order they came, so that a replay repeats itself
        self._fetching: set[BookKey] = set()
        self._streams_fetch = feed.stack.offers("snapshot")
        self._verify = feed.verify_checksums and feed.stack.offers("checksum")
        self._checksum = feed.stack.bound("checksum")

    # The hot road

    def delta(self, event: BookDelta, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """A change of a book."""
        keeper = self._keepers.get((event.symbol, event.depth))
        if keeper is not None and keeper.state is LIVE:
            verdict = keeper.follow(event)
            if verdict is ACCEPT:
                out.append(event)
            elif verdict is GAP:
                seen = event.sequence if event.previous is None else event.previous
                self._break(keeper, f"expected a delta on {keeper.sequence}, got one on {seen}", at, out, event)
                out.append(event)
            return
        self._unsettled(event, at, out)

    def checksum(self, event: BookChecksum, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """The venue's word on what the book should be."""
        keeper = self._keepers.get((event.symbol, event.depth))
        if not self._verify or keeper is None or keeper.state is not LIVE:
            return
        session = self._session
        try:
            right = self._checksum(keeper.book, session.feed.instruments.get(event.symbol)) == event.value
            cause = "checksum failed"
        except Exception as error:
            right, cause = False, f"checksum could not be computed: {describe(error)}"
        if right:
            session.statistics.checksums_verified += 1
        else:
            session.statistics.checksums_failed += 1
            self._break(keeper, cause, at, out)

    def snapshot(self, event: BookSnapshot, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """A whole book from the stream: whatever was known is replaced."""
        keeper = self._keepers.get((event.symbol, event.depth))
        if keeper is not None and keeper.state is LIVE:
            keeper.replace(event, fetched=False)
        else:
            keeper = self._keeper((event.symbol, event.depth))
            self._announce(keeper, event, at, out)
            keeper.replace(event, fetched=False)
            self._now_live(keeper)
        out.append(event)

    # A book that is not live

    def _keeper(self, key: BookKey) -> BookKeeper:
        self._mine[key] = None
        return self._session.feed.keeper(key)

    def _unsettled(self, event: BookDelta, at: int, out: list[MarketEvent]) -> None:
        """A delta for a book that is not live: held while a snapshot is on its way."""
        key = (event.symbol, event.depth)
        keeper = self._keeper(key)
        keeper.heard = at
        broken = keeper.state is BROKEN and keeper.cause is not None
        self._announce(keeper, event, at, out)
        channel = self.channel(key)
        if broken and channel is not None:
            self._repair(key, at, out)
        elif channel is None or keeper.state is BookState.EMPTY:
            keeper.sync()
        if self._streams_fetch and keeper.state is BookState.SYNCING:
            keeper.hold(event)
        if channel is not None and self._session.feed.ledger.state(channel) is not RECEIVING:
            self._session.feed.ledger.receiving(channel)
        out.append(event)

    def _announce(self, keeper: BookKeeper, event: MarketEvent, at: int, out: list[MarketEvent]) -> None:
        """Say what broke a book behind the road's back: a lost socket, or a reader who found it wrong."""
        if keeper.cause is not None:
            self._gap(keeper, keeper.cause, moment(event), None, at, out)

    def _break(
        self, keeper: BookKeeper, cause: str, at: int, out: list[MarketEvent], event: BookDelta | None = None
    ) -> None:
        keeper.doubt(cause)
        found = None if event is None or event.sequence is None else str(event.sequence)
        self._gap(keeper, cause, None, found, at, out)
        self._mine[(keeper.symbol, keeper.depth)] = None
        self._repair((keeper.symbol, keeper.depth), at, out)

    def _gap(
        self, keeper: BookKeeper, cause: str, end: int | None, found: str | None, at: int, out: list[MarketEvent]
    ) -> None:
        """Announce a hole, once: an open one ends with the next snapshot."""
        keeper.cause = None
        latest = keeper.latest
        start = moment(latest) if latest is not None else None
        last = str(keeper.sequence) if keeper.sequence is not None else None
        channel = self.channel((keeper.symbol, keeper.depth))
        params = channel.params if channel is not None else str(keeper.depth or "")
        exchange, symbol = keeper.exchange, keeper.symbol
        out.append(Gap(exchange, symbol, None, at, DataType.ORDERBOOK, start, end, cause, last, found, params=params))
        self._session.statistics.gaps += 1

    def _now_live(self, keeper: BookKeeper) -> None:
        key = (keeper.symbol, keeper.depth)
        self._fetching.discard(key)
        session = self._session
        session.timers.cancel(self._repair, key)
        session.timers.cancel(self._impatient, key)
        channel = self.channel(key)
        if channel is not None:
            session.feed.ledger.receiving(channel)

    # Repair

    def channel(self, key: BookKey) -> Channel | None:
        """The channel of this socket that feeds a book."""
        channels = self._session.asking.topic(DataType.ORDERBOOK, key[0])
        for channel in channels:
            if book_key(channel) == key:
                return channel
        return channels[0] if len(channels) == 1 else None

    def expect(self, channel: Channel, at: int) -> None:
        """A book was asked for: its snapshot streams in, or is fetched when the dial's patience ends."""
        key = book_key(channel)
        self._keeper(key).sync()
        patience = self._session.dial.patience
        if patience is not None:
            self._session.timers.set(self._impatient, key, at + int(patience * SECOND))

    def break_all(self, cause: str, at: int, out: list[MarketEvent]) -> None:
        """Frames were lost on this socket: none of its books is known to be right."""
        for key in list(self._mine):
            keeper = self._keepers.get(key)
            if keeper is not None and keeper.state is LIVE:
                self._break(keeper, cause, at, out)

    def _repair(self, key: BookKey, at: int, out: list[MarketEvent]) -> None:
        """Get a broken book a snapshot by the gentlest way the venue knows, not too often."""
        session = self._session
        keeper, channel = self._keepers.get(key), self.channel(key)
        if keeper is None or channel is None or keeper.state is LIVE or not session.is_open:
            return
        if session.feed.ledger.state(channel) is REJECTED:
            return
        if at < keeper.not_before:
            session.timers.set(self._repair, key, keeper.not_before)
            return
        keeper.plan_repair(at)
        if keeper.repairs > _MOST_REPAIRS:
            session.close(f"{channel} does not stay right")
            return
        session.statistics.resyncs += 1
        session.timers.set(self._repair, key, max(keeper.not_before, at + _REPAIR_PATIENCE))
        if not session.asking.renew(channel, at) and not self._fetch(key, channel):
            session.close(f"{channel} is broken and cannot be repaired on this socket")

    def _impatient(self, key: BookKey, at: int, out: list[MarketEvent]) -> None:
        keeper, channel = self._keepers.get(key), self.channel(key)
        if keeper is None or channel is None or keeper.state is LIVE:
            return
        if at < keeper.not_before:
            self._session.timers.set(self._impatient, key, keeper.not_before)
            return
        keeper.plan_repair(at)
        self._fetch(key, channel)

    def _fetch(self, key: BookKey, channel: Channel) -> bool:
        """Ask for a snapshot by REST, one at a time for each book; False when the venue knows no way to."""
        if not self._streams_fetch:
            return False
        if key in self._fetching:
            return True
        answer = self._session.hooks.one("snapshot", session=self._session, channel=channel)
        if not isinstance(answer, Fetch):
            return False
        self._session.send_fetch(answer, key)
        self._fetching.add(key)
        keeper = self._keepers[key]
        keeper.sync()
        return True

    def fetched(self, event: BookSnapshot, at: int, out: list[MarketEvent]) -> None:
        """A snapshot that was fetched: used only by a book that is not live, since the stream is never older."""
        key = (event.symbol, event.depth)
        keeper = self._keeper(key)
        self._fetching.discard(key)
        if keeper.state is LIVE:
            return
        self._announce(keeper, event, at, out)
        out.append(event)
        if keeper.replace(event, fetched=True):
            self._now_live(keeper)
        else:
            # Older than the deltas held: the next one will reach them.
            keeper.sync()
            self._again_later(key, at)

    def fetch_ended(self, key: BookKey, at: int) -> None:
        """A fetch is over; if it brought no snapshot, another is made later."""
        if key in self._fetching:
            self._fetching.discard(key)
            self._again_later(key, at)

    def _again_later(self, key: BookKey, at: int) -> None:
        keeper = self._keepers.get(key)
        if keeper is not None:
            self._session.timers.set(self._impatient, key, max(keeper.not_before, at + SECOND // 2))

    # The end

    def lost(self, reason: str) -> None:
        """The socket is gone: its books are not known to be right until it is back."""
        for key in self._mine:
            keeper = self._keepers.get(key)
            if keeper is not None and keeper.state is not BookState.EMPTY:
                if keeper.state is LIVE:
                    keeper.doubt(reason)
                else:
                    keeper.buffer.clear()
                    keeper.state = BROKEN
