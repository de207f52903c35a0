"""What of an account is read by REST: how it stands when its events begin, how an order ended, the listen key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from tickhive.channels import Channel, DataType
from tickhive.events import Balance, Gap, Order, Position
from tickhive.plugin import Dial, Event, Fetch, SessionView, Unknown
from tickhive.plugin.answers import Answered, Read
from tickhive.plugin.reading import Int64, Millis, Numeral, Text, exact, number
from tickhive_binance.account import SIDES, SLOTS, STATUS, BuySell, Slot, position_id, symbol_of
from tickhive_binance.fetches import fetch_for, rows_of
from tickhive_binance.settings import BinanceSettings
from tickhive_binance.values import above_zero, moment

LISTEN_KEY_SECONDS = 1_800.0
"""How often a listen key is renewed; it is valid for 60 minutes."""

_ACCOUNT_EVENTS = "ORDER_TRADE_UPDATE/ACCOUNT_UPDATE/listenKeyExpired"
"""What the account's socket of USD-M brings: nothing else comes, not even the end of the key where it is not named.
Other clients measured that in 2026; the notice that split the paths (2026-03-06) does not say it.
"""


def listen_key(settings: BinanceSettings, method: str) -> Fetch:
    """Ask for a listen key (POST), or keep the one there is (PUT)."""
    return fetch_for(settings, "listenKey", weight=1, method=method)


def account_snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    """How a private channel stands. Fills are listed by symbol only: those that were missed are a refill."""
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
    settings: BinanceSettings = session.settings
    native, weight = session.instruments.native(gap.symbol), 1 if settings.market.futures else 4
    return fetch_for(settings, f"order?symbol={native}&orderId={gap.first_id}", channel, weight=weight)


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


def _read_listen_key(answered: Answered[bytes]) -> Read:
    """The address of the account's socket, good for as long as the key is; a renewal says nothing."""
    if answered.fetch.method != "POST":
        return ()
    settings, key = answered.session.settings, _key(answered.content).listen_key
    if not key.isalnum():
        raise ValueError("the listen key is none")
    path = f"/private/ws?listenKey={key}&events={_ACCOUNT_EVENTS}" if settings.market.split else f"/ws/{key}"
    return [Dial("", (settings.socket(path),), ())]


def _read_account(answered: Answered[bytes]) -> Read:
    """Every currency there is something of."""
    account, at = _account(answered.content), answered.at
    exchange, owner = answered.session.exchange, answered.session.account
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


def _read_positions(answered: Answered[bytes]) -> Read:
    """Every open position."""
    session, at = answered.session, answered.at

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

    return answered.rows(rows_of(answered.content), one)


def _order(answered: Answered[bytes], raw: bytes) -> Sequence[Event]:
    session, at = answered.session, answered.at
    row = _order_row(raw)
    status = STATUS.get(row.status)
    if status is None:
        return [Unknown(f"order state {row.status}")]
    done, total, average = exact(row.executed_qty), above_zero(row.cummulative_quote_qty), above_zero(row.avg_price)
    # Of some old orders the sum is not known: then it is negative.
    if average is None and total is not None and total > 0 and done:
        average = total / done
    symbol, time = symbol_of(session, row.symbol), moment(row.update_time or row.time)
    about = session.exchange, symbol, time, at, session.account, str(row.order_id), SIDES[row.side], row.type.lower()
    sizes = exact(row.orig_qty), done, above_zero(row.price), average
    order = Order(*about, status, *sizes, row.client_order_id, row.reduce_only, created=moment(row.time))
    order.position_side = SLOTS[row.position_side]
    return [order]


def _read_orders(answered: Answered[bytes]) -> Read:
    """All open orders."""
    return answered.rows(rows_of(answered.content), lambda raw: _order(answered, raw))


def _read_order(answered: Answered[bytes]) -> Read:
    """One order."""
    return _order(answered, answered.content)


READERS: dict[str, Callable[[Answered[bytes]], Read]] = {
    "listenKey": _read_listen_key,
    "account": _read_account,
    "positionRisk": _read_positions,
    "openOrders": _read_orders,
    "order": _read_order,
}
"""Who reads the answer of each path."""
