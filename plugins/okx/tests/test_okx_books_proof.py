"""A removed book update is never served over: on the simulated OKX by its numbers, on recorded frames by checksums."""

from __future__ import annotations

import heapq
import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from random import Random

import pytest

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.events import Gap, MarketEvent
from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.venue import Send, VenueOptions
from tickhive.session.feed import Feed
from tickhive.session.session import Session
from tickhive_okx import plugin
from tickhive_okx.settings import OKXSettings
from tickhive_okx.venue import OKXVenue
from tickhive_okx.venue_channels import Frame, Key
from tickhive_okx.venue_faults import Faults

SECOND = 1_000_000_000
START = 1_791_369_351 * SECOND
ONE_WAY = SECOND // 25
ROUND_TRIP = 2 * ONE_WAY
NATIVES = {"BTC-USDT": "BTC-USDT", "ETH-USDT": "ETH-USDT", "BTC-USDT-PERP": "BTC-USDT-SWAP"}
RUN = int(3.2 * SECOND)

Sides = tuple[dict[str, str], dict[str, str]]


class Truth(Faults):
    """The faults of a venue that also knows what every book is at every number: all frames, before the faults, read
    level by level.
    """

    def __init__(self) -> None:
        super().__init__()
        self.books: dict[str, Sides] = {}
        self.states: dict[str, dict[int, Sides]] = defaultdict(dict)

    def applied(self, key: Key, frame: Frame) -> list[Frame]:
        push = json.loads(frame.text)
        native = push["arg"]["instId"]
        if push["action"] == "snapshot":
            self.books[native] = ({}, {})
        for item in push["data"]:
            for levels, side in zip(self.books[native], ("bids", "asks"), strict=True):
                for price, size, *_ in item[side]:
                    levels.pop(price, None)
                    if size != "0":
                        levels[price] = size
            bids, asks = self.books[native]
            self.states[native][item["seqId"]] = (dict(bids), dict(asks))
        return super().applied(key, frame)


class Line:
    """A session and a simulated OKX with ``ONE_WAY`` between them, each frame and each request on its way alone."""

    def __init__(self, market: OKXVenue, hear: Callable[[list[MarketEvent], int], None]) -> None:
        stack = ExchangeStack.from_plugin("okx", plugin)
        settings = OKXSettings()
        channels = [Channel(symbol, native, DataType.ORDERBOOK) for symbol, native in NATIVES.items()]
        table = InstrumentTable("okx", {native: symbol for symbol, native in NATIVES.items()})
        self.feed = Feed(stack, "okx", settings, table)
        (dial,) = stack.call.connect(channels=channels, settings=settings, credentials=None, dials=())
        self.session = Session(stack, dial, self.feed)
        self.market = market
        self.requests: list[tuple[int, str]] = []
        self._hear = hear
        self._on_way: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = itertools.count()
        market.advance(START)
        market.opened(1, "/ws/v5/public", START)
        self.session.opened(START)
        self._after(START)

    def at(self, moment: int, action: Callable[[int], None]) -> None:
        heapq.heappush(self._on_way, (moment, next(self._order), action))

    def run(self, until: int) -> None:
        due = self.market.advance(START)
        while True:
            waking = self.session.deadline()
            moments = [moment for moment in (due, waking, self._on_way[0][0] if self._on_way else None) if moment]
            now = min(moments)
            if now > until:
                return
            due = self.market.advance(now)
            while self._on_way and self._on_way[0][0] <= now:
                heapq.heappop(self._on_way)[2](now)
            if waking is not None and waking <= now:
                self._hear(self.session.tick(now), now)
            self._after(now)

    def _after(self, now: int) -> None:
        for request in self.session.outbox:
            self.requests.append((now, json.loads(request.frame)["op"]))
            self.at(now + ONE_WAY, lambda at, frame=request.frame: self.market.received(1, frame, at))
        self.session.outbox.clear()
        assert not self.session.fetches
        for sent in self.market.outgoing():
            assert isinstance(sent, Send)
            self.at(now + ONE_WAY, lambda at, frame=sent.frame: self._heard(frame, at))

    def _heard(self, frame: str | bytes, at: int) -> None:
        raw = frame.encode() if isinstance(frame, str) else frame
        self._hear(self.session.receive([raw], at), at)


@pytest.mark.parametrize("seed", range(12))
def test_an_update_removed_is_never_served_over_and_the_book_is_back_in_two_round_trips(seed):
    random, truth = Random(seed), Truth()
    market = OKXVenue(VenueOptions(seed=seed, symbols=tuple(NATIVES)), early_data=0.0)
    market.faults = truth
    gaps: list[tuple[str, int]] = []
    back: dict[str, int] = {}

    def hear(events: list[MarketEvent], at: int) -> None:
        gaps.extend((event.symbol, at) for event in events if isinstance(event, Gap))
        for symbol, native in NATIVES.items():
            view = line.feed.book(symbol)
            if view.live:
                copy = view.copy()
                assert (dict(copy.bids), dict(copy.asks)) == truth.states[native][view.sequence]
                if any(symbol == broken for broken, _ in gaps):
                    back.setdefault(symbol, at)

    line = Line(market, hear)
    removed = random.sample(sorted(NATIVES), random.randint(1, 3))
    for symbol in removed:
        moment = START + SECOND // 2 + random.randrange(2 * SECOND)
        line.at(moment, lambda at, symbol=symbol: truth.plan("drop", NATIVES[symbol]))
    line.run(START + RUN)
    assert sorted(symbol for symbol, _ in gaps) == sorted(removed)
    for symbol, at in gaps:
        assert back[symbol] - at <= 2 * ROUND_TRIP
    asked = Counter(op for _, op in line.requests)
    assert asked == {"subscribe": 1 + len(removed), "unsubscribe": len(removed)}
    assert line.session.close_reason is None


# Recorded frames: checksums, no numbers


def recorded_books(frames: Iterable[bytes]) -> dict[str, list[bytes]]:
    """The book pushes of each instrument."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for frame in frames:
        if b'"checksum"' in frame:
            found[json.loads(frame)["arg"]["instId"]].append(frame)
    return found


def listening(native: str) -> Session:
    stack = ExchangeStack.from_plugin("okx", plugin)
    channels = [Channel(native, native, DataType.ORDERBOOK)]
    (dial,) = stack.call.connect(channels=channels, settings=OKXSettings(), credentials=None, dials=())
    session = Session(stack, dial, Feed(stack, "okx", OKXSettings(), InstrumentTable("okx")))
    session.opened(START)
    return session


def test_every_recorded_checksum_holds_and_a_removed_update_is_caught_at_the_next_frame(okx_2022):
    verified = removed = caught = 0
    for native, frames in recorded_books(line.frame for line in okx_2022).items():
        whole = listening(native)
        assert not any(isinstance(event, Gap) for event in whole.receive(frames, START))
        assert whole.statistics.checksums_failed == 0
        verified += whole.statistics.checksums_verified
        unchecked = [re.sub(rb'"checksum":-?\d+', b'"checksum":0', frame) for frame in frames]  # they held just now
        for place in range(1, len(frames)):
            session = listening(native)
            before = session.receive(unchecked[:place], START)
            assert not any(isinstance(event, Gap) for event in before)
            events = session.receive(frames[place + 1 : place + 2], START)
            removed += 1
            gaps = [event for event in events if isinstance(event, Gap)]
            caught += [(gap.symbol, gap.cause) for gap in gaps] == [(native, "checksum failed")]
            assert session.feed.book(native).live is not bool(gaps)
    assert (verified, removed) == (290, 287)
    assert caught >= 272
