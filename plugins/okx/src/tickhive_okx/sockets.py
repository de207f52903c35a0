"""Which sockets OKX needs for a set of channels, and the frames that subscribe them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from tickhive.channels import Channel, DataType
from tickhive.plugin import Credentials, Dial, Heartbeat, Request, SessionView, hookimpl
from tickhive.plugin.spreading import Seat, Shard, spread
from tickhive.plugin.subscribed import by_name
from tickhive_okx.channels import LOGIN, Key, Memory, Wire, key_of, wire_for
from tickhive_okx.login import missing
from tickhive_okx.settings import OKXSettings

PAYLOAD_PER_CONNECTION = 60_000
"""Bytes of arguments on one socket; OKX refuses more than 64 KB."""
ARGS_PER_REQUEST = 40
BYTES_PER_REQUEST = 4_000
"""OKX counts requests, not arguments (480 an hour), but closes the socket on a frame it finds too long."""
HEARTBEAT = Heartbeat(after=25.0, send="ping", reply=b"pong")
MAX_MESSAGE = 8 * 1024 * 1024


@hookimpl
def connect(
    channels: Sequence[Channel], settings: OKXSettings, credentials: Credentials | None, dials: Sequence[Dial]
) -> Sequence[Dial]:
    """Spread the channels over sockets: those there are keep theirs, the others fill free places, then further sockets.

    ValueError names the first channel that OKX does not have, not together with another, or not for half an API key.
    """
    seats = {channel: _seat(channel) for channel in channels}
    _refuse_pairs(channels)
    _refuse_half_a_key(seats, credentials)
    room = {"books": settings.books_per_connection, "bytes": PAYLOAD_PER_CONNECTION}
    return [_dial(shard, settings) for shard in spread(seats, dials, settings.channels_per_connection, room)]


def _seat(channel: Channel) -> Seat:
    wire = wire_for(channel)
    key = wire.key(channel.native)
    return Seat(wire.place, key, {"books": wire.is_book, "bytes": _size(wire, key)})


def _size(wire: Wire, key: Key) -> int:
    return len(msgspec.json.encode(wire.arg(key))) + 1


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


def _refuse_half_a_key(seats: Mapping[Channel, Seat], credentials: Credentials | None) -> None:
    """What asks for a login needs a whole API key."""
    channel = next((channel for channel, seat in seats.items() if seat.place in LOGIN), None)
    if channel is None:
        return
    login = f"OKX sends {channel.subscription} only after a login"
    if credentials is None:
        raise ValueError(f"{login}: name an account")
    if lacking := missing(credentials):
        raise ValueError(f"{login}: account {credentials.account!r} has no {lacking}")


def _dial(shard: Shard, settings: OKXSettings) -> Dial:
    return Dial(
        key=shard.key,
        urls=(settings.socket("public" if shard.place == "tbt" else shard.place),),
        channels=shard.channels,
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
    asked = by_name(channels, key_of)
    session.memory.add(asked)
    return _requests(session, "subscribe", asked)


@hookimpl
def unsubscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """Give channels up. An argument that others still need stays subscribed; ``parse`` drops what nobody wants."""
    return _requests(session, "unsubscribe", session.memory.release(by_name(channels, key_of)))


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
