"""What one socket of Coinbase Exchange remembers."""

from __future__ import annotations

from attrs import define, field

from tickhive.channels import Instrument
from tickhive_coinbase.asked import Asked
from tickhive_coinbase.exchange.orders import OwnOrders


@define(eq=False)
class Memory(Asked):
    """Besides what was asked for: the products as they were last listed by ``status``, and the account's orders."""

    listed: dict[str, Instrument] = field(factory=dict)
    orders: OwnOrders = field(factory=OwnOrders)
