"""What Coinbase Exchange trades: a row of its list, by REST or from the channel ``status``, as an instrument."""

from __future__ import annotations

from msgspec import Struct

from tickhive.channels import Instrument, InstrumentStatus, make_symbol
from tickhive.plugin.reading import Numeral, Text, number

_STATES: dict[str, InstrumentStatus] = {
    "online": "live",
    "offline": "suspended",
    "internal": "suspended",
    "delisted": "expired",
}


class ProductRow(Struct, gc=False):
    """A product; sizes are in base currency. ``base_min_size`` ended in 2022."""

    id: Text
    base_currency: Text
    quote_currency: Text
    quote_increment: Numeral = ""
    base_increment: Numeral = ""
    base_min_size: Numeral = ""
    status: Text = "online"
    trading_disabled: bool = False
    cancel_only: bool = False


def instrument(exchange: str, row: ProductRow) -> Instrument:
    """Read one row; ValueError where a number is none. A status nobody knows counts as suspended."""
    status = _STATES.get(row.status, "suspended")
    if status == "live" and (row.trading_disabled or row.cancel_only):
        status = "suspended"
    return Instrument(
        exchange=exchange,
        symbol=make_symbol(row.base_currency, row.quote_currency),
        native=row.id,
        type="spot",
        base=row.base_currency,
        quote=row.quote_currency,
        tick_size=number(row.quote_increment),
        lot_size=number(row.base_increment),
        min_size=number(row.base_min_size),
        status=status,
    )
