"""Hundreds of links that start together do not storm their venue, and what it forbids one of them it forbids all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tickhive.budget import Backoff, Budget
from tickhive.clock import ManualClock
from tickhive.collector.connection import ConnectionManager
from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.events import MarketEvent
from tickhive.plugin import Dial, Limit
from tickhive.session.session import Session
from tickhive.tasks import AsyncTaskManager

SECOND = 1_000_000_000
PER_SECOND = 20


class Door:
    """The venue's door: notes when somebody knocks by the manual clock, and answers what a test says."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.knocks: list[int] = []
        self.answer: Callable[[], Response | None] = lambda: None
        self.hang_up: tuple[int, str] | None = None
        self.url = ""

    def knock(self, connection: ServerConnection, request: Request) -> Response | None:
        self.knocks.append(self.clock.time_ns())
        return self.answer()

    async def serve(self, connection: ServerConnection) -> None:
        if self.hang_up is not None:
            await connection.close(*self.hang_up)
        await connection.wait_closed()


def refused(status: int, **headers: str) -> Response:
    return Response(status, "No", Headers({name.replace("_", "-"): value for name, value in headers.items()}), b"")


class Owner:
    """No link here gets far enough to need more."""

    def make_session(self, dial: Dial) -> Session:
        from tickhive.channels import InstrumentTable
        from tickhive.plugin import hookimpl
        from tickhive.plugin.stack import ExchangeStack
        from tickhive.session.feed import Feed

        class Silent:
            @hookimpl
            def connect(self) -> list[Dial]:
                return []

            @hookimpl
            def parse(self, session: Any, frame: bytes, at: int) -> list[Any]:
                return []

        stack = ExchangeStack.from_plugin("acme", Silent())
        return Session(stack, dial, Feed(stack, "acme", None, InstrumentTable("acme")))

    def process(self, session: Session, frames: list[bytes], at: int) -> None: ...

    def deliver(self, events: list[MarketEvent]) -> None: ...


async def no_fetch(fetch: Any) -> Any:
    raise AssertionError("nothing is fetched here")


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door(ManualClock())
    async with serve(door.serve, "127.0.0.1", 0, process_request=door.knock, close_timeout=0.2) as server:
        door.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield door


class NotingBudget(Budget):
    """Notes when each dial was let through: a knock is heard a jump of the clock later."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.dials: list[int] = []

    async def acquire(self, scope: str, amount: float = 1.0, connection: Hashable = None) -> None:
        await super().acquire(scope, amount, connection)
        if scope == "dial":
            self.dials.append(self._clock.time_ns())


class Crowd:
    """Many collectors of one venue: a manager each, one budget."""

    def __init__(self, door: Door, count: int) -> None:
        rng = random.Random(7)
        self.door, clock = door, door.clock
        self.budget = NotingBudget([Limit("dial", PER_SECOND, 1.0)], clock, rng)
        self.tasks = AsyncTaskManager("crowd", clock=clock)
        self.managers = [
            ConnectionManager(
                Owner(),
                CollectorStateAndTelemetry(f"collector {number}", "acme", clock),
                self.tasks,
                clock,
                self.budget,
                no_fetch,
                backoff=lambda: Backoff(rng=rng),
            )
            for number in range(count)
        ]
        for manager in self.managers:
            manager.set_dials([Dial("main", [door.url], [])])

    async def until(self, predicate: Callable[[], object], limit_seconds: float = 600.0) -> None:
        await self.door.clock.run_until(predicate, io_seconds=0.004, limit_seconds=limit_seconds)

    async def open(self) -> None:
        """Have every socket open."""
        await self.until(lambda: all(manager.open_count for manager in self.managers))

    @property
    def connects(self) -> list[int]:
        return [manager.links[0].journal.connects for manager in self.managers]

    async def leave(self) -> None:
        await asyncio.gather(*(manager.stop() for manager in self.managers))
        await self.tasks.cancel_all_tasks()


@pytest.fixture
async def crowd(door: Door) -> AsyncIterator[Callable[[int], Crowd]]:
    made: list[Crowd] = []

    def gather(count: int) -> Crowd:
        made.append(Crowd(door, count))
        return made[-1]

    yield gather
    for each in made:
        await each.leave()


def most_in_a_second(knocks: list[int]) -> int:
    return max(sum(1 for other in knocks if knock <= other < knock + SECOND) for knock in knocks)


async def test_500_links_that_start_together_are_spread_under_the_limit(
    door: Door, crowd: Callable[[int], Crowd]
) -> None:
    door.answer = lambda: refused(503)
    everybody = crowd(500)
    begun = door.clock.time_ns()
    await everybody.until(lambda: all(manager.links[0].journal.failures for manager in everybody.managers))
    assert len(door.knocks) >= 500
    dials = everybody.budget.dials
    assert len(dials) >= len(door.knocks)
    assert most_in_a_second(dials) <= PER_SECOND
    assert (dials[499] - begun) / SECOND >= 500 / PER_SECOND - 1


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (lambda: refused(429, Retry_After="30"), 30),
        (lambda: refused(418, Retry_After="120"), 120),
        (lambda: refused(429), 10),
        (lambda: refused(418), 60),
        (lambda: refused(503, Retry_After="15"), 15),
    ],
)
async def test_a_venue_that_asks_for_quiet_has_it_from_everybody(
    door: Door, crowd: Callable[[int], Crowd], answer: Callable[[], Response], seconds: float
) -> None:
    door.answer = answer
    everybody = crowd(60)
    await everybody.until(
        lambda: sum(manager.links[0].journal.failures for manager in everybody.managers) >= PER_SECOND
    )
    # Those who had been let through before the venue answered have knocked; nobody else has.
    assert len(door.knocks) <= PER_SECOND + 1
    assert everybody.budget.status()["dial"]["penalised_seconds"] > seconds - 1.5
    first = door.knocks[0]
    await everybody.until(lambda: len(door.knocks) > PER_SECOND + 1)
    assert door.knocks[PER_SECOND + 1] - first >= (seconds - 0.1) * SECOND


@pytest.mark.parametrize(("code", "reason"), [(1008, "rule broken"), (4000, "Too many connections")])
async def test_a_socket_closed_for_a_broken_rule_holds_everybody_back(
    door: Door, crowd: Callable[[int], Crowd], code: int, reason: str
) -> None:
    door.hang_up = (code, reason)
    everybody = crowd(3)
    await everybody.until(lambda: everybody.budget.status()["dial"]["penalised_seconds"] > 0, limit_seconds=20)
    assert everybody.budget.status()["dial"]["penalised_seconds"] > 9
    knocks = len(door.knocks)
    await door.clock.advance(8)
    await asyncio.sleep(0.02)
    assert len(door.knocks) == knocks
    assert knocks <= 3


async def test_an_ordinary_end_holds_nobody_back(door: Door, crowd: Callable[[int], Crowd]) -> None:
    door.hang_up = (1001, "see you")
    everybody = crowd(1)
    await everybody.until(lambda: len(door.knocks) >= 2)
    assert everybody.budget.status()["dial"]["penalised_seconds"] == 0


async def test_sockets_that_are_replaced_together_wait_for_their_turn_and_keep_what_they_have(
    door: Door, crowd: Callable[[int], Crowd]
) -> None:
    everybody = crowd(4 * PER_SECOND)
    await everybody.open()
    # Settled by the clock, too: nobody is in the window of the first dials any more.
    await door.clock.advance(2)
    links = [manager.links[0] for manager in everybody.managers]
    before = [link.leg for link in links]
    restarts = [asyncio.ensure_future(manager.roll_over("restart", 1.5)) for manager in everybody.managers]
    await everybody.until(lambda: all(restart.done() for restart in restarts))
    assert all(restart.result() for restart in restarts), "those that still wait are on their way"
    assert sum(link.queued for link in links) >= PER_SECOND
    assert all(link.leg is leg for link, leg in zip(links, before, strict=True) if link.queued)
    assert all(link.state == "open" for link in links)
    await everybody.until(lambda: all(link.replaced(leg) for link, leg in zip(links, before, strict=True)))
    await door.clock.advance(60)
    assert everybody.connects == [2] * len(links)
    assert most_in_a_second(everybody.budget.dials) <= PER_SECOND


async def test_a_replacement_that_had_its_turn_and_does_not_come_is_not_waited_for(
    door: Door, crowd: Callable[[int], Crowd]
) -> None:
    everybody = crowd(1)
    await everybody.open()
    door.answer = lambda: refused(503)
    restart = asyncio.ensure_future(everybody.managers[0].roll_over("restart", 1.5))
    await everybody.until(restart.done)
    assert restart.result() is False
    assert everybody.managers[0].open_count == 1


async def test_one_that_waits_for_its_turn_says_so_and_keeps_its_place_when_it_is_restarted(
    door: Door, crowd: Callable[[int], Crowd]
) -> None:
    everybody = crowd(2)
    await everybody.open()
    everybody.budget.penalise("dial", 100)
    late = ConnectionManager(
        Owner(),
        CollectorStateAndTelemetry("late", "acme", door.clock),
        everybody.tasks,
        door.clock,
        everybody.budget,
        no_fetch,
    )
    everybody.managers.append(late)
    late.set_dials([Dial("main", [door.url], [])])
    await door.clock.advance(10)
    assert (late.unhealthy(15.0), late.queued(15.0)) == ([], 0), "a short wait is nothing to speak of"
    await door.clock.advance(10)
    assert late.unhealthy(15.0) == ["connection main waits for its turn to dial"]
    assert late.queued(15.0) == 1
    assert late.status()[0]["state"] == "waiting"
    assert await late.roll_over("restart", 1.5)
    await everybody.open()
    assert (late.unhealthy(15.0), late.queued(15.0)) == ([], 0)
    assert everybody.connects == [1, 1, 1]


async def test_one_the_venue_refuses_for_good_while_it_waits_does_not_dial(
    door: Door, crowd: Callable[[int], Crowd]
) -> None:
    everybody = crowd(1)
    await everybody.open()
    everybody.budget.penalise("dial", 100)
    link = everybody.managers[0].links[0]
    link.roll_over("a wish")
    await door.clock.advance(1)
    assert link.queued
    leg = link.leg
    assert leg is not None
    assert leg.session is not None
    leg.session.fatal = "credentials refused"
    leg.session.close("credentials refused")
    leg.act()
    await everybody.until(lambda: not link.queued)
    await door.clock.advance(60)
    assert everybody.connects == [1]
    assert len(door.knocks) == 1
    assert link.unhealthy(15.0) == "connection main gave up: credentials refused"
