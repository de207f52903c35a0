"""Which sockets Advanced Trade needs for a set of channels, and the frames that subscribe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tickhive.channels import Channel, DataType
from tickhive.plugin import Credentials, Dial, Fetch, Heartbeat, Request, SessionView, hookimpl
from tickhive.plugin.spreading import spread
from tickhive_coinbase.advanced.account_rest import latest_fills
from tickhive_coinbase.advanced.channels import POLLED, wire_for
from tickhive_coinbase.advanced.memory import Memory
from tickhive_coinbase.advanced.rest import market_of
from tickhive_coinbase.advanced.settings import NAME, CoinbaseSettings
from tickhive_coinbase.advanced.tokens import PARTS, token
from tickhive_coinbase.asked import cut, grouped, ours
from tickhive_coinbase.conditions import refuse_half_a_key, refuse_pairs
from tickhive_coinbase.wires import Key, Wire, seats

PRODUCTS_PER_REQUEST = 100
HEARTBEAT = Heartbeat(after=15.0)
"""The channel ``heartbeats`` speaks every second; a socket that does not is asked by a WebSocket ping."""
MAX_MESSAGE = 64 * 1024 * 1024
"""The snapshot of a large book is several megabytes."""


@hookimpl
def connect(
    channels: Sequence[Channel], settings: CoinbaseSettings, credentials: Credentials | None, dials: Sequence[Dial]
) -> Sequence[Dial]:
    """Spread the channels over sockets; an account's have their own, at an address of their own.

    ValueError names the first channel that is not there, not together with another, or not for half an API key.
    """
    streamed = [channel for channel in channels if wire_for(channel).data_type not in POLLED]
    refuse_pairs(NAME, streamed)
    refuse_half_a_key(NAME, streamed, wire_for, credentials, PARTS)
    return [
        Dial(
            shard.key,
            (settings.socket(shard.place),),
            shard.channels,
            heartbeat=HEARTBEAT,
            upkeep=_upkeep(shard.channels, settings),
            max_size=MAX_MESSAGE,
        )
        for shard in spread(seats(streamed, wire_for), dials, settings.channels_per_connection)
    ]


def _upkeep(channels: Sequence[Channel], settings: CoinbaseSettings) -> float | None:
    """Fills are looked for now and then."""
    return settings.fill_seconds if any(channel.data_type is DataType.FILL for channel in channels) else None


@hookimpl
def memory() -> Memory:
    """Remember what was asked for: the venue's answers carry no ids."""
    return Memory()


@hookimpl
def heartbeat(session: SessionView) -> Sequence[Fetch]:
    """Read the fills that the stream only counted. Life itself shows in the channel ``heartbeats``."""
    return [latest_fills(session)] if session.memory.fills.due() else ()


@hookimpl
def subscribe(
    session: SessionView, channels: Sequence[Channel], credentials: Credentials | None, at: int
) -> Sequence[Request]:
    """Ask for channels, one of the venue's in each message as it wants, and once for the heartbeats.

    With credentials each message has a token of its own; market data comes without one too.
    """
    memory: Memory = session.memory
    requests: list[Request] = []
    if not memory.beating:
        # First: without it, a socket whose channels are quiet is closed.
        memory.beat()
        requests.append(Request(_frame("subscribe", {"channel": "heartbeats"}, credentials, at)))
    for wire, keys in grouped(channels, wire_for, lambda channel: market_of(session, channel)).items():
        if wire.place == "account":
            memory.account = True
            memory.fills.since = memory.fills.since or at
        for some in cut(keys, PRODUCTS_PER_REQUEST, memory.alone):
            memory.ask(wire, some)
            _share(session, some)
            frame = _frame("subscribe", _about(session, wire, some), credentials, at)
            requests.append(Request(frame, ours(some)))
    return requests


@hookimpl
def unsubscribe(
    session: SessionView, channels: Sequence[Channel], credentials: Credentials | None, at: int
) -> Sequence[Request]:
    """Give channels up. One that others of ours still need stays subscribed; the heartbeats always do."""
    memory: Memory = session.memory
    requests: list[Request] = []
    for wire, keys in grouped(channels, wire_for, lambda channel: market_of(session, channel)).items():
        for some in cut(memory.release(keys), PRODUCTS_PER_REQUEST, ()):
            memory.give_up(some)
            frame = _frame("unsubscribe", _about(session, wire, some), credentials, at)
            requests.append(Request(frame, ours(some)))
    return requests


def _share(session: SessionView, keys: Mapping[Key, list[Channel]]) -> None:
    """Note which markets bring data for instruments of other names."""
    for (_, native), channels in keys.items():
        symbol = session.instruments.symbols.get(native, native)
        if native and any(channel.symbol != symbol for channel in channels):
            session.memory.shared[symbol] = native


def _about(session: SessionView, wire: Wire, keys: Mapping[Key, list[Channel]]) -> dict[str, Any]:
    """What a request names. The account's channel is asked for its configured products, else for all."""
    products = (
        list(session.settings.account_products) if wire.place == "account" else [each for _, each in keys if each]
    )
    return ({"product_ids": products} if products else {}) | {"channel": wire.name}


def _frame(type: str, message: Mapping[str, Any], credentials: Credentials | None, at: int) -> str:
    signed = {} if credentials is None else {"jwt": token(credentials, at)}
    return msgspec.json.encode({"type": type, **message, **signed}).decode()
