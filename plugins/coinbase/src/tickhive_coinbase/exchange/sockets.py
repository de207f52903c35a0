"""Which sockets Coinbase Exchange needs for a set of channels, and the frames that subscribe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tickhive.channels import Channel, DataType
from tickhive.plugin import Credentials, Dial, Fetch, Heartbeat, Request, SessionView, hookimpl
from tickhive.plugin.spreading import spread
from tickhive_coinbase.asked import cut, grouped, ours
from tickhive_coinbase.conditions import refuse_half_a_key, refuse_pairs
from tickhive_coinbase.exchange.account_rest import wanted_fills
from tickhive_coinbase.exchange.channels import wire_for
from tickhive_coinbase.exchange.login import PARTS, signed
from tickhive_coinbase.exchange.memory import Memory
from tickhive_coinbase.exchange.settings import NAME, CoinbaseExchangeSettings
from tickhive_coinbase.wires import Key, Wire, seats

PRODUCTS_PER_REQUEST = 100
HEARTBEAT = Heartbeat(after=15.0)
"""The channel of that name speaks every second; a socket that does not is asked by a WebSocket ping."""
MAX_MESSAGE = 64 * 1024 * 1024
"""The snapshot of a large book is several megabytes."""


@hookimpl
def connect(
    channels: Sequence[Channel],
    settings: CoinbaseExchangeSettings,
    credentials: Credentials | None,
    dials: Sequence[Dial],
) -> Sequence[Dial]:
    """Spread the channels over sockets; an account's have their own.

    ValueError names the first channel that is not there, not together with another, or not for half an API key.
    """
    refuse_pairs(NAME, channels)
    refuse_half_a_key(NAME, channels, wire_for, credentials, PARTS)
    if settings.direct and channels and credentials is None:
        raise ValueError(f"{NAME}: the direct sockets let in only those who sign in: name an account")
    return [
        Dial(
            shard.key,
            (settings.socket,),
            shard.channels,
            heartbeat=HEARTBEAT,
            upkeep=_upkeep(shard.channels, settings),
            max_size=MAX_MESSAGE,
        )
        for shard in spread(seats(channels, wire_for), dials, settings.channels_per_connection)
    ]


def _upkeep(channels: Sequence[Channel], settings: CoinbaseExchangeSettings) -> float | None:
    """What the orders' messages do not say is looked for now and then."""
    own = any(channel.data_type in (DataType.ORDER, DataType.FILL) for channel in channels)
    return settings.fill_seconds if own else None


@hookimpl
def heartbeat(session: SessionView, at: int) -> Sequence[Fetch]:
    """Read the fills that messages wait for. Life itself shows in the channel ``heartbeat``."""
    return wanted_fills(session, at)


@hookimpl
def memory() -> Memory:
    """Remember what was asked for: the venue's answers carry no ids."""
    return Memory()


@hookimpl
def subscribe(
    session: SessionView, channels: Sequence[Channel], credentials: Credentials | None, at: int
) -> Sequence[Request]:
    """Ask for channels, one of the venue's in each request, and for heartbeats: of the products whose trades are asked
    for, because matches may be dropped and a heartbeat names the last one; else of one product.

    One product that does not exist refuses a whole request, hence no more than needs be in one.
    """
    memory: Memory = session.memory
    requests: list[Request] = []
    for wire, keys in grouped(channels, wire_for, _native).items():
        memory.account = memory.account or wire.place == "account"
        auth = signed(credentials, at) if credentials and (wire.login or session.settings.direct) else {}
        for some in cut(keys, PRODUCTS_PER_REQUEST, memory.alone):
            memory.ask(wire, some)
            about = _about(session, wire, some)
            requests.append(Request(_frame("subscribe", about | auth), ours(some)))
            if wire.data_type is DataType.TRADE or ("product_ids" in about and not memory.beating):
                products = about["product_ids"][: None if wire.data_type is DataType.TRADE else 1]
                memory.beat(products)
                requests.append(
                    Request(_frame("subscribe", {"product_ids": products, "channels": ["heartbeat"]} | auth))
                )
    return requests


@hookimpl
def unsubscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """Give channels up. One that others of ours still need stays subscribed; heartbeats always do."""
    memory: Memory = session.memory
    requests: list[Request] = []
    for wire, keys in grouped(channels, wire_for, _native).items():
        for some in cut(memory.release(keys), PRODUCTS_PER_REQUEST, ()):
            memory.give_up(some)
            requests.append(Request(_frame("unsubscribe", _about(session, wire, some)), ours(some)))
    return requests


def _native(channel: Channel) -> str:
    return channel.native


def _about(session: SessionView, wire: Wire, keys: Mapping[Key, list[Channel]]) -> dict[str, Any]:
    """What a request names."""
    if wire.whole:
        return _whole(session, wire)
    return {"product_ids": [native for _, native in keys], "channels": [wire.name]}


def _whole(session: SessionView, wire: Wire) -> dict[str, Any]:
    """The request for a channel that is for no single product."""
    settings: CoinbaseExchangeSettings = session.settings
    if wire.name == "user":
        products = list(settings.account_products) or sorted(session.instruments.symbols)
        if not products:
            raise ValueError("the user channel is asked for by product and none is known: set account_products")
        return {"product_ids": products, "channels": ["user"]}
    if wire.name == "balance" and settings.balance_accounts:
        return {"channels": [{"name": "balance", "account_ids": list(settings.balance_accounts)}]}
    return {"channels": [wire.name]}


def _frame(type: str, message: dict[str, Any]) -> str:
    return msgspec.json.encode({"type": type} | message).decode()
