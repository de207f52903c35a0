"""Names outside ASCII: instruments called in Chinese are listed, streamed, asked for and signed like any other."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from tickhive import ExchangeCollectorConfig, ExchangeFactory, Gap, Trade
from tickhive.events import BookSnapshot, Candle, MarketEvent
from tickhive.plugin import (
    EVERY,
    Balance,
    Channel,
    Credentials,
    DataType,
    Fill,
    Instrument,
    InstrumentTable,
    Order,
    VenueOptions,
)
from tickhive.plugin.venue import Send
from tickhive.session.book import BookState
from tickhive.simulation import VenueServer
from tickhive_binance.venue import BinanceVenue
from tickhive_binance.venue_login import API_KEY, API_SECRET

AT = 1_793_000_001_500_000_000
MS = 1_000_000
MAIN = Credentials("main", API_KEY, API_SECRET)
NATIVE, ENCODED = "币安人生USDT", "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT"
SYMBOLS = {"binance": "币安人生-USDT", "binance-usdm": "币安人生-USDT-PERP"}
MARKETS: dict[str, Any] = {"binance": "spot", "binance-usdm": "usdm"}


@pytest.fixture(params=sorted(SYMBOLS))
def exchange(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def view(make_view: Any, exchange: str) -> Any:
    table = InstrumentTable(exchange)
    kind: Any = "spot" if exchange == "binance" else "perpetual"
    table.add(Instrument(exchange, SYMBOLS[exchange], NATIVE, kind, "币安人生", "USDT"))
    return make_view(exchange, instruments=table, account="main")


def asked(view: Any, symbol: str) -> list[Any]:
    """Every request that names an instrument."""

    def channel(text: str) -> Channel:
        return view.channel(text, symbol)  # type: ignore[no-any-return]

    def gap(data_type: DataType) -> Gap:
        return Gap(view.exchange, symbol, None, AT, data_type, AT, AT + 60_000 * MS, "a cut", "101", "105")

    hooks = view.plugin
    fetches = [hooks.snapshot(view, channel("orderbook"))]
    for text in ("trade", "candle:1m", "order", "fill"):
        data_type = DataType(text.partition(":")[0])
        wanted = Channel(EVERY, EVERY, data_type) if data_type.private else channel(text)
        fetches.append(hooks.backfill(view, wanted, gap(data_type)))
    if view.settings.market.futures:
        fetches.append(hooks.poll(channel("open_interest"), view.settings).fetch)
    return fetches


def test_requests_name_an_instrument_percent_encoded(view: Any) -> None:
    for fetch in asked(view, SYMBOLS[view.exchange]):
        assert fetch.url.isascii(), fetch.url
        assert f"symbol={ENCODED}&" in f"{urlsplit(fetch.url).query}&"
        assert dict(parse_qsl(urlsplit(fetch.url).query))["symbol"] == NATIVE


def test_what_is_signed_is_what_is_sent(view: Any) -> None:
    signed = [view.plugin.sign(fetch, MAIN, AT) for fetch in asked(view, SYMBOLS[view.exchange])]
    queries = [urlsplit(fetch.url).query for fetch in signed if "signature=" in fetch.url]
    assert len(queries) == 2, "an order and fills"
    for query in queries:
        text, _, given = query.rpartition("&signature=")
        assert ENCODED in text
        assert given == hmac.new(API_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def test_further_pages_stay_encoded(view: Any) -> None:
    url = view.settings.rest(f"klines?symbol={quote(NATIVE)}&interval=1m&startTime=0&limit=1#until=9")
    row = [0, "1", "5", "0.5", "4", "10", 59_999, "30", 9, "1", "1", "0"]
    candle, further = view.read(url, [row], view.channel("candle:1m", SYMBOLS[view.exchange]))
    assert candle.symbol == SYMBOLS[view.exchange]
    assert f"symbol={ENCODED}&" in further.url


def test_streams_are_named_in_lower_case_and_known_again(view: Any) -> None:
    symbol = SYMBOLS[view.exchange]
    (request,) = view.plugin.subscribe(view, [view.channel("candle:1m", symbol)], None, AT)
    assert '"币安人生usdt@kline_1m"' in request.frame, "UTF-8, not escaped"
    bar = {"t": 1, "i": "1m", "o": "1", "h": "1", "l": "1", "c": "1", "v": "1", "q": "1", "x": True}
    frame = {"stream": "币安人生usdt@kline_1m", "data": {"e": "kline", "E": 1, "s": NATIVE, "k": bar}}
    for text in (json.dumps(frame, ensure_ascii=False, separators=(",", ":")), json.dumps(frame)):
        for _ in range(2):
            (event,) = view.parse(text)
            assert (type(event), event.symbol) == (Candle, symbol)
    assert set(view.memory.targets) == {'{"stream":"币安人生usdt@kline_1m'.encode()}


# Against the simulated market


def venue_of(exchange: str, speed: float = 5.0) -> BinanceVenue:
    return BinanceVenue(MARKETS[exchange], VenueOptions(seed=3, symbols=[SYMBOLS[exchange]], speed=speed))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/api/v3/depth?symbol={ENCODED}&limit=5", None),
        (f"/api/v3/depth?symbol={quote('币安人生usdt')}&limit=5", -1100),
        (f"/api/v3/depth?symbol={quote('币安')}&limit=5", -1121),
        ("/api/v3/depth?symbol=BTC%2FUSDT&limit=5", -1100),
    ],
)
def test_the_venue_takes_letters_of_any_script(path: str, code: int | None) -> None:
    venue = venue_of("binance")
    venue.advance(AT)
    answer = json.loads(venue.request("GET", path, {}, b"", AT).body)
    assert answer.get("code") == code


@pytest.mark.parametrize(("name", "sent", "code"), [(ENCODED, ENCODED, None), (NATIVE, NATIVE, -1022),
                                                    (NATIVE, ENCODED, -1022)])  # fmt: skip
def test_the_venue_checks_the_signature_of_what_is_percent_encoded(name: str, sent: str, code: int | None) -> None:
    venue = venue_of("binance", 1.0)
    venue.advance(AT)
    text = f"symbol={name}&timestamp={AT // MS}"
    signature = hmac.new(API_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    path = f"/api/v3/openOrders?{text.replace(name, sent)}&signature={signature}"
    answer = json.loads(venue.request("GET", path, {"x-mbx-apikey": API_KEY}, b"", AT).body)
    assert answer == [] if code is None else answer["code"] == code


def test_the_venue_streams_under_the_name_in_lower_case() -> None:
    venue = venue_of("binance", 1.0)
    venue.advance(AT)
    name = "币安人生usdt@trade"
    paths = [f"/ws/{name}", f"/ws/{quote(name)}", f"/stream?streams={quote(name)}", "/ws/币安人生USDT@trade"]
    for connection, path in enumerate(paths):
        venue.opened(connection, path, AT)
    venue.advance(AT + 10_000 * MS)
    said = [item for item in venue.outgoing() if isinstance(item, Send)]
    assert {item.connection for item in said} == {0, 1, 2}
    assert all(NATIVE in item.frame for item in said)


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is awaited has no event of its own
            await asyncio.sleep(0.02)


@asynccontextmanager
async def collected(
    exchange: str, server: VenueServer, types: Sequence[str], credentials: Credentials | None = None
) -> AsyncIterator[tuple[Any, list[MarketEvent]]]:
    config = ExchangeCollectorConfig(
        exchange=exchange,
        symbols=[] if credentials else [SYMBOLS[exchange]],
        data_types=list(types),
        account=credentials.account if credentials else None,
        settings={"url": server.url, "rest_url": server.rest_url, "snapshot_patience_seconds": 0.2},
    )
    collecting = ExchangeFactory.create_collector(config, credentials=credentials)
    seen: list[MarketEvent] = []
    collecting.add_data_callback(None, seen.append)
    await collecting.start()
    try:
        yield collecting, seen
    finally:
        await collecting.stop()


async def test_its_market_is_collected_over_a_cut(exchange: str) -> None:
    venue = venue_of(exchange)
    async with VenueServer(venue) as server:
        async with collected(exchange, server, ["trade", "orderbook", "candle:1m"]) as (collecting, seen):
            book = collecting.book(SYMBOLS[exchange])
            await until(lambda: book.state is BookState.LIVE and {Trade, Candle, BookSnapshot} <= set(map(type, seen)))
            async with asyncio.timeout(60):
                # A cut need not cost a trade: the next one may.
                while not any(isinstance(e, Gap) and e.data_type is DataType.TRADE for e in seen):
                    server.cut()
                    had = len(seen)
                    await until(lambda: any(isinstance(e, Trade) for e in seen[had:]))  # noqa: B023  # awaited here
            await until(lambda: book.state is BookState.LIVE)
            statistics = collecting.get_status()["statistics"]
        assert {statistics[name] for name in ("malformed", "unknown", "rejected", "hook_errors")} == {0}
        assert {e.filled for e in seen if isinstance(e, Gap) and e.data_type is DataType.TRADE} == {"whole"}
        assert {event.symbol for event in seen} == {SYMBOLS[exchange]}
        assert venue.violations == []


async def test_its_orders_and_fills_are_asked_for_after_a_cut(exchange: str) -> None:
    venue = venue_of(exchange)
    async with VenueServer(venue) as server:
        await until(lambda: venue.product(SYMBOLS[exchange]))
        product = venue.product(SYMBOLS[exchange])
        async with collected(exchange, server, ["balance", "order", "fill"], MAIN) as (collecting, seen):

            def fills() -> list[Fill]:
                return [event for event in seen if isinstance(event, Fill)]

            await until(lambda: any(isinstance(event, Balance) for event in seen))
            waiting = venue.account.place_order(product, "BUY", "1", "0.01")
            venue.account.place_order(product, "BUY", "1")
            await until(lambda: fills() and any(isinstance(e, Order) and e.id == str(waiting) for e in seen))
            server.refuse()
            server.cut()
            venue.account.cancel(waiting)
            sold = venue.account.place_order(product, "SELL", "1")
            await until(lambda: sold in venue.account.ended)
            server.refuse(False)
            await until(lambda: any(fill.late for fill in fills()))
            await until(lambda: any(isinstance(e, Order) and e.status == "cancelled" for e in seen))
            assert collecting.get_status()["status"] == "running"
        told = [event for event in seen if isinstance(event, Gap) and event.data_type is DataType.FILL]
        assert [(gap.symbol, gap.filled) for gap in told] == [(SYMBOLS[exchange], "whole"), (EVERY, "part")]
        assert {fill.symbol for fill in fills()} == {SYMBOLS[exchange]}
        assert venue.violations == []
