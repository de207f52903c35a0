"""What the simulated Binance says about its market: the payload of every kind of stream, and the rows REST shares."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from attrs import frozen

from tickhive.events import Side
from tickhive.simulation.ladder import Row
from tickhive.simulation.market import Forced, Market, decimal_text
from tickhive.simulation.stock import Stock
from tickhive.simulation.tape import Bar, Begin, Fill
from tickhive_binance.venue_listing import MILLISECOND, Product

Payload: TypeAlias = dict[str, Any]

_EIGHT_HOURS = 8 * 3600 * 1000
_DAY = 24 * 3600 * 1000


@frozen
class AggregateTrade:
    """Executions of one side at one price, told as one. Price in ticks, size in lots, time in ns UTC."""

    id: int
    at: int
    side: Side
    price: int
    size: int
    first: int
    last: int


def ms(at: int) -> int:
    """A time, ns UTC, as Binance writes it."""
    return at // MILLISECOND


def _ends(product: Product, *, pair: bool = True) -> Payload:
    """The fields of 2026 that tell the families of futures apart."""
    if product.market == "spot":
        return {}
    return ({"ps": product.pair} if pair or product.market == "coinm" else {}) | {"st": product.family}


def _head(event: str, product: Product, at: int) -> Payload:
    return {"e": event, "E": ms(at), "s": product.native}


# Trades


def trades(product: Product, fill: Fill, at: int) -> list[Payload]:
    """The executions of one taker order, one by one."""
    rest: Payload = {"M": True} if product.market == "spot" else {"X": "MARKET", **_ends(product, pair=False)}
    return [
        _head("trade", product, at)
        | {"t": number, "p": product.price(fill.price), "q": product.size(lots), "T": ms(fill.at)}
        | {"m": fill.side == "sell"}
        | rest
        for number, lots in fill.parts()
    ]


def trade_rows(product: Product, fill: Fill) -> list[Payload]:
    """The same as REST tells it."""
    volume = "baseQty" if product.market == "coinm" else "quoteQty"
    rows = []
    for number, lots in fill.parts():
        row = {"id": number, "price": product.price(fill.price), "qty": product.size(lots)}
        row |= {
            volume: product.worth(lots, lots * fill.price),
            "time": ms(fill.at),
            "isBuyerMaker": fill.side == "sell",
        }
        rows.append(row | ({"isBestMatch": True} if product.market == "spot" else {}))
    return rows


def aggregate_row(product: Product, trade: AggregateTrade) -> Payload:
    """An aggregate trade as REST tells it."""
    row = {"a": trade.id, "p": product.price(trade.price), "q": product.size(trade.size), "f": trade.first}
    row |= {"l": trade.last, "T": ms(trade.at), "m": trade.side == "sell"}
    return row | ({"M": True} if product.market == "spot" else {})


def aggregate(product: Product, trade: AggregateTrade, at: int) -> Payload:
    """An aggregate trade as it is pushed; ``nq`` is its size without retail price improvement."""
    row = _head("aggTrade", product, at) | aggregate_row(product, trade)
    return row if product.market == "spot" else row | {"nq": row["q"]} | _ends(product, pair=False)


# Books and quotes


def levels(product: Product, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Levels as (price, size)."""
    return [(product.price(ticks), product.size(lots)) for ticks, lots, _ in rows]


def depth_update(
    product: Product, ids: tuple[int, int, int], bids: Sequence[Row], asks: Sequence[Row], at: int
) -> Payload:
    """Levels of a book. ``ids``: the number of the first change, of the last, and of the last one told before."""
    first, last, previous = ids
    spot = product.market == "spot"
    row = _head("depthUpdate", product, at) | {"U": first, "u": last} | ({} if spot else {"pu": previous, "T": ms(at)})
    return row | {"b": levels(product, bids), "a": levels(product, asks)} | _ends(product)


def top(product: Product, ids: tuple[int, int, int], bids: Sequence[Row], asks: Sequence[Row], at: int) -> Payload:
    """The best levels of a book; on spot they say neither whose nor when."""
    if product.market != "spot":
        return depth_update(product, ids, bids, asks, at)
    return {"lastUpdateId": ids[1], "bids": levels(product, bids), "asks": levels(product, asks)}


def quote(product: Product, stock: Stock, number: int, at: int) -> Payload:
    """The best bid and ask; an empty side has price and size zero. Spot tells no time."""
    (bid, bid_size), (ask, ask_size) = best(product, stock)
    row: Payload = {"u": number, "s": product.native, "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    if product.market == "spot":
        return row
    return {"e": "bookTicker", "T": ms(at), "E": ms(at)} | row | _ends(product)


def best(product: Product, stock: Stock) -> tuple[tuple[str, str], tuple[str, str]]:
    """The best bid and ask as (price, size)."""
    nothing = (product.price(0), product.size(0))
    bids, asks = levels(product, stock.bids.top(1)), levels(product, stock.asks.top(1))
    return (bids[0] if bids else nothing), (asks[0] if asks else nothing)


# Statistics


def mini_ticker(product: Product, stock: Stock, at: int) -> Payload:
    """The day of an instrument, the short way."""
    day, price = stock.day, product.price
    row = _head("24hrMiniTicker", product, at)
    row |= {"c": price(day.last), "o": price(day.open), "h": price(day.high), "l": price(day.low)}
    return row | {"v": product.size(day.volume), "q": product.worth(day.volume, day.turnover)} | _ends(product)


def ticker(product: Product, stock: Stock, at: int) -> Payload:
    """The day of an instrument."""
    day = stock.day
    change = day.last - day.open
    row = mini_ticker(product, stock, at) | {"e": "24hrTicker", "Q": product.size(day.last_size)}
    row |= {
        "p": ("-" if change < 0 else "") + product.price(abs(change)), "P": f"{100 * change / day.open:.3f}",
        "w": product.price(day.turnover // day.volume), "O": ms(at) - _DAY, "C": ms(at),
        "F": stock.trade_id - 500_000, "L": stock.trade_id, "n": 500_001,
    }  # fmt: skip
    if product.market == "spot":
        (bid, bid_size), (ask, ask_size) = best(product, stock)
        row |= {"x": product.price(day.open), "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return row


_TICKER_NAMES = {
    "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "c": "lastPrice", "Q": "lastQty",
    "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume", "O": "openTime", "C": "closeTime",
    "F": "firstId", "L": "lastId", "n": "count", "s": "symbol", "x": "prevClosePrice", "b": "bidPrice",
    "B": "bidQty", "a": "askPrice", "A": "askQty",
}  # fmt: skip


def ticker_row(product: Product, stock: Stock, at: int) -> Payload:
    """The same as REST tells it."""
    row = ticker(product, stock, at)
    names = _TICKER_NAMES | {"q": "baseVolume" if product.market == "coinm" else "quoteVolume"}
    pair = {"pair": product.pair} if product.market == "coinm" else {}
    return {names[name]: value for name, value in row.items() if name in names} | pair


def kline(product: Product, bar: Bar, interval: str, begin: Begin, at: int) -> Payload:
    """A kline; closed when the time is past its end."""
    price = product.price
    known = bar.matches > 0
    return _head("kline", product, at) | {
        "k": {
            "t": ms(bar.start), "T": _kline_end(bar.start, begin), "s": product.native, "i": interval,
            "f": bar.last_id - bar.matches + 1 if known else -1, "L": bar.last_id if known else -1,
            "o": price(bar.open), "c": price(bar.close), "h": price(bar.high), "l": price(bar.low),
            "v": product.size(bar.volume), "n": bar.matches, "x": begin(at) > bar.start,
            "q": product.worth(bar.volume, bar.turnover), "V": product.size(bar.bought),
            "Q": product.worth(bar.bought, bar.bought_turnover), "B": "0",
        }
    }  # fmt: skip


def kline_row(product: Product, bar: Bar, begin: Begin) -> list[Any]:
    """A kline as REST tells it."""
    price = product.price
    return [
        ms(bar.start), price(bar.open), price(bar.high), price(bar.low), price(bar.close), product.size(bar.volume),
        _kline_end(bar.start, begin), product.worth(bar.volume, bar.turnover), bar.matches, product.size(bar.bought),
        product.worth(bar.bought, bar.bought_turnover), "0",
    ]  # fmt: skip


@lru_cache(maxsize=1 << 12)  # the same klines are told again and again
def _kline_end(start: int, begin: Begin) -> int:
    """The last millisecond of the kline that began at ``start``: the intervals know where they begin only."""
    low, high = start, start + 32 * _DAY * MILLISECOND
    while high - low > MILLISECOND:
        middle = (low + high) // 2
        low, high = (middle, high) if begin(middle) == start else (low, middle)
    return ms(high) - 1


# Futures


def mark_text(market: Market, product: Product, at: int) -> str:
    """The mark price."""
    listing = product.listing
    return decimal_text(market.mark_price(product.native, at) * listing.tick, listing.price_decimals, 8)


def funding(market: Market, product: Product, at: int) -> tuple[str, int]:
    """The funding rate and when it is due next, ms; what dated futures have instead."""
    if not product.perpetual:
        return ("" if product.market == "coinm" else "0.00000000"), 0
    rate = min(0.00375, max(-0.00375, market.premium(product.native, at) + 0.0001))
    return f"{rate:.8f}", ms(at) - ms(at) % _EIGHT_HOURS + _EIGHT_HOURS


def mark_price(market: Market, product: Product, at: int) -> Payload:
    """Mark price and funding, and the index price, for which COIN-M has a stream of its own."""
    price, (rate, due) = mark_text(market, product, at), funding(market, product, at)
    index = f"{market.index_price(product.listing.index, at):.8f}"
    row = _head("markPriceUpdate", product, at) | {"p": price, "ap": price, "P": index, "r": rate, "T": due}
    return row | ({} if product.dollars else {"i": index}) | _ends(product, pair=False)


def index_price(market: Market, pair: str, at: int) -> Payload:
    """The price of a COIN-M index."""
    return {"e": "indexPriceUpdate", "E": ms(at), "i": pair, "p": f"{market.index_price(pair, at):.8f}", "st": 2}


def premium_row(market: Market, product: Product, at: int) -> Payload:
    """Mark price, index price and funding as REST tells them."""
    pushed = mark_price(market, product, at)
    pair = {"pair": product.pair} if product.market == "coinm" else {}
    return {
        "symbol": product.native, **pair, "markPrice": pushed["p"], "indexPrice": pushed["P"],
        "estimatedSettlePrice": pushed["P"], "lastFundingRate": pushed["r"],
        "interestRate": "0.00010000" if product.perpetual else "", "nextFundingTime": pushed["T"], "time": ms(at),
    }  # fmt: skip


def forced_order(product: Product, forced: Forced, at: int) -> Payload:
    """A liquidation."""
    price, size = product.price(forced.price), product.size(forced.size)
    order = {
        "s": product.native, **({"ps": product.pair} if product.market == "coinm" else {}),
        "S": forced.side.upper(), "o": "LIMIT", "f": "IOC", "q": size, "p": price, "ap": price, "X": "FILLED",
        "l": size, "z": size, "T": ms(forced.at),
    }  # fmt: skip
    return {"e": "forceOrder", "E": ms(at), "o": order, "st": product.family}


def contract_info(product: Product, at: int) -> Payload:
    """What became of a contract: its type, dates and status."""
    row = product.row
    status = row.get("status", row.get("contractStatus"))
    return _head("contractInfo", product, at) | {
        "ps": product.pair, "ct": row["contractType"], "dt": row["deliveryDate"], "ot": row["onboardDate"],
        "cs": status, "bks": [], "st": product.family,
    }  # fmt: skip
