"""What Binance says of an account as it happens: balances, positions, orders and fills.

Every event names the account its socket was opened for. Of what was not asked for nothing is told; in a recording,
where nobody here asked, everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from tickhive.channels import DataType
from tickhive.events import Balance, Fill, Order, OrderStatus, Position, PositionSide, Side
from tickhive.plugin import Alive, Event, Goodbye, SessionView, Unknown
from tickhive.plugin.reading import NS_PER_MS, Int64, Millis, Numeral, Text, exact, number
from tickhive_binance.values import above_zero, moment

STATUS: dict[str, OrderStatus] = {
    "NEW": "open",
    "PENDING_NEW": "open",
    "NEW_INSURANCE": "open",
    "NEW_ADL": "open",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}
"""What Binance's order states mean; ``NEW_INSURANCE`` and ``NEW_ADL`` are liquidations."""

SLOTS: dict[str, PositionSide] = {"BOTH": "net", "LONG": "long", "SHORT": "short"}
"""What Binance's ``positionSide`` means."""

SIDES: dict[str, Side] = {"BUY": "buy", "SELL": "sell"}

BuySell: TypeAlias = Literal["BUY", "SELL"]
Slot: TypeAlias = Literal["BOTH", "LONG", "SHORT"]


def symbol_of(session: SessionView, native: str) -> str:
    """The normalised name of an instrument."""
    return session.instruments.symbols.get(native, native)


class SpotBalance(Struct, gc=False):
    """One currency: ``f`` free, ``l`` held by orders."""

    a: Text
    f: Numeral
    l: Numeral  # noqa: E741


class SpotPosition(Struct, gc=False):
    """``outboundAccountPosition``: the balances that an event may have changed."""

    E: Millis
    B: list[SpotBalance]


def spot_balances(row: SpotPosition, session: SessionView, at: int) -> Sequence[Event]:
    """Balances of the spot wallet."""
    if not session.memory.wants(DataType.BALANCE):
        return ()
    events: list[Event] = []
    for each in row.B:
        free, held = exact(each.f), exact(each.l)
        time = row.E * NS_PER_MS
        events.append(Balance(session.exchange, each.a, time, at, session.account, free + held, free, held))
    return events


class _OrderRow(Struct, gc=False, kw_only=True):
    """What every market says of an order. ``x`` is what happened (``TRADE``: a fill), ``X`` how the order stands after
    it.
    """

    s: Text
    c: Text
    S: BuySell
    o: Text
    q: Numeral
    p: Numeral
    x: Text
    X: Text
    i: Int64
    z: Numeral
    T: Millis
    l: Numeral = ""  # noqa: E741
    L: Numeral = ""
    n: Numeral | None = ""
    N: Text | None = ""
    t: Int64 = -1
    m: bool = False


class SpotOrder(_OrderRow, gc=False, kw_only=True):
    """``executionReport``."""

    E: Millis
    C: Text = ""
    r: Text = ""
    O: Millis = 0  # noqa: E741
    Z: Numeral = ""


def spot_order(row: SpotOrder, session: SessionView, at: int) -> Sequence[Event]:
    """The order after a change, and the fill that made it."""
    done = exact(row.z)
    total = above_zero(row.Z)
    average = total / done if total is not None and done else None
    # A cancel has a client id of its own in `c`; the order's is then in `C`.
    client = row.C if row.C not in ("", "null") else row.c
    reason = "" if row.r in ("NONE", "") else row.r.lower()
    return _order(row, session, at, average, client, reason=reason, created=moment(row.O))


def _order(
    row: SpotOrder | FuturesOrder,
    session: SessionView,
    at: int,
    average: Decimal | None,
    client: str,
    *,
    reason: str = "",
    created: int | None = None,
    reduce_only: bool = False,
    slot: PositionSide = "net",
) -> Sequence[Event]:
    symbol, time, side, id = symbol_of(session, row.s), row.T * NS_PER_MS, SIDES[row.S], str(row.i)
    about = session.exchange, symbol, time, at, session.account
    status, wants = STATUS.get(row.X), session.memory.wants
    events: list[Event] = []
    if status is None:
        events.append(Unknown(f"order state {row.X}"))
    elif wants(DataType.ORDER):
        sizes = exact(row.q), exact(row.z), above_zero(row.p), average
        order = Order(*about, id, side, row.o.lower(), status, *sizes, client, reduce_only, created=created)
        order.reason, order.position_side = reason, slot
        events.append(order)
    if row.x == "TRADE" and row.t >= 0 and wants(DataType.FILL):
        price, size, fee = exact(row.L), exact(row.l), number(row.n or "")
        liquidity: Literal["maker", "taker"] = "maker" if row.m else "taker"
        events.append(Fill(*about, str(row.t), id, side, price, size, liquidity, fee, row.N or "", client, False, slot))
    return events


class FuturesOrder(_OrderRow, gc=False, kw_only=True):
    """The ``o`` of ``ORDER_TRADE_UPDATE``."""

    ap: Numeral = ""
    R: bool = False
    ps: Slot = "BOTH"


class OrderUpdate(Struct, gc=False):
    """``ORDER_TRADE_UPDATE``."""

    o: FuturesOrder


def futures_order(row: OrderUpdate, session: SessionView, at: int) -> Sequence[Event]:
    """The order after a change, and the fill that made it. Trade id 0 is none."""
    order = row.o
    average = above_zero(order.ap)
    return _order(order, session, at, average, order.c, reduce_only=order.R, slot=SLOTS[order.ps])


class WalletBalance(Struct, gc=False):
    """One currency of a futures wallet: ``wb`` all of it, ``cw`` without isolated positions."""

    a: Text
    wb: Numeral


class WalletPosition(Struct, gc=False):
    """A position: ``pa`` its signed size, ``cr`` the profit it has realised so far."""

    s: Text
    pa: Numeral
    ep: Numeral
    ps: Slot = "BOTH"
    up: Numeral = ""
    cr: Numeral = ""
    mt: Text = ""


class _Wallet(Struct, gc=False):
    B: list[WalletBalance] = []
    P: list[WalletPosition] = []


class AccountUpdate(Struct, gc=False):
    """``ACCOUNT_UPDATE``: what an event changed; what it did not change is not there."""

    T: Millis
    a: _Wallet


def account_update(row: AccountUpdate, session: SessionView, at: int) -> Sequence[Event]:
    """Balances and positions that changed."""
    time, account, exchange = row.T * NS_PER_MS, session.account, session.exchange
    events: list[Event] = []
    if session.memory.wants(DataType.BALANCE):
        events += [Balance(exchange, each.a, time, at, account, exact(each.wb)) for each in row.a.B]
    if session.memory.wants(DataType.POSITION):
        events += [_position(each, session, time, at) for each in row.a.P]
    return events


def _position(row: WalletPosition, session: SessionView, time: int, at: int) -> Event:
    return Position(
        session.exchange,
        symbol_of(session, row.s),
        time,
        at,
        session.account,
        position_id(row.s, row.ps),
        SLOTS[row.ps],
        exact(row.pa),
        above_zero(row.ep),
        unrealised_profit=number(row.up),
        margin_mode=row.mt.lower(),
        realised_profit=number(row.cr),
    )


def position_id(native: str, slot: str) -> str:
    """What tells positions apart: Binance gives them no id."""
    return f"{native}/{slot}"


Reader: TypeAlias = Callable[[SessionView, bytes, int], Sequence[Event]]


def _reader(form: type[Struct], build: Callable[[Any, SessionView, int], Sequence[Event]]) -> Reader:
    decode = msgspec.json.Decoder(form).decode
    return lambda session, data, at: build(decode(data), session, at)


def _says(event: Event) -> Reader:
    return lambda session, data, at: [event]


EVENTS: dict[str, Reader] = {
    "outboundAccountPosition": _reader(SpotPosition, spot_balances),
    "executionReport": _reader(SpotOrder, spot_order),
    "ORDER_TRADE_UPDATE": _reader(OrderUpdate, futures_order),
    "ACCOUNT_UPDATE": _reader(AccountUpdate, account_update),
    "listenKeyExpired": _says(Goodbye("the listen key expired")),
    "eventStreamTerminated": _says(Goodbye("the account's events ended")),
    # Said otherwise as well: by outboundAccountPosition, executionReport, ORDER_TRADE_UPDATE.
    **dict.fromkeys(("balanceUpdate", "listStatus", "TRADE_LITE"), _says(Alive())),
    # Of what is not collected: settings, warnings, orders that wait for a condition.
    **dict.fromkeys(
        (
            "externalLockUpdate", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL", "ALGO_UPDATE", "STRATEGY_UPDATE",
            "GRID_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT",
        ),
        _says(Alive()),
    ),
}  # fmt: skip
"""What is done with each event of an account, by its name."""
