"""Faults of packaging and of hooks: cases 1xx and 2xx."""

from __future__ import annotations

import logging
import random
import socket
import time
from collections.abc import Callable
from typing import Any

from attrs import define, evolve

from tickhive.plugin import ExchangeSettings, Limit, hookimpl

from .faults import answering, fault, wrong
from .wren import Memory, Wren
from .wren_venue import WrenVenue

# Hooks that do not return, whatever asks them


@fault("TH-301", "hook parse", deadline_seconds=0.5)
def parse_never_returns() -> object:
    def parse(self: Any, session: Any, frame: bytes, at: int) -> Any:
        while True:
            pass

    return wrong(parse=parse)


@fault("TH-301", "did not end within 0.5 s", deadline_seconds=0.5)
def parse_swallows_what_would_end_it() -> object:
    swallowed: list[BaseException] = []

    def parse(self: Any, session: Any, frame: bytes, at: int) -> Any:
        while True:
            try:
                while True:
                    pass
            except BaseException as error:
                swallowed.append(error)
                if len(swallowed) % 3 == 0:
                    raise

    return wrong(parse=parse)


@fault("TH-202", "hook connect", deadline_seconds=0.5)
def connect_never_returns() -> object:
    def connect(self: Any, channels: Any, settings: Any, dials: Any) -> Any:
        while True:
            time.sleep(0.01)

    return wrong(connect=connect)


@fault("TH-107", "hook venue", deadline_seconds=0.5)
def the_venue_is_never_made() -> object:
    def venue(self: Any, options: Any) -> Any:
        while True:
            pass

    return wrong(venue=venue)


@fault("TH-501", "did not end within 0.5 s", deadline_seconds=0.5)
def the_venue_never_comes_to_an_end() -> object:
    class Endless(WrenVenue):
        def advance(self, at: int) -> int | None:
            while True:
                pass

    return wrong(venue=answering(Endless))


# 1xx


@fault("TH-102", "upgrade tickhive")
def written_for_a_later_api() -> object:
    return wrong(TICKHIVE_API=99)


@fault("TH-102", "parse is async")
def an_async_hook() -> object:
    async def parse(self: Any, session: Any, frame: bytes, at: int) -> Any:
        return []

    return wrong(parse=parse)


@fault("TH-102", "did you mean frame")
def a_misspelt_argument() -> object:
    def parse(self: Any, frames: bytes) -> Any:
        return []

    return wrong(parse=parse)


@fault("TH-103", "default")
def settings_without_defaults() -> object:
    @define(kw_only=True)
    class Settings(ExchangeSettings):
        region: str

    plugin = wrong()
    type(plugin).settings = hookimpl(lambda self: Settings)  # type: ignore[attr-defined]
    return plugin


@fault("TH-104", "settings.url")
def the_address_is_written_down() -> object:
    return wrong(socket=lambda self, settings: "wss://stream.wren.example/live")


@fault("TH-104", "settings.rest_url")
def the_rest_address_is_written_down() -> object:
    return wrong(rest=lambda self, settings, path: f"https://api.wren.example/{path}")


@fault("TH-105", "no scheme")
def hosts_with_a_scheme() -> object:
    def hosts(self: Any) -> Any:
        return ("wss://stream.wren.example",)

    return wrong(hosts=hosts)


@fault("TH-106", "positive")
def a_limit_of_nothing() -> object:
    def limits(self: Any) -> Any:
        return (Limit("dial", 0, 1.0), Limit("rest", 100, 10.0))

    return wrong(limits=limits)


@fault("TH-107", "not normalised")
def the_venue_speaks_native_names() -> object:
    class Native(WrenVenue):
        def __init__(self, options: Any) -> None:
            super().__init__(options)
            self.symbols = tuple(self._names)

    return wrong(venue=answering(Native))


# 2xx


@fault("TH-201", "Encode the frame")
def a_request_that_is_not_encoded() -> object:
    def ask(self: Any, session: Any, op: str, channel: Any) -> Any:
        return evolve(Wren.ask(self, session, op, channel), frame={"op": op})

    return wrong(ask=ask)


def _connecting(change: Callable[..., Any]) -> object:
    def connect(self: Any, channels: Any, settings: Any, credentials: Any, dials: Any) -> Any:
        return change(Wren.connect(self, channels, settings, credentials), channels, settings, dials)

    return wrong(connect=connect)


@fault("TH-202", "exactly one Dial")
def a_channel_in_two_sockets() -> object:
    return _connecting(lambda answer, *_: [*answer, *(evolve(dial, key=f"{dial.key} too") for dial in answer)])


@fault("TH-202", "exactly one Dial")
def a_channel_is_forgotten() -> object:
    return _connecting(
        lambda answer, *_: [evolve(d, channels=d.channels[:-1] if len(d.channels) > 1 else d.channels) for d in answer]
    )


@fault("TH-203", "same keys")
def keys_change_at_each_question() -> object:
    def renamed(answer: Any, channels: Any, settings: Any, dials: Any) -> Any:
        return [evolve(dial, key=f"socket {len(dials)} {dial.key}") for dial in answer]

    return _connecting(renamed)


@fault("TH-204", "ValueError")
def any_parameter_is_accepted() -> object:
    return wrong(judge=lambda self, channels, credentials: None)


@fault("TH-204", "connect is asked before")
def unknown_names_are_refused() -> object:
    def judge(self: Any, channels: Any, credentials: Any) -> None:
        Wren.judge(self, channels, credentials)
        for channel in channels:
            if channel.symbol == "ZZZ-QQQ":
                raise ValueError(f"{channel} is not listed")

    return wrong(judge=judge)


@fault("TH-204", "KeyError")
def a_data_type_it_stumbles_over() -> object:
    def judge(self: Any, channels: Any, credentials: Any) -> None:
        for channel in channels:
            {"trade": 1, "orderbook": 2, "ticker": 3, "balance": 4}[channel.data_type]
        Wren.judge(self, channels, credentials)

    return wrong(judge=judge)


@fault("TH-204", "in authenticate or sign")
def secrets_are_judged_too_early() -> object:
    def judge(self: Any, channels: Any, credentials: Any) -> None:
        Wren.judge(self, channels, credentials)
        if credentials is not None and credentials.secret == "not-known-yet":
            raise ValueError("the secret is no key")

    return wrong(judge=judge)


@fault("TH-205", "parse reads the clock")
def the_clock_in_parse() -> object:
    return wrong(received=lambda self, at, timestamp: at if time.time_ns() else 0)


@fault("TH-205", "parse logs")
def a_log_line_for_each_frame() -> object:
    def events(self: Any, session: Any, message: Any, at: int) -> Any:
        logging.getLogger("wren").debug("a frame")
        return Wren.events(self, session, message, at)

    return wrong(events=events)


@fault("TH-205", "subscribe draws random numbers")
def random_ids() -> object:
    return wrong(new_id=lambda self, session: str(random.randrange(10**12)))


@fault("TH-205", "settings uses the network")
def the_network_in_settings() -> object:
    def settings(self: Any) -> Any:
        socket.gethostbyname("localhost")
        return ExchangeSettings

    plugin = wrong()
    type(plugin).settings = hookimpl(settings)  # type: ignore[attr-defined]
    return plugin


@fault("TH-205", "subscribe sleeps")
def it_waits_between_requests() -> object:
    def ask(self: Any, session: Any, op: str, channel: Any) -> Any:
        time.sleep(0)
        return Wren.ask(self, session, op, channel)

    return wrong(ask=ask)


@fault("TH-205", "limits touches files")
def limits_from_a_file() -> object:
    def limits(self: Any) -> Any:
        with open(__file__):
            return Wren.limits(self)

    return wrong(limits=limits)


@fault("TH-206", "subscribe changed its argument channels")
def channels_are_emptied() -> object:
    def subscribe(self: Any, session: Any, channels: Any) -> Any:
        asked = Wren.subscribe(self, session, channels)
        channels.reverse()
        return asked

    return wrong(subscribe=subscribe)


@fault("TH-206", "connect changed its argument settings")
def settings_are_changed() -> object:
    def connect(self: Any, channels: Any, settings: Any, credentials: Any) -> Any:
        answer = Wren.connect(self, channels, settings, credentials)
        settings.url = f"{settings.url or 'wss://stream.wren.example'}/"
        return answer

    return wrong(connect=connect)


@fault("TH-207", "next_id")
def a_counter_of_its_own() -> object:
    def new_id(self: Any, session: Any) -> str:
        type(self).count += 1
        return str(type(self).count)

    return wrong(count=0, new_id=new_id)


@fault("TH-208", "subscribe")
def one_id_for_all() -> object:
    return wrong(new_id=lambda self, session: "1")


@fault("TH-209", "memory answered the same object")
def one_memory_for_all() -> object:
    shared = Memory()

    def memory(self: Any) -> Any:
        return shared

    return wrong(memory=memory)
