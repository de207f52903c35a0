"""A venue seen from the server's side, without I/O: what a plugin's ``venue`` hook answers and the core serves.

The core's simulation room puts it behind real sockets; tests and the session room's properties drive it in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import Factory, define, frozen

from tickhive.channels import DataType
from tickhive.plugin.contract import Answer


@frozen(kw_only=True)
class VenueOptions:
    """How a simulated venue should behave.

    ``symbols`` (normalised; empty: the venue's own choice) trade from ``seed`` at ``speed`` times real time, or a
    ``recording`` is served instead. ``start`` is the market's first moment, ns UTC.
    """

    seed: int = 1
    symbols: Sequence[str] = ()
    speed: float = 1.0
    start: int = 0
    recording: Path | None = None


@frozen
class Send:
    """A frame to one connection."""

    connection: int
    frame: str | bytes


@frozen
class Hangup:
    """Close one connection. ``code`` None cuts it without a closing handshake."""

    connection: int
    code: int | None = 1000
    reason: str = ""


@define
class VenueLog:
    """The venue's own account of what it sent: market events per symbol and data type, over all connections.

    A snapshot and a delta of a book count one each, so the numbers compare with a collector's event counts.
    """

    sent: dict[tuple[str, DataType], int] = Factory(dict)

    def count(self, symbol: str, data_type: DataType, events: int = 1) -> None:
        """Note that ``events`` events were sent."""
        key = (symbol, data_type)
        self.sent[key] = self.sent.get(key, 0) + events

    def by_type(self) -> Mapping[DataType, int]:
        """The same, summed over symbols."""
        totals: dict[DataType, int] = {}
        for (_, data_type), events in self.sent.items():
            totals[data_type] = totals.get(data_type, 0) + events
        return totals


class SimulatedVenue(ABC):
    """The server's side of a venue's protocol. All times are ns UTC; nothing here waits or reads a clock.

    Whoever drives it calls ``opened``, ``received``, ``closed``, ``request`` and ``advance`` with the time now, then
    takes ``outgoing`` and puts it on the wire.
    """

    log: VenueLog

    @property
    @abstractmethod
    def symbols(self) -> Sequence[str]:
        """The normalised symbols that trade here: what a demo collects."""

    @property
    @abstractmethod
    def subscriptions(self) -> Sequence[str]:
        """The data types (with parameters) worth showing: ``trade``, ``orderbook``, ``candle:1m``, ..."""

    @abstractmethod
    def opened(self, connection: int, path: str, at: int) -> None:
        """A client opened a socket at this path (query included)."""

    @abstractmethod
    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        """A client sent a frame."""

    @abstractmethod
    def closed(self, connection: int, at: int) -> None:
        """A client's socket is gone."""

    @abstractmethod
    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        """Answer a REST request. ``path`` includes the query; header names are lower case."""

    @abstractmethod
    def advance(self, at: int) -> int | None:
        """Let the market go on until ``at``; answer when it next has something to do (ns UTC), None for never."""

    @abstractmethod
    def outgoing(self) -> Sequence[Send | Hangup]:
        """Take what is to be sent since the last call, in order."""

    def overflowed(self, connection: int, at: int) -> Hangup:
        """A client does not read and its send buffer is full: how is it sent away? Default: it is cut."""
        return Hangup(connection, None)
