"""What one frame of Advanced Trade says.

A frame of the usual form is recognised by its first bytes and read in one go. Whatever does not fit (another order of
keys, spaces, an error) is read carefully. A frame that cannot be understood keeps its number to itself: the next one
then shows the core that something of this socket was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tickhive.plugin import Event, Goodbye, Malformed, Numbered, SessionView, Unknown, hookimpl
from tickhive.plugin.reading import UNREADABLE, Count, Text
from tickhive_coinbase.advanced.account import user
from tickhive_coinbase.advanced.pushes import READERS, Push, Reader
from tickhive_coinbase.refusals import is_farewell

_HEAD = b'{"channel":"'
_SHORT = len(_HEAD) + 7
"""A slice of fixed length is cheaper than a search for the closing quote, and tells the channels apart."""


class _State(Struct, gc=False):
    subscriptions: dict[str, list[str] | None] = {}


_states: Any = msgspec.json.Decoder(Push[_State]).decode


class _Envelope(Struct, gc=False):
    channel: Text = ""
    type: Text = ""
    message: str = ""
    reason: str = ""
    sequence_num: Count | None = None


_envelope = msgspec.json.Decoder(_Envelope).decode


def subscriptions(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``subscriptions``: everything this socket is subscribed to, after each request."""
    push = _states(frame)
    state = {name: products or () for each in push.events for name, products in each.subscriptions.items()}
    return [Numbered(push.sequence_num), *session.memory.listed_now(state)]


_READERS: dict[str, Reader] = READERS | {"subscriptions": subscriptions, "user": user}
_BY_START = {(_HEAD + name.encode() + b'","')[:_SHORT]: reader for name, reader in _READERS.items()}


@hookimpl
def parse(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    """Read a frame."""
    reader = _BY_START.get(frame[:_SHORT])
    if reader is not None:
        try:
            return reader(frame, session, at)
        except UNREADABLE:
            pass
    return _carefully(session, frame, at)


def _carefully(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    try:
        said = _envelope(frame)
    except UNREADABLE as error:
        return [Malformed(_short(error))]
    if said.type == "error":
        return _error(session, f"{said.message}: {said.reason}" if said.reason else said.message)
    reader = _READERS.get(said.channel)
    if reader is None:
        unknown = Unknown(f"channel {said.channel[:40]!r}")
        return [unknown] if said.sequence_num is None else [Numbered(said.sequence_num), unknown]
    try:
        return reader(frame, session, at)
    except UNREADABLE as error:
        return [Malformed(f"{said.channel}: {_short(error)}")]


def _error(session: SessionView, reason: str) -> Sequence[Event]:
    if is_farewell(reason):
        return [Goodbye(reason[:300])]
    events: list[Event] = session.memory.refused(reason[:500] or "an error without words")
    return events


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:160]
