"""What one socket asks of the venue: subscribe, wait for the answer, ask again, give up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from attrs import define, field

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import MarketEvent
from tickhive.plugin.contract import Accepted, Rejected, Request, Unsubscribed
from tickhive.session.feed import BookKey, book_key
from tickhive.session.ledger import ACKNOWLEDGED, ASKED, RECEIVING, Carried, SubscriptionState
from tickhive.session.timers import SECOND, doubled_wait

if TYPE_CHECKING:
    from tickhive.session.session import Session


@define(eq=False)
class Pending:
    """A request without its answer, sent at ``at`` for these ``channels``; ``giving_up`` tells unsubscribe from
    subscribe.
    """

    giving_up: bool
    id: str | None
    attempt: int
    at: int
    channels: dict[Channel, None] = field(factory=dict)


class Asking:
    """The channels of one socket and its open requests. Each has at most one open request; a later one replaces it.

    ``channels`` tells how far each has come on this socket, whatever other sockets do. ``given_up`` are the parameters,
    by topic, of channels that are carried no more and that the venue may go on sending.
    """

    def __init__(self, session: Session, channels: Iterable[Channel], ack_seconds: float) -> None:
        self._session = session
        self._ack = int(ack_seconds * SECOND)
        self.channels: dict[Channel, Carried] = {}
        self._topics: dict[tuple[DataType, str], list[Channel]] = {}
        self._by_id: dict[str, Pending] = {}
        self._by_channel: dict[Channel, Pending] = {}
        self._renewing: set[Channel] = set()
        self._leaving: dict[Channel, Carried] = {}
        self.given_up: dict[tuple[DataType, str], set[str]] = {}
        self._later: dict[Channel, int] = {}
        self.take(channels)

    def state(self, channel: Channel) -> SubscriptionState | None:
        """How far this socket has come with a channel; None for one it does not carry."""
        carried = self.channels.get(channel)
        return carried.state if carried is not None else None

    def confirmed(self, channel: Channel, by: int) -> bool:
        """Whether the venue had confirmed a channel on this socket by then (ns UTC)."""
        carried = self.channels.get(channel)
        return carried is not None and carried.state in (ACKNOWLEDGED, RECEIVING) and carried.since <= by

    def received(self, channel: Channel, at: int) -> None:
        """A channel's data came on this socket: its first, or what ends a silence."""
        carried = self.channels.get(channel)
        if carried is not None:
            self._session.feed.ledger.received(carried, at)

    def take(self, channels: Iterable[Channel], at: int | None = None) -> list[Channel]:
        """Carry these channels too; answers those that were not carried before."""
        ledger = self._session.feed.ledger
        added = [channel for channel in dict.fromkeys(channels) if channel not in self.channels]
        ledger.want(added, at)
        for channel in added:
            leaving = self._leaving.pop(channel, None)
            if leaving is not None:
                ledger.released(leaving, at)
            self.channels[channel] = ledger.carry(channel)
            self._quiet(channel)
            self._topics.setdefault((channel.data_type, channel.symbol), []).append(channel)
        return added

    def topic(self, data_type: DataType, symbol: str) -> Sequence[Channel]:
        """The channels of a symbol and type, whatever their parameters."""
        return self._topics.get((data_type, symbol), ())

    def book_channel(self, key: BookKey) -> Channel | None:
        """The channel that feeds a book: its own, or the only one of its symbol."""
        channels = self.topic(DataType.ORDERBOOK, key[0])
        for channel in channels:
            if book_key(channel) == key:
                return channel
        return channels[0] if len(channels) == 1 else None

    def unwanted(self, data_type: DataType, symbol: str, params: str = "") -> bool:
        """Whether what comes is of a channel that was given up, which the venue may go on sending, and of none that is
        carried. ``params`` of candles and books, whose events tell them.
        """
        gone = self.given_up.get((data_type, symbol)) or self.given_up.get((data_type, EVERY))
        if gone is None:
            return False
        carried = self._topics.get((data_type, symbol)) or self._topics.get((data_type, EVERY))
        return not carried or (params in gone and all(channel.params != params for channel in carried))

    def _quiet(self, channel: Channel) -> None:
        """What comes of a channel is wanted, or will not come."""
        topic = (channel.data_type, channel.symbol)
        gone = self.given_up.get(topic)
        if gone is not None:
            gone.discard(channel.params)
            if not gone:
                del self.given_up[topic]

    # Asking

    def subscribe(self, channels: Iterable[Channel], at: int, attempt: int = 1) -> None:
        """Ask for channels. What no request names was carried by the address and counts as acknowledged."""
        session, ledger = self._session, self._session.feed.ledger
        wanted = ledger.askable(channel for channel in channels if channel in self.channels)
        if not wanted:
            return
        requests, fault = session.hooks.many(
            "subscribe", session=session, channels=wanted, credentials=session.credentials, at=at
        )
        if fault is not None:
            if len(wanted) > 1:
                for channel in wanted:
                    self.subscribe([channel], at, attempt)
            else:
                ledger.rejected(self.channels[wanted[0]], fault, at)
            return
        for channel in wanted:
            ledger.asked(self.channels[channel], at)
            self._later.pop(channel, None)
        self._send(requests, at, attempt, giving_up=False)
        for channel in wanted:
            if channel not in self._by_channel:
                ledger.acknowledged(self.channels[channel], at)
                if channel.data_type.private:
                    session.account_desk.soon(at)
            if channel.data_type is DataType.ORDERBOOK:
                session.desk.expect(channel, at)

    def renew(self, channel: Channel, at: int) -> bool:
        """Give a channel up and, once that is confirmed, ask for it again; False when the venue knows no way to."""
        return self._renew([channel], at)

    def again(self, channels: Sequence[Channel], at: int) -> None:
        """Ask once more for channels that should be flowing, those with an open request excepted."""
        due = [channel for channel in channels if channel in self.channels and channel not in self._by_channel]
        if due and not self._renew(due, at):
            self.subscribe(due, at)
            for channel in due:
                self._session.streams.interrupted(channel, at, at)

    def _renew(self, channels: list[Channel], at: int) -> bool:
        renewing = set(channels) - self._renewing
        self._renewing |= renewing
        if self._unsubscribe(channels, at):
            return True
        self._renewing -= renewing
        return False

    def leave(self, channels: Iterable[Channel], at: int) -> bool:
        """Give channels up for good; False when that takes a fresh socket."""
        leaving = [channel for channel in channels if channel in self.channels]
        for channel in leaving:
            self._leaving[channel] = self.channels.pop(channel)
            topic = (channel.data_type, channel.symbol)
            self._topics[topic].remove(channel)
            if not self._topics[topic]:
                del self._topics[topic]
            self.given_up.setdefault(topic, set()).add(channel.params)
            self._later.pop(channel, None)
            self._renewing.discard(channel)
        if not leaving:
            return True
        if self._unsubscribe(leaving, at):
            return True
        for channel in leaving:
            self._given_up(channel, at)
        return False

    def _unsubscribe(self, channels: list[Channel], at: int) -> bool:
        session = self._session
        if not session.feed.stack.offers("unsubscribe"):
            return False
        requests, fault = session.hooks.many(
            "unsubscribe", session=session, channels=channels, credentials=session.credentials, at=at
        )
        if fault is not None or not requests:
            return False
        self._send(requests, at, 1, giving_up=True)
        for channel in channels:
            if channel not in self._by_channel:  # no request names it, so no answer will
                self._given_up(channel, at)
        return True

    def _send(self, requests: Sequence[Request], at: int, attempt: int, giving_up: bool) -> None:
        for request in requests:
            self._session.outbox.append(request)
            if not request.channels:
                continue
            pending = Pending(giving_up, request.id, attempt, at, dict.fromkeys(request.channels))
            for channel in request.channels:
                self._by_channel[channel] = pending
            if request.id is not None:
                self._by_id[request.id] = pending
            self._session.timers.set(self._unanswered, pending, at + self._ack)

    # Answers

    def accepted(self, event: Accepted, at: int) -> None:
        """The venue confirmed a request. Where it echoes only an id, the request tells what was confirmed."""
        for channel, pending in self._named(event.id, event.channels):
            if pending is not None and pending.giving_up:
                # A channel named without the id may be the late answer to an earlier subscribe.
                if event.id is not None and event.id == pending.id:
                    self._given_up(channel, at, confirmed=True)
            else:
                self._answered(channel)
                if channel in self.channels:
                    self._session.feed.ledger.acknowledged(self.channels[channel], at)

    def unsubscribed(self, event: Unsubscribed, at: int) -> None:
        """The venue confirmed that channels are no longer sent."""
        for channel, _ in self._named(event.id, event.channels):
            self._given_up(channel, at, confirmed=True)

    def rejected(self, event: Rejected, at: int) -> bool:
        """The venue refused something; False when nobody can tell what."""
        named = self._named(event.id, event.channels)
        if not named and event.id is None and not event.channels:
            # Nothing is named. With one request open it can only be that one.
            waiting = {id(pending): pending for pending in self._by_channel.values()}
            if len(waiting) == 1:
                (pending,) = waiting.values()
                named = [(channel, pending) for channel in pending.channels if self._by_channel.get(channel) is pending]
        if not named:
            return False
        given_up = [channel for channel, pending in named if pending is not None and pending.giving_up]
        for channel in given_up:
            self._given_up(channel, at)
        refused = [channel for channel, pending in named if pending is None or not pending.giving_up]
        for channel in refused:
            self._answered(channel)
        if event.kind in ("rate", "retry"):
            for channel in refused:
                self._ask_later(channel, event.reason, at)
        elif len(refused) > 1 and not event.channels:
            # One of them is at fault and the venue does not say which: each alone, the good ones run.
            for channel in refused:
                self.subscribe([channel], at)
        else:
            for channel in refused:
                if channel in self.channels:
                    self._session.feed.ledger.rejected(self.channels[channel], event.reason, at)
        return True

    def _named(self, id: str | None, channels: Sequence[Channel]) -> list[tuple[Channel, Pending | None]]:
        """The channels an answer is about, each with the open request it answers."""
        if channels:
            return [(channel, self._by_channel.get(channel)) for channel in channels]
        pending = self._by_id.get(id) if id is not None else None
        if pending is None:
            return []
        return [(channel, pending) for channel in pending.channels if self._by_channel.get(channel) is pending]

    def _answered(self, channel: Channel) -> Pending | None:
        """Close the channel's open request; the request itself when this was the last of its channels."""
        pending = self._by_channel.pop(channel, None)
        if pending is not None:
            pending.channels.pop(channel, None)
            if not pending.channels:
                self._close(pending)
        return pending

    def _close(self, pending: Pending) -> None:
        self._session.timers.cancel(self._unanswered, pending)
        if pending.id is not None and self._by_id.get(pending.id) is pending:
            del self._by_id[pending.id]

    def _given_up(self, channel: Channel, at: int, *, confirmed: bool = False) -> None:
        """The venue no longer sends this channel: ask again if that was the aim, else forget it. ``confirmed``: it said
        so itself.
        """
        pending = self._answered(channel)
        if confirmed:
            self._quiet(channel)
        if channel in self._renewing:
            self._renewing.discard(channel)
            self._session.account_desk.forget(channel, at)
            self.subscribe([channel], at)
            self._session.streams.interrupted(channel, pending.at if pending is not None else at, at)
        elif channel in self._leaving:
            self._forget(channel, at)

    def _forget(self, channel: Channel, at: int) -> None:
        self._session.feed.ledger.released(self._leaving.pop(channel), at)
        self._session.forget(channel, at)

    # Deadlines

    def _unanswered(self, pending: Pending, at: int, _out: list[MarketEvent]) -> None:
        """No answer in time: once more, then the socket is not to be trusted. Data that flows is answer enough."""
        self._close(pending)
        left = [channel for channel in pending.channels if self._by_channel.get(channel) is pending]
        for channel in left:
            del self._by_channel[channel]
        if pending.giving_up:
            for channel in left:
                self._given_up(channel, at)
            return
        left = [channel for channel in left if self.state(channel) is ASKED]
        if not left:
            return
        if pending.attempt == 1:
            self.subscribe(left, at, attempt=2)
            return
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        reason = f"no acknowledgement of {left[0]}{more}"
        if not any(carried.state is RECEIVING for carried in self.channels.values()):
            self._session.close(reason)
        elif self._session.leaving is None:
            # Others flow here: they are not cut off, and not moved for the same channel time and again.
            entries = [self.channels[channel].entry for channel in left]
            if any(entry.may_move(at) for entry in entries):
                for entry in entries:
                    entry.moved_at = at
                self._session.leave(reason)
            else:
                for channel in left:
                    self._ask_later(channel, "no acknowledgement", at)

    def _ask_later(self, channel: Channel, reason: str, at: int) -> None:
        carried = self.channels.get(channel)
        if carried is None:
            return
        attempts = self._session.feed.ledger.postponed(carried, reason, at)
        self._later[channel] = at + doubled_wait(attempts - 1)
        self._session.timers.set(self._again, None, min(self._later.values()))

    def _again(self, _about: None, at: int, _out: list[MarketEvent]) -> None:
        due = [channel for channel, moment in self._later.items() if moment <= at]
        for channel in due:
            del self._later[channel]
        if self._later:
            self._session.timers.set(self._again, None, min(self._later.values()))
        self.subscribe(due, at)

    # The end

    def lost(self, reason: str, at: int) -> None:
        """The socket is gone: what no other one carries is wanted again, what was being given up is gone with it."""
        for carried in self.channels.values():
            self._session.feed.ledger.dropped(carried, reason, at)
        for channel in list(self._leaving):
            self._forget(channel, at)
