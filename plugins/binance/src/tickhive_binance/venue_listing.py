"""What the simulated Binance trades on its markets: instruments as exchangeInfo lists them, and how each trades."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from attrs import define

from tickhive.simulation.catalogue import is_busy, price_decimals, quarterly_expiries, usual_price
from tickhive.simulation.market import Index, Listing, decimal_text

MarketName: TypeAlias = Literal["spot", "usdm", "coinm"]

MILLISECOND = 1_000_000
"""A millisecond in ns."""

NEVER = 4133404800000
"""The delivery date of a perpetual, ms."""

_SPOT_PLACES = 8
_FAR = "20301227"
"""The expiry of the dated example while the market's first moment is not known."""

_MAX = 9_000_000


@define
class Product:
    """One instrument: ``row`` is how exchangeInfo lists it, ``listing`` how it trades, ``symbol`` its normalised name.

    ``places`` are the digits after the point of prices and sizes on the wire. ``dollars`` is what a COIN-M contract is
    worth, 0 elsewhere.
    """

    market: MarketName
    symbol: str
    base: str
    quote: str
    pair: str
    row: dict[str, Any]
    listing: Listing
    places: tuple[int, int]
    dollars: int = 0

    @property
    def native(self) -> str:
        """Binance's name."""
        return self.listing.name

    @property
    def family(self) -> int:
        """The field ``st`` of futures: 1 USD-M, 2 COIN-M."""
        return 2 if self.market == "coinm" else 1

    @property
    def perpetual(self) -> bool:
        """Whether it is a future that never ends."""
        return self.row.get("contractType") == "PERPETUAL"

    def price(self, ticks: int) -> str:
        """A price as Binance writes it: with all its zeros."""
        return self.listing.price(ticks, self.places[0])

    def size(self, lots: int) -> str:
        """A size as Binance writes it; contracts on COIN-M."""
        return self.listing.size(lots, self.places[1])

    def worth(self, lots: int, turnover: int) -> str:
        """The other volume: in quote currency, or on COIN-M in coins. ``turnover`` is ticks times lots."""
        listing = self.listing
        if self.dollars:
            average = turnover / lots * listing.tick_size if lots else 1.0
            return f"{lots * listing.lot * self.dollars / average:.8f}"
        places = _SPOT_PLACES if self.market == "spot" else 0
        decimals = listing.price_decimals + listing.size_decimals
        return decimal_text(turnover * listing.tick * listing.lot, decimals, places)


def default_symbols(market: MarketName, start: int) -> tuple[str, ...]:
    """What trades when nothing is asked for. ``start`` is the market's first moment, ns UTC, 0 when not known."""
    date = quarterly_expiries(start, 1)[0] if start else _FAR
    match market:
        case "spot":
            return ("BTC-USDT", "ETH-USDT")
        case "usdm":
            return ("BTC-USDT-PERP", "ETH-USDT-PERP", f"BTC-USDT-{date}")
        case _:
            return ("BTC-USD-PERP", f"BTC-USD-{date}")


def list_products(market: MarketName, symbols: Sequence[str], at: int) -> list[Product]:
    """The instruments of these normalised symbols; ValueError names one that this market could not have."""
    return [_product(market, symbol, at) for symbol in dict.fromkeys(symbols)]


def indices_of(products: Sequence[Product]) -> list[Index]:
    """What the prices of these instruments follow."""
    return [Index(name, usual_price(base)) for name, base in {p.listing.index: p.base for p in products}.items()]


def _product(market: MarketName, symbol: str, at: int) -> Product:
    match market, symbol.split("-"):
        case "spot", [base, quote] if base and quote:
            return _spot(symbol, base, quote)
        case "usdm", [base, quote, end] if quote != "USD" and _ends(end):
            return _future("usdm", symbol, base, quote, end, at)
        case "coinm", [base, "USD", end] if _ends(end):
            return _future("coinm", symbol, base, "USD", end, at)
    example = default_symbols(market, 0)[0]
    raise ValueError(f"{symbol!r} is not a symbol the simulated Binance {market} can trade; write it like {example}")


def _ends(end: str) -> bool:
    return end == "PERP" or (len(end) == 8 and end.isdecimal())


def _spot(symbol: str, base: str, quote: str) -> Product:
    price = usual_price(base)
    decimals = 5 if price > 1_000 else 2
    listing = Listing(
        name=base + quote,
        index=symbol,
        price_decimals=price_decimals(price),
        size_decimals=decimals,
        typical=max(10, int(2_000 / price * 10**decimals)),
        rate=20.0 if is_busy(base) else 5.0,
    )
    row = {
        "symbol": listing.name, "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
        "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "icebergAllowed": True,
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": [], "permissionSets": [["SPOT"]],
    }  # fmt: skip
    product = Product("spot", symbol, base, quote, base + quote, row, listing, (_SPOT_PLACES, _SPOT_PLACES))
    notional = {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True}
    row["filters"] = [*_filters(product), notional]
    return product


def _future(market: MarketName, symbol: str, base: str, quote: str, end: str, at: int) -> Product:
    pair, price = base + quote, usual_price(base)
    coinm, dated = market == "coinm", end != "PERP"
    name = f"{pair}_{end[2:]}" if dated else (f"{pair}_PERP" if coinm else pair)
    basis = 1.0 + (zlib.crc32(name.encode()) % 2_000 if dated else 200) * 1e-6
    decimals = 0 if coinm else 3
    listing = Listing(
        name=name,
        index=pair,
        price_decimals=price_decimals(price),
        size_decimals=decimals,
        value=_with_basis(basis),
        typical=30 if coinm else max(10, int(5_000 / price * 10**decimals)),
        leveraged=True,
        rate=20.0 if is_busy(base) and not dated else 5.0,
    )
    near = quarterly_expiries(at, 1)[0]
    dollars = (100 if base == "BTC" else 10) if coinm else 0
    row: dict[str, Any] = {
        "symbol": name, "pair": pair, "deliveryDate": _delivery(end) if dated else NEVER, "onboardDate": 1569398400000,
        "contractType": ("CURRENT_QUARTER" if end <= near else "NEXT_QUARTER") if dated else "PERPETUAL",
        "contractStatus" if coinm else "status": "TRADING", "baseAsset": base, "quoteAsset": quote,
        "marginAsset": base if coinm else quote, "underlyingType": "COIN", "orderTypes": ["LIMIT", "MARKET"],
        # Of no use to anybody: what counts is the filters.
        "pricePrecision": 8, "quantityPrecision": 8,
    }  # fmt: skip
    if coinm:
        row |= {"contractSize": dollars, "equalQtyPrecision": 4}
    product = Product(
        market, symbol, base, quote, pair, row, listing, (listing.price_decimals, listing.size_decimals), dollars
    )
    row["filters"] = _filters(product)
    if not coinm:
        row["filters"].append({"filterType": "MIN_NOTIONAL", "notional": "5"})
    return product


def _filters(product: Product) -> list[dict[str, Any]]:
    price, size = product.price, product.size
    return [
        {"filterType": "PRICE_FILTER", "minPrice": price(1), "maxPrice": price(_MAX * 1_000), "tickSize": price(1)},
        {"filterType": "LOT_SIZE", "minQty": size(1), "maxQty": size(_MAX * 1_000), "stepSize": size(1)},
    ]


def _delivery(date: str) -> int:
    moment = datetime.strptime(date, "%Y%m%d").replace(hour=8, tzinfo=UTC)
    return int(moment.timestamp()) * 1000


def _with_basis(basis: float) -> Callable[[float], float]:
    return lambda index: index * basis
