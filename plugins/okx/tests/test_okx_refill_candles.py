"""Missed candles: how their history is walked, and end to end over the simulated OKX and its market."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.events import Candle, Gap, MarketEvent
from tickhive.plugin.contract import Dial, Fetch, Malformed
from tickhive.plugin.stack import ExchangeStack
from tickhive.plugin.venue import Send, VenueOptions
from tickhive.session import Feed, Session
from tickhive_okx import plugin
from tickhive_okx.rest import CANDLES_PER_PAGE
from tickhive_okx.settings import OKXSettings
from tickhive_okx.venue import OKXVenue

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_795_363_195 * SECOND


def minutes(newest: int, count: int, running: int | None = None) -> list[list[str]]:
    """Rows of the venue, newest first; times in minutes."""
    return [
        [str(each * 60_000), "1", "2", "1", "2", "5", "5", "10", "0" if each == running else "1"]
        for each in range(newest, newest - count, -1)
    ]


def gap(first: int, last: int) -> Gap:
    return Gap("okx", "BTC-USDT", None, 1, DataType.CANDLE, first * MINUTE, last * MINUTE, "cut", params="1m")


ONE_MINUTE, EVERY_SECOND = (Channel("BTC-USDT", "BTC-USDT", DataType.CANDLE, bar) for bar in ("1m", "1s"))


def body(rows: Iterable[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": list(rows)}


def test_a_walk_begins_above_the_hole_and_ends_below_it(view: Any) -> None:
    first, last = 1_000, 1_000 + 2 * CANDLES_PER_PAGE
    fetch, pages = plugin.backfill(view, ONE_MINUTE, gap(first, last)), 0
    starts: list[int] = []
    while isinstance(fetch, Fetch):
        pages += 1
        after = int(fetch.url.partition("after=")[2].partition("&")[0])
        assert fetch.costs == {"market/history-candles": 1.0}
        events = view.read(fetch, body(minutes((after - 1) // 60_000, CANDLES_PER_PAGE)), ONE_MINUTE)
        page = [event for event in events if isinstance(event, Candle)]
        assert page == sorted(page, key=lambda candle: candle.start)
        assert all(candle.late and candle.closed and candle.interval == "1m" for candle in page)
        starts += [candle.start // MINUTE for candle in page]
        fetch = next((event for event in events if isinstance(event, Fetch)), None)
    assert pages == 3
    assert set(range(first - 1, last + 2)) <= set(starts)


@pytest.mark.parametrize(
    ("params", "bar", "length"),
    [
        ("1m", "1m", 60),
        ("4h", "4H", 4 * 3600),
        ("4H", "4H", 4 * 3600),
        ("1dutc", "1Dutc", 86_400),
        ("1M", "1M", 31 * 86_400),
    ],
)
def test_every_bar_is_asked_for_by_its_name_and_reaches_its_successor(
    view: Any, params: str, bar: str, length: int
) -> None:
    channel = Channel("BTC-USDT", "BTC-USDT", DataType.CANDLE, params)
    fetch = plugin.backfill(view, channel, gap(0, 0))
    assert f"&bar={bar}&after={length * 1000 + 1}&" in fetch.url
    (candle,) = view.read(fetch.url, body([["0", "1", "2", "1", "2", "5", "5", "10", "1"]]), channel)
    assert candle.interval == params


def test_a_page_of_candles_that_leads_nowhere_is_not_followed(view: Any) -> None:
    fetch = plugin.backfill(view, ONE_MINUTE, gap(10, 20))
    events = view.read(fetch.url, body(minutes(900, CANDLES_PER_PAGE)), ONE_MINUTE)
    assert not [event for event in events if isinstance(event, Fetch)]


def test_a_bad_candle_spoils_no_other(view: Any) -> None:
    fetch = plugin.backfill(view, ONE_MINUTE, gap(10, 20))
    rows = [["600000", "1", "x"], *minutes(20, 2, running=20)]
    events = view.read(fetch.url, body(rows), ONE_MINUTE)
    assert [type(event) for event in events] == [Candle, Candle, Malformed]
    assert [event.closed for event in events[:2]] == [True, False]


class Talk:
    """One collector on the simulated OKX, in memory and in simulated time."""

    def __init__(self, venue: OKXVenue, number: int, *channels: Channel) -> None:
        self.venue, self.number, self.channels = venue, number, channels
        self.stack = ExchangeStack.from_plugin("okx", plugin)
        settings = OKXSettings(url="ws://venue", rest_url="http://venue")
        self.feed = Feed(self.stack, "okx", settings, InstrumentTable("okx"))
        self.events: list[MarketEvent] = []
        self.session: Session | None = None
        self.healthy, self.faults = 0, list[int]()

    def dial(self, at: int) -> None:
        dial = Dial("one", ("ws://venue/ws/v5/business",), self.channels)
        self.session = Session(self.stack, dial, self.feed)
        self.venue.opened(self.number, "/ws/v5/business", at)
        self.session.opened(at)

    def cut(self, at: int) -> None:
        assert self.session is not None
        self.venue.closed(self.number, at)
        self.events += self.session.closed("cut", at)
        self.session = None

    def go_on(self, frames: list[bytes], at: int) -> None:
        """What came is read, what is asked for is answered."""
        session = self.session
        if session is None:
            return
        self.events += session.receive(frames, at)
        self.events += session.tick(at)
        for request in session.outbox:
            self.venue.received(self.number, request.frame, at)
        session.outbox.clear()
        while session.fetches:
            fetch = session.fetches.pop(0)
            if self.healthy == 0:
                self.venue.faults.rest += self.faults
            self.healthy -= 1
            path = fetch.url.removeprefix("http://venue").partition("#")[0]
            self.events += session.answered(fetch, self.venue.request("GET", path, {}, b"", at), at)

    def candles(self) -> list[Candle]:
        return [event for event in self.events if isinstance(event, Candle)]

    def gaps(self) -> list[Gap]:
        return [event for event in self.events if isinstance(event, Gap)]


def play(
    faults: list[int], *channels: Channel, lost: int = 200, after: int = 20, healthy: int = 0
) -> tuple[Talk, Talk]:
    """One collector is never cut, the other for ``lost`` seconds. Time goes by half seconds.

    REST answers ``healthy`` requests as it should, then with ``faults``.
    """
    venue = OKXVenue(VenueOptions(seed=5, symbols=("BTC-USDT",)), early_data=0.0)
    venue.advance(START)
    whole, cut = Talk(venue, 1, *channels), Talk(venue, 2, *channels)
    cut.healthy, cut.faults = healthy, faults
    whole.dial(START)
    cut.dial(START)
    steps = [("", 100), ("cut", lost), ("dial", after)]
    at = START
    for step, seconds in steps:
        if step == "cut":
            cut.cut(at)
        elif step == "dial":
            cut.dial(at)
        for _ in range(seconds * 2):
            at += SECOND // 2
            venue.advance(at)
            frames: dict[int, list[bytes]] = {1: [], 2: []}
            for said in venue.outgoing():
                assert isinstance(said, Send)
                frame = said.frame
                frames[said.connection].append(frame.encode() if isinstance(frame, str) else frame)
            whole.go_on(frames[1], at)
            cut.go_on(frames[2], at)
    return whole, cut


def told(candles: Iterable[Candle]) -> dict[tuple[str, int], tuple[Any, ...]]:
    """What each closed candle says."""
    return {
        (c.interval, c.start): (c.open, c.high, c.low, c.close, c.volume, c.base_volume, c.quote_volume)
        for c in candles
        if c.closed
    }


def test_candles_of_a_cut_come_late_in_order_and_as_the_market_made_them() -> None:
    whole, cut = play([], ONE_MINUTE, EVERY_SECOND)
    assert told(cut.candles()) == told(whole.candles())
    assert [candle for candle in whole.candles() if candle.late] == [] == whole.gaps()
    for channel in (ONE_MINUTE, EVERY_SECOND):
        late = [c for c in cut.candles() if c.late and c.interval == channel.params]
        assert len(late) >= 3
        assert late == sorted(late, key=lambda candle: candle.start)
        (gap,) = (gap for gap in cut.gaps() if gap.params == channel.params)
        assert (gap.filled, gap.cause) == ("whole", "cut")
        assert (gap.start, late[-1].start) == (late[0].start, gap.end)
        closed = [c.start for c in cut.candles() if c.closed and c.interval == channel.params]
        assert len(closed) == len(set(closed))


@pytest.mark.parametrize(
    ("faults", "filled", "why"),
    [([503], "whole", None), ([429, 503], "whole", None), ([503] * 3, "none", "50001"), ([429] * 3, "none", "50011")],
)
def test_a_venue_whose_rest_fails_is_asked_again_then_the_reason_is_told(
    faults: list[int], filled: str, why: str | None
) -> None:
    whole, cut = play(faults, ONE_MINUTE)
    (gap,) = cut.gaps()
    assert gap.filled == filled
    if why is None:
        assert told(cut.candles()) == told(whole.candles())
    else:
        assert gap.cause.startswith(f"cut; refill: {why}")
        missing = {start for _, start in told(whole.candles()).keys() - told(cut.candles()).keys()}
        assert missing == set(range(gap.start or 0, (gap.end or 0) + 1, MINUTE))


def test_what_was_had_when_a_further_page_fails_is_a_part() -> None:
    whole, cut = play([], EVERY_SECOND, lost=2 * CANDLES_PER_PAGE, after=10)
    assert told(cut.candles()) == told(whole.candles())
    whole, cut = play([503] * 3, EVERY_SECOND, lost=2 * CANDLES_PER_PAGE, after=10, healthy=1)
    (gap,) = cut.gaps()
    assert gap.filled == "part"
    late = [candle.start for candle in cut.candles() if candle.late]
    assert late
    assert late[-1] == gap.end
    assert "50001" in gap.cause
