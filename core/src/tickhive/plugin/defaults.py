"""What the core answers where a plugin does not: the bottom of every exchange's stack.

Hooks whose default is None (``memory``, ``refused``, ``snapshot``, ``backfill``, ``poll``, ``checksum``, ...)
need no function here: when nobody answers, the answer is None.
"""

from __future__ import annotations

from collections.abc import Sequence

from tickhive.errors import PluginError
from tickhive.plugin.contract import (
    Dial,
    Event,
    ExchangeSettings,
    Fetch,
    Limit,
    Request,
    SessionView,
    Unknown,
)
from tickhive.plugin.hookspecs import hookimpl


@hookimpl(trylast=True)
def subscribe() -> Sequence[Request]:
    """Nothing to ask for: the address carried the channels."""
    return ()


@hookimpl(trylast=True)
def unsubscribe() -> Sequence[Request]:
    """Nothing to say: a channel is given up with its socket."""
    return ()


@hookimpl(trylast=True)
def instruments() -> Sequence[Fetch]:
    """No list of instruments: symbols are the venue's own names."""
    return ()


@hookimpl(trylast=True)
def read(fetch: Fetch) -> Sequence[Event | Dial | Fetch]:
    """An answer nobody reads is reported, never dropped in silence."""
    return (Unknown(f"the answer to {fetch.method} {fetch.url.partition('?')[0]}: the plugin has no read hook"),)


@hookimpl(trylast=True)
def limits() -> Sequence[Limit]:
    """One dial a second."""
    return (Limit("dial", 1, 1.0),)


@hookimpl(trylast=True)
def authenticate(session: SessionView) -> Sequence[Request | Fetch]:
    """A Dial that asks for a login nobody can do is a fault of the plugin; waiting for ``Ready`` would hide it."""
    raise PluginError(
        session.exchange,
        "a Dial asks for a login, but there is no authenticate hook",
        "Implement authenticate, or answer the Dial with login=False",
    )


@hookimpl(trylast=True)
def heartbeat() -> Sequence[Request | Fetch]:
    """Nothing beyond what ``Dial.heartbeat`` says."""
    return ()


@hookimpl(trylast=True)
def sign(fetch: Fetch) -> Fetch:
    """Public requests go out as they are."""
    return fetch


@hookimpl(trylast=True)
def settings() -> type:
    """``url`` and ``rest_url``."""
    return ExchangeSettings


@hookimpl(trylast=True)
def hosts() -> Sequence[str]:
    """No recording is known to be of this venue."""
    return ()
