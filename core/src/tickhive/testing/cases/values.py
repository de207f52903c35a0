"""Cases 4xx: what an event says is what the venue said, in the units and words that every exchange shares."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tickhive.channels import Instrument
from tickhive.events import (
    Candle,
    FundingRate,
    IndexPrice,
    InstrumentUpdate,
    Liquidation,
    MarketEvent,
    MarkPrice,
    Quote,
    Ticker,
    Trade,
)
from tickhive.plugin.contract import Malformed
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.cases.parsing import ask, shown, spread, views
from tickhive.testing.samples import Sample
from tickhive.testing.subject import Subject
from tickhive.testing.wire import SECOND

_GENESIS = 1_230_768_000 * SECOND  # 2009: no venue is older
_DOOM = 7_258_118_400 * SECOND  # 2200: no contract is longer
_SKEW = 60 * SECOND
"""A venue's clock may run ahead of ours by so much."""


def market_events(subject: Subject) -> Iterator[tuple[Sample, MarketEvent]]:
    """Every market event with the frame it was in; NotOffered where there is none."""
    found = False
    for sample in subject.samples:
        for event in sample.events:
            if isinstance(event, MarketEvent):
                found = True
                yield sample, event
    if not found:
        raise NotOffered("market data in the frames")


@case(
    "TH-401",
    "events carry the exchange's name",
    reason="Callbacks and stores tell exchanges apart by this name alone.",
    mend="Write session.exchange into every event; one plugin may serve several exchanges.",
)
def exchange_is_named(subject: Subject) -> None:
    """Look at every event."""
    for sample, event in market_events(subject):
        if event.exchange != subject.exchange:
            raise CaseFailed(
                f"parse answered a {kind(event)} of the exchange {event.exchange!r} ({sample.source})",
                f"Write session.exchange, which is {subject.exchange!r}, as its exchange",
            )


@case(
    "TH-402",
    "received is the time the core gave",
    reason="Latency is measured, and holes are found, by when a frame was received.",
    mend="Pass `at` on as received, untouched.",
)
def received_is_at(subject: Subject) -> None:
    """Look at every event."""
    for sample, event in market_events(subject):
        if event.received != sample.at:
            raise CaseFailed(
                f"parse answered a {kind(event)} received at {event.received!r}, the frame came at {sample.at}",
                "Write the argument `at` as received",
            )


@case(
    "TH-403",
    "times are ns UTC and not in the future",
    reason="A time in milliseconds lies in 1970, and every window, gap and candle built on it is wrong.",
    mend="Multiply: milliseconds by 1_000_000, microseconds by 1_000; take seconds through Decimal, not float.",
)
def times_are_nanoseconds(subject: Subject) -> None:
    """Look at every time of every event, those of missed trades and candles included, which are asked for. In the
    rehearsal a candle begins before it is told of, and funding is paid after.
    """
    for sample, event in itertools.chain(market_events(subject), _answered(subject)):
        latest = sample.at + _SKEW
        _check_time(sample, event, "timestamp", event.timestamp, latest)
        if isinstance(event, Candle):
            # The rehearsal's clocks agree, and a candle begins before anything can be said of it.
            _check_time(sample, event, "start", event.start, sample.at if subject.simulated(sample) else latest)
        elif isinstance(event, FundingRate):
            _check_time(sample, event, "funding_time", event.funding_time, _DOOM)
            _check_time(sample, event, "next_funding_time", event.next_funding_time, _DOOM)
            if subject.simulated(sample) and event.funding_time is not None:
                _check_funding(sample, event, event.funding_time)
        elif isinstance(event, InstrumentUpdate):
            _check_instrument_times(event.instrument)


def _answered(subject: Subject) -> Iterator[tuple[Sample, MarketEvent]]:
    """Every market event that came by REST."""
    try:
        answers = subject.answers
    except NotOffered:
        return
    for sample in answers:
        yield from ((sample, event) for event in sample.events if isinstance(event, MarketEvent))


def _check_time(sample: Sample, event: MarketEvent, name: str, time: Any, latest: int) -> None:
    if time is None:
        return
    said = f"{sample.hook} gave a {kind(event)} the {name} {time!r} ({sample.source})"
    if not isinstance(time, int) or isinstance(time, bool):
        raise CaseFailed(f"{said}, a {type(time).__name__}", "Write times as whole nanoseconds, an int")
    for unit, factor in (("milliseconds", 1_000_000), ("microseconds", 1_000), ("seconds", SECOND)):
        if time < _GENESIS <= time * factor <= latest:
            raise CaseFailed(f"{said}, which is {unit}", f"Multiply the venue's {unit} by {factor:_}")
    if time < _GENESIS:
        raise CaseFailed(f"{said}, a time before 2009", "Write ns UTC, or None where the venue sends no time")
    if time > latest:
        ahead = (time - sample.at) / SECOND
        raise CaseFailed(f"{said}, {ahead:,.0f} s after the frame came", "Write ns UTC: look at the unit and the zone")


def _check_funding(sample: Sample, event: FundingRate, paid: int) -> None:
    """Funding lies ahead. Where it is paid every hour, a venue may name the one just paid for a moment longer."""
    now = sample.at if event.timestamp is None else event.timestamp
    later = event.next_funding_time
    if paid % _SKEW == 0 and paid <= now < paid + _SKEW:
        return
    if paid <= now or (later is not None and later <= paid):
        last, wanted = ("funding_time", now) if paid <= now else ("next_funding_time", paid)
        raise CaseFailed(
            f"{sample.hook} gave a FundingRate of {event.symbol} the {last} {getattr(event, last)}, which is not after "
            f"{wanted} ({sample.source})",
            "funding_time is when this rate will be paid, not when it was told; None where the venue does not say",
        )


def _check_instrument_times(instrument: Instrument) -> None:
    for name in ("listed", "expiry"):
        time = getattr(instrument, name)
        if time is not None and not (isinstance(time, int) and _GENESIS <= time <= _DOOM):
            raise CaseFailed(
                f"{name} of the instrument {instrument.symbol} is {time!r}", "Write ns UTC, None where there is none"
            )


@case(
    "TH-404",
    "every field has its type, and nothing is a float",
    reason="Stores and strategies rely on the types; a float has forgotten digits of the price already.",
    mend="Decode prices and sizes as text or Decimal (msgspec does both exactly) and never go through float.",
)
def fields_are_typed(subject: Subject) -> None:
    """Compare each field with its annotation."""
    for sample, event in market_events(subject):
        for name, fits in _checks(type(event)):
            value = getattr(event, name)
            if not fits(value):
                raise CaseFailed(
                    f"parse gave a {kind(event)} the {name} {value!r}, a {type(value).__name__} ({sample.source})",
                    _remedy(name, value),
                )
        if isinstance(event, InstrumentUpdate):
            for name, fits in _checks(Instrument):
                value = getattr(event.instrument, name)
                if not fits(value):
                    raise CaseFailed(
                        f"the instrument {event.instrument.symbol} has the {name} {value!r}, a {type(value).__name__}",
                        _remedy(name, value),
                    )


def _remedy(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"Make {name} a Decimal of the venue's text: Decimal(text), or a msgspec field of type Decimal"
    if isinstance(value, Decimal):
        return f"Refuse a {name} that is not finite: answer Malformed"
    return f"Convert {name} as the event's documentation says"


def _checks(kind: type) -> Sequence[tuple[str, Callable[[Any], bool]]]:
    found = _CHECKS.get(kind)
    if found is None:
        found = _CHECKS[kind] = [(name, _check_of(hint)) for name, hint in get_type_hints(kind).items()]
    return found


_CHECKS: dict[type, Sequence[tuple[str, Callable[[Any], bool]]]] = {}
"""For each kind of event its fields, and functions that tell whether a value fits."""


def _check_of(hint: Any) -> Callable[[Any], bool]:
    """A function that tells whether a value fits an annotation."""
    origin = get_origin(hint)
    if hint is Decimal:
        return lambda value: isinstance(value, Decimal) and value.is_finite()
    if hint is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if origin is Literal:
        allowed = get_args(hint)
        return lambda value: value in allowed
    if origin is Union or type(hint).__name__ == "UnionType":
        members = [_check_of(each) for each in get_args(hint)]
        return lambda value: any(fits(value) for fits in members)
    if origin is not None and issubclass(origin, Sequence):
        (inner,) = get_args(hint)
        return lambda value: isinstance(value, (list, tuple)) and all(isinstance(each, inner) for each in value)
    return lambda value: isinstance(value, hint)


_EXACT: dict[type, tuple[str, ...]] = {
    Trade: ("price", "size"),
    Quote: ("bid", "bid_size", "ask", "ask_size"),
    Ticker: ("last", "bid", "ask"),
    Candle: ("open", "high", "low", "close"),
    Liquidation: ("price", "size"),
    MarkPrice: ("price",),
    IndexPrice: ("price",),
    FundingRate: ("rate",),
}
"""Fields that are the venue's own numbers."""

_NUMBER = re.compile(rb"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


@case(
    "TH-405",
    "prices and sizes are the venue's digits",
    reason="Sums of trades must equal the venue's own to the last digit.",
    mend="Decimal(text) of the venue's text; never float(text), never Decimal(float).",
)
def numbers_are_exact(subject: Subject) -> None:
    """Find each number in its frame, then write a long one into the frame and see it come back."""
    compared = 0
    for sample in spread(subject.samples, 400):
        if b"\0" in sample.frame:
            continue  # a binary frame holds no text to compare with
        known: set[tuple[int, ...]] | None = None
        for event in sample.events:
            for name in _EXACT.get(type(event), ()):
                value = getattr(event, name)
                if not isinstance(value, Decimal) or not value or not value.is_finite():
                    continue
                if known is None:
                    known = {_digits(Decimal(number.decode())) for number in _NUMBER.findall(sample.frame)}
                compared += 1
                if _digits(value) not in known:
                    raise CaseFailed(
                        f"parse gave a {kind(event)} the {name} {value}, which its frame does not say: "
                        f"{shown(sample.frame)}",
                        f"Make {name} a Decimal of the frame's own text",
                    )
    if not compared:
        raise NotOffered("numbers in text frames")
    _sizes_are_no_prices(subject)
    _long_numbers_survive(subject)


_PAIRS: dict[type, tuple[tuple[str, str], ...]] = {
    Trade: (("price", "size"),),
    Quote: (("bid", "bid_size"), ("ask", "ask_size")),
    Liquidation: (("price", "size"),),
}
_TELLING = 8
"""So many pairs of equal numbers, and none that differ, are no chance."""


def _sizes_are_no_prices(subject: Subject) -> None:
    """A number of the frame in two fields is in one too many."""
    pairs: dict[tuple[type, str, str], Counter[bool]] = {}
    for sample in subject.samples:
        for event in sample.events:
            for price, size in _PAIRS.get(type(event), ()):
                if getattr(event, price) is not None:
                    same = getattr(event, price) == getattr(event, size)
                    pairs.setdefault((type(event), price, size), Counter())[same] += 1
    for (event_type, price, size), count in pairs.items():
        if count[True] >= _TELLING and not count[False]:
            raise CaseFailed(
                f"parse gave each {event_type.__name__} the same number as {price} and as {size}",
                f"Take {size} from the field of the frame that says how much",
            )


def _digits(value: Decimal) -> tuple[int, ...]:
    """The significant digits: a venue may count in hundredths, but not in other digits."""
    digits = value.as_tuple().digits
    begin = next((place for place, digit in enumerate(digits) if digit), len(digits))
    end = next((place for place in range(len(digits), begin, -1) if digits[place - 1]), begin)
    return tuple(digits[begin:end])


def _long_numbers_survive(subject: Subject) -> None:
    """A price of 21 digits in place of a trade's."""
    for sample in [each for each in subject.samples if any(isinstance(event, Trade) for event in each.events)][:40]:
        trade = next(event for event in sample.events if isinstance(event, Trade))
        if not isinstance(trade.price, Decimal):
            continue
        for text in {str(trade.price), format(trade.price, "f")}:
            if sample.frame.count(text.encode()) != 1 or len(text) < 3:
                continue
            whole, _, fraction = text.partition(".")
            long = f"{whole}.{(fraction + '12345678901234567')[:19]}3"
            (view,) = views(subject, [sample])
            events = ask(subject, view, sample.frame.replace(text.encode(), long.encode()), sample.at, "the frame")
            for event in events:
                if isinstance(event, Trade) and event.id == trade.id and event.price != Decimal(long):
                    raise CaseFailed(
                        f"parse read the price {long} as {event.price}", "Make it a Decimal of the text, not of a float"
                    )
            if not any(isinstance(event, Malformed) for event in events):
                return


@case(
    "TH-406",
    "sides are buy or sell",
    reason="Whoever asks for `side == \"buy\"` misses every 'BUY' and 'Bid'.",
    mend="Map the venue's words to 'buy' and 'sell'; a word that is neither makes the row Malformed.",
)
def sides_are_words(subject: Subject) -> None:
    """Look at trades and liquidations."""
    seen = False
    for sample, event in market_events(subject):
        if isinstance(event, (Trade, Liquidation)):
            seen = True
            if event.side not in ("buy", "sell"):
                raise CaseFailed(
                    f"parse gave a {kind(event)} the side {event.side!r} ({sample.source})",
                    "Map the venue's word to 'buy' or 'sell'",
                )
    if not seen:
        raise NotOffered("trades in the frames")


@case(
    "TH-412",
    "what is no number never becomes a price",
    reason="Decimal('NaN') and Decimal('Infinity') pass every decoder and poison every sum.",
    mend="Check value.is_finite() after decoding, or read numbers by a pattern; answer Malformed otherwise.",
)
def odd_numbers_are_refused(subject: Subject) -> None:
    """Write what is no number in place of a trade's price and size, be they text or JSON numbers."""
    tried = 0
    for sample in [each for each in subject.samples if any(isinstance(event, Trade) for event in each.events)][:20]:
        trade = next(event for event in sample.events if isinstance(event, Trade))
        for name in ("price", "size"):
            for odd, frame in _spoilt(sample.frame, getattr(trade, name)):
                tried += 1
                (view,) = views(subject, [sample])
                for event in ask(subject, view, frame, sample.at, "the frame"):
                    for field, fits in _checks(type(event)) if isinstance(event, Trade) else ():
                        value = getattr(event, field)
                        if isinstance(value, Decimal) and not fits(value):
                            raise CaseFailed(
                                f"parse read the {name} {odd!r} of a trade as {value}",
                                f"Answer Malformed where the {name} is not finite: value.is_finite()",
                            )
    if not tried:
        raise NotOffered("trades whose price and size stand in the frame as they are")


_ODD = ("NaN", "Infinity", "-Infinity", "sNaN", "1e999999999", "", "0x10", "1,5")
_JSON_NUMBER = re.compile(rb"(?<=[:,\[\s])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[,\]}\s])")


def _spoilt(frame: bytes, value: object) -> Iterator[tuple[str, bytes]]:
    """The frame with what is no number in the place of one, which is text there or a JSON number."""
    if not isinstance(value, Decimal):
        return
    text = f'"{value}"'.encode()
    for odd in _ODD:
        if text in frame:
            yield odd, frame.replace(text, f'"{odd}"'.encode())
        for written in (f'"{odd}"', odd):
            spoilt = _JSON_NUMBER.sub(lambda found, new=written: _replaced(found, value, new), frame)  # type: ignore[misc]
            if spoilt != frame:
                yield written, spoilt


def _replaced(found: re.Match[bytes], value: Decimal, written: str) -> bytes:
    """Another text for a number of this value; whole numbers are ids and times as well, and stay."""
    number = found[0]
    return written.encode() if b"." in number and Decimal(number.decode()) == value else number


def kind(event: object) -> str:
    """What an event is called."""
    return type(event).__name__
