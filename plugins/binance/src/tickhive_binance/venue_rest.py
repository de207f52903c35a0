"""The REST side of the simulated Binance's market data: instruments, books, trades, klines, statistics, funding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from tickhive.simulation.tape import Fill
from tickhive_binance import venue_payloads as payloads
from tickhive_binance.venue_listing import MarketName
from tickhive_binance.venue_login import Refused, missing
from tickhive_binance.venue_market import Desk, MarketSource
from tickhive_binance.venue_payloads import ms
from tickhive_binance.venue_streams import INTERVALS, has_interval, whole_bars

Query: TypeAlias = Mapping[str, str]
Handler: TypeAlias = Callable[[MarketSource, Query, int], Any]

WEIGHT_LIMITS: Mapping[MarketName, int] = {"spot": 6000, "usdm": 2400, "coinm": 2400}
"""Weight a minute."""

_HOUR = 3600 * 1000
_SYMBOL = re.compile(r"(?:(?![a-z])[\w\-.]){1,50}")
_FUTURES_ONLY = ("openInterest", "premiumIndex", "fundingRate")
_FUTURES_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)


def weight(market: MarketName, name: str, query: Query) -> int:
    """What a request costs. ``name`` is the path behind the prefix."""
    spot, alone = market == "spot", "symbol" in query
    limit = int(query["limit"]) if query.get("limit", "").isdecimal() else 0
    match name:
        case "exchangeInfo":
            return 20 if spot else 1
        case "depth" if spot:
            return _step(limit or 100, ((100, 5), (500, 25), (1000, 50)), 250)
        case "depth":
            return _step(limit or 500, ((50, 2), (100, 5), (500, 10)), 20)
        case "trades" | "historicalTrades":
            return 25 if spot else 5 if name == "trades" else 20
        case "aggTrades":
            return 4 if spot else 20
        case "klines":
            return 2 if spot else _step(limit or 500, ((100, 1), (500, 2), (1000, 5)), 10)
        case "ticker/24hr":
            return (2 if alone else 80) if spot else 1 if alone else 40
        case "ticker/bookTicker":
            return 2 if alone else 4
        case "premiumIndex":
            return 1 if alone and market == "usdm" else 10
        case "account":
            return 20 if spot else 5
        case "balance" | "positionRisk":
            return 5 if market == "usdm" else 1
        case "openOrders":
            return (6 if spot else 1) if alone else 80 if spot else 40
        case "order":
            return 4 if spot else 1
        case "myTrades":
            return 5 if "orderId" in query else 20
        case "userTrades":
            return 5 if market == "usdm" else 20 if alone else 40
        case _:
            return 1


def _step(limit: int, steps: Iterable[tuple[int, int]], most: int) -> int:
    return next((cost for bound, cost in steps if limit <= bound), most)


def answer(source: MarketSource, name: str, query: Query, at: int) -> Any:
    """What a request for public data is answered; Refused for an error. ``name`` is the path behind the prefix."""
    handler = _ROUTES.get(name)
    if handler is None or (name in _FUTURES_ONLY and source.name == "spot"):
        raise Refused(-5000, f"Path {name} is invalid", 404)
    return handler(source, query, at)


def _exchange_info(source: MarketSource, query: Query, at: int) -> Any:
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
    rows = [desk_of(source, query).product.row] if "symbol" in query else [product.row for product in source.products]
    limits = [limit | {"limit": WEIGHT_LIMITS[source.name]}]
    # The futures' own clock on this page is known to stand still.
    now = ms(at) if source.name == "spot" else 1_600_000_000_000
    return {"timezone": "UTC", "serverTime": now, "rateLimits": limits, "exchangeFilters": [], "symbols": rows}


def _depth(source: MarketSource, query: Query, at: int) -> Any:
    desk = desk_of(source, query)
    if source.name == "spot":
        limit = min(number_in(query, "limit", 100), 5000)
    else:
        limit = number_in(query, "limit", 500)
        if limit not in _FUTURES_DEPTHS:
            raise Refused(-4021, f"{limit} is not valid depth limit.")
    product = desk.product
    number, bids, asks = source.book(desk)
    book: dict[str, Any] = {"lastUpdateId": number}
    if source.name == "coinm":
        book |= {"symbol": product.native, "pair": product.pair}
    if source.name != "spot":
        book |= {"E": ms(at), "T": ms(at)}
    return book | {"bids": payloads.levels(product, bids[:limit]), "asks": payloads.levels(product, asks[:limit])}


def _trades(source: MarketSource, query: Query, at: int) -> Any:
    desk = desk_of(source, query)
    return _executions(desk, reversed(desk.stock.tape), None, _limit(query, 1000))


def _historical_trades(source: MarketSource, query: Query, at: int) -> Any:
    desk = desk_of(source, query)
    first = bound_in(query, "fromId")
    limit = _limit(query, 1000 if source.name == "spot" else 500)
    fills = reversed(desk.stock.tape) if first is None else (fill for fill in desk.stock.tape if fill.id >= first)
    return _executions(desk, fills, first, limit)


def _executions(desk: Desk, fills: Iterable[Fill], first: int | None, limit: int) -> list[Any]:
    """Oldest first: the newest ones (fills newest first), or those from an id on (fills oldest first)."""
    rows: list[Any] = []
    for fill in fills:
        parts = payloads.trade_rows(desk.product, fill)
        rows += reversed(parts) if first is None else [row for row in parts if row["id"] >= first]
        if len(rows) >= limit:
            break
    return rows[:limit][::-1] if first is None else rows[:limit]


def _aggregate_trades(source: MarketSource, query: Query, at: int) -> Any:
    desk, limit = desk_of(source, query), _limit(query, 1000)
    first, start, end = (bound_in(query, name) for name in ("fromId", "startTime", "endTime"))
    if first is not None and (start is not None or end is not None):
        raise Refused(-1128, "Combination of optional parameters invalid.")
    if source.name != "spot":
        if start is not None and end is not None and end - start > _HOUR:
            raise Refused(-1127, "More than 1 hours between startTime and endTime.")
        oldest = ms(at) - (48 if source.name == "usdm" else 365 * 24) * _HOUR
        if start is not None and start < oldest:
            raise Refused(-4166, "Search window is restricted to recent 48 hours only.")
    rows = [
        payloads.aggregate_row(desk.product, trade)
        for trade in desk.traded
        if (first is None or trade.id >= first)
        and (start is None or ms(trade.at) >= start)
        and (end is None or ms(trade.at) <= end)
    ]
    return rows[-limit:] if first is None and start is None else rows[:limit]


def _klines(source: MarketSource, query: Query, at: int) -> Any:
    desk, interval = desk_of(source, query), query.get("interval", "")
    if not interval:
        raise missing("interval")
    if not has_interval(source.name, interval):
        raise Refused(-1120, "Invalid interval.")
    limit, start, end = _limit(query, 1000 if source.name == "spot" else 1500), *_range(query)
    if source.name == "coinm" and start is not None and (end or ms(at)) - start > 200 * 24 * _HOUR:
        raise Refused(-4166, "Search window is restricted to 200 days.")
    begin = INTERVALS[interval]
    rows = []
    for bar in whole_bars(desk.stock.bars(interval, begin), begin, at):
        if start is not None and ms(bar.start) < start:
            break
        if end is None or ms(bar.start) <= end:
            rows.append(payloads.kline_row(desk.product, bar, begin))
            if start is None and len(rows) == limit:
                break
    return rows[::-1][:limit]


def _tickers(source: MarketSource, query: Query, at: int) -> Any:
    return _one_or_all(source, query, lambda desk: payloads.ticker_row(desk.product, desk.stock, at))


def _quotes(source: MarketSource, query: Query, at: int) -> Any:
    def row(desk: Desk) -> Any:
        (bid, bid_size), (ask, ask_size) = payloads.best(desk.product, desk.stock)
        found = {
            "symbol": desk.product.native,
            "bidPrice": bid,
            "bidQty": bid_size,
            "askPrice": ask,
            "askQty": ask_size,
        }
        return found if source.name == "spot" else found | {"time": ms(at), "lastUpdateId": desk.number}

    return _one_or_all(source, query, row)


def _premiums(source: MarketSource, query: Query, at: int) -> Any:
    return _one_or_all(source, query, lambda desk: payloads.premium_row(source.market, desk.product, at))


def _one_or_all(source: MarketSource, query: Query, row: Callable[[Desk], Any]) -> Any:
    """The row of ``symbol``, in a list on COIN-M, or the rows of all."""
    if "symbol" not in query:
        return [row(desk) for desk in source.desks.values() if query.get("pair") in (None, desk.product.pair)]
    found = row(desk_of(source, query))
    return [found] if source.name == "coinm" else found


def _open_interest(source: MarketSource, query: Query, at: int) -> Any:
    product = (desk := desk_of(source, query)).product
    row = {"symbol": product.native, "openInterest": product.size(desk.stock.open_interest), "time": ms(at)}
    if source.name == "coinm":
        row |= {"pair": product.pair, "contractType": product.row["contractType"]}
    return row


def open_interest_history(source: MarketSource, query: Query, at: int) -> Any:
    """The open interest as it stands, told for the last five minutes: what /futures/data/openInterestHist has."""
    pair = source.name == "coinm"
    if pair:
        desks = [desk for desk in source.desks.values() if desk.product.pair == query.get("pair")]
        desks = [d for d in desks if query.get("contractType") in (None, "ALL", d.product.row["contractType"])]
    else:
        desks = [desk_of(source, query)]
    rows = []
    for desk in desks[:1]:
        product, interest = desk.product, desk.stock.open_interest
        named = (
            {"pair": product.pair, "contractType": query.get("contractType")} if pair else {"symbol": product.native}
        )
        worth = product.worth(interest, interest * desk.stock.day.last)
        at_ms = ms(at) - ms(at) % 300_000
        rows.append(
            named | {"sumOpenInterest": product.size(interest), "sumOpenInterestValue": worth, "timestamp": at_ms}
        )
    return rows


def _funding_rates(source: MarketSource, query: Query, at: int) -> Any:
    desk = desk_of(source, query)
    rate, due = payloads.funding(source.market, desk.product, at)
    if not due:
        return []
    price = payloads.mark_text(source.market, desk.product, at)
    return [{"symbol": desk.product.native, "fundingRate": rate, "fundingTime": due - 8 * _HOUR, "markPrice": price}]


def desk_of(source: MarketSource, query: Query) -> Desk:
    """The instrument a query names."""
    name = query.get("symbol")
    if not name:
        raise missing("symbol")
    if _SYMBOL.fullmatch(name) is None:
        legal = r"^[\w\-._&&[^a-z]]{1,50}$"
        raise Refused(-1100, f"Illegal characters found in parameter 'symbol'; legal range is '{legal}'.")
    desk = source.desks.get(name)
    if desk is None:
        raise Refused(-1121, "Invalid symbol.")
    return desk


def number_in(query: Query, name: str, default: int) -> int:
    """A count that the query may give."""
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise Refused(-1130, f"Data sent for parameter '{name}' is not valid.")
    return int(text)


def bound_in(query: Query, name: str) -> int | None:
    """An id or a time that the query may give."""
    text = query.get(name)
    if text is not None and not text.isdecimal():
        raise Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return None if text is None else int(text)


def _range(query: Query) -> tuple[int | None, int | None]:
    return bound_in(query, "startTime"), bound_in(query, "endTime")


def _limit(query: Query, most: int) -> int:
    limit = number_in(query, "limit", min(500, most))
    if limit > most:
        raise Refused(-1130, "Data sent for parameter 'limit' is not valid.")
    return limit


_ROUTES: Mapping[str, Handler] = {
    "ping": lambda source, query, at: {},
    "exchangeInfo": _exchange_info,
    "depth": _depth,
    "trades": _trades,
    "historicalTrades": _historical_trades,
    "aggTrades": _aggregate_trades,
    "klines": _klines,
    "ticker/24hr": _tickers,
    "ticker/bookTicker": _quotes,
    "premiumIndex": _premiums,
    "openInterest": _open_interest,
    "fundingRate": _funding_rates,
}
