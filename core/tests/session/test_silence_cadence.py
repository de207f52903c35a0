"""The learned cadence: right for streams of every kind, and seldom wrong about silence."""

from __future__ import annotations

import itertools
import random

import pytest

from tickhive.session.cadence import Cadence

SECOND = 10**9


def poisson(chance, interval):
    while True:
        yield chance.expovariate(1 / interval)


def regular(chance, interval):
    while True:
        yield interval * chance.uniform(0.98, 1.02)


def bursty(chance, interval):
    """Bursts of ten on average, a hundred times as dense as the pauses between them."""
    while True:
        yield chance.expovariate(1 / interval) * (10 if chance.random() < 0.1 else 0.1)


def looked_at(gaps, seconds, fallback):
    """Look at a stream every second; answers the cadence and how often its silence was taken for death."""
    cadence, alarms, last, at = Cadence(), 0, 0, 0
    following = int(next(gaps) * SECOND)
    warned = False
    for at in range(SECOND, int(seconds) * SECOND, SECOND):
        while following <= at:
            # Precise to the moment: whether the limit passed before the event came.
            last, warned = following, False
            following += max(1, int(next(gaps) * SECOND))
        if last:
            cadence.look(last, 0, at)
        limit = max(fallback, cadence.patience) if cadence.limit is None else cadence.limit
        if not warned and at - last >= limit * SECOND:
            warned = True
            alarms += 1
    return cadence, alarms


# Kind, interval in seconds, how long to watch, what to learn (from, to), most false alarms a day of one channel.
STREAMS = [
    (poisson, 0.05, 3600, (0.04, 0.07), 0),
    (poisson, 1.0, 36_000, (0.6, 1.6), 8),
    (poisson, 20.0, 200_000, (10, 35), 1.5),
    (poisson, 180.0, 600_000, (80, 320), 0.3),
    (regular, 0.1, 3600, (0.03, 0.07), 0),
    (regular, 10.0, 86_400, (4, 6.5), 0),
    (regular, 60.0, 200_000, (27, 34), 0),
    (bursty, 1.0, 36_000, (1, 40), 8),
    (bursty, 20.0, 400_000, (20, 400), 1.5),
]


@pytest.mark.parametrize(("kind", "interval", "seconds", "learned", "most"), STREAMS)
def test_it_learns_the_interval_and_seldom_cries_wolf(kind, interval, seconds, learned, most):
    days, alarms = 0.0, 0
    for seed in range(3):
        cadence, found = looked_at(kind(random.Random(seed), interval), seconds, 600.0)
        assert learned[0] <= cadence.interval <= learned[1]
        assert cadence.limit == max(5.0, 10 * cadence.interval)
        alarms, days = alarms + found, days + seconds / 86_400
    assert alarms <= most * days, f"{alarms / days:.1f} a day"


def test_little_seen_is_nothing_known():
    cadence = Cadence()
    for second in range(1, 8):
        cadence.look(second * SECOND - 1, 0, second * SECOND)
    assert (cadence.interval, cadence.limit) == (None, None)
    for second in range(8, 14):
        cadence.look(second * SECOND - 1, 0, second * SECOND)
    assert cadence.limit == 5.0


def test_an_outage_hardly_teaches_that_outages_are_usual():
    looks = itertools.count(SECOND, SECOND)
    cadence = Cadence()
    for at in itertools.islice(looks, 300):
        cadence.look(at - SECOND // 10, 0, at)
    last = at - SECOND // 10
    for at in itertools.islice(looks, 60):
        cadence.look(last, 0, at)
        assert cadence.limit == 5.0
    for at in itertools.islice(looks, 120):
        cadence.look(at - SECOND // 10, 0, at)
    assert cadence.limit < 15


def test_outages_now_and_then_move_no_limit():
    cadence, last, limits = Cadence(), 0, set()
    for at in range(SECOND, 1450 * SECOND, SECOND):
        usual = at % (290 * SECOND) < 200 * SECOND
        last = at - at % (3 * SECOND) if usual else last
        cadence.look(last, 0, at)
        if not usual:
            limits.add(round(cadence.limit))
    assert max(limits) - min(limits) <= 2


def test_a_market_that_turns_quiet_is_learned_within_a_few_intervals():
    cadence, at = Cadence(), 0
    for at in range(SECOND, 300 * SECOND, SECOND):
        cadence.look(at - SECOND // 10, 0, at)
    alarms, last, warned = 0, at, False
    for at in range(300 * SECOND, 3300 * SECOND, SECOND):
        if at - last >= 60 * SECOND:
            last, warned = at, False
        cadence.look(last, 0, at)
        if not warned and at - last >= cadence.limit * SECOND:
            alarms, warned = alarms + 1, True
    assert alarms <= 6
    assert cadence.limit > 200


def test_a_pause_of_the_looker_teaches_nothing():
    cadence = Cadence()
    for at in range(SECOND, 100 * SECOND, SECOND):
        cadence.look(at - SECOND // 10, 0, at)
    before = cadence.interval
    cadence.look(at - SECOND // 10, 0, at + 3600 * SECOND)
    cadence.look(at + 3600 * SECOND, 0, at + 3601 * SECOND)
    cadence.look(at + 3602 * SECOND, 0, at + 3602 * SECOND)
    assert cadence.interval == pytest.approx(before, rel=0.2)
