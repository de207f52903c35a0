"""Which socket each channel gets: nobody is moved, names stay together, limits are kept, keys are stable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.channels import Channel, DataType
from tickhive.plugin import Dial
from tickhive.plugin.spreading import Seat, Shard, spread

ROOM = {"books": 2, "bytes": 100}


def channel(text: str) -> Channel:
    """``BTC.trade``: a symbol and a data type."""
    symbol, _, kind = text.partition(".")
    return Channel(symbol, symbol, DataType(kind or "trade"))


def dials_of(shards: Iterable[Shard]) -> list[Dial]:
    return [Dial(shard.key, ["wss://stream.acme.test"], shard.channels) for shard in shards]


def placed(shards: Iterable[Shard]) -> dict[str, str]:
    """Key to what sits there, in a line."""
    return {shard.key: " ".join(each.symbol for each in shard.channels) for shard in shards}


def there(sockets: Mapping[str, str]) -> list[Dial]:
    return [Dial(key, [], [channel(text) for text in texts.split()]) for key, texts in sockets.items()]


@pytest.mark.parametrize(
    ("wanted", "before", "after"),
    [
        ("", {}, {}),
        ("", {"market-1": "A"}, {}),
        ("A B C D E", {}, {"market-1": "A B", "market-2": "C D", "market-3": "E"}),
        ("A B C", {"market-1": "C B"}, {"market-1": "C B", "market-2": "A"}),
        ("A B C", {"market-2": "C"}, {"market-2": "C A", "market-1": "B"}),
        ("B C D", {"market-1": "A B", "market-2": "C"}, {"market-1": "B D", "market-2": "C"}),
        ("C", {"market-1": "A B", "market-2": "C"}, {"market-2": "C"}),
        ("A B C", {"market-1": "A B C"}, {"market-1": "A B", "market-2": "C"}),
        ("A B", {"market-1": "A", "market-2": "A B"}, {"market-1": "A", "market-2": "B"}),
        ("A B", {"elsewhere-1": "A", "main": "B"}, {"market-1": "A B"}),
        ("A A B", {}, {"market-1": "A B"}),
    ],
)
def test_those_there_stay_and_the_others_fill_free_places(
    wanted: str, before: dict[str, str], after: dict[str, str]
) -> None:
    seats = {channel(text): Seat("market", text) for text in wanted.split()}
    assert placed(spread(seats, there(before), names=2)) == after


@pytest.mark.parametrize(
    ("wanted", "before", "after"),
    [
        # They count once: two names take the room of two, however many channels they bring.
        ("A.ticker A.quote B.ticker B.quote C.ticker", {}, {"market-1": "A A B B", "market-2": "C"}),
        # A later one joins the others where they are: on a socket that is full, past one that has room.
        ("A.quote B.quote A.ticker B.ticker", {"market-1": "A.ticker B.ticker"}, {"market-1": "A B A B"}),
        (
            "A.ticker B.ticker B.quote",
            {"market-1": "A.ticker", "market-2": "B.ticker"},
            {"market-1": "A", "market-2": "B B"},
        ),
        # Those that sit apart by what was there are not moved; a further one joins the first.
        (
            "A.ticker A.quote A.trade",
            {"market-2": "A.ticker", "market-1": "A.quote"},
            {"market-2": "A A", "market-1": "A"},
        ),
    ],
)
def test_channels_of_one_name_sit_together_and_count_once(
    wanted: str, before: dict[str, str], after: dict[str, str]
) -> None:
    seats = {channel(text): Seat("market", text[0], {"bytes": 50}) for text in wanted.split()}
    assert placed(spread(seats, there(before), 3, ROOM)) == after


def test_the_first_of_a_name_says_what_it_takes() -> None:
    takes = {"A.ticker": 60, "B.ticker": 60, "B.quote": 0, "A.quote": 90}
    seats = {channel(text): Seat("market", text[0], {"bytes": much}) for text, much in takes.items()}
    assert placed(spread(seats, (), 3, ROOM)) == {"market-1": "A A", "market-2": "B B"}


def test_places_have_sockets_of_their_own_though_their_names_are_alike() -> None:
    seats = {
        channel("A.trade"): Seat("market", "x"),
        channel("A.order"): Seat("own-account", "x"),
        channel("B.order"): Seat("own-account", "x"),
        channel("B.trade"): Seat("market", "y"),
    }
    shards = spread(seats, (), names=1)
    assert [(shard.key, shard.place, len(shard.channels)) for shard in shards] == [
        ("market-1", "market", 1), ("own-account-1", "own-account", 2), ("market-2", "market", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["market", "own-account", "a b", ""])
def test_a_socket_is_known_by_its_key(place: str) -> None:
    seats = {channel(text): Seat(place, text) for text in "ABC"}
    shards = spread(seats, (), names=1)
    assert placed(shards) == {f"{place}-1": "A", f"{place}-2": "B", f"{place}-3": "C"}
    del seats[channel("A")]
    assert spread(dict(reversed(seats.items())), dials_of(shards), names=1) == shards[1:]


@pytest.mark.parametrize(
    ("takes", "sizes"),
    [
        ({"books": 1}, [2, 2, 1]),
        ({"bytes": 40}, [2, 2, 1]),
        ({"bytes": 100}, [1] * 5),
        ({"books": 1, "bytes": 51}, [1] * 5),
        ({"books": 0}, [4, 1]),
        ({}, [4, 1]),
        # More than any socket has room for: each has one to itself, and keeps it.
        ({"bytes": 101}, [1] * 5),
    ],
)
def test_a_socket_has_only_so_much_room(takes: dict[str, int], sizes: list[int]) -> None:
    seats = {channel(text): Seat("market", text, takes) for text in "ABCDE"}
    shards = spread(seats, (), 4, ROOM)
    assert [len(shard.channels) for shard in shards] == sizes
    assert spread(dict(reversed(seats.items())), dials_of(shards), 4, ROOM) == shards


@pytest.mark.parametrize(("room", "says"), [({}, "room has nothing"), (ROOM, r"room has \['books', 'bytes'\]")])
def test_a_word_that_room_does_not_know_is_named(room: dict[str, int], says: str) -> None:
    with pytest.raises(LookupError, match=f"trade takes up 'book'; {says}"):
        spread({channel("A"): Seat("market", "A", {"book": 1})}, (), 4, room)


# Whatever is asked for, in whatever order, after whatever came before

SYMBOLS = [f"S{number}" for number in range(5)]
CHANNELS = [channel(f"{symbol}.{kind}") for symbol in SYMBOLS for kind in ("ticker", "quote", "orderbook", "order")]
wishes = st.lists(st.lists(st.sampled_from(CHANNELS), unique=True, max_size=40), min_size=1, max_size=5)


def seat_of(wanted: Channel) -> Seat:
    """Ticker and quote are one; books count, longer names take more; orders are an account's."""
    kind = wanted.data_type
    name = "ticker" if kind is DataType.QUOTE else kind.value
    takes = {"books": int(kind is DataType.ORDERBOOK), "bytes": 10 * len(wanted.symbol)}
    return Seat("account" if kind.private else "market", (name, wanted.symbol), takes)


def seats_of(wanted: Sequence[Channel]) -> dict[Channel, Seat]:
    return {each: seat_of(each) for each in wanted}


@given(wishes=wishes, names=st.integers(1, 6))
def test_whatever_is_asked_for(wishes: list[list[Channel]], names: int) -> None:
    shards: list[Shard] = []
    for wanted in wishes:
        before = {each: shard.key for shard in shards for each in shard.channels}
        homes = {seat_of(each).name: key for each, key in before.items() if each in wanted}
        shards = spread(seats_of(wanted), dials_of(shards), names, ROOM)
        after = {each: shard.key for shard in shards for each in shard.channels}

        assert Counter(each for shard in shards for each in shard.channels) == Counter(wanted)
        assert all(after[each] == key for each, key in before.items() if each in after), "nobody is moved"
        assert all(after[each] == homes[seat_of(each).name] for each in wanted if seat_of(each).name in homes)
        assert len({shard.key for shard in shards}) == len(shards)
        for shard in shards:
            taken = {seat_of(each).name: seat_of(each) for each in shard.channels}
            assert {seat.place for seat in taken.values()} == {shard.place}
            assert shard.key.startswith(f"{shard.place}-")
            assert len(taken) <= names
            for what, most in ROOM.items():
                assert sum(seat.takes[what] for seat in taken.values()) <= most
        apart = Counter(name for shard in shards for name in {seat_of(each).name for each in shard.channels})
        assert set(apart.values()) <= {1}, "one name, one socket"
        assert spread(seats_of(wanted), dials_of(shards), names, ROOM) == shards, "asked again, nothing changes"


@given(wanted=wishes.map(lambda lists: lists[0]).filter(bool), names=st.integers(1, 6), data=st.data())
def test_one_that_leaves_disturbs_nobody(wanted: list[Channel], names: int, data: st.DataObject) -> None:
    shards = spread(seats_of(wanted), (), names, ROOM)
    gone = data.draw(st.sampled_from(wanted))
    rest = [each for each in wanted if each != gone]
    after = spread(seats_of(data.draw(st.permutations(rest))), dials_of(shards), names, ROOM)
    expected = {shard.key: [each for each in shard.channels if each != gone] for shard in shards}
    assert {shard.key: list(shard.channels) for shard in after} == {key: left for key, left in expected.items() if left}
