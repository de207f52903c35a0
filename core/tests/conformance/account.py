"""A true account, and the plugin of a made-up venue that tells of it: in frames of rows, and by REST."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from attrs import define, field

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import Balance, Fill, Gap, Order, Position
from tickhive.plugin.contract import Accepted, Answer, Fetch, Malformed, Rejected, Request, Unsubscribed
from tickhive.plugin.hookspecs import hookimpl

SYMBOLS = ("A", "B")
KINDS = (DataType.POSITION, DataType.BALANCE, DataType.ORDER, DataType.FILL)
CHANNELS = {kind: Channel(EVERY, EVERY, kind) for kind in KINDS}
OPEN = ("open", "partially_filled")
RECENT = 2
"""So many fills the venue remembers where it does not remember all."""

Row = list[Any]
"""``[kind, symbol, id, value, time]``: the value is an amount or a status, the time ns UTC or None."""
OrderKey = tuple[str, str]


@define(kw_only=True)
class Account:
    """What is so. Positions, balances and orders map to (value, ns UTC of its last change), fills to their time.

    ``timed``: the venue sends times. ``dated``: an answer is stamped with the moment it was computed at, not with that
    of the last change. ``recent``: the venue lists only so many fills.
    """

    timed: bool
    dated: bool
    recent: bool
    positions: dict[str, tuple[int, int]] = field(factory=dict, init=False)
    balances: dict[str, tuple[int, int]] = field(factory=dict, init=False)
    orders: dict[OrderKey, tuple[str, int]] = field(factory=dict, init=False)
    fills: dict[OrderKey, int] = field(factory=dict, init=False)

    def amount(self, kind: DataType, symbol: str, size: int, at: int) -> Row | None:
        """A position or a balance changes; None when it does not."""
        amounts = self._amounts(kind)
        if amounts.get(symbol, (0, 0))[0] == size:
            return None
        amounts[symbol] = size, at
        return self._row(kind, symbol, "", size, at)

    def order(self, symbol: str, at: int) -> Row:
        """An order is placed. Each symbol numbers its own."""
        key = symbol, str(1 + sum(each == symbol for each, _ in self.orders))
        self.orders[key] = OPEN[0], at
        return self._row(DataType.ORDER, *key, OPEN[0], at)

    def turn(self, key: OrderKey, status: str, at: int) -> Row:
        """An order is in another state."""
        self.orders[key] = status, at
        return self._row(DataType.ORDER, *key, status, at)

    def fill(self, symbol: str, at: int) -> Row:
        """An order is filled. Each symbol numbers its own, and all have their time."""
        key = symbol, str(1 + sum(each == symbol for each, _ in self.fills))
        self.fills[key] = at
        return [DataType.FILL.value, *key, 1, at]

    def open(self) -> dict[OrderKey, tuple[str, int]]:
        """The orders that are open."""
        return {key: state for key, state in self.orders.items() if state[0] in OPEN}

    def held(self, kind: DataType) -> dict[str, int]:
        """What is not zero."""
        return {symbol: size for symbol, (size, _) in self._amounts(kind).items() if size}

    def answer(self, url: str, at: int) -> list[Row]:
        """What the venue says by REST at a moment, to ``/kind`` or ``/kind/symbol/rest``."""
        _, _, _, name, *about = url.split("/")
        kind = DataType(name)
        if kind is DataType.FILL:
            rows = [[name, *key, 1, time] for key, time in self.fills.items() if not about or key[0] == about[0]]
            return (
                [row for row in rows if int(str(row[4])) >= int(about[1])]
                if about
                else rows[-RECENT if self.recent else 0 :]
            )
        if kind is DataType.ORDER:
            of = [(about[0], about[1])] if about else list(self.open())
            return [self._row(kind, *key, *self._dated(self.orders[key], at)) for key in of if key in self.orders]
        held = [(symbol, state) for symbol, state in self._amounts(kind).items() if state[0]]
        return [self._row(kind, symbol, "", *self._dated(state, at)) for symbol, state in held]

    def _dated(self, state: tuple[Any, int], at: int) -> tuple[Any, int]:
        return (state[0], at) if self.dated else state

    def _amounts(self, kind: DataType) -> dict[str, tuple[int, int]]:
        return self.positions if kind is DataType.POSITION else self.balances

    def _row(self, kind: DataType, symbol: str, id: str, value: Any, at: int) -> Row:
        return [kind.value, symbol, id, value, at if self.timed else None]


def _event(row: Row, at: int, late: bool) -> Any:
    kind, symbol, id, value, time = row
    match kind:
        case "position":
            return Position("umbra", symbol, time, at, "main", id, "net", Decimal(value))
        case "balance":
            return Balance("umbra", symbol, time, at, "main", Decimal(value))
        case "order":
            return Order("umbra", symbol, time, at, "main", id, "buy", "limit", value, Decimal(10), Decimal(0))
        case "fill":
            return Fill("umbra", symbol, time, at, "main", id, "one", "buy", Decimal(1), Decimal(value), late=late)
        case "later":
            return Rejected("not now", "retry")
        case _:
            return Malformed("a bad row")


BAD_ROW: Row = ["bad", "", "", 0, None]
REFUSAL: Row = ["later", "", "", 0, None]


@define
class Umbra:
    """``by_symbol``: fills are listed for one symbol at a time, so there is no snapshot of them."""

    by_symbol: bool

    @hookimpl
    def connect(self, channels: Sequence[Channel]) -> Any:
        return ()

    @hookimpl
    def subscribe(self, session: Any, channels: Sequence[Channel]) -> Any:
        return self._request("sub", session, channels)

    @hookimpl
    def unsubscribe(self, session: Any, channels: Sequence[Channel]) -> Any:
        return self._request("unsub", session, channels)

    def _request(self, word: str, session: Any, channels: Sequence[Channel]) -> list[Request]:
        id = session.next_id()
        return [Request(" ".join([word, id, *(channel.data_type.value for channel in channels)]), channels, id)]

    @hookimpl
    def snapshot(self, channel: Channel) -> Any:
        if channel.data_type is DataType.FILL and self.by_symbol:
            return None
        return Fetch(f"https://umbra.test/{channel.data_type.value}", channel=channel)

    @hookimpl
    def backfill(self, channel: Channel, gap: Gap) -> Any:
        if gap.data_type is DataType.ORDER:
            return Fetch(f"https://umbra.test/order/{gap.symbol}/{gap.first_id}", channel=channel)
        if self.by_symbol:
            return Fetch(f"https://umbra.test/fill/{gap.symbol}/{gap.start or 0}", channel=channel)
        return None

    @hookimpl
    def parse(self, frame: bytes, at: int) -> Any:
        said = json.loads(frame)
        if isinstance(said, str):
            word, id = said.split()
            return [Accepted(id) if word == "sub" else Unsubscribed(id)]
        return [_event(said, at, False)]

    @hookimpl
    def read(self, answer: Answer, at: int) -> Any:
        return [_event(row, at, True) for row in json.loads(answer.body)]
