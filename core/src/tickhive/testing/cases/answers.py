"""Cases 5xx, continued: one confirmation confirms one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tickhive.channels import Channel
from tickhive.plugin.contract import Accepted
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.cases.conversation import states
from tickhive.testing.observing import Recorder
from tickhive.testing.rehearsal import peeked
from tickhive.testing.subject import Subject
from tickhive.testing.wire import Parcel, Wire

_SECONDS = 2.0


@case(
    "TH-508",
    "one confirmation confirms one request",
    reason="A request that was lost, or never answered, is asked again only as long as nothing has confirmed it.",
    mend="Answer Accepted with the id of the one request, or with the channels that the frame names, and no others.",
    hooks=("subscribe", "venue"),
)
def confirmations_confirm_one(subject: Subject) -> None:
    """Let the first confirmation of each socket through, hold back the others and all data, and look at the ledger."""
    recorder = Recorder()
    rehearsal = subject.rehearse(recorder)
    channels = subject.streams(rehearsal, limit=2)
    if not channels:
        raise NotOffered("a stream at the simulated venue")
    first: dict[int, bytes] = {}
    held: dict[int, int] = {}

    def carry(wire: Wire, parcel: Parcel) -> Sequence[Parcel]:
        events = peeked(rehearsal, wire, parcel.frame)
        if not any(isinstance(event, Accepted) for event in events):
            # What says nothing of a channel keeps the conversation going; data would confirm it as well.
            return () if any(hasattr(event, "symbol") for event in events) else (parcel,)
        if first.setdefault(wire.number, parcel.frame) is parcel.frame:
            return (parcel,)
        held[wire.number] = held.get(wire.number, 0) + 1
        return ()

    rehearsal.carrier = carry
    rehearsal.start(channels)
    rehearsal.run(_SECONDS)
    if not held:
        raise NotOffered("several confirmations on one socket")
    for wire in rehearsal.sockets():
        groups = _asked(recorder, wire)
        if wire.number not in held or len(groups) < 2:
            continue
        known = states(rehearsal, wire.dial.channels)
        confirmed = [group for group in groups if all(known.get(each) == "acknowledged" for each in group)]
        if len(confirmed) > 1 and len(confirmed) == len(groups):
            raise CaseFailed(
                f"one confirmation arrived for {len(groups)} requests, and all of them count as confirmed, "
                f"{groups[-1][-1]} for one",
                "Answer Accepted(id) with the id the frame echoes; leave channels out, or name only those of that "
                "request",
            )


def _asked(recorder: Recorder, wire: Wire) -> list[list[Channel]]:
    """The channels of each request of a socket."""
    calls: list[Any] = [
        call for call in recorder.of("subscribe") if call.arguments["session"].dial.key == wire.dial.key
    ]
    return [list(request.channels) for call in calls for request in call.answer or () if request.channels]
