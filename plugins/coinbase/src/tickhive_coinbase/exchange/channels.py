"""The one table of what Coinbase Exchange streams: our data type and parameter, and its channel."""

from __future__ import annotations

from tickhive.channels import DataType
from tickhive_coinbase.exchange.settings import NAME
from tickhive_coinbase.wires import Wire, finder

WIRES: tuple[Wire, ...] = (
    Wire("matches", DataType.TRADE),
    Wire("ticker", DataType.TICKER),
    Wire("ticker", DataType.QUOTE),
    Wire("ticker_batch", DataType.TICKER, "batch", ("ticker_1000",)),
    # It is confirmed under its former name (seen 2026-08-25).
    Wire("level2_batch", DataType.ORDERBOOK, "", ("level2_50",)),
    Wire("level2", DataType.ORDERBOOK, "level2", login=True),
    Wire("status", DataType.INSTRUMENT, whole=True),
    Wire("user", DataType.ORDER, place="account", whole=True, login=True),
    Wire("user", DataType.FILL, place="account", whole=True, login=True),
    Wire("balance", DataType.BALANCE, place="account", whole=True, login=True),
)

wire_for = finder(NAME, WIRES)
