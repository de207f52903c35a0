"""Spreads channels over sockets: those there are keep theirs, the others fill free places, then further sockets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field

from tickhive.channels import Channel, DataType
from tickhive.plugin import Credentials, Dial
from tickhive_coinbase.wires import Key, Place, Wire, WireFor


@define
class Shard:
    """One socket being filled; ``key`` begins with its place."""

    key: str
    place: Place
    most: int
    channels: list[Channel] = field(factory=list)
    keys: set[Key] = field(factory=set)

    def takes(self, wire: Wire, key: Key) -> bool:
        """Tell whether there is room for one more channel."""
        return wire.place == self.place and (key in self.keys or len(self.keys) < self.most)

    def add(self, channel: Channel, key: Key) -> None:
        """Put a channel on this socket."""
        self.channels.append(channel)
        self.keys.add(key)


def spread(channels: Sequence[Channel], dials: Sequence[Dial], wire_for: WireFor, most: int) -> list[Shard]:
    """Give each channel a socket of its place with at most ``most`` of the venue's channels.

    Ours that come by one of the venue's (ticker and quote) share a socket. ValueError for what the venue does not have.
    """
    wanted = {channel: wire_for(channel) for channel in channels}
    shards: list[Shard] = []
    homes: dict[Key, Shard] = {}

    def place(channel: Channel, shard: Shard) -> None:
        key = wanted.pop(channel).key(channel.native)
        homes.setdefault(key, shard)
        shard.add(channel, key)

    for dial in dials:
        kind: Place = "account" if dial.key.startswith("account") else "market"
        shard = Shard(dial.key, kind, most)
        for channel in dial.channels:
            if channel in wanted and shard.takes(wanted[channel], wanted[channel].key(channel.native)):
                place(channel, shard)
        if shard.channels:
            shards.append(shard)
    for channel, wire in list(wanted.items()):
        key = wire.key(channel.native)
        home = homes.get(key) or next((shard for shard in shards if shard.takes(wire, key)), None)
        if home is None:
            home = Shard(_free_key(wire.place, shards), wire.place, most)
            shards.append(home)
        place(channel, home)
    return shards


def _free_key(place: Place, shards: Iterable[Shard]) -> str:
    taken = {shard.key for shard in shards}
    return next(key for number in range(1, len(taken) + 2) if (key := f"{place}-{number}") not in taken)


def refuse_pairs(exchange: str, channels: Iterable[Channel]) -> None:
    """A symbol has one order book and one ticker: raise ValueError for what would come twice under one name."""
    chosen: dict[tuple[DataType, str], Channel] = {}
    for channel in channels:
        if channel.data_type in (DataType.ORDERBOOK, DataType.TICKER):
            other = chosen.setdefault((channel.data_type, channel.symbol), channel)
            if other.params != channel.params:
                both = f"{other.subscription} or {channel.subscription}"
                raise ValueError(
                    f"{exchange}: of {channel.symbol} there is one {channel.data_type.value}: {both}, not both"
                )


def refuse_half_a_key(
    exchange: str,
    channels: Iterable[Channel],
    wire_for: WireFor,
    credentials: Credentials | None,
    parts: Sequence[str],
) -> None:
    """What is only sent after a login needs a whole API key: ``parts`` are those it has here."""
    channel = next((channel for channel in channels if wire_for(channel).login), None)
    if channel is None:
        return
    login = f"{exchange} sends {channel.subscription} only to those who sign in"
    if credentials is None:
        raise ValueError(f"{login}: name an account")
    lacking = ", ".join(part for part in parts if not getattr(credentials, part))
    if lacking:
        raise ValueError(f"{login}: account {credentials.account!r} has no {lacking}")
