"""Case 8xx: parse costs a small multiple of what cannot be saved: decoding the bytes, building the events."""

from __future__ import annotations

import gc
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
_RESOLUTION_NS = 10_000
"""Less work than this (ns) says nothing."""


@case(
    "TH-801",
    f"parse costs at most {MOST_TIMES:g} times decoding the frames and building their events",
    reason="One process takes whole venues at their busiest minute, when falling behind costs most.",
    mend="Decode with one msgspec.json.Decoder of a typed Struct made once in the module; no json.loads, no copies, no "
    "second decoding of the same bytes.",
)
def parse_is_quick(subject: Subject) -> None:
    """The best of several rounds over the busiest frames, beside the bare decoding and as many events of nothing."""
    frames = _busiest(subject)
    views = {sample.url: subject.view() for sample in frames}
    parse = subject.stack.bound("parse")

    def parsing() -> None:
        for sample in frames:
            parse(views[sample.url], sample.frame, sample.at)

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
    spent, bare = _best(parsing), _best(yardstick)
    if bare < _RESOLUTION_NS:
        raise NotOffered("enough market data to measure")
    if spent > bare * MOST_TIMES:
        raise CaseFailed(
            f"parse takes {spent / len(frames) / 1000:.1f} µs a frame, {spent / bare:.0f} times what decoding it and "
            "building its events takes",
            "Profile parse on one frame: the usual causes are json.loads, copies, regular expressions and "
            "decoders made for each frame",
        )


def _busiest(subject: Subject) -> Sequence[Sample]:
    """Market data as it comes, so that the kinds of frames have their usual shares."""
    frames = [sample for sample in subject.samples if any(isinstance(event, MarketEvent) for event in sample.events)]
    if len(frames) < 20:
        raise NotOffered("enough market data to measure")
    return frames[: _FRAMES * max(1, len(frames) // _FRAMES) : max(1, len(frames) // _FRAMES)]


def _best(work: Callable[[], None]) -> int:
    """The quickest of several rounds (ns): what disturbs a round only makes it longer."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        rounds = []
        for _ in range(_ROUNDS):
            begun = time.perf_counter_ns()
            work()
            rounds.append(time.perf_counter_ns() - begun)
        return min(rounds)
    finally:
        if collecting:
            gc.enable()
