"""Cases 7xx, continued: what is answered by REST is what the stream said, however many pages it takes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tickhive.channels import Channel, DataType
from tickhive.events import Candle, Gap, Trade
from tickhive.plugin.contract import Fetch
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.cases.conversation import trades_of
from tickhive.testing.observing import Recorder
from tickhive.testing.rehearsal import Rehearsal
from tickhive.testing.subject import Subject

_MANY = 1_100
"""More trades than one answer of any venue known here holds."""
_BUSY = 40.0
_SECONDS = 20.0


@case(
    "TH-706",
    "a long hole is refilled page by page, without a seam",
    reason="After an outage of minutes the tape lacks thousands of trades, and one page holds a hundred.",
    mend="Answer a further Fetch from read while the page is full, which begins right behind its last trade.",
    hooks=("backfill", "read", "venue"),
)
def long_holes_are_refilled(subject: Subject) -> str:
    """Ask for a thousand trades of a busy market, and compare with those that were streamed."""
    recorder = Recorder()
    rehearsal = subject.rehearse(recorder, speed=_BUSY)
    channel = next(iter(subject.streams(rehearsal, DataType.TRADE, limit=1)), None)
    if channel is None:
        raise NotOffered("trades at the simulated venue")
    rehearsal.start([channel])
    rehearsal.run_until(lambda: _span(trades_of(rehearsal.events, channel.symbol)) > _MANY, _SECONDS)
    live = _by_number(trades_of(rehearsal.events, channel.symbol))
    if len(live) < 3:
        raise NotOffered("trades whose ids are numbers")
    _, first, *_, last = sorted(live)
    begun = len(recorder.calls)
    found = _asked(subject, rehearsal, channel, live[first], live[last])
    pages = len(Recorder(recorder.calls[begun:]).of("read"))
    got = _by_number([event for event in found if isinstance(event, Trade) and event.symbol == channel.symbol])
    if not got:
        raise NotOffered("missed trades by their ids (see TH-705)")
    missing = [number for number in sorted(live) if first <= number <= last and number not in got]
    if missing:
        inside = [number for number in missing if min(got) < number < max(got)]
        raise CaseFailed(
            f"backfill was asked for the trades {first} to {last} of {channel.symbol}, and read answered {min(got)} to "
            f"{max(got)} in {pages} page{'s' * (pages != 1)}" + (f" without {inside[0]}" if inside else ""),
            "Let the next page begin right behind the last trade of this one"
            if inside and pages > 1
            else "Answer a further Fetch from read while the page is full and has not reached the last id",
        )
    if pages < 2:
        raise NotOffered(f"pages: one answer held all of {len(got)} trades")
    return f"{len(got)} trades in {pages} pages"


def _asked(subject: Subject, rehearsal: Rehearsal, channel: Channel, first: Trade, last: Trade) -> Sequence[Any]:
    """What is answered about a hole from one trade to another, page after page."""
    kind, ids, moments = DataType.TRADE, (first.id, last.id), (_moment(first), _moment(last))
    gap = Gap(rehearsal.stack.exchange, channel.symbol, None, rehearsal.now, kind, *moments, "a rehearsal", *ids)
    carries = (dial for dial in rehearsal.dials if channel in dial.channels)
    view = subject.view(rehearsal.instruments, next(carries, None))
    fetch: Fetch | None = rehearsal.stack.call.backfill(session=view, channel=channel, gap=gap)
    if fetch is None:
        raise NotOffered("missed trades by REST: backfill answers None")
    return rehearsal.fetch_all(fetch)


def _moment(trade: Trade) -> int:
    return trade.received if trade.timestamp is None else trade.timestamp


def _span(trades: Sequence[Trade]) -> int:
    """How many trades the ids are apart."""
    if len(trades) < 2 or not (trades[0].id.isdecimal() and trades[-1].id.isdecimal()):
        return len(trades)
    return abs(int(trades[-1].id) - int(trades[0].id))


def _by_number(trades: Sequence[Trade]) -> dict[int, Trade]:
    return {int(trade.id): trade for trade in trades if trade.id.isdecimal()}


@case(
    "TH-707",
    "candles by REST are the streamed ones",
    reason="A candle filled in under another start, or with other figures, is a wrong price nobody looks at again.",
    mend="Read REST rows by the venue's own order of columns, and take start from what begins the interval, not what "
    "ends it.",
    hooks=("backfill", "read", "venue"),
)
def rest_candles_agree(subject: Subject) -> None:
    """Compare the candles that closed in a rehearsal with what backfill brings of the same starts."""
    history = subject.history
    if history.rehearsal is None:
        raise NotOffered("missed candles by REST")
    streamed = {_key(event): event for event in history.rehearsal.events if isinstance(event, Candle) and event.closed}
    answered = [event for call in history.calls for event in call.answer or () if isinstance(event, Candle)]
    compared = 0
    for candle in answered:
        other = streamed.get(_key(candle))
        if other is None or not candle.closed:
            continue
        compared += 1
        for name in ("open", "high", "low", "close", "volume", "base_volume", "quote_volume"):
            mine, theirs = getattr(candle, name), getattr(other, name)
            if isinstance(mine, Decimal) and isinstance(theirs, Decimal) and mine != theirs:
                raise CaseFailed(
                    f"read gave the candle of {candle.interval} of {candle.symbol} that began at {candle.start} the "
                    f"{name} {mine}, and parse had given it {theirs}",
                    "Look at the columns of the REST rows, and whether their time is the start of the interval or its "
                    "end",
                )
    if not compared:
        raise NotOffered("closed candles that were streamed and answered by REST")


def _key(candle: Candle) -> tuple[str, str, int]:
    return candle.symbol, candle.interval, candle.start
