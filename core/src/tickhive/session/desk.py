"""The books one socket feeds: apply, verify, merge with what others bring, notice a break of one of them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickhive.channels import Channel, DataType
from tickhive.events import BookDelta, BookSnapshot, MarketEvent
from tickhive.plugin.contract import BookChecksum
from tickhive.session.book import BookState
from tickhive.session.books import BookKeeper
from tickhive.session.continuity import Verdict
from tickhive.session.faults import FAULTS, describe
from tickhive.session.feed import BookKey, book_key
from tickhive.session.ledger import RECEIVING, SILENT
from tickhive.session.repair import BookRepair
from tickhive.session.timers import SECOND

if TYPE_CHECKING:
    from tickhive.session.session import Session

LIVE, BROKEN = BookState.LIVE, BookState.BROKEN
ACCEPT, GAP = Verdict.ACCEPT, Verdict.GAP

_LOOK = SECOND // 2  # a book nobody reads is looked at so often, if it changed


class BookDesk:
    """Handlers for book events. Each takes (event, frame, at, out) and appends to ``out`` what consumers get.

    Consumers get every delta the venue sent, also while a book is broken (those who record want them); a Gap stands
    before the first one that does not follow. The hole ends with the next BookSnapshot.

    A book that other sockets carry too is merged: what is known already is dropped, see ``Overlap``.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        feed = session.feed
        self._keepers = feed.books
        self._mine: dict[BookKey, None] = {}  # in the order they came, so that a replay repeats itself
        self._alone: dict[BookKey, BookKeeper] = {}  # those no other socket carries: all that the hot road sees
        self._looking = False
        self._known = b""  # the last frame with a change that was known already: its checksum is of a state gone by
        self.repair = BookRepair(session, self)
        self._verify = feed.verify_checksums and feed.stack.offers("checksum")
        self._checksum = feed.stack.bound("checksum")

    # The hot road

    def delta(self, event: BookDelta, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """A change of a book."""
        keeper = self._alone.get((event.symbol, event.depth))
        if keeper is not None and keeper.state is LIVE:
            verdict = keeper.follow(event)
            if verdict is ACCEPT:
                out.append(event)
            elif verdict is GAP:
                self._broken_by(keeper, event, at, out)
            else:
                self._known = frame
            return
        self._delta(event, at, out)

    def checksum(self, event: BookChecksum, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """The venue's word on what the book should be."""
        keeper = self._keepers.get((event.symbol, event.depth))
        if not self._verify or keeper is None or keeper.state is not LIVE or frame is self._known:
            return
        if keeper.overlap is not None and keeper.overlap.source is not self:
            return  # another socket's change was applied since
        session = self._session
        try:
            right = self._checksum(keeper.book, session.feed.instruments.get(event.symbol)) == event.value
            cause = "checksum failed"
        except FAULTS as error:
            right, cause = False, f"checksum could not be computed: {describe(error)}"
        if right:
            session.statistics.checksums_verified += 1
        else:
            session.statistics.checksums_failed += 1
            self._break(keeper, cause, at, out)

    def snapshot(self, event: BookSnapshot, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """A whole book from the stream: whatever was known is replaced, if that is not later."""
        key = (event.symbol, event.depth)
        keeper = self._alone.get(key)
        if keeper is not None and keeper.state is LIVE:
            keeper.replace(event, fetched=False)
            out.append(event)
            return
        if self._unwanted(key):
            return
        keeper = self._keeper(key)
        overlap = keeper.overlap
        if keeper.state is not LIVE:
            self.repair.announce(keeper, event, at, out)
            keeper.replace(event, fetched=False)
            self._now_live(keeper, at)
        elif overlap is None or overlap.replaces(self, event):
            keeper.replace(event, fetched=False)
        else:
            overlap.heard[self] = at
            self._received(self._session.asking.book_channel(key), at)
            return
        out.append(event)
        if overlap is not None:
            overlap.heard[self] = at
            overlap.replaced(self, event, out)
        self._received(self._session.asking.book_channel(key), at)

    # A book that other sockets carry, or that is not live

    @property
    def is_open(self) -> bool:
        """Whether this socket may still bring something."""
        return self._session.is_open

    def _keeper(self, key: BookKey) -> BookKeeper:
        self._mine[key] = None
        keeper = self._session.feed.keeper(key)
        keeper.join(self)
        if keeper.overlap is None:
            self._alone[key] = keeper
        else:
            for carrier in keeper.carriers:
                carrier.shares(key)
        return keeper

    def _unwanted(self, key: BookKey) -> bool:
        """Whether what comes is of a book that was given up."""
        asking = self._session.asking
        return bool(asking.given_up) and asking.unwanted(DataType.ORDERBOOK, key[0], str(key[1] or ""))

    def shares(self, key: BookKey) -> None:
        """Another socket carries this book too."""
        self._alone.pop(key, None)

    def _delta(self, event: BookDelta, at: int, out: list[MarketEvent]) -> None:
        key = (event.symbol, event.depth)
        if self._unwanted(key):
            return
        keeper = self._keeper(key)
        overlap = keeper.overlap
        if overlap is not None:
            overlap.heard[self] = at
        if keeper.state is not LIVE:
            self._unsettled(keeper, event, at, out)
        elif overlap is None:
            self.delta(event, b"", at, out)  # live, and alone from now on
        else:
            breaking = overlap.follow(self, event, at, out)
            if event.sequence is not None or overlap.source is self:
                self._received(self._session.asking.book_channel(key), at)
            if breaking is not None:
                self._broken_by(keeper, breaking, at, out)
            elif overlap.due is not None:
                self._session.timers.set(self._waited, key, overlap.due)
            elif len(keeper.carriers) == 1 and out and out[-1] is event:
                # The others are gone and this was fresh, so what they brought before has been caught up with.
                keeper.overlap = None
                self._alone[key] = keeper

    def _waited(self, key: BookKey, at: int, out: list[MarketEvent]) -> None:
        """Patience with what one socket brought ahead of the other ends."""
        keeper = self._keepers.get(key)
        if keeper is None or keeper.overlap is None or keeper.state is not LIVE:
            return
        overlap = keeper.overlap
        breaking = overlap.overdue(at)
        if breaking is not None:
            self._broken_by(keeper, breaking, at, out)
        elif overlap.due is not None:
            self._session.timers.set(self._waited, key, overlap.due)

    def _unsettled(self, keeper: BookKeeper, event: BookDelta, at: int, out: list[MarketEvent]) -> None:
        """A delta for a book that is not live: held while a snapshot is on its way."""
        key = (event.symbol, event.depth)
        keeper.heard = at
        broken = keeper.state is BROKEN and keeper.cause is not None
        self.repair.announce(keeper, event, at, out)
        channel = self._session.asking.book_channel(key)
        if broken and channel is not None:
            self.repair.mend(key, at, out)
        elif channel is None or keeper.state is BookState.EMPTY:
            keeper.sync()
        self._received(channel, at)
        self._pass_on(keeper, event, out)

    def _pass_on(self, keeper: BookKeeper, event: BookDelta, out: list[MarketEvent]) -> None:
        """Give consumers a delta that is not applied, once, and hold it where a fetched snapshot will need it."""
        if keeper.unseen(self, event):
            if self.repair.can_fetch and keeper.state is BookState.SYNCING:
                keeper.hold(event)
            out.append(event)

    def _received(self, channel: Channel | None, at: int) -> None:
        """The book's data flows on this socket."""
        asking = self._session.asking
        if channel is not None and asking.state(channel) is not RECEIVING:
            asking.received(channel, at)

    def _broken_by(self, keeper: BookKeeper, event: BookDelta, at: int, out: list[MarketEvent]) -> None:
        """A delta does not follow."""
        seen = event.sequence if event.previous is None else event.previous
        found = None if event.sequence is None else str(event.sequence)
        self._break(keeper, f"expected a delta on {keeper.sequence}, got one on {seen}", at, out, found)
        self._pass_on(keeper, event, out)

    def _break(self, keeper: BookKeeper, cause: str, at: int, out: list[MarketEvent], found: str | None = None) -> None:
        keeper.doubt(cause)
        self._mine[keeper.key] = None
        self.repair.tell(keeper, cause, None, found, at, out)
        self.repair.mend(keeper.key, at, out)

    def _now_live(self, keeper: BookKeeper, at: int) -> None:
        self.repair.done(keeper.key)
        if not self._looking:
            self._looking = True
            self._session.timers.set(self._look_again, None, at + _LOOK)

    def begun(self, channel: Channel) -> bool:
        """Whether an acknowledged book goes on from this socket without a snapshot of its own: something of it came
        here, or on another socket after it was confirmed here. Of one that is silent nothing is waited for.
        """
        if self._session.feed.ledger.state(channel) is SILENT:
            return True
        keeper = self._keepers.get(book_key(channel))
        if not self.repair.can_fetch or keeper is None or keeper.state is not LIVE:
            return False
        overlap = keeper.overlap
        since = self._session.asking.channels[channel].since
        return overlap is None or any(carrier is self or at > since for carrier, at in overlap.heard.items())

    def confirmed(self, key: BookKey, by: int) -> bool:
        """Whether the venue had confirmed on this socket, by then (ns UTC), that it brings a book."""
        channel = self._session.asking.book_channel(key)
        return channel is not None and self._session.asking.confirmed(channel, by)

    # Books that cannot be right

    def look(self, at: int, out: list[MarketEvent]) -> None:
        """Look at the books that changed since: one that is crossed cannot be right, one that grows needs its bound."""
        for key in list(self._mine):
            keeper = self._keepers.get(key)
            if keeper is None or keeper.latest is keeper.looked or keeper.state is not LIVE:
                continue
            keeper.looked = keeper.latest
            keeper.book.bound(keeper.most_levels)
            fault = keeper.fault(self._session.instruments)
            if fault is not None:
                self._break(keeper, fault, at, out)

    def _look_again(self, _about: None, at: int, out: list[MarketEvent]) -> None:
        self.look(at, out)
        self._looking = any(
            keeper is not None and keeper.state is LIVE for keeper in map(self._keepers.get, self._mine)
        )
        if self._looking:
            self._session.timers.set(self._look_again, None, at + _LOOK)

    def unread(self, key: BookKey, cause: str, at: int, out: list[MarketEvent]) -> None:
        """Something that came for a book on this socket could not be read."""
        keeper = self._keepers.get(key) if key in self._mine else None
        if keeper is not None and keeper.state is LIVE and not (keeper.overlap and keeper.overlap.keeps(self)):
            self._break(keeper, cause, at, out)

    def break_all(self, cause: str, at: int, out: list[MarketEvent]) -> None:
        """Frames were lost on this socket: of its books, only those another one keeps are known to be right."""
        for key in list(self._mine):
            keeper = self._keepers.get(key)
            if keeper is None or keeper.state is not LIVE:
                continue
            if keeper.overlap is None or not keeper.overlap.keeps(self):
                self._break(keeper, cause, at, out)

    # Snapshots that were asked for

    def expect(self, channel: Channel, at: int) -> None:
        """A book was asked for: its snapshot streams in, or is fetched when the dial's patience ends."""
        key = book_key(channel)
        self._keeper(key).sync()
        self.repair.expect(key, at)

    def fetched(self, event: BookSnapshot, at: int, out: list[MarketEvent]) -> None:
        """A snapshot that was fetched: used only by a book that is not live, since the stream is never older."""
        key = (event.symbol, event.depth)
        self.repair.fetch_over(key)
        if self._unwanted(key):
            return
        keeper = self._keeper(key)
        if keeper.state is LIVE:
            return
        self.repair.announce(keeper, event, at, out)
        out.append(event)
        if keeper.replace(event, fetched=True):
            self._now_live(keeper, at)
            if keeper.overlap is not None:
                keeper.overlap.replaced(self, event, out)
        else:
            # Older than the deltas held: the next one will reach them.
            keeper.sync()
            self.repair.fetch_later(key, at)

    def fetch_ended(self, key: BookKey, at: int) -> None:
        """A fetch is over; if it brought no snapshot, another is made later."""
        if self.repair.fetch_over(key):
            self.repair.fetch_later(key, at)

    # Sockets that come and go

    def heard(self, key: BookKey) -> int | None:
        """When this book's data last came on this socket, ns UTC."""
        keeper = self._keepers.get(key)
        if keeper is None or self not in keeper.carriers:
            return None
        return keeper.last_received if keeper.overlap is None else keeper.overlap.heard.get(self)

    def lost(self, reason: str) -> None:
        """The socket is gone: books that no other one keeps right are not known to be right until they begin anew."""
        for key in self._mine:
            self._part(key, reason)
        self._mine.clear()

    def leave(self, channel: Channel) -> None:
        """A channel was given up on this socket."""
        key = book_key(channel)
        if key in self._mine:
            self._part(key, "given up on the socket that brought it")
            del self._mine[key]

    def _part(self, key: BookKey, reason: str) -> None:
        self._alone.pop(key, None)
        self.repair.fetch_over(key)
        keeper = self._keepers.get(key)
        if keeper is None or self not in keeper.carriers:
            return
        kept = keeper.overlap is not None and keeper.overlap.keeps(self, self._session.pulse.heard_at)
        del keeper.carriers[self]
        if keeper.overlap is not None:
            keeper.overlap.heard.pop(self, None)
        heir = next((carrier for carrier in keeper.carriers if carrier.is_open), None)
        if keeper.state is LIVE:
            if not kept:
                keeper.doubt(reason)
                keeper.repairer = self
        elif heir is None and keeper.state is not BookState.EMPTY:
            keeper.buffer.clear()
            keeper.state = BROKEN
        if heir is not None:
            heir.inherit(key, repair=keeper.repairer is self)
        if keeper.repairer is self:
            keeper.repairer = heir

    def inherit(self, key: BookKey, repair: bool) -> None:
        """Another socket that carried this book is gone; ``repair``: it was to repair it."""
        keeper = self._keepers[key]
        overlap = keeper.overlap
        if keeper.state is LIVE:
            if overlap is not None and overlap.due is not None:
                self._session.timers.set(self._waited, key, overlap.due)
        elif repair:
            # A socket that has brought nothing yet may be about to bring its snapshot.
            self.repair.inherit(keeper, patient=overlap is not None and self not in overlap.heard)
