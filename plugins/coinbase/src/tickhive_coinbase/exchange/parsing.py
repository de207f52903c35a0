"""What one frame of Coinbase Exchange says.

A frame of the usual form is recognised by its first bytes and read in one go. Whatever does not fit (another order of
keys, spaces, a control message) is read carefully.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tickhive.channels import EVERY, DataType
from tickhive.plugin import Event, Goodbye, Malformed, SessionView, Unknown, hookimpl
from tickhive.plugin.reading import UNREADABLE, Text
from tickhive_coinbase.exchange.account import ABOUT as ACCOUNT_ABOUT
from tickhive_coinbase.exchange.account import READERS as ACCOUNT
from tickhive_coinbase.exchange.account import missed_match
from tickhive_coinbase.exchange.pushes import READERS, Reader
from tickhive_coinbase.refusals import is_farewell

_HEAD = b'{"type":"'
_SHORT = len(_HEAD) + 7
"""A slice of fixed length is cheaper than a search for the closing quote, and tells the messages apart."""


class _Entry(Struct, gc=False):
    name: Text
    product_ids: list[str] | None = None


class _Control(Struct, gc=False):
    channels: list[_Entry] = []
    message: str = ""
    reason: str = ""


class _Kind(Struct, gc=False):
    type: Text = ""


class _Product(Struct, gc=False):
    product_id: Text = ""


_ABOUT = {"snapshot": DataType.ORDERBOOK, "l2update": DataType.ORDERBOOK, "match": DataType.TRADE}

_control = msgspec.json.Decoder(_Control).decode
_product = msgspec.json.Decoder(_Product).decode
_kind = msgspec.json.Decoder(_Kind).decode


def subscriptions(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``subscriptions``: everything this socket is subscribed to, after each request."""
    said = _control(frame)
    events: list[Event] = session.memory.listed_now({entry.name: entry.product_ids or () for entry in said.channels})
    return events


def error(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``error``: a request was refused, or the end of the socket is announced."""
    said = _control(frame)
    reason = f"{said.message}: {said.reason}" if said.reason else said.message or "an error without words"
    if is_farewell(reason):
        return [Goodbye(reason[:300])]
    events: list[Event] = session.memory.refused(reason[:500])
    return events


_TALK: dict[str, Reader] = {"subscriptions": subscriptions, "error": error}


def _by_start(readers: dict[str, Reader]) -> dict[bytes, Reader]:
    return {(_HEAD + kind.encode() + b'","')[:_SHORT]: reader for kind, reader in readers.items()}


_MARKET = READERS | _TALK
# An account's messages are called like the market's, so they come on sockets of their own.
_ACCOUNT = ACCOUNT | _TALK
_MARKET_STARTS, _ACCOUNT_STARTS = _by_start(_MARKET), _by_start(_ACCOUNT)


@hookimpl
def parse(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    """Read a frame."""
    reader = (_ACCOUNT_STARTS if session.memory.account else _MARKET_STARTS).get(frame[:_SHORT])
    if reader is not None:
        try:
            return reader(frame, session, at)
        except UNREADABLE:
            pass
    return _carefully(session, frame, at)


def _carefully(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    try:
        kind = _kind(frame).type
    except UNREADABLE as error:
        return [Malformed(_short(error))]
    reader = (_ACCOUNT if session.memory.account else _MARKET).get(kind)
    if reader is None:
        return [Unknown(f"message of type {kind[:40]!r}")]
    try:
        return reader(frame, session, at)
    except UNREADABLE as error:
        subject = _subject(session, kind, frame)
        malformed = Malformed(f"{kind}: {_short(error)}", *subject)
        if kind == "match" and session.memory.account and subject:
            return [malformed, *missed_match(session, subject[1], malformed.why, at)]
        return [malformed]


def _subject(session: SessionView, kind: str, frame: bytes) -> tuple[DataType, str] | tuple[()]:
    """What a message that cannot be read was about: in a book, no number of the next one tells that it is missing. An
    account's is about every symbol where it names none.
    """
    account = session.memory.account
    data_type = (ACCOUNT_ABOUT if account else _ABOUT).get(kind)
    try:
        native = _product(frame).product_id
    except UNREADABLE:
        native = ""
    if data_type is None or not (native or account):
        return ()
    return data_type, session.instruments.symbols.get(native, native) or EVERY


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:160]
