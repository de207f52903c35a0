"""The values a plugin and the core exchange: a plugin answers with these, the core acts on them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from attrs import Attribute, Factory, define, field, frozen

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.events import MarketEvent

API_VERSION = 1
"""The version of this contract. A plugin module may state the one it was written for as ``TICKHIVE_API``."""

OLDEST_API_VERSION = 1
"""The oldest contract this core still speaks."""


def _length(value: str | bytes | Mapping[str, str]) -> str:
    return f"<{len(value)}>"


# What a plugin asks the core to do.


@frozen
class Heartbeat:
    """Keep a socket alive: after ``after`` seconds of silence send ``send`` and expect any frame within ``after`` more.

    ``send`` None means a WebSocket ping. ``reply`` is the venue's answer, where ``parse`` need not know it.
    """

    after: float
    send: str | bytes | None = None
    reply: bytes | None = None


@frozen
class Dial:
    """A socket to have.

    ``key`` names it within the collector and stays the same as long as it means the same socket. ``urls`` are tried in
    turn; two sockets of one Dial (``redundancy``) take different ones where there are several. ``channels`` are those
    it carries. ``login``: the core calls ``authenticate`` and waits for ``Ready`` before it subscribes. ``lifetime`` is
    when the venue will cut it (seconds): another socket takes over before. ``upkeep`` is how often ``heartbeat`` is
    asked for what keeps it valid (seconds). ``max_size`` bounds one message (bytes). ``patience`` is how long to wait
    for a book snapshot on the stream before ``snapshot`` is asked (seconds; None: for ever). ``ticket`` is made before
    each dialling, for venues whose address or headers hold a token of the moment: its ``read`` answers a Dial, whose
    ``urls`` and ``headers`` are used that once.
    """

    key: str
    urls: Sequence[str]
    channels: Sequence[Channel]
    headers: Mapping[str, str] = Factory(dict)
    login: bool = False
    heartbeat: Heartbeat | None = None
    lifetime: float | None = None
    upkeep: float | None = None
    max_size: int = 4 * 1024 * 1024
    patience: float | None = None
    ticket: Fetch | None = None


@frozen
class Request:
    """A frame to send. ``str`` goes out as a text frame, ``bytes`` as a binary one.

    ``channels`` are those it asks for (or gives up), ``id`` is what the venue will echo, where it echoes anything. The
    frame never appears in a repr: a login's holds secrets.
    """

    frame: str | bytes = field(repr=_length)
    channels: Sequence[Channel] = ()
    id: str | None = None


@frozen
class Fetch:
    """A REST request. ``costs`` counts it against the venue's limits: scope to weight. ``channel`` is what it is for.

    ``read`` recognises it by its URL, so that a recorded answer can be read without the request object. What headers
    and body say never appears in a repr: signed ones hold secrets.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(factory=dict, repr=_length)
    body: bytes = field(default=b"", repr=_length)
    costs: Mapping[str, float] = Factory(dict)
    channel: Channel | None = None


@frozen
class Answer:
    """What came back for a Fetch. Header names are lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = Factory(dict)


@frozen
class Poll:
    """Data that exists only by REST: ask ``fetch`` again ``every`` so many seconds."""

    fetch: Fetch
    every: float


@frozen
class Limit:
    """What a venue allows: ``amount`` per ``seconds`` for ``scope``.

    The scopes ``dial`` (opening a socket) and ``request`` (a frame sent) are charged by the core; all others by
    ``Fetch.costs``. ``per_connection`` limits are counted for each socket, all others for everything in the process
    that uses the venue.
    """

    scope: str
    amount: float
    seconds: float
    per_connection: bool = False


@frozen
class Credentials:
    """An account's secrets; what the venue does not use is "". Their text never appears in a repr."""

    account: str
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)


# What a plugin tells the core about the conversation itself.

RejectionKind: TypeAlias = Literal["request", "symbol", "credentials", "rate", "retry"]


@define
class Ready:
    """The login succeeded; subscriptions may be sent."""


@define
class Accepted:
    """The venue confirmed a request: by its ``id``, or by naming ``channels``."""

    id: str | None = None
    channels: Sequence[Channel] = ()


@define
class Unsubscribed:
    """The venue confirmed that these are no longer sent: by the request's ``id``, or by naming ``channels``."""

    id: str | None = None
    channels: Sequence[Channel] = ()


@define
class Rejected:
    """The venue refused a request, named by ``id`` or ``channels`` where it says so.

    ``kind`` says what can be done: ``request`` and ``symbol`` cannot succeed as they are, ``credentials`` stops the
    feed, ``rate`` waits, ``retry`` may work at the next attempt.
    """

    reason: str
    kind: RejectionKind = "request"
    id: str | None = None
    channels: Sequence[Channel] = ()


@define
class Alive:
    """A sign of life that carries no data."""


@define
class Numbered:
    """The frame's number in a sequence counted per socket; a jump means frames were lost on it.

    Put it first: what stands behind a number that came before is left out, so that an old frame changes no book.
    """

    number: int


@define
class BookChecksum:
    """What the venue computes over the book of ``symbol`` after its last change: answer it behind that change."""

    symbol: str
    value: int
    depth: int = 0


@define
class LastTrade:
    """The venue's word, apart from the trades themselves (in a heartbeat), on the id of a symbol's last trade.

    Where ids are consecutive, what has not come a second later is known to be missing at once, and not only when the
    next trade comes.
    """

    symbol: str
    id: str


@define
class Reply:
    """Send this frame back at once."""

    frame: str | bytes


@define
class Goodbye:
    """The venue announced that it will close this socket: another one takes over before."""

    reason: str


@define
class Unknown:
    """A well-formed frame of a kind this plugin does not know. ``what`` is a short description, never the frame."""

    what: str


@define
class Malformed:
    """A frame that cannot be understood. ``why`` is a short description, never the frame.

    ``data_type`` and ``symbol`` say what it would have told of, where that can still be read (``depth`` as in
    BookDelta): a Gap tells users what they miss, and a book that no number would ever show to be wrong is synchronised
    again. Without them the frame is only counted.
    """

    why: str
    data_type: DataType | None = None
    symbol: str = ""
    depth: int = 0


SessionEvent: TypeAlias = (
    Ready
    | Accepted
    | Unsubscribed
    | Rejected
    | Alive
    | Numbered
    | BookChecksum
    | LastTrade
    | Reply
    | Goodbye
    | Unknown
    | Malformed
)
Event: TypeAlias = MarketEvent | SessionEvent


class BookSides(Protocol):
    """What ``checksum`` may see of an order book."""

    def top_text(self, depth: int) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]:
        """The best ``depth`` bids and asks as (price, size) in the venue's text, best first."""


class SessionView(Protocol):
    """What a plugin may see of the socket a hook is called for.

    ``memory`` is what the plugin's ``memory`` hook made for this socket, the only thing a hook may change. ``dial`` is
    None when a REST answer is read that belongs to no socket (the instruments).
    """

    @property
    def exchange(self) -> str:
        """The exchange's name, as events carry it."""

    @property
    def dial(self) -> Dial | None:
        """The socket's Dial.

        In a replay it carries no channels and has the key of the first Dial of ``connect`` whose address is the
        recorded one, unless the recording says what the socket was there for; "recorded ..." where none has it.
        """

    @property
    def settings(self) -> Any:
        """An instance of what the plugin's ``settings`` hook answers."""

    @property
    def account(self) -> str:
        """Whose credentials it uses, as events carry it; "" without any."""

    @property
    def memory(self) -> Any:
        """What the plugin's ``memory`` hook made for this socket."""

    @property
    def instruments(self) -> InstrumentTable:
        """The venue's instruments by both names."""

    def next_id(self) -> str:
        """A request id that this socket has not used: digits only, at most 18 of them."""


Number = TypeVar("Number", int, float)


def bounded(default: Number, least: float, most: float) -> Number:
    """The default of a setting that is a number between two others, both included; anything else is a ValueError.

    >>> @define(kw_only=True)
    ... class AcmeSettings(ExchangeSettings):
    ...     poll_seconds: float = bounded(15.0, 1.0, 3600.0)
    >>> AcmeSettings().poll_seconds
    15.0
    >>> AcmeSettings(poll_seconds=0.5)
    Traceback (most recent call last):
    ValueError: poll_seconds: expected 1.0 to 3600.0, got 0.5
    """

    def check(settings: object, setting: Attribute[Any], value: Any) -> None:
        if not least <= value <= most:
            raise ValueError(f"{setting.name}: expected {least} to {most}, got {value!r}")

    chosen: Number = field(default=default, validator=check)
    return chosen


_URL = re.compile(r"(wss?|https?)://[^/\s?#]+.*")


@define(kw_only=True)
class ExchangeSettings:
    """The settings of an exchange whose plugin asks for none of its own; plugins may subclass it.

    ``url`` and ``rest_url`` replace the venue's WebSocket and REST addresses; the plugin appends its paths. Numbers of
    its own get their limits by ``bounded``: ``poll_seconds: float = bounded(15.0, 1.0, 3600.0)``.
    """

    url: str | None = None
    rest_url: str | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse an address of the wrong scheme, naming the field."""
        for name, schemes in (("url", ("ws", "wss")), ("rest_url", ("http", "https"))):
            value = getattr(self, name)
            if value is None:
                continue
            match = _URL.fullmatch(value)
            if match is None or match[1] not in schemes:
                begins = " or ".join(f"{scheme}://" for scheme in schemes)
                raise ValueError(f"{name}: expected an address that begins with {begins}, got {value!r}")
