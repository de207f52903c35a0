"""What each request weighs: as the sheets of the three markets say it, and as the simulated venue charges it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tickhive.plugin import EVERY, Channel, DataType, Fetch, Gap
from tickhive_binance import venue_rest
from tickhive_binance.account_rest import listen_key

AT = 1_793_000_000_000_000_000
MINUTE = 60_000_000_000
NAMES: dict[str, Any] = {"binance": "spot", "binance-usdm": "usdm", "binance-coinm": "coinm"}
WEIGHTS = {
    # request: spot, USD-M, COIN-M; None where the market has none.
    "exchangeInfo": (20, 1, 1),
    "depth 1000": (50, 20, 20),
    "history": (25, 20, 20),
    "klines 62": (2, 1, 1),
    "klines 102": (2, 2, 2),
    "klines 500": (2, 2, 2),
    "klines 502": (2, 5, 5),
    "klines 1000": (2, 5, 5),
    "openInterest": (None, 1, 1),
    "listenKey": (None, 1, 1),
    "account": (20, 5, 5),
    "positionRisk": (None, 5, 1),
    "openOrders": (80, 40, 40),
    "order": (4, 1, 1),
    "fills": (20, 5, 20),
}


def missed(view: Any, text: str, minutes: int = 0) -> Fetch:
    data_type = DataType(text.partition(":")[0])
    channel = Channel(EVERY, EVERY, data_type) if data_type.private else view.channel(text)
    symbol, end = view.channel("trade").symbol, AT + minutes * MINUTE
    gap = Gap(view.exchange, symbol, None, AT, data_type, AT, end, "a cut", "101", "105")
    found = view.plugin.backfill(view, channel, gap)
    assert isinstance(found, Fetch)
    return found


def stands(view: Any, data_type: DataType) -> Any:
    return view.plugin.snapshot(view, Channel(EVERY, EVERY, data_type))


def requests(view: Any) -> Iterator[tuple[str, Fetch | None]]:
    poll = view.plugin.poll(view.channel("open_interest"), view.settings)
    yield "exchangeInfo", view.plugin.instruments(view.settings)[0]
    yield "depth 1000", view.plugin.snapshot(view, view.channel("orderbook"))
    yield "history", missed(view, "trade")
    for rows in (62, 102, 500, 502, 1000):
        yield f"klines {rows}", missed(view, "candle:1m", rows - 4)
    yield "openInterest", poll.fetch if poll else None
    yield "listenKey", listen_key(view.settings, "POST") if view.settings.market.futures else None
    yield "account", stands(view, DataType.BALANCE)
    yield "positionRisk", stands(view, DataType.POSITION)
    yield "openOrders", stands(view, DataType.ORDER)
    yield "order", missed(view, "order")
    yield "fills", missed(view, "fill")


def test_requests_weigh_what_the_venue_charges(view: Any) -> None:
    name = NAMES[view.exchange]
    charged: dict[str, Any] = {}
    for what, fetch in requests(view):
        if fetch is None:
            charged[what] = None
            continue
        assert set(fetch.costs) == {"weight"}
        charged[what] = fetch.costs["weight"]
        url = urlsplit(fetch.url)
        query = dict(parse_qsl(url.query))
        if what.startswith("klines"):
            assert query["limit"] == what.split()[1]
        route = url.path.split("/", 3)[3]
        assert venue_rest.weight(name, route, query) == charged[what], what
    assert charged == {what: row[list(NAMES.values()).index(name)] for what, row in WEIGHTS.items()}
