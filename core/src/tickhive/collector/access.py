"""What collectors of one exchange share in a process: its instruments and limits, and by account its REST client."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Iterable, MutableMapping
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from attrs import evolve

from tickhive.budget import Budget
from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.clock import Clock, SystemClock
from tickhive.collector.faults import ask
from tickhive.collector.recorded import RECORDED, Tape
from tickhive.errors import CredentialsError, FetchError, PluginError
from tickhive.events import InstrumentUpdate, MarketEvent
from tickhive.fetching import Fetcher
from tickhive.logs import get_logger
from tickhive.plugin.contract import Answer, Credentials, Dial, Event, Fetch, Rejected
from tickhive.plugin.stack import ExchangeStack
from tickhive.redaction import _sanitize_error
from tickhive.session.view import OutsideView

_log = get_logger("tickhive.collector")

MAX_PAGES = 1000

BUDGET_STATUS_SECONDS = 0.1
"""The status of the limits is computed at most so often."""


class VenueState:
    """What is known of one venue with one set of settings, whoever asks: its instruments, and what its limits left."""

    def __init__(self, stack: ExchangeStack, settings: Any, clock: Clock, budget: Budget | None = None) -> None:
        self.instruments = InstrumentTable(stack.exchange)
        self.budget = budget if budget is not None else make_budget(stack, settings, clock)
        self.instrument_events: list[InstrumentUpdate] = []
        self.refused: list[str] = []
        self.learning = asyncio.Lock()
        self.learned_at: float | None = None
        self.tapes: WeakSet[Tape] = WeakSet()
        self.budget_shown: tuple[float, dict[str, dict[str, Any]]] | None = None


def make_budget(stack: ExchangeStack, settings: Any, clock: Clock) -> Budget:
    """What the venue allows, as its plugin says."""
    return Budget(ask(stack, "limits", settings=settings) or (), clock, random.Random())


class VenueAccess:
    """The way to one venue with one set of settings and one account: REST client, budget, instruments.

    ``state`` is shared with the accesses of other accounts: they use the same addresses and see the same market.
    """

    def __init__(
        self,
        stack: ExchangeStack,
        settings: Any,
        clock: Clock,
        *,
        credentials: Credentials | None = None,
        proxy: str | None = None,
        state: VenueState | None = None,
    ) -> None:
        self.stack = stack
        self.settings = settings
        self.clock = clock
        self.credentials = credentials
        self._state = state if state is not None else VenueState(stack, settings, clock)
        self.instruments = self._state.instruments
        self.budget = self._state.budget
        sign = self._sign if stack.offers("sign") else None
        judge = self._judge if stack.offers("refused") else None
        self._make_fetcher = functools.partial(
            Fetcher, self.budget, clock, sign=sign, judge=judge, credentials=credentials, proxy=proxy
        )
        self._fetcher: Fetcher | None = None
        self._users: set[int] = set()

    @property
    def knows_instruments(self) -> bool:
        """Whether the venue's list has been read (or the plugin has none to read)."""
        return self._state.learned_at is not None or not self.stack.offers("instruments")

    def budget_status(self) -> dict[str, dict[str, Any]]:
        """What the limits left, a moment old at most: hundreds of collectors that share it are asked in one go."""
        now = self.clock.monotonic()
        state = self._state
        if state.budget_shown is None or now - state.budget_shown[0] >= BUDGET_STATUS_SECONDS:
            state.budget_shown = now, self.budget.status()
        return state.budget_shown[1]

    @property
    def instrument_events(self) -> list[InstrumentUpdate]:
        """What the last reading of the venue's list said of every instrument."""
        return self._state.instrument_events

    @property
    def refused(self) -> list[str]:
        """Lists of instruments the venue would not give."""
        return self._state.refused

    async def learn_instruments(self, again_after: float | None = None) -> InstrumentTable:
        """Read the venue's instruments, once per process or when the last reading is ``again_after`` seconds old;
        FetchError when that fails.

        A list the venue refuses for good is left out and named in ``refused``. A recording that does not hold the list
        has it read again: without it nobody could replay what follows.
        """
        state = self._state
        recorded = RECORDED.get()
        async with state.learning:
            age = None if state.learned_at is None else self.clock.monotonic() - state.learned_at
            due = again_after is not None and age is not None and age >= again_after
            lacking = recorded is not None and recorded.tape not in state.tapes and self.stack.offers("instruments")
            if not self.knows_instruments or due or lacking:
                events: list[InstrumentUpdate] = []
                state.refused.clear()
                for fetch in ask(self.stack, "instruments", settings=self.settings):
                    try:
                        events += [e for e in await self.fetch_all(fetch) if isinstance(e, InstrumentUpdate)]
                    except FetchError as error:
                        # One list the venue refuses (a family it does not have) must not cost the others.
                        if error.retryable:
                            raise
                        state.refused.append(str(error))
                if state.refused and not events:
                    raise FetchError(f"no instruments: {state.refused[0]}", retryable=False)
                state.instruments.extend(event.instrument for event in [*self._delisted(events), *events])
                state.instrument_events = events
                state.learned_at = self.clock.monotonic()
                if recorded is not None:
                    state.tapes.add(recorded.tape)
        return self.instruments

    def _delisted(self, events: list[InstrumentUpdate]) -> list[InstrumentUpdate]:
        """What the list before had and this one, if it is whole, has no more: it is not traded any more."""
        listed = {event.symbol for event in events}
        gone = [event for event in self.instrument_events if event.symbol not in listed] if not self.refused else []
        return [evolve(event, instrument=evolve(event.instrument, status="expired")) for event in gone]

    def known(self, channels: Iterable[Channel]) -> list[MarketEvent]:
        """What is known of the instruments these channels are to tell of: they tell only changes."""
        wanted = [channel.symbol for channel in channels if channel.data_type is DataType.INSTRUMENT]
        said = {event.symbol: event for event in self.instrument_events} if wanted else {}
        now = self.clock.time_ns()
        events: list[MarketEvent] = []
        for symbol in dict.fromkeys(wanted):
            instrument, event = self.instruments.get(symbol), said.get(symbol)
            if instrument is not None and (event is None or event.instrument != instrument):
                # Listed or changed since the list was read: who heard of it then had not asked for this one.
                event = InstrumentUpdate(self.stack.exchange, symbol, None, now, instrument)
            if event is not None:
                events.append(event)
        return events

    async def fetch(self, fetch: Fetch) -> Answer:
        """Make one request; FetchError when it cannot be answered."""
        if self._fetcher is None:
            self._fetcher = self._make_fetcher()
        return await self._fetcher.fetch(fetch)

    async def fetch_all(self, fetch: Fetch) -> list[Event | Dial]:
        """Make a request and those its answers ask for (further pages); FetchError when the venue refuses one.

        CredentialsError when it refuses the account's credentials.
        """
        memory = ask(self.stack, "memory")
        view = OutsideView(self.stack.exchange, self.settings, self.instruments, memory, self._account or "")
        recorded = RECORDED.get()
        found: list[Event | Dial] = []
        queue = [fetch]
        for _ in range(MAX_PAGES):
            if not queue:
                return found
            current = queue.pop(0)
            try:
                answer = await self.fetch(current)
            except FetchError as error:
                if recorded is not None:
                    recorded.failed(current, error, self.clock.time_ns())
                if error.unauthorised and self.credentials is not None:
                    raise CredentialsError(self._account, str(error)) from None
                raise
            at, secret = self.clock.time_ns(), self.credentials is not None
            read = ask(self.stack, "read", secret=secret, session=view, fetch=current, answer=answer, at=at) or ()
            if recorded is not None:
                read = list(read)
                recorded.answered(current, answer, at, address=any(isinstance(item, Dial) for item in read))
            for item in read:
                if isinstance(item, Fetch):
                    queue.append(item)
                elif isinstance(item, Rejected):
                    if item.kind == "credentials":
                        reason = f"the venue refused the credentials ({_sanitize_error(item.reason)})"
                        raise CredentialsError(self._account, reason)
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

    @property
    def _account(self) -> str | None:
        return self.credentials.account if self.credentials is not None else None

    def signs(self, fetch: Fetch) -> bool:
        """Whether a request carries something of the account."""
        if self.credentials is None:
            return False
        return bool(fetch.headers or fetch.body) or (self.stack.offers("sign") and self._sign(fetch) != fetch)

    def _sign(self, fetch: Fetch) -> Fetch:
        at, secrets = self.clock.time_ns(), self.credentials
        signed: Fetch = ask(self.stack, "sign", secret=secrets is not None, fetch=fetch, credentials=secrets, at=at)
        return signed

    def _judge(self, fetch: Fetch, answer: Answer) -> Rejected | None:
        try:
            verdict = ask(self.stack, "refused", secret=self.credentials is not None, fetch=fetch, answer=answer)
        except PluginError as error:
            # The status still says what it says: a gateway's page must not end what the venue would serve again.
            _log.warning("an HTTP error is judged by its status", exchange=self.stack.exchange, error=str(error))
            return None
        return verdict if isinstance(verdict, Rejected) else None


_Kept = MutableMapping[asyncio.AbstractEventLoop, WeakValueDictionary[Any, Any]]
_budgets: _Kept = WeakKeyDictionary()
_states: _Kept = WeakKeyDictionary()
_accesses: _Kept = WeakKeyDictionary()


def shared_access(
    stack: ExchangeStack,
    settings: Any,
    clock: Clock,
    *,
    proxy: str | None = None,
    credentials: Credentials | None = None,
) -> VenueAccess:
    """The access all collectors of this exchange share that have the same settings, credentials and event loop.

    Those of other credentials share the venue's limits and instruments, never the way that signs. Those with other
    middleware share the limits, and the instruments where none of it touches how they are listed.
    """
    loop = asyncio.get_running_loop()
    budgets, states, accesses = (
        each.setdefault(loop, WeakValueDictionary()) for each in (_budgets, _states, _accesses)
    )
    own_clock = None if isinstance(clock, SystemClock) else id(clock)
    venue = (stack.exchange, id(stack.origin), repr(settings), proxy, own_clock)
    access: VenueAccess | None = accesses.get((venue, id(stack), credentials))
    if access is None:
        listing = (venue, id(stack) if stack.wraps("instruments", "read", "memory", "sign") else None)
        state = states.get(listing)
        if state is None:
            budget = budgets.get(venue)
            if budget is None:
                budget = budgets[venue] = make_budget(stack, settings, clock)
            state = states[listing] = VenueState(stack, settings, clock, budget)
        access = VenueAccess(stack, settings, clock, credentials=credentials, proxy=proxy, state=state)
        accesses[venue, id(stack), credentials] = access
    return access
