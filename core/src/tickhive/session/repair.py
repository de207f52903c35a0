"""Repair of one socket's books: a break is told of once, and the book gets a snapshot by the gentlest way there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickhive.channels import Channel, DataType
from tickhive.events import Gap, MarketEvent
from tickhive.plugin.contract import Fetch
from tickhive.session.book import BookState
from tickhive.session.books import BookKeeper
from tickhive.session.continuity import moment
from tickhive.session.feed import BookKey
from tickhive.session.ledger import RECEIVING, REJECTED
from tickhive.session.overlap import Carrier
from tickhive.session.timers import SECOND

if TYPE_CHECKING:
    from tickhive.session.session import Session

LIVE = BookState.LIVE

_PATIENCE = 30 * SECOND  # a repair that brought no snapshot by then is tried again
_MOST_REPAIRS = 8  # repairs in a row without a book that lasts: a fresh socket is the better cure


class BookRepair:
    """What one socket does about books that are not live: has them streamed anew, else fetches a snapshot, else ends.

    ``carrier`` is the socket as the books know it. ``can_fetch``: the venue has snapshots by REST.
    """

    def __init__(self, session: Session, carrier: Carrier) -> None:
        self._session = session
        self._carrier = carrier
        self._keepers = session.feed.books
        self._fetching: set[BookKey] = set()
        self.can_fetch: bool = session.feed.stack.offers("snapshot")

    # What is told

    def announce(self, keeper: BookKeeper, event: MarketEvent, at: int, out: list[MarketEvent]) -> None:
        """Say what broke a book behind the road's back: a lost socket, or a reader who found it wrong."""
        if keeper.cause is not None:
            self.tell(keeper, keeper.cause, moment(event), None, at, out)

    def tell(
        self, keeper: BookKeeper, cause: str, end: int | None, found: str | None, at: int, out: list[MarketEvent]
    ) -> None:
        """Announce a hole, once: an open one ends with the next snapshot. ``found`` is the number that came instead of
        the expected one.
        """
        keeper.cause = None
        latest = keeper.latest
        start = moment(latest) if latest is not None else None
        last = str(keeper.sequence) if keeper.sequence is not None else None
        channel = self._session.asking.book_channel(keeper.key)
        params = channel.params if channel is not None else str(keeper.depth or "")
        exchange, symbol = keeper.exchange, keeper.symbol
        out.append(Gap(exchange, symbol, None, at, DataType.ORDERBOOK, start, end, cause, last, found, params=params))
        self._session.statistics.gaps += 1
        if keeper.overlap is not None:
            for delta in keeper.overlap.release(out):
                keeper.hold(delta)

    # What is done

    def expect(self, key: BookKey, at: int) -> None:
        """A snapshot was asked for: it streams in, or is fetched when the dial's patience ends."""
        patience = self._session.dial.patience
        self._session.timers.set(self._impatient, key, at + (_PATIENCE if patience is None else int(patience * SECOND)))

    def mend(self, key: BookKey, at: int, out: list[MarketEvent]) -> None:
        """Get a broken book a snapshot by the gentlest way the venue knows, not too often."""
        session = self._session
        keeper, channel = self._broken(key)
        if keeper is None or channel is None or not session.is_open:
            return
        if at < keeper.not_before:
            session.timers.set(self.mend, key, keeper.not_before)
            return
        if keeper.cause is not None:
            self.tell(keeper, keeper.cause, None, None, at, out)
        keeper.plan_repair(at)
        keeper.repairer = self._carrier
        if keeper.repairs > _MOST_REPAIRS:
            session.close(f"{channel} does not stay right")
            return
        session.statistics.resyncs += 1
        session.timers.set(self.mend, key, max(keeper.not_before, at + _PATIENCE))
        if not session.asking.renew(channel, at) and not self._fetch(keeper, channel, at):
            session.close(f"{channel} is broken and cannot be repaired on this socket")

    def inherit(self, keeper: BookKeeper, *, patient: bool) -> None:
        """The socket that was to repair a book is gone. ``patient``: this one has brought nothing of it yet, and may be
        about to bring its snapshot.
        """
        since = (keeper.last_received or 0) + _PATIENCE if patient else 0
        self._session.timers.set(self.mend, keeper.key, max(keeper.not_before, since))

    def done(self, key: BookKey) -> None:
        """A book is live."""
        self._fetching.discard(key)
        self._session.timers.cancel(self.mend, key)
        self._session.timers.cancel(self._impatient, key)

    def _broken(self, key: BookKey) -> tuple[BookKeeper | None, Channel | None]:
        """A book that is not live and the channel of this socket that may bring it."""
        keeper, channel = self._keepers.get(key), self._session.asking.book_channel(key)
        if keeper is None or channel is None or keeper.state is LIVE:
            return None, None
        return (None, None) if self._session.asking.state(channel) is REJECTED else (keeper, channel)

    def _impatient(self, key: BookKey, at: int, out: list[MarketEvent]) -> None:
        """No snapshot streamed in: fetch one, where that can be done."""
        keeper, channel = self._broken(key)
        if keeper is None or channel is None:
            return
        timers = self._session.timers
        if at < keeper.not_before:
            timers.set(self._impatient, key, keeper.not_before)
            return
        if self.can_fetch:
            keeper.plan_repair(at)
            if self._fetch(keeper, channel, at):
                return
        carried = self._session.asking.channels[channel]
        due = carried.asked_at + _PATIENCE
        if at < due or carried.state is not RECEIVING:
            # It can only stream in, and where nothing else does either there may be no market.
            timers.set(self._impatient, key, max(due, at + _PATIENCE // 2))
        else:
            self.mend(key, at, out)

    # Snapshots by REST

    def _fetch(self, keeper: BookKeeper, channel: Channel, at: int) -> bool:
        """Ask for a snapshot, one at a time for each book; False when the venue knows no way to."""
        key, session = keeper.key, self._session
        if not self.can_fetch:
            return False
        if key in self._fetching:
            return True
        if any(key in other.desk.repair._fetching for other in session.feed.sessions):
            self.fetch_later(key, at)
            return True
        answer = session.hooks.one("snapshot", session=session, channel=channel)
        if not isinstance(answer, Fetch):
            return False
        session.fetch_desk.send(answer, key)
        self._fetching.add(key)
        keeper.sync()
        return True

    def fetch_over(self, key: BookKey) -> bool:
        """No snapshot is on its way any more; False when none was."""
        if key not in self._fetching:
            return False
        self._fetching.discard(key)
        return True

    def fetch_later(self, key: BookKey, at: int) -> None:
        """Ask for a snapshot in a moment, if the book is not live by then."""
        keeper = self._keepers.get(key)
        if keeper is not None:
            self._session.timers.set(self._impatient, key, max(keeper.not_before, at + SECOND // 2))
