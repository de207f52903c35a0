from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tickhive.events import Gap, MarkPrice
from tickhive.spool.buffer import Buffer

BOUND = 4
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.sampled_from("AB"), max_size=5)),
        st.tuples(st.just("take"), st.integers(1, 3)),
        st.tuples(st.just("settle"), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_every_event_comes_out_in_order_or_is_counted_by_a_gap_in_its_place(steps: list[tuple[str, Any]]) -> None:
    buffer = Buffer(BOUND)
    put = 0
    out: list[Any] = []
    taken = 0
    for step, argument in [*steps, *[("settle", None), ("take", 100)] * 3, ("settle", None)]:
        if step == "put":
            events: list[Any] = [
                MarkPrice("acme", symbol, None, put + i, Decimal(1)) for i, symbol in enumerate(argument)
            ]
            put += len(events)
            empty = buffer.waiting == 0
            assert buffer.put(events, "full") == empty
        elif step == "take" and not taken:
            found = buffer.take(argument)
            taken = len(found)
            out += found
        elif step == "settle":
            buffer.settle(taken, at=put)
            taken = 0
        assert buffer.held <= BOUND

    assert buffer.held == 0
    lost = 0
    expected = 0
    for event in out:
        if isinstance(event, Gap):
            lost += int(event.cause.split()[1])
        else:
            assert event.received >= expected
            expected = event.received + 1
    gaps = [event for event in out if isinstance(event, Gap)]
    kept = {event.received for event in out if not isinstance(event, Gap)}
    assert len(kept) + lost == put
    assert all(gap.start not in kept and gap.end not in kept for gap in gaps)
    # A Gap stands where its events would have stood.
    for position, event in enumerate(out):
        if isinstance(event, Gap):
            earlier = [other.received for other in out[:position] if not isinstance(other, Gap)]
            assert all(received < event.start for received in earlier)
            later = [other.received for other in out[position:] if not isinstance(other, Gap)]
            assert all(event.end < received for received in later)
