"""The times a frame says are found, whatever form the venue writes them in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.testing.times import nearest, times_in

TIME = 1_790_000_000_123_456_789


@pytest.mark.parametrize(
    ("frame", "time"),
    [
        (b'{"t":1790000000}', 1_790_000_000_000_000_000),
        (b'{"t":"1790000000.123456789"}', TIME),
        (b'{"t":1790000000123}', 1_790_000_000_123_000_000),
        (b'{"t":"1790000000123.4567"}', 1_790_000_000_123_456_700),
        (b'{"t":1790000000123456}', 1_790_000_000_123_456_000),
        (b'["trade",1790000000123456789]', TIME),
        (b'{"t":"2026-09-21T14:13:20.123456789Z"}', TIME),
        (b'{"t":"2026-09-21 14:13:20.123"}', 1_790_000_000_123_000_000),
        (b'{"t":"2026-09-21T22:13:20+08:00"}', 1_790_000_000_000_000_000),
        (b'{"t":"2026-09-21T10:43:20.5-03:30"}', 1_790_000_000_500_000_000),
        (b"52=20260921-14:13:20.123|", 1_790_000_000_123_000_000),
    ],
)
def test_a_time_is_found(frame: bytes, time: int) -> None:
    assert time in times_in(frame)


@pytest.mark.parametrize(
    "frame", [b"", b'{"p":"60000.1"}', b'{"id":123456789012}', b'{"t":"2026-13-41T99:00:00Z"}', b"a1790000000b"]
)
def test_what_is_no_time_is_not(frame: bytes) -> None:
    assert not times_in(frame)


@given(st.lists(st.integers(0, 2**62), unique=True), st.integers(0, 2**62))
def test_the_nearest_is_as_near_as_any(times: list[int], time: int) -> None:
    found = nearest(sorted(times), time)
    assert found == min(times, key=lambda each: abs(each - time), default=None) or (
        found is not None and abs(found - time) == min(abs(each - time) for each in times)
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_read(frame: bytes) -> None:
    assert list(times_in(frame)) == sorted(times_in(frame))
