"""Cases 4xx, continued: the numbers of one event agree with each other, and with what its instrument says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import TypeAlias

from tickhive.channels import Instrument
from tickhive.events import BookSnapshot, Candle, MarketEvent, PriceLimit, Quote, Ticker
from tickhive.plugin.paging import candle_span
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.cases.values import kind
from tickhive.testing.samples import Sample
from tickhive.testing.subject import Subject
from tickhive.testing.wire import MILLISECOND, SECOND

_ROOM = Decimal("0.01")
"""A venue may gather the figures of one event at slightly different moments."""

Verdict: TypeAlias = tuple[str, bool, str, str]
"""What was compared, whether it is right, what was seen, and what to do where it is not."""


def told(subject: Subject) -> Iterator[tuple[Sample, MarketEvent]]:
    """Every market event, streamed or answered by REST."""
    samples = list(subject.samples)
    with suppress(NotOffered):
        samples += subject.answers
    for sample in samples:
        for event in sample.events:
            if isinstance(event, MarketEvent):
                yield sample, event


class _Votes:
    """A venue's market may be crossed for a moment, or a figure late: what is wrong more often than right is wrong."""

    def __init__(self) -> None:
        self._count: Counter[tuple[str, bool]] = Counter()
        self._seen: dict[str, tuple[str, str]] = {}

    def take(self, verdict: Verdict, where: str) -> None:
        """Count one comparison."""
        what, right, seen, remedy = verdict
        self._count[what, right] += 1
        if not right:
            self._seen.setdefault(what, (f"{seen} ({where})", remedy))

    def decide(self, missing: str) -> None:
        """CaseFailed for what is wrong for the most part; NotOffered where nothing was compared."""
        for what, (seen, remedy) in self._seen.items():
            if self._count[what, False] > self._count[what, True]:
                raise CaseFailed(seen, remedy)
        if not self._count:
            raise NotOffered(missing)


@case(
    "TH-413",
    "bids are below asks, lows below highs",
    reason="A strategy that takes the ask for the bid trades at a loss each time, and the numbers look plausible.",
    mend="Compare the field names of the frame with the order of the event's fields, which are positional.",
)
def prices_are_in_order(subject: Subject) -> None:
    """Look at quotes, tickers, candles, price limits and whole books, each book depth by itself."""
    votes = _Votes()
    for sample, event in told(subject):
        for verdict in _orders(sample.hook, event):
            votes.take(verdict, sample.source)
    votes.decide("prices of two sides in the frames")


def _orders(hook: str, event: MarketEvent) -> Iterator[Verdict]:
    name = kind(event)
    if isinstance(event, (Quote, Ticker)):
        yield from _apart(hook, name, "bid", event.bid, "ask", event.ask, event.symbol)
    if isinstance(event, Ticker):
        yield from _apart(hook, name, "low", event.low, "high", event.high, event.symbol)
    elif isinstance(event, PriceLimit):
        yield from _apart(hook, name, "lowest_ask", event.lowest_ask, "highest_bid", event.highest_bid, event.symbol)
    elif isinstance(event, BookSnapshot) and event.bids and event.asks:
        try:
            bid = max(Decimal(event.bids[place].price) for place in (0, -1))
            ask = min(Decimal(event.asks[place].price) for place in (0, -1))
        except (ArithmeticError, TypeError, AttributeError):
            return  # TH-408 says so
        which = f"{name} of {event.depth} levels" if event.depth else name
        yield from _apart(hook, which, "best bid", bid, "best ask", ask, event.symbol)
    elif isinstance(event, Candle):
        prices = event.open, event.high, event.low, event.close
        if all(isinstance(price, Decimal) for price in prices) and len(set(prices)) > 1:
            right = event.low <= min(event.open, event.close) <= max(event.open, event.close) <= event.high
            seen = (
                f"{hook} gave a Candle of {event.symbol} the prices open {event.open}, high {event.high}, low "
                f"{event.low}, close {event.close}"
            )
            yield "candle", right, seen, "Put each price into its own field: open, high, low, close is their order"


def _apart(hook: str, name: str, low: str, lower: object, high: str, higher: object, symbol: str) -> Iterator[Verdict]:
    if isinstance(lower, Decimal) and isinstance(higher, Decimal) and lower != higher:
        seen = f"{hook} gave a {name} of {symbol} the {low} {lower} and the {high} {higher}"
        yield f"{name} {low}", lower < higher, seen, f"Do not swap {low} and {high}"


@case(
    "TH-414",
    "volumes are of the currency they name, and contracts of the size that is listed",
    reason="A volume in dollars where bitcoin are expected is wrong by the price, one in contracts by their size.",
    mend="volume counts the instrument's size unit, base_volume its base currency, quote_volume its quote currency; "
    "contract_size is what one contract is worth, in contract_currency.",
)
def volumes_are_consistent(subject: Subject) -> None:
    """What was paid for each unit lies between low and high, in tickers and candles; a volume in contracts, times
    their size, is the volume in currency.
    """
    votes = _Votes()
    for sample, event in told(subject):
        if isinstance(event, (Ticker, Candle)):
            for verdict in _volumes(subject, sample, event):
                votes.take(verdict, sample.source)
    votes.decide("volumes in two units")


def _volumes(subject: Subject, sample: Sample, event: Ticker | Candle) -> Iterator[Verdict]:
    said = f"{sample.hook} gave a {kind(event)} of {event.symbol}"
    between = f"with the low {event.low} and the high {event.high}"
    name = kind(event)
    paid = _ratio(event, event.quote_volume, event.base_volume)
    if paid is not None:
        seen = f"{said} the base_volume {event.base_volume} and the quote_volume {event.quote_volume}, {between}"
        yield f"{name} volumes", paid, seen, "Look which volume the venue gives in which currency; None for the other"
    instrument = subject.instruments(sample).get(event.symbol)
    if instrument is None or not isinstance(event.volume, Decimal):
        return
    counted = f"{said} the volume {event.volume}"
    if instrument.size_unit == "base":
        same = _same(event.volume, event.base_volume)
        if same is not None:
            seen = f"{counted} and the base_volume {event.base_volume}, but sizes of it count {instrument.base}"
            yield f"{name} base", same, seen, "Let size_unit of the instrument say what volume counts"
        return
    size = instrument.contract_size
    if not isinstance(size, Decimal):
        return
    worth = event.volume * size
    right = _worth_is_right(instrument, event, worth)
    if right is not None:
        volume = event.quote_volume if event.base_volume is None else event.base_volume
        seen = (
            f"{counted} in contracts of {size} {instrument.contract_currency}, and the "
            f"{'quote' if event.base_volume is None else 'base'}_volume {volume}, {between}"
        )
        yield f"{name} contracts", right, seen, "Give the instrument the venue's contract_size and contract_currency"


def _worth_is_right(instrument: Instrument, event: Ticker | Candle, worth: Decimal) -> bool | None:
    """Whether contracts of this worth are what is told in currency; None where that cannot be said."""
    if instrument.contract_currency == instrument.base:
        return _same(worth, event.base_volume)
    if instrument.contract_currency != instrument.quote:
        return None
    same = _same(worth, event.quote_volume)
    return _ratio(event, worth, event.base_volume) if same is None else same


def _same(one: Decimal, other: object) -> bool | None:
    if not isinstance(other, Decimal) or not one > 0 or not other > 0:
        return None
    return abs(one - other) <= _ROOM * max(one, other) + _last_digit(one) + _last_digit(other)


def _ratio(event: Ticker | Candle, quote: object, base: object) -> bool | None:
    """Whether so much was paid as the prices say; None where a figure is missing, or too coarse to say."""
    low, high = event.low, event.high
    if not (isinstance(quote, Decimal) and isinstance(base, Decimal)):
        return None
    if not (isinstance(low, Decimal) and isinstance(high, Decimal)) or not 0 < low <= high:
        return None
    least = base - _last_digit(base)
    if least <= 0 or not quote > 0:
        return None
    cheapest, dearest = (quote - _last_digit(quote)) / (base + _last_digit(base)), (quote + _last_digit(quote)) / least
    return cheapest <= high * (1 + _ROOM) and dearest >= low * (1 - _ROOM)


def _last_digit(value: Decimal) -> Decimal:
    """How far off a number may be that was rounded to the digits it has."""
    exponent = value.as_tuple().exponent
    return Decimal(1).scaleb(exponent) if isinstance(exponent, int) else Decimal(0)


@case(
    "TH-415",
    "a candle is closed when its interval is over, and not before",
    reason="Strategies act on closed candles: one closed early is wrong, and what never closes is never acted on.",
    mend="Write the venue's own mark as closed; where it has none, a candle is closed by the one that follows.",
)
def candles_close_in_time(subject: Subject) -> None:
    """Compare closed with the time in the rehearsal, which goes over the turn of a minute and of an hour. Recorded
    frames are not asked: those composed by hand carry times of their own.
    """
    open_ones: dict[tuple[str, str, str], dict[int, bool]] = {}
    seen = False
    for sample, event in told(subject):
        if not isinstance(event, Candle) or not isinstance(event.start, int) or not subject.simulated(sample):
            continue
        try:
            shortest = candle_span(event.interval)[0] * MILLISECOND
        except (ValueError, TypeError):
            continue
        seen, over = True, event.start + shortest
        if event.closed and sample.at < over:
            raise CaseFailed(
                f"{sample.hook} gave a candle of {event.interval} of {event.symbol} as closed "
                f"{(over - sample.at) / SECOND:.1f} s before its interval was over ({sample.source})",
                "Let closed be False while the interval runs, whatever was traded",
            )
        if sample.hook == "parse":
            starts = open_ones.setdefault((sample.source, event.symbol, event.interval), {})
            starts[event.start] = starts.get(event.start, False) or event.closed
    if not seen:
        raise NotOffered("candles of the simulated venue, of an interval that is known")
    for (_, symbol, interval), starts in open_ones.items():
        *past, _ = sorted(starts)
        if past and not any(starts[start] for start in past):
            raise CaseFailed(
                f"the candle of {interval} of {symbol} that began at {past[-1]} was followed by the next one, and "
                "parse never gave it as closed",
                "Read the venue's mark; where it has none, answer the last candle once more, closed, when the next "
                "one begins: keep it in session.memory",
            )
