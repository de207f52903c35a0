"""A dial's ticket: the request whose answer names the address and the headers that are good for one dialling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qsl, urlsplit

from attrs import evolve

from tickhive.errors import ConnectionFailed
from tickhive.plugin.contract import Dial, Event, Fetch
from tickhive.redaction import add_secret

_SHORTEST_TOKEN = 16
"""What is shorter in an address is a word, not a token."""


async def redeem(dial: Dial, fetch_all: Callable[[Fetch], Awaitable[Sequence[Event | Dial]]]) -> Dial:
    """The dial as it is to be dialled now; the one without a ticket as it is.

    FetchError or CredentialsError when the request fails, ConnectionFailed when its answer names no address. The
    tokens in the address are never shown from then on.
    """
    if dial.ticket is None:
        return dial
    answered = await fetch_all(dial.ticket)
    found = next((each for each in answered if isinstance(each, Dial) and each.urls), None)
    if found is None:
        raise ConnectionFailed(f"dial {dial.key}: the answer to its ticket names no address")
    for url in found.urls:
        parts = urlsplit(url)
        for token in (*(value for _, value in parse_qsl(parts.query)), *parts.path.split("/")):
            if len(token) >= _SHORTEST_TOKEN:
                add_secret(token, passing=True)
    return evolve(dial, urls=found.urls, headers={**dial.headers, **found.headers})
