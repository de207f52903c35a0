"""Cases 3xx, continued: what a data type is asked for with besides (``orderbook:5``, ``trade:agg``) works as well."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from tickhive.channels import DataType
from tickhive.events import DATA_TYPE_OF, Candle, Gap, MarketEvent, Trade
from tickhive.session import SubscriptionState
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.checksums import book_of
from tickhive.testing.subject import VARIED_SECONDS, Subject

_TELLING = 8
"""So many trades show whether ids are consecutive."""
_ODD = 0.1


@case(
    "TH-308",
    "parameters besides those it shows come through as well",
    reason="A depth or a way of gathering trades that nobody tried is found wrong by the first who asks for it.",
    mend="Read the frames of every parameter that connect accepts; count of a gathered trade says how many it holds.",
    hooks=("venue",),
)
def parameters_come_through(subject: Subject) -> None:
    """Ask for some usual parameters that connect accepts, on a calm line: no gap, no crossed book, and what the venue
    sent is there. Their frames are also among those that all other cases look at.
    """
    varied = subject.varied
    if varied is None:
        raise NotOffered("parameters besides those of the rehearsal of everything")
    rehearsal = varied.rehearsal
    for event in rehearsal.events:
        if isinstance(event, Gap):
            what = f"{event.data_type}:{event.params}" if event.params else str(event.data_type)
            raise CaseFailed(
                f"a gap in {what} {event.symbol} although nothing was lost: {event.cause}",
                "Do not swap the sides" if "crossed" in event.cause else "Look at the numbers and counts of its events",
            )
    _check_counts(subject, rehearsal.events)
    brought = {
        (DATA_TYPE_OF.get(type(event)), event.symbol, event.interval if isinstance(event, Candle) else "")
        for event in rehearsal.events
    }
    for channel in varied.channels:
        if channel in rehearsal.set_aside or channel in rehearsal.polls:
            continue
        state = rehearsal.feed.ledger.state(channel)
        if state is SubscriptionState.REJECTED:
            continue  # the simulated venue is smaller than the true one
        interval = channel.params if channel.data_type is DataType.CANDLE else ""
        sent = rehearsal.venue.log.sent.get((channel.symbol, channel.data_type), 0)
        if sent > 1 and (channel.data_type, channel.symbol, interval) not in brought:
            raise CaseFailed(
                f"the simulated venue sent {sent} events of {channel}, and none came through in {VARIED_SECONDS:g} s",
                f"Let parse read the frames of {channel.subscription}, or let connect refuse it",
            )
        if channel.data_type is DataType.ORDERBOOK and sent:
            book = rehearsal.feed.book(*book_of(channel))
            if not book.live:
                raise CaseFailed(
                    f"the book of {channel} is {book.state} after {VARIED_SECONDS:g} s",
                    "Give its events the depth that the channel names, beginning with a BookSnapshot",
                )


def _check_counts(subject: Subject, events: Iterable[MarketEvent]) -> None:
    """Where ids of trades are consecutive, a gathered trade holds as many as its id lies behind the one before."""
    usual = _counted(subject.clean.rehearsal.events)
    if len(usual) < _TELLING or any(jump != trade.count for jump, trade in usual):
        return
    found = _counted(events)
    odd = [(jump, trade) for jump, trade in found if jump != trade.count]
    if len(found) >= _TELLING and len(odd) > _ODD * len(found):
        jump, trade = odd[0]
        raise CaseFailed(
            f"parse gave the trade {trade.id} of {trade.symbol} the count {trade.count}, and its id is {jump} behind "
            "the one before, although nothing was lost",
            "Where the venue gathers trades, write the last one's id and how many they are as count",
        )


def _counted(events: Iterable[MarketEvent]) -> list[tuple[int, Trade]]:
    """Live trades, each with how far its id lies behind the one before."""
    told: dict[str, list[Trade]] = {}
    for event in events:
        if isinstance(event, Trade) and event.id.isdecimal() and not event.late:
            told.setdefault(event.symbol, []).append(event)
    return [(int(two.id) - int(one.id), two) for trades in told.values() for one, two in pairwise(trades)]
