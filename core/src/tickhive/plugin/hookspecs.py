"""The questions the core asks an exchange plugin: the whole of what an author has to know.

A plugin is a module of functions (or an instance) whose functions carry these names and the ``@hookimpl`` mark. It
answers with data and never acts: no hook opens a socket, sleeps, reads a clock or logs. Name only the arguments you
want, in any order. ``connect`` and ``parse`` are required, all others have defaults. ``at`` is the time now, ns UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from tickhive.channels import Channel, Instrument
from tickhive.events import Gap
from tickhive.plugin.contract import (
    Answer,
    BookSides,
    Credentials,
    Dial,
    Event,
    Fetch,
    Limit,
    Poll,
    Rejected,
    Request,
    SessionView,
)
from tickhive.plugin.venue import SimulatedVenue, VenueOptions

PROJECT = "tickhive"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

REQUIRED_HOOKS = ("connect", "parse")


@hookspec(firstresult=True)
def connect(
    channels: Sequence[Channel], settings: Any, credentials: Credentials | None, dials: Sequence[Dial]
) -> Sequence[Dial | Fetch]:
    """Which sockets should there be for these channels?

    Every channel must be in exactly one Dial. ``dials`` are the sockets there are now: answer the same ``key`` to keep
    one, with other ``channels`` where they changed (``tickhive.plugin.spreading`` does so within a venue's limits). A
    Fetch is made first (a token, an address), and its ``read`` answers the Dial.

    Two kinds of channel are for no single instrument; both have ``EVERY`` as their symbol. Private data types are for
    the whole account, native name ``EVERY`` too. An INSTRUMENT channel is for every instrument of the kind its native
    name is an example of: it tells collectors with patterns what is listed.

    Raise ValueError, naming the channel, for a data type or parameter the venue does not have, never for a native name
    you have not seen: the core also asks this and ``poll`` before instruments are known, with the configured symbol in
    place of the native name and, where an account is configured, made-up texts in place of its secrets.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def parse(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    """What does this frame say?

    Called for every frame; text frames arrive as UTF-8 bytes. Answer market events and session events, in the order
    they happened; an empty sequence for a frame that says nothing. Never raise: a frame of an unknown kind is
    ``Unknown``, one that cannot be read ``Malformed``. None counts as Malformed.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def subscribe(
    session: SessionView, channels: Sequence[Channel], credentials: Credentials | None, at: int
) -> Sequence[Request]:
    """Which frames ask for these channels? Default: none, the address carried them.

    Put the channels a request asks for, and the id the venue will echo, into the Request: that is how the core knows
    what an acknowledgement or a refusal means. Split where the venue bounds a request.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def unsubscribe(
    session: SessionView, channels: Sequence[Channel], credentials: Credentials | None, at: int
) -> Sequence[Request]:
    """Which frames give these channels up? Default: none, and the core moves to a fresh socket where it must."""
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def instruments(settings: Any) -> Sequence[Fetch]:
    """Which REST requests list what the venue trades? Their ``read`` answers InstrumentUpdate events.

    Default: none; symbols are then taken as the venue's own names.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Dial | Fetch]:
    """What does this REST answer say?

    Recognise the request by ``fetch.url``: in a replay nothing else is known of it. A further page is a Fetch again. An
    error in the answer's body is ``Rejected`` with its kind; HTTP errors (4xx, 5xx) go to ``refused`` instead.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def refused(fetch: Fetch, answer: Answer) -> Rejected | None:
    """What does this HTTP error (4xx, 5xx) mean? ``rate`` and ``retry`` are asked again later, ``credentials`` ends the
    feed. Default, and for None: by the status. 401 to a signed request is the credentials, 418 and 429 a limit, 408,
    425 and 5xx may pass; anything else cannot succeed as it is. Raising counts as None.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def limits(settings: Any) -> Sequence[Limit]:
    """What does the venue allow? Shared by everything in the process that uses it. Default: one dial a second."""
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def authenticate(session: SessionView, credentials: Credentials, at: int) -> Sequence[Request | Fetch]:
    """Which frames log this socket in? Asked when ``Dial.login`` is set; ``parse`` answers Ready or Rejected."""
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def heartbeat(session: SessionView, at: int) -> Sequence[Request | Fetch]:
    """What keeps this socket alive now? Asked every ``Dial.upkeep`` seconds. Default: what ``Dial.heartbeat`` says.

    When a Fetch fails that is for no channel, a fresh socket takes this one's place.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def sign(fetch: Fetch, credentials: Credentials | None, at: int) -> Fetch:
    """The same request, signed for this moment. Asked before every attempt. Default: as it is."""
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """Which request gives the whole state of this channel? Default: none, the stream says it all.

    Of an order book it is the book, asked for when none streams in within ``Dial.patience``; ``read`` answers its
    BookSnapshot. Of a private channel it is how the account stands (open orders, positions, balances, recent fills),
    asked for once the venue has confirmed the channel on this socket; ``read`` answers its events, on as many pages as
    it takes. Positions and balances that are not among them are zero, orders that are not have ended.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def backfill(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    """Which request gives what was missed in this gap? Default: none, the gap stays.

    Asked for trades whose ids are numbers: ``gap.first_id`` to ``gap.last_id`` are the missing ids. And for candles:
    ``gap.start`` and ``gap.end`` are the starts of the first and the last missing one (ns UTC). All are inclusive.
    And for an order that ended while no socket was open: ``gap.first_id`` is its id. And for an account's fills where
    no ``snapshot`` gives them: those of one symbol since ``gap.start``. ``read`` answers Trades, Candles, Fills marked
    late or the Order, in any order; a further page is a Fetch again.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def poll(channel: Channel, settings: Any) -> Poll | None:
    """How is this channel asked for, when it exists only by REST? Default: it streams."""
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def checksum(book: BookSides, instrument: Instrument | None) -> int:
    """The venue's checksum over this book, to be compared with the ``BookChecksum`` it sent.

    Levels are the venue's own text. Where it is computed from numbers with a fixed count of digits, these are those of
    ``instrument.tick_size`` and ``lot_size``, which keep the digits they were built with.
    """
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def settings() -> type:
    """The attrs class that reads ``[exchanges.NAME]``. Default: ``ExchangeSettings``, that is url and rest_url."""
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def memory() -> Any:
    """What must one socket remember between frames? A fresh object each time. Default: None."""
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def hosts() -> Sequence[str]:
    """The host names whose recordings this plugin reads, retired ones included. Default: none."""
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def collector() -> type:
    """The subclass of BaseDataCollector to use: for venues that fit no socket at all. Default: PluginCollector."""
    raise AssertionError("a specification is not called")


@hookspec(firstresult=True)
def venue(options: VenueOptions) -> SimulatedVenue | None:
    """The same protocol seen from the server's side: a simulated venue for demos, tests and authors.

    ``options`` says which symbols trade, from which seed, how fast, or which recording to serve. Default: none.
    """
    raise AssertionError("a specification is not called")
