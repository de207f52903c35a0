"""Accounts end to end: collectors with credentials against the simulated venues over real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import pytest

from tickhive import ExchangeCollectorConfig, ExchangeFactory
from tickhive.errors import TickhiveError
from tickhive.events import Balance, BookDelta, BookSnapshot, Fill, Order
from tickhive.plugin import Credentials
from tickhive.plugin.venue import VenueOptions
from tickhive.simulation import VenueServer
from tickhive_coinbase.simulated.account import SimulatedAccount
from tickhive_coinbase.simulated.advanced import CoinbaseVenue
from tickhive_coinbase.simulated.exchange import CoinbaseExchangeVenue

VENUES: dict[str, Callable[..., Any]] = {"coinbase": CoinbaseVenue, "coinbase-exchange": CoinbaseExchangeVenue}
TYPES = ["balance", "order", "fill"]


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is awaited has no event of its own
            await asyncio.sleep(0.02)


@asynccontextmanager
async def served(
    exchange: str, keys: dict[str, Credentials]
) -> AsyncIterator[tuple[SimulatedAccount, Any, VenueServer]]:
    key = keys[exchange]
    account = SimulatedAccount(key.key, key.secret, key.passphrase)
    venue = VENUES[exchange](VenueOptions(symbols=["BTC-USD"]), accounts=[account])
    async with VenueServer(venue) as server:
        yield account, venue, server


def collector(server: VenueServer, exchange: str, types: list[str], credentials: Credentials, **settings: Any) -> Any:
    settings |= {"url": server.url, "rest_url": server.rest_url}
    if exchange == "coinbase-exchange":
        settings.setdefault("account_products", ["BTC-USD"])
    else:
        settings |= {"fill_seconds": 0.1, "balance_seconds": 1.0}
    symbols = ["BTC-USD"] if any(each.startswith("orderbook") for each in types) else []
    config = ExchangeCollectorConfig(
        exchange=exchange, symbols=symbols, data_types=types, account="main", settings=settings
    )
    return ExchangeFactory.create_collector(config, credentials=credentials)


@pytest.mark.parametrize("exchange", VENUES)
async def test_an_account_over_a_cut(
    exchange: str, keys: dict[str, Credentials], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(exchange, keys) as (account, venue, server):
        account.set_balance("USD", "1000", "250.5")
        early = account.place_order("BTC-USD", "buy", "3", "50000", "mine")
        collecting = collector(server, exchange, TYPES, keys[exchange])
        events: list[Any] = []
        for kind in TYPES:
            collecting.add_data_callback(kind, events.append)

        def having(kind: type) -> list[Any]:
            return [event for event in events if isinstance(event, kind)]

        def last(id: str) -> Order:
            return next(event for event in reversed(events) if isinstance(event, Order) and event.id == id)

        await collecting.start()
        try:
            await until(lambda: bool(having(Balance) and having(Order)))
            first = account.fill(early, "1")
            await until(lambda: len(having(Fill)) == 1 and last(early).filled == 1)
            assert last(early).status == "partially_filled"
            gone = account.place_order("BTC-USD", "sell", "2", "70000")
            await until(lambda: any(event.id == gone for event in having(Order)))
            server.cut()
            missed = account.fill(early, "1", quietly=True)
            ended = account.fill(gone, "2", quietly=True)
            await until(lambda: len(having(Fill)) == 3 and last(gone).status == "filled")
            later = account.fill(early, "1", maker=False)
            await until(lambda: last(early).status == "filled" and len(having(Fill)) == 4)
            status = repr(collecting.get_status()) + repr(collecting.get_health_status())
        finally:
            await collecting.stop()
        assert {fill.id: fill.late for fill in having(Fill)} == {first: False, missed: True, ended: True, later: False}
        assert {event.account for event in events if isinstance(event, Balance | Order | Fill)} == {"main"}
        assert (last(early).client_id, last(early).average_price, last(early).price) == (
            "mine",
            Decimal(50_000),
            Decimal(50_000),
        )
        usd = having(Balance)[-1]
        assert (usd.symbol, usd.total, usd.available, usd.frozen) == (
            "USD",
            Decimal("1250.5"),
            Decimal(1000),
            Decimal("250.5"),
        )
        assert venue.violations == []
    for secret in (keys[exchange].key, keys[exchange].secret, keys[exchange].passphrase or "no passphrase"):
        assert secret not in status
        assert secret not in caplog.text
        assert secret not in repr(events)


@pytest.mark.parametrize("exchange", VENUES)
async def test_a_cancelled_order_is_told(exchange: str, keys: dict[str, Credentials]) -> None:
    async with served(exchange, keys) as (account, _, server):
        collecting = collector(server, exchange, ["order"], keys[exchange])
        told: list[Order] = []
        collecting.add_data_callback("order", told.append)
        await collecting.start()
        try:
            await until(
                lambda: all(each["state"] == "acknowledged" for each in collecting.get_status()["subscriptions"])
            )
            order = account.place_order("BTC-USD", "sell", "2", "70000")
            account.change(order, "1.5")
            account.cancel(order)
            await until(lambda: bool(told) and told[-1].status == "cancelled")
        finally:
            await collecting.stop()
        assert (told[-1].size, told[-1].filled, told[-1].side) == (Decimal("1.5"), Decimal(0), "sell")
        assert told[-1].reason == "User requested cancel"


WRONG = {
    "coinbase": lambda key: Credentials("main", "organizations/o-1/apiKeys/another-key-77", key.secret),
    "coinbase-exchange": lambda key: Credentials("main", key.key, key.secret, "another-phrase-8812"),
}


@pytest.mark.parametrize("exchange", VENUES)
async def test_wrong_credentials_are_tried_once(
    exchange: str, keys: dict[str, Credentials], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = WRONG[exchange](keys[exchange])
    async with served(exchange, keys) as (_, _, server):
        collecting = collector(server, exchange, ["order"], wrong)
        try:
            with suppress(TickhiveError):
                await collecting.start()
            await until(lambda: collecting.get_status()["status"] == "error")
            shown = repr(collecting.get_status()) + caplog.text
            assert server.statistics.connections == 1
            assert "uthentication" in shown
        finally:
            await collecting.stop()
    for secret in (wrong.key, wrong.secret, wrong.passphrase or "no passphrase"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("exchange", "half", "lacking"),
    [
        ("coinbase", Credentials("main", "a-name"), "secret"),
        ("coinbase-exchange", Credentials("main", "k-1", "c2VjcmV0"), "passphrase"),
    ],
)
async def test_half_a_key_is_refused_before_anything_is_dialled(
    exchange: str, half: Credentials, lacking: str, keys: dict[str, Credentials]
) -> None:
    async with served(exchange, keys) as (_, _, server):
        collecting = collector(server, exchange, ["order"], half)
        with pytest.raises(TickhiveError, match=lacking):
            await collecting.start()
        await collecting.stop()
        assert server.statistics.connections == 0


async def test_a_fine_book_takes_a_signature(keys: dict[str, Credentials]) -> None:
    async with served("coinbase-exchange", keys) as (_, venue, server):
        collecting = collector(server, "coinbase-exchange", ["orderbook:level2"], keys["coinbase-exchange"])
        events: list[Any] = []
        collecting.add_data_callback("orderbook", events.append)
        await collecting.start()
        try:
            await until(lambda: sum(isinstance(event, BookDelta) for event in events) > 5)
        finally:
            await collecting.stop()
        assert isinstance(events[0], BookSnapshot)
        assert venue.violations == []


async def test_market_data_of_advanced_trade_comes_with_a_token_too(keys: dict[str, Credentials]) -> None:
    async with served("coinbase", keys) as (_, venue, server):
        collecting = collector(server, "coinbase", ["orderbook", "order"], keys["coinbase"])
        await collecting.start()
        try:
            await until(lambda: collecting.book("BTC-USD").live)
            assert server.statistics.connections == 2
        finally:
            await collecting.stop()
        assert len(venue.nonces) >= 4
        assert venue.violations == []
