"""What goes on coming of channels that were given up is handed out no more, and nothing of them is kept."""

from __future__ import annotations

import pytest

from tickhive.events import Gap, Quote

T, U, Q, B = "trade BTC-USDT", "trade ETH-USDT", "quote BTC-USDT", "orderbook BTC-USDT"


def trade(id, s="BTC-USDT"):
    return {"e": "trade", "s": s, "id": str(id), "t": id}


QUOTE = {"e": "quote", "s": "BTC-USDT"}
BOOK = {"e": "book", "s": "BTC-USDT", "b": [["100", "1"]], "a": [["101", "1"]], "q": 5}
DELTA = {"e": "delta", "s": "BTC-USDT", "b": [["99", "1"]], "q": 6, "p": 5}


def candle(interval):
    return {"e": "candle", "s": "BTC-USDT", "i": interval, "o": 60}


def give_up(speaking, text):
    gone = next(each for each in speaking.session.channels if str(each) == text)
    speaking.session.remove([gone], speaking.at)
    return gone


def names(events):
    return [type(event).__name__ for event in events]


@pytest.mark.parametrize("kind", ["plain", "leaving"])
@pytest.mark.parametrize(
    ("text", "said"), [(T, trade(2)), (Q, QUOTE), (B, DELTA), (B, BOOK), ("candle:1m BTC-USDT", candle("1m"))]
)
def test_what_still_comes_is_not_handed_out(talk, kind, text, said):
    speaking = talk(kind, text, U).open()
    speaking.hear(trade(1), QUOTE, BOOK, candle("1m"))
    gone = give_up(speaking, text)
    speaking.later(11)
    assert names(speaking.hear(said, trade(3, "ETH-USDT"), said)) == ["Trade"]
    assert speaking.feed.books == {} or text != B
    speaking.session.add([gone], speaking.at)
    assert names(speaking.hear(said))[-1:] != []


def test_the_other_interval_and_depth_go_on(talk):
    speaking = talk("plain", "candle:1m BTC-USDT", "candle:5m BTC-USDT", B, "orderbook:5 BTC-USDT").open()
    shallow = {**BOOK, "depth": 5}
    assert len(speaking.hear(candle("1m"), candle("5m"), BOOK, shallow)) == 4
    give_up(speaking, "candle:1m BTC-USDT")
    give_up(speaking, "orderbook:5 BTC-USDT")
    assert names(speaking.hear(candle("1m"), candle("5m"), shallow, DELTA)) == ["Candle", "BookDelta"]


def test_a_channel_for_all_symbols_is_given_up_with_all_of_them(talk):
    speaking = talk("plain", "quote *", U).open()
    ether = {"e": "quote", "s": "ETH-USDT"}
    assert len(speaking.hear(QUOTE, ether)) == 2
    give_up(speaking, "quote *")
    assert names(speaking.hear(QUOTE, ether, trade(1, "ETH-USDT"), {"e": "quote", "s": "X-USDT"})) == ["Trade"]
    assert speaking.feed.continuity.keys(Quote) == set()


def test_the_hole_of_a_channel_given_up_is_forgotten(talk):
    speaking = talk("refilling", T, U).open()
    speaking.hear(*[trade(number) for number in range(1, 40)], trade(50))
    (fetch,) = speaking.session.fetches
    give_up(speaking, T)
    assert speaking.answer(fetch, trade(40), trade(41)) == []
    assert speaking.later(60) == []
    assert speaking.feed.missed_trades == {}


def test_events_nobody_asked_for_are_let_through(talk):
    speaking = talk("plain", U).open()
    assert names(speaking.hear(trade(1), QUOTE)) == ["Trade", "Quote"]


def test_a_channel_that_moves_to_another_socket_comes_from_there_alone(talk):
    one = talk("plain", T, Q).open()
    one.hear({"e": "ok", "id": "1"}, trade(1), QUOTE)
    two = one.twin(T)
    two.hear({"e": "ok", "id": "1"})
    give_up(one, T)
    assert not one.session.overlaps or one.later(11) == []
    assert names(two.hear(trade(2))) == ["Trade"]
    assert one.hear(trade(2), trade(3)) == []
    assert names(two.hear(trade(3))) == ["Trade"]


def test_a_channel_that_is_given_up_before_the_other_socket_has_it_leaves_a_hole_that_is_told(talk):
    one = talk("plain", T, Q).open()
    one.hear({"e": "ok", "id": "1"}, {"e": "trade", "s": "BTC-USDT", "id": "a"})
    two = one.twin(T)
    give_up(one, T)
    two.hear({"e": "ok", "id": "1"})
    gap, _ = two.hear({"e": "trade", "s": "BTC-USDT", "id": "c"})
    assert isinstance(gap, Gap)
    assert (gap.first_id, gap.last_id) == ("a", "c")


def test_nothing_is_kept_of_channels_that_come_and_go(talk):
    speaking = talk("leaving", U).open()
    other = speaking.twin()
    for each in (speaking, other):
        each.hear({"e": "ok", "id": "1"})
    sizes = set()
    for number in range(20):
        symbol = f"X{number}-USDT"
        channels = talk("plain", f"trade {symbol}", f"orderbook {symbol}", f"quote {symbol}").session.channels
        for each in (speaking, other):
            each.session.add(channels, each.at)
            each.hear(trade(1, symbol), trade(2, symbol), {**BOOK, "s": symbol}, {**QUOTE, "s": symbol})
        for each in (speaking, other):
            each.session.remove(channels, each.at)
            each.later(11)
            each.sent()
        asking, feed, doubles = speaking.session.asking, speaking.feed, speaking.feed.doubles
        kept = [asking._topics, asking._leaving, asking._by_channel, feed.books, doubles._ids, doubles._echoes]
        kept += [feed.continuity.interrupted, speaking.session.line.first, *speaking.session.line.last.values()]
        sizes.add(tuple(map(len, kept)))
    assert len(sizes) == 1, sizes
