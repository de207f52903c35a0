"""Template's answers to what tickhive asks: which sockets to open, what to send on them, what each frame says.

Nothing here opens a socket, waits or reads a clock. What a function has to know is an argument, what it wants done is
its answer; the core does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from tickhive.plugin import (
    Channel,
    DataType,
    Dial,
    ExchangeSettings,
    Heartbeat,
    Limit,
    Request,
    SessionView,
    SimulatedVenue,
    VenueOptions,
    hookimpl,
)
from tickhive_template.parsing import parse
from tickhive_template.rest import REST_URL, backfill, instruments, read

# Hooks are found in this module; these are written in the file of their idea.
__all__ = [
    "backfill",
    "connect",
    "hosts",
    "instruments",
    "limits",
    "parse",
    "read",
    "subscribe",
    "unsubscribe",
    "venue",
]

TICKHIVE_API = 1  # the version of the questions these are answers to

STREAM_URL = "wss://stream.template.example"
STREAMS = {DataType.TRADE: "trades", DataType.ORDERBOOK: "book"}


@hookimpl
def connect(channels: Sequence[Channel], settings: ExchangeSettings) -> Sequence[Dial]:
    """One socket for everything; what Template does not stream is refused before anything is opened."""
    for channel in channels:
        if channel.data_type not in STREAMS or channel.params:
            raise ValueError(f"{channel}: Template streams {' and '.join(STREAMS)}, both without a parameter")
    url = f"{settings.url or STREAM_URL}/v1"
    # Template drops a socket that said nothing for a minute.
    return [Dial("main", [url], channels, heartbeat=Heartbeat(after=20.0, send='{"op":"ping"}'))]


@hookimpl
def subscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """One request for each channel, with an id: Template answers by it."""
    return [_request(session, "subscribe", channel) for channel in channels]


@hookimpl
def unsubscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """The same the other way: with it a broken book is repaired alone, on the socket it is on."""
    return [_request(session, "unsubscribe", channel) for channel in channels]


def _request(session: SessionView, op: str, channel: Channel) -> Request:
    id = session.next_id()
    frame = {"op": op, "id": id, "stream": STREAMS[channel.data_type], "market": channel.native}
    # Text goes out as a text frame, bytes would go out as a binary one.
    return Request(msgspec.json.encode(frame).decode(), [channel], id)


@hookimpl
def limits() -> Sequence[Limit]:
    """What Template allows: sockets opened, frames sent on each, REST requests. The core keeps to it."""
    return [Limit("dial", 5, 1.0), Limit("request", 20, 1.0, per_connection=True), Limit("rest", 10, 1.0)]


@hookimpl
def hosts() -> Sequence[str]:
    """Whose recordings these are: ``tickhive replay`` finds the exchange by the host in its addresses."""
    return [urlsplit(STREAM_URL).netloc, urlsplit(REST_URL).netloc]


@hookimpl
def venue(options: VenueOptions) -> SimulatedVenue:
    """The simulated Template, imported here because only demos and tests need it."""
    from tickhive_template.venue import SimulatedTemplate

    return SimulatedTemplate(options)
