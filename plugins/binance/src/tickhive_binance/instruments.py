"""What Binance trades: its names in our words, and its lists as instruments."""

from __future__ import annotations

import re
from decimal import Decimal

from attrs import evolve
from msgspec import Struct

from tickhive.channels import (
    Instrument,
    InstrumentStatus,
    InstrumentTable,
    InstrumentType,
    is_symbol,
    make_symbol,
)
from tickhive.plugin.reading import NS_PER_MS, Millis, Numeral, Text, number
from tickhive_binance.market import Market
from tickhive_binance.values import above_zero

_DATED = re.compile(r"[^_]+_(?P<day>\d{6})")
_STATUS: dict[str, InstrumentStatus] = {
    "TRADING": "live",
    "PENDING_TRADING": "preopen",
    "PRE_TRADING": "preopen",
    "SETTLING": "settling",
    "PRE_SETTLE": "settling",
    "DELIVERING": "settling",
    "PRE_DELIVERING": "settling",
    "CLOSE": "expired",
    "DELIVERED": "expired",
}
"""A status that is none of these is one not to promise prices for: ``HALT``, ``BREAK``, ``CANCEL_ONLY``."""

_QUOTES = ("USDT", "USDC", "BTC")
"""What a pair of USD-M may end in, where the list does not say."""


class Filter(Struct, gc=False, rename="camel"):
    """One rule of an instrument; each type has fields of its own."""

    filter_type: Text
    tick_size: Numeral = ""
    step_size: Numeral = ""
    min_qty: Numeral = ""


class InstrumentRow(Struct, gc=False, rename="camel"):
    """A row of ``exchangeInfo``. Spot rows have neither contract type nor dates."""

    symbol: Text
    base_asset: Text
    quote_asset: Text
    status: Text = ""
    contract_status: Text = ""
    contract_type: Text = ""
    contract_size: int | float | None = None
    margin_asset: Text = ""
    delivery_date: Millis = 0
    onboard_date: Millis = 0
    filters: list[Filter] = []


class ContractRow(Struct, gc=False):
    """``!contractInfo``: a contract was listed, changed its status, or its margin brackets."""

    s: Text
    E: Millis
    ps: Text = ""
    ct: Text = ""
    dt: Millis = 0
    ot: Millis = 0
    cs: Text = ""


def naming(market: Market, native: str, base: str, quote: str) -> tuple[str, InstrumentType]:
    """The normalised symbol and type of an instrument.

    >>> from tickhive_binance.market import COINM, SPOT, USDM
    >>> naming(SPOT, "BTCUSDT", "BTC", "USDT"), naming(USDM, "BTCUSDT", "BTC", "USDT")
    (('BTC-USDT', 'spot'), ('BTC-USDT-PERP', 'perpetual'))
    >>> naming(COINM, "BTCUSD_260626", "BTC", "USD")
    ('BTC-USD-20260626', 'future')
    """
    if not market.futures:
        return make_symbol(base, quote), "spot"
    dated = _DATED.fullmatch(native)
    if dated is None:
        return make_symbol(base, quote, "perpetual"), "perpetual"
    return make_symbol(base, quote, "future", expiry=f"20{dated['day']}"), "future"


def instrument(exchange: str, market: Market, row: InstrumentRow) -> Instrument | None:
    """Read one row; None where no symbol can be made of its names. ValueError where a number is none."""
    symbol, kind = naming(market, row.symbol, row.base_asset, row.quote_asset)
    if not is_symbol(symbol):
        return None
    rules = {rule.filter_type: rule for rule in row.filters}
    price, lot = rules.get("PRICE_FILTER"), rules.get("LOT_SIZE")
    contracts = market.contracts
    size = None if row.contract_size is None else Decimal(str(row.contract_size))
    return Instrument(
        exchange=exchange,
        symbol=symbol,
        native=row.symbol,
        type=kind,
        base=row.base_asset,
        quote=row.quote_asset,
        settle=row.margin_asset,
        tick_size=above_zero(price.tick_size) if price else None,
        lot_size=above_zero(lot.step_size) if lot else None,
        min_size=number(lot.min_qty) if lot else None,
        size_unit="contracts" if contracts else "base",
        contract_size=size if contracts else None,
        contract_currency=row.quote_asset if contracts else "",
        inverse=contracts,
        listed=row.onboard_date * NS_PER_MS or None,
        expiry=_expiry(row.delivery_date, kind),
        status=_STATUS.get(row.status or row.contract_status, "suspended"),
    )


def contract(exchange: str, market: Market, row: ContractRow, known: InstrumentTable) -> Instrument | None:
    """What ``!contractInfo`` says of an instrument. Of one not listed before it does not say the steps; its currencies
    are those of its pair.
    """
    symbol = known.symbols.get(row.s)
    found = None if symbol is None else known.get(symbol)
    status = _STATUS.get(row.cs, "suspended")
    if found is not None:
        return evolve(found, status=status, expiry=_expiry(row.dt, found.type))
    quotes = sorted({each.quote for each in known} or _QUOTES, key=len, reverse=True)
    pair = row.ps or row.s.partition("_")[0]
    quote = next((each for each in quotes if pair.endswith(each) and pair != each), None)
    if quote is None:
        return None
    base = pair.removesuffix(quote)
    symbol, kind = naming(market, row.s, base, quote)
    listed = row.ot * NS_PER_MS or None
    if not is_symbol(symbol):
        return None
    expiry = _expiry(row.dt, kind)
    return Instrument(exchange, symbol, row.s, kind, base, quote, quote, listed=listed, expiry=expiry, status=status)


def _expiry(millis: int, kind: InstrumentType) -> int | None:
    """When a dated contract ends; perpetuals carry a date in 2100."""
    return millis * NS_PER_MS if kind == "future" and millis > 0 else None
