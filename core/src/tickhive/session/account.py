"""What an account's channels do not say by themselves: how things stand, and how orders ended while nobody listened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Gap, MarketEvent, Order
from tickhive.plugin.contract import Fetch, Malformed, Rejected
from tickhive.session.continuity import StreamKey, moment
from tickhive.session.feed import CLASS_OF
from tickhive.session.ledger import ACKNOWLEDGED, RECEIVING
from tickhive.session.timers import doubled_wait

if TYPE_CHECKING:
    from tickhive.session.session import Session


def account_stream(channel: Channel) -> StreamKey:
    """What stands for the whole of a private channel, whatever symbols its events have."""
    return CLASS_OF[channel.data_type], EVERY


@define(eq=False)
class Standing:
    """Requests for how a channel stands: its snapshot, page by page. ``whole``: everything could be read so far."""

    channel: Channel
    whole: bool = True
    again: bool = False

    def note(self, event: object) -> None:
        """Look at what an answer said."""
        if isinstance(event, Rejected):
            self.whole = False
            self.again = event.kind in ("rate", "retry")
        elif isinstance(event, Malformed):
            self.whole = False


@define(eq=False)
class LastWord:
    """A request for how one order ended; ``gap`` is told where nobody says."""

    order: Order
    gap: Gap


class AccountDesk:
    """Fetches for one socket how its private channels stand, each once it is confirmed, and again where that failed.

    A channel whose state cannot be fetched and that no socket carried for a while is told of as one Gap whose symbol is
    ``EVERY``. Orders that were open before this socket was, and are not among those fetched, have ended: ``backfill``
    is asked about each, with a Gap of ``DataType.ORDER`` whose ids are the order's. What nobody says is told as that
    Gap.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked: set[Channel] = set()
        self._failures = 0

    def order(self, event: Order, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """An order is in another state."""
        session = self._session
        session.feed.orders.note(event)
        line = session.line.last[Order]
        if event.symbol in line:
            line[event.symbol] = event
            out.append(event)
        else:
            session.streams.first(event, frame, at, out)

    def ask(self, at: int, out: list[MarketEvent]) -> None:
        """Fetch how the channels stand that were confirmed since the last call; where that cannot be had, tell of the
        time in which no socket carried them.
        """
        asking = self._session.asking
        for channel in asking.channels:
            if (
                channel.data_type.private
                and channel not in self._asked
                and asking.state(channel) in (ACKNOWLEDGED, RECEIVING)
            ):
                self._asked.add(channel)
                answer = self._session.hooks.one("snapshot", session=self._session, channel=channel)
                lost = self._session.feed.continuity.heard(account_stream(channel))
                if isinstance(answer, Fetch):
                    self._session.send_fetch(answer, Standing(channel))
                elif lost is not None:
                    self._session.statistics.gaps += 1
                    exchange, data_type, params = self._session.exchange, channel.data_type, channel.params
                    out.append(Gap(exchange, EVERY, None, at, data_type, lost[0], at, lost[1], params=params))

    def soon(self, at: int) -> None:
        """Channels were confirmed without a word of the venue: the address carried them."""
        self._session.timers.set(self._due, None, at)

    def _due(self, _about: None, at: int, out: list[MarketEvent]) -> None:
        self.ask(at, out)

    def ended(self, asked: Standing | LastWord, at: int, out: list[MarketEvent]) -> None:
        """All that was asked was answered."""
        if isinstance(asked, LastWord):
            self._give_up(asked, out)
        elif asked.again:
            self.failed(asked, at, out)
        else:
            self._failures = 0
            if asked.whole and asked.channel.data_type is DataType.ORDER:
                self._look_for_endings(asked.channel, at, out)

    def failed(self, asked: Standing | LastWord, at: int, out: list[MarketEvent]) -> None:
        """Something could not be asked."""
        if isinstance(asked, LastWord):
            self._give_up(asked, out)
            return
        self._session.timers.set(self._ask_again, asked.channel, at + doubled_wait(self._failures))
        self._failures += 1

    def _ask_again(self, channel: Any, at: int, out: list[MarketEvent]) -> None:
        self._asked.discard(channel)
        self.ask(at, out)

    def _look_for_endings(self, channel: Channel, at: int, out: list[MarketEvent]) -> None:
        session = self._session
        since = session.statistics.connected_at or at
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
                session.send_fetch(answer, asked)
            else:
                self._give_up(asked, out)

    def _give_up(self, asked: LastWord, out: list[MarketEvent]) -> None:
        """Where nothing was heard of the order meanwhile, say so."""
        session, order = self._session, asked.order
        if session.feed.orders.forget(order):
            session.statistics.gaps += 1
            out.append(asked.gap)
