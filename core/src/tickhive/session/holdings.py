"""What an account holds, across sockets: its positions and balances, and which of them nobody told the end of."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any, TypeAlias

from attrs import evolve

from tickhive.events import Balance, Position

_MOST = 20_000
_ZERO = Decimal(0)
_AMOUNTS = ("total", "available", "frozen", "equity", "liability")

Holding: TypeAlias = Balance | Position
HoldingKey: TypeAlias = tuple[object, ...]


def key_of(holding: Holding) -> HoldingKey:
    """What tells it from others: an instrument may have several positions."""
    if isinstance(holding, Position):
        return Position, holding.account, holding.symbol, holding.side, holding.id
    return Balance, holding.account, holding.symbol


class Holdings:
    """The last word on each position and each currency. Of those that are zero only so many are remembered."""

    def __init__(self) -> None:
        self._known: dict[HoldingKey, Holding] = {}

    def note(self, event: Holding) -> None:
        """It stands so now."""
        key = key_of(event)
        self._known.pop(key, None)
        self._known[key] = event
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def outdated(self, event: Holding, asked_at: int | None, since: int) -> bool:
        """Whether this was so before what was told last. ``asked_at``: it was fetched, asked for then, and goes as well
        if the very same was told on this socket, which is open ``since`` then. None: it streamed in where another
        socket may have been faster. All are ns UTC.
        """
        known = self._known.get(key_of(event))
        if known is None:
            return False
        if event.timestamp is None or known.timestamp is None:
            return asked_at is not None and known.received >= asked_at
        same = event.timestamp == known.timestamp and event == evolve(known, received=event.received)
        return event.timestamp < known.timestamp or (asked_at is not None and same and known.received >= since)

    def held(self) -> list[Holding]:
        """All that is not zero."""
        return [each for each in self._known.values() if _amount(each)]

    def untold(self, kind: type, account: str, told: Collection[HoldingKey], since: int) -> list[Holding]:
        """What the account does not hold any more: it is not among all there is (``told``), and nothing was heard of it
        since then (ns UTC).
        """
        return [
            each
            for key, each in self._known.items()
            if key[:2] == (kind, account) and key not in told and each.received < since and _amount(each)
        ]


def _amount(holding: Holding) -> bool:
    if isinstance(holding, Position):
        return bool(holding.size)
    return any(getattr(holding, name) for name in _AMOUNTS)


def emptied(holding: Holding, at: int) -> Holding:
    """What would have been told of its end."""
    if isinstance(holding, Balance):
        amounts: dict[str, Any] = {name: _ZERO for name in _AMOUNTS if getattr(holding, name) is not None}
        return evolve(holding, timestamp=None, received=at, **amounts)
    about = holding.account, holding.id, holding.side, _ZERO
    return Position(holding.exchange, holding.symbol, None, at, *about, margin_mode=holding.margin_mode)
