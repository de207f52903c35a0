"""Two sockets over one true market: a live book is always the market's, and no change is handed out twice."""

from __future__ import annotations

import json
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.channels import Channel, DataType, Instrument, InstrumentTable
from tickhive.events import BookDelta, BookSnapshot, Gap
from tickhive.plugin.contract import Answer, Dial
from tickhive.plugin.stack import ExchangeStack
from tickhive.session import Feed, Session

SECOND = 1_000_000_000
BOOK = Channel("BTC-USDT", "BTC-USDT", DataType.ORDERBOOK)
SIDES = ("b", "a")


class Market:
    """A venue's one book. Its numbers never repeat, so that every number has one truth."""

    def __init__(self, style: str) -> None:
        self.style = style
        self.sequence = 1_000_000
        self.levels: dict[str, dict[str, str]] = {"b": {"99": "1"}, "a": {"101": "1"}}
        self.time = 0
        self.truth = {self.sequence: self._copy()}

    def _copy(self):
        return {side: dict(levels) for side, levels in self.levels.items()}

    def snapshot(self):
        self.time += 1
        rows = {side: [list(row) for row in levels.items()] for side, levels in self.levels.items()}
        return {"e": "book", "s": BOOK.symbol, "q": self.sequence, "t": self.time, **rows}

    def change(self, changes, jump):
        rows = {"b": [], "a": []}
        for side, price, size in changes:
            text = str(100 - price if side == "b" else 100 + price)
            rows[side].append([text, size])
            self.levels[side].pop(text, None)
            if size != "0":
                self.levels[side][text] = size
        previous, self.sequence = self.sequence, self.sequence + jump
        self.truth[self.sequence] = self._copy()
        self.time += 1
        numbers = {"p": previous} if self.style == "previous" else {"f": previous + 1}
        return {"e": "delta", "s": BOOK.symbol, "q": self.sequence, "t": self.time, **numbers, **rows}

    def keep_alive(self):
        self.time += 1
        numbers = {"q": self.sequence, "p": self.sequence}
        return {"e": "delta", "s": BOOK.symbol, "t": self.time, "b": [], "a": [], **numbers}


class Socket:
    """One session with what the venue has put on its way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.session = Session(world.stack, world.dial, world.feed)
        self.coming: deque[dict] = deque()
        self.subscribed = False
        self.session.opened(world.at)
        self.act()

    def act(self) -> None:
        """Let the venue answer what was asked."""
        session, market = self.session, self.world.market
        while session.outbox or session.fetches:
            for request in session.outbox[:]:
                session.outbox.remove(request)
                said = json.loads(request.frame)
                if said["op"] == "unsub":
                    self.subscribed = False
                    self.coming.append({"e": "off", "id": said["id"], "c": said["c"]})
                else:
                    self.subscribed = True
                    self.coming.append({"e": "ok", "id": said["id"], "c": said["c"]})
                    if not self.world.fetching:
                        self.coming.append(market.snapshot())
            for fetch in session.fetches[:]:
                session.fetches.remove(fetch)
                answer = Answer(200, json.dumps([market.snapshot()]).encode())
                self.world.take(session.answered(fetch, answer, self.world.at))

    def hear(self, count: int) -> None:
        for _ in range(min(count, len(self.coming))):
            self.world.take(self.session.receive([json.dumps(self.coming.popleft()).encode()], self.world.at))
            self.act()


class World:
    """The market, one feed, two sockets, and what consumers got."""

    def __init__(self, stack: ExchangeStack, style: str, fetching: bool) -> None:
        self.stack = stack
        self.feed = Feed(self.stack, "acme", self.stack.settings_type(), InstrumentTable("acme"))
        self.feed.instruments.add(Instrument("acme", BOOK.symbol, BOOK.symbol, "spot", "BTC", "USDT", status="preopen"))
        self.dial = Dial("one", ["wss://acme.test"], [BOOK], patience=0.2 if fetching else None)
        self.market = Market(style)
        self.fetching = fetching
        self.at = 1000 * SECOND
        self.given: set[tuple] = set()
        self.snapshots: list[int] = []
        self.gaps = 0
        self.view = self.feed.book(BOOK.symbol)
        self.sockets = [Socket(self), Socket(self)]

    def take(self, events) -> None:
        for event in events:
            if isinstance(event, Gap):
                self.gaps += 1
            elif isinstance(event, BookDelta):
                mark = (event.sequence, event.previous, event.timestamp)
                assert mark not in self.given, f"handed out twice: {event}"
                self.given.add(mark)
            elif isinstance(event, BookSnapshot):
                self.snapshots.append(event.sequence)
        self.check()

    def check(self) -> None:
        if self.view.live:
            copy, truth = self.view.copy(), self.market.truth[self.view.sequence]
            assert (dict(copy.bids), dict(copy.asks)) == (truth["b"], truth["a"])

    def publish(self, frame, dropped: int) -> None:
        for place, socket in enumerate(self.sockets):
            if socket.subscribed and not dropped >> place & 1:
                socket.coming.append(frame)

    def cut(self, place: int) -> None:
        self.take(self.sockets[place].session.closed("disconnected: 1006", self.at))
        self.check()
        self.sockets[place] = Socket(self)

    def wait(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)
        for socket in self.sockets:
            self.take(socket.session.tick(self.at))
            socket.act()
        for place, socket in enumerate(self.sockets):
            if socket.session.close_reason is not None:
                self.cut(place)


_change = st.tuples(st.sampled_from(SIDES), st.integers(1, 9), st.sampled_from(["0", "1", "2"]))
_steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("change"),
            st.lists(_change, min_size=1, max_size=2),
            st.integers(1, 3),
            st.sampled_from([0] * 6 + [1, 2, 3]),  # on which of the sockets it is lost
        ),
        st.tuples(st.just("hear"), st.integers(0, 1), st.integers(1, 5)),
        st.tuples(st.just("cut"), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.sampled_from([0.01, 0.3, 1.1, 31])),
        st.tuples(
            st.just("reset"),
        ),
        st.tuples(
            st.just("alive"),
        ),
    ),
    min_size=8,
    max_size=60,
)


@pytest.fixture(scope="module")
def stacks(plugins):
    named = {plugin.__name__: plugin for plugin in plugins}
    return [ExchangeStack.from_plugin("acme", named[name]()) for name in ("Leaving", "Fetching")]


@pytest.mark.parametrize("style", ["previous", "first"])
@pytest.mark.parametrize("fetching", [False, True])
@settings(deadline=None, max_examples=60)
@given(steps=_steps)
def test_a_live_book_is_the_markets_whatever_two_sockets_do(stacks, style, fetching, steps):
    run(World(stacks[fetching], style, fetching), style, steps)


def run(world: World, style: str, steps: list[tuple]) -> None:
    resets = 0
    for step in steps:
        match step:
            case ("change", changes, jump, dropped):
                world.publish(world.market.change(changes, jump), dropped)
            case ("hear", place, count):
                world.sockets[place].hear(count)
            case ("cut", place):
                world.cut(place)
            case ("wait", seconds):
                world.wait(seconds)
            case ("reset",) if style == "previous":
                resets += 1
                jump = 1_000_000 - 10_000 * resets - world.market.sequence
                world.publish(world.market.change([("b", 1, str(resets))], jump), 0)
            case ("alive",) if style == "previous":
                world.publish(world.market.keep_alive(), 0)
    # Calm: everything comes through, and the book has to be live at the market's own state.
    for _ in range(12):
        for place in (0, 1):
            world.sockets[place].hear(1000)
        world.wait(31)
        world.publish(world.market.change([("a", 3, "1")], 1), 0)
    for place in (0, 1):
        world.sockets[place].hear(1000)
    assert world.view.live
    assert world.view.sequence == world.market.sequence


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4)), max_size=60), st.integers(0, 30), st.integers(0, 1))
def test_one_cut_of_two_sockets_loses_nothing_and_is_no_gap(stacks, hearing, when, which):
    """Both sockets bring everything, each in its order, by up to what the other is behind; then one is cut."""
    world = World(stacks[0], "previous", False)
    for socket in world.sockets:
        socket.hear(2)
    for number, (place, count) in enumerate(hearing):
        world.publish(world.market.change([("b", 1 + number % 9, str(number + 1))], 1), 0)
        world.sockets[place].hear(count)
        if number == when:
            world.sockets[1 - which].hear(1)
            world.cut(which)
    for place in (0, 1):
        world.sockets[place].hear(1000)
    assert world.view.live
    assert (world.gaps, world.view.sequence) == (0, world.market.sequence)
    given = {mark[0] for mark in world.given}
    # What the socket that joined begins with may be ahead of the other one's changes, and stands for them.
    assert all(number in given or number <= max(world.snapshots) for number in list(world.market.truth)[1:])
