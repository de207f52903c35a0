"""The subscription ledger: for every channel what was asked, what the venue answered and whether data flows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from enum import IntEnum, StrEnum
from typing import Any, TypeAlias

from attrs import define, field

from tickhive.channels import Channel, DataType
from tickhive.events import MarketEvent, SubscriptionUpdate
from tickhive.session.cadence import Cadence
from tickhive.session.timers import SECOND

SilenceLimit: TypeAlias = Callable[[Channel], float | None]
"""Seconds without data after which a channel counts as silent while its cadence is not known; None: never silent."""

TradesSeen: TypeAlias = Callable[[str], tuple[int, int] | None]
"""For a symbol: the trades seen and those to be expected by their ids; None where ids prove nothing."""


class SubscriptionState(StrEnum):
    """How far a channel has come."""

    WANTED = "wanted"
    ASKED = "asked"
    ACKNOWLEDGED = "acknowledged"
    RECEIVING = "receiving"
    SILENT = "silent"
    REJECTED = "rejected"


WANTED, ASKED, ACKNOWLEDGED = SubscriptionState.WANTED, SubscriptionState.ASKED, SubscriptionState.ACKNOWLEDGED
RECEIVING, SILENT, REJECTED = SubscriptionState.RECEIVING, SubscriptionState.SILENT, SubscriptionState.REJECTED

_RANK = {WANTED: 0, ASKED: 1, ACKNOWLEDGED: 2, RECEIVING: 3}


MOVE_EVERY = 300 * SECOND
"""A channel asks for a fresh socket at most so often (ns)."""


class Remedy(IntEnum):
    """What was tried against a silence, each after the one before."""

    NONE = 0
    ASKED_AGAIN = 1
    FRESH_SOCKET = 2


@define(eq=False)
class LedgerEntry:
    """One channel's account over all sockets. Times are ns UTC.

    ``state`` is what is shown: the best of the sockets that carry it. ``attempts`` counts how often it was asked for
    since data flowed. ``remedy`` is how far the remedies have gone, ``tried`` and ``tried_at`` what was done last,
    ``moved_at`` when a fresh socket was last asked for because of it, ``asks`` how often it was asked for since it was
    reported, ``returned_at`` when data last came back.
    """

    channel: Channel
    state: SubscriptionState = WANTED
    asked_at: int | None = None
    acknowledged_at: int | None = None
    reason: str | None = None
    attempts: int = 0
    carriers: list[Carried] = field(factory=list)
    cadence: Cadence = field(factory=Cadence)
    remedy: Remedy = Remedy.NONE
    tried: str | None = None
    tried_at: int | None = None
    moved_at: int | None = None
    asks: int = 0
    returned_at: int | None = None
    wanted_at: int | None = None
    live: int = 0
    live_since: int | None = None

    def may_move(self, at: int) -> bool:
        """Whether its trouble may cost the others on its socket a move to a fresh one."""
        return self.moved_at is None or at - self.moved_at >= MOVE_EVERY


@define(eq=False)
class Carried:
    """A channel on one socket, and how far it has come there.

    ``asked_at`` is when the socket last asked for it, or it fell silent here: data before that is no answer. ``since``
    is when its data may be expected from. ``silent``: it stayed away too long, for ``reason``; ``due`` is when the
    next remedy is (None: there is none to come). ``source`` is where its last event on this socket stands, for those
    who look often. Times are ns UTC.
    """

    entry: LedgerEntry
    state: SubscriptionState = WANTED
    asked_at: int = 0
    since: int = 0
    silent: bool = False
    reason: str | None = None
    due: int | None = None
    source: tuple[Mapping[Hashable, MarketEvent], Hashable] | None = None


class SubscriptionLedger:
    """All channels of one collector, over all its sockets.

    ``last_received`` tells when a channel's data last came, on whatever socket. Every change of a shown state is put
    into ``news``, which the sessions hand out and empty; Gaps that are found between two hand-outs wait there too.
    """

    def __init__(
        self,
        exchange: str,
        last_received: Callable[[Channel], int | None],
        silence_limit: SilenceLimit | None = None,
        trades_seen: TradesSeen | None = None,
    ) -> None:
        self.news: list[MarketEvent] = []
        self._exchange = exchange
        self._entries: dict[Channel, LedgerEntry] = {}
        self._last_received = last_received
        self._silence_limit = silence_limit
        self._trades_seen = trades_seen

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self._entries.values())

    def __contains__(self, channel: object) -> bool:
        return channel in self._entries

    def state(self, channel: Channel) -> SubscriptionState | None:
        """The channel's shown state; None for one that nobody wants."""
        entry = self._entries.get(channel)
        return entry.state if entry is not None else None

    def want(self, channels: Iterable[Channel], at: int | None = None) -> None:
        """Open an account for each channel that has none."""
        for channel in channels:
            entry = self._entry(channel)
            if entry.wanted_at is None:
                entry.wanted_at = at

    def askable(self, channels: Iterable[Channel]) -> list[Channel]:
        """Those that the venue has not refused for good."""
        return [channel for channel in channels if self.state(channel) is not REJECTED]

    def limit(self, entry: LedgerEntry) -> float | None:
        """Seconds of quiet that are silence for this channel; None: it may be quiet for ever."""
        fallback = self._silence_limit(entry.channel) if self._silence_limit is not None else None
        if fallback is None:
            return None
        cadence = entry.cadence
        return max(fallback, cadence.patience) if cadence.limit is None else cadence.limit

    # What happens on a socket

    def carry(self, channel: Channel) -> Carried:
        """One more socket carries it."""
        entry = self._entry(channel)
        carried = Carried(entry)
        entry.carriers.append(carried)
        return carried

    def asked(self, carried: Carried, at: int) -> None:
        """A request for it goes out."""
        entry = carried.entry
        carried.state, carried.asked_at, carried.since = ASKED, at, at
        entry.asked_at, entry.acknowledged_at = at, None
        entry.attempts += 1
        self._show(entry, at)

    def acknowledged(self, carried: Carried, at: int) -> None:
        """The venue confirmed it; data may have come before."""
        entry = carried.entry
        entry.acknowledged_at = at
        if carried.state in (WANTED, ASKED, REJECTED):
            carried.state, carried.since = ACKNOWLEDGED, at
            if entry.state is not SILENT:
                entry.reason = None
            self._show(entry, at)

    def received(self, carried: Carried, at: int) -> None:
        """Its data flows on this socket."""
        entry = carried.entry
        if carried.state is ASKED:
            carried.since = at
        carried.state, carried.silent, carried.due, carried.reason = RECEIVING, False, None, None
        entry.reason, entry.attempts = None, 0
        if entry.state is SILENT:
            entry.returned_at = at
        self._show(entry, at)

    def fell_silent(self, carried: Carried, reason: str, at: int) -> None:
        """Data stays away on this socket."""
        carried.silent, carried.reason, carried.asked_at = True, reason, at
        self._show(carried.entry, at, reason)

    def report(self, carried: Carried, reason: str, at: int) -> None:
        """The remedies are used up: say so, where no other socket has the data."""
        entry = carried.entry
        carried.reason = reason
        if entry.state is SILENT and entry.reason != reason:
            entry.reason = reason
            self._tell(entry, reason, at)

    def postponed(self, carried: Carried, reason: str, at: int) -> int:
        """It has to be asked for again later; answers how often it was asked for in vain."""
        carried.state = WANTED
        carried.entry.acknowledged_at = None
        self._show(carried.entry, at, reason)
        return carried.entry.attempts

    def rejected(self, carried: Carried, reason: str, at: int) -> None:
        """The venue refused it for good, for every socket."""
        carried.state, carried.silent, carried.due = REJECTED, False, None
        self._show(carried.entry, at, reason)

    def dropped(self, carried: Carried, reason: str, at: int) -> None:
        """A socket carries it no more."""
        entry = carried.entry
        if carried in entry.carriers:
            entry.carriers.remove(carried)
            if carried.silent:
                entry.remedy = Remedy.FRESH_SOCKET  # whatever comes now is one
            self._show(entry, at, reason)

    def released(self, carried: Carried, at: int | None) -> None:
        """A socket was told to carry it no more; where none is left to, there is nothing to tell."""
        entry = carried.entry
        if carried in entry.carriers:
            entry.carriers.remove(carried)
            if entry.carriers and at is not None:
                self._show(entry, at)

    def forget(self, channel: Channel) -> None:
        """Nobody wants it any more; while a socket carries it, somebody does."""
        entry = self._entries.get(channel)
        if entry is not None and not entry.carriers:
            del self._entries[channel]

    # What is shown

    def _show(self, entry: LedgerEntry, at: int, reason: str | None = None) -> None:
        if entry.wanted_at is None:
            entry.wanted_at = at
        state = self._judge(entry)
        if state is entry.state:
            return
        if entry.live_since is not None:
            quiet_since = self._last_received(entry.channel) if state is SILENT else None
            entry.live += max(0, (at if quiet_since is None else quiet_since) - entry.live_since)
        entry.live_since = at if state is RECEIVING else None
        entry.state = state
        if state is SILENT and (reason is None or not any(carried.reason == reason for carried in entry.carriers)):
            reason = next((carried.reason for carried in entry.carriers if carried.silent), reason)
        if reason is not None or state in (ACKNOWLEDGED, RECEIVING):
            entry.reason = reason
        if state is WANTED:
            entry.acknowledged_at = None
        self._tell(entry, reason, at)

    def _tell(self, entry: LedgerEntry, reason: str | None, at: int) -> None:
        channel = entry.channel
        self.news.append(
            SubscriptionUpdate(
                self._exchange, channel.symbol, None, at, channel.data_type, channel.params, entry.state.value, reason
            )
        )

    @staticmethod
    def _judge(entry: LedgerEntry) -> SubscriptionState:
        """The best state over all sockets, as far as it is true of the channel."""
        best, refused, silent = WANTED, entry.state is REJECTED, entry.state is SILENT
        for carried in entry.carriers:
            state = carried.state
            if state is REJECTED:
                refused = True
                continue
            if state is RECEIVING and not carried.silent:
                return RECEIVING
            silent = silent or carried.silent
            if _RANK[state] > _RANK[best]:
                best = state
        if refused and best is not ACKNOWLEDGED:
            return REJECTED
        if best is WANTED:
            return WANTED
        if silent:
            return SILENT  # until data comes: an acknowledgement on a fresh socket is not data
        if best is ACKNOWLEDGED and entry.state is RECEIVING:
            return RECEIVING  # the socket it flowed on gave way to one on which nothing had to be said yet
        return best

    # Status

    def status(self, at: int | None = None) -> list[dict[str, Any]]:
        """One dictionary per channel, as the reference of statuses lists it; what depends on the time is None without
        ``at``.
        """
        return [self._describe(entry, at) for entry in self._entries.values()]

    def summary(self) -> dict[str, Any]:
        """For health: the count of ``channels`` and of each state, ``silent_channels`` and ``rejected_channels``."""
        counts = dict.fromkeys((state.value for state in SubscriptionState), 0)
        names: dict[SubscriptionState, list[str]] = {SILENT: [], REJECTED: []}
        for entry in self._entries.values():
            counts[entry.state.value] += 1
            if entry.state in names:
                names[entry.state].append(str(entry.channel))
        return {
            "channels": len(self._entries),
            **counts,
            "silent_channels": names[SILENT],
            "rejected_channels": names[REJECTED],
        }

    def _entry(self, channel: Channel) -> LedgerEntry:
        entry = self._entries.get(channel)
        if entry is None:
            entry = self._entries[channel] = LedgerEntry(channel)
        return entry

    def _silent_seconds(self, entry: LedgerEntry, at: int | None) -> float | None:
        since = self._last_received(entry.channel)
        if since is None or (entry.state not in (RECEIVING, SILENT) and entry.asked_at is not None):
            since = max(filter(None, (since, entry.asked_at)), default=None)
        return None if at is None or since is None else max(0.0, (at - since) / 1e9)

    @staticmethod
    def _live_share(entry: LedgerEntry, at: int | None) -> float | None:
        if at is None or entry.wanted_at is None or at <= entry.wanted_at:
            return None
        live = entry.live + (max(0, at - entry.live_since) if entry.live_since is not None else 0)
        return min(1.0, live / (at - entry.wanted_at))

    def _describe(self, entry: LedgerEntry, at: int | None) -> dict[str, Any]:
        channel = entry.channel
        trades = None
        if channel.data_type is DataType.TRADE and self._trades_seen is not None:
            trades = self._trades_seen(channel.symbol)
        return {
            "symbol": channel.symbol,
            "data_type": channel.data_type.value,
            "params": channel.params,
            "state": entry.state.value,
            "asked_at": entry.asked_at,
            "acknowledged_at": entry.acknowledged_at,
            "last_received": self._last_received(channel),
            "silent_seconds": self._silent_seconds(entry, at),
            "interval_seconds": entry.cadence.interval,
            "silence_limit_seconds": self.limit(entry),
            "live_share": self._live_share(entry, at),
            "trades_seen": trades[0] if trades is not None else None,
            "trades_expected": trades[1] if trades is not None else None,
            "reason": entry.reason,
            "remedy": entry.tried,
            "remedy_at": entry.tried_at,
            "attempts": entry.attempts,
        }
