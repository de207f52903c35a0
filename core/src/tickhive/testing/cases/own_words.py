"""Cases 4xx, continued: times, ids and prices are those of the frame, not some that were made up or cut short."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation

from tickhive.events import BookDelta, BookSnapshot, MarketEvent, Trade
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.cases.parsing import shown, spread
from tickhive.testing.cases.values import kind
from tickhive.testing.samples import Sample
from tickhive.testing.subject import Subject
from tickhive.testing.times import nearest, times_in
from tickhive.testing.wire import SECOND

_LOOKED_AT = 500
_ROUNDED = 1_000
"""Times may be rounded to the microsecond."""
_TELLING = 8
"""So many trades show which part of their ids differs."""
_LEAST_TIME = 13
"""So many digits may be a time: an id that is made of one is all the venue has."""


def looked_at(subject: Subject) -> list[Sample]:
    """Some frames of every kind and some answers by REST; binary ones hold no text to compare with."""
    samples = spread(subject.samples, _LOOKED_AT)
    with suppress(NotOffered):
        samples += spread(subject.answers, _LOOKED_AT)
    return [sample for sample in samples if b"\0" not in sample.frame]


@case(
    "TH-416",
    "times are the frame's own, to the last digit",
    reason="Our time in place of the venue's hides every delay; a time without its fraction puts trades out of order.",
    mend="Take timestamp from the frame with all its digits; None where the venue sends no time, never `at`.",
)
def times_are_the_venues(subject: Subject) -> None:
    """Look each timestamp up in its frame. What is within a second of a time there, but a microsecond off, is wrong;
    of a frame that says no time only `at` is.
    """
    compared = 0
    for sample in looked_at(subject):
        stamped = [event for event in sample.events if isinstance(event, MarketEvent) and _stamped(event)]
        times = times_in(sample.frame) if stamped else ()
        for event in stamped:
            compared += 1
            time = event.timestamp
            meant = nearest(times, time)  # type: ignore[arg-type]  # _stamped
            if meant is not None and abs(meant - time) < _ROUNDED:  # type: ignore[operator]
                continue
            said = f"{sample.hook} gave a {kind(event)} the timestamp {time}"
            ours = time == sample.at and subject.simulated(sample)
            if meant is None and ours and sample.hook == "parse":
                raise CaseFailed(
                    f"{said}, which is when its frame came; the frame says no time: {shown(sample.frame)}",
                    "Write None where the venue sends no time",
                )
            if meant is not None and abs(meant - time) < SECOND:  # type: ignore[operator]
                raise CaseFailed(
                    f"{said}{', which is when its frame came' if ours else ''}; the frame says {meant}: "
                    f"{shown(sample.frame)}",
                    "Write the venue's time, not `at`" if ours else "Keep the fraction: convert with whole numbers",
                )
    if not compared:
        raise NotOffered("market data with a time, in frames of text")


def _stamped(event: MarketEvent) -> bool:
    return isinstance(event.timestamp, int) and event.timestamp > 0


@case(
    "TH-417",
    "ids of trades are the venue's",
    reason="What was missed is asked for by the venue's ids, and two sources of one tape are joined by them.",
    mend="Write the id as the frame has it. Only where a venue gives trades no id, make one of all that sets them "
    "apart.",
)
def ids_are_the_venues(subject: Subject) -> None:
    """Look each id up in its frame. One made of several parts is right where no part alone is an id."""
    made: dict[tuple[str, str], list[str]] = {}
    seen = False
    for sample, trade in _trades(subject):
        seen = True
        text = trade.id if isinstance(trade.id, str) else ""
        if not text or text.encode() in sample.frame:
            continue
        strange = [part for part in _numbers_of(text) if part.encode() not in sample.frame]
        if strange or not _numbers_of(text):
            raise CaseFailed(
                f"{sample.hook} gave a trade of {trade.symbol} the id {text!r}, and its frame does not say "
                f"{strange[0] if strange else text}: {shown(sample.frame)}",
                "Write the venue's own id; where it has none, make one of its time, price and size, and leave this "
                "case out with that reason where they are written otherwise",
            )
        made.setdefault((sample.source if subject.simulated(sample) else "", trade.symbol), []).append(text)
    if not seen:
        raise NotOffered("trades in frames of text")
    for (_, symbol), ids in made.items():
        own = _own_part(ids)
        if own is not None:
            raise CaseFailed(
                f"trades of {symbol} have ids such as {ids[0]!r}, made up around the venue's own, which is {own}",
                "Write the venue's id as it is: what is missing is found by counting, and asked for by it",
            )


def _trades(subject: Subject) -> Iterator[tuple[Sample, Trade]]:
    for sample in looked_at(subject):
        for event in sample.events:
            if isinstance(event, Trade):
                yield sample, event


def _numbers_of(text: str) -> list[str]:
    return [found[0] for found in re.finditer(r"\d+", text)]


def _own_part(ids: list[str]) -> str | None:
    """The one number in which made-up ids differ, as the first has it; None where it takes several, or is a time."""
    parts = [_numbers_of(each) for each in ids]
    if len(set(ids)) < _TELLING or len({len(each) for each in parts}) > 1:
        return None
    columns: list[tuple[str, ...]] = list(zip(*parts, strict=True))
    differing = [column for column in columns if len(set(column)) > 1]
    if len(differing) != 1 or len(differing[0][0]) >= _LEAST_TIME:
        return None
    return differing[0][0]


@case(
    "TH-418",
    "one price has one spelling in a book",
    reason="Books are keyed by the text of prices: a level spelled in two ways is two levels, and one of them stays.",
    mend="Where the venue writes 60000.1 here and 60000.10 there, give each price one spelling before it becomes a "
    "Level.",
)
def prices_are_spelled_one_way(subject: Subject) -> None:
    """Compare the levels of a book in all its frames, fetched ones included."""
    spellings: dict[tuple[str, str, int], tuple[set[str], dict[Decimal, str]]] = {}
    for sample, event in _books(subject):
        where = sample.source if subject.simulated(sample) else sample.source.rpartition(":")[0]
        known, texts = spellings.setdefault((where, event.symbol, event.depth), (set(), {}))
        for level in (*event.bids, *event.asks):
            text = getattr(level, "price", None)
            if not isinstance(text, str) or text in known:
                continue
            known.add(text)
            try:
                other = texts.setdefault(Decimal(text), text)
            except InvalidOperation:
                continue  # TH-408 says so
            if other != text:
                raise CaseFailed(
                    f"{sample.hook} spelled a price of the book of {event.symbol} {text!r} ({where}), which was "
                    f"{other!r} before",
                    "Write every price of a book in one way, whichever frame it is from: snapshots, changes and "
                    "deletions alike",
                )
    if not spellings:
        raise NotOffered("order books in the frames")


def _books(subject: Subject) -> Iterator[tuple[Sample, BookSnapshot | BookDelta]]:
    samples = list(subject.samples)
    with suppress(NotOffered):
        samples += subject.answers
    for sample in samples:
        for event in sample.events:
            if isinstance(event, (BookSnapshot, BookDelta)):
                yield sample, event
