"""The watch over one socket: notices which of its channels fell silent, and what is done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import MarketEvent
from tickhive.session.book import BookState
from tickhive.session.feed import CLASS_OF, book_key, stream_key
from tickhive.session.ledger import ACKNOWLEDGED, RECEIVING, REJECTED, SILENT, WANTED, Carried, LedgerEntry, Remedy
from tickhive.session.timers import SECOND

if TYPE_CHECKING:
    from tickhive.session.session import Session

_EVERY = SECOND
_HOLE = 3 * SECOND  # a look that comes later than this after the one before says nothing about the venue
_LEAST_PATIENCE = 5 * SECOND  # what a remedy gets to show that it helped
_SETTLED = 60 * SECOND  # data that flowed for less before the next silence was no cure
_FIRST_BACKOFF = 60 * SECOND
_LONGEST_BACKOFF = 1800 * SECOND


class Watch:
    """Looks at the channels of a socket once a second, and at the moment one of them becomes silent.

    Each look samples the age of a channel's last event, from which its cadence is learned. What stays quiet longer than
    that lets expect is silent: it is asked for again, then the socket is left for a fresh one, then it is reported and
    asked for less and less often. Many that fall silent together are the socket's fault, which is left at once.

    Nobody is accused while reading is held back on our side, nor after a look that came too late.
    """

    __slots__ = ("_looked", "_session", "_since")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._looked = 0
        self._since = 0

    def begin(self, at: int) -> None:
        """The socket may be asked for channels from now on."""
        self._looked = self._since = at
        self._session.timers.set(self._look, None, at + _EVERY)

    def _look(self, _about: None, at: int, _out: list[MarketEvent]) -> None:
        late = at - self._looked > _HOLE
        self._looked = at
        if late or self._session.feed.paused:
            self._excuse(at)
            self._session.timers.set(self._look, None, at + _EVERY)
            return
        session = self._session
        following = at + _EVERY
        quiet: list[tuple[Carried, float]] = []
        troubled = False
        for channel, carried in session.asking.channels.items():
            if carried.state is WANTED or carried.state is REJECTED:
                continue
            last = self._last(channel, carried)
            if last is not None:
                self._heard(carried, last, at)
            if carried.silent:
                troubled = True
                if channel.data_type is DataType.ORDERBOOK:
                    self._doubt(carried, at)
            elif carried.state is RECEIVING or carried.state is ACKNOWLEDGED:  # else an answer is missing and due
                begun = max(self._since, carried.since, last or 0)
                silent_at = self._silent_at(carried, begun, at)
                if silent_at is not None and silent_at <= at:
                    quiet.append((carried, (at - begun) / SECOND))
                elif silent_at is not None:
                    following = min(following, silent_at)
        if quiet:
            self._accuse(quiet, at)
        if quiet or troubled:
            following = min(following, self._remedy(at))
        session.timers.set(self._look, None, following)

    def _last(self, channel: Channel, carried: Carried) -> int | None:
        """When a channel's data last came on this socket; found by itself once, then where it stands."""
        source = carried.source
        if source is not None:
            event = source[0].get(source[1])
            return event.received if event is not None else None
        session = self._session
        if channel.data_type is not DataType.ORDERBOOK and channel.symbol != EVERY:
            carried.source = session.line.last[CLASS_OF[channel.data_type]], stream_key(channel)
        return session.last_received(channel)

    def _heard(self, carried: Carried, last: int, at: int) -> None:
        """Learn the pace of a channel; data since it was asked for ends a silence."""
        carried.entry.cadence.look(last, self._since, at)
        waited_for = carried.silent or carried.state is not RECEIVING
        if waited_for and last >= carried.asked_at and _answers(carried, last):
            self._session.feed.ledger.received(carried, at)

    def _silent_at(self, carried: Carried, begun: int, at: int) -> int | None:
        """When a channel that has been quiet since ``begun`` is silent; None where that is not before the next look."""
        limit = carried.entry.cadence.limit
        if limit is not None and at - begun < limit * SECOND - _EVERY:
            return None
        limit = self._session.feed.ledger.limit(carried.entry)
        return None if limit is None else begun + int(limit * SECOND)

    def _excuse(self, at: int) -> None:
        """Start every wait anew: what did not come may be our own doing."""
        self._since = at
        for carried in self._session.asking.channels.values():
            if carried.due is not None:
                carried.due = max(carried.due, at + _LEAST_PATIENCE)

    # What is silent

    def _accuse(self, quiet: list[tuple[Carried, float]], at: int) -> None:
        for carried, seconds in quiet:
            entry = carried.entry
            if entry.returned_at is not None and at - entry.returned_at > _SETTLED + 2 * self._patience(carried):
                entry.remedy, entry.asks, entry.returned_at = Remedy.NONE, 0, None
            carried.due = at
            self._session.feed.ledger.fell_silent(carried, f"no data for {seconds:.0f} s", at)
            if entry.channel.data_type is DataType.ORDERBOOK:
                self._doubt(carried, at)

    def _doubt(self, carried: Carried, at: int) -> None:
        """A book whose changes stay away, on every socket, is not known to be right; a fetched one not for long."""
        entry = carried.entry
        keeper = self._session.feed.books.get(book_key(entry.channel))
        if entry.state is not SILENT or keeper is None or keeper.state is not BookState.LIVE:
            return
        limit = self._session.feed.ledger.limit(entry) or 0.0
        if keeper.live_since is None or at - keeper.live_since >= limit * SECOND:
            keeper.doubt(entry.reason or "no data")

    # What is done

    def _remedy(self, at: int) -> int:
        """Do what is due for the silent ones; answers when the next is due."""
        session = self._session
        silent = [each for each in session.asking.channels.values() if each.silent]
        due = [each for each in silent if each.due is not None and each.due <= at]
        if due and session.leaving is None:
            fresh = [each for each in silent if each.entry.remedy is not Remedy.FRESH_SOCKET]
            movable = [each for each in fresh if each.entry.may_move(at)]
            together = len(fresh) >= 2 and 2 * len(fresh) >= self._watched()
            leaving = [each for each in movable if together or (each in due and each.entry.remedy)]
            if leaving:
                self._leave(leaving, at)
            else:
                self._ask(due, at)
        if session.leaving is not None:
            for each in silent:
                each.due = None  # a fresh socket is on its way
        return min((each.due for each in silent if each.due is not None), default=at + _EVERY)

    def _ask(self, due: list[Carried], at: int) -> None:
        asking = []
        for each in due:
            entry = each.entry
            if entry.remedy is Remedy.NONE:
                entry.remedy = Remedy.ASKED_AGAIN
                each.due = at + self._patience(each)
            else:
                each.due = at + min(_LONGEST_BACKOFF, _FIRST_BACKOFF << min(entry.asks, 10))
                entry.asks += 1
                if entry.asks == 1:  # it was asked for a moment ago, or the socket is a fresh one
                    self._session.feed.ledger.report(each, self._used_up(entry, at), at)
                    continue
            entry.tried, entry.tried_at = "asked again", at
            asking.append(entry.channel)
        self._session.asking.again(asking, at)

    def _leave(self, carried: list[Carried], at: int) -> None:
        for each in carried:
            entry = each.entry
            entry.remedy, entry.tried, entry.tried_at, entry.moved_at = Remedy.FRESH_SOCKET, "a fresh socket", at, at
        more = f" and {len(carried) - 1} more" if len(carried) > 1 else ""
        self._session.leave(f"no data for {carried[0].entry.channel}{more}")

    def _watched(self) -> int:
        """How many channels of this socket could fall silent, those not counted that a fresh socket did not help."""
        ledger = self._session.feed.ledger
        return sum(
            (carried.silent or carried.state is RECEIVING or carried.state is ACKNOWLEDGED)
            and not (carried.silent and carried.entry.remedy is Remedy.FRESH_SOCKET)
            and ledger.limit(carried.entry) is not None
            for carried in self._session.asking.channels.values()
        )

    def _patience(self, carried: Carried) -> int:
        limit = self._session.feed.ledger.limit(carried.entry)
        return max(_LEAST_PATIENCE, int((limit or 0.0) * SECOND / 2))

    def _used_up(self, entry: LedgerEntry, at: int) -> str:
        """What to report when nothing helped."""
        last = self._session.feed.last_received(entry.channel)
        quiet = f"no data for {(at - last) / SECOND:.0f} s" if last is not None else "no data since it was asked for"
        if entry.remedy is Remedy.FRESH_SOCKET:
            return f"{quiet}; asking again and a fresh socket did not help"
        return f"{quiet}; asking again did not help, and it was given a fresh socket a moment ago"


def _answers(carried: Carried, last: int) -> bool:
    """Whether data of the very moment of asking is the answer; a book is asked for when an event broke it."""
    return last > carried.asked_at or carried.entry.channel.data_type is not DataType.ORDERBOOK
