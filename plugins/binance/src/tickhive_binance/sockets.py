"""Which sockets Binance needs for a set of channels, and the frames that subscribe them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from attrs import evolve

from tickhive.channels import Channel, DataType
from tickhive.plugin import Credentials, Dial, Heartbeat, Request, SessionView, hookimpl
from tickhive.plugin.spreading import Seat, Shard, spread
from tickhive.plugin.subscribed import by_name
from tickhive_binance.account_rest import LISTEN_KEY_SECONDS, listen_key
from tickhive_binance.login import user_data_request
from tickhive_binance.settings import BinanceSettings
from tickhive_binance.streams import ACCOUNT, Memory, stream_for

STREAMS_PER_REQUEST = 50
LIFETIME_SECONDS = 86_100.0
"""Binance cuts every socket after 24 hours; five minutes are kept in hand."""
HEARTBEAT = Heartbeat(after=30.0)
"""Binance pings; a ping of ours finds a dead line sooner, and counts as one message."""


@hookimpl
def connect(
    channels: Sequence[Channel], settings: BinanceSettings, credentials: Credentials | None, dials: Sequence[Dial]
) -> Sequence[Dial]:
    """Spread the channels over sockets: those there are keep theirs, the others fill free places, then further sockets.

    ValueError names the first channel that the market does not have, or not together with another, or not without a
    whole API key.
    """
    streams = {channel: stream_for(channel, settings) for channel in channels}
    _refuse(channels, settings, credentials)
    seats = {channel: Seat(stream.place, stream.name) for channel, stream in streams.items()}
    return [_dial(shard, settings) for shard in spread(seats, dials, settings.streams_per_connection)]


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


def _dial(shard: Shard, settings: BinanceSettings) -> Dial:
    market = settings.market
    dial = Dial(
        key=shard.key,
        urls=(settings.socket(f"/{shard.place}/stream" if market.split else "/stream"),),
        channels=shard.channels,
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
    streams = _streams(session, channels)
    private = streams.pop(ACCOUNT.name, [])
    remembered.account.update(channel.data_type for channel in private)
    remembered.add(streams)
    requests = _requests(session, "SUBSCRIBE", streams)
    if private and credentials is not None and not session.settings.market.futures and not remembered.user_data:
        id = session.next_id()
        requests.append(Request(user_data_request(id, credentials, at), private, id))
    return requests


@hookimpl
def unsubscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """Give channels up. A stream that others still need stays subscribed."""
    streams = _streams(session, channels)
    streams.pop(ACCOUNT.name, None)
    requests = _requests(session, "UNSUBSCRIBE", session.memory.release(streams))
    session.memory.leaving.update(request.id for request in requests)
    return requests


def _streams(session: SessionView, channels: Iterable[Channel]) -> dict[str, list[Channel]]:
    """The names of the streams that bring these; all of an account come by none."""
    return by_name(channels, lambda channel: stream_for(channel, session.settings).name)


def _requests(session: SessionView, method: str, streams: Mapping[str, Sequence[Channel]]) -> list[Request]:
    names, requests = list(streams), []
    for begin in range(0, len(names), STREAMS_PER_REQUEST):
        params = names[begin : begin + STREAMS_PER_REQUEST]
        id = session.next_id()
        frame = msgspec.json.encode({"method": method, "params": params, "id": int(id)}).decode()
        requests.append(Request(frame, [channel for name in params for channel in streams[name]], id))
    return requests
