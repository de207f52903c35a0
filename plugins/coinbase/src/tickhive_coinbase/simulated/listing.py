"""What the simulated exchanges trade: pairs, and on Advanced Trade pairs that share a market, and futures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from attrs import frozen

from tickhive.simulation.catalogue import is_busy, price_decimals, usual_price
from tickhive.simulation.market import Index, Listing

_BUSY, _CALM = 20.0, 5.0
_OWN_MARKET = ("USDT-USDC", "EURC-USDC")
"""Pairs in USDC that are no other's alias."""


@frozen
class Product:
    """One product: ``symbol`` is its normalised name, ``base`` and ``quote`` its currencies. ``alias`` is the native
    name of the product whose market it shares. Of futures, ``expiry`` is ns UTC, 0 for perpetual ones, None for pairs.
    """

    symbol: str
    base: str
    quote: str
    listing: Listing
    alias: str = ""
    expiry: int | None = None

    @property
    def native(self) -> str:
        """Coinbase's name."""
        return self.listing.name

    @property
    def market(self) -> str:
        """The native name its market has."""
        return self.alias or self.listing.name

    @property
    def tick(self) -> str:
        """The step of its prices."""
        return self.listing.price(1)

    @property
    def lot(self) -> str:
        """The step of its sizes."""
        return self.listing.size(1)


def list_products(symbols: Sequence[str], *, advanced: bool) -> tuple[list[Product], list[Index]]:
    """The products of these normalised symbols; ValueError names one that could not be there.

    Where a pair in USDC is asked for on Advanced Trade, the one in dollars whose market it shares is listed with it.
    """
    products: dict[str, Product] = {}
    for symbol in symbols:
        match symbol.split("-"):
            case [base, "USDC"] if base and advanced and symbol not in _OWN_MARKET:
                shared = products.setdefault(f"{base}-USD", _pair(base, "USD"))
                products[symbol] = Product(symbol, base, "USDC", _listing(symbol, base), shared.native)
            case [base, quote] if base and quote:
                products.setdefault(symbol, _pair(base, quote))
            case [base, quote, "PERP"] if base and quote and advanced:
                listing = _listing(f"{base}-PERP-INTX", base, contracts=True)
                products[symbol] = Product(symbol, base, quote, listing, expiry=0)
            case [base, quote, date] if base and quote and advanced and len(date) == 8 and date.isdecimal():
                day = datetime.strptime(date, "%Y%m%d").replace(hour=16, tzinfo=UTC)
                listing = _listing(f"{base}-{day:%d%b%y}-CDE".upper(), base, contracts=True)
                products[symbol] = Product(symbol, base, quote, listing, expiry=int(day.timestamp()) * 1_000_000_000)
            case _:
                raise ValueError(f"{symbol!r} is not a symbol the simulated Coinbase can trade; write it like BTC-USD")
    found = list(products.values())
    bases = dict.fromkeys(product.base for product in found)
    return found, [Index(base, usual_price(base)) for base in bases]


def _pair(base: str, quote: str) -> Product:
    name = f"{base}-{quote}"
    return Product(name, base, quote, _listing(name, base))


def _listing(name: str, base: str, *, contracts: bool = False) -> Listing:
    price = usual_price(base)
    decimals = 0 if contracts else 8 if price > 10_000 else 6
    return Listing(
        name=name,
        index=base,
        price_decimals=price_decimals(price),
        size_decimals=decimals,
        typical=10 if contracts else max(10, int(2_000 / price * 10**decimals)),
        rate=_BUSY if is_busy(base) else _CALM,
        leveraged=contracts,
    )
