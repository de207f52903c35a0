"""What one socket of Advanced Trade remembers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field

from tickhive.channels import Instrument
from tickhive.events import DATA_TYPE_OF, Candle
from tickhive.plugin import Event, MarketEvent
from tickhive_coinbase.advanced.fills import FillCounts
from tickhive_coinbase.asked import Asked


@define(eq=False)
class Memory(Asked):
    """Besides what was asked for: ``shared`` are the markets, by symbol, that other instruments have part in, each with
    its native name; ``candles`` the last one of each product; ``listed`` the products as ``status`` last told them;
    ``funds`` what the pages of a list of wallets said so far, by currency: what is free, and what is held.
    """

    shared: dict[str, str] = field(factory=dict)
    candles: dict[str, Candle] = field(factory=dict)
    listed: dict[str, Instrument] = field(factory=dict)
    fills: FillCounts = field(factory=FillCounts)
    funds: dict[str, tuple[Decimal, Decimal]] = field(factory=dict)

    def handed_round(self, name: str, events: Sequence[Event]) -> list[Event]:
        """Give each event of a shared market to all who asked for it, under the symbols they asked by."""
        out: list[Event] = []
        for event in events:
            native = self.shared.get(event.symbol) if isinstance(event, MarketEvent) else None
            if native is None or not isinstance(event, MarketEvent):
                out.append(event)
                continue
            kind = DATA_TYPE_OF[event.__class__]
            for channel in self.carried((name, native)):
                if channel.data_type is kind:
                    renamed: Any = event
                    out.append(event if channel.symbol == event.symbol else evolve(renamed, symbol=channel.symbol))
        return out
