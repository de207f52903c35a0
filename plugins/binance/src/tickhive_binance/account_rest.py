"""What of an account is read by REST: how it stands when its events begin, how an order ended, the listen key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from tickhive.channels import Channel, DataType
from tickhive.events import Balance, Gap, Order, Position
from tickhive.plugin import Dial, Event, Fetch, SessionView, Unknown
from tickhive.plugin.reading import Int64, Millis, Numeral, Text, exact, number, read_rows
from tickhive_binance.account import SIDES, SLOTS, STATUS, BuySell, Slot, position_id, symbol_of
from tickhive_binance.fetches import fetch_for, rows_of
from tickhive_binance.settings import BinanceSettings
from tickhive_binance.values import above_zero, moment

LISTEN_KEY_SECONDS = 1_800.0
"""How often a listen key is renewed; it is valid for 60 minutes."""

_ACCOUNT_EVENTS = "ORDER_TRADE_UPDATE/ACCOUNT_UPDATE/listenKeyExpired"


def listen_key(settings: BinanceSettings, method: str) -> Fetch:
    """Ask for a listen key (POST), or keep the one there is (PUT)."""
    return fetch_for(settings, "listenKey", weight=1, method=method)


def account_snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """How a private channel stands. Fills are asked for by symbol only, so there is no snapshot of them."""
    settings: BinanceSettings = session.settings
    futures, contracts = settings.market.futures, settings.market.contracts
    version = "v3" if futures and not contracts else ""
    match channel.data_type:
        case DataType.BALANCE:
            return fetch_for(settings, "account", channel, weight=5 if futures else 20, version=version)
        case DataType.POSITION if futures:
            return fetch_for(settings, "positionRisk", channel, weight=1 if contracts else 5, version=version)
        case DataType.ORDER:
            return fetch_for(settings, "openOrders", channel, weight=40 if futures else 80)
    return None


def order_details(session: SessionView, channel: Channel, gap: Gap) -> Fetch:
    """One order, open or not."""
    native = session.instruments.native(gap.symbol)
    return fetch_for(session.settings, f"order?symbol={native}&orderId={gap.first_id}", channel, weight=4)


class _ListenKey(Struct, gc=False, rename="camel"):
    listen_key: Text = ""


class _Coin(Struct, gc=False, rename="camel"):
    asset: Text
    free: Numeral = ""
    locked: Numeral = ""
    wallet_balance: Numeral = ""
    margin_balance: Numeral = ""
    available_balance: Numeral = ""
    update_time: Millis = 0


class _Account(Struct, gc=False, rename="camel"):
    """The wallet: ``balances`` of the spot market, ``assets`` of futures."""

    balances: list[_Coin] = []
    assets: list[_Coin] = []
    update_time: Millis = 0


class _PositionRow(Struct, gc=False, rename="camel"):
    symbol: Text
    position_amt: Numeral
    position_side: Slot = "BOTH"
    entry_price: Numeral = ""
    mark_price: Numeral = ""
    liquidation_price: Numeral = ""
    un_realized_profit: Numeral = ""
    leverage: Numeral = ""
    margin_type: Text = ""
    update_time: Millis = 0


class _OrderRow(Struct, gc=False, rename="camel"):
    symbol: Text
    order_id: Int64
    status: Text
    side: BuySell
    type: Text
    orig_qty: Numeral
    executed_qty: Numeral
    price: Numeral = ""
    avg_price: Numeral = ""
    cummulative_quote_qty: Numeral = ""
    client_order_id: Text = ""
    reduce_only: bool = False
    position_side: Slot = "BOTH"
    time: Millis = 0
    update_time: Millis = 0


_key = msgspec.json.Decoder(_ListenKey).decode
_account = msgspec.json.Decoder(_Account).decode
_position_row = msgspec.json.Decoder(_PositionRow).decode
_order_row = msgspec.json.Decoder(_OrderRow).decode


def _read_listen_key(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event | Dial]:
    """The address of the account's socket, good for as long as the key is; a renewal says nothing."""
    if fetch.method != "POST":
        return ()
    settings, key = session.settings, _key(body).listen_key
    if not key.isalnum():
        raise ValueError("the listen key is none")
    path = f"/private/ws?listenKey={key}&events={_ACCOUNT_EVENTS}" if settings.market.split else f"/ws/{key}"
    return [Dial("", (settings.socket(path),), ())]


def _read_account(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event]:
    """Every currency there is something of."""
    account, exchange, owner = _account(body), session.exchange, session.account
    events: list[Event] = []
    for coin in account.balances:
        free, held = exact(coin.free), exact(coin.locked)
        if free or held:
            time = moment(account.update_time)
            events.append(Balance(exchange, coin.asset, time, at, owner, free + held, free, held))
    for coin in account.assets:
        total, equity = exact(coin.wallet_balance), number(coin.margin_balance)
        if total or equity:
            available, time = number(coin.available_balance), moment(coin.update_time)
            events.append(Balance(exchange, coin.asset, time, at, owner, total, available, None, equity))
    return events


def _read_positions(
    session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int
) -> Sequence[Event]:
    """Every open position."""

    def one(raw: bytes) -> Sequence[Event]:
        row = _position_row(raw)
        size = exact(row.position_amt)
        if not size:
            return ()
        prices = above_zero(row.entry_price), above_zero(row.mark_price), above_zero(row.liquidation_price)
        about = number(row.un_realized_profit), number(row.leverage), row.margin_type.lower()
        id, slot = position_id(row.symbol, row.position_side), SLOTS[row.position_side]
        symbol, time = symbol_of(session, row.symbol), moment(row.update_time)
        return [Position(session.exchange, symbol, time, at, session.account, id, slot, size, *prices, *about)]

    return read_rows(rows_of(body), one, "positionRisk")


def _order(session: SessionView, raw: bytes, at: int) -> Sequence[Event]:
    row = _order_row(raw)
    status = STATUS.get(row.status)
    if status is None:
        return [Unknown(f"order state {row.status}")]
    done, total, average = exact(row.executed_qty), above_zero(row.cummulative_quote_qty), above_zero(row.avg_price)
    if average is None and total is not None and done:
        average = total / done
    symbol, time = symbol_of(session, row.symbol), moment(row.update_time or row.time)
    about = session.exchange, symbol, time, at, session.account, str(row.order_id), SIDES[row.side], row.type.lower()
    sizes = exact(row.orig_qty), done, above_zero(row.price), average
    order = Order(*about, status, *sizes, row.client_order_id, row.reduce_only, created=moment(row.time))
    order.position_side = SLOTS[row.position_side]
    return [order]


def _read_orders(session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int) -> Sequence[Event]:
    """All open orders."""
    return read_rows(rows_of(body), lambda raw: _order(session, raw, at), "openOrders")


def _read_order(session: SessionView, fetch: Fetch, body: bytes, query: Mapping[str, str], at: int) -> Sequence[Event]:
    """One order."""
    return _order(session, body, at)


READERS: dict[str, Callable[..., Sequence[Event | Dial | Fetch]]] = {
    "listenKey": _read_listen_key,
    "account": _read_account,
    "positionRisk": _read_positions,
    "openOrders": _read_orders,
    "order": _read_order,
}
"""Who reads the answer of each path."""
