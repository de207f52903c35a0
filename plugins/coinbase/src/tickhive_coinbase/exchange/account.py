"""What the channels ``user`` and ``balance`` of Coinbase Exchange say: orders, fills and balances.

``user`` is the part of the full order feed that is about the account. It tells changes only, so each order is kept in
the socket's memory and told as it stands after every one. Fees come by REST alone.

Of orders from before the socket only REST knows how they stand, and which trades that counts (see ``orders``). What is
said of them meanwhile waits, for half a minute at most; what is not known by then is told as a Gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import Struct

from tickhive.channels import EVERY, DataType
from tickhive.events import Balance, Fill, Gap, Side
from tickhive.plugin import Alive, Event, Malformed, SessionView
from tickhive.plugin.reading import NS_PER_SECOND, UNREADABLE, Numeral, Text, brief, number
from tickhive_coinbase.exchange.orders import Held, OwnOrder, OwnOrders
from tickhive_coinbase.exchange.pushes import Reader
from tickhive_coinbase.exchange.user_row import BEGINNINGS, CHANGES, UserRow, read_row
from tickhive_coinbase.values import TAKER, Moment, nanos

USER = ("user", "")
PATIENCE = 30 * NS_PER_SECOND
"""So long a message waits for REST."""
_MOST_HELD = 10_000
_ALIVE = (Alive(),)


def user(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``received``, ``open``, ``match``, ``done``, ``change``, ``activate``: something happened to an order."""
    row = read_row(frame)
    orders: OwnOrders = session.memory.orders
    if row.type == "match":
        row.executed()  # nothing is waited for of one that is none
    orders.name(row.order_id)
    each = Held(row, at)
    if not orders.held:
        # In a recording there is nobody to ask.
        events, over = _tell(each, session, last=not session.account)
        if over:
            return events or _ALIVE
        orders.held.append(each)
        return events or _ALIVE
    orders.held.append(each)
    return released(session, at) or _ALIVE


def released(session: SessionView, at: int) -> list[Event]:
    """What can be told of the messages that wait, now that more is known or it is too late to know."""
    orders: OwnOrders = session.memory.orders
    held, orders.held = orders.held, []
    events: list[Event] = []
    for place, each in enumerate(held):
        last = at - each.at >= PATIENCE or place < len(held) - _MOST_HELD
        try:
            said, over = _tell(each, session, last=last)
        except UNREADABLE as error:
            said, over = [Malformed(f"{each.row.type}: {brief(error)}")], True
        events += said
        if not over:
            orders.held.append(each)
    return events


def missed_match(session: SessionView, symbol: str, why: str, at: int) -> list[Event]:
    """A match could not be read. Which order it filled is not known, so of all orders of the symbol, the next time
    something happens to them, REST has to say what filled them.
    """
    memory = session.memory
    for order in memory.orders.known.values():
        if symbol in (order.symbol, EVERY) and order.status is None:
            order.counted = None
    if not memory.wants(USER, DataType.ORDER):
        return []
    return [Gap(session.exchange, symbol, None, at, DataType.ORDER, at, at, f"a match could not be read: {why}")]


def heartbeat(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``heartbeat``: once a second, and the moment to tell of what waited too long."""
    return (released(session, at) if session.memory.orders.held else ()) or _ALIVE


def _tell(each: Held, session: SessionView, *, last: bool) -> tuple[list[Event], bool]:
    """What is known of a message now, and whether that is all. ``last``: nothing more is waited for."""
    each.wanted = []
    return (_match if each.row.type == "match" else _order)(each, session, last=last)


def _unknown(session: SessionView, kind: DataType, each: Held, id: str, cause: str) -> list[Event]:
    """The gap for something that happened and is not known well; none for what nobody wants."""
    if not session.memory.wants(USER, kind):
        return []
    moment, symbol = each.row.moment, _symbol(each.row.product_id, session)
    return [Gap(session.exchange, symbol, None, each.at, kind, moment, moment, cause, id or None, id or None)]


def _symbol(native: str, session: SessionView) -> str:
    return session.instruments.symbols.get(native, native)


# Orders


def _order(each: Held, session: SessionView, *, last: bool) -> tuple[list[Event], bool]:
    row, memory = each.row, session.memory
    tells = memory.wants(USER, DataType.ORDER)
    events: list[Event] = []
    order = _settled(memory.orders, row.order_id, _symbol(row.product_id, session), row.side)
    if order is None and row.type in BEGINNINGS:
        order = memory.orders.put(OwnOrder(row.order_id, _symbol(row.product_id, session), row.side))
    elif order is None and not tells:
        return [], True
    elif order is None and (order := _ended(memory.orders, row)) is None:
        if not last:
            each.wanted = [f"order_id={row.order_id}"]
            return [], False
        order, events = _made_up(each, session, row.order_id, row.side)
    if order.price is None:
        order.price = number(row.price or "")
    CHANGES[row.type](order, row)
    if tells:
        events.append(order.event(session.exchange, session.account, row.moment, each.at))
    return events, True


def _settled(orders: OwnOrders, id: str, symbol: str, side: Side) -> OwnOrder | None:
    """An order of which it is known what filled it."""
    order = orders.get(id)
    if order is None and (fills := orders.fills.pop(id, None)) is not None:
        order = orders.put(OwnOrder(id, symbol, side))
        order.settle(fills)
    return order if order is not None and order.counted is not None else None


def _ended(orders: OwnOrders, row: UserRow) -> OwnOrder | None:
    """An order whose end leaves as much as REST said is not filled: all that filled it is counted, what waits too."""
    order = orders.get(row.order_id)
    left = number(row.remaining_size or "") if row.type == "done" else None
    if order is None or left is None or order.size - left != order.filled:
        return None
    waiting = (each.row for each in orders.held if order.id in (each.row.maker_order_id, each.row.taker_order_id))
    order.counted = {each.trade_id for each in waiting if each.trade_id is not None}
    return order


def _made_up(each: Held, session: SessionView, id: str, side: Side) -> tuple[OwnOrder, list[Event]]:
    """An order as far as REST and messages told it, from here on believed, and the gap for what they did not."""
    orders: OwnOrders = session.memory.orders
    order = orders.get(id) or orders.put(OwnOrder(id, _symbol(each.row.product_id, session), side))
    order.counted = set()
    return order, _unknown(session, DataType.ORDER, each, id, "what filled this order was not told in time")


# Matches


def _match(each: Held, session: SessionView, *, last: bool) -> tuple[list[Event], bool]:
    """One of the account's orders was filled, or two of them by each other. ``side`` is the maker's."""
    row, memory = each.row, session.memory
    orders: OwnOrders = memory.orders
    trade, price, size = row.executed()
    sides: tuple[tuple[str, Side, Literal["maker", "taker"], str], ...] = (
        (row.maker_order_id, row.side, "maker", row.maker_user_id),
        (row.taker_order_id, TAKER[row.side], "taker", row.taker_user_id),
    )
    mine = [(id, side, how) for id, side, how, user in sides if user or orders.owns(id, trade)]
    if not mine:
        if not last:
            each.wanted = [f"product_id={row.product_id}"]
            return [], False
        cause = f"a match of {size:f} filled an order that was not told in time"
        return [
            *_unknown(session, DataType.FILL, each, str(trade), cause),
            *_unknown(session, DataType.ORDER, each, "", cause),
        ], True
    events: list[Event] = []
    if not each.told and memory.wants(USER, DataType.FILL):
        events += [_fill(each, session, id, side, how, price, size) for id, side, how in mine]
    each.told = True
    for id, side, _ in mine:
        if id not in each.taken:
            events += _fill_up(each, session, id, side, last=last)
    return events, not each.wanted


def _fill(
    each: Held, session: SessionView, id: str, side: Side, how: Literal["maker", "taker"], price: Decimal, size: Decimal
) -> Fill:
    row, order = each.row, session.memory.orders.get(id)
    about = _symbol(row.product_id, session), row.moment, each.at, session.account, str(row.trade_id), id, side
    client_id = order.client_id if order is not None else ""
    return Fill(session.exchange, *about, price, size, how, client_id=client_id)


def _fill_up(each: Held, session: SessionView, id: str, side: Side, *, last: bool) -> list[Event]:
    """Count a match in an order; where that cannot be done yet, the fills of the order are wanted."""
    row, tells = each.row, session.memory.wants(USER, DataType.ORDER)
    events: list[Event] = []
    order = _settled(session.memory.orders, id, _symbol(row.product_id, session), side)
    if order is None:
        if not tells:
            return []
        if not last:
            each.wanted.append(f"order_id={id}")
            return []
        order, events = _made_up(each, session, id, side)
    each.taken.add(id)
    taken = order.take(*row.executed())
    # Of one whose end was told, what it counts already is no news.
    if tells and (taken or order.status is None):
        events.append(order.event(session.exchange, session.account, row.moment, each.at))
    return events


class BalanceRow(Struct, gc=False):
    """The funds of one wallet."""

    currency: Text
    holds: Numeral = ""
    available: Numeral = ""
    updated: Moment | None = None
    timestamp: Moment | None = None


_balance = msgspec.json.Decoder(BalanceRow).decode


def balance(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``balance``: the funds of a wallet after a change."""
    row = _balance(frame)
    held, available = number(row.holds), number(row.available)
    total = None if held is None or available is None else held + available
    moment = nanos(row.updated) or nanos(row.timestamp)
    return [Balance(session.exchange, row.currency, moment, at, session.account, total, available, held)]


ABOUT = {**dict.fromkeys(CHANGES, DataType.ORDER), "match": DataType.FILL, "balance": DataType.BALANCE}
"""What is missing where a message cannot be read."""

READERS: dict[str, Reader] = {
    **dict.fromkeys((*CHANGES, "match"), user),
    "balance": balance,
    "heartbeat": heartbeat,
}
