"""However the bytes fall into reads, the splitter and the library together see what the library alone sees."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from tickhive.transport.frames import FrameSplitter

MAX = 200_000


class Receiver:
    """A client: messages in order, from the library or from splitter and library."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.handed_on = b""
        self.protocol = Protocol(CLIENT, max_size=MAX)
        self.splitter = FrameSplitter(self.other, MAX)
        self._parts: list[bytes] = []

    def other(self, data: bytes) -> bool:
        self.handed_on += data
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            assert not isinstance(event, Exception)
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):  # type: ignore[union-attr]
                self._parts.append(bytes(event.data))  # type: ignore[union-attr]
                if event.fin:  # type: ignore[union-attr]
                    self.messages.append(b"".join(self._parts))
                    self._parts = []
        return self.protocol.state is OPEN

    def outcome(self) -> tuple[Any, ...]:
        close = self.protocol.close_sent
        return self.messages, close and close.code, self.protocol.close_rcvd


def through_both(reads: list[bytes]) -> Receiver:
    receiver = Receiver()
    for read in reads:
        receiver.splitter.split(read, receiver.messages)
    return receiver


def through_library(reads: list[bytes]) -> Receiver:
    receiver = Receiver()
    receiver.other(b"".join(reads))
    return receiver


sizes = st.one_of(st.integers(0, 130), st.sampled_from([125, 126, 127, 65535, 65536, 70_000]))


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[int, int, bool, int, bool]]:
    """Frames as (opcode, size, fin, rsv, masked), most of them well-formed."""
    frames: list[tuple[int, int, bool, int, bool]] = []
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["plain", "plain", "plain", "ping", "fragments", "broken", "huge", "close"]))
        match kind:
            case "plain":
                frames.append((draw(st.sampled_from([1, 2])), draw(sizes), True, 0, False))
            case "ping":
                frames.append((draw(st.sampled_from([9, 10])), draw(st.integers(0, 125)), True, 0, False))
            case "fragments":
                frames.append((draw(st.sampled_from([1, 2])), draw(sizes), False, 0, False))
                for _ in range(draw(st.integers(0, 3))):
                    if draw(st.booleans()):
                        frames.append((9, 3, True, 0, False))
                    frames.append((0, draw(st.integers(0, 200)), False, 0, False))
                frames.append((0, draw(sizes), True, 0, False))
            case "broken":
                frames.append(draw(st.sampled_from([
                    (1, 5, True, 4, False), (2, 9, True, 1, False), (1, 4, True, 0, True), (3, 3, True, 0, False),
                    (0, 2, True, 0, False),
                    (1, 7, False, 0, False), (9, 200, True, 0, False), (9, 2, False, 0, False), (8, 1, True, 0, False),
                ])))  # fmt: skip
            case "huge":
                frames.append((2, MAX + 1, True, 0, False))
            case "close":
                frames.append((8, 0, True, 0, False))
    return frames


@given(conversations(), st.data())
def test_any_conversation_in_any_reads_means_what_it_means_to_the_library(
    wire: Any, conversation: list[tuple[int, int, bool, int, bool]], data: st.DataObject
) -> None:
    marks = itertools.count(1)
    stream = b"".join(
        wire.frame(opcode, bytes([next(marks) % 251]) * size, fin=fin, rsv=rsv, mask=masked)
        for opcode, size, fin, rsv, masked in conversation
    )
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    reads = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)]) if a < b]
    both, alone = through_both(reads), through_library(reads)
    assert both.outcome() == alone.outcome()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70_000])
@pytest.mark.parametrize("opcode", [1, 2])
def test_plain_frames_never_reach_the_library(wire: Any, size: int, opcode: int) -> None:
    both = through_both([wire.frame(opcode, b"x" * size) * 3])
    assert both.messages == [b"x" * size] * 3
    assert both.handed_on == b""


def test_one_byte_at_a_time(wire: Any) -> None:
    stream = b"".join([
        wire.frame(1, b"a" * 200), wire.frame(9, b"now"), wire.frame(2, b""), wire.frame(1, b"be", fin=False),
        wire.frame(10, b""), wire.frame(0, b"gin"), wire.frame(1, b"end"),
    ])  # fmt: skip
    both = through_both([bytes([byte]) for byte in stream])
    assert both.messages == [b"a" * 200, b"", b"begin", b"end"]


def test_a_long_frame_in_very_many_reads_is_kept_as_few_pieces(wire: Any) -> None:
    both = through_both([bytes([byte]) for byte in wire.frame(2, b"z" * 5000)])
    assert both.messages == [b"z" * 5000]


def test_a_frame_that_is_too_long_is_refused_by_its_header(wire: Any) -> None:
    both = through_both([wire.frame(1, b"ok") + wire.frame(2, b"x" * (MAX + 1))[:10]])
    assert both.messages == [b"ok"]
    assert both.protocol.close_sent is not None
    assert both.protocol.close_sent.code == 1009


def test_after_the_end_everything_goes_to_the_library(wire: Any) -> None:
    close = wire.frame(8, b"\x03\xe8")
    both = through_both([wire.frame(1, b"a") + close + wire.frame(1, b"late"), wire.frame(1, b"later")])
    assert both.messages == [b"a"]
    assert both.handed_on == close + wire.frame(1, b"late") + wire.frame(1, b"later")
