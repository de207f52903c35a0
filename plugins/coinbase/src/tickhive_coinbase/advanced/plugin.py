"""The hooks Advanced Trade answers; each is written in the file of its idea."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from tickhive.plugin import SimulatedVenue, VenueOptions, hookimpl
from tickhive_coinbase.advanced.parsing import parse
from tickhive_coinbase.advanced.rest import backfill, instruments, limits, poll, read, snapshot
from tickhive_coinbase.advanced.settings import MARKET, OTHER_HOSTS, REST, USER, CoinbaseSettings
from tickhive_coinbase.advanced.sockets import connect, heartbeat, memory, subscribe, unsubscribe
from tickhive_coinbase.advanced.tokens import sign
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
    "poll",
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
    """The attrs class of ``[exchanges.coinbase]``."""
    return CoinbaseSettings


@hookimpl
def hosts() -> Sequence[str]:
    """Every host whose recordings are Advanced Trade's."""
    return (*(urlsplit(address).netloc for address in (MARKET, USER, REST)), *OTHER_HOSTS)


@hookimpl
def venue(options: VenueOptions) -> SimulatedVenue:
    """The simulated Advanced Trade, imported here because only demos and tests need it."""
    from tickhive_coinbase.simulated.advanced import CoinbaseVenue

    return CoinbaseVenue(options)
