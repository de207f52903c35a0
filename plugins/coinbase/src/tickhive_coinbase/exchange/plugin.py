"""The hooks Coinbase Exchange answers; each is written in the file of its idea."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from tickhive.plugin import SimulatedVenue, VenueOptions, hookimpl
from tickhive_coinbase.exchange.login import sign
from tickhive_coinbase.exchange.parsing import parse
from tickhive_coinbase.exchange.rest import backfill, instruments, limits, read, snapshot
from tickhive_coinbase.exchange.settings import REST, RETIRED_HOSTS, SOCKETS, CoinbaseExchangeSettings
from tickhive_coinbase.exchange.sockets import connect, heartbeat, memory, subscribe, unsubscribe
from tickhive_coinbase.refusals import refused

__all__ = [
    "backfill",
    "connect",
    "heartbeat",
    "hosts",
    "instruments",
    "limits",
    "memory",
    "parse",
    "read",
    "refused",
    "settings",
    "sign",
    "snapshot",
    "subscribe",
    "unsubscribe",
    "venue",
]

TICKHIVE_API = 1


@hookimpl
def settings() -> type:
    """The attrs class of ``[exchanges.coinbase-exchange]``."""
    return CoinbaseExchangeSettings


@hookimpl
def hosts() -> Sequence[str]:
    """Every host whose recordings are Coinbase Exchange's, those it has given up included."""
    current = [urlsplit(address).netloc for address in (*SOCKETS.values(), *REST.values())]
    return (*current, *RETIRED_HOSTS)


@hookimpl
def venue(options: VenueOptions) -> SimulatedVenue:
    """The simulated Coinbase Exchange, imported here because only demos and tests need it."""
    from tickhive_coinbase.simulated.exchange import CoinbaseExchangeVenue

    return CoinbaseExchangeVenue(options)
