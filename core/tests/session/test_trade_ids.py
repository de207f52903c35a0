"""Consecutive trade ids: when a stream is known to have them, and what a jump then means."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.events import Quote, Trade
from tickhive.session.trade_ids import PROOF, Jump, Stray, TradeIds

ONE = Decimal(1)


def trade(id: int | str, count: int = 1, symbol: str = "BTC-USDT") -> Trade:
    return Trade("acme", symbol, 1, 1, str(id), "buy", ONE, ONE, count)


def after_proof() -> TradeIds:
    ids = TradeIds()
    assert ids.check([trade(id) for id in range(100 - PROOF, 101)]) == []
    return ids


def test_so_many_steps_and_no_fewer_are_a_proof():
    ids = TradeIds()
    ids.check([trade(id) for id in range(100 - PROOF, 100)])
    assert not ids.consecutive("BTC-USDT")
    ids.check([trade(100)])
    assert ids.consecutive("BTC-USDT")
    assert not ids.consecutive("ETH-USDT")


@pytest.mark.parametrize(
    ("trades", "missing"),
    [
        ([trade(101)], []),
        ([trade(103, count=3)], []),
        ([trade(102)], [(101, 101)]),
        ([trade(110, count=3), trade(111)], [(101, 107)]),
        ([trade(102), trade(104)], [(101, 101), (103, 103)]),
        ([trade(102, count=4), trade(103)], []),  # merged with known ones: nothing lies in between
        ([trade("x"), trade(101)], []),
        ([trade(500, symbol="ETH-USDT")], []),
        ([Quote("acme", "BTC-USDT", 1, 1, ONE, ONE, ONE, ONE), trade(101)], []),
    ],
)
def test_a_jump_in_proven_ids_names_what_is_missing(trades, missing):
    assert [(jump.first, jump.last) for jump in after_proof().check(trades)] == missing


def test_a_jump_knows_the_trades_on_both_sides():
    ids = after_proof()
    last, late = trade(101), trade(105)
    ids.check([last])
    assert ids.check([late]) == [Jump(last, late, 102, 104)]


def test_a_trade_below_the_highest_is_astray_and_changes_nothing():
    ids = after_proof()
    early = trade(90)
    assert ids.check([early]) == [Stray(early, 90, known=True)]
    ids.refilling("BTC-USDT")
    assert ids.check([early]) == [Stray(early, 90, known=True)]
    assert ids.check([trade(101)]) == []


def test_a_jump_makes_what_follows_in_the_same_read_count() -> None:
    ids = after_proof()
    assert [type(odd) for odd in ids.check([trade(105), trade(103)])] == [Jump, Stray]


def test_ids_that_are_not_consecutive_are_read_no_more_until_something_is_refilled() -> None:
    ids = TradeIds()
    ids.check([trade(id) for id in range(0, 100, 10)])
    assert ids.check([trade(200), trade(150)]) == []
    assert ids.highest("BTC-USDT") == 150
    ids.check([trade(300)])
    ids.refilling("BTC-USDT")
    assert ids.highest("BTC-USDT") == 300
    assert [type(odd) for odd in ids.check([trade(250)])] == [Stray]


def test_after_a_lost_socket_the_next_id_is_no_jump():
    ids = after_proof()
    ids.pause("BTC-USDT")
    ids.refilling("BTC-USDT")
    assert ids.highest("BTC-USDT") == 100
    assert [type(odd) for odd in ids.check([trade(100), trade(150), trade(151), trade(153)])] == [Stray, Jump]


def test_numbers_that_start_again_are_learned_again():
    ids = after_proof()
    ids.check([trade(id) for id in range(1, 50)] * 21)
    assert ids.highest("BTC-USDT") < 50
    ids.check([trade(id) for id in range(50, 100)])
    assert ids.consecutive("BTC-USDT")


def test_a_jump_before_the_proof_doubles_what_it_takes():
    ids = TradeIds()
    ids.check([trade(id) for id in (1, *range(10, 11 + PROOF))])
    assert not ids.consecutive("BTC-USDT")
    ids.check([trade(id) for id in range(11 + PROOF, 11 + 2 * PROOF)])
    assert ids.consecutive("BTC-USDT")


@pytest.mark.parametrize(
    ("before", "span"),
    [
        ([trade(id) for id in range(1, 2 + PROOF)], (1, 200)),
        ([trade(3, count=3), *(trade(id) for id in range(4, 5 + PROOF))], (1, 200)),
        ([trade(1), *(trade(id) for id in range(10, 11 + 2 * PROOF))], (10, 200)),  # nobody knows of what was before
        ([trade("x"), *(trade(id) for id in range(10, 11 + 4 * PROOF))], (10, 200)),
        ([trade(1), trade(5)], None),
        ([], None),
    ],
)
def test_the_span_of_ids_that_are_all_trades(before, span):
    ids = TradeIds()
    ids.check(before)
    ids.check([trade(200)])
    ids.pause("BTC-USDT")
    assert ids.span("BTC-USDT") == span


@pytest.mark.parametrize("start", [TradeIds, after_proof])
@pytest.mark.parametrize(("id", "count"), [(None, 1), ([], 1), (7, 1), ("150", None), ("150", "2"), ("150", [])])
def test_a_trade_that_breaks_the_contract_harms_nothing(start, id, count):
    ids = start()
    broken = Trade("acme", "BTC-USDT", 1, 1, id, "buy", ONE, ONE, count)
    assert ids.check([broken, broken]) == []
    ids.pause("BTC-USDT")
    ids.refilling("BTC-USDT")
    assert ids.check([broken]) == []
    assert ids.highest("BTC-USDT") == (100 if start is after_proof else 0)


def test_ids_that_are_no_numbers_are_never_odd():
    ids = TradeIds()
    assert ids.check([trade(f"a-{id}") for id in range(50)]) == []
    assert ids.check([trade(id) for id in range(50)]) == []
    assert not ids.consecutive("BTC-USDT")


def test_of_a_refilled_stream_whose_ids_jump_every_id_is_compared():
    ids = TradeIds()
    ids.check([trade(id) for id in range(0, 100, 10)])
    ids.refilling("BTC-USDT")
    assert ids.check([trade(id) for id in range(100, 200, 10)]) == []
    assert ids.highest("BTC-USDT") == 190
    assert [odd.number for odd in ids.check([trade(185), trade(200), trade(190), trade("x")])] == [185, 190]
    ids.pause("BTC-USDT")
    assert ids.check([trade(300), trade(310)]) == []


@given(st.lists(st.integers(1, PROOF - 2), min_size=1, max_size=40))
def test_ids_that_jump_before_any_proof_are_never_accused(runs):
    ids, id = TradeIds(), 0
    for run in runs:
        id += 5
        events = [trade(id + step) for step in range(run)]
        id += run
        assert ids.check(events) == []
    assert not ids.consecutive("BTC-USDT")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=60), st.integers(1, 7))
def test_every_lost_id_is_named_once_however_the_trades_are_read(steps, size):
    """``steps``: ids lost before a trade, and executions merged into it."""
    ids, id, trades, lost = after_proof(), 100, [], set()
    for missing, count in steps:
        lost |= set(range(id + 1, id + missing + 1))
        id += missing + count
        trades.append(trade(id, count))
    jumps = [jump for at in range(0, len(trades), size) for jump in ids.check(trades[at : at + size])]
    named = [id for jump in jumps for id in range(jump.first, jump.last + 1)]
    assert sorted(named) == sorted(lost)
