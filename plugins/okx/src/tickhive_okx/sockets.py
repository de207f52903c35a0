"""Which sockets OKX needs for a set of channels, and the frames that subscribe them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from attrs import define, field

from tickhive.channels import Channel, DataType
from tickhive.plugin import Credentials, Dial, Heartbeat, Request, SessionView, hookimpl
from tickhive_okx.channels import LOGIN, Key, Memory, Wire, wire_for
from tickhive_okx.login import missing
from tickhive_okx.settings import OKXSettings

PAYLOAD_PER_CONNECTION = 60_000
"""Bytes of arguments on one socket; OKX refuses more than 64 KB."""
ARGS_PER_REQUEST = 40
BYTES_PER_REQUEST = 4_000
"""OKX counts requests, not arguments (480 an hour), but closes the socket on a frame it finds too long."""
HEARTBEAT = Heartbeat(after=25.0, send="ping", reply=b"pong")
MAX_MESSAGE = 8 * 1024 * 1024


@define
class _Shard:
    """One socket being filled."""

    key: str
    place: str
    limits: OKXSettings
    channels: list[Channel] = field(factory=list)
    args: dict[Key, int] = field(factory=dict)
    books: int = 0
    bytes: int = 0

    def takes(self, wire: Wire, key: Key) -> bool:
        """Tell whether there is room for one more channel."""
        if wire.place != self.place:
            return False
        if key in self.args:
            return True
        return (
            len(self.args) < self.limits.channels_per_connection
            and (not wire.is_book or self.books < self.limits.books_per_connection)
            and self.bytes + _size(wire, key) <= PAYLOAD_PER_CONNECTION
        )

    def add(self, channel: Channel, wire: Wire, key: Key) -> None:
        """Put a channel on this socket."""
        self.channels.append(channel)
        if key not in self.args:
            self.args[key] = _size(wire, key)
            self.bytes += self.args[key]
            self.books += wire.is_book


def _size(wire: Wire, key: Key) -> int:
    return len(msgspec.json.encode(wire.arg(key))) + 1


@hookimpl
def connect(
    channels: Sequence[Channel], settings: OKXSettings, credentials: Credentials | None, dials: Sequence[Dial]
) -> Sequence[Dial]:
    """Spread the channels over sockets: those there are keep theirs, the others fill free places, then further sockets.

    ValueError names the first channel that OKX does not have, not together with another, or not for half an API key.
    """
    wanted = {channel: wire_for(channel) for channel in channels}
    _refuse_pairs(channels)
    _refuse_half_a_key(wanted, credentials)
    shards: list[_Shard] = []
    # Channels asked for under one argument belong on one socket, which then carries it once.
    homes: dict[Key, _Shard] = {}

    def place(channel: Channel, shard: _Shard) -> None:
        wire = wanted.pop(channel)
        key = wire.key(channel.native)
        homes.setdefault(key, shard)
        shard.add(channel, wire, key)

    for dial in dials:
        shard = _Shard(dial.key, dial.key.partition("-")[0], settings)
        for channel in dial.channels:
            if channel in wanted and shard.takes(wanted[channel], wanted[channel].key(channel.native)):
                place(channel, shard)
        if shard.channels:
            shards.append(shard)
    for channel, wire in list(wanted.items()):
        key = wire.key(channel.native)
        home = homes.get(key) or next((shard for shard in shards if shard.takes(wire, key)), None)
        if home is None:
            home = _Shard(_free_key(wire.place, shards), wire.place, settings)
            shards.append(home)
        place(channel, home)
    return [_dial(shard, settings) for shard in shards]


def _refuse_pairs(channels: Iterable[Channel]) -> None:
    """What OKX does not send together (64004), or what would come twice."""
    chosen: dict[str, Channel] = {}
    for channel in channels:
        if channel.data_type is DataType.ORDERBOOK and channel.params != "5":
            what = f"{channel.symbol} has one full order book"
        elif channel.data_type is DataType.FILL:
            what = "an account's fills come one way"
        else:
            continue
        other = chosen.setdefault(what, channel)
        if other.params != channel.params:
            raise ValueError(f"{what}: {other.subscription} or {channel.subscription}, not both")


def _refuse_half_a_key(wanted: Mapping[Channel, Wire], credentials: Credentials | None) -> None:
    """What asks for a login needs a whole API key."""
    channel = next((channel for channel, wire in wanted.items() if wire.place in LOGIN), None)
    if channel is None:
        return
    login = f"OKX sends {channel.subscription} only after a login"
    if credentials is None:
        raise ValueError(f"{login}: name an account")
    if lacking := missing(credentials):
        raise ValueError(f"{login}: account {credentials.account!r} has no {lacking}")


def _free_key(place: str, shards: Iterable[_Shard]) -> str:
    taken = {shard.key for shard in shards}
    return next(key for number in range(1, len(taken) + 2) if (key := f"{place}-{number}") not in taken)


def _dial(shard: _Shard, settings: OKXSettings) -> Dial:
    return Dial(
        key=shard.key,
        urls=(settings.socket("public" if shard.place == "tbt" else shard.place),),
        channels=tuple(shard.channels),
        login=shard.place in LOGIN,
        heartbeat=HEARTBEAT,
        max_size=MAX_MESSAGE,
        patience=settings.snapshot_patience_seconds,
    )


@hookimpl
def memory() -> Memory:
    """Remember which channels each argument stands for."""
    return Memory()


@hookimpl
def subscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """Ask for channels: each argument once, however many channels it serves."""
    for channel in channels:
        session.memory.add(channel, wire_for(channel).key(channel.native))
    return _requests(session, "subscribe", _by_key(channels))


@hookimpl
def unsubscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """Give channels up. An argument that others still need stays subscribed; ``parse`` drops what nobody wants."""
    leaving = _by_key(channels)
    return _requests(
        session, "unsubscribe", {key: gone for key, gone in leaving.items() if session.memory.release(gone, key)}
    )


def _by_key(channels: Sequence[Channel]) -> dict[Key, list[Channel]]:
    keyed: dict[Key, list[Channel]] = {}
    for channel in channels:
        keyed.setdefault(wire_for(channel).key(channel.native), []).append(channel)
    return keyed


def _requests(session: SessionView, op: str, keyed: dict[Key, list[Channel]]) -> list[Request]:
    requests = []
    for args, channels in _chunks(keyed):
        id = session.next_id()
        frame = msgspec.json.encode({"id": id, "op": op, "args": args}).decode()
        requests.append(Request(frame, channels, id))
    return requests


def _chunks(keyed: dict[Key, list[Channel]]) -> Iterator[tuple[list[dict[str, str]], list[Channel]]]:
    args: list[dict[str, str]] = []
    channels: list[Channel] = []
    size = 0
    for key, asked in keyed.items():
        wire = wire_for(asked[0])
        more = _size(wire, key)
        if args and (len(args) == ARGS_PER_REQUEST or size + more > BYTES_PER_REQUEST):
            yield args, channels
            args, channels, size = [], [], 0
        args.append(wire.arg(key))
        channels.extend(asked)
        size += more
    if args:
        yield args, channels
