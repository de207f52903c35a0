"""What was handed out late is remembered as runs, a bounded number of them for each stream."""

from __future__ import annotations

from tickhive.session.handed_late import HandedLate


def test_only_what_lies_within_one_run_was_handed_out_late() -> None:
    late = HandedLate()
    late.add("A", [(5, 9), (12, 14)])
    assert late.holds("A", 5, 9)
    assert not late.holds("A", 8, 13)
    assert not late.holds("B", 5, 6)
    late.forget("A")
    assert not late.holds("A", 5, 6)


def test_what_lies_far_back_is_forgotten() -> None:
    late = HandedLate()
    for number in range(1000):
        late.add("A", [(10 * number, 10 * number + 1)])
    held = [number for number in range(1000) if late.holds("A", 10 * number, 10 * number + 1)]
    assert held == list(range(1000 - len(held), 1000))
    assert 100 < len(held) < 1000
