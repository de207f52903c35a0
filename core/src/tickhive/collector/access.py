"""What all collectors of one exchange share in a process: its instruments, its limits and its REST client."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import MutableMapping
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from tickhive.budget import Budget
from tickhive.channels import InstrumentTable
from tickhive.clock import Clock, SystemClock
from tickhive.errors import FetchError
from tickhive.events import InstrumentUpdate
from tickhive.fetching import Fetcher
from tickhive.plugin.contract import Answer, Credentials, Dial, Event, Fetch, Rejected
from tickhive.plugin.stack import ExchangeStack
from tickhive.session.view import OutsideView

MAX_PAGES = 1000


class VenueAccess:
    """The way to one venue with one set of settings: budget, REST client, instruments."""

    def __init__(
        self,
        stack: ExchangeStack,
        settings: Any,
        clock: Clock,
        *,
        credentials: Credentials | None = None,
        proxy: str | None = None,
    ) -> None:
        self.stack = stack
        self.settings = settings
        self.clock = clock
        self.credentials = credentials
        self.instruments = InstrumentTable(stack.exchange)
        self.budget = Budget(stack.call.limits(settings=settings) or (), clock, random.Random())
        sign = self._sign if stack.offers("sign") else None
        self._make_fetcher = functools.partial(
            Fetcher, self.budget, clock, sign=sign, credentials=credentials, proxy=proxy
        )
        self._fetcher: Fetcher | None = None
        self.instrument_events: list[InstrumentUpdate] = []
        self.refused: list[str] = []
        self._users: set[int] = set()
        self._learning = asyncio.Lock()
        self._learned = False

    @property
    def knows_instruments(self) -> bool:
        """Whether the venue's list has been read (or the plugin has none to read)."""
        return self._learned or not self.stack.offers("instruments")

    async def learn_instruments(self) -> InstrumentTable:
        """Read the venue's instruments, once per process; FetchError when that fails.

        A list the venue refuses for good is left out and named in ``refused``.
        """
        async with self._learning:
            if not self.knows_instruments:
                events: list[InstrumentUpdate] = []
                self.refused.clear()
                for fetch in self.stack.call.instruments(settings=self.settings):
                    try:
                        events += [e for e in await self.fetch_all(fetch) if isinstance(e, InstrumentUpdate)]
                    except FetchError as error:
                        # One list the venue refuses (a family it does not have) must not cost the others.
                        if error.retryable:
                            raise
                        self.refused.append(str(error))
                if self.refused and not events:
                    raise FetchError(f"no instruments: {self.refused[0]}", retryable=False)
                self.instruments.extend(event.instrument for event in events)
                self.instrument_events = events
                self._learned = True
        return self.instruments

    async def fetch(self, fetch: Fetch) -> Answer:
        """Make one request; FetchError when it cannot be answered."""
        if self._fetcher is None:
            self._fetcher = self._make_fetcher()
        return await self._fetcher.fetch(fetch)

    async def fetch_all(self, fetch: Fetch) -> list[Event | Dial]:
        """Make a request and those its answers ask for (further pages); FetchError when the venue refuses one."""
        view = OutsideView(self.stack.exchange, self.settings, self.instruments, self.stack.call.memory())
        found: list[Event | Dial] = []
        queue = [fetch]
        for _ in range(MAX_PAGES):
            if not queue:
                return found
            current = queue.pop(0)
            answer = await self.fetch(current)
            for item in self.stack.call.read(session=view, fetch=current, answer=answer, at=self.clock.time_ns()) or ():
                if isinstance(item, Fetch):
                    queue.append(item)
                elif isinstance(item, Rejected):
                    raise FetchError(
                        f"{self.stack.exchange} refused a request: {item.reason}",
                        retryable=item.kind in ("rate", "retry"),
                    )
                else:
                    found.append(item)
        raise FetchError(f"{self.stack.exchange} asked for more than {MAX_PAGES} pages", retryable=False)

    def join(self, user: object) -> None:
        """Say that somebody uses this access."""
        self._users.add(id(user))

    async def leave(self, user: object) -> None:
        """Say that somebody does so no more; after the last one the REST client is closed until it is next needed."""
        self._users.discard(id(user))
        if not self._users and self._fetcher is not None:
            fetcher, self._fetcher = self._fetcher, None
            await fetcher.close()

    def _sign(self, fetch: Fetch) -> Fetch:
        signed: Fetch = self.stack.call.sign(fetch=fetch, credentials=self.credentials, at=self.clock.time_ns())
        return signed


_shared: MutableMapping[asyncio.AbstractEventLoop, WeakValueDictionary[Any, VenueAccess]] = WeakKeyDictionary()


def shared_access(stack: ExchangeStack, settings: Any, clock: Clock, *, proxy: str | None = None) -> VenueAccess:
    """The access all collectors of this exchange share that have the same settings and event loop."""
    known = _shared.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    key = (stack.exchange, id(stack), repr(settings), proxy, None if isinstance(clock, SystemClock) else id(clock))
    access = known.get(key)
    if access is None:
        access = known[key] = VenueAccess(stack, settings, clock, proxy=proxy)
    return access
