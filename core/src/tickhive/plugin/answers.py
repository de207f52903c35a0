"""One way to read REST answers: find the reader by the path that was asked, and give it everything it needs to know.

Nobody has to use it. A plugin's ``read`` hook becomes a table of paths and functions of one argument::

    READERS = {"markets": read_markets, "markets/*/trades": read_trades}


    @hookimpl
    def read(session, fetch, answer, at):
        return read_answer(READERS, session, fetch, answer, at)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlsplit

from attrs import evolve, frozen
from msgspec import Raw

from tickhive.channels import Channel, Instrument
from tickhive.events import InstrumentUpdate
from tickhive.plugin.contract import Answer, Dial, Event, Fetch, Malformed, Rejected, SessionView, Unknown
from tickhive.plugin.reading import UNREADABLE, brief, read_rows, whole_number

Content = TypeVar("Content")
Read: TypeAlias = Sequence[Event | Dial | Fetch]
"""What the hook ``read`` answers."""

ANY = "*"
"""Any one part of a path."""


@frozen(eq=False)
class Answered(Generic[Content]):
    """An answer and what was asked for it.

    ``content`` is what the answer holds: its body, or what the plugin's ``unwrap`` made of it. ``name`` is the part of
    the path by which the reader was found (``markets/BTC-USDT/trades``), ``parts`` what stands in it for each ``*``.
    ``query`` holds the parameters of the request, those in the fragment of its address included: HTTP never sends a
    fragment, so what ``read`` must know beside the answer can stand there (``...?limit=100#until=7``).
    """

    session: SessionView
    fetch: Fetch
    answer: Answer
    at: int
    content: Content
    name: str
    parts: Sequence[str]
    query: Mapping[str, str]

    @property
    def channel(self) -> Channel | None:
        """What it was asked for; None in a recording."""
        return self.fetch.channel

    def number(self, name: str) -> int | None:
        """A parameter of the request that is a whole number; None where there is none."""
        return whole_number(self.query.get(name))

    def full(self, rows: Sized) -> bool:
        """Whether a page holds as many rows as its request allowed (``limit``): there may be another one behind it."""
        return len(rows) >= (self.number("limit") or 1)

    def symbol(self, native: str) -> str:
        """The normalised name of an instrument; the venue's own where it is not listed."""
        return self.session.instruments.symbols.get(native, native)

    def rows(self, rows: Iterable[Raw], reader: Callable[[Raw], Sequence[Any]]) -> list[Any]:
        """Read the rows of a list each by itself: a bad one is Malformed and costs no other."""
        return read_rows(rows, reader, self.name)

    def listed(self, instrument: Instrument | None, native: str) -> Event:
        """An instrument of the venue's list; ``native`` is Unknown where the plugin has no name for its kind."""
        if instrument is None:
            return Unknown(f"instrument {native[:60]}")
        return InstrumentUpdate(self.session.exchange, instrument.symbol, None, self.at, instrument)


def _body(answer: Answer) -> Any:
    return answer.body


def _find(patterns: Iterable[str], path: str) -> tuple[str, str, Sequence[str]] | None:
    """The first pattern that the end of a path fits, that end, and what stands in it for each ``*``."""
    parts = path.strip("/").split("/")
    for pattern in patterns:
        wanted = pattern.strip("/").split("/")
        end = parts[-len(wanted) :]
        if len(end) == len(wanted) and all(each in (part, ANY) for each, part in zip(wanted, end, strict=True)):
            return pattern, "/".join(end), [part for each, part in zip(wanted, end, strict=True) if each == ANY]
    return None


def read_answer(
    readers: Mapping[str, Callable[[Answered[Content]], Read]],
    session: SessionView,
    fetch: Fetch,
    answer: Answer,
    at: int,
    unwrap: Callable[[Answer], Content | Rejected] = _body,
) -> Read:
    """Let the reader of a path read its answer; of a path that has none it is Unknown.

    ``readers`` are found by the end of the path, part by part, the first that fits; ``*`` is any one part. ``unwrap``
    opens what all answers of a venue are packed in, or says that it refused: then the channel that was asked for is
    refused, but an account's stream goes on. What any of them cannot read is Malformed.

    >>> from tickhive.channels import InstrumentTable
    >>> class View:
    ...     exchange, instruments = "acme", InstrumentTable("acme")
    >>> readers = {"markets": lambda it: ["a list"], "markets/*/trades": lambda it: [(it.parts[0], it.number("until"))]}
    >>> def read(url, body=b"{}"):
    ...     return list(read_answer(readers, View(), Fetch(url), Answer(200, body), 1))
    >>> read("https://rest.acme.example/v1/markets/BTC-USDT/trades?after=9#until=5"), read("https://a.example/markets")
    ([('BTC-USDT', 5)], ['a list'])
    >>> read("https://rest.acme.example/v1/time")
    [Unknown(what='answer of /v1/time')]
    """
    url = urlsplit(fetch.url)
    found = _find(readers, url.path)
    if found is None:
        return [Unknown(f"answer of {url.path[:80]}")]
    pattern, name, parts = found
    query = dict(parse_qsl(url.query)) | dict(parse_qsl(url.fragment))
    try:
        content = unwrap(answer)
        if isinstance(content, Rejected):
            channel = fetch.channel
            asked = () if channel is None or channel.data_type.private else (channel,)
            return [evolve(content, channels=content.channels or asked)]
        return readers[pattern](Answered(session, fetch, answer, at, content, name[:80], parts, query))
    except UNREADABLE as error:
        return [Malformed(f"answer of {url.path[:80]}: {brief(error)}")]
