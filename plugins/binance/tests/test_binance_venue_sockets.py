"""Both sides of Binance over real sockets, on a clock moved by hand: what the venue says is what is handed out."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field

from tickhive.channels import DataType
from tickhive.clock import ManualClock
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.errors import BookNotLive
from tickhive.events import DATA_TYPE_OF, Balance, Fill, Gap, MarketEvent, Order, Position, Trade
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin.contract import Credentials
from tickhive.plugin.registry import default_registry
from tickhive.plugin.venue import VenueOptions
from tickhive.simulation import VenueServer
from tickhive.simulation.tape import Fill as Executed
from tickhive_binance.venue import BinanceVenue
from tickhive_binance.venue_login import API_KEY, API_SECRET

EXCHANGES = {"spot": "binance", "usdm": "binance-usdm", "coinm": "binance-coinm"}
ACCOUNT = Credentials("main", API_KEY, API_SECRET)


@define
class Desk:
    """A running collector, the venue it collects from, and what it handed out."""

    collector: PluginCollector
    venue: BinanceVenue
    server: VenueServer
    clock: ManualClock
    events: list[MarketEvent] = field(factory=list)

    def of(self, kind: type, symbol: str | None = None) -> list[Any]:
        return [event for event in self.events if type(event) is kind and symbol in (None, event.symbol)]

    def collected(self) -> dict[tuple[str, DataType], int]:
        kinds = ((event, DATA_TYPE_OF.get(type(event))) for event in self.events)
        return dict(Counter((event.symbol, kind) for event, kind in kinds if kind is not None))

    async def until(self, condition: Callable[[], object], limit_seconds: float = 60.0) -> None:
        """Let time pass in small steps until something is so."""
        ends = self.clock.monotonic() + limit_seconds
        while not condition():
            assert self.clock.monotonic() < ends, f"it did not happen within {limit_seconds:g} s"
            await self.clock.advance(0.05)

    async def arrived(self) -> None:
        """Let the market stand still until all it said has been handed out."""
        self.server.pause()
        await self.until(lambda: self.collected() == self.venue.log.sent, 2.0)

    def live(self, symbol: str) -> bool:
        try:
            return bool(self.collector.book(symbol).best_bid())
        except BookNotLive:
            return False

    def all_live(self) -> bool:
        return all(map(self.live, self.venue.symbols))

    def states(self) -> set[str]:
        rows = self.collector.get_status()["subscriptions"]
        return {row["state"] for row in rows if row["data_type"] not in ("liquidation", "funding_rate")}


@asynccontextmanager
async def collecting(
    market: Any, types: Sequence[str] | None = None, symbols: Sequence[str] = (), *, account: bool = False
) -> AsyncIterator[Desk]:
    stack = default_registry().load(EXCHANGES[market])
    venue, clock = stack.call.venue(options=VenueOptions(seed=5, symbols=symbols)), ManualClock()
    assert isinstance(venue, BinanceVenue)
    async with VenueServer(venue, clock) as server:
        settings = stack.call.settings()(url=server.url, rest_url=server.rest_url)
        config = ExchangeCollectorConfig(
            exchange=EXCHANGES[market],
            symbols=[] if account else list(venue.symbols),
            data_types=list(types or venue.subscriptions),
            account="main" if account else None,
        )
        collector = PluginCollector(stack, config, settings, clock=clock, credentials=ACCOUNT if account else None)
        desk = Desk(collector, venue, server, clock)
        collector.add_data_callback(None, desk.events.append)
        await collector.start()
        try:
            yield desk
        finally:
            await collector.stop()


def clean(desk: Desk) -> None:
    """Nobody broke a rule or misunderstood anything."""
    assert desk.venue.violations == []
    statistics = desk.collector.get_status()["statistics"]
    wrong = ("malformed", "unknown", "rejected", "hook_errors")
    assert {name: statistics[name] for name in wrong} == dict.fromkeys(wrong, 0), statistics


async def away(desk: Desk, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Cut every line and let nobody in for a while."""
    desk.server.refuse()
    desk.server.cut()
    await desk.clock.advance(seconds / 2)
    meanwhile()
    await desk.clock.advance(seconds / 2)
    desk.server.refuse(False)


async def same_book(desk: Desk, symbol: str) -> None:
    """Wait until a book is as far as the venue's own; then it is the same."""
    product, book = desk.venue.product(symbol), desk.collector.book(symbol)
    ours = desk.venue._open_market().desks[product.native]
    await desk.until(lambda: book.live and book.sequence == ours.number)
    assert book.top(50) == tuple(
        [(Decimal(product.price(ticks)), Decimal(product.size(lots))) for ticks, lots, _ in ladder.top(50)]
        for ladder in desk.venue.market.ladders(product.native)
    )


@pytest.mark.parametrize("market", EXCHANGES)
async def test_what_was_sent_was_collected_and_the_books_are_the_venues(market: str) -> None:
    async with collecting(market) as desk:
        await desk.until(lambda: desk.all_live() and desk.states() == {"receiving"})
        await desk.clock.advance(6.0)
        for symbol in desk.venue.symbols:
            await same_book(desk, symbol)
        await desk.arrived()
        assert {kind for _, kind in desk.collected()} >= {
            DataType(name.partition(":")[0]) for name in desk.venue.subscriptions
        }
        for symbol in desk.venue.symbols:
            sent = desk.venue.log.sent[symbol, DataType.TRADE]
            assert sent == len(desk.of(Trade, symbol)) > 5
        assert not desk.of(Gap)
        clean(desk)


@pytest.mark.parametrize("market", EXCHANGES)
async def test_what_a_cut_took_is_fetched(market: str) -> None:
    async with collecting(market, ["trade", "orderbook"]) as desk:
        symbols = desk.venue.symbols
        await desk.until(lambda: desk.all_live() and all(len(desk.of(Trade, symbol)) > 10 for symbol in symbols))
        await away(desk, 3.0)
        await desk.until(lambda: len([gap for gap in desk.of(Gap) if gap.data_type is DataType.TRADE]) == len(symbols))
        await desk.until(desk.all_live)
        await desk.clock.advance(2.0)
        for symbol in symbols:
            trades = desk.of(Trade, symbol)
            ids = sorted(int(trade.id) for trade in trades)
            assert ids == list(range(ids[0], ids[-1] + 1))
            assert any(trade.late for trade in trades)
        assert {gap.filled for gap in desk.of(Gap) if gap.data_type is DataType.TRADE} == {"whole"}
        clean(desk)


@pytest.mark.parametrize("market", EXCHANGES)
async def test_a_stale_snapshot_is_fetched_again_and_a_lost_update_heals(market: str) -> None:
    async with collecting(market, ["orderbook"]) as desk:
        await desk.until(desk.all_live)
        desk.venue.grow_stale(1)
        symbol = desk.venue.symbols[0]
        lower = desk.venue.native(symbol).lower()
        desk.venue.lost = {f"{lower}@depth{speed}": 1 for speed in ("", "@100ms", "@500ms")}
        await desk.until(lambda: desk.of(Gap, symbol))
        await desk.until(desk.all_live)
        await same_book(desk, symbol)
        assert desk.venue._open_market().stale_left == 0
        assert {gap.symbol for gap in desk.of(Gap)} == {symbol}
        clean(desk)


async def test_an_announced_shutdown_costs_nothing() -> None:
    async with collecting("spot", ["trade", "orderbook"]) as desk:
        await desk.until(lambda: desk.all_live() and len(desk.of(Trade)) > 20)
        (old,) = desk.server.connections
        desk.venue.notify_shutdown()
        await desk.until(lambda: desk.server.statistics.connections == 2 and tuple(desk.server.connections) != (old,))
        await desk.until(lambda: old not in desk.server.connections)
        await desk.clock.advance(2.0)
        for symbol in desk.venue.symbols:
            ids = [int(trade.id) for trade in desk.of(Trade, symbol)]
            assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert not desk.of(Gap)
        assert desk.all_live()
        clean(desk)


@pytest.mark.parametrize("market", EXCHANGES)
async def test_an_account_is_told_and_how_an_order_ended_is_asked(market: str) -> None:
    kinds = ["balance", "order", "fill"] + ["position"] * (market != "spot")
    async with collecting(market, kinds, account=True) as desk:
        account, product = desk.venue.account, desk.venue.product(desk.venue.symbols[0])
        size = "0.001" if market != "coinm" else "1"
        await desk.until(lambda: desk.of(Balance) and "asked" not in desk.states())
        account.place_order(product, "BUY", size)
        await desk.until(lambda: desk.of(Fill) and desk.of(Order)[-1].status == "filled")
        (fill,) = desk.of(Fill)
        assert (fill.symbol, fill.side, fill.size, fill.account) == (product.symbol, "buy", Decimal(size), "main")
        if market != "spot":
            assert desk.of(Position)[-1].size == Decimal(size)
        resting = str(account.place_order(product, "SELL", size, "900000"))
        await desk.until(lambda: desk.of(Order)[-1].id == resting)
        assert desk.of(Order)[-1].status == "open"
        executed = Executed(desk.clock.time_ns(), "buy", 10**9, 10**6, 1, 10**9)
        await away(desk, 3.0, lambda: account.traded(product, [executed]))
        await desk.until(lambda: desk.of(Order)[-1].status == "filled")
        assert desk.of(Order)[-1].id == resting
        clean(desk)


@pytest.mark.parametrize("market", ["usdm", "coinm"])
async def test_an_expired_listen_key_is_replaced(market: str) -> None:
    async with collecting(market, ["balance"], account=True) as desk:
        await desk.until(lambda: desk.server.connections)
        await desk.clock.advance(1.0)
        desk.venue.expire_listen_keys()
        await desk.until(lambda: desk.server.statistics.connections >= 2, 120.0)
        await desk.clock.advance(2.0)
        desk.events.clear()
        desk.venue.account.deposit("USDT" if market == "usdm" else "BTC", "5")
        await desk.until(lambda: desk.of(Balance))
        clean(desk)
