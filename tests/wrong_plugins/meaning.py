"""Faults of meaning: every value has its type and looks right, and says something else than the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from attrs import evolve

from tickhive.events import Level
from tickhive.plugin import Accepted

from .faults import fault, wrong
from .full import FullWren, fully
from .wren import Wren
from .wren_venue import MS

# 2xx and 3xx


@fault("TH-208", "only what its own frame asks for")
def each_request_names_all_channels() -> object:
    def subscribe(self: Any, session: Any, channels: Any) -> Any:
        return [evolve(each, channels=tuple(channels)) for each in Wren.subscribe(self, session, channels)]

    return wrong(subscribe=subscribe)


@fault("TH-308", "swap the sides")
def the_sides_of_small_books_are_swapped() -> object:
    def top(self: Any, session: Any, message: Any, about: Any) -> Any:
        return [evolve(each, bids=each.asks, asks=each.bids) for each in FullWren.top(self, session, message, about)]

    return fully(top=top)


@fault("TH-308", "how many they are as count")
def gathered_trades_count_as_one() -> object:
    return fully(count=lambda self, row: 1)


@fault("TH-308", "orderbook:5")
def small_books_are_not_read() -> object:
    return fully(top=lambda self, session, message, about: [])


# 4xx


@fault("TH-403", "Candle the start")
def candles_start_at_their_end() -> object:
    return fully(begin=lambda self, bar: bar.t * MS + 60_000 * MS)


@fault("TH-403", "when this rate will be paid")
def funding_is_paid_now() -> object:
    return fully(due=lambda self, message: message.t * MS)


@fault("TH-405", "says how much")
def sizes_are_prices() -> object:
    def trades(self: Any, session: Any, message: Any, at: int) -> Any:
        return [evolve(each, size=each.price) for each in Wren.trades(self, session, message, at)]

    return wrong(trades=trades)


@fault("TH-413", "swap bid and ask")
def the_sides_of_quotes_are_swapped() -> object:
    def quote(self: Any, session: Any, message: Any, about: Any) -> Any:
        bid, bid_size, ask, ask_size = message.q
        return FullWren.quote(self, session, msgspec.structs.replace(message, q=(ask, ask_size, bid, bid_size)), about)

    return fully(quote=quote)


@fault("TH-413", "swap low and high")
def the_days_low_is_its_high() -> object:
    def day(self: Any, message: Any) -> Any:
        bid, ask, high, low = FullWren.day(self, message)
        return bid, ask, low, high

    return fully(day=day)


@fault("TH-413", "swap bid and ask")
def the_best_prices_of_tickers_are_swapped() -> object:
    def day(self: Any, message: Any) -> Any:
        bid, ask, high, low = FullWren.day(self, message)
        return ask, bid, high, low

    return fully(day=day)


@fault("TH-413", "open, high, low, close is their order")
def candles_have_low_before_high() -> object:
    def prices(self: Any, bar: Any) -> Any:
        opened, high, low, closed = FullWren.prices(self, bar)
        return opened, low, high, closed

    return fully(prices=prices)


@fault("TH-413", "of 5 levels")
def small_books_have_their_sides_swapped() -> object:
    def top(self: Any, session: Any, message: Any, about: Any) -> Any:
        return [evolve(each, bids=each.asks, asks=each.bids) for each in FullWren.top(self, session, message, about)]

    return fully(top=top)


@fault("TH-414", "which volume the venue gives in which currency")
def base_and_quote_volume_are_swapped() -> object:
    def volumes(self: Any, base: Decimal, quote: Decimal) -> Any:
        return self.number(base), self.number(quote), self.number(base)

    return fully(volumes=volumes)


@fault("TH-414", "what volume counts")
def the_volume_is_in_dollars() -> object:
    def volumes(self: Any, base: Decimal, quote: Decimal) -> Any:
        return self.number(quote), self.number(base), self.number(quote)

    return fully(volumes=volumes)


def _listed_as(currency: str, size: str) -> object:
    def listed(self: Any, session: Any, row: Any, at: int) -> Any:
        found = Wren.listed(self, session, row, at)
        terms = {"size_unit": "contracts", "contract_size": Decimal(size), "lot_size": None}
        worth = getattr(found.instrument, currency)
        return evolve(found, instrument=evolve(found.instrument, contract_currency=worth, **terms))

    return fully(listed=listed)


@fault("TH-414", "contract_size")
def contracts_are_ten_times_as_large() -> object:
    return _listed_as("base", "10")


@fault("TH-414", "contract_size")
def contracts_are_worth_a_dollar() -> object:
    return _listed_as("quote", "1")


@fault("TH-415", "while the interval runs")
def candles_are_always_closed() -> object:
    return fully(closed=lambda self, bar: True)


@fault("TH-415", "never gave it as closed")
def candles_are_never_closed() -> object:
    return fully(closed=lambda self, bar: False)


@fault("TH-416", "not `at`")
def books_carry_the_time_they_came() -> object:
    def book(self: Any, session: Any, message: Any, at: int) -> Any:
        return [
            evolve(each, timestamp=at) if hasattr(each, "timestamp") else each
            for each in Wren.book(self, session, message, at)
        ]

    return wrong(book=book)


@fault("TH-416", "Keep the fraction")
def times_are_whole_seconds() -> object:
    return wrong(time=lambda self, millis: millis // 1_000 * 1_000 * MS)


@fault("TH-416", "read gave a Trade")
def times_of_the_history_are_whole_seconds() -> object:
    return wrong(past_time=lambda self, millis: millis // 1_000 * 1_000 * MS)


@fault("TH-417", "made up around")
def ids_begin_with_the_name() -> object:
    return wrong(trade_id=lambda self, row, message: f"{message.m}-{row.id}")


@fault("TH-417", "does not say")
def ids_are_counted_by_the_plugin() -> object:
    def trade_id(self: Any, row: Any, message: Any) -> str:
        return str(row.id * 3 + 1)

    return wrong(trade_id=trade_id)


@fault("TH-418", "in one way")
def prices_of_changes_are_longer() -> object:
    def book(self: Any, session: Any, message: Any, at: int) -> Any:
        if not message.full:
            message.b, message.a = ([_longer(each) for each in side] for side in (message.b, message.a))
        return Wren.book(self, session, message, at)

    return wrong(book=book)


@fault("TH-418", "read spelled")
def prices_of_fetched_books_are_longer() -> object:
    def fetched(self: Any, session: Any, reply: Any, native: str, at: int) -> Any:
        found = Wren.fetched(self, session, reply, native, at)
        return evolve(found, bids=[_longer(each) for each in found.bids], asks=[_longer(each) for each in found.asks])

    def book(self: Any, session: Any, message: Any, at: int) -> Any:
        return [] if message.full else Wren.book(self, session, message, at)

    return wrong(fetched=fetched, book=book)


def _longer(level: Level) -> Level:
    return Level(f"{level.price}0" if "." in level.price else f"{level.price}.0", level.size)


# 5xx


@fault("TH-508", "Accepted(id)")
def one_confirmation_accepts_all_channels() -> object:
    def control(self: Any, session: Any, message: Any) -> Any:
        if message.ack:
            return [Accepted(None, tuple(session.memory.asked.values()))]
        return Wren.control(self, session, message)

    return wrong(control=control)


# 7xx


@fault("TH-705", "which column of the REST rows is the size")
def sizes_of_the_history_are_prices() -> object:
    def past(self: Any, session: Any, fetch: Any, reply: Any, asked: Any, at: int) -> Any:
        found = Wren.past(self, session, fetch, reply, asked, at)
        return [evolve(each, size=each.price) if hasattr(each, "price") else each for each in found]

    return wrong(past=past)


@fault("TH-706", "further Fetch")
def no_further_page_is_asked_for() -> object:
    def past(self: Any, session: Any, fetch: Any, reply: Any, asked: Any, at: int) -> Any:
        return [each for each in Wren.past(self, session, fetch, reply, asked, at) if hasattr(each, "price")]

    return wrong(past=past)


@fault("TH-706", "right behind the last trade")
def each_further_page_skips_one() -> object:
    def further(self: Any, session: Any, asked: Any, first: int, channel: Any) -> Any:
        return Wren.further(self, session, asked, first + 1, channel)

    return wrong(further=further)


@fault("TH-707", "start of the interval or its end")
def candles_of_the_history_start_at_their_end() -> object:
    return fully(past_bar=lambda self, candle: evolve(candle, start=candle.start + 60_000 * MS))


@fault("TH-707", "columns of the REST rows")
def columns_of_the_history_are_misread() -> object:
    return fully(past_bar=lambda self, candle: evolve(candle, open=candle.close, close=candle.open))
