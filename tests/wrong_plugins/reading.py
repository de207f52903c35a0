"""Faults of reading frames and answers: cases 3xx and 4xx."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import evolve

from tickhive.plugin import Rejected

from .faults import answering, fault, wrong
from .wren import Wren
from .wren_venue import MS, NumericVenue, WrenVenue

# 3xx


@fault("TH-301", "parse raised")
def parse_raises() -> object:
    def unreadable(self: Any, error: Exception) -> Any:
        raise error

    return wrong(unreadable=unreadable)


@fault("TH-301", "parse answered None")
def exceptions_are_swallowed() -> object:
    return wrong(unreadable=lambda self, error: None)


@fault("TH-301", "parse raised KeyError")
def parse_counts_on_a_key() -> object:
    def control(self: Any, session: Any, message: Any) -> Any:
        if message.off:
            return [session.memory.asked[message.off]]
        return Wren.control(self, session, message)

    def parse(self: Any, session: Any, frame: bytes, at: int) -> Any:
        if frame.startswith(b"["):
            raise KeyError(frame[:5])
        return Wren.parse(self, session, frame, at)

    return wrong(control=control, parse=parse)


@fault("TH-302", "answered nothing")
def what_is_unreadable_is_dropped() -> object:
    return wrong(unreadable=lambda self, error: [])


@fault("TH-302", "answered nothing")
def what_is_unknown_is_dropped() -> object:
    return wrong(unknown=lambda self, what: [])


@fault("TH-303", "Unknown")
def a_stream_is_not_known() -> object:
    return wrong(ticker=lambda self, session, message, at: self.unknown("stream ticker"))


@fault("TH-304", "ticker")
def a_stream_is_skipped() -> object:
    return wrong(ticker=lambda self, session, message, at: [])


@fault("TH-304", "connect refuse it")
def a_stream_is_accepted_and_never_read() -> object:
    class Modest(WrenVenue):
        subscriptions = ("trade", "orderbook")

    skipped = {"ticker": lambda self, session, message, at: []}
    return wrong(venue=answering(Modest), **skipped)


@fault("TH-305", "session.memory")
def each_reading_is_counted_in_the_plugin() -> object:
    def trades(self: Any, session: Any, message: Any, at: int) -> Any:
        type(self).count += 1
        return [evolve(trade, count=self.count) for trade in Wren.trades(self, session, message, at)]

    return wrong(count=0, trades=trades)


@fault("TH-306", "read raised")
def read_counts_on_json() -> object:
    def read(self: Any, session: Any, fetch: Any, answer: Any, at: int) -> Any:
        return self.answers(session, fetch, self.reply(answer.body), at)

    return wrong(read=read)


@fault("TH-307", "refused raised")
def errors_are_expected_to_be_json() -> object:
    return wrong(error=lambda self, body: Rejected(self.complaint(body).why))


@fault("TH-307", "refused answered")
def the_page_of_a_gateway_is_the_reason() -> object:
    return wrong(error=lambda self, body: Rejected(body.decode("utf-8", "replace")))


# 4xx


@fault("TH-401", "session.exchange")
def another_exchange() -> object:
    return wrong(exchange=lambda self, session: "wern")


@fault("TH-402", "argument `at`")
def received_is_the_venues_time() -> object:
    return wrong(received=lambda self, at, timestamp: timestamp)


@fault("TH-403", "milliseconds by 1_000_000")
def milliseconds() -> object:
    return wrong(time=lambda self, millis: millis)


@fault("TH-403", "microseconds by 1_000")
def microseconds() -> object:
    return wrong(time=lambda self, millis: millis * 1_000)


@fault("TH-403", "after the frame came")
def a_time_zone_ahead() -> object:
    return wrong(time=lambda self, millis: (millis + 8 * 3_600_000) * MS)


@fault("TH-403", "read gave a Trade")
def the_history_is_in_milliseconds() -> object:
    return wrong(past_time=lambda self, millis: millis)


@fault("TH-403", "read gave a BookSnapshot")
def fetched_books_are_in_milliseconds() -> object:
    def fetched(self: Any, session: Any, reply: Any, native: str, at: int) -> Any:
        return evolve(Wren.fetched(self, session, reply, native, at), timestamp=reply.t)

    def book(self: Any, session: Any, message: Any, at: int) -> Any:
        return [] if message.full else Wren.book(self, session, message, at)

    return wrong(fetched=fetched, book=book)


@fault("TH-404", "float")
def prices_are_floats() -> object:
    return wrong(number=lambda self, value: float(value))


@fault("TH-405", "own text")
def prices_went_through_float() -> object:
    return wrong(number=lambda self, value: Decimal(float(Wren.number(self, value))))


@fault("TH-405", "not of a float")
def prices_went_through_the_text_of_a_float() -> object:
    return wrong(number=lambda self, value: Decimal(str(float(Wren.number(self, value)))))


@fault("TH-406", "'buy' or 'sell'")
def sides_in_capitals() -> object:
    return wrong(taker=lambda self, maker: Wren.taker(self, maker).upper())


@fault("TH-407", "taker")
def the_makers_side() -> object:
    return wrong(taker=lambda self, maker: "buy" if maker == "b" else "sell")


@fault("TH-408", "list[Level]")
def levels_are_decimals() -> object:
    return wrong(levels=lambda self, levels: [(Decimal(each.price), Decimal(each.size)) for each in levels])


@fault("TH-409", "venue's name of")
def native_names() -> object:
    return wrong(symbol=lambda self, session, native: native)


@fault("TH-410", "make_symbol")
def symbols_of_its_own_form() -> object:
    return wrong(
        listed_symbol=lambda self, base, quote: f"{base}/{quote}",
        venue=answering(WrenVenue),
    )


@fault("TH-410", "lot_size")
def sizes_count_in_hundredths() -> object:
    return wrong(steps=lambda self, tick, lot: (tick, Decimal("0.01")))


@fault("TH-410", "tick_size")
def prices_move_by_a_half() -> object:
    return wrong(steps=lambda self, tick, lot: (Decimal("0.5"), lot))


@fault("TH-411", "not of the order")
def the_id_of_the_message() -> object:
    return wrong(trade_id=lambda self, row, message: str(message.t // 10_000))


@fault("TH-412", "is_finite")
def not_a_number_is_a_price() -> object:
    return wrong(number=lambda self, value: value)


@fault("TH-412", "is_finite")
def not_a_number_is_a_price_among_json_numbers() -> object:
    return wrong(number=lambda self, value: value, venue=answering(NumericVenue))
