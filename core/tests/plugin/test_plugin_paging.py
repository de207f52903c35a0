"""Walks through a venue's history: every missed trade comes once and in order, and every walk ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tickhive.channels import InstrumentTable
from tickhive.events import Candle, Gap, Trade
from tickhive.plugin import Answer, Event, Fetch, Malformed
from tickhive.plugin.answers import Answered, Read, read_answer
from tickhive.plugin.paging import (
    again,
    candle_span,
    following,
    lost_ids,
    missed_candles,
    missed_trades,
    onwards,
)

SECOND = 1_000_000_000
BASE = "https://rest.acme.example/v1/"
ONE = Decimal(1)

Row: TypeAlias = tuple[int, int]
"""The id and the second of a trade."""
Venue: TypeAlias = Callable[[dict[str, int]], Sequence[Any]]
"""What a venue answers to a request's parameters."""


@define
class View:
    exchange: str = "acme"
    instruments: InstrumentTable = field(factory=lambda: InstrumentTable("acme"))


def trade(raw: Raw) -> Sequence[Event]:
    id, second = msgspec.json.decode(raw, type=tuple[Any, int])
    return [Trade("acme", "BTC-USDT", second * SECOND, 1, str(id), "buy", ONE, ONE)]


def candle(raw: Raw) -> Sequence[Event]:
    start = msgspec.json.decode(raw, type=int) * 60 * SECOND
    return [Candle("acme", "BTC-USDT", None, 1, "1m", start, ONE, ONE, ONE, ONE, ONE)]


def answer(fetch: Fetch, rows: Iterable[Any], reader: Callable[[Answered[list[Raw]]], Read]) -> list[Any]:
    view: Any = View()
    body = msgspec.json.encode(list(rows))
    unwrap = msgspec.json.Decoder(list[Raw]).decode
    return list(read_answer({"*": reader}, view, fetch, Answer(200, body), 1, lambda said: unwrap(said.body)))


def walk(fetch: Fetch, venue: Venue, most: int, **how: Any) -> list[list[Any]]:
    """What each page of a walk brought; a walk that takes more than ``most`` pages fails."""
    pages: list[list[Any]] = []
    asked: Fetch | None = fetch
    while asked is not None:
        assert len(pages) < most, "the walk goes on for ever"
        query = {name: int(value) for name, value in parse_qsl(urlsplit(asked.url).query)}
        found = answer(asked, venue(query), lambda it: missed_trades(it, it.content, trade, **how))
        asked = next((each for each in found if isinstance(each, Fetch)), None)
        pages.append([each for each in found if not isinstance(each, Fetch)])
    return pages


def ids(page: Iterable[Any]) -> list[int]:
    return [int(each.id) for each in page]


def ids_of(pages: Iterable[Iterable[Any]]) -> list[int]:
    return [id for page in pages for id in ids(page)]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Row], int, int, int, int]:
    """A history whose ids have holes and whose times have ties; what was lost of it, a page size, rows repeated."""
    steps = draw(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([0, 0, 1, 5])), min_size=3, max_size=60))
    rows: list[Row] = []
    id, second, tied = draw(st.integers(0, 5)), 100, 0
    limit = draw(st.integers(3, 20))
    for up, later in steps:
        # A venue asked by time alone cannot show more trades of one second than fit on a page.
        later = max(later, 1) if tied + 1 >= limit - 1 else later
        tied = 0 if later else tied + 1
        id, second = id + up, second + later
        rows.append((id, second))
    first = draw(st.integers(1, len(rows) - 1))
    last = draw(st.integers(first, len(rows) - 1))
    return rows, first, last, limit, draw(st.integers(1, 2))


def served(rows: Iterable[Row], limit: int, times: int) -> list[Row]:
    """A page of these rows, each of them ``times``."""
    return [row for row in rows for _ in range(times)][:limit]


@given(histories())
def test_a_walk_down_by_id(given: tuple[list[Row], int, int, int, int]) -> None:
    rows, first, last, limit, times = given

    def venue(query: dict[str, int]) -> list[Row]:
        return served((row for row in reversed(rows) if row[0] < query["after"]), query["limit"], times)

    known, end = rows[first - 1][0], rows[last][0]
    fetch = Fetch(f"{BASE}trades?after={end + 1}&limit={limit}#until={known}")
    pages = walk(fetch, venue, len(rows) + 2, below="after")
    assert all(ids(page) == sorted(ids(page)) for page in pages)
    assert ids_of(reversed(pages)) == [row[0] for row in rows[first - 1 : last + 1]]
    assert all(each.late for page in pages for each in page)


@given(histories())
def test_a_walk_down_by_time(given: tuple[list[Row], int, int, int, int]) -> None:
    rows, first, last, limit, _ = given

    def venue(query: dict[str, int]) -> list[Row]:
        return served((row for row in reversed(rows) if row[1] < query["end"]), query["limit"], 1)

    (known, _), (end, second) = rows[first - 1], rows[last]
    fetch = Fetch(f"{BASE}trades?end={second + 1}&limit={limit}#until={known}&below={end + 1}")
    pages = walk(
        fetch, venue, len(rows) + 2, below="below", also=lambda oldest: {"end": oldest.timestamp // SECOND + 1}
    )
    assert ids_of(reversed(pages)) == [row[0] for row in rows[first - 1 : last + 1]]


@given(histories())
def test_a_walk_up(given: tuple[list[Row], int, int, int, int]) -> None:
    rows, first, last, limit, times = given

    def venue(query: dict[str, int]) -> list[Row]:
        return served((row for row in rows if row[0] >= query["from"]), query["limit"], times)

    known, end = rows[first - 1][0], rows[last][0]
    fetch = Fetch(f"{BASE}trades?from={known}&limit={limit}#until={end}")
    found = ids_of(walk(fetch, venue, len(rows) + 2, above="from"))
    # The last page may reach beyond.
    assert found[: last - first + 2] == [row[0] for row in rows[first - 1 : last + 1]]
    assert found == sorted(set(found))


@given(st.lists(st.lists(st.integers(0, 40), min_size=2, max_size=6), min_size=1), st.booleans())
def test_whatever_a_venue_answers_a_walk_ends(answers: list[list[int]], down: bool) -> None:
    """Pages that repeat themselves, go backwards, or have nothing to do with what was asked."""
    count = 0

    def venue(query: dict[str, int]) -> list[Row]:
        nonlocal count
        count += 1
        return [(id, 1) for id in answers[count % len(answers)]]

    query = "after=41&limit=2#until=0" if down else "from=0&limit=2#until=41"
    found = ids_of(
        walk(Fetch(f"{BASE}trades?{query}"), venue, 45, **({"below": "after"} if down else {"above": "from"}))
    )
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("query", "rows", "how", "expected"),
    [
        ("after=9&limit=3#until=2", [8, 7, 6], {"below": "after"}, ([6, 7, 8], "after=6&limit=3#until=2")),
        ("after=6&limit=3#until=2", [5, 4, 3], {"below": "after"}, ([3, 4, 5], "after=3&limit=3#until=2")),
        ("after=6&limit=3#until=3", [5, 4, 3], {"below": "after"}, ([3, 4, 5], None)),
        ("after=6&limit=3#until=3", [5, 2, 1], {"below": "after"}, ([2, 5], None)),
        ("after=6&limit=3#until=0", [5, 4], {"below": "after"}, ([4, 5], None)),
        ("after=6&limit=3", [5, 4, 3], {"below": "after"}, ([3, 4, 5], None)),
        ("limit=3#until=1", [5, 4, 3], {"below": "after"}, ([3, 4, 5], "limit=3&after=3#until=1")),
        ("from=6&limit=2#until=9", [6, 7], {"above": "from"}, ([6, 7], "from=8&limit=2#until=9")),
        ("from=6&limit=2#until=7", [6, 7], {"above": "from"}, ([6, 7], None)),
        ("from=6&to=9", [6, 7], {"above": "from", "until": "to"}, ([6, 7], "from=8&to=9")),
        ("from=6&to=9", [], {"above": "from", "until": "to"}, ([], None)),
        ("from=6&limit=2", [7, 6, 6], {"above": "from"}, ([7, 6, 6], None)),
        ("limit=2#until=9", [7, 6, 6], {}, ([6, 7], None)),
    ],
)
def test_where_a_page_leads(
    query: str, rows: list[int], how: dict[str, Any], expected: tuple[list[int], str | None]
) -> None:
    fetch = Fetch(f"{BASE}trades?{query}")
    found = answer(fetch, [(id, 1) for id in rows], lambda it: missed_trades(it, it.content, trade, **how))
    leads = [each.url.partition("?")[2] for each in found if isinstance(each, Fetch)]
    assert ([int(each.id) for each in found if isinstance(each, Trade)], leads) == (
        expected[0],
        [] if expected[1] is None else [expected[1]],
    )


def test_what_is_no_trade_or_has_no_number_costs_no_other() -> None:
    fetch = Fetch(f"{BASE}trades?after=9&limit=4#until=1")
    rows = [(8, 1), 5, ("x", 1), (7, 1)]
    found = answer(fetch, rows, lambda it: missed_trades(it, it.content, trade, below="after"))
    assert [type(each) for each in found] == [Trade, Trade, Malformed, Malformed, Fetch]
    assert found[3].why == "trades: ValueError: its id is no number"
    assert found[-1].url.endswith("after=7&limit=4#until=1")


def test_a_walk_through_candles() -> None:
    def venue(query: dict[str, int]) -> list[int]:
        return [start for start in range(40, 0, -1) if start * 60_000 < query["before"]][: query["limit"]]

    starts: list[int] = []
    asked: Fetch | None = Fetch(f"{BASE}candles?before={31 * 60_000}&limit=8#until={10 * 60_000}")
    while asked is not None:
        query = {name: int(value) for name, value in parse_qsl(urlsplit(asked.url).query)}
        found = answer(asked, venue(query), lambda it: missed_candles(it, it.content, candle, below="before"))
        page = [each for each in found if isinstance(each, Candle)]
        assert all(each.late for each in page)
        starts = [each.start // (60 * SECOND) for each in page] + starts
        asked = next((each for each in found if isinstance(each, Fetch)), None)
    assert starts == list(range(10, 31))


def asked_with(query: str) -> Answered[bytes]:
    view: Any = View()
    fetch = Fetch(f"{BASE}x?{query}")
    return Answered(view, fetch, Answer(200, b""), 1, b"", "x", (), dict(parse_qsl(query.replace("#", "&"))))


def test_a_cursor_leads_to_one_page_unless_it_is_the_one_just_used() -> None:
    answered = asked_with("limit=3&cursor=a%2Bb#left=9")
    assert following(answered, "cursor", "") == following(answered, "cursor", "a+b") == ()
    (fetch,) = following(answered, "cursor", "c&limit=1", left=6)
    assert fetch.url == f"{BASE}x?limit=3&cursor=c%26limit=1#left=6"
    assert dict(parse_qsl(urlsplit(fetch.url).query))["cursor"] == "c&limit=1"


def test_the_same_request_with_other_parameters() -> None:
    fetch = Fetch(f"{BASE}x?a=1&a=2&b=3#c=4", "POST", {"h": "1"}, b"body", {"rest": 2.0})
    changed = again(fetch, b=5, c=6, d="x y")
    assert changed.url == f"{BASE}x?a=1&a=2&b=5&d=x%20y#c=6"
    assert again(changed, b=3, c=4, d="").url == f"{BASE}x?a=1&a=2&b=3&d=#c=4"
    assert (changed.method, changed.headers, changed.body, changed.costs) == ("POST", {"h": "1"}, b"body", fetch.costs)
    assert again(Fetch(f"{BASE}x"), page=2).url == f"{BASE}x?page=2"


@pytest.mark.parametrize(
    ("query", "numbers", "how", "expected"),
    [
        ("after=5&limit=2#until=1", [4, 3], {"below": "after"}, 3),
        ("after=5&limit=2#until=1", [7, 6], {"below": "after"}, None),
        ("after=5&limit=2#until=1", [6, 5], {"below": "after"}, None),
        ("from=5&limit=2#until=9", [5, 6], {"above": "from"}, 7),
        ("from=5&limit=2#until=9", [3, 4], {"above": "from"}, None),
    ],
)
def test_a_page_that_does_not_lead_onwards_ends_the_walk(
    query: str, numbers: list[int], how: dict[str, str], expected: int | None
) -> None:
    assert onwards(asked_with(query), numbers, numbers, **how) == expected


def test_a_walk_that_nobody_asked_for_does_not_go_on() -> None:
    assert onwards(asked_with("limit=2"), [1, 2], [1, 2], above="from") is None
    assert onwards(asked_with("limit=2#until=9"), [1, 2], [1, 2]) is None
    assert onwards(asked_with("limit=2#until=9"), [1, 2], [1, 2], above="from") == 3


@pytest.mark.parametrize(
    ("first", "last", "most", "expected"),
    [
        ("101", "350", 1_000, (100, 350)),
        ("101", "350", 50, (300, 350)),
        ("0", "5", 1_000, (0, 5)),
        ("101", "350", 0, None),
        (None, "350", 1_000, None),
        ("101", None, 1_000, None),
        ("2a0d", "350", 1_000, None),
        ("101", "9" * 30, 1_000, None),
    ],
)
def test_what_was_lost(first: str | None, last: str | None, most: int, expected: Any) -> None:
    gap = Gap("acme", "BTC-USDT", None, 1, "trade", None, None, "a cut", first, last)  # type: ignore[arg-type]
    assert lost_ids(gap, most) == expected


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [("1s", 1), ("15m", 900), ("4h", 14_400), ("4H", 14_400), ("1Dutc", 86_400), ("1w", 604_800)],
)
def test_how_long_a_candle_lasts(interval: str, seconds: int) -> None:
    assert candle_span(interval) == (seconds * 1000, seconds * 1000)


def test_months_differ() -> None:
    assert candle_span("3M") == (3 * 28 * 86_400_000, 3 * 31 * 86_400_000)


@pytest.mark.parametrize("interval", ["", "m", "1", "1y", "h1", "12345m"])
def test_what_is_no_interval(interval: str) -> None:
    with pytest.raises(ValueError, match="is no interval of candles"):
        candle_span(interval)
