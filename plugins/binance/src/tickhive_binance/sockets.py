"""Which sockets Binance needs for a set of channels, and the frames that subscribe them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from attrs import define, evolve, field

from tickhive.channels import Channel, DataType
from tickhive.plugin import Credentials, Dial, Heartbeat, Request, SessionView, hookimpl
from tickhive_binance.account_rest import LISTEN_KEY_SECONDS, listen_key
from tickhive_binance.login import user_data_request
from tickhive_binance.settings import BinanceSettings
from tickhive_binance.streams import ACCOUNT, Memory, Stream, stream_for

STREAMS_PER_REQUEST = 50
LIFETIME_SECONDS = 86_100.0
"""Binance cuts every socket after 24 hours; five minutes are kept in hand."""
HEARTBEAT = Heartbeat(after=30.0)
"""Binance pings; a ping of ours finds a dead line sooner, and counts as one message."""


@define
class _Shard:
    """One socket being filled."""

    key: str
    place: str
    most: int
    channels: list[Channel] = field(factory=list)
    streams: set[str] = field(factory=set)

    def takes(self, stream: Stream) -> bool:
        """Tell whether there is room for one more stream."""
        return self.place == stream.place and (stream.name in self.streams or len(self.streams) < self.most)

    def add(self, channel: Channel, stream: Stream) -> None:
        """Put a channel on this socket."""
        self.channels.append(channel)
        self.streams.add(stream.name)


@hookimpl
def connect(
    channels: Sequence[Channel], settings: BinanceSettings, credentials: Credentials | None, dials: Sequence[Dial]
) -> Sequence[Dial]:
    """Spread the channels over sockets: those there are keep theirs, the others fill free places, then further sockets.

    ValueError names the first channel that the market does not have, or not together with another, or not without a
    whole API key.
    """
    wanted = {channel: stream_for(channel, settings) for channel in channels}
    _refuse(channels, settings, credentials)
    most, shards = settings.streams_per_connection, list[_Shard]()
    homes: dict[str, _Shard] = {}

    def place(channel: Channel, stream: Stream, shard: _Shard) -> None:
        homes.setdefault(stream.name, shard).add(channel, stream)

    for dial in dials:
        shard = _Shard(dial.key, dial.key.partition("-")[0], most)
        for channel in dial.channels:
            stream = wanted.get(channel)
            if stream is not None and shard.takes(stream):
                place(channel, wanted.pop(channel), shard)
        if shard.channels:
            shards.append(shard)
    for channel, stream in wanted.items():
        home = homes.get(stream.name) or next((shard for shard in shards if shard.takes(stream)), None)
        if home is None:
            home = _Shard(_free_key(stream.place, shards), stream.place, most)
            shards.append(home)
        place(channel, stream, home)
    return [_dial(shard, settings) for shard in shards]


def _refuse(channels: Iterable[Channel], settings: BinanceSettings, credentials: Credentials | None) -> None:
    """What cannot be had: two numberings of one symbol's trades, an account without its key."""
    trades: dict[str, Channel] = {}
    title = settings.market.title
    for channel in channels:
        if channel.data_type is DataType.TRADE:
            other = trades.setdefault(channel.symbol, channel)
            if other.params != channel.params:
                both = f"{other.subscription} or {channel.subscription}"
                raise ValueError(f"the trades of {channel.symbol} come one way: {both}, not both")
        if channel.data_type.private:
            if credentials is None:
                raise ValueError(f"{title} sends {channel.subscription} only of an account: name one")
            if lacking := " and ".join(part for part in ("key", "secret") if not getattr(credentials, part)):
                raise ValueError(f"{title} sends {channel.subscription} of an account with a key and a secret: "
                                 f"account {credentials.account!r} has no {lacking}")  # fmt: skip
            if not settings.market.futures and not settings.account_socket:
                raise ValueError(f"{channel.subscription}: {title} ({settings.environment}) has no known address of "
                                 "the WebSocket API; set url")  # fmt: skip


def _free_key(place: str, shards: Iterable[_Shard]) -> str:
    taken = {shard.key for shard in shards}
    return next(key for number in range(1, len(taken) + 2) if (key := f"{place}-{number}") not in taken)


def _dial(shard: _Shard, settings: BinanceSettings) -> Dial:
    market = settings.market
    dial = Dial(
        key=shard.key,
        urls=(settings.socket(f"/{shard.place}/stream" if market.split else "/stream"),),
        channels=tuple(shard.channels),
        heartbeat=HEARTBEAT,
        lifetime=LIFETIME_SECONDS,
        patience=settings.snapshot_patience_seconds,
    )
    if shard.place != ACCOUNT.place:
        return dial
    if not market.futures:
        return evolve(dial, urls=(settings.account_socket,))
    # The address needs a listen key of the moment: the ticket fetches it before each dial.
    address = settings.socket("/private/ws" if market.split else "/ws")
    return evolve(dial, urls=(address,), ticket=listen_key(settings, "POST"), upkeep=LISTEN_KEY_SECONDS)


@hookimpl
def memory() -> Memory:
    """Remember what was asked for, and what to do with the frames of each stream."""
    return Memory()


@hookimpl
def subscribe(
    session: SessionView, channels: Sequence[Channel], credentials: Credentials | None, at: int
) -> Sequence[Request]:
    """Ask for channels: each stream once, however many channels it serves. A listen key in the address carries its
    channels without a word.
    """
    remembered: Memory = session.memory
    streams: dict[str, list[Channel]] = {}
    private: list[Channel] = []
    for channel in channels:
        stream = stream_for(channel, session.settings)
        remembered.add(channel, stream)
        if stream is ACCOUNT:
            private.append(channel)
        else:
            streams.setdefault(stream.name, []).append(channel)
    requests = _requests(session, "SUBSCRIBE", streams)
    if private and credentials is not None and not session.settings.market.futures and not remembered.user_data:
        id = session.next_id()
        requests.append(Request(user_data_request(id, credentials, at), private, id))
    return requests


@hookimpl
def unsubscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """Give channels up. A stream that others still need stays subscribed."""
    streams: dict[str, list[Channel]] = {}
    for channel in channels:
        stream = stream_for(channel, session.settings)
        if stream is not ACCOUNT:
            streams.setdefault(stream.name, []).append(channel)
    gone = {name: leaving for name, leaving in streams.items() if _release(session, leaving)}
    requests = _requests(session, "UNSUBSCRIBE", gone)
    session.memory.leaving.update(request.id for request in requests)
    return requests


def _release(session: SessionView, channels: Sequence[Channel]) -> bool:
    """Note that the channels of one stream are given up; whether nobody needs it now."""
    remembered: Memory = session.memory
    return [remembered.release(channel, stream_for(channel, session.settings)) for channel in channels][-1]


def _requests(session: SessionView, method: str, streams: Mapping[str, Sequence[Channel]]) -> list[Request]:
    names, requests = list(streams), []
    for begin in range(0, len(names), STREAMS_PER_REQUEST):
        params = names[begin : begin + STREAMS_PER_REQUEST]
        id = session.next_id()
        frame = msgspec.json.encode({"method": method, "params": params, "id": int(id)}).decode()
        requests.append(Request(frame, [channel for name in params for channel in streams[name]], id))
    return requests
