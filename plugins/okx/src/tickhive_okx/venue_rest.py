"""The REST side of the simulated OKX: instruments, books, trades, candles and the present values of the channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from tickhive.plugin.contract import Answer
from tickhive.simulation.market import Market
from tickhive_okx.venue_channels import BARS
from tickhive_okx.venue_listing import MILLISECOND, Product
from tickhive_okx.venue_market import BOOK_DEPTH, MarketSource, encode
from tickhive_okx.venue_rows import (
    book_rows,
    candle_row,
    funding_row,
    index_row,
    interest_row,
    limit_row,
    mark_row,
    match_rows,
    ticker_row,
    trade_row,
)

_JSON = {"content-type": "application/json"}
_TYPES = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"})


class Refused(Exception):
    """OKX answers an error: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def failure(code: str, message: str, status: int = 200) -> Answer:
    """An error in OKX's envelope."""
    return Answer(status, encode({"code": code, "msg": message, "data": []}), _JSON)


def found(rows: Iterable[Any]) -> Answer:
    """Rows in OKX's envelope."""
    return Answer(200, encode({"code": "0", "msg": "", "data": list(rows)}), _JSON)


def answer(source: MarketSource, method: str, path: str, at: int) -> Answer:
    """Answer a REST request. ``path`` includes the query, ``at`` is the venue's time, ns UTC."""
    route, _, query_text = path.partition("?")
    query = dict(parse_qsl(query_text))
    handler = _ROUTES.get(route)
    if handler is None:
        return failure("404", "Not Found", 404)
    if method != "GET":
        return failure("405", "Method Not Allowed", 405)
    try:
        data = handler(source, query, at)
    except Refused as refused:
        return failure(refused.code, refused.message)
    if isinstance(data, bytes):
        return Answer(200, b'{"code":"0","msg":"","data":[' + data + b"]}", _JSON)
    return found(data)


def _time(source: MarketSource, query: Mapping[str, str], at: int) -> Iterable[Any]:
    return [{"ts": str(at // MILLISECOND)}]


def _instruments(source: MarketSource, query: Mapping[str, str], at: int) -> Iterable[Any]:
    kind = _type(query)
    family = query.get("instFamily") or query.get("uly")
    if kind == "OPTION" and not family:
        raise Refused("50015", "Either parameter instFamily or uly is required.")
    name = query.get("instId")
    return [
        product.row
        for product in source.products
        if product.type == kind and family in (None, product.index) and name in (None, product.native)
    ]


def _books(source: MarketSource, query: Mapping[str, str], at: int) -> bytes:
    product = _product(source, query)
    size = number_in(query, "sz", 1, BOOK_DEPTH)
    bids, asks = source.market.ladders(product.native)
    return (
        f'{{"asks":{book_rows(product, asks.top(size))},"bids":{book_rows(product, bids.top(size))},'
        f'"ts":"{at // MILLISECOND}","seqId":{source.sequence(product.native)}}}'
    ).encode()


def _trades(source: MarketSource, query: Mapping[str, str], at: int) -> Iterable[Any]:
    product = _product(source, query)
    limit = number_in(query, "limit", 100, 500)
    fills = list(source.market.stocks[product.native].tape)[: -limit - 1 : -1]
    return [trade_row(product, fill) | {"count": str(fill.matches), "source": "0"} for fill in fills]


def _history_trades(source: MarketSource, query: Mapping[str, str], at: int) -> Iterable[Any]:
    """Match by match, newest first. ``after``: older than; ``before``: newer than; by id, or by ms with type 2."""
    product = _product(source, query)
    limit = number_in(query, "limit", 100, 100)
    field = "ts" if query.get("type", "1") == "2" else "tradeId"
    after, before = bound_in(query, "after"), bound_in(query, "before")
    rows: list[dict[str, Any]] = []
    for fill in reversed(source.market.stocks[product.native].tape):
        for row in reversed(match_rows(product, fill)):
            place = int(row[field])
            if after is not None and place >= after:
                continue
            if len(rows) == limit or (before is not None and place <= before):
                return rows
            rows.append(row)
    return rows


def _candles(source: MarketSource, query: Mapping[str, str], at: int) -> Iterable[Any]:
    product = _product(source, query)
    bar = query.get("bar", "1m")
    begin = BARS.get(bar)
    if begin is None:
        raise Refused("51000", "Parameter bar error")
    limit = number_in(query, "limit", 100, 300)
    after, before = bound_in(query, "after"), bound_in(query, "before")
    rows = []
    for candle in reversed(source.market.stocks[product.native].bars(bar, begin)):
        start = candle.start // MILLISECOND
        if (after is None or start < after) and (before is None or start > before):
            rows.append(candle_row(product, candle, begin(at) > candle.start))
    return rows[:limit]


def _tickers(source: MarketSource, query: Mapping[str, str], at: int) -> Iterable[Any]:
    kind = _type(query)
    return [ticker_row(source.market, product, at) for product in source.products if product.type == kind]


def _index_tickers(source: MarketSource, query: Mapping[str, str], at: int) -> Iterable[Any]:
    name = query.get("instId", "")
    if not any(product.index == name for product in source.products):
        raise Refused("51001", "Instrument ID or Spread ID doesn't exist.")
    return [index_row(source.market, name, at)]


def _each(
    row: Callable[[Market, Product, int], Any], types: frozenset[str]
) -> Callable[[MarketSource, Mapping[str, str], int], Iterable[Any]]:
    """A route that answers one row for ``instId``."""

    def route(source: MarketSource, query: Mapping[str, str], at: int) -> Iterable[Any]:
        product = _product(source, query)
        if product.type not in types:
            raise Refused("51000", "Parameter instId error")
        return [row(source.market, product, at)]

    return route


def _type(query: Mapping[str, str]) -> str:
    kind = query.get("instType", "")
    if kind not in _TYPES:
        raise Refused("51000", "Parameter instType error")
    return kind


def _product(source: MarketSource, query: Mapping[str, str]) -> Product:
    name = query.get("instId")
    if not name:
        raise Refused("50014", "Parameter instId can not be empty.")
    product = source.by_native.get(name)
    if product is None:
        raise Refused("51001", "Instrument ID or Spread ID doesn't exist.")
    return product


def number_in(query: Mapping[str, str], name: str, default: int, greatest: int) -> int:
    """A count that the query may give."""
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise Refused("51000", f"Parameter {name} error")
    return min(int(text), greatest)


def bound_in(query: Mapping[str, str], name: str) -> int | None:
    """An id or a time that the query may give."""
    text = query.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise Refused("51000", f"Parameter {name} error")
    return int(text)


_DERIVATIVES = frozenset({"SWAP", "FUTURES", "OPTION"})

_ROUTES: Mapping[str, Callable[[MarketSource, Mapping[str, str], int], Iterable[Any] | bytes]] = {
    "/api/v5/public/time": _time,
    "/api/v5/public/instruments": _instruments,
    "/api/v5/market/books": _books,
    "/api/v5/market/trades": _trades,
    "/api/v5/market/history-trades": _history_trades,
    "/api/v5/market/candles": _candles,
    "/api/v5/market/history-candles": _candles,
    "/api/v5/market/tickers": _tickers,
    "/api/v5/market/ticker": _each(ticker_row, _TYPES),
    "/api/v5/market/index-tickers": _index_tickers,
    "/api/v5/public/mark-price": _each(mark_row, _TYPES),
    "/api/v5/public/price-limit": _each(limit_row, _TYPES),
    "/api/v5/public/open-interest": _each(interest_row, _DERIVATIVES),
    "/api/v5/public/funding-rate": _each(funding_row, frozenset({"SWAP"})),
}
