"""What a table of channels is made of: our data type and parameter, and the venue's channel that brings it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

from attrs import frozen

from tickhive.channels import Channel, DataType
from tickhive.plugin.spreading import Seat

Key: TypeAlias = tuple[str, str]
"""A channel's name and the product it is asked for, "" for one that is for no single product."""

Place: TypeAlias = Literal["market", "account"]
"""A kind of socket. An account's messages look like the market's, so they have sockets of their own."""


@frozen
class Wire:
    """One channel of the venue. ``acked`` are the names it is confirmed under, besides its own. ``whole``: it is for no
    single product. ``login``: it is sent only to those who sign the subscription.
    """

    name: str
    data_type: DataType
    params: str = ""
    acked: tuple[str, ...] = ()
    place: Place = "market"
    whole: bool = False
    login: bool = False

    def key(self, native: str) -> Key:
        """What a subscription for this product is filed under."""
        return self.name, "" if self.whole else native


WireFor: TypeAlias = Callable[[Channel], Wire]


def finder(exchange: str, wires: Sequence[Wire]) -> WireFor:
    """Make the search in a table; it raises ValueError naming the channel and what there is instead."""
    by_need = {(wire.data_type, wire.params): wire for wire in wires}

    def wire_for(channel: Channel) -> Wire:
        wire = by_need.get((channel.data_type, channel.params))
        if wire is None:
            have = [wire for wire in wires if wire.data_type is channel.data_type] or wires
            there_is = ", ".join(dict.fromkeys(f"{each.data_type.value}:{each.params}".rstrip(":") for each in have))
            raise ValueError(
                f"{exchange} has no {channel.subscription} (asked for {channel.symbol}); it has {there_is}"
            )
        return wire

    return wire_for


def seats(channels: Iterable[Channel], wire_for: WireFor) -> dict[Channel, Seat]:
    """Where ours may sit: those that come by one of the venue's (ticker and quote) share a socket.

    ValueError for what the venue does not have.
    """
    wires = {channel: wire_for(channel) for channel in channels}
    return {channel: Seat(wire.place, wire.key(channel.native)) for channel, wire in wires.items()}
