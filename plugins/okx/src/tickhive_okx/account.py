"""What OKX says of an account: balances, positions, orders and fills, from pushes and from REST answers.

Fees are turned round: OKX writes what it charged as a negative number, our events as a positive one. Every event names
the account its socket was logged in for; in a recording, where nobody logged in here, OKX's user id.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from msgspec import Raw, Struct

from tickhive.channels import DataType
from tickhive.events import Balance, Fill, Order, OrderStatus, Position, PositionSide, Side
from tickhive.plugin import Event, SessionView, Unknown
from tickhive.plugin.reading import NS_PER_MS, Millis, Numeral, Text, exact, number
from tickhive_okx.elements import Elements
from tickhive_okx.pushes import Push
from tickhive_okx.values import moment

STATUS: dict[str, OrderStatus] = {
    "live": "open",
    "partially_filled": "partially_filled",
    "filled": "filled",
    "canceled": "cancelled",
    "mmp_canceled": "cancelled",
}
"""What OKX's order states mean; ``mmp_canceled`` is market maker protection."""

_NONE = Decimal(0)
_Slot: TypeAlias = Literal[PositionSide, ""]
"""``posSide`` of an order or a fill; empty where there are no positions, as in spot trading."""

_LIQUIDITY: dict[str, Literal["maker", "taker", ""]] = {"M": "maker", "T": "taker"}


def _owner(push: Push[Any], session: SessionView) -> str:
    return session.account or push.arg.uid


def _symbol(native: str, session: SessionView) -> str:
    return session.instruments.symbols.get(native, native)


def _quote(native: str) -> str:
    return native.split("-")[1] if "-" in native else ""


def _charged(fee: str) -> Decimal | None:
    value = number(fee)
    return None if value is None else -value


class BalanceRow(Struct, gc=False, rename="camel"):
    """The funds in one currency; ``balance_and_position`` knows only the cash."""

    ccy: Text
    cash_bal: Numeral = ""
    avail_bal: Numeral = ""
    frozen_bal: Numeral = ""
    eq: Numeral = ""
    liab: Numeral = ""
    u_time: Numeral = ""


class AccountRow(Struct, gc=False, rename="camel"):
    """The account: its currencies. Of its totals in US dollars nothing is kept."""

    details: list[Raw]


def balance(row: BalanceRow, account: str, session: SessionView, at: int) -> Event:
    """The funds in one currency."""
    amounts = map(number, (row.cash_bal, row.avail_bal, row.frozen_bal, row.eq, row.liab))
    return Balance(session.exchange, row.ccy, moment(row.u_time), at, account, *amounts)


_read_balances = Elements(BalanceRow).read


def balances(push: Push[AccountRow], session: SessionView, at: int) -> Sequence[Event]:
    """``account``: all currencies in pages at first and every few seconds, those that change in between."""
    account = _owner(push, session)
    return [event for row in push.data for event in currencies(row, account, session, at)]


def currencies(row: AccountRow, account: str, session: SessionView, at: int) -> Sequence[Event]:
    """The currencies of the account."""
    return _read_balances(row.details, lambda each: balance(each, account, session, at), "account")


class PositionRow(Struct, gc=False, rename="camel"):
    """A position; in ``balance_and_position`` without prices of the moment. Closed: ``pos`` is 0 or empty."""

    inst_id: Text
    pos_id: Text
    pos_side: PositionSide
    pos: Numeral = ""
    pos_ccy: Text = ""
    avg_px: Numeral = ""
    mark_px: Numeral = ""
    liq_px: Numeral = ""
    upl: Numeral = ""
    lever: Numeral = ""
    mgn_mode: Text = ""
    realized_pnl: Numeral = ""
    u_time: Numeral = ""


def position(row: PositionRow, account: str, session: SessionView, at: int) -> Event:
    """One position."""
    size = exact(row.pos) if row.pos else _NONE
    # A margin position is short when what it holds is the quote currency; ``pos`` carries no sign then.
    if row.pos_side == "short" or (row.pos_ccy and row.pos_ccy == _quote(row.inst_id)):
        size = -abs(size)
    symbol, time = _symbol(row.inst_id, session), moment(row.u_time)
    prices = number(row.avg_px), number(row.mark_px), number(row.liq_px)
    about = *prices, number(row.upl), number(row.lever), row.mgn_mode, number(row.realized_pnl)
    return Position(session.exchange, symbol, time, at, account, row.pos_id, row.pos_side, size, *about)


def positions(push: Push[PositionRow], session: SessionView, at: int) -> Sequence[Event]:
    """``positions``: all of them in pages at first and every five seconds, those that change in between."""
    account = _owner(push, session)
    return [position(row, account, session, at) for row in push.data]


_read_positions = Elements(PositionRow).read


class ChangeRow(Struct, gc=False, rename="camel"):
    """What an event did to the account, at once and in few words: its currencies and its positions."""

    bal_data: list[Raw] = []
    pos_data: list[Raw] = []


def changes(push: Push[ChangeRow], session: SessionView, at: int) -> Sequence[Event]:
    """``balance_and_position``: what was asked for of the two."""
    account, key, memory = _owner(push, session), push.arg.key, session.memory
    events: list[Event] = []
    for row in push.data:
        if memory.wants(key, DataType.BALANCE):
            events += _read_balances(row.bal_data, lambda each: balance(each, account, session, at), key[0])
        if memory.wants(key, DataType.POSITION):
            events += _read_positions(row.pos_data, lambda each: position(each, account, session, at), key[0])
    return events


class FillRow(Struct, gc=False, rename="camel"):
    """A fill by itself: of the channel ``fills``, which tells no fee, of REST, which numbers it by ``billId``, or of
    ``orders``, which knows only ``fillTime``.
    """

    inst_id: Text
    trade_id: Text
    side: Side
    fill_px: Numeral
    fill_sz: Numeral
    ts: Millis = 0
    ord_id: Text = ""
    cl_ord_id: Text = ""
    exec_type: Text = ""
    fee: Numeral = ""
    fee_ccy: Text = ""
    fill_time: Numeral = ""
    pos_side: _Slot = ""
    bill_id: Text = ""


class OrderRow(Struct, gc=False, rename="camel"):
    """An order after a change, and the trade that made the change, if one did."""

    inst_id: Text
    ord_id: Text
    side: Side
    ord_type: Text
    state: Text
    sz: Numeral
    cl_ord_id: Text = ""
    px: Numeral = ""
    acc_fill_sz: Numeral = ""
    avg_px: Numeral = ""
    fee: Numeral = ""
    fee_ccy: Text = ""
    reduce_only: Text = ""
    cancel_source: Text = ""
    cancel_source_reason: str = ""
    c_time: Numeral = ""
    u_time: Numeral = ""
    trade_id: Text = ""
    fill_px: Numeral = ""
    fill_sz: Numeral = ""
    fill_time: Numeral = ""
    fill_fee: Numeral = ""
    fill_fee_ccy: Text = ""
    exec_type: Text = ""
    pos_side: _Slot = ""
    tgt_ccy: Text = ""

    def traded(self) -> FillRow:
        """The trade that made the change."""
        time = self.fill_time or self.u_time
        about = self.ord_id, self.cl_ord_id, self.exec_type, self.fill_fee, self.fill_fee_ccy, time, self.pos_side
        return FillRow(self.inst_id, self.trade_id, self.side, self.fill_px, self.fill_sz, 0, *about)


def _counts_money(row: OrderRow) -> bool:
    """Whether ``sz`` is in the quote currency: of market orders of pairs, as ``tgtCcy`` says, else of those to buy."""
    if row.ord_type != "market" or row.inst_id.count("-") != 1:
        return False
    return row.tgt_ccy == "quote_ccy" or (not row.tgt_ccy and row.side == "buy")


def order(row: OrderRow, account: str, session: SessionView, at: int) -> Event:
    """An order as it stands; a state nobody knows is not guessed at.

    One that was placed for an amount of money has no size of its own: it is what of it is filled.
    """
    status = STATUS.get(row.state)
    if status is None:
        return Unknown(f"order state {row.state}")
    # The average is written "0" where nothing is filled yet.
    average = number(row.avg_px) or None
    size, filled = exact(row.sz), number(row.acc_fill_sz) or _NONE
    reason = row.cancel_source_reason[:300] or (f"cancel source {row.cancel_source}" if row.cancel_source else "")
    return Order(
        session.exchange,
        _symbol(row.inst_id, session),
        moment(row.u_time),
        at,
        account,
        row.ord_id,
        row.side,
        row.ord_type.lower(),
        status,
        filled if _counts_money(row) else size,
        filled,
        number(row.px),
        average,
        row.cl_ord_id,
        row.reduce_only == "true",
        _charged(row.fee),
        row.fee_ccy,
        moment(row.c_time),
        reason if status == "cancelled" else "",
        row.pos_side or "net",
    )


def orders(push: Push[OrderRow], session: SessionView, at: int) -> Sequence[Event]:
    """``orders``: each change of an order, and the fill that made it.

    A trade is told once per instrument; OKX repeats its id when the order changes for another reason, and may send a
    whole push twice. Liquidations carry the id 0 here: they are told as orders, and as fills by REST.
    """
    account, key, memory = _owner(push, session), ("orders", "ANY"), session.memory
    tells_orders, tells_fills = memory.wants(key, DataType.ORDER), memory.wants(key, DataType.FILL)
    events: list[Event] = []
    for row in push.data:
        if tells_orders:
            events.append(order(row, account, session, at))
        if tells_fills and row.trade_id not in ("", "0") and number(row.fill_sz):
            events.append(fill(row.traded(), account, session, at))
    return _once(events, session)


def fill(row: FillRow, account: str, session: SessionView, at: int, *, late: bool = False) -> Event:
    """One fill."""
    return Fill(
        session.exchange,
        _symbol(row.inst_id, session),
        moment(row.fill_time) or row.ts * NS_PER_MS or None,
        at,
        account,
        row.trade_id,
        row.ord_id,
        row.side,
        exact(row.fill_px),
        exact(row.fill_sz),
        _LIQUIDITY.get(row.exec_type, ""),
        _charged(row.fee),
        row.fee_ccy,
        row.cl_ord_id,
        late,
        row.pos_side or "net",
    )


def fills(push: Push[FillRow], session: SessionView, at: int) -> Sequence[Event]:
    """``fills``: sooner than ``orders``, for VIPs; the matches of a taker order at one price come as one."""
    account = _owner(push, session)
    for row in push.data:
        if row.cl_ord_id == "0":  # the order has none, or one that is no number
            row.cl_ord_id = ""
    return _once([fill(row, account, session, at) for row in push.data], session)


def _once(events: Sequence[Event], session: SessionView) -> Sequence[Event]:
    """Leave out fills that were told before. Last of all: a push with a bad row is read again, row by row."""
    return [each for each in events if not isinstance(each, Fill) or session.memory.is_fresh(each)]
