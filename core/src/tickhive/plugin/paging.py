"""Walking through a venue's history page by page: what to ask for next, and when to end.

Nobody has to use it. A request says in its address where the walk ends (``until``, in the fragment, which HTTP never
sends); each answer leads to the next request by one number or by the venue's cursor. A page that does not lead onwards
ends the walk, so a venue that repeats itself is not asked for ever.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
from typing import Any
from urllib.parse import quote

from attrs import evolve
from msgspec import Raw

from tickhive.events import Candle, Gap, Trade
from tickhive.plugin.answers import Answered
from tickhive.plugin.contract import Event, Fetch
from tickhive.plugin.reading import NS_PER_MS, whole_number

_DAY = 86_400_000
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": _DAY, "w": 7 * _DAY}
_INTERVAL = re.compile(r"(\d{1,4})([smhdwHDWM])")


def candle_span(interval: str) -> tuple[int, int]:
    """How long a candle lasts at least and at most, ms; ValueError for an interval that is none.

    Only months (``M``) differ. Hours, days and weeks may be capital letters; what follows the letter is not looked at.

    >>> candle_span("5m"), candle_span("4Hutc"), candle_span("1M")
    ((300000, 300000), (14400000, 14400000), (2419200000, 2678400000))
    """
    match = _INTERVAL.match(interval)
    if match is None:
        raise ValueError(f"{interval[:20]!r} is no interval of candles")
    count, unit = int(match[1]), match[2]
    if unit == "M":
        return count * 28 * _DAY, count * 31 * _DAY
    span = count * _UNITS[unit.lower()]
    return span, span


def lost_ids(gap: Gap, most: int) -> tuple[int, int] | None:
    """The trade known before a gap, and the last one lost in it; None where their ids are no numbers.

    At most the last ``most`` trades are to be walked through; with 0 none are. Asking for the known one as well shows
    the core that nothing lies in between.

    >>> gap = Gap("acme", "BTC-USDT", None, 1, "trade", 1, 2, "a cut", "101", "350")
    >>> lost_ids(gap, 20_000), lost_ids(gap, 50), lost_ids(gap, 0)
    ((100, 350), (300, 350), None)
    """
    first, last = whole_number(gap.first_id), whole_number(gap.last_id)
    if first is None or last is None or not most:
        return None
    return max(first - 1, last - most, 0), last


def again(fetch: Fetch, /, **changed: object) -> Fetch:
    """The same request with other parameters: each takes the place it has in the address, or follows the last one.

    Parameters of the fragment stay in it.

    >>> page = Fetch("https://rest.acme.example/v1/fills?status=open&limit=100#left=250", costs={"rest": 1.0})
    >>> again(page, after=17, left=150).url
    'https://rest.acme.example/v1/fills?status=open&limit=100&after=17#left=150'
    """
    address, _, fragment = fetch.url.partition("#")
    path, _, query = address.partition("?")
    values = {name: f"{name}={quote(str(value), safe='/:=,')}" for name, value in changed.items()}
    asked, noted = ([part for part in text.split("&") if part] for text in (query, fragment))
    known = {part.partition("=")[0] for part in (*asked, *noted)}
    asked += [name for name in values if name not in known]
    url = f"{path}?{'&'.join(values.get(part.partition('=')[0], part) for part in asked)}"
    if noted:
        url += f"#{'&'.join(values.get(part.partition('=')[0], part) for part in noted)}"
    return evolve(fetch, url=url)


def following(answered: Answered[Any], name: str, cursor: str, /, **changed: object) -> Sequence[Fetch]:
    """The request for the page at the venue's ``cursor``, a parameter called ``name``: one, or none at the end.

    None as well where the cursor is the one this page was asked for with. Other parameters may change beside it.
    """
    if not cursor or cursor == answered.query.get(name):
        return ()
    return (again(answered.fetch, **{name: cursor}, **changed),)


def onwards(
    answered: Answered[Any],
    rows: Sized,
    numbers: Collection[int],
    *,
    below: str = "",
    above: str = "",
    until: str = "until",
) -> int | None:
    """Where the next page begins, None where the walk ends.

    ``numbers`` are what the page is in the order of (ids, times). ``below``, ``above`` and ``until`` name parameters of
    the request: a walk down asks for what lies under the first, a walk up for what lies at or over the second. It goes
    on while pages are full, lead onwards and have not reached the third; without that there is only this page.
    """
    end = answered.number(until)
    if end is None or not numbers or not (below or above) or not answered.full(rows):
        return None
    if below:
        lowest, before = min(numbers), answered.number(below)
        return lowest if lowest > end and (before is None or lowest < before) else None
    highest, begin = max(numbers), answered.number(above)
    return highest + 1 if highest < end and (begin is None or highest >= begin) else None


def missed_trades(
    answered: Answered[Any],
    rows: Collection[Raw],
    reader: Callable[[Raw], Iterable[Event]],
    *,
    below: str = "",
    above: str = "",
    until: str = "until",
    also: Callable[[Trade], Mapping[str, object]] | None = None,
) -> list[Event | Fetch]:
    """The trades of a page by their ids, oldest first, each once and marked late; and the request for the next page.

    ``below``, ``above`` and ``until`` are as in ``onwards``; with neither of the first two the next page is the
    caller's to ask for. Of what was known already, only the last trade comes along on the way down: it shows the core
    that nothing lies in between. ``also`` says which other parameters the next page is asked for with, from the trade
    this one ended at. A row whose trade has no number for an id is Malformed.
    """
    return _missed(answered, rows, reader, Trade, lambda trade: whole_number(trade.id), below, above, until, also)


def missed_candles(
    answered: Answered[Any],
    rows: Collection[Raw],
    reader: Callable[[Raw], Iterable[Event]],
    *,
    unit: int = NS_PER_MS,
    below: str = "",
    above: str = "",
    until: str = "until",
) -> list[Event | Fetch]:
    """The candles of a page by their starts, as ``missed_trades`` does it. The request counts in ``unit`` (ns)."""
    return _missed(answered, rows, reader, Candle, lambda candle: candle.start // unit, below, above, until)


def _missed(
    answered: Answered[Any],
    rows: Collection[Raw],
    reader: Callable[[Raw], Iterable[Event]],
    kind: type[Trade | Candle],
    number: Callable[[Any], int | None],
    below: str,
    above: str,
    until: str,
    also: Callable[[Any], Mapping[str, object]] | None = None,
) -> list[Event | Fetch]:
    found: dict[int, Any] = {}
    bound, end = answered.number(below or above), answered.number(until)

    def one(raw: Raw) -> Sequence[Event]:
        events: list[Event] = []
        for event in reader(raw):
            if isinstance(event, kind):
                place = number(event)
                if place is None:
                    raise ValueError("its id is no number")
                # A page may begin with what the one before ended with.
                if bound is not None and not (place < bound if below else place >= bound):
                    continue
                event.late = True
                found[place] = event
            events.append(event)
        return events

    events: list[Event | Fetch] = answered.rows(rows, one)
    places = sorted(found)
    # A page that nothing is walked from, oldest first on the wire, stays as it is.
    if below or end is not None:
        known = bisect_right(places, end) if below and end is not None else 0
        others = [event for event in events if not isinstance(event, kind)]
        events = [*(found[place] for place in places[max(known - 1, 0) :]), *others]
    next_one = onwards(answered, rows, places, below=below, above=above, until=until)
    if next_one is not None:
        last = found[places[0] if below else places[-1]]
        events.append(again(answered.fetch, **{below or above: next_one}, **(also(last) if also is not None else {})))
    return events
