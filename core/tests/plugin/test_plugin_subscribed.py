"""Which channels share a subscription of the venue: asked for together, given up with the last."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.channels import Channel, DataType
from tickhive.plugin.subscribed import Subscribed, by_name

TICKER, QUOTE, TRADE = (
    Channel("BTC-USD", "BTC-USD", kind) for kind in (DataType.TICKER, DataType.QUOTE, DataType.TRADE)
)
OTHER = Channel("ETH-USD", "ETH-USD", DataType.TICKER)


def name_of(channel: Channel) -> tuple[str, str]:
    """Ticker and quote come by one."""
    return "trade" if channel.data_type is DataType.TRADE else "ticker", channel.native


def test_names_come_in_the_order_they_were_asked_in() -> None:
    assert list(by_name([OTHER, QUOTE, TRADE, TICKER], name_of).items()) == [
        (("ticker", "ETH-USD"), [OTHER]), (("ticker", "BTC-USD"), [QUOTE, TICKER]), (("trade", "BTC-USD"), [TRADE]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("leaving", "gone", "left"),
    [
        ([QUOTE], [], [TICKER]),
        ([TICKER, QUOTE], [TICKER, QUOTE], []),
        ([], [], [TICKER, QUOTE]),
        # Asked for or not: what nobody needs is given up at the venue.
        ([OTHER], [OTHER], [TICKER, QUOTE]),
    ],
)
def test_a_name_is_given_up_with_the_last_that_needs_it(
    leaving: list[Channel], gone: list[Channel], left: list[Channel]
) -> None:
    here = Subscribed[tuple[str, str]]()
    here.add(by_name([TICKER, QUOTE, TICKER], name_of))
    here.add(by_name([QUOTE], name_of))
    assert here.carried(("ticker", "BTC-USD")) == [TICKER, QUOTE]
    assert here.release(by_name(leaving, name_of)) == by_name(gone, name_of)
    assert list(here.carried(("ticker", "BTC-USD"))) == left
    assert not here.carried(("trade", "BTC-USD"))


steps = st.lists(st.tuples(st.booleans(), st.lists(st.sampled_from([TICKER, QUOTE, TRADE, OTHER]))))


@given(steps)
def test_the_venue_has_what_somebody_wants_and_nothing_else(steps: list[tuple[bool, list[Channel]]]) -> None:
    here = Subscribed[tuple[str, str]]()
    wanted: set[Channel] = set()
    at_the_venue: set[tuple[str, str]] = set()
    for asking, channels in steps:
        named = by_name(channels, name_of)
        if asking:
            here.add(named)
            wanted.update(channels)
            at_the_venue.update(named)
        else:
            wanted.difference_update(channels)
            at_the_venue.difference_update(here.release(named))
        assert at_the_venue == set(here.channels) == {name_of(channel) for channel in wanted}
        carried = [each for name in at_the_venue for each in here.carried(name)]
        assert Counter(carried) == Counter(wanted)
