"""Filters over checked events: what they answer is what everybody gets, and what they do wrong harms nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from tickhive.channels import DataType
from tickhive.collector.dispatcher import CallbackDispatcher
from tickhive.errors import ConfigurationError
from tickhive.events import Gap, MarketEvent, MarkPrice, Quote, Trade
from tickhive.tasks import AsyncTaskManager


def trade(number: int, symbol: str = "A-B") -> Trade:
    return Trade("acme", symbol, None, number, str(number), "buy", Decimal(1), Decimal(1))


QUOTE = Quote("acme", "A-B", None, 1, Decimal(1), Decimal(1), Decimal(2), Decimal(1))
GAP = Gap("acme", "A-B", None, 1, DataType.TRADE, 1, 2, "cut")


@pytest.fixture
def dispatcher() -> CallbackDispatcher:
    return CallbackDispatcher("c", AsyncTaskManager("c"))


@pytest.fixture
def heard(dispatcher: CallbackDispatcher) -> list[MarketEvent]:
    """What a callback and a tap get; they must get the same."""
    by_callback: list[MarketEvent] = []
    by_tap: list[MarketEvent] = []
    dispatcher.register(None, by_callback.append)

    def tap(events: list[MarketEvent]) -> None:
        by_tap.extend(events)
        assert by_tap == by_callback

    dispatcher.add_tap(tap)
    return by_callback


def rename(event: Any) -> Any:
    return attrs.evolve(event, symbol="X-Y")


def drop(event: Any) -> None:
    return None


def boom(event: Any) -> Any:
    raise ValueError("secret=hunter2000")


async def nap(event: Any) -> Any:
    return event


class Napping:
    async def __call__(self, event: Any) -> Any:
        return event


CASES: dict[str, tuple[Callable[[Any], Any], list[DataType], list[MarketEvent], list[MarketEvent]]] = {
    "renamed": (rename, [], [trade(1), QUOTE, GAP], [rename(trade(1)), rename(QUOTE), rename(GAP)]),
    "renamed of one type": (rename, [DataType.TRADE], [trade(1), QUOTE, GAP], [rename(trade(1)), QUOTE, GAP]),
    "dropped": (drop, [DataType.QUOTE], [QUOTE, trade(1), QUOTE], [trade(1)]),
    "a gap is never dropped": (drop, [], [GAP, trade(1)], [GAP]),
    "nor by an empty list": (lambda event: [], [], [GAP, trade(1)], [GAP]),
    "added": (
        lambda event: [event, MarkPrice("acme", event.symbol, None, event.received, event.price)],
        [DataType.TRADE],
        [trade(1)],
        [trade(1), MarkPrice("acme", "A-B", None, 1, Decimal(1))],
    ),
    "raising": (boom, [], [trade(1), QUOTE], [trade(1), QUOTE]),
    "no event": (lambda event: "x", [], [trade(1)], [trade(1)]),
    "a list of no events": (lambda event: [1], [], [trade(1)], [trade(1)]),
    "a coroutine": (lambda event: nap(event), [], [trade(1)], [trade(1)]),
}


@pytest.mark.parametrize(("function", "types", "events", "expected"), CASES.values(), ids=CASES)
def test_what_a_filter_answers_is_what_everybody_gets(
    dispatcher: CallbackDispatcher,
    heard: list[MarketEvent],
    function: Callable[[Any], Any],
    types: list[DataType],
    events: list[MarketEvent],
    expected: list[MarketEvent],
) -> None:
    dispatcher.add_filter(function, types)
    before = [attrs.evolve(event) for event in events]
    dispatcher.deliver(events)
    assert heard == expected
    assert events == before, "the caller's list and events stay as they were"
    assert sum(dispatcher.counts.values()) == len(expected), "what was delivered is counted"


def test_filters_are_asked_in_the_order_they_were_added(
    dispatcher: CallbackDispatcher, heard: list[MarketEvent]
) -> None:
    dispatcher.add_filter(lambda event: attrs.evolve(event, symbol=event.symbol + "1"))
    dispatcher.add_filter(lambda event: attrs.evolve(event, symbol=event.symbol + "2"))
    dispatcher.add_filter(lambda event: None if event.id == "5" else event, ["trade"])
    dispatcher.deliver([trade(4), trade(5)])
    assert [event.symbol for event in heard] == ["A-B12"]


def test_counters_and_faults_are_shown(
    dispatcher: CallbackDispatcher, heard: list[MarketEvent], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    dispatcher.add_filter(boom, ["trade"])
    dispatcher.add_filter(drop, ["quote"])
    for number in range(25):
        dispatcher.deliver([trade(number), QUOTE])
    first, second = dispatcher.filter_status()
    assert first == {
        "name": "boom", "data_types": ["trade"], "seen": 25, "dropped": 0, "errors": 25,
        "last_error": first["last_error"],
    }  # fmt: skip
    assert first["last_error"].startswith("ValueError")
    assert "hunter" not in first["last_error"]
    assert (second["seen"], second["dropped"], second["errors"]) == (25, 25, 0)
    assert sum("a filter failed" in each.getMessage() for each in caplog.records) == 2, "the 1st and the 10th"


def test_nothing_left_is_nothing_delivered(dispatcher: CallbackDispatcher) -> None:
    batches: list[list[MarketEvent]] = []
    dispatcher.add_tap(batches.append)
    dispatcher.add_filter(drop)
    dispatcher.deliver([trade(1)])
    assert batches == []


def test_who_has_no_filter_pays_nothing(dispatcher: CallbackDispatcher) -> None:
    bare = dispatcher.deliver
    assert bare == dispatcher._deliver
    dispatcher.add_filter(drop)
    dispatcher.add_filter(rename)
    assert dispatcher.deliver != bare
    dispatcher.remove_filter(drop)
    assert dispatcher.deliver != bare
    dispatcher.remove_filter(rename)
    assert dispatcher.deliver == bare
    with pytest.raises(ValueError, match="no filter here"):
        dispatcher.remove_filter(rename)


@pytest.mark.parametrize(
    ("function", "types", "why"),
    [
        (nap, [], "it is async"),
        (Napping(), [], "it is async"),
        ("rename", [], "expected a function"),
        (rename, ["trades"], "'trades'"),
    ],
)
def test_what_cannot_be_a_filter_is_refused(
    dispatcher: CallbackDispatcher, function: Any, types: list[str], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        dispatcher.add_filter(function, types)
    assert dispatcher.filter_status() == []


def test_a_filter_that_holds_the_loop_is_named_once(
    dispatcher: CallbackDispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tickhive.collector.filters.SLOW_SECONDS", -1.0)
    dispatcher.add_filter(rename)
    for _ in range(3):
        dispatcher.deliver([trade(1)])
    assert [each.getMessage().count("filter=rename") for each in caplog.records] == [1]


async def test_dropping_makes_no_hole_and_books_stay_right(venue: Any, make_collector: Any) -> None:
    """Filters see what was checked: the book behind them has every change, and no gap is told."""
    collector = make_collector("trade", "orderbook")
    heard: list[MarketEvent] = []
    collector.add_data_callback(None, heard.append)
    collector.add_filter(drop, "trade", "orderbook")
    await collector.start()
    await venue.until_requests(2)
    await venue.send(e="book", s="btcusdt", b=[["9", "1"]], a=[["11", "1"]], n=1)
    for number in range(2, 30):
        await venue.send(e="trade", s="btcusdt", p="10", q="1", n=number)
        await venue.send(e="book", s="btcusdt", b=[["9", str(number)]], a=[], n=number, prev=number - 1)
    async with asyncio.timeout(5):
        while collector.get_status()["filters"][0]["seen"] < 57:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not any(isinstance(event, Trade | Gap) for event in heard)
    assert collector.book("BTC-USDT").top(1)[0] == [(Decimal(9), Decimal(29))]
    assert collector.get_status()["filters"][0]["dropped"] == 57


def test_a_gap_is_told_though_something_else_was_answered_for_it(
    dispatcher: CallbackDispatcher, heard: list[MarketEvent]
) -> None:
    answers: list[Any] = [QUOTE, [], [QUOTE], None, [rename(GAP), QUOTE]]
    dispatcher.add_filter(lambda event: answers.pop(0) if isinstance(event, Gap) else event)
    dispatcher.deliver([GAP, GAP, GAP, GAP, GAP])
    assert heard == [GAP, QUOTE, GAP, GAP, QUOTE, GAP, rename(GAP), QUOTE]
    assert dispatcher.filter_status()[0]["errors"] == 0


def test_a_filter_that_calls_exit_ends_nothing(dispatcher: CallbackDispatcher, heard: list[MarketEvent]) -> None:
    def leave(event: Any) -> Any:
        raise SystemExit(3)

    dispatcher.add_filter(leave)
    dispatcher.deliver([trade(1), trade(2)])
    assert heard == [trade(1), trade(2)]
    assert dispatcher.filter_status()[0]["errors"] == 2


@pytest.mark.parametrize("function", [Decimal, lambda: None, lambda event, more: event])
def test_what_cannot_be_asked_about_one_event_is_refused_at_once(
    dispatcher: CallbackDispatcher, function: Callable[..., Any]
) -> None:
    with pytest.raises(ConfigurationError, match="function of one event"):
        dispatcher.add_filter(function)
    dispatcher.add_filter(print)
