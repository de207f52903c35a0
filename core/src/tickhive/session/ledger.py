"""The subscription ledger: for every channel what was asked, what the venue answered and whether data flows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any, TypeAlias

from attrs import define

from tickhive.channels import Channel

SilenceLimit: TypeAlias = float | Callable[[Channel], float | None] | None
"""Seconds without data after which a channel counts as silent: one number, or per channel; None: never."""


class SubscriptionState(StrEnum):
    """How far a channel has come. ``silent`` is read off the time since the last event, never stored."""

    WANTED = "wanted"
    ASKED = "asked"
    ACKNOWLEDGED = "acknowledged"
    RECEIVING = "receiving"
    SILENT = "silent"
    REJECTED = "rejected"


WANTED, ASKED, ACKNOWLEDGED = SubscriptionState.WANTED, SubscriptionState.ASKED, SubscriptionState.ACKNOWLEDGED
RECEIVING, SILENT, REJECTED = SubscriptionState.RECEIVING, SubscriptionState.SILENT, SubscriptionState.REJECTED


@define
class LedgerEntry:
    """One channel's account. Times are ns UTC; ``attempts`` counts how often it was asked for since data flowed."""

    channel: Channel
    state: SubscriptionState = WANTED
    asked_at: int | None = None
    acknowledged_at: int | None = None
    reason: str | None = None
    attempts: int = 0


class SubscriptionLedger:
    """All channels of one collector, over all its sockets. ``last_received`` tells when a channel's data last came."""

    def __init__(self, last_received: Callable[[Channel], int | None]) -> None:
        self._entries: dict[Channel, LedgerEntry] = {}
        self._last_received = last_received

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self._entries.values())

    def __contains__(self, channel: object) -> bool:
        return channel in self._entries

    def state(self, channel: Channel) -> SubscriptionState | None:
        """The channel's stored state; None for one that nobody wants."""
        entry = self._entries.get(channel)
        return entry.state if entry is not None else None

    def want(self, channels: Iterable[Channel]) -> None:
        """Open an account for each channel that has none."""
        for channel in channels:
            if channel not in self._entries:
                self._entries[channel] = LedgerEntry(channel)

    def askable(self, channels: Iterable[Channel]) -> list[Channel]:
        """Those that the venue has not refused for good."""
        return [channel for channel in channels if self.state(channel) is not REJECTED]

    def asked(self, channel: Channel, at: int) -> None:
        """A request for it goes out."""
        entry = self._entry(channel)
        entry.state, entry.asked_at, entry.acknowledged_at = ASKED, at, None
        entry.attempts += 1

    def acknowledged(self, channel: Channel, at: int) -> None:
        """The venue confirmed it; data may have come before."""
        entry = self._entry(channel)
        entry.acknowledged_at, entry.reason = at, None
        if entry.state in (WANTED, ASKED, REJECTED):
            entry.state = ACKNOWLEDGED

    def receiving(self, channel: Channel) -> None:
        """Its data flows."""
        entry = self._entry(channel)
        entry.state, entry.reason, entry.attempts = RECEIVING, None, 0

    def rejected(self, channel: Channel, reason: str) -> None:
        """The venue refused it for good."""
        entry = self._entry(channel)
        entry.state, entry.reason = REJECTED, reason

    def lost(self, channel: Channel, reason: str) -> int:
        """It has to be asked for again; answers how often it was asked for in vain."""
        entry = self._entry(channel)
        if entry.state is not REJECTED:
            entry.state, entry.reason, entry.acknowledged_at = WANTED, reason, None
        return entry.attempts

    def forget(self, channel: Channel) -> None:
        """Nobody wants it any more."""
        self._entries.pop(channel, None)

    def status(self, at: int | None = None, silence_seconds: SilenceLimit = None) -> list[dict[str, Any]]:
        """One dictionary per channel: symbol, data_type, params, state, asked_at, acknowledged_at, last_received,
        silent_seconds (since the last event, or since it was asked for; None without ``at``), reason, attempts.
        """
        return [self._describe(entry, at, silence_seconds) for entry in self._entries.values()]

    def summary(self, at: int | None = None, silence_seconds: SilenceLimit = None) -> dict[str, Any]:
        """For health: the count of ``channels`` and of each state, ``silent_channels`` and ``rejected_channels``."""
        counts = dict.fromkeys((state.value for state in SubscriptionState), 0)
        names: dict[str, list[str]] = {SILENT.value: [], REJECTED.value: []}
        for entry in self._entries.values():
            state = self._current(entry, self._silent_seconds(entry, at), silence_seconds).value
            counts[state] += 1
            if state in names:
                names[state].append(str(entry.channel))
        return {
            "channels": len(self._entries),
            **counts,
            "silent_channels": names[SILENT.value],
            "rejected_channels": names[REJECTED.value],
        }

    def _entry(self, channel: Channel) -> LedgerEntry:
        entry = self._entries.get(channel)
        if entry is None:
            entry = self._entries[channel] = LedgerEntry(channel)
        return entry

    def _silent_seconds(self, entry: LedgerEntry, at: int | None) -> float | None:
        since = self._last_received(entry.channel)
        if since is None or (entry.state is not RECEIVING and entry.asked_at is not None):
            since = max(filter(None, (since, entry.asked_at)), default=None)
        return None if at is None or since is None else max(0.0, (at - since) / 1e9)

    def _current(
        self, entry: LedgerEntry, silent_seconds: float | None, silence_seconds: SilenceLimit
    ) -> SubscriptionState:
        limit = silence_seconds(entry.channel) if callable(silence_seconds) else silence_seconds
        flowing = entry.state in (ACKNOWLEDGED, RECEIVING)
        if flowing and limit is not None and silent_seconds is not None and silent_seconds >= limit:
            return SILENT
        return entry.state

    def _describe(self, entry: LedgerEntry, at: int | None, silence_seconds: SilenceLimit) -> dict[str, Any]:
        channel = entry.channel
        silent_seconds = self._silent_seconds(entry, at)
        return {
            "symbol": channel.symbol,
            "data_type": channel.data_type.value,
            "params": channel.params,
            "state": self._current(entry, silent_seconds, silence_seconds).value,
            "asked_at": entry.asked_at,
            "acknowledged_at": entry.acknowledged_at,
            "last_received": self._last_received(channel),
            "silent_seconds": silent_seconds,
            "reason": entry.reason,
            "attempts": entry.attempts,
        }
