"""What an account's channels do not say by themselves: how things stand, and how orders ended while nobody listened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import DATA_TYPE_OF, Balance, Fill, Filled, Gap, MarketEvent, Order, Position
from tickhive.plugin.contract import Fetch
from tickhive.session.account_requests import Absence, LastWord, RecentFills, Standing, SymbolFills
from tickhive.session.continuity import StreamKey, moment
from tickhive.session.feed import CLASS_OF
from tickhive.session.holdings import Holding, emptied
from tickhive.session.ledger import ACKNOWLEDGED, RECEIVING
from tickhive.session.missed_fills import MissedFills
from tickhive.session.timers import doubled_wait

if TYPE_CHECKING:
    from tickhive.session.session import Session


_MOST_TRIES = 5  # then what is lost is told, and of what cannot be read that it cannot


def account_stream(channel: Channel) -> StreamKey:
    """What stands for the whole of a private channel, whatever symbols its events have."""
    return CLASS_OF[channel.data_type], EVERY


class AccountDesk:
    """Fetches for one socket how its private channels stand, each once it is confirmed, and again where that failed.

    A channel whose state cannot be had, and that no socket carried for a while, is told of as one Gap whose symbol is
    ``EVERY``; so is one whose state was fetched and could not be read, after a few tries. What was fetched is not
    handed out where the stream was faster. Then

    * positions and currencies that were held and are not among those fetched are told as zero;
    * orders that were open before this socket was, and are not among them, have ended: ``backfill`` is asked about
      each, with a Gap of ``DataType.ORDER`` whose ids are the order's. What nobody says is told as that Gap;
    * fills that were missed come late, and their Gap after them. Those that cannot be fetched as a whole are asked for
      by symbol, see ``MissedFills``.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stands: dict[Channel, Standing] = {}
        self._missed = MissedFills(session)

    # What comes

    def order(self, event: Order, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """An order is in another state."""
        if self._unwanted(event):
            return
        orders, overlaps = self._session.feed.orders, self._session.overlaps
        asked_at = None if frame else self._asked_at(event)
        if not orders.outdated(event, asked_at, lagging=overlaps):
            if not frame or not overlaps:
                orders.note(event)
            self._hand_out(event, frame, at, out)

    def holding(self, event: Holding, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """A position, or the funds in one currency."""
        session = self._session
        if self._unwanted(event):
            return
        if not frame or session.overlaps:
            asked_at = None if frame else self._asked_at(event)
            if session.feed.holdings.outdated(event, asked_at, session.statistics.connected_at or 0):
                return
        if not frame or not session.overlaps:
            session.feed.holdings.note(event)
        self._hand_out(event, frame, at, out)

    def handed_out(self, events: Iterable[MarketEvent]) -> None:
        """What is left of a frame when that which another socket was faster with is taken out."""
        for event in events:
            if isinstance(event, Order):
                self._session.feed.orders.note(event)
            elif isinstance(event, Balance | Position):
                self._session.feed.holdings.note(event)

    def _hand_out(self, event: Order | Holding, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        line = self._session.line.last[event.__class__]
        if event.symbol in line:
            line[event.symbol] = event
            out.append(event)
        else:
            self._session.streams.first(event, frame, at, out)

    def _unwanted(self, event: MarketEvent) -> bool:
        """Whether it is of a channel that was given up: another socket may still carry that."""
        return self._session.asking.unwanted(DATA_TYPE_OF[event.__class__], event.symbol, "")

    def _asked_at(self, event: MarketEvent) -> int:
        """When it was last asked how things of this kind stand, ns UTC."""
        data_type = DATA_TYPE_OF[event.__class__]
        return max((each.since for each in self._stands.values() if each.channel.data_type is data_type), default=0)

    # What is asked

    def ask(self, at: int, out: list[MarketEvent]) -> None:
        """Fetch how the channels stand that were confirmed since the last call; where that cannot be had, tell of the
        time in which no socket carried them.
        """
        asking = self._session.asking
        for channel in asking.channels:
            if (
                channel.data_type.private
                and channel not in self._stands
                and asking.state(channel) in (ACKNOWLEDGED, RECEIVING)
            ):
                lost = self._session.feed.continuity.heard(account_stream(channel))
                if channel.data_type is DataType.FILL:
                    standing: Standing = RecentFills(channel, lost, fills=self._session.feed.fills)
                else:
                    standing = Standing(channel, lost)
                self._stands[channel] = standing
                self._fetch(standing, at, out)
        if not any(standing.pages for standing in self._stands.values()):
            self._missed.ask(at, out)

    def _fetch(self, standing: Standing, at: int, out: list[MarketEvent]) -> None:
        channel, session = standing.channel, self._session
        answer = session.hooks.one("snapshot", session=session, channel=channel)
        if isinstance(answer, Fetch):
            standing.begin(at)
            session.fetch_desk.send(answer, standing)
            if isinstance(standing, RecentFills) and standing.lost is not None:
                # What was missed is told when all is read, not with the next fill of each symbol.
                session.feed.continuity.adopt(session.line, Fill)
        elif isinstance(standing, RecentFills) and self._missed.begin(channel, standing.lost, at):
            standing.lost = None
        else:
            self._unknown(standing, "", at, out)

    def forget(self, channel: Channel, at: int) -> None:
        """A channel was given up on this socket: whoever takes it up again does not know how it stands."""
        standing = self._stands.pop(channel, None)
        if standing is not None:
            standing.over = True
            self._session.timers.cancel(self._ask_again, standing)
            self._pass_on(standing, at, self._session.feed.ledger.news)
            self.soon(at)

    def soon(self, at: int) -> None:
        """Channels were confirmed without a word of the venue (the address carried them), or given up."""
        self._session.timers.set(self._due, None, at)

    def _due(self, _about: None, at: int, out: list[MarketEvent]) -> None:
        self.ask(at, out)

    def _ask_again(self, standing: Any, at: int, out: list[MarketEvent]) -> None:
        self._fetch(standing, at, out)
        self.ask(at, out)

    # What is answered

    def ended(self, asked: Standing | LastWord, at: int, out: list[MarketEvent]) -> None:
        """All that was asked was answered, or could not be."""
        if isinstance(asked, LastWord):
            self._give_up(asked, out)
        elif isinstance(asked, SymbolFills):
            self._missed.ended(asked, at, out)
        elif not asked.over:
            self._answered(asked, at, out)
            self.ask(at, out)

    def _answered(self, asked: Standing, at: int, out: list[MarketEvent]) -> None:
        unreadable = not (asked.whole or asked.again or asked.refused)
        asked.unread += unreadable
        if asked.again or (unreadable and asked.unread < _MOST_TRIES):
            self._session.timers.set(self._ask_again, asked, at + doubled_wait(asked.failed))
            asked.failed += 1
            if asked.failed == _MOST_TRIES:
                self._unknown(asked, "", at, out)  # to be asked for still
        elif asked.whole:
            self._known(asked, at, out)
        else:
            self._unknown(asked, "how the account stands could not be read" if unreadable else "", at, out)

    def _known(self, asked: Standing, at: int, out: list[MarketEvent]) -> None:
        """How a channel stands could be read to the end: what was told before and is not there any more has ended."""
        channel, session = asked.channel, self._session
        carried = session.asking.channels.get(channel)
        since = carried.asked_at if carried is not None else asked.since
        if isinstance(asked, RecentFills):
            if asked.lost is not None and not asked.nothing_missed:
                self._tell(asked, "whole" if asked.reached else "part" if asked.came else "none", "", at, out)
        elif channel.data_type is DataType.ORDER:
            self._look_for_endings(channel, since, at, out)
        elif channel.symbol == EVERY:
            kind = CLASS_OF[channel.data_type]
            for holding in session.feed.holdings.untold(kind, session.account, asked.told, since):
                self.holding(emptied(holding, at), b"", at, out)
        asked.lost = None

    def _unknown(self, asked: Standing, cause: str, at: int, out: list[MarketEvent]) -> None:
        """How a channel stands is not to be had; with no ``cause`` that is told only where nobody carried it before."""
        if asked.lost is not None or cause:
            came = isinstance(asked, RecentFills) and asked.came
            self._tell(asked, "part" if came else "none", cause, at, out)

    def lost(self, at: int, out: list[MarketEvent]) -> None:
        """The socket is gone."""
        self._missed.lost(at, out)
        for standing in self._stands.values():
            self._pass_on(standing, at, out)

    def _pass_on(self, standing: Standing, at: int, out: list[MarketEvent]) -> None:
        """What was asked here and not answered is asked on the next socket, if no other one lives."""
        continuity, stream = self._session.feed.continuity, account_stream(standing.channel)
        if standing.lost is None:
            return
        if any(line is not self._session.line and line.covers(stream, at) for line in continuity.lines):
            self._unknown(standing, "", at, out)
        else:
            continuity.unheard[stream] = standing.lost

    def absences(self) -> Iterator[tuple[Channel, Absence]]:
        """Since when each private channel that this socket carries would not be known if the process ended now."""
        for channel, standing in self._stands.items():
            lost = standing.lost or (self._missed.lost_since() if channel.data_type is DataType.FILL else None)
            yield channel, lost or (self._session.pulse.heard_at, "")

    # What is told

    def _tell(self, asked: Standing, filled: Filled, why: str, at: int, out: list[MarketEvent]) -> None:
        """The hole in a channel that ends here; it is told once."""
        session, channel = self._session, asked.channel
        start, cause = asked.lost or (None, "")
        asked.lost = None
        causes = "; ".join(each for each in (cause, why) if each)
        gap = Gap(session.exchange, EVERY, None, at, channel.data_type, start, at, causes, params=channel.params)
        gap.filled = filled
        session.tell_of(gap, out)

    def _look_for_endings(self, channel: Channel, since: int, at: int, out: list[MarketEvent]) -> None:
        session = self._session
        for order in session.feed.orders.untold(session.account, since):
            cause = "the order is open no more, and how it ended was not told"
            gap = Gap(
                order.exchange, order.symbol, None, at, DataType.ORDER, moment(order), None, cause, order.id, order.id,
                params=channel.params,
            )  # fmt: skip
            asked = LastWord(order, gap)
            answer = None
            if session.feed.stack.offers("backfill"):
                answer = session.hooks.one("backfill", session=session, channel=channel, gap=gap)
            if isinstance(answer, Fetch):
                session.fetch_desk.send(answer, asked)
            else:
                self._give_up(asked, out)

    def _give_up(self, asked: LastWord, out: list[MarketEvent]) -> None:
        """Where nothing was heard of the order meanwhile, say so."""
        session, order = self._session, asked.order
        if session.feed.orders.forget(order):
            session.tell_of(asked.gap, out)
