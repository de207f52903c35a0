"""The one table of what Advanced Trade streams: our data type and parameter, and its channel."""

from __future__ import annotations

from tickhive.channels import DataType
from tickhive_coinbase.advanced.settings import NAME
from tickhive_coinbase.wires import Wire, finder

WIRES: tuple[Wire, ...] = (
    Wire("market_trades", DataType.TRADE),
    Wire("ticker", DataType.TICKER),
    Wire("ticker", DataType.QUOTE),
    Wire("ticker_batch", DataType.TICKER, "batch"),
    Wire("level2", DataType.ORDERBOOK, "", ("l2_data",)),
    Wire("candles", DataType.CANDLE, "5m"),
    Wire("status", DataType.INSTRUMENT),
    Wire("user", DataType.ORDER, place="account", whole=True, login=True),
    Wire("user", DataType.FILL, place="account", whole=True, login=True),
    # These are asked for by REST; here for those who ask what there is, and for the login.
    Wire("accounts", DataType.BALANCE, place="account", whole=True, login=True),
    Wire("market/products", DataType.FUNDING_RATE),
    Wire("market/products", DataType.OPEN_INTEREST),
)

POLLED = frozenset((DataType.BALANCE, DataType.FUNDING_RATE, DataType.OPEN_INTEREST))
"""What exists only by REST."""

wire_for = finder(NAME, WIRES)
