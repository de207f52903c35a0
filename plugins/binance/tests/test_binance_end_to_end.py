"""Collectors against the simulated Binance over real sockets: all data, lost frames, cuts, accounts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tickhive import ExchangeCollectorConfig, ExchangeFactory, Gap, Trade
from tickhive.errors import TickhiveError
from tickhive.events import BookDelta, BookSnapshot, Candle, MarketEvent
from tickhive.plugin import EVERY, Balance, Credentials, DataType, Fill, Order, Position, VenueOptions
from tickhive.session.book import BookState
from tickhive.simulation import VenueServer
from tickhive_binance import plugin
from tickhive_binance.venue import BinanceVenue
from tickhive_binance.venue_login import API_KEY, API_SECRET

SYMBOLS = {"binance": "BTC-USDT", "binance-usdm": "BTC-USDT-PERP", "binance-coinm": "BTC-USD-PERP"}
OTHERS = {"binance": "ETH-USDT", "binance-usdm": "ETH-USDT-PERP", "binance-coinm": "ETH-USD-PERP"}
MARKETS: dict[str, Any] = {"binance": "spot", "binance-usdm": "usdm", "binance-coinm": "coinm"}
PUBLIC = ["trade", "quote", "ticker", "ticker:mini", "orderbook", "orderbook:5", "orderbook:20", "candle:1m"]
DERIVED = ["mark_price", "index_price", "funding_rate", "liquidation", "open_interest"]
MAIN = Credentials("main", API_KEY, API_SECRET)
CUTS = 2


@asynccontextmanager
async def served(exchange: str, speed: float = 5.0, others: int = 0) -> AsyncIterator[tuple[BinanceVenue, VenueServer]]:
    symbols = [SYMBOLS[exchange], OTHERS[exchange]][: 1 + others]
    venue = BinanceVenue(MARKETS[exchange], VenueOptions(seed=3, symbols=symbols, speed=speed))
    async with VenueServer(venue) as server:
        yield venue, server


def collector(
    exchange: str, server: VenueServer, types: list[str], credentials: Credentials | None = None, **settings: Any
) -> Any:
    config = ExchangeCollectorConfig(
        exchange=exchange,
        symbols=[] if credentials else [SYMBOLS[exchange]],
        data_types=types,
        account=credentials.account if credentials else None,
        settings={"url": server.url, "rest_url": server.rest_url, **settings},
    )
    return ExchangeFactory.create_collector(config, credentials=credentials)


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is awaited has no event of its own
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(collecting: Any) -> AsyncIterator[list[MarketEvent]]:
    seen: list[MarketEvent] = []
    collecting.add_data_callback(None, seen.append)
    await collecting.start()
    try:
        yield seen
    finally:
        await collecting.stop()


async def test_everything_a_market_has(exchange: str) -> None:
    types = PUBLIC if exchange == "binance" else [*PUBLIC, *DERIVED]
    async with served(exchange) as (venue, server):
        collecting = collector(exchange, server, types, snapshot_patience_seconds=0.2)
        async with running(collecting) as seen:

            def receiving() -> bool:
                rows = collecting.get_status()["subscriptions"]
                return all(row["state"] == "receiving" for row in rows if row["data_type"] != DataType.LIQUIDATION)

            await until(receiving)
            book = collecting.book(SYMBOLS[exchange])
            await until(lambda: sum(isinstance(event, BookDelta) for event in seen) > 20)
            assert book.state is BookState.LIVE
            assert len(book.top(5)[0]) == 5
            assert not book.crossed
            assert collecting.book(SYMBOLS[exchange], 5).state is BookState.LIVE
            statistics = collecting.get_status()["statistics"]
        assert {statistics[name] for name in ("malformed", "unknown", "rejected", "hook_errors", "gaps")} == {0}
        assert {event.symbol for event in seen} == {SYMBOLS[exchange]}
        assert venue.violations == []


@pytest.mark.parametrize("exchange", ["binance", "binance-usdm"])
async def test_a_lost_change_breaks_the_book_and_it_is_repaired(exchange: str) -> None:
    async with served(exchange) as (venue, server):
        collecting = collector(exchange, server, ["orderbook"], snapshot_patience_seconds=0.2)
        async with running(collecting) as seen:
            book = collecting.book(SYMBOLS[exchange])
            await until(lambda: book.state is BookState.LIVE)
            venue.lost[f"{venue.native(SYMBOLS[exchange]).lower()}@depth@100ms"] = 1
            await until(lambda: any(isinstance(event, Gap) for event in seen))
            assert book.state is not BookState.LIVE
            await until(lambda: book.state is BookState.LIVE)
            assert sum(isinstance(event, BookSnapshot) for event in seen) >= 2
        assert venue.violations == []


async def test_no_trade_is_missing_or_doubled_after_cuts(exchange: str) -> None:
    async with served(exchange) as (venue, server):
        collecting = collector(exchange, server, ["trade"])
        trades: list[Trade] = []
        gaps: list[Gap] = []
        live = cuts = 0
        await collecting.start()
        try:
            async with asyncio.timeout(40):
                async for event in collecting.stream("trade"):
                    if isinstance(event, Gap):
                        gaps.append(event)
                    elif isinstance(event, Trade):
                        trades.append(event)
                        live += not event.late
                    if cuts < CUTS and live >= 40 and len(gaps) >= cuts:
                        live, cuts = 0, cuts + 1
                        server.cut()
                    if len(gaps) >= CUTS:
                        break
        finally:
            await collecting.stop()
        assert venue.violations == []
    assert {gap.filled for gap in gaps} == {"whole"}
    ids = [int(trade.id) for trade in trades]
    assert len(ids) == len(set(ids))
    end = max(int(gap.last_id or 0) for gap in gaps)
    assert set(range(min(ids), end + 1)) <= set(ids)
    assert any(trade.late for trade in trades)


async def test_lost_merged_trades_of_spot_come_one_by_one() -> None:
    async with served("binance") as (venue, server):
        async with running(collector("binance", server, ["trade:agg"])) as seen:
            trades = lambda: [event for event in seen if isinstance(event, Trade)]  # noqa: E731
            await until(lambda: len(trades()) > 60)
            venue.lost["btcusdt@aggTrade"] = 3
            await until(lambda: any(isinstance(event, Gap) for event in seen))
            (gap,) = [event for event in seen if isinstance(event, Gap)]
            assert gap.filled == "whole"
            late = [trade for trade in trades() if trade.late]
            assert [int(trade.id) for trade in late] == list(range(int(gap.first_id or 0), int(gap.last_id or 0) + 1))
        assert venue.violations == []


async def test_channels_come_and_go_on_an_open_socket() -> None:
    exchange = "binance-usdm"
    async with served(exchange) as (venue, server):
        collecting = collector(exchange, server, ["trade"])
        async with running(collecting) as seen:
            await until(lambda: any(isinstance(event, Trade) for event in seen))
            await collecting.add(data_types=["candle:1m"])
            await until(lambda: any(isinstance(event, Candle) for event in seen))
            await collecting.remove(data_types=["trade"])
            (link,) = collecting.get_status()["connections"]
            assert (link["connects"], link["channels"]) == (1, 1)
        assert venue.violations == []


async def test_a_listing_is_followed_at_once_where_a_stream_tells_of_it() -> None:
    async with served("binance-usdm") as (venue, server):
        config = ExchangeCollectorConfig(
            exchange="binance-usdm",
            symbols=["*-USDT-PERP"],
            data_types=["trade"],
            settings={"url": server.url, "rest_url": server.rest_url},
        )
        async with running(ExchangeFactory.create_collector(config)) as seen:
            await until(lambda: any(isinstance(event, Trade) for event in seen))
            venue.list_product("ETH-USDT-PERP")
            await until(lambda: any(isinstance(e, Trade) and e.symbol == "ETH-USDT-PERP" for e in seen))
        assert venue.violations == []


async def test_a_shutdown_that_is_announced_leaves_no_hole() -> None:
    async with served("binance") as (venue, server):
        collecting = collector("binance", server, ["trade"])
        async with running(collecting) as seen:
            await until(lambda: len(seen) > 40)
            venue.notify_shutdown()
            await until(lambda: collecting.get_status()["connections"][0]["rollovers"] == 1)
            begun = len(seen)
            await until(lambda: len(seen) > begun + 40)
        ids = [int(event.id) for event in seen if isinstance(event, Trade)]
        assert ids == list(range(ids[0], ids[-1] + 1))
        assert not [event for event in seen if isinstance(event, Gap)]
        assert venue.violations == []


# Accounts


PRIVATE = {"binance": ["balance", "order", "fill"], "binance-usdm": ["balance", "order", "fill", "position"]}
PRIVATE["binance-coinm"] = PRIVATE["binance-usdm"]
SIZE = {"binance": "0.01", "binance-usdm": "0.01", "binance-coinm": "5"}


async def test_an_account_over_the_end_of_its_events(exchange: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(exchange) as (venue, server):
        await until(lambda: venue.product(SYMBOLS[exchange]))
        product = venue.product(SYMBOLS[exchange])
        waiting = venue.account.place_order(product, "BUY", SIZE[exchange], "20000")
        collecting = collector(exchange, server, PRIVATE[exchange], MAIN)
        async with running(collecting) as seen:

            def having(kind: type) -> list[Any]:
                return [event for event in seen if isinstance(event, kind)]

            await until(lambda: having(Balance) and having(Order))
            assert having(Order)[0].id == str(waiting), "open orders are fetched"
            venue.account.place_order(product, "BUY", SIZE[exchange])
            await until(lambda: having(Fill) and having(Order)[-1].status == "filled")
            fills = len(having(Fill))
            if exchange == "binance":
                venue.kick()
                await until(lambda: collecting.get_status()["connections"][0]["connects"] == 2)
            else:
                assert having(Position)[-1].size > 0
                venue.expire_listen_keys()
                await until(lambda: collecting.get_status()["connections"][0]["rollovers"] == 1)
            await until(lambda: sum(order.id == str(waiting) for order in having(Order)) >= 2)
            venue.account.place_order(product, "SELL", SIZE[exchange])
            await until(lambda: len(having(Fill)) > fills and having(Order)[-1].status == "filled")
            status = repr(collecting.get_status()) + repr(collecting.get_health_status())
        assert {event.account for kind in (Balance, Order, Fill) for event in having(kind)} == {"main"}
        assert venue.violations == []
        keys = [API_KEY, API_SECRET, *venue._keys.ends]
    assert len(keys) == (2 if exchange == "binance" else 3)
    for secret in keys:
        assert secret not in status
        assert secret not in caplog.text
        assert secret not in repr(seen)
        assert secret not in repr(collecting)


async def test_fills_that_were_missed_over_cuts_are_fetched(exchange: str) -> None:
    """Every fill the venue made comes once, late where nobody was connected; of what nobody knew a Gap tells."""
    async with served(exchange, others=1) as (venue, server):
        await until(lambda: venue.product(SYMBOLS[exchange]))
        product, other = venue.product(SYMBOLS[exchange]), venue.product(OTHERS[exchange])
        collecting = collector(exchange, server, PRIVATE[exchange], MAIN)
        async with running(collecting) as seen:

            def having(kind: type) -> list[Any]:
                return [event for event in seen if isinstance(event, kind)]

            def rest() -> list[Gap]:
                return [gap for gap in having(Gap) if gap.data_type is DataType.FILL and gap.symbol == EVERY]

            def all_came() -> bool:
                return len(having(Fill)) == len(venue.account.trades)

            async def fill(count: int, product: Any = product) -> None:
                made = {venue.account.place_order(product, side, SIZE[exchange]) for side in ["BUY", "SELL"] * count}
                await until(lambda: made <= set(venue.account.ended))

            await until(lambda: having(Balance))
            await fill(2)
            await until(all_came)
            missed: list[Any] = []
            for cut in range(1, CUTS + 1):
                begun = len(venue.account.trades)
                server.refuse()
                server.cut()
                await fill(3)
                missed += venue.account.trades[begun:]
                server.refuse(False)
                await until(lambda: len(rest()) == cut)  # noqa: B023  # awaited before the next cut
                await fill(1)
                await until(all_came)
            begun = len(venue.account.trades)
            server.refuse()
            server.cut()
            await fill(1, other)
            unknown = venue.account.trades[begun:]
            server.refuse(False)
            await until(lambda: len(rest()) == CUTS + 1)
            statistics = collecting.get_status()["statistics"]
        assert {statistics[name] for name in ("malformed", "unknown", "rejected", "hook_errors")} == {0}
        assert venue.violations == []

    def names(trades: list[Any]) -> list[Any]:
        return sorted((str(row["id"]), str(order.id)) for row, order in trades)

    fills = having(Fill)
    came = sorted((fill.id, fill.order_id) for fill in fills)
    assert came == names([trade for trade in venue.account.trades if trade not in unknown])
    assert set(names(missed)) <= {(fill.id, fill.order_id) for fill in fills if fill.late}
    late = [fill for fill in fills if fill.late]
    assert [fill.timestamp for fill in late] == sorted(fill.timestamp for fill in late)
    told = [(gap.symbol, gap.filled) for gap in having(Gap) if gap.data_type is DataType.FILL]
    each = [(SYMBOLS[exchange], "whole"), (EVERY, "part")]
    assert told == [*each * CUTS, (EVERY, "part")], "what else was traded nobody knows"
    assert rest()[-1].cause.endswith(f"; refill: only of {SYMBOLS[exchange]}")


@pytest.mark.parametrize(("exchange", "wrong"), [("binance", "key"), ("binance", "secret"), ("binance-usdm", "key")])
async def test_wrong_credentials_are_tried_once(exchange: str, wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bad = Credentials("main", *(("not-the-key-771", API_SECRET) if wrong == "key" else (API_KEY, "not-the-secret-9")))
    async with served(exchange) as (_, server):
        collecting = collector(exchange, server, ["order"], bad)
        try:
            with suppress(TickhiveError):
                await collecting.start()
            await until(lambda: collecting.get_status()["status"] == "error")
            assert server.statistics.connections <= 1
            shown = repr(collecting.get_status()) + caplog.text
        finally:
            await collecting.stop()
    for secret in ("not-the-key-771", "not-the-secret-9", API_SECRET):
        assert secret not in shown


async def test_a_wrong_secret_of_futures_shows_at_the_first_signed_request() -> None:
    """A listen key is had with the API key alone."""
    exchange = "binance-coinm"
    async with served(exchange) as (_, server):
        collecting = collector(exchange, server, ["order"], Credentials("main", API_KEY, "not-the-secret-9"))
        async with running(collecting):
            await until(lambda: collecting.get_status()["status"] == "error")
            assert "-1022" in repr(collecting.get_status())


async def test_a_listen_key_that_cannot_be_renewed_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue forgot the key and did not tell: the renewal finds out."""
    monkeypatch.setattr("tickhive_binance.sockets.LISTEN_KEY_SECONDS", 0.5)
    async with served("binance-usdm") as (venue, server):
        collecting = collector("binance-usdm", server, ["order"], MAIN)
        async with running(collecting) as seen:
            await until(lambda: venue._keys.ends)
            (old,) = venue._keys.ends
            venue._keys.ends.clear()
            await until(lambda: collecting.get_status()["connections"][0]["rollovers"] >= 1)
            assert old not in venue._keys.ends
            venue.account.place_order(venue.product("BTC-USDT-PERP"), "BUY", "0.01", "20000")
            await until(lambda: any(isinstance(event, Order) for event in seen))


def test_the_three_are_installed() -> None:
    assert set(MARKETS) <= set(ExchangeFactory.get_supported_exchanges())
    assert repr(plugin.usdm) == "<Binance USD-M>"
