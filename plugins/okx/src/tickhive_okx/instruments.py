"""What OKX trades: its names in our words, and its lists as instruments."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from tickhive.channels import Instrument, InstrumentStatus, InstrumentType, make_symbol
from tickhive.plugin.reading import Numeral, Text, number
from tickhive_okx.values import moment

_NATIVE = re.compile(
    r"(?P<base>[^-\s]+)-(?P<quote>[^-\s]+)"
    r"(?:-(?P<swap>SWAP)|-(?P<day>\d{6})(?:-(?P<strike>\d+(?:\.\d+)?)-(?P<right>[CP]))?)?"
)
_TYPES: dict[str, InstrumentType] = {
    "SPOT": "spot",
    "MARGIN": "spot",
    "SWAP": "perpetual",
    "FUTURES": "future",
    "OPTION": "option",
}
_STATES: dict[str, InstrumentStatus] = {
    "live": "live",
    "post_only": "live",
    "preopen": "preopen",
    "suspend": "suspended",
    "rebase": "suspended",
    "settling": "settling",
    "expired": "expired",
    "test": "test",
}
_RIGHTS: dict[str, Literal["", "call", "put"]] = {"C": "call", "P": "put"}


class InstrumentRow(Struct, gc=False, rename="camel"):
    """A row of the instruments list; everything is text, empty where it does not apply."""

    inst_type: Text
    inst_id: Text
    base_ccy: Text = ""
    quote_ccy: Text = ""
    settle_ccy: Text = ""
    ct_val: Numeral = ""
    ct_mult: Numeral = ""
    ct_val_ccy: Text = ""
    ct_type: Text = ""
    opt_type: Text = ""
    stk: Numeral = ""
    list_time: Numeral = ""
    exp_time: Numeral = ""
    tick_sz: Numeral = ""
    lot_sz: Numeral = ""
    min_sz: Numeral = ""
    state: Text = "live"


def symbol_of(native: str) -> str | None:
    """Write an OKX name as a normalised symbol, None where it has no such form. No two names share a symbol.

    >>> symbol_of("BTC-USDT-SWAP"), symbol_of("BTC-USD-241227-60000-C"), symbol_of("BTC-USD_UM_XPERP-310404")
    ('BTC-USDT-PERP', 'BTC-USD-20241227-60000-C', 'BTC-USD_UM_XPERP-20310404')
    """
    match = _NATIVE.fullmatch(native)
    if match is None:
        return None
    base, quote, swap, day, strike, right = match.groups()
    if swap:
        return make_symbol(base, quote, "perpetual")
    if strike:
        return make_symbol(base, quote, "option", expiry=f"20{day}", strike=strike, option_type=_RIGHTS[right])
    return make_symbol(base, quote, "future", expiry=f"20{day}") if day else make_symbol(base, quote)


def type_of(native: str) -> str:
    """Tell the instType of an OKX name by its form.

    >>> [type_of(name) for name in ("BTC-USDT", "BTC-USD-SWAP", "BTC-USD-241227", "BTC-USD-241227-60000-C")]
    ['SPOT', 'SWAP', 'FUTURES', 'OPTION']
    """
    if native.endswith("-SWAP"):
        return "SWAP"
    dashes = native.count("-")
    return "SPOT" if dashes <= 1 else "OPTION" if dashes >= 4 else "FUTURES"


def index_of(native: str) -> str:
    """Name the index behind an instrument: its pair, without the mark of a margin family (``_UM``).

    >>> index_of("BTC-USDT-SWAP"), index_of("BTC-USD_UM_XPERP-310404"), index_of("BTC-USD")
    ('BTC-USDT', 'BTC-USD', 'BTC-USD')
    """
    return "-".join(native.split("-")[:2]).partition("_")[0]


def instrument(exchange: str, row: InstrumentRow) -> Instrument | None:
    """Read one row; None for a kind of instrument we have no name for. ValueError where a number is none."""
    match, symbol, kind = _NATIVE.fullmatch(row.inst_id), symbol_of(row.inst_id), _TYPES.get(row.inst_type)
    if match is None or symbol is None or kind is None:
        return None
    derivative = kind != "spot"
    value = number(row.ct_val)
    return Instrument(
        exchange=exchange,
        symbol=symbol,
        native=row.inst_id,
        type=kind,
        # Derivatives name their currencies only in the pair; pre-open spot rows may leave them empty too.
        base=row.base_ccy or match["base"],
        quote=row.quote_ccy or match["quote"].partition("_")[0],
        settle=row.settle_ccy,
        tick_size=number(row.tick_sz),
        lot_size=number(row.lot_sz),
        min_size=number(row.min_sz),
        size_unit="contracts" if derivative else "base",
        contract_size=value * (number(row.ct_mult) or Decimal(1)) if derivative and value is not None else None,
        contract_currency=row.ct_val_ccy if derivative else "",
        inverse=row.ct_type == "inverse",
        listed=moment(row.list_time),
        expiry=moment(row.exp_time),
        strike=number(row.stk),
        option_type=_RIGHTS.get(row.opt_type, ""),
        # A state we do not know is not one to promise prices for.
        status=_STATES.get(row.state, "suspended"),
    )


def index(exchange: str, name: str) -> Instrument:
    """The index of this name, which OKX publishes without listing it."""
    base, _, quote = name.partition("-")
    return Instrument(exchange, name, name, "index", base, quote)
