"""What one frame of Binance says.

Frames come a few hundred thousand a second at times: what to do with those of a stream is remembered by the frame's
first bytes, so that one is read in one go. Whatever does not fit (a bare payload, an array, a control message, another
order of keys) is read carefully, payload by payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from tickhive.plugin import (
    EVERY,
    Accepted,
    Alive,
    Event,
    Goodbye,
    InstrumentUpdate,
    Malformed,
    Rejected,
    SessionView,
    Unknown,
    Unsubscribed,
    hookimpl,
)
from tickhive.plugin.reading import NS_PER_MS, UNREADABLE, Int64, Text, brief
from tickhive_binance.account import EVENTS as ACCOUNT_EVENTS
from tickhive_binance.codes import kind_of, reason_of
from tickhive_binance.instruments import ContractRow, contract
from tickhive_binance.streams import LISTINGS, Memory, remember, target_for, word_of

_NAME_AT = len(b'{"stream":"')

_KINDS = {
    "trade": "trade",
    "aggTrade": "aggTrade",
    "bookTicker": "bookTicker",
    "depthUpdate": "depth",
    "kline": "kline",
    "24hrTicker": "ticker",
    "24hrMiniTicker": "miniTicker",
    "markPriceUpdate": "markPrice",
    "indexPriceUpdate": "indexPrice",
    "forceOrder": "forceOrder",
}
"""The kind of stream a payload is of, by the name of its event."""


@hookimpl
def parse(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    """Read a frame. A bad row is Malformed by itself; the good ones beside it are kept."""
    target = session.memory.targets.get(frame[: frame.find(b'"', _NAME_AT)])
    if target is not None:
        try:
            return target.build(target.decode(frame).data, target, session.exchange, at)  # type: ignore[no-any-return]
        except UNREADABLE:
            pass
    return _carefully(session, frame, at)


class _Error(Struct, gc=False):
    code: Int64 = 0
    msg: str = ""


_ABSENT = Raw()


class _Envelope(Struct, gc=False):
    stream: Text = ""
    data: Raw = _ABSENT
    e: Text = ""
    event: Raw = _ABSENT
    id: int | Text | None = None
    result: Raw = _ABSENT
    status: Int64 = 200
    code: Int64 | None = None
    msg: str = ""
    error: _Error | None = None


class _Glance(Struct, gc=False):
    """What tells payloads apart: the event, the symbol, the family (USD-M and COIN-M share arrays)."""

    e: Text = ""
    s: Text = ""
    st: Int64 = 0
    u: Int64 | None = None
    i: Any = None
    o: Any = None

    @property
    def native(self) -> str:
        """The symbol, wherever it stands."""
        if self.s:
            return self.s
        if isinstance(self.o, dict):
            return str(self.o.get("s", ""))[:64]
        return self.i[:64] if isinstance(self.i, str) else ""


_envelope = msgspec.json.Decoder(_Envelope).decode
_rows = msgspec.json.Decoder(list[Raw]).decode
_glance = msgspec.json.Decoder(_Glance).decode
_contract_row = msgspec.json.Decoder(ContractRow).decode


def _carefully(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    try:
        if frame[:1] == b"[":
            return _payload(session, "", frame, at)
        envelope = _envelope(frame)
        if envelope.stream and bytes(envelope.data):
            return _combined(session, envelope.stream, frame, bytes(envelope.data), at)
        if bytes(envelope.event):
            return _payload(session, "", bytes(envelope.event), at)
        if not envelope.e and (envelope.code is not None or envelope.error is not None):
            return _refused(session, envelope)
        if not envelope.e and bytes(envelope.result):
            return _confirmed(session, envelope)
        return _payload(session, "", frame, at)
    except UNREADABLE as error:
        return [Malformed(brief(error))]


def _combined(session: SessionView, name: str, frame: bytes, data: bytes, at: int) -> Sequence[Event]:
    """A payload under the name of its stream; the next one of it is read in one go."""
    target = None if name[0] == "!" or data[:1] == b"[" else target_for(session, name)
    if target is None:
        return _payload(session, name, data, at)
    try:
        events = target.build(target.decode(frame).data, target, session.exchange, at)
    except UNREADABLE as error:
        return [Malformed(f"{name}: {brief(error)}")]
    head = frame[: frame.find(b'"', _NAME_AT)]
    if head == b'{"stream":"' + name.encode():
        remember(session, head, name, target)
    return events


def _payload(session: SessionView, name: str, data: bytes, at: int) -> Sequence[Event]:
    """One payload or an array of them, known by what they say of themselves; under a name they are what it says."""
    word = word_of(name)
    if data[:1] != b"[":
        return _row(session, name, word, data, at)
    events: list[Event] = []
    for raw in _rows(data):
        try:
            events += _row(session, name, word, bytes(raw), at)
        except UNREADABLE as error:
            events.append(Malformed(f"{name or 'a row'}: {brief(error)}"))
    return events


def _row(session: SessionView, name: str, word: str, data: bytes, at: int) -> Sequence[Event]:
    glance = _glance(data)
    market = session.settings.market
    if glance.st and market.family and glance.st != market.family:
        return ()
    if glance.e == "serverShutdown":
        return [Goodbye("serverShutdown")]
    if glance.e == "contractInfo":
        return _listing(session, data, at)
    reader = ACCOUNT_EVENTS.get(glance.e)
    if reader is not None:
        return reader(session, data, at)
    kind = _KINDS.get(glance.e, "")
    if not glance.e and glance.s and glance.u is not None:
        kind = "bookTicker"
    # Several streams share an event: books with RPI orders say `depthUpdate` too, and are numbered by themselves.
    meant = kind and (not name or kind == word)
    target = target_for(session, name, kind, glance.native, whole=False) if meant else None
    if target is None:
        return [Unknown(f"{name or 'a payload'}: event {glance.e or 'without a name'}"[:160])]
    return target.build(target.decode(data), target, session.exchange, at)


def _listing(session: SessionView, data: bytes, at: int) -> Sequence[Event]:
    """``!contractInfo`` tells of all instruments: what was asked for by name, or all where a channel is for all."""
    row = _contract_row(data)
    channels = session.memory.carried(LISTINGS)
    if channels and not any(channel.native == row.s or channel.symbol == EVERY for channel in channels):
        return ()
    found = contract(session.exchange, session.settings.market, row, session.instruments)
    if found is None:
        return [Unknown(f"contract {row.s} of type {row.ct}")]
    return [InstrumentUpdate(session.exchange, found.symbol, row.E * NS_PER_MS, at, found)]


def _confirmed(session: SessionView, said: _Envelope) -> Sequence[Event]:
    """The answer to a request. That it is positive proves nothing about the names in it."""
    memory: Memory = session.memory
    id = None if said.id is None else str(said.id)
    if id is not None and id in memory.leaving:
        memory.leaving.discard(id)
        return [Unsubscribed(id)]
    if session.dial is not None and session.dial.key.startswith("account"):
        memory.user_data = True
    return [Accepted(id)] if id is not None else [Alive()]


def _refused(session: SessionView, said: _Envelope) -> Sequence[Event]:
    """An error, bare or wrapped; only some name the request, and only the WebSocket API tells a status."""
    error = said.error if said.error is not None else _Error(said.code or 0, said.msg)
    id = None if said.id is None else str(said.id)
    return [Rejected(reason_of(error.code, error.msg), kind_of(error.code, said.status), id)]
