"""Faults of conversations, books, sockets, speed and secrecy: cases 5xx to 9xx."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
from typing import Any

from attrs import evolve

from tickhive.plugin import Accepted, BookChecksum, Heartbeat, Rejected, Request

from .faults import answering, fault, wrong
from .wren import Wren
from .wren_venue import WrenVenue, checksum_of

# 5xx


@fault("TH-501", "subscribe")
def a_stream_of_another_name() -> object:
    def stream(self: Any, channel: Any) -> str:
        return Wren.stream(self, channel).replace("ticker", "tickers")

    return wrong(stream=stream)


@fault("TH-502", "id of the answered request")
def confirmations_without_an_id() -> object:
    return wrong(accepted=lambda self, id: Accepted())


@fault("TH-502", "no Request of this socket")
def confirmations_with_another_id() -> object:
    return wrong(accepted=lambda self, id: Accepted(f"{id}0"))


@fault("TH-503", "Rejected")
def refusals_are_swallowed() -> object:
    return wrong(refusal=lambda self, session, message: [])


@fault("TH-503", "only what was refused")
def refusals_of_everything() -> object:
    def refusal(self: Any, session: Any, message: Any) -> Any:
        return [Rejected(message.why, "symbol", channels=tuple(session.memory.asked.values()))]

    return wrong(refusal=refusal)


@fault("TH-503", "'symbol'")
def an_unknown_symbol_is_called_a_bad_request() -> object:
    return wrong(refusal=lambda self, session, message: [Rejected(message.why, "request", message.nak)])


@fault("TH-504", "from the first frame on")
def data_before_its_confirmation_is_dropped() -> object:
    def events(self: Any, session: Any, message: Any, at: int) -> Any:
        if message.s and not session.memory.confirmed:
            return []
        return Wren.events(self, session, message, at)

    return wrong(events=events)


@fault("TH-505", "unsubscribe")
def unsubscribe_names_something_else() -> object:
    def unsubscribe(self: Any, session: Any, channels: Any) -> Any:
        return [self.ask(session, "unsub", evolve(channel, native=channel.symbol)) for channel in channels]

    return wrong(unsubscribe=unsubscribe)


@fault("TH-505", "confirmation is not understood")
def what_was_stopped_is_not_read() -> object:
    return wrong(stopped=lambda self, session, stream: [])


@fault("TH-506", "added")
def what_is_added_is_not_asked_for() -> object:
    def subscribe(self: Any, session: Any, channels: Any) -> Any:
        if session.memory.asked:
            return [Request("{}", (channel,), session.next_id()) for channel in channels]
        return Wren.subscribe(self, session, channels)

    return wrong(subscribe=subscribe)


@fault("TH-507", "loses or doubles")
def the_last_trade_of_a_frame_is_lost() -> object:
    def trades(self: Any, session: Any, message: Any, at: int) -> Any:
        found = Wren.trades(self, session, message, at)
        return found[:-1] if len(found) > 1 else found

    return wrong(trades=trades)


@fault("TH-507", "log is empty")
def a_venue_that_counts_nothing() -> object:
    class Uncounted(WrenVenue):
        def advance(self, at: int) -> int | None:
            due = super().advance(at)
            self.log.sent.clear()
            return due

    return wrong(venue=answering(Uncounted))


# 6xx


@fault("TH-601", "nothing was lost")
def every_tenth_change_is_dropped() -> object:
    def book(self: Any, session: Any, message: Any, at: int) -> Any:
        session.memory.count += 1
        return [] if session.memory.count % 10 == 0 else Wren.book(self, session, message, at)

    return wrong(book=book)


@fault("TH-601", "sequence, previous")
def previous_is_one_too_low() -> object:
    def numbers(self: Any, session: Any, message: Any) -> Any:
        return message.n, None if message.p is None else message.p - 1

    return wrong(numbers=numbers)


@fault("TH-601", "")
def the_sides_are_swapped() -> object:
    return wrong(
        sides=lambda self, message: (message.a, message.b),
        sums=lambda self, symbol, message: [],
    )


@fault("TH-601", "TH-604")
def a_checksum_that_never_agrees() -> object:
    return wrong(sums=lambda self, symbol, message: [BookChecksum(symbol, message.sum ^ 1)])


@fault("TH-602", "sequence")
def snapshots_without_a_number() -> object:
    return wrong(snapshot_number=lambda self, message: None)


def _own_numbers(self: Any, session: Any, message: Any) -> Any:
    """The plugin counts by itself, so that no change is ever missed."""
    known = session.memory.asked.setdefault("numbers", {})
    previous = known.get(message.m, message.p)
    known[message.m] = message.n
    return message.n, previous


@fault("TH-603", "sequence")
def numbers_made_up() -> object:
    return wrong(numbers=_own_numbers, sums=lambda self, symbol, message: [])


def _unnumbered(**members: Any) -> object:
    """Books without numbers, as where checksums are all there is."""
    unknown = {"numbers": lambda self, session, message: (None, None), "snapshot_number": lambda self, message: None}
    return wrong(**unknown, **members)


def _sums_of_snapshots(self: Any, symbol: str, message: Any) -> Any:
    return [BookChecksum(symbol, message.sum)] if message.full else []


@fault("TH-603", "BookChecksum")
def checksums_of_changes_are_not_read() -> object:
    return _unnumbered(sums=_sums_of_snapshots)


@fault("TH-604", "depth, order")
def a_checksum_over_another_depth() -> object:
    def checksum(self: Any, book: Any) -> int:
        bids, asks = book.top_text(3)
        return checksum_of([*bids, *asks])

    return wrong(checksum=checksum)


@fault("TH-604", "no BookChecksum")
def the_checksum_of_frames_is_not_read() -> object:
    return wrong(sums=lambda self, symbol, message: [])


@fault("TH-604", "without any level")
def every_checksum_is_nought() -> object:
    def checksum(self: Any, book: Any) -> int:
        return 0

    return wrong(checksum=checksum, sums=lambda self, symbol, message: [BookChecksum(symbol, 0)])


@fault("TH-605", "differs from the streamed one")
def fetched_sides_are_swapped() -> object:
    def fetched(self: Any, session: Any, reply: Any, native: str, at: int) -> Any:
        found = Wren.fetched(self, session, reply, native, at)
        return evolve(found, bids=found.asks, asks=found.bids)

    return wrong(fetched=fetched)


@fault("TH-606", "differs from the venue")
def changes_joined_to_whatever_is_there() -> object:
    return wrong(numbers=_own_numbers, sums=lambda self, symbol, message: [])


@fault("TH-606", "BookChecksum")
def changes_are_joined_unchecked() -> object:
    return _unnumbered(sums=_sums_of_snapshots)


@fault("TH-607", "frame")
def changes_joined_to_whatever_was_before() -> object:
    return wrong(numbers=_own_numbers, sums=lambda self, symbol, message: [])


# 7xx


@fault("TH-701", "subscribe")
def each_stream_is_asked_for_once() -> object:
    def subscribe(self: Any, session: Any, channels: Any) -> Any:
        fresh = [channel for channel in channels if channel not in self.known]
        if session.credentials is None:
            self.known.update(fresh)
        return Wren.subscribe(self, session, fresh)

    return wrong(known=set(), subscribe=subscribe)


@fault("TH-702", "session.memory")
def trades_are_known_by_the_plugin() -> object:
    def trades(self: Any, session: Any, message: Any, at: int) -> Any:
        found = [each for each in Wren.trades(self, session, message, at) if each.id not in self.known]
        self.known.update(each.id for each in found)
        return found

    return wrong(known=set(), trades=trades)


@fault("TH-703", "Heartbeat")
def a_heartbeat_that_comes_too_late() -> object:
    return wrong(heart=Heartbeat(100.0, '{"op":"ping"}'))


@fault("TH-703", "heartbeat is not understood")
def the_pong_is_not_read() -> object:
    return wrong(pong=lambda self: self.unknown("pong"))


@fault("TH-704", "heartbeat=Heartbeat")
def no_heartbeat() -> object:
    return wrong(heart=None)


@fault("TH-705", "backfill")
def the_wrong_trades_are_asked_for() -> object:
    def history(self: Any, session: Any, native: str, first: int, last: int, channel: Any) -> Any:
        return Wren.history(self, session, native, first - 500, first - 480, channel)

    return wrong(history=history)


@fault("TH-705", "was at")
def the_history_is_an_hour_late() -> object:
    return wrong(past_time=lambda self, millis: Wren.past_time(self, millis - 3_600_000))


@fault("TH-705", "further Fetch")
def only_the_first_page_is_read() -> object:
    def past(self: Any, session: Any, fetch: Any, reply: Any, asked: Any, at: int) -> Any:
        return [each for each in Wren.past(self, session, fetch, reply, asked, at) if hasattr(each, "price")]

    return wrong(past=past)


@fault("TH-705", "word the side differently")
def rest_rows_have_the_other_side() -> object:
    return wrong(past_side=lambda self, side: "sell" if side == "buy" else "buy")


# 8xx


@fault("TH-801", "json.loads")
def parse_is_slow() -> object:
    def parse(self: Any, session: Any, frame: bytes, at: int) -> Any:
        with contextlib.suppress(ValueError, RecursionError):
            for _ in range(2):
                copy.deepcopy(json.loads(frame))
        return Wren.parse(self, session, frame, at)

    return wrong(parse=parse)


# 9xx


@fault("TH-901", "repr of a Request")
def the_key_as_an_id() -> object:
    return wrong(login=lambda self, credentials, time: evolve(Wren.login(self, credentials, time), id=credentials.key))


@fault("TH-901", "address")
def the_key_in_the_address() -> object:
    def signed(self: Any, fetch: Any, credentials: Any, time: str) -> Any:
        found = Wren.signed(self, fetch, credentials, time)
        return evolve(found, url=f"{fetch.url}?key={credentials.key}")

    return wrong(signed=signed)


@fault("TH-901", "error of connect")
def the_secret_in_an_error() -> object:
    def judge(self: Any, channels: Any, credentials: Any) -> None:
        if credentials is not None and not credentials.passphrase:
            raise ValueError(f"the secret {credentials.secret} has no passphrase")
        Wren.judge(self, channels, credentials)

    return wrong(judge=judge)


@fault("TH-901", "log line")
def the_secret_in_a_log() -> object:
    def login(self: Any, credentials: Any, time: str) -> Any:
        logging.getLogger("wren").info("signing with %s", credentials.secret)
        return Wren.login(self, credentials, time)

    return wrong(login=login)
