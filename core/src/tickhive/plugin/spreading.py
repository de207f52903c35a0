"""Spreads channels over sockets: those there are keep theirs, the others fill free places, then further sockets.

For a venue that limits what one socket may carry. Nobody has to use it. ``connect`` says of each channel where it may
sit, and makes a Dial of each shard:

>>> from tickhive.channels import Channel, DataType
>>> trades = {name: Channel(name, name, DataType.TRADE) for name in ("BTC-USD", "ETH-USD", "SOL-USD")}
>>> seats = {channel: Seat("market", f"trades.{name}") for name, channel in trades.items()}
>>> shards = spread(seats, (), names=2)
>>> [(shard.key, [channel.symbol for channel in shard.channels]) for shard in shards]
[('market-1', ['BTC-USD', 'ETH-USD']), ('market-2', ['SOL-USD'])]

Asked again with the sockets there are, it moves nobody: what is not touched by a change goes on undisturbed.

>>> dials = [Dial(shard.key, ["wss://stream.acme.example"], shard.channels) for shard in shards]
>>> del seats[trades["BTC-USD"]]
>>> [(shard.key, [channel.symbol for channel in shard.channels]) for shard in spread(seats, dials, names=2)]
[('market-1', ['ETH-USD']), ('market-2', ['SOL-USD'])]
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import count

from attrs import Factory, define, field, frozen

from tickhive.channels import Channel
from tickhive.plugin.contract import Dial

_NOTHING: Mapping[str, int] = {}


@frozen
class Seat:
    """Where a channel may sit, and what it takes up there.

    ``place`` is a kind of socket (an address, a login); keys of sockets begin with it. ``name`` is what the venue knows
    the channel by: a stream, an argument, anything hashable. Channels of one name sit together and count once.
    ``takes`` is what it takes up besides one name, in the words of ``room``: ``{"books": 1, "bytes": 57}``.
    """

    place: str
    name: Hashable
    takes: Mapping[str, int] = Factory(dict)


@frozen
class Shard:
    """One socket and what it carries. ``key`` is for ``Dial.key``."""

    key: str
    place: str
    channels: Sequence[Channel]


def spread(
    seats: Mapping[Channel, Seat], dials: Iterable[Dial], names: int, room: Mapping[str, int] = _NOTHING
) -> list[Shard]:
    """Give each channel a socket of its place, with at most ``names`` of the venue's names on each.

    ``dials`` are the sockets there are, as ``connect`` is given them. ``room`` is what else one socket has room for; a
    channel that takes more than that alone has a socket to itself. Sockets that nobody needs any more are left out, and
    their keys are used again. LookupError for a seat that takes what ``room`` does not name.
    """
    for channel, seat in seats.items():
        if unknown := seat.takes.keys() - room.keys():
            raise LookupError(f"{channel.subscription} takes up {min(unknown)!r}; room has {sorted(room) or 'nothing'}")
    sockets: list[_Socket] = []
    homes: dict[tuple[str, Hashable], _Socket] = {}
    waiting = dict(seats)
    for dial in dials:
        socket = _Socket(dial.key, dial.key.rpartition("-")[0], names, room)
        for channel in dial.channels:
            if channel in waiting and socket.takes(waiting[channel]):
                seat = waiting.pop(channel)
                socket.add(channel, seat)
                homes.setdefault((seat.place, seat.name), socket)
        if socket.channels:
            sockets.append(socket)
    for channel, seat in waiting.items():
        home = homes.get((seat.place, seat.name)) or next((each for each in sockets if each.takes(seat)), None)
        if home is None:
            home = _Socket(_free_key(seat.place, sockets), seat.place, names, room)
            sockets.append(home)
        home.add(channel, seat)
        homes[seat.place, seat.name] = home
    return [Shard(socket.key, socket.place, tuple(socket.channels)) for socket in sockets]


@define(eq=False)
class _Socket:
    """One socket being filled; ``left`` is what it still has room for."""

    key: str
    place: str
    names: int
    room: Mapping[str, int]
    channels: list[Channel] = field(factory=list)
    seated: set[Hashable] = field(factory=set)
    left: dict[str, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.left = dict(self.room)

    def takes(self, seat: Seat) -> bool:
        """Tell whether there is room for one more channel."""
        if seat.place != self.place:
            return False
        if seat.name in self.seated or not self.seated:
            return True
        return len(self.seated) < self.names and all(self.left[what] >= much for what, much in seat.takes.items())

    def add(self, channel: Channel, seat: Seat) -> None:
        """Put a channel on this socket."""
        self.channels.append(channel)
        if seat.name not in self.seated:
            self.seated.add(seat.name)
            for what, much in seat.takes.items():
                self.left[what] -= much


def _free_key(place: str, sockets: Iterable[_Socket]) -> str:
    taken = {socket.key for socket in sockets}
    return next(key for number in count(1) if (key := f"{place}-{number}") not in taken)
