"""Case 8xx: parse costs a small multiple of what cannot be saved: decoding the bytes, building the events."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from tickhive.events import MarketEvent, Trade
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.samples import Sample
from tickhive.testing.subject import Subject

MOST_TIMES = 6.0
"""A floor, not a goal: good plugins cost one to two times the yardstick."""

_FRAMES = 300
_ROUNDS = 9
_SECONDS, _DOUBTFUL_SECONDS = 0.25, 2.0
"""It is measured for so long at least; the second where it would fail."""
_RESOLUTION_NS = 10_000
"""Less work than this (ns) says nothing."""


@case(
    "TH-801",
    f"parse costs at most {MOST_TIMES:g} times decoding the frames and building their events",
    reason="One process takes whole venues at their busiest minute, when falling behind costs most.",
    mend="Decode with one msgspec.json.Decoder of a typed Struct made once in the module; no json.loads, no copies, no "
    "second decoding of the same bytes.",
)
def parse_is_quick(subject: Subject) -> str:
    """The quickest of many short rounds over busy frames, beside the quickest of as many of the bare decoding and
    building of events, which take turns with them. What is too slow is measured for longer before it counts. The table
    says how many times the yardstick it was.
    """
    frames = _busiest(subject)
    views = {sample.socket: subject.view(dial=sample.dial) for sample in frames}
    parse = subject.stack.bound("parse")

    def parsing() -> None:
        for sample in frames:
            parse(views[sample.socket], sample.frame, sample.at)

    decode = msgspec.json.decode

    def yardstick() -> None:
        for sample in frames:
            decode(sample.frame)
            for _ in sample.events:
                Trade("exchange", "symbol", 1, 2, "3", "buy", Decimal("61034.1"), Decimal("0.25"))

    try:
        yardstick()
    except msgspec.DecodeError:
        raise NotOffered("frames of JSON to compare with") from None
    spent, bare = _best(parsing, yardstick)
    if bare < _RESOLUTION_NS:
        raise NotOffered("enough market data to measure")
    if spent > bare * MOST_TIMES:
        raise CaseFailed(
            f"parse takes {spent / len(frames) / 1000:.1f} µs a frame, {spent / bare:.1f} times what decoding it and "
            "building its events takes",
            "Profile parse on one frame: the usual causes are json.loads, copies, regular expressions and "
            "decoders made for each frame",
        )
    return f"{spent / bare:.1f} times the yardstick, {spent / len(frames) / 1000:.1f} µs a frame"


def _busiest(subject: Subject) -> Sequence[Sample]:
    """Market data as it comes, so that the kinds of frames have their usual shares."""
    frames = [sample for sample in subject.samples if any(isinstance(event, MarketEvent) for event in sample.events)]
    if len(frames) < 20:
        raise NotOffered("enough market data to measure")
    return frames[: _FRAMES * max(1, len(frames) // _FRAMES) : max(1, len(frames) // _FRAMES)]


def _best(parsing: Callable[[], None], yardstick: Callable[[], None]) -> tuple[int, int]:
    """The quickest round of each (ns): what disturbs a round only makes it longer."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        spent = bare = sys.maxsize
        begun = time.perf_counter()
        done, enough = 0, 0.0
        while done < _ROUNDS or time.perf_counter() - begun < enough:
            bare, spent = min(bare, _timed(yardstick)), min(spent, _timed(parsing))
            done, enough = done + 1, _SECONDS if spent <= bare * MOST_TIMES else _DOUBTFUL_SECONDS
        return spent, bare
    finally:
        if collecting:
            gc.enable()


def _timed(work: Callable[[], None]) -> int:
    begun = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - begun
