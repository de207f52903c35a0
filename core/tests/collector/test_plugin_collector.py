"""PluginCollector over real sockets: the whole road from a venue to callbacks, and every way it can be disturbed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from tickhive.collector.telemetry import CollectorStatus
from tickhive.errors import BookNotLive, CollectorError
from tickhive.events import BookDelta, BookSnapshot, Gap, MarketEvent, SubscriptionUpdate, Ticker, Trade
from tickhive.plugin import Heartbeat, Limit
from tickhive.testing import capture_logs

SETTLE = 10.0


async def until(predicate: Callable[[], Any]) -> None:
    """Wait for something another task brings about; a wrong program ends in TimeoutError, never in luck."""
    async with asyncio.timeout(SETTLE):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def data_only(seen: list[MarketEvent]) -> Callable[[MarketEvent], None]:
    """Collect everything but the news of subscriptions."""

    def take(event: MarketEvent) -> None:
        if not isinstance(event, SubscriptionUpdate):
            seen.append(event)

    return take


async def test_from_the_venue_to_a_callback(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    seen: list[MarketEvent] = []
    collector.add_data_callback(None, data_only(seen))
    await collector.start()
    assert collector.status is CollectorStatus.RUNNING
    await venue.until_requests(1)
    await venue.send(e="trade", s="btcusdt", n=1, p="1.50", q="2")
    await until(lambda: seen)
    trade = seen[0]
    assert isinstance(trade, Trade)
    assert (trade.exchange, trade.symbol, trade.price) == ("acme", "BTC-USDT", Decimal("1.50"))
    status = collector.get_status()
    assert status["events"]["Trade"] == 1
    assert status["subscriptions"][0]["state"] == "receiving"
    assert status["connections"][0]["state"] == "open"
    assert collector.get_health_status()["healthy"]
    json.dumps(status)


async def test_either_name_of_a_symbol_will_do(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade", symbols=["btcusdt", "ETH-USDT"])
    await collector.start()
    await venue.until_requests(2)
    assert sorted(request["s"] for request in venue.requests) == ["btcusdt", "ethusdt"]
    assert [channel.symbol for channel in collector.channels()] == ["BTC-USDT", "ETH-USDT"]


async def test_an_unknown_symbol_is_named_and_the_others_run(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade", symbols=["BTC-USDT", "ETH-USTD"])
    await collector.start()
    await venue.until_requests(1)
    assert collector.status is CollectorStatus.RUNNING
    reason = collector.get_status()["set_aside"]["ETH-USTD"]
    assert "acme lists no instrument named 'ETH-USTD'" in reason
    assert "ETH-USDT" in reason


async def test_nothing_but_unknown_symbols_is_an_error(make_collector: Any) -> None:
    collector = make_collector("trade", symbols=["NOPE-NOPE"])
    with pytest.raises(CollectorError, match="NOPE-NOPE"):
        await collector.start()
    assert collector.status is CollectorStatus.ERROR
    assert not collector.get_health_status()["healthy"]


async def test_a_rejected_subscription_is_reported_and_the_others_run(make_collector: Any, venue: Any) -> None:
    venue.refuse["ethusdt"] = {"why": "not for you"}
    collector = make_collector("trade", symbols=["BTC-USDT", "ETH-USDT"])
    await collector.start()
    await venue.until_requests(2)
    await until(lambda: {s["state"] for s in collector.get_status()["subscriptions"]} == {"acknowledged", "rejected"})
    rejected = next(s for s in collector.get_status()["subscriptions"] if s["state"] == "rejected")
    assert (rejected["symbol"], rejected["reason"]) == ("ETH-USDT", "not for you")


async def test_refused_credentials_end_the_link_without_hammering(make_collector: Any, venue: Any) -> None:
    venue.refuse["btcusdt"] = {"why": "wrong key", "kind": "credentials"}
    collector = make_collector("trade")
    await collector.start()
    await until(lambda: collector.status is CollectorStatus.ERROR)
    assert len(venue.connections) == 1
    health = collector.get_health_status()
    assert health["needs_operator"]
    assert any("refused the credentials (wrong key)" in reason for reason in health["reasons"])


async def test_a_lost_line_is_dialled_again_and_the_hole_is_a_gap(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    seen: list[MarketEvent] = []
    collector.add_data_callback(None, data_only(seen))
    await collector.start()
    await venue.until_requests(1)
    await venue.send(e="trade", s="btcusdt", n=1, p="1", q="1")
    await until(lambda: seen)
    venue.connections[0].transport.abort()
    await venue.until_requests(2)
    await venue.send(e="trade", s="btcusdt", n=5, p="1", q="1")
    await until(lambda: len(seen) == 3)
    first, gap, last = seen
    assert isinstance(gap, Gap)
    assert (gap.start, gap.end, gap.filled) == (first.received, last.received, "none")
    assert collector.get_status()["connections"][0]["connects"] == 2


async def test_ids_that_continue_prove_that_nothing_was_missed(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    seen: list[MarketEvent] = []
    collector.add_data_callback(None, data_only(seen))
    await collector.start()
    await venue.until_requests(1)
    await venue.send(e="trade", s="btcusdt", n=1, p="1", q="1")
    await until(lambda: seen)
    venue.connections[0].transport.abort()
    await venue.until_requests(2)
    await venue.send(e="trade", s="btcusdt", n=2, p="1", q="1")
    await until(lambda: len(seen) == 2)
    assert [type(event) for event in seen] == [Trade, Trade]


async def test_a_gap_in_a_book_breaks_that_book_and_asks_again(make_collector: Any, venue: Any) -> None:
    collector = make_collector("orderbook", symbols=["BTC-USDT", "ETH-USDT"])
    seen: list[MarketEvent] = []
    collector.add_data_callback(None, data_only(seen))
    await collector.start()
    await venue.until_requests(2)
    for symbol in ("btcusdt", "ethusdt"):
        await venue.send(e="book", s=symbol, n=1, b=[["9", "1"]], a=[["10", "1"]])
    await venue.send(e="book", s="btcusdt", n=2, prev=1, b=[["9.5", "3"]], a=[])
    await until(lambda: len(seen) == 3)
    book = collector.book("BTC-USDT")
    assert book.best_bid() == (Decimal("9.5"), Decimal(3))
    await venue.send(e="book", s="btcusdt", n=5, prev=4, b=[["9.9", "3"]], a=[])
    await venue.until_requests(4)
    assert [request["op"] for request in venue.requests[2:]] == ["unsub", "sub"]
    with pytest.raises(BookNotLive, match="BTC-USDT"):
        book.best_bid()
    assert collector.book("ETH-USDT").live
    await venue.send(e="book", s="btcusdt", n=9, b=[["8", "1"]], a=[["10", "1"]])
    await until(lambda: book.live)
    assert book.best_bid() == (Decimal(8), Decimal(1))
    kinds = [type(event) for event in seen if event.symbol == "BTC-USDT"]
    assert kinds.count(Gap) == 1
    assert kinds.index(Gap) > kinds.index(BookDelta)
    assert kinds[-1] is BookSnapshot


async def test_polled_data_needs_no_socket(make_collector: Any, venue: Any) -> None:
    collector = make_collector("ticker")
    stream = collector.stream("ticker")
    await collector.start()
    ticker = await anext(stream)
    assert isinstance(ticker, Ticker)
    assert ticker.last == Decimal("7.5")
    assert collector.get_status()["connections"] == []
    await collector.stop()
    calls = venue.rest_calls
    await asyncio.sleep(0.05)
    assert venue.rest_calls == calls


async def test_an_unreachable_venue_is_a_state_and_no_error(make_collector: Any, venue: Any) -> None:
    venue.closing = True
    collector = make_collector("trade")
    await collector.start()
    assert collector.status is CollectorStatus.RUNNING
    health = collector.get_health_status()
    assert not health["healthy"]
    assert any("503" in reason for reason in health["reasons"])
    venue.closing = False
    await venue.until_requests(1)
    await until(lambda: collector.get_health_status()["healthy"])


async def test_stop_ends_everything_and_start_begins_again(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    await collector.start()
    await venue.until_requests(1)
    stream = collector.stream()
    await collector.stop()
    assert collector.status is CollectorStatus.STOPPED
    assert [event async for event in stream if not isinstance(event, SubscriptionUpdate)] == []
    assert collector.get_status()["tasks"]["running"] == {}
    await collector.stop()
    await collector.restart()
    await venue.until_requests(2)
    assert collector.get_status()["restarts"] == 1


async def test_malformed_frames_cost_nothing_else(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    seen: list[MarketEvent] = []
    collector.add_data_callback(None, data_only(seen))
    await collector.start()
    await venue.until_requests(1)
    for frame in ("{", "[" * 5000, b"\xff\x00", "x" * 300_000, '{"e":"trade","p":{}}', "{}", "null"):
        await venue.connections[0].send(frame)
    await venue.send(e="trade", s="btcusdt", n=1, p="1", q="1")
    await until(lambda: seen)
    statistics = collector.get_status()["statistics"]
    assert statistics["malformed"] == 7
    assert len(venue.connections) == 1


async def test_reading_can_be_held_and_goes_on(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    seen: list[MarketEvent] = []
    collector.add_data_callback(None, data_only(seen))
    await collector.start()
    await venue.until_requests(1)
    await until(lambda: collector.get_status()["subscriptions"][0]["state"] == "acknowledged")
    collector.pause_reading()
    await venue.send(e="trade", s="btcusdt", n=1, p="1", q="1")
    pong = await venue.connections[0].ping()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(pong), 0.05)
    assert seen == []
    collector.resume_reading()
    await pong
    await until(lambda: seen)


@pytest.mark.parametrize("transport", ["fast", "plain"])
async def test_both_transports_carry_the_same(make_collector: Any, venue: Any, transport: str) -> None:
    collector = make_collector("trade", transport=transport)
    seen: list[MarketEvent] = []
    collector.add_data_callback(None, data_only(seen))
    await collector.start()
    await venue.until_requests(1)
    for number in range(50):
        await venue.send(e="trade", s="btcusdt", n=number, p="1", q="1")
    await until(lambda: len(seen) == 50)
    assert [event.id for event in seen if isinstance(event, Trade)] == [str(number) for number in range(50)]


async def test_a_venue_whose_rest_fails_is_asked_again(make_collector: Any, venue: Any) -> None:
    venue.rest_status = 400
    collector = make_collector("trade")
    await collector.start()
    assert collector.status is CollectorStatus.STARTING
    assert any("400" in reason for reason in collector.get_health_status()["reasons"])
    venue.rest_status = 200
    await venue.until_requests(1)
    await until(lambda: collector.get_health_status()["healthy"])


async def test_collectors_of_one_exchange_share_its_instruments(make_collector: Any, venue: Any) -> None:
    first, second = make_collector("trade"), make_collector("trade", symbols=["ETH-USDT"])
    await first.start()
    await second.start()
    await venue.until_requests(2)
    assert venue.rest_calls == 1


async def test_a_stop_that_nobody_waits_for_goes_on_and_the_next_one_joins_it(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    await collector.start()
    await venue.until_requests(1)
    venue.connections[0].transport.pause_reading()  # the closing handshake will not be answered
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(collector.stop(), 0.05)
    assert collector.status is CollectorStatus.STOPPING
    venue.connections[0].transport.resume_reading()
    await collector.stop()
    assert collector.status is CollectorStatus.STOPPED
    await collector.start()
    await venue.until_requests(2)


async def test_restarts_at_the_same_time_are_one(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    await collector.start()
    await venue.until_requests(1)
    await asyncio.gather(*(collector.restart() for _ in range(3)))
    await venue.until_requests(2)
    assert collector.status is CollectorStatus.RUNNING
    assert len(venue.connections) == 2


async def test_a_defect_while_subscribing_leaves_no_socket_behind(
    make_collector: Any, venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = make_collector("trade")
    faults = iter([RuntimeError("a defect")])

    async def faulty(self: Any, channels: Any) -> None:
        for fault in faults:
            raise fault

    monkeypatch.setattr(type(collector), "_subscribe_channels", faulty)
    with pytest.raises(CollectorError, match="a defect"):
        await collector.start()
    assert collector.status is CollectorStatus.ERROR
    assert collector.get_status()["connections"] == []
    await collector.start()
    assert collector.status is CollectorStatus.RUNNING


async def test_what_cannot_be_read_is_said_in_the_log(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    with capture_logs() as lines:
        await collector.start()
        await venue.until_requests(1)
        for _ in range(3):
            await venue.connections[0].send("{")
        await until(lambda: any(line["event"] == "malformed: 3" for line in lines))
    (line,) = [line for line in lines if line["event"].startswith("malformed")]
    assert (line["log_level"], line["last"]) == ("warning", "not JSON")


async def test_a_defect_of_a_link_is_seen_and_ends_no_start(
    make_collector: Any, venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = make_collector("trade")

    def faulty(self: Any, dial: Any) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr(type(collector), "make_session", faulty)
    async with asyncio.timeout(SETTLE):
        await collector.start()
    (connection,) = collector.get_status()["connections"]
    assert (connection["state"], connection["last_error"]) == ("failed", "RuntimeError: a defect")
    assert not collector.get_health_status()["healthy"]
    await until(lambda: venue.connections[0].transport.is_closing())


async def test_signs_of_life_do_not_wait_behind_requests_the_budget_holds(
    make_collector: Any, venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [Limit("dial", 1000, 1.0), Limit("request", 1, 3600.0, per_connection=True)]
    beat = Heartbeat(after=0.05, send='{"op": "beat", "s": "", "id": "0"}')
    collector = make_collector("trade", symbols=["BTC-USDT", "ETH-USDT"])
    plugin = collector.stack.call
    connect = plugin.connect
    monkeypatch.setattr(plugin, "limits", lambda **_: limits)
    monkeypatch.setattr(plugin, "connect", lambda **asked: [evolve(dial, heartbeat=beat) for dial in connect(**asked)])
    await collector.start()
    await venue.until_requests(3)
    assert [request["op"] for request in venue.requests[:3]] == ["sub", "beat", "beat"]
    assert len(venue.connections) == 1
    venue.connections[0].transport.abort()
    await until(lambda: [request["op"] for request in venue.requests].count("sub") == 2)
