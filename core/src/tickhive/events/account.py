"""What an account's owner alone sees: balances, positions, orders, fills. Each says which account it is of."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, TypeAlias

from attrs import define

from tickhive.events.market import Side

PositionSide: TypeAlias = Literal["net", "long", "short"]
OrderStatus: TypeAlias = Literal["open", "partially_filled", "filled", "cancelled", "rejected", "expired"]


@define
class Balance:
    """The funds of an account in one currency, which is the ``symbol``.

    ``total`` is the cash balance, ``available`` what may be used for orders, ``frozen`` what open orders hold,
    ``equity`` the balance with unrealised profit, ``liability`` what is owed; each None where the venue does not say.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    account: str
    total: Decimal | None
    available: Decimal | None = None
    frozen: Decimal | None = None
    equity: Decimal | None = None
    liability: Decimal | None = None


@define
class Position:
    """An open position; one that was closed is told once more, with ``size`` zero.

    ``size`` is signed, negative is short, in the instrument's size unit. ``side`` is the venue's slot: ``net`` where an
    instrument has one position, ``long`` and ``short`` where it has two. ``id`` tells positions of one instrument
    apart, ``margin_mode`` is ``cross``, ``isolated`` or empty. ``realised_profit`` is what this position has brought
    so far, fees included where the venue counts them in.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    account: str
    id: str
    side: PositionSide
    size: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    unrealised_profit: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: str = ""
    realised_profit: Decimal | None = None


@define
class Order:
    """The state of an order after its last change. ``filled`` of ``size`` is done, at ``average_price``.

    ``order_type`` is the venue's word in lower case (``limit``, ``market``, ``post_only``), ``price`` None where it has
    none. ``fee`` is what was charged so far in ``fee_currency``; negative is a rebate. ``created`` is ns UTC.
    ``reason`` says why an order was cancelled or refused, where the venue does. ``position_side`` is the slot it
    trades, as in Position.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    account: str
    id: str
    side: Side
    order_type: str
    status: OrderStatus
    size: Decimal
    filled: Decimal
    price: Decimal | None = None
    average_price: Decimal | None = None
    client_id: str = ""
    reduce_only: bool = False
    fee: Decimal | None = None
    fee_currency: str = ""
    created: int | None = None
    reason: str = ""
    position_side: PositionSide = "net"


@define
class Fill:
    """An execution of one of the account's orders. ``id`` is the venue's id of the trade.

    ``fee`` is what was charged in ``fee_currency``; negative is a rebate, None where the venue does not say.
    ``liquidity`` is ``maker``, ``taker`` or empty. ``late`` marks a fill that was missed live and fetched afterwards.
    ``position_side`` is the slot its order trades, as in Position.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    account: str
    id: str
    order_id: str
    side: Side
    price: Decimal
    size: Decimal
    liquidity: Literal["maker", "taker", ""] = ""
    fee: Decimal | None = None
    fee_currency: str = ""
    client_id: str = ""
    late: bool = False
    position_side: PositionSide = "net"
