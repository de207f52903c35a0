"""What the simulated OKX trades: instruments of all four types as its REST API lists them, and how each one trades."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import define

from tickhive.channels import make_symbol
from tickhive.simulation import (
    WELL_KNOWN,
    Index,
    Listing,
    decimal_text,
    is_busy,
    price_decimals,
    quarterly_expiries,
    usual_price,
)

MILLISECOND = 1_000_000
"""A millisecond in ns."""

_OPTION_DEPTH = 20
_BUSY, _CALM = 20.0, 5.0


@define
class Product:
    """One instrument: ``row`` is how the REST API lists it, ``listing`` how it trades, ``symbol`` its normalised name.

    ``contract`` is what one contract is worth, as (units, decimals); None for spot. ``inverse``: that worth is in US
    dollars instead of coins.
    """

    symbol: str
    type: str
    index: str
    row: dict[str, Any]
    listing: Listing
    contract: tuple[int, int] | None = None
    inverse: bool = False

    @property
    def native(self) -> str:
        """OKX's name."""
        return self.listing.name

    def volumes(self, lots: int, turnover: int) -> tuple[str, str]:
        """Sizes in other units: (coin; quote for spot, quote), from lots and from ticks times lots."""
        listing = self.listing
        scale = listing.size_decimals
        if self.contract is None:
            quote = decimal_text(turnover * listing.tick * listing.lot, listing.price_decimals + scale)
            return quote, quote
        units, decimals = self.contract
        if not self.inverse:
            coin = decimal_text(lots * listing.lot * units, scale + decimals)
            worth = turnover * listing.tick * listing.lot * units
            return coin, decimal_text(worth, listing.price_decimals + scale + decimals)
        dollars = decimal_text(lots * listing.lot * units, scale + decimals)
        average = turnover / lots * listing.tick_size if lots else 1.0
        return f"{float(dollars) / average:.4f}", dollars


def list_products(symbols: Sequence[str], at: int) -> tuple[list[Product], list[Index]]:
    """The instruments of these normalised symbols (none given: a small exchange of all types) as of ``at``, ns UTC.

    ValueError names a symbol that OKX could not have.
    """
    products = [_product(symbol) for symbol in dict.fromkeys(symbols or _all_symbols(at))]
    names = sorted({product.index for product in products})
    return products, [Index(name, usual_price(name.partition("-")[0])) for name in names]


def symbol_of(row: Mapping[str, Any]) -> str:
    """The normalised name of an instrument from its REST row; OKX's own name for a kind that has none."""
    native = str(row["instId"])
    parts = native.split("-")
    match str(row.get("instType")), parts:
        case "SPOT" | "MARGIN", [base, quote]:
            return make_symbol(base, quote)
        case "SWAP", [base, quote, "SWAP"]:
            return make_symbol(base, quote, "perpetual")
        case "FUTURES", [base, quote, date] if len(date) == 6:
            return make_symbol(base, quote, "future", expiry=f"20{date}")
        case "OPTION", [base, quote, date, strike, right]:
            call = right == "C"
            expiry = f"20{date}"
            return make_symbol(
                base, quote, "option", expiry=expiry, strike=strike, option_type="call" if call else "put"
            )
        case _:
            return native


def _all_symbols(at: int) -> Iterable[str]:
    near, far = quarterly_expiries(at)
    for base in WELL_KNOWN:
        yield make_symbol(base, "USDT")
        yield make_symbol(base, "USDT", "perpetual")
    for base in ("BTC", "ETH"):
        yield make_symbol(base, "USD", "perpetual")
        for date in (near, far):
            yield make_symbol(base, "USDT", "future", expiry=date)
            yield make_symbol(base, "USD", "future", expiry=date)
        for share in (0.8, 1.0, 1.2):
            strike = str(round(WELL_KNOWN[base] * share))
            yield make_symbol(base, "USD", "option", expiry=near, strike=strike, option_type="call")
            yield make_symbol(base, "USD", "option", expiry=near, strike=strike, option_type="put")


def _product(symbol: str) -> Product:
    match symbol.split("-"):
        case [base, quote] if base and quote:
            return _spot(symbol, base, quote)
        case [base, quote, "PERP"]:
            return _contract(symbol, base, quote, "SWAP", f"{base}-{quote}-SWAP", "")
        case [base, quote, date] if len(date) == 8 and date.isdigit():
            return _contract(symbol, base, quote, "FUTURES", f"{base}-{quote}-{date[2:]}", date)
        case [base, quote, date, strike, "C" | "P" as right] if len(date) == 8 and date.isdigit():
            return _option(symbol, base, quote, date, strike, right)
        case _:
            raise ValueError(f"{symbol!r} is not a symbol the simulated OKX can trade; write it like BTC-USDT-PERP")


def _spot(symbol: str, base: str, quote: str) -> Product:
    price = usual_price(base)
    listing = Listing(
        name=symbol,
        index=symbol,
        price_decimals=price_decimals(price),
        size_decimals=8 if price > 10_000 else 6,
        typical=max(10, int(2_000 / price * 10 ** (8 if price > 10_000 else 6))),
        rate=_BUSY if is_busy(base) else _CALM,
    )
    row = _row("SPOT", listing, baseCcy=base, quoteCcy=quote, minSz=listing.size(1000))
    return Product(symbol, "SPOT", symbol, row, listing)


def _contract(symbol: str, base: str, quote: str, kind: str, native: str, date: str) -> Product:
    price = usual_price(base)
    family = f"{base}-{quote}"
    inverse = quote == "USD"
    contract = ((100 if base == "BTC" else 10), 0) if inverse else _coins(price)
    basis = 1.0 + (zlib.crc32(native.encode()) % 2_000 if date else 200) * 1e-6
    listing = Listing(
        name=native,
        index=family,
        price_decimals=price_decimals(price),
        size_decimals=1 if inverse else 2,
        value=_with_basis(basis),
        typical=300 if inverse else 1_500,
        leveraged=True,
        rate=_BUSY if is_busy(base) and kind == "SWAP" and not inverse else _CALM,
    )
    row = _row(
        kind,
        listing,
        uly=family,
        instFamily=family,
        settleCcy=base if inverse else quote,
        ctVal=decimal_text(*contract),
        ctMult="1",
        ctValCcy="USD" if inverse else base,
        ctType="inverse" if inverse else "linear",
        expTime=_expiry(date),
        lever="100",
    )
    return Product(symbol, kind, family, row, listing, contract, inverse)


def _option(symbol: str, base: str, quote: str, date: str, strike: str, right: str) -> Product:
    family = f"{base}-{quote}"
    listing = Listing(
        name=f"{family}-{date[2:]}-{strike}-{right}",
        index=family,
        price_decimals=4,
        size_decimals=0,
        value=_premium(float(strike), 1.0 if right == "C" else -1.0),
        depth=_OPTION_DEPTH,
        typical=20,
        leveraged=True,
        rate=0.5,
    )
    row = _row(
        "OPTION",
        listing,
        uly=family,
        instFamily=family,
        settleCcy=base,
        ctVal="1",
        ctMult="0.01" if base == "BTC" else "0.1",
        ctValCcy=base,
        optType=right,
        stk=strike,
        expTime=_expiry(date),
    )
    return Product(symbol, "OPTION", family, row, listing, (1, 2 if base == "BTC" else 1))


def _row(kind: str, listing: Listing, **fields: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(
        ("uly", "instFamily", "baseCcy", "quoteCcy", "settleCcy", "ctVal", "ctMult", "ctValCcy", "ctType"), ""
    )
    row |= dict.fromkeys(("optType", "stk", "expTime", "lever"), "")
    row |= {
        "instType": kind,
        "instId": listing.name,
        "listTime": "1597026383085",
        "tickSz": listing.price(1),
        "lotSz": listing.size(1),
        "minSz": listing.size(1),
        "state": "live",
        "ruleType": "normal",
        "instIdCode": zlib.crc32(listing.name.encode()) % 1_000_000,
        "tradeQuoteCcyList": [],
        "upcChg": [],
    }
    return row | fields


def _coins(price: float) -> tuple[int, int]:
    """A contract of a round number of coins worth between 100 and 1,000 dollars, as (units, decimals)."""
    units, decimals = 1, 0
    while units / 10**decimals * price > 1_000:
        decimals += 1
    while units * price < 100:
        units *= 10
    return units, decimals


def _expiry(date: str) -> str:
    if not date:
        return ""
    moment = datetime.strptime(date, "%Y%m%d").replace(hour=8, tzinfo=UTC)
    return str(int(moment.timestamp()) * 1000)


def _with_basis(basis: float) -> Callable[[float], float]:
    return lambda index: index * basis


def _premium(strike: float, sign: float) -> Callable[[float], float]:
    """An option's price in coins: what exercise is worth now, and something for the time that is left."""

    def value(index: float) -> float:
        away = (index - strike) / (index * 0.1)
        return max(0.0, sign * (index - strike)) / index + 0.03 / (1.0 + away * away)

    return value
