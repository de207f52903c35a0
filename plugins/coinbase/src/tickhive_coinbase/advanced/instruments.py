"""What Advanced Trade lists: spot pairs and futures, by REST or from the channel ``status``, as instruments."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve
from msgspec import Struct

from tickhive.channels import Instrument, InstrumentStatus, make_symbol
from tickhive.plugin.reading import Numeral, Text, number
from tickhive_coinbase.values import nanos

_STATES: dict[str, InstrumentStatus] = {"online": "live", "offline": "suspended", "delisted": "expired", "": "live"}


class PerpetualDetails(Struct, gc=False):
    """What only perpetual futures have."""

    open_interest: Numeral = ""
    funding_rate: Numeral = ""
    funding_time: datetime | None = None


class FutureDetails(Struct, gc=False):
    """What only futures have. ``contract_size`` counts units of the root."""

    contract_code: Text = ""
    contract_root_unit: Text = ""
    contract_size: Numeral = ""
    contract_expiry: datetime | None = None
    contract_expiry_type: Text = ""
    perpetual_details: PerpetualDetails | None = None


class ProductRow(Struct, gc=False):
    """A product. ``alias`` names the one whose market it shares: data of BTC-USDC comes as BTC-USD's."""

    product_id: Text
    product_type: Text = "SPOT"
    base_currency_id: Text = ""
    quote_currency_id: Text = ""
    price_increment: Numeral = ""
    quote_increment: Numeral = ""
    base_increment: Numeral = ""
    base_min_size: Numeral = ""
    status: Text = ""
    is_disabled: bool = False
    trading_disabled: bool = False
    cancel_only: bool = False
    view_only: bool = False
    alias: Text = ""
    future_product_details: FutureDetails | None = None


class StatusRow(Struct, gc=False):
    """A product as the channel ``status`` tells it."""

    id: Text
    product_type: Text = "SPOT"
    base_currency: Text = ""
    quote_currency: Text = ""
    quote_increment: Numeral = ""
    base_increment: Numeral = ""
    status: Text = ""


def is_spot(native: str) -> bool:
    """Tell a pair, whose sizes count the base currency, from a future, whose sizes count contracts.

    >>> is_spot("BTC-USD"), is_spot("BIT-28AUG26-CDE")
    (True, False)
    """
    return native.count("-") < 2


def instrument(exchange: str, row: ProductRow) -> Instrument | None:
    """Read one row; None for a kind there is no name for. ValueError where a number is none."""
    status = _STATES.get(row.status, "suspended")
    if status == "live" and (row.is_disabled or row.trading_disabled or row.cancel_only or row.view_only):
        status = "suspended"
    found = Instrument(
        exchange=exchange,
        symbol="",
        native=row.product_id,
        type="spot",
        base=row.base_currency_id,
        quote=row.quote_currency_id,
        tick_size=number(row.price_increment or row.quote_increment),
        lot_size=number(row.base_increment),
        min_size=number(row.base_min_size),
        status=status,
        alias=row.alias,
    )
    if row.product_type == "SPOT" and found.base and found.quote:
        found.symbol = make_symbol(found.base, found.quote)
        return found
    if row.product_type == "FUTURE" and row.future_product_details is not None:
        return _future(found, row.future_product_details)
    return None


def _future(found: Instrument, details: FutureDetails) -> Instrument | None:
    """Complete a future. Its code is what its symbol begins with: contracts of several sizes have one root."""
    code, expiry = details.contract_code or details.contract_root_unit, details.contract_expiry
    if not code or not found.quote:
        return None
    found.base = details.contract_root_unit or found.base or code
    found.settle = found.quote
    found.size_unit = "contracts"
    found.contract_size = number(details.contract_size)
    found.contract_currency = found.base
    if details.contract_expiry_type == "PERPETUAL":
        found.type, found.symbol = "perpetual", make_symbol(code, found.quote, "perpetual")
    elif expiry is not None:
        found.type, found.expiry = "future", nanos(expiry)
        found.symbol = make_symbol(code, found.quote, "future", expiry=f"{expiry:%Y%m%d}")
    else:
        return None
    return found


def told(exchange: str, row: StatusRow, known: Instrument | None) -> Instrument | None:
    """Read one row of ``status``; what it does not say stays as it is known."""
    status = _STATES.get(row.status, "suspended")
    if known is not None:
        # Prohibitions of trading are not among what it tells: a suspended product may be online.
        return known if status == "live" and known.status == "suspended" else evolve(known, status=status)
    return instrument(
        exchange,
        ProductRow(
            row.id,
            row.product_type,
            row.base_currency,
            row.quote_currency,
            "",
            row.quote_increment,
            row.base_increment,
            status=row.status,
        ),
    )
