"""What one frame of OKX says.

Frames come a few hundred thousand a second at times, so a frame of the usual form is recognised by its first bytes and
read in one go. Whatever does not fit (another order of keys, spaces, one bad row among good ones, a control message)
is read carefully, row by row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import Channel
from tickhive.plugin import (
    Accepted,
    Alive,
    Event,
    Goodbye,
    Malformed,
    Ready,
    Rejected,
    Reply,
    SessionView,
    Unknown,
    Unsubscribed,
    hookimpl,
)
from tickhive.plugin.reading import UNREADABLE, Text, brief
from tickhive_okx.channels import BY_NAME, WIRES, Key
from tickhive_okx.codes import ALREADY_LOGGED_IN, UPGRADE_NOTICE, kind_of, reason_of
from tickhive_okx.elements import fault
from tickhive_okx.pushes import Arg, Push

_HEAD = b'{"arg":{"channel":"'
_NAME_AT = len(_HEAD)
# A slice of fixed length is cheaper than a search for the closing quote, and long enough for the busiest names.
_SHORT = _NAME_AT + len(b'bbo-tbt"')
_BY_HEAD = {_HEAD + wire.name.encode(): (wire.decode, wire.build) for wire in WIRES}
_BY_START = {(head + b'","')[:_SHORT]: readers for head, readers in _BY_HEAD.items() if len(head) <= _SHORT - len(b'"')}


@hookimpl
def parse(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    """Read a frame. A bad row is Malformed by itself; the good ones beside it are kept."""
    readers = _BY_START.get(frame[:_SHORT]) or _BY_HEAD.get(frame[: frame.find(b'"', _NAME_AT)])
    if readers is not None:
        decode, build = readers
        try:
            return build(decode(frame), session, at)
        except UNREADABLE:
            pass
    return _carefully(session, frame, at)


class _Envelope(Struct, gc=False, rename="camel"):
    event: str = ""
    id: Text | None = None
    arg: Arg | None = None
    code: Text = ""
    msg: str = ""
    channel: Text = ""
    data: list[Raw] | None = None
    action: str = ""


_envelope = msgspec.json.Decoder(_Envelope, strict=False).decode


def _carefully(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    if frame == b"pong":
        return [Alive()]
    if frame == b"ping":
        return [Reply("pong")]
    try:
        envelope = _envelope(frame)
    except UNREADABLE as error:
        return [Malformed(brief(error))]
    if envelope.event:
        return _control(session, envelope)
    arg, rows = envelope.arg, envelope.data
    if arg is None or rows is None:
        return [Unknown("a frame that is neither an event nor data")]
    wire = BY_NAME.get(arg.channel)
    if wire is None:
        return [Unknown(f"channel {arg.channel}")]
    events: list[Event] = []
    for raw in rows:
        row = None
        try:
            row = wire.decode_row(raw)
            events += wire.build(Push(arg, [row], envelope.action), session, at)  # type: ignore[arg-type]
        except UNREADABLE as error:
            what = fault(row, wire.numerals, error)
            events.append(Malformed(f"{arg.channel} {arg.inst_id or arg.inst_type}: {what}"))
    return events


def _control(session: SessionView, said: _Envelope) -> Sequence[Event]:
    """Read an event: an acknowledgement for each argument, an error, a notice."""
    match said.event:
        case "subscribe":
            return [Accepted(said.id, _channels(session, said.arg))]
        case "unsubscribe":
            gone = _channels(session, said.arg)
            if said.arg is not None:
                session.memory.forget(said.arg.key)
            return [Unsubscribed(said.id, gone)]
        case "login" if said.code == "0":
            return [Ready()]
        case "error" if said.code == ALREADY_LOGGED_IN:
            return [Ready()]
        case "error" | "login":
            return [Rejected(_reason(said), kind_of(said.code), said.id, _blamed(session, said.msg))]
        case "channel-conn-count-error":
            # Another connection of the account has to end first.
            reason = f"too many connections subscribe {said.channel}"
            return [Rejected(reason, "rate", None, session.memory.carried_by(said.channel))]
        case "notice" if said.code == UPGRADE_NOTICE:
            return [Goodbye(_reason(said))]
        case "notice" | "channel-conn-count":
            return [Alive()]
        case other:
            return [Unknown(f"event {other[:40]}")]


def _reason(said: _Envelope) -> str:
    return reason_of(said.code or said.event, said.msg)


def _channels(session: SessionView, arg: Arg | None) -> Sequence[Channel]:
    """The channels behind an argument; in a recording, where nobody here asked, those its names mean."""
    if arg is None:
        return ()
    known = session.memory.carried(arg.key)
    wire = BY_NAME.get(arg.channel)
    if known or wire is None or not arg.inst_id:
        return tuple(known)
    symbol = session.instruments.symbols.get(arg.inst_id, arg.inst_id)
    return (Channel(symbol, arg.inst_id, wire.data_type, wire.params),)


_BLAME = re.compile(r"channel:\s*([\w-]{1,64}),\s*inst(?:Id|Type):\s*([\w.-]{1,64})")


def _blamed(session: SessionView, message: str) -> Sequence[Channel]:
    """The channels an error's text names: ``channel:books,instId:NOPE-USDT doesn't exist``."""
    keys: list[Key] = [(found[1], found[2]) for found in _BLAME.finditer(message[:1_000])]
    return tuple(channel for key in keys for channel in session.memory.carried(key))
