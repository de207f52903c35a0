"""The plugin that is being judged, and what was gathered about it: its venue, its frames, its answers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import define

from tickhive.channels import Channel, DataType, InstrumentTable, Subscription
from tickhive.errors import PluginError
from tickhive.exchanges.asking import ways_to_ask
from tickhive.plugin.contract import Credentials, Dial
from tickhive.plugin.registry import default_registry
from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.venue import SimulatedVenue, VenueOptions
from tickhive.recording.dials import OwnDials
from tickhive.session import OutsideView
from tickhive.structuring import structure
from tickhive.testing.account import made_up
from tickhive.testing.case import NotOffered
from tickhive.testing.history import History, history_of
from tickhive.testing.observing import ObservedStack, Observer, Recorder
from tickhive.testing.parameters import further
from tickhive.testing.purity import Purity, examine
from tickhive.testing.rehearsal import Rehearsal
from tickhive.testing.samples import Recorded, Sample
from tickhive.testing.wire import REST_URL, START, URL

CLEAN_SECONDS = 12.0
"""How long the undisturbed rehearsal takes, in the venue's time."""

VARIED_SECONDS = 8.0
"""How long the one with further parameters takes."""

MOST_SYMBOLS = 4


@define
class Clean:
    """An undisturbed rehearsal of everything the plugin offers, and every call of a hook in it."""

    rehearsal: Rehearsal
    recorder: Recorder
    channels: Sequence[Channel]


class Subject:
    """One exchange under judgement.

    ``plugin`` is judged in place of what is installed under the name. ``frames`` is a folder of recordings or one file.
    ``symbols`` and ``settings`` are used instead of the venue's and the plugin's own, ``credentials`` in place of
    made-up texts that open nothing either. Everything is gathered at first
    need and kept, so that fifty cases cost little more than one.
    """

    VENUE = "the simulated venue"
    """The source of samples that are from the rehearsal."""

    VARIED = "the simulated venue, with further parameters"
    """The source of samples that are from the rehearsal of what ``varied`` asks for."""

    def __init__(
        self,
        exchange: str,
        *,
        plugin: object | None = None,
        frames: Path | None = None,
        symbols: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        credentials: Mapping[str, str] | None = None,
        seed: int = 1,
    ) -> None:
        self.exchange = exchange
        self.plugin = plugin
        self.frames = frames
        self.wished = tuple(symbols)
        self.own_settings = dict(settings or {})
        self.credentials = made_up(credentials or {})
        self.seed = seed
        self.endless: list[str] = []
        """The numbers of cases that did not end."""

    # The plugin itself

    def load(self) -> ExchangeStack:
        """Its hooks; PluginError, UnknownExchangeError when it cannot be used."""
        if self.plugin is not None:
            return ExchangeStack.from_plugin(self.exchange, self.plugin)
        return default_registry().load(self.exchange)

    @cached_property
    def stack(self) -> ExchangeStack:
        """Its hooks; without them no case but the first two can be tried."""
        try:
            return self.load()
        except (PluginError, ValueError):
            raise NotOffered("a plugin that loads (see TH-101 and TH-102)") from None

    def settings(self, **fields: Any) -> Any:
        """Its settings, leading to the simulated venue."""
        values = {**self.own_settings, **fields}
        try:
            return structure(self.stack.settings_type, values, f"exchanges.{self.exchange}")
        except Exception:
            raise NotOffered("settings that take url and rest_url (see TH-103)") from None

    @cached_property
    def local(self) -> Any:
        """Settings that lead to the simulated venue."""
        return self.settings(url=URL, rest_url=REST_URL)

    # Its venue

    def venue(self, speed: float = 1.0, seed: int | None = None) -> SimulatedVenue:
        """A fresh simulated venue; NotOffered where the plugin brings none."""
        options = VenueOptions(seed=self.seed if seed is None else seed, symbols=self.wished, speed=speed, start=START)
        if not self.stack.offers("venue"):
            raise NotOffered("a simulated venue (the hook venue)")
        try:
            found = self.stack.call.venue(options=options)
        except Exception:
            found = None
        if not isinstance(found, SimulatedVenue):
            raise NotOffered("a simulated venue that can be made (see TH-107)")
        return found

    def rehearse(
        self,
        observer: Observer | None = None,
        *,
        speed: float = 1.0,
        seed: int | None = None,
        credentials: Credentials | None = None,
        settings: Any = None,
        silence_seconds: float | None = None,
    ) -> Rehearsal:
        """The plugin and a fresh venue of its own, instruments learned, no socket open yet."""
        stack = ObservedStack(self.stack, observer or Recorder())
        settings = self.local if settings is None else settings
        rehearsal = Rehearsal(stack, settings, self.venue(speed, seed), credentials, silence_seconds)
        rehearsal.run(0)
        rehearsal.learn()
        return rehearsal

    def channels(self, rehearsal: Rehearsal, *kinds: DataType, limit: int = MOST_SYMBOLS) -> list[Channel]:
        """What the venue thinks worth showing, for some of its symbols; only these ``kinds`` where any are named."""
        found = []
        for subscription in map(Subscription.parse, rehearsal.venue.subscriptions):
            if subscription.data_type.private or (kinds and subscription.data_type not in kinds):
                continue
            for symbol in self.symbols(rehearsal.venue)[:limit]:
                native = rehearsal.instruments.native(symbol)
                found.append(Channel(symbol, native, subscription.data_type, subscription.params))
        return found

    def streams(self, rehearsal: Rehearsal, *kinds: DataType, limit: int = MOST_SYMBOLS) -> list[Channel]:
        """Those of ``channels`` that stream: the others are asked for by REST again and again."""
        poll, settings = rehearsal.stack.call.poll, rehearsal.settings
        return [
            channel
            for channel in self.channels(rehearsal, *kinds, limit=limit)
            if poll(channel=channel, settings=settings) is None
        ]

    def symbols(self, venue: SimulatedVenue) -> list[str]:
        """Some of the venue's symbols: the first few, and one of each form."""
        forms: dict[int, str] = {}
        for symbol in venue.symbols:
            forms.setdefault(symbol.count("-"), symbol)
        return list(dict.fromkeys([*venue.symbols[:2], *forms.values(), *venue.symbols]))[:MOST_SYMBOLS]

    def accepted(self, symbol: str, native: str) -> list[Subscription]:
        """The public data types the plugin has for a symbol, with a parameter where they want one."""
        found = []
        for data_type in DataType:
            if data_type.private or data_type is DataType.INSTRUMENT:
                continue
            for asked in ways_to_ask(data_type):
                if self.accepts(Channel(symbol, native, data_type, asked.params)):
                    found.append(asked)
                    break
        return found

    def accepts(self, channel: Channel) -> bool:
        """Whether the plugin has a public channel, streamed or asked for by REST."""
        call = self.stack.call
        try:
            if call.poll(channel=channel, settings=self.local) is not None:
                return True
            return bool(call.connect(channels=(channel,), settings=self.local, credentials=None, dials=()))
        except Exception:
            return False

    @cached_property
    def clean(self) -> Clean:
        """What happens when nothing goes wrong. It is the first that the plugin is asked in earnest."""
        recorder = Recorder()
        rehearsal = self.rehearse(recorder)
        channels = self.channels(rehearsal)
        shown = {channel.subscription for channel in channels}
        kinds = {channel.data_type for channel in channels}
        for symbol in self.symbols(rehearsal.venue):
            native = rehearsal.instruments.native(symbol)
            for subscription in self.accepted(symbol, native):
                # A second book or candle of a symbol may be one too many for the venue.
                if subscription not in shown and subscription.data_type not in kinds:
                    channels.append(Channel(symbol, native, subscription.data_type, subscription.params))
        rehearsal.start(channels)
        rehearsal.run(CLEAN_SECONDS)
        return Clean(rehearsal, recorder, channels)

    @cached_property
    def varied(self) -> Clean | None:
        """The same with further parameters of its data types (``orderbook:5``); None where it has no others."""
        recorder = Recorder()
        rehearsal = self.rehearse(recorder)
        channels = further(self, rehearsal)
        if not channels:
            return None
        rehearsal.start(channels)
        rehearsal.run(VARIED_SECONDS)
        return Clean(rehearsal, recorder, channels)

    @cached_property
    def history(self) -> History:
        """What was answered by REST about missed trades and candles."""
        return history_of(self)

    @cached_property
    def purity(self) -> Purity:
        """What every hook did when it was looked at."""
        return examine(self)

    # Frames

    @cached_property
    def recorded(self) -> tuple[Sequence[Sample], Recorded] | None:
        """The recorded frames and who read them; None without recordings."""
        if self.frames is None:
            return None
        reader = Recorded(self, ObservedStack(self.stack, Recorder()))
        return list(reader.read()), reader

    @cached_property
    def samples(self) -> list[Sample]:
        """Every frame there is, from the rehearsal and from recordings; NotOffered where there is none."""
        found: list[Sample] = []
        try:
            clean = self.clean
        except NotOffered:
            if self.frames is None:
                raise NotOffered("frames: a folder of recordings, or a simulated venue") from None
        else:
            found += _heard(clean, self.VENUE)
            with suppress(NotOffered):  # one parameter that leads elsewhere costs no other
                if self.varied is not None:
                    found += _heard(self.varied, self.VARIED)
        if self.recorded is not None:
            found += self.recorded[0]
        if not found:
            raise NotOffered("frames: none came from the venue or a recording")
        return found

    @cached_property
    def answers(self) -> list[Sample]:
        """What ``read`` made of answers by REST: those of the rehearsal, recorded ones, and missed trades and candles.

        NotOffered where there is none.
        """
        found: list[Sample] = []
        try:
            calls = [*self.clean.recorder.of("read"), *self.history.calls]
        except NotOffered:
            calls = []
        for call in calls:
            events = call.answer if isinstance(call.answer, list) else []
            body, url = call.arguments["answer"].body, call.arguments["fetch"].url
            found.append(Sample(body, call.arguments["at"], events, self.VENUE, url, hook="read"))
        if self.recorded is not None:
            found += self.recorded[1].answers
        if not found:
            raise NotOffered("answers by REST")
        return found

    def simulated(self, sample: Sample) -> bool:
        """Whether a sample is from a rehearsal."""
        return sample.source in (self.VENUE, self.VARIED)

    def instruments(self, sample: Sample) -> InstrumentTable:
        """The instruments that were listed where a sample is from."""
        if self.simulated(sample):
            return self.clean.rehearsal.instruments
        return self.recorded[1].instruments if self.recorded is not None else InstrumentTable(self.exchange)

    def dial(self, url: str = "") -> Dial:
        """What ``connect`` answers for this address of the simulated venue, else the first it answers for any."""
        return self._dials.of(url) or next(iter(self._dials.all()), Dial("conformance", (url or URL,), ()))

    @cached_property
    def _dials(self) -> OwnDials:
        return OwnDials(self.stack, self.local)

    def view(self, instruments: InstrumentTable | None = None, dial: Dial | None = None) -> OutsideView:
        """A socket without a session, with a memory of its own."""
        if instruments is None:
            instruments = InstrumentTable(self.exchange)
        view = OutsideView(self.exchange, self.local, instruments, self.stack.call.memory())
        view.dial = dial or self.dial()
        return view

    def random(self, purpose: str) -> random.Random:
        """Chance that is the same on every run."""
        return random.Random(f"{self.exchange}/{purpose}/{self.seed}")


def _heard(clean: Clean, source: str) -> list[Sample]:
    """The frames of a rehearsal, and what was read in them."""
    found = []
    for call in clean.recorder.of("parse"):
        session, events = call.arguments["session"], call.answer
        known = events if isinstance(events, list) else []
        url, fault = next(iter(session.dial.urls), ""), call.fault(list)
        frame, at = call.arguments["frame"], call.arguments["at"]
        found.append(Sample(frame, at, known, source, url, fault, id(session), session.dial))
    return found
