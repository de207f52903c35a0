"""The venue names the last trade apart from the trades: what was lost shows before the next trade comes."""

from __future__ import annotations

from typing import Any

import pytest

from tickhive.events import Gap, Trade
from tickhive.session.trade_ids import PROOF

BTC = "BTC-USDT"


def trade(number: int, **more: Any) -> dict[str, Any]:
    return {"e": "trade", "s": BTC, "id": str(number), **more}


def last(number: Any, symbol: str = BTC) -> dict[str, Any]:
    return {"e": "last", "s": symbol, "id": str(number)}


def proven(talk: Any, kind: str = "refilling") -> Any:
    """A stream whose ids are known to be consecutive, up to 100."""
    talking = talk(kind, f"trade {BTC}").open()
    talking.hear(*(trade(number) for number in range(100 - PROOF, 101)))
    return talking


def said(events: list[Any]) -> list[Any]:
    return [int(each.id) if isinstance(each, Trade) else (each.first_id, each.last_id, each.filled) for each in events]


def test_what_was_named_and_has_not_come_is_fetched(talk: Any) -> None:
    talking = proven(talk)
    assert talking.hear(last(102)) == []
    assert talking.later(0.9) == []
    assert not talking.session.fetches
    assert talking.later(0.2) == []
    fetch = talking.take_fetch()
    assert fetch.url.endswith("trades?101-102")
    found = talking.answer(fetch, trade(101), trade(102))
    assert said(found) == [101, 102, ("101", "102", "whole")]
    assert all(each.late for each in found if isinstance(each, Trade))
    # What follows on it is no jump, and what came late comes no second time.
    assert said(talking.hear(trade(103), trade(102), last(103))) == [103]
    assert talking.later(5) == []


def test_what_comes_a_moment_later_was_never_missing(talk: Any) -> None:
    talking = proven(talk)
    assert said(talking.hear(last(102), trade(101))) == [101]
    assert said(talking.hear(trade(102))) == [102]
    assert talking.later(10) == []
    assert not talking.session.fetches


def test_heartbeats_that_go_on_do_not_put_it_off(talk: Any) -> None:
    talking = proven(talk)
    for number in (102, 103, 104):
        talking.hear(last(number))
        talking.later(0.5)
    assert talking.take_fetch().url.endswith("trades?101-102")


def test_what_comes_after_it_was_asked_for_is_handed_out_once(talk: Any) -> None:
    talking = proven(talk)
    talking.hear(last(102))
    talking.later(1)
    fetch = talking.take_fetch()
    assert said(talking.hear(trade(101), trade(102), trade(103))) == [101, 102, 103]
    found = [each for each in talking.answer(fetch, trade(101), trade(102)) if isinstance(each, Trade)]
    assert found == []


def test_without_history_it_is_a_gap_with_the_ids(talk: Any) -> None:
    talking = proven(talk, "plain")
    talking.hear(last(103))
    (gap,) = talking.later(1)
    assert isinstance(gap, Gap)
    assert (gap.symbol, gap.data_type.value, gap.first_id, gap.last_id) == (BTC, "trade", "101", "103")
    assert gap.cause == "the venue's last trade is 103, and 100 the last that came"
    assert talking.session.statistics.gaps == 1
    assert talking.feed.missed_trades == {BTC: 3}
    assert said(talking.hear(trade(104), trade(102))) == [104, 102]


@pytest.mark.parametrize("named", [last(100), last(5), last("x"), last(500, "ETH-USDT")])
def test_what_says_nothing_new_is_nothing(talk: Any, named: dict[str, Any]) -> None:
    talking = proven(talk)
    talking.hear(named)
    talking.later(3)
    assert not talking.session.fetches


def test_ids_that_prove_nothing_are_left_alone(talk: Any) -> None:
    talking = talk("refilling", f"trade {BTC}").open()
    talking.hear(trade(1))
    talking.hear(last(9))
    assert talking.later(3) == []
    assert not talking.session.fetches


def test_a_lost_socket_leaves_it_to_the_interruption(talk: Any) -> None:
    talking = proven(talk)
    talking.hear(last(102))
    talking.redial()
    assert talking.later(3) == []
    assert not talking.session.fetches
