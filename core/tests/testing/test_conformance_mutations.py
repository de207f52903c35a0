"""Spoilt frames are many, of many kinds, and the same for the same seed."""

from __future__ import annotations

import json
import random

import pytest

from tickhive.testing import mutations

FRAMES = [b'{"kind":"trade","rows":[["1","2.5",{"x":null}]],"time":17}', b"\x00\x01binary\xff", b"[]"]


def test_a_seed_decides_everything() -> None:
    one, two, other = (list(mutations.mutations(FRAMES, random.Random(seed), 300)) for seed in (1, 1, 2))
    assert one == two
    assert one != other
    assert len(set(one)) > 150
    assert all(isinstance(frame, bytes) for frame in one)


@pytest.mark.parametrize("change", [mutations.swap_value, mutations.drop_key])
def test_changed_frames_are_still_frames(change: object) -> None:
    chance = random.Random(5)
    before = json.loads(FRAMES[0])
    for _ in range(50):
        after = json.loads(change(FRAMES[0], FRAMES, chance))  # type: ignore[operator]
        assert after != before


@pytest.mark.parametrize(
    "change",
    [mutations.cut, mutations.flip, mutations.splice, mutations.repeat_part, mutations.swap_value, mutations.drop_key],
)
@pytest.mark.parametrize("frame", [b"", b"x", *FRAMES])
def test_no_frame_is_too_odd_to_be_spoilt(change: object, frame: bytes) -> None:
    for seed in range(20):
        assert isinstance(change(frame, FRAMES, random.Random(seed)), bytes)  # type: ignore[operator]
