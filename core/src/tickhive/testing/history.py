"""What the simulated venue answers by REST about trades and candles that somebody missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from tickhive.channels import Channel, DataType
from tickhive.events import Gap, Trade
from tickhive.testing.case import CaseFailed, NotOffered
from tickhive.testing.observing import Call, Recorder
from tickhive.testing.rehearsal import Rehearsal
from tickhive.testing.wire import SECOND, START

if TYPE_CHECKING:
    from tickhive.testing.subject import Subject

_SECONDS = 6.0
_LOOK_BACK = 600 * SECOND
"""Candles of ten minutes before the rehearsal are asked for."""


@frozen
class History:
    """The calls of ``read`` that answered for what was missed, and the rehearsal in which it came live."""

    calls: Sequence[Call] = ()
    rehearsal: Rehearsal | None = None


def history_of(subject: Subject) -> History:
    """Ask ``backfill`` for the middle of what was seen, and answer the calls of ``read`` that followed."""
    if not subject.stack.offers("backfill"):
        return History()
    recorder = Recorder()
    rehearsal = subject.rehearse(recorder)
    channels = subject.channels(rehearsal, DataType.TRADE, DataType.CANDLE, limit=1)
    rehearsal.start(channels)
    rehearsal.run(_SECONDS)
    begun = len(recorder.calls)
    for channel in channels:
        gap = _missed(rehearsal, channel)
        if gap is None:
            continue
        carries = (dial for dial in rehearsal.dials if channel in dial.channels)
        view = subject.view(rehearsal.instruments, next(carries, None))
        try:
            fetch = subject.stack.call.backfill(session=view, channel=channel, gap=gap)
            if fetch is not None:
                rehearsal.fetch_all(fetch)
        except (CaseFailed, NotOffered):
            continue  # other cases ask about pages and addresses
    return History(Recorder(recorder.calls[begun:]).of("read"), rehearsal)


def _missed(rehearsal: Rehearsal, channel: Channel) -> Gap | None:
    """A hole such as the core would find; None for trades without ids that are numbers: it finds none among these."""
    stack, now, kind = rehearsal.stack, rehearsal.now, channel.data_type
    begin = START if kind is DataType.TRADE else START - _LOOK_BACK
    gap = Gap(stack.exchange, channel.symbol, None, now, kind, begin, now, "a rehearsal", params=channel.params)
    seen = [each for each in rehearsal.events if isinstance(each, Trade) and each.symbol == channel.symbol]
    if kind is DataType.TRADE and len(seen) > 2:
        gap.first_id, gap.last_id = seen[1].id, seen[-1].id
        if not all(isinstance(each, str) and each.isdecimal() for each in (gap.first_id, gap.last_id)):
            return None
    return gap
