"""The parameters of data types that a plugin has besides those it is shown with: ``orderbook:5``, ``trade:agg``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tickhive.channels import Channel, DataType, Subscription

if TYPE_CHECKING:
    from tickhive.testing.rehearsal import Rehearsal
    from tickhive.testing.subject import Subject

_KNOWN: Mapping[DataType, Sequence[str]] = {
    DataType.TRADE: ("", "agg", "raw", "all"),
    DataType.QUOTE: ("", "tbt", "batch"),
    DataType.TICKER: ("", "mini", "batch"),
    DataType.ORDERBOOK: ("", "5", "10", "20", "50", "1", "15", "25", "100", "200", "400", "500", "1000", "full", "tbt"),
    DataType.CANDLE: ("1m", "1s", "5m", "1h", "1d", "15m", "30m", "4h"),
}
"""Parameters that venues have, the likeliest first."""

_MOST: Mapping[DataType, int] = {DataType.ORDERBOOK: 3, DataType.CANDLE: 2}
"""So many of a data type are rehearsed; one of any other, whose events do not say which parameter they are of."""


def further(subject: Subject, rehearsal: Rehearsal) -> list[Channel]:
    """What the plugin accepts beyond what the undisturbed rehearsal asks for, each for a symbol of its own.

    A second book or candle of one symbol may be one too many for the venue.
    """
    symbols = subject.symbols(rehearsal.venue)
    asked = {channel.subscription for channel in subject.clean.channels}
    found: list[Channel] = []
    for data_type, known in _KNOWN.items():
        chosen: list[Channel] = []
        for params in known:
            if Subscription(data_type, params) in asked or not symbols or len(chosen) == _MOST.get(data_type, 1):
                continue
            symbol = symbols[len(chosen) % len(symbols)]
            channel = Channel(symbol, rehearsal.instruments.native(symbol), data_type, params)
            if subject.accepts(channel):
                chosen.append(channel)
        found += chosen
    return found
