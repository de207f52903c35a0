"""The hooks OKX answers; each is written in the file of its idea."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from tickhive.plugin import SimulatedVenue, VenueOptions, hookimpl
from tickhive_okx.checksum import checksum
from tickhive_okx.login import authenticate, sign
from tickhive_okx.parsing import parse
from tickhive_okx.rest import backfill, instruments, limits, read, refused, snapshot
from tickhive_okx.settings import REST, RETIRED_HOSTS, SOCKETS, OKXSettings
from tickhive_okx.sockets import connect, memory, subscribe, unsubscribe

__all__ = [
    "authenticate",
    "backfill",
    "checksum",
    "collector",
    "connect",
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
    """The attrs class of ``[exchanges.okx]``."""
    return OKXSettings


@hookimpl
def hosts() -> Sequence[str]:
    """Every host whose recordings are OKX's, those it has given up included."""
    current = [urlsplit(address).netloc for address in (*SOCKETS.values(), *REST.values())]
    return (*current, *RETIRED_HOSTS)


@hookimpl
def collector() -> type:
    """OKXCollector, imported here because only a running collector needs it."""
    from tickhive_okx.collector import OKXCollector

    return OKXCollector


@hookimpl
def venue(options: VenueOptions) -> SimulatedVenue:
    """The simulated OKX, imported here because only demos and tests need it."""
    from tickhive_okx.venue import OKXVenue

    return OKXVenue(options)
