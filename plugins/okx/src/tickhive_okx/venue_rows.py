"""How the simulated OKX writes things: rows of prices, trades, candles, books and statistics, all values as text."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from tickhive.simulation.ladder import Row
from tickhive.simulation.market import Market
from tickhive.simulation.stock import Stock
from tickhive.simulation.tape import Bar, Fill
from tickhive_okx.venue_listing import MILLISECOND, Product

_CHECKSUM_DEPTH = 25


def ms(at: int) -> str:
    """A time, ns UTC, as OKX writes it."""
    return str(at // MILLISECOND)


def ticker_row(market: Market, product: Product, at: int) -> dict[str, Any]:
    """The 24-hour statistics of an instrument."""
    stock, listing = market.stocks[product.native], product.listing
    day = stock.day
    bids, asks = stock.bids.top(1), stock.asks.top(1)
    return {
        "instType": product.type,
        "instId": product.native,
        "last": listing.price(day.last),
        "lastSz": listing.size(day.last_size),
        "askPx": listing.price(asks[0][0]) if asks else "",
        "askSz": listing.size(asks[0][1]) if asks else "",
        "bidPx": listing.price(bids[0][0]) if bids else "",
        "bidSz": listing.size(bids[0][1]) if bids else "",
        "open24h": listing.price(day.open),
        "high24h": listing.price(day.high),
        "low24h": listing.price(day.low),
        "sodUtc0": listing.price(day.open),
        "sodUtc8": listing.price(day.open),
        "volCcy24h": product.volumes(day.volume, day.turnover)[0],
        "vol24h": listing.size(day.volume),
        "ts": ms(at),
    }


def index_row(market: Market, name: str, at: int) -> dict[str, Any]:
    """The price of an index."""
    price = market.index_price(name, at)
    decimals = 4 if price < 100 else 1
    low, middle, high = (f"{price * share:.{decimals}f}" for share in (0.975, 0.99, 1.025))
    return {
        "instId": name,
        "idxPx": f"{price:.{decimals}f}",
        "high24h": high,
        "low24h": low,
        "open24h": middle,
        "sodUtc0": middle,
        "sodUtc8": middle,
        "ts": ms(at),
    }


def mark_row(market: Market, product: Product, at: int) -> dict[str, Any]:
    """The mark price of an instrument."""
    price = product.listing.price(market.mark_price(product.native, at))
    return {"instType": product.type, "instId": product.native, "markPx": price, "ts": ms(at)}


def limit_row(market: Market, product: Product, at: int) -> dict[str, Any]:
    """The highest bid and the lowest ask accepted now."""
    mark = market.mark_price(product.native, at)
    return {
        "instType": product.type,
        "instId": product.native,
        "buyLmt": product.listing.price(mark + mark // 20),
        "sellLmt": product.listing.price(mark - mark // 20),
        "ts": ms(at),
        "enabled": True,
    }


def interest_row(market: Market, product: Product, at: int) -> dict[str, Any]:
    """All open positions of an instrument."""
    stock = market.stocks[product.native]
    coins, dollars = product.volumes(stock.open_interest, stock.open_interest * stock.day.last)
    return {
        "instType": product.type,
        "instId": product.native,
        "oi": product.listing.size(stock.open_interest),
        "oiCcy": coins,
        "oiUsd": dollars,
        "ts": ms(at),
    }


def funding_row(market: Market, product: Product, at: int) -> dict[str, Any]:
    """The funding rate of a swap, due every eight hours."""
    eight_hours = 8 * 3600 * 1000
    now = at // MILLISECOND
    due = now - now % eight_hours + eight_hours
    premium = market.premium(product.native, at)
    rate = min(0.00375, max(-0.00375, premium + 0.0001))
    return {
        "instType": product.type,
        "instId": product.native,
        "method": "current_period",
        "formulaType": "withRate",
        "fundingRate": f"{rate:.16f}",
        "nextFundingRate": "",
        "fundingTime": str(due),
        "nextFundingTime": str(due + eight_hours),
        "prevFundingTime": str(due - eight_hours),
        "minFundingRate": "-0.00375",
        "maxFundingRate": "0.00375",
        "interestRate": "0.0001000000000000",
        "impactValue": "10000.0000000000000000",
        "settState": "settled",
        "settFundingRate": "0.0001000000000000",
        "premium": f"{premium:.16f}",
        "ts": str(now),
    }


def trade_row(product: Product, fill: Fill) -> dict[str, Any]:
    """What one taker order did at one price, under the last id of its matches."""
    listing = product.listing
    return {
        "instId": product.native,
        "tradeId": str(fill.id),
        "px": listing.price(fill.price),
        "sz": listing.size(fill.size),
        "side": fill.side,
        "ts": ms(fill.at),
    }


def match_rows(product: Product, fill: Fill) -> list[dict[str, Any]]:
    """The same, match by match."""
    whole = trade_row(product, fill)
    size = product.listing.size
    return [whole | {"tradeId": str(number), "sz": size(lots), "source": "0"} for number, lots in fill.parts()]


def candle_row(product: Product, bar: Bar, closed: bool) -> list[str]:
    """A candle as OKX sends it: [ts, o, h, l, c, vol, volCcy, volCcyQuote, confirm]."""
    price = product.listing.price
    prices = (price(bar.open), price(bar.high), price(bar.low), price(bar.close))
    volumes = product.volumes(bar.volume, bar.turnover)
    return [ms(bar.start), *prices, product.listing.size(bar.volume), *volumes, "1" if closed else "0"]


def book_rows(product: Product, rows: Iterable[Row]) -> str:
    """Levels as OKX sends them, as JSON text: [price, size, "0", orders]."""
    price, size = product.listing.price, product.listing.size
    return "[" + ",".join([f'["{price(ticks)}","{size(lots)}","0","{orders}"]' for ticks, lots, orders in rows]) + "]"


def book_checksum(product: Product, stock: Stock) -> int:
    """CRC32 over the best 25 levels of both sides, interleaved, as a signed 32-bit number."""
    price, size = product.listing.price, product.listing.size
    bids, asks = stock.bids.top(_CHECKSUM_DEPTH), stock.asks.top(_CHECKSUM_DEPTH)
    parts = []
    for rank in range(max(len(bids), len(asks))):
        for side in (bids, asks):
            if rank < len(side):
                parts.append(f"{price(side[rank][0])}:{size(side[rank][1])}")
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >= 1 << 31 else value
