"""Wren with everything it could have: quotes, candles, funding, whole small books and gathered trades."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tickhive.plugin import Answer, DataType
from tickhive.simulation.market import Change, Listing
from tickhive.simulation.stock import Stock
from tickhive.simulation.tape import Bar

from .wren_venue import MS, WrenVenue, answer, levels

HOUR = 3_600_000
FUNDING = 8 * HOUR
TOP = 5


def money(listing: Listing, turnover: int) -> str:
    """Ticks times lots as an amount of the quote currency."""
    return str(Decimal(turnover).scaleb(-listing.price_decimals - listing.size_decimals))


def columns(listing: Listing, bar: Bar, closed: bool) -> list[Any]:
    """A candle: start, open, high, low, close, volume in base and in quote, whether it is over."""
    prices = (listing.price(each) for each in (bar.open, bar.high, bar.low, bar.close))
    return [bar.start // MS, *prices, listing.size(bar.volume), money(listing, bar.turnover), closed]


class FullVenue(WrenVenue):
    """The sequel of each change follows what Wren says of it."""

    subscriptions = ("trade", "orderbook", "ticker", "quote", "candle:1m", "funding_rate")
    kinds = ("trades", "book", "ticker", "quote", "candle", "funding", "top", "gathered")
    rate = 4.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._begun: dict[str, Bar] = {}

    def tell(self, change: Change) -> None:
        super().tell(change)
        stock, name, time = change.stock, change.stock.listing.name, change.at // MS
        bid, ask = levels(stock, stock.bids.top(1)), levels(stock, stock.asks.top(1))
        if bid and ask:
            self.say_of(name, DataType.QUOTE, "quote", time, {"q": [*bid[0], *ask[0]]})
        sides = {
            "n": self.number(name),
            "b": levels(stock, stock.bids.top(TOP)),
            "a": levels(stock, stock.asks.top(TOP)),
        }
        self.say_of(name, DataType.ORDERBOOK, "top", time, sides)
        if change.fills:
            self._traded(change, stock, name, time)

    def _traded(self, change: Change, stock: Stock, name: str, time: int) -> None:
        listing = stock.listing
        rows = [
            [
                each.id,
                listing.price(each.price),
                listing.size(each.size),
                "s" if each.side == "buy" else "b",
                each.matches,
            ]
            for each in change.fills
        ]
        self.say_of(name, DataType.TRADE, "gathered", time, {"rows": rows}, len(rows))
        due = (time // FUNDING + 1) * FUNDING
        self.say_of(name, DataType.FUNDING_RATE, "funding", time, {"rate": "0.0001", "due": due})
        before, bar = self._begun.get(name), stock.minutes[-1]
        if before is not None and before.start != bar.start:
            self.say_of(name, DataType.CANDLE, "candle", time, {"k": columns(listing, before, True)})
        self._begun[name] = bar
        self.say_of(name, DataType.CANDLE, "candle", time, {"k": columns(listing, bar, False)})

    def say_of(
        self, name: str, kind: DataType, stream: str, time: int, told: Mapping[str, Any], events: int = 1
    ) -> None:
        self.publish(kind, f"{stream}.{name}", {"s": stream, "m": name, "t": time, **told}, events)

    def ticker(self, stock: Stock, time: int) -> dict[str, Any]:
        listing, day = stock.listing, stock.day
        bid, ask = (levels(stock, side.top(1)) for side in (stock.bids, stock.asks))
        prices = {"low": listing.price(day.low), "bid": bid[0][0] if bid else None, "ask": ask[0][0] if ask else None}
        volumes = {"base": listing.size(day.volume), "quote": money(listing, day.turnover)}
        return {**super().ticker(stock, time), **prices, **volumes}

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        url = urlsplit(path)
        asked = dict(parse_qsl(url.query))
        if url.path != "/candles":
            return super().request(method, path, headers, body, at)
        stock = self.stock(asked["m"])
        closed = [bar for bar in list(stock.minutes)[:-1] if int(asked["from"]) <= bar.start // MS <= int(asked["to"])]
        return answer({"m": asked["m"], "candles": [columns(stock.listing, bar, True) for bar in closed]})
