"""CallbackDispatcher: who gets what, and that a bad callback harms only itself."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest

from tickhive.channels import DataType
from tickhive.collector.dispatcher import CallbackDispatcher
from tickhive.collector.queues import ThreadSubscriber
from tickhive.events import Gap, MarketEvent, MarkPrice, Trade
from tickhive.tasks import AsyncTaskManager


def trade(number: int) -> Trade:
    return Trade("acme", "BTC-USDT", None, number, str(number), "buy", Decimal(1), Decimal(1))


def mark(number: int) -> MarkPrice:
    return MarkPrice("acme", "BTC-USDT", None, number, Decimal(1))


def gap(data_type: DataType) -> Gap:
    return Gap("acme", "BTC-USDT", None, 5, data_type, None, None, "test")


@pytest.fixture
async def tasks() -> AsyncIterator[AsyncTaskManager]:
    manager = AsyncTaskManager("test")
    yield manager
    await manager.cancel_all_tasks()


@pytest.fixture
def dispatcher(tasks: AsyncTaskManager) -> CallbackDispatcher:
    return CallbackDispatcher("test", tasks, slow_seconds=0.05, queue_events=10)


def test_each_gets_its_type_in_order(dispatcher: CallbackDispatcher) -> None:
    trades: list[MarketEvent] = []
    everything: list[MarketEvent] = []
    dispatcher.register(DataType.TRADE, trades.append)
    dispatcher.register(None, everything.append)
    events: list[MarketEvent] = [trade(1), mark(2), trade(3)]
    dispatcher.deliver(events)
    assert trades == [events[0], events[2]]
    assert everything == events


def test_gaps_go_to_those_who_take_the_type(dispatcher: CallbackDispatcher) -> None:
    trades: list[MarketEvent] = []
    everything: list[MarketEvent] = []
    dispatcher.register(DataType.TRADE, trades.append)
    dispatcher.register(None, everything.append)
    dispatcher.deliver([gap(DataType.TRADE), gap(DataType.ORDERBOOK)])
    assert [event.data_type for event in trades if isinstance(event, Gap)] == [DataType.TRADE]
    assert len(everything) == 2


def test_registering_twice_is_once_and_unregistering_ends_it(dispatcher: CallbackDispatcher) -> None:
    seen: list[MarketEvent] = []
    dispatcher.register(DataType.TRADE, seen.append)
    dispatcher.register(DataType.TRADE, seen.append)
    dispatcher.deliver([trade(1)])
    dispatcher.unregister(DataType.TRADE, seen.append)
    dispatcher.deliver([trade(2)])
    assert seen == [trade(1)]
    with pytest.raises(ValueError, match="not registered for trade"):
        dispatcher.unregister(DataType.TRADE, seen.append)


def test_what_is_not_callable_is_refused(dispatcher: CallbackDispatcher) -> None:
    with pytest.raises(TypeError, match="must be callable, got 7"):
        dispatcher.register(None, 7)  # type: ignore[arg-type]


def test_a_raising_callback_is_counted_and_the_others_go_on(dispatcher: CallbackDispatcher) -> None:
    seen: list[MarketEvent] = []

    def broken(event: MarketEvent) -> None:
        raise RuntimeError("token=abcdefghijklmnop")

    dispatcher.register(None, broken)
    dispatcher.register(None, seen.append)
    dispatcher.deliver([trade(1), trade(2)])
    assert len(seen) == 2
    status = dispatcher.status()[0]
    assert status["errors"] == 2
    assert "abcdefghijklmnop" not in status["last_error"]


async def test_an_async_callback_gets_everything_in_order(dispatcher: CallbackDispatcher) -> None:
    seen: list[int] = []

    async def slow(prefix: str, event: MarketEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.received)

    dispatcher.register(None, functools.partial(slow, "x"))
    dispatcher.deliver([trade(1), trade(2)])
    dispatcher.deliver([trade(3)])
    await dispatcher.close()
    assert seen == [1, 2, 3]
    assert dispatcher.status()[0]["mode"] == "async"


async def test_a_slow_async_callback_loses_its_oldest_events_alone(dispatcher: CallbackDispatcher) -> None:
    gate = asyncio.Event()
    slow_seen: list[int] = []
    seen: list[MarketEvent] = []

    async def slow(event: MarketEvent) -> None:
        await gate.wait()
        slow_seen.append(event.received)

    dispatcher.register(None, slow)
    dispatcher.register(None, seen.append)
    dispatcher.deliver([trade(n) for n in range(25)])
    assert len(seen) == 25
    assert dispatcher.status()[0]["dropped"] == 15
    gate.set()
    await dispatcher.close()
    assert slow_seen == list(range(15, 25))
    assert dispatcher.status()[0]["delivered"] == 10


async def test_a_function_that_answers_coroutines_is_awaited(dispatcher: CallbackDispatcher) -> None:
    seen: list[int] = []

    async def real(event: MarketEvent) -> None:
        seen.append(event.received)

    dispatcher.register(None, lambda event: real(event))
    dispatcher.deliver([trade(1), trade(2)])
    dispatcher.deliver([trade(3)])
    await dispatcher.close()
    assert sorted(seen) == [1, 2, 3]
    assert dispatcher.status()[0]["mode"] == "async"


@pytest.mark.parametrize("annotated", [True, False])
def test_a_callback_may_take_the_list_of_one_read(dispatcher: CallbackDispatcher, annotated: bool) -> None:
    batches: list[list[MarketEvent]] = []

    def by_annotation(events: Sequence[MarketEvent]) -> None:
        batches.append(list(events))

    if annotated:
        dispatcher.register(DataType.TRADE, by_annotation)
    else:
        dispatcher.register(DataType.TRADE, batches.append, batch=True)
    dispatcher.deliver([trade(1), mark(2), trade(3)])
    dispatcher.deliver([mark(4)])
    dispatcher.deliver([trade(5)])
    assert [[event.received for event in batch] for batch in batches] == [[1, 3], [5]]


async def test_a_blocking_callback_goes_on_in_a_thread(dispatcher: CallbackDispatcher) -> None:
    threads: list[threading.Thread] = []
    seen: list[int] = []
    blocked = threading.Event()

    def blocking(event: MarketEvent) -> None:
        threads.append(threading.current_thread())
        blocked.wait(0.06)
        seen.append(event.received)

    others: list[MarketEvent] = []
    dispatcher.register(None, blocking)
    dispatcher.register(None, others.append)
    for number in range(5):
        dispatcher.deliver([trade(number)])
    blocked.set()
    await dispatcher.close()
    assert threads[0] is threading.main_thread()
    assert threads[-1] is not threading.main_thread()
    assert seen == [0, 1, 2, 3, 4]
    assert len(others) == 5
    assert {status["name"].split(".")[-1]: status["mode"] for status in dispatcher.status()}["blocking"] == "thread"
    dispatcher.deliver([trade(5)])
    await dispatcher.close()
    assert seen[-1] == 5


async def test_a_stream_yields_until_closed_and_counts_what_it_lost(dispatcher: CallbackDispatcher) -> None:
    stream = dispatcher.stream([DataType.TRADE], 3)
    dispatcher.deliver([trade(1), mark(2), trade(3), trade(4), trade(5)])
    assert stream.dropped == 1
    assert (await anext(stream)).received == 3
    await dispatcher.close()
    assert [event.received async for event in stream] == [4, 5]


async def test_leaving_a_stream_early_ends_it(dispatcher: CallbackDispatcher) -> None:
    async with dispatcher.stream([], 10) as stream:
        dispatcher.deliver([trade(1)])
        assert (await anext(stream)).received == 1
    dispatcher.deliver([trade(2)])
    assert dispatcher.status() == []
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


def test_taps_get_every_list_whole(dispatcher: CallbackDispatcher) -> None:
    lists: list[list[MarketEvent]] = []
    dispatcher.add_tap(lists.append)
    dispatcher.add_tap(lists.append)
    dispatcher.deliver([trade(1), mark(2)])
    dispatcher.remove_tap(lists.append)
    dispatcher.deliver([trade(3)])
    assert [[event.received for event in events] for events in lists] == [[1, 2]]


@pytest.mark.parametrize("kind", ["function", "coroutine function", "list"])
async def test_a_cancellation_nobody_asked_for_is_a_failure_like_any_other(
    dispatcher: CallbackDispatcher, kind: str
) -> None:
    def function(event: MarketEvent) -> None:
        raise asyncio.CancelledError

    async def coroutine_function(event: MarketEvent) -> None:
        raise asyncio.CancelledError

    seen: list[MarketEvent] = []
    dispatcher.register(None, coroutine_function if kind == "coroutine function" else function, batch=kind == "list")
    dispatcher.register(None, seen.append)
    for number in range(3):
        dispatcher.deliver([trade(number)])
    await dispatcher.close()
    assert dispatcher.status()[0]["errors"] == 3
    assert len(seen) == 3


async def test_a_thread_that_takes_lists_loses_nothing_while_events_come(tasks: AsyncTaskManager) -> None:
    seen: list[int] = []
    subscriber = ThreadSubscriber(frozenset(), lambda events: seen.extend(events), True, 1_000_000)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(600_000):
            subscriber.offer(number)
        await subscriber.close()
    finally:
        sys.setswitchinterval(before)
    assert seen == list(range(600_000))
