"""An account end to end: a collector with credentials against the simulated OKX over real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tickhive import ExchangeCollectorConfig, ExchangeFactory
from tickhive.errors import TickhiveError
from tickhive.events import Balance, Fill, MarketEvent, Order, Position
from tickhive.plugin.contract import Credentials
from tickhive.plugin.venue import VenueOptions
from tickhive.simulation import VenueServer
from tickhive_okx.venue import OKXVenue
from tickhive_okx.venue_account import SimulatedAccount

KEY, SECRET, PHRASE = "a-key-19d2c4", "a-secret-77ab01", "a-phrase-5e3f90"
MAIN = Credentials("main", KEY, SECRET, PHRASE)
TYPES = ["balance", "position", "order", "fill"]


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[SimulatedAccount, OKXVenue, VenueServer]]:
    account = SimulatedAccount(KEY, SECRET, PHRASE)
    venue = OKXVenue(VenueOptions(symbols=["BTC-USDT", "BTC-USDT-PERP"]), accounts=[account], **options)
    async with VenueServer(venue) as server:
        yield account, venue, server


def collector(server: VenueServer, types: list[str], credentials: Credentials = MAIN, **settings: Any) -> Any:
    addresses = {"url": server.url, "rest_url": server.rest_url}
    symbols = ["BTC-USDT"] if any(each.startswith("orderbook") for each in types) else []
    config = ExchangeCollectorConfig(
        exchange="okx", symbols=symbols, data_types=types, account="main", settings=addresses | settings
    )
    return ExchangeFactory.create_collector(config, credentials=credentials)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is awaited has no event of its own
            await asyncio.sleep(0.02)


async def test_an_account_over_a_cut(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served() as (account, _, server):
        account.set_balance("USDT", "1000")
        account.set_position("BTC-USDT-SWAP", "-3", "60000")
        order = account.place_order("BTC-USDT", "buy", "3", "50000")
        collecting = collector(server, TYPES)
        events: list[MarketEvent] = []
        for kind in TYPES:
            collecting.add_data_callback(kind, events.append)

        def having(kind: type) -> list[Any]:
            return [event for event in events if isinstance(event, kind)]

        await collecting.start()
        try:
            await until(lambda: bool(having(Balance) and having(Position) and having(Order)))
            first = account.fill(order, "1")
            await until(lambda: len(having(Fill)) == 1)
            had = len(having(Order))
            server.cut()
            missed = account.fill(order, "1", quietly=True)
            await until(lambda: len(having(Order)) > had and len(having(Fill)) == 2)
            last = account.fill(order, "1")
            await until(lambda: having(Order)[-1].status == "filled" and len(having(Fill)) == 3)
            status = repr(collecting.get_status()) + repr(collecting.get_health_status())
        finally:
            await collecting.stop()
        assert [(fill.id, fill.late) for fill in having(Fill)] == [(first, False), (missed, True), (last, False)]
        assert {each.account for kind in (Balance, Position, Order, Fill) for each in having(kind)} == {"main"}
    for secret in (KEY, SECRET, PHRASE):
        assert secret not in status
        assert secret not in caplog.text
        assert secret not in repr(collecting)
        assert secret not in repr(events)


async def test_a_wrong_secret_is_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served() as (_, _, server):
        collecting = collector(server, TYPES, Credentials("main", KEY, "not-the-secret-1", PHRASE))
        try:
            with suppress(TickhiveError):
                await collecting.start()
            await until(lambda: collecting.get_status()["status"] == "error")
            assert "60007" in repr(collecting.get_status())
            assert server.statistics.connections == 1
            shown = repr(collecting.get_status()) + caplog.text
        finally:
            await collecting.stop()
    for secret in (KEY, "not-the-secret-1", PHRASE):
        assert secret not in shown


async def test_half_a_key_is_refused_before_anything_is_dialled() -> None:
    async with served() as (_, _, server):
        collecting = collector(server, TYPES, Credentials("main", KEY, SECRET))
        with pytest.raises(TickhiveError, match="passphrase"):
            await collecting.start()
        await collecting.stop()
        assert server.statistics.connections == 0


async def test_demo_trading_with_a_fine_book() -> None:
    async with served(demo=True) as (account, _, server):
        account.vip = True
        collecting = collector(server, ["orderbook:tbt", "order"], demo=True)
        account.place_order("BTC-USDT", "buy", "3", "50000")
        orders: list[Order] = []
        collecting.add_data_callback("order", orders.append)
        await collecting.start()
        try:
            book = collecting.book("BTC-USDT")
            await until(lambda: bool(orders) and book.live)
            assert server.statistics.connections == 2
            assert book.best_bid() is not None
        finally:
            await collecting.stop()


async def test_a_fine_book_needs_an_account() -> None:
    async with served() as (_, _, server):
        addresses = {"url": server.url, "rest_url": server.rest_url}
        wanted: Any = {"exchange": "okx", "symbol": "BTC-USDT", "data_types": ["orderbook:tbt"], "settings": addresses}
        with pytest.raises(ValueError, match="orderbook:tbt only after a login: name an account"):
            ExchangeFactory.create_collector(ExchangeCollectorConfig(**wanted))
        config = ExchangeCollectorConfig(**wanted, account="main")
        assert ExchangeFactory.create_collector(config, credentials=MAIN).config is config


async def test_a_signature_rest_does_not_accept_is_tried_once() -> None:
    async with served() as (_, venue, server):
        collecting = collector(server, ["order"])
        await collecting.start()
        try:
            await until(lambda: server.statistics.requests >= 2)
            asked = server.statistics.requests
            venue.faults.rest = [401] * 10
            server.cut()
            await until(lambda: collecting.get_status()["status"] == "error")
            health = collecting.get_health_status()
            assert "credentials" in health["reasons"][0]
            assert "401" in health["reasons"][0]
            assert health["needs_operator"]
            assert server.statistics.requests == asked + 1
        finally:
            await collecting.stop()


async def test_a_restart_takes_up_another_secret() -> None:
    async with served() as (account, _, server):
        secrets = [MAIN]
        config = ExchangeCollectorConfig(
            exchange="okx",
            data_types=["order"],
            account="main",
            settings={"url": server.url, "rest_url": server.rest_url},
        )
        collecting = ExchangeFactory.create_collector(config, credentials=lambda: secrets[0])
        orders: list[str] = []
        collecting.add_data_callback("order", lambda event: orders.append(event.id))
        await collecting.start()
        try:
            await collecting.restart()
            account.secret = "another-secret-1"
            secrets[0] = Credentials("main", KEY, account.secret, PHRASE)
            await collecting.restart()
            order = account.place_order("BTC-USDT", "buy", "3", "50000")
            await until(lambda: order in orders)
            assert collecting.get_health_status()["healthy"]
            assert server.statistics.connections == 3
        finally:
            await collecting.stop()


async def test_an_order_that_is_cancelled_during_a_cut_is_not_open_for_ever() -> None:
    async with served() as (account, _, server):
        order = account.place_order("BTC-USDT", "buy", "3", "50000")
        collecting = collector(server, ["order"])
        states: list[tuple[str, str]] = []
        collecting.add_data_callback("order", lambda event: states.append((event.id, event.status)))
        await collecting.start()
        try:
            await until(lambda: states == [(order, "open")])
            server.cut()
            account.cancel(order)
            await until(lambda: len(states) == 2)
            assert states[1] == (order, "cancelled")
        finally:
            await collecting.stop()


async def test_a_clock_that_is_off_for_a_moment_costs_no_account() -> None:
    async with served() as (account, venue, server):
        order = account.place_order("BTC-USDT", "buy", "3", "50000")
        collecting = collector(server, ["order"])
        states: list[tuple[str, str]] = []
        collecting.add_data_callback("order", lambda event: states.append((event.id, event.status)))
        await collecting.start()
        try:
            await until(lambda: states == [(order, "open")])
            venue.faults.rest = [(401, "50102"), (401, "50112")]
            server.cut()
            account.cancel(order)
            await until(lambda: states[-1] == (order, "cancelled"))
            assert not venue.faults.rest
            assert collecting.get_status()["status"] != "error"
            assert not collecting.get_health_status()["needs_operator"]
        finally:
            await collecting.stop()
