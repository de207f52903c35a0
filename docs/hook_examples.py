"""The examples of docs/reference/hooks.md: one made-up exchange, Acme, that answers every hook there is.

``generate_hooks.py`` copies each function into the page, and the tests of the documentation call all of them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from decimal import Decimal
from zlib import crc32

import msgspec
from attrs import define, evolve

from tickhive import PluginCollector
from tickhive.plugin import (
    Accepted,
    Answer,
    BookSides,
    BookSnapshot,
    Channel,
    Credentials,
    DataType,
    Dial,
    Event,
    ExchangeSettings,
    Fetch,
    Gap,
    Heartbeat,
    Instrument,
    InstrumentUpdate,
    Level,
    Limit,
    Malformed,
    Poll,
    Ready,
    Rejected,
    Request,
    SessionView,
    SimulatedVenue,
    Trade,
    Unknown,
    VenueOptions,
    hookimpl,
    make_symbol,
)


@hookimpl
def connect(channels: Sequence[Channel], settings: AcmeSettings) -> Sequence[Dial | Fetch]:
    """One public socket for everything; it is pinged after 20 s of silence."""
    for channel in channels:
        if channel.data_type not in (DataType.TRADE, DataType.ORDERBOOK):
            raise ValueError(f"{channel}: Acme streams trades and order books only")
    url = settings.url or "wss://stream.acme.example"
    return [Dial("public", [f"{url}/v1"], channels, heartbeat=Heartbeat(after=20.0), patience=5.0)]


@hookimpl
def parse(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    """One JSON object a frame; ``session.instruments.symbols`` turns Acme's names into ours."""
    try:
        message = msgspec.json.decode(frame)
        match message:
            case {"ok": str(number)}:
                return [Accepted(id=number)]
            case {"refused": str(number), "why": str(why)}:
                return [Rejected(why, "symbol", id=number)]
            case {"welcome": _}:
                return [Ready()]
            case {"trade": [str(name), str(id), "buy" | "sell" as side, str(price), str(size), int(time)]}:
                symbol = session.instruments.symbols.get(name, name)
                taken = Decimal(price), Decimal(size)
                return [Trade(session.exchange, symbol, time * 1_000_000, at, id, side, *taken)]
    except (ValueError, ArithmeticError) as error:
        return [Malformed(type(error).__name__)]
    return [Unknown("a message of another kind")]


@hookimpl
def subscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """One request per channel. Its id and channels tell the core what an answer means."""
    requests = []
    for channel in channels:
        id = session.next_id()
        frame = {"subscribe": channel.data_type.value, "market": channel.native, "id": id}
        requests.append(Request(msgspec.json.encode(frame).decode(), [channel], id))
    return requests


@hookimpl
def unsubscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    """The same the other way round; the core uses it to repair a book, too."""
    requests = []
    for channel in channels:
        id = session.next_id()
        frame = {"unsubscribe": channel.data_type.value, "market": channel.native, "id": id}
        requests.append(Request(msgspec.json.encode(frame).decode(), [channel], id))
    return requests


@hookimpl
def instruments(settings: AcmeSettings) -> Sequence[Fetch]:
    """One list of everything Acme trades."""
    return [Fetch(f"{settings.rest_url or 'https://api.acme.example'}/markets?page=1", costs={"rest": 5})]


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Dial | Fetch]:
    """Lists of markets come in pages; a book's snapshot comes whole."""
    body = msgspec.json.decode(answer.body)
    if "/book/" in fetch.url:
        bids, asks = (msgspec.convert(body[side], list[Level]) for side in ("bids", "asks"))
        return [BookSnapshot(session.exchange, body["market"], None, at, bids, asks, body["number"])]
    found: list[Event | Dial | Fetch] = []
    for row in body["markets"]:
        symbol = make_symbol(row["base"], row["quote"])
        instrument = Instrument(session.exchange, symbol, row["name"], "spot", row["base"], row["quote"])
        found.append(InstrumentUpdate(session.exchange, symbol, None, at, instrument))
    if body.get("next"):
        found.append(Fetch(body["next"], costs={"rest": 5}))
    return found


@hookimpl
def refused(fetch: Fetch, answer: Answer) -> Rejected | None:
    """Acme answers 400 to a signature it does not accept."""
    if answer.status == 400 and b"bad_signature" in answer.body:
        return Rejected("the signature was not accepted", "credentials")
    return None


@hookimpl
def limits() -> Sequence[Limit]:
    """Two sockets a second, ten frames a second on each, 1,200 of REST weight a minute."""
    return [
        Limit("dial", 2, 1.0),
        Limit("request", 10, 1.0, per_connection=True),
        Limit("rest", 1200, 60.0),
    ]


@hookimpl
def authenticate(credentials: Credentials, at: int) -> Sequence[Request | Fetch]:
    """A signed time; ``parse`` answers Ready when Acme says welcome."""
    stamp = str(at // 1_000_000)
    signature = hmac.new(credentials.secret.encode(), stamp.encode(), hashlib.sha256).hexdigest()
    return [Request(msgspec.json.encode({"login": credentials.key, "time": stamp, "sign": signature}).decode())]


@hookimpl
def heartbeat(session: SessionView) -> Sequence[Request | Fetch]:
    """Keeps alive what a ping does not: Acme forgets a socket that renews nothing for an hour."""
    return [Request(msgspec.json.encode({"renew": session.next_id()}).decode())]


@hookimpl
def sign(fetch: Fetch, credentials: Credentials | None, at: int) -> Fetch:
    """Adds the key and the time's signature as headers; public requests go out as they are."""
    if credentials is None:
        return fetch
    stamp = str(at // 1_000_000)
    signature = hmac.new(credentials.secret.encode(), f"{stamp}{fetch.url}".encode(), hashlib.sha256).hexdigest()
    signed = {"x-acme-key": credentials.key, "x-acme-time": stamp, "x-acme-sign": signature}
    return evolve(fetch, headers={**fetch.headers, **signed})


@hookimpl
def snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """The book by REST, for when none streams in; Acme has no private data."""
    return Fetch(f"{session.settings.rest_url}/book/{channel.native}", costs={"rest": 10}, channel=channel)


@hookimpl
def backfill(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    """Acme gives trades by id; other data is gone."""
    if channel.data_type is not DataType.TRADE or gap.first_id is None:
        return None
    missing = f"from={gap.first_id}&to={gap.last_id}"
    return Fetch(f"{session.settings.rest_url}/trades/{channel.native}?{missing}", costs={"rest": 5}, channel=channel)


@hookimpl
def poll(channel: Channel, settings: AcmeSettings) -> Poll | None:
    """Open interest exists by REST only; everything else streams."""
    if channel.data_type is not DataType.OPEN_INTEREST:
        return None
    return Poll(Fetch(f"{settings.rest_url}/interest/{channel.native}", costs={"rest": 1}), every=settings.poll_seconds)


@hookimpl
def checksum(book: BookSides) -> int:
    """CRC-32 over the best ten levels of each side in Acme's own text."""
    bids, asks = book.top_text(10)
    return crc32(":".join(f"{price}:{size}" for price, size in [*bids, *asks]).encode())


@define(kw_only=True)
class AcmeSettings(ExchangeSettings):
    """What ``[exchanges.acme]`` may say."""

    poll_seconds: float = 30.0


@hookimpl
def settings() -> type:
    """The attrs class with Acme's own settings."""
    return AcmeSettings


@define
class AcmeMemory:
    """What one socket remembers."""

    last_number: int = 0


@hookimpl
def memory() -> AcmeMemory:
    """A fresh one for every socket; ``parse`` finds it as ``session.memory``."""
    return AcmeMemory()


@hookimpl
def hosts() -> Sequence[str]:
    """The hosts of today, and the one that was given up."""
    return ["stream.acme.example", "api.acme.example", "old.acme.example"]


class AcmeCollector(PluginCollector):
    """A collector under a name of its own; a venue that fits no socket fills the four steps of BaseDataCollector."""


@hookimpl
def collector() -> type:
    """The class the factory makes for this exchange."""
    return AcmeCollector


@hookimpl
def venue(options: VenueOptions) -> SimulatedVenue | None:
    """Imported here, because only demos and tests need it."""
    from tickhive_acme.venue import AcmeVenue

    return AcmeVenue(options)
