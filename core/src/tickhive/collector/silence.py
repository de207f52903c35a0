"""How long each kind of data may be quiet before that is a fault: what trades seldom is not dead."""

from __future__ import annotations

from tickhive.channels import DataType

SILENCE_FACTORS: dict[DataType, float | None] = {
    DataType.TRADE: 10.0,
    DataType.CANDLE: 10.0,
    DataType.FUNDING_RATE: 10.0,
    DataType.OPEN_INTEREST: 10.0,
    DataType.PRICE_LIMIT: 10.0,
    DataType.LIQUIDATION: None,
    DataType.INSTRUMENT: None,
    DataType.BALANCE: None,
    DataType.POSITION: None,
    DataType.ORDER: None,
    DataType.FILL: None,
}
"""By how much a data type may be quieter than ``silence_seconds``; None: it only speaks when something happens."""


def silence_limit(data_type: DataType, silence_seconds: float) -> float | None:
    """The seconds after which no data of this type is a fault; None for never."""
    factor = SILENCE_FACTORS.get(data_type, 1.0)
    return None if factor is None else factor * silence_seconds
