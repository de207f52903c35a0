"""What the simulated Binance tells its account: listen keys, the WebSocket API's subscriptions, and signed REST."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from attrs import Factory, define

from tickhive_binance.venue_account import Order, Position, Row, SimulatedAccount
from tickhive_binance.venue_listing import MILLISECOND, MarketName
from tickhive_binance.venue_login import Refused, check_key, check_socket, missing
from tickhive_binance.venue_market import MarketSource
from tickhive_binance.venue_payloads import mark_text
from tickhive_binance.venue_protocol import Client, text
from tickhive_binance.venue_rest import Query, bound_in, desk_of, number_in

LISTEN_KEY_LIFE = 3600 * 1_000_000_000
"""A listen key nobody renews is gone after this many ns."""

_MOST_SUBSCRIPTIONS = 1000


@define
class ListenKeys:
    """The keys of a futures account's streams, with the moment each ends, ns UTC. An account has one at a time."""

    ends: dict[str, int] = Factory(dict)
    _made: int = 0

    def answer(self, method: str, headers: Mapping[str, str], at: int) -> Any:
        """Make, renew or give up the key: POST, PUT, DELETE. None of them is signed."""
        check_key(headers.get("x-mbx-apikey"))
        key = next(iter(self.ends), None)
        if method == "POST":
            if key is None:
                self._made += 1
                key = hashlib.sha256(f"listen {self._made}".encode()).hexdigest()
            self.ends[key] = at + LISTEN_KEY_LIFE
            return {"listenKey": key}
        if key is None:
            raise Refused(-1125, "This listenKey does not exist.")
        if method == "PUT":
            self.ends[key] = at + LISTEN_KEY_LIFE
            return {"listenKey": key}
        del self.ends[key]
        return {}

    def expired(self, at: int) -> list[str]:
        """Take the keys that have ended."""
        gone = [key for key, end in self.ends.items() if end <= at]
        for key in gone:
            del self.ends[key]
        return gone


def socket_api(client: Client, frame: str | bytes, used: int, at: int) -> str:
    """Answer a request of spot's WebSocket API. ``used`` is the weight of the minute."""
    number: Any = None
    try:
        try:
            request = msgspec.json.decode(frame)
            number, method, params = request.get("id"), request["method"], request.get("params", {})
            if not isinstance(params, dict):
                raise Refused(-1135, "Invalid JSON Request")
        except (msgspec.DecodeError, RecursionError, KeyError, AttributeError):
            raise Refused(-1135, "Invalid JSON Request") from None
        result = _called(client, method, params, at)
    except Refused as refused:
        error = {"code": refused.code, "msg": refused.message}
        return text({"id": number, "status": refused.status, "error": error, "rateLimits": _rates(used)})
    return text({"id": number, "status": 200, "result": result, "rateLimits": _rates(used)})


def _rates(used: int) -> list[Row]:
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": used}
    return [limit]


def _called(client: Client, method: str, params: Mapping[str, Any], at: int) -> Any:
    match method:
        case "ping":
            return {}
        case "time":
            return {"serverTime": at // MILLISECOND}
        case "userDataStream.subscribe.signature":
            check_socket(params, at)
            if len(client.accounts) >= _MOST_SUBSCRIPTIONS:
                raise Refused(-1003, "Too many active user data stream subscriptions on this connection.", 429)
            number = client.accounts_made
            client.accounts_made += 1
            client.accounts[number] = None
            return {"subscriptionId": number}
        case "userDataStream.unsubscribe":
            given = params.get("subscriptionId")
            if given is None:
                client.accounts.clear()
            elif client.accounts.pop(given, 0) == 0:
                raise Refused(-1130, "Data sent for parameter 'subscriptionId' is not valid.")
            return {}
        case "userDataStream.subscribe":
            # A login takes an Ed25519 key, which this account does not have.
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        case _:
            raise Refused(-1135, f"Unsupported request method '{method}'.")


# Signed REST


def answer(source: MarketSource, account: SimulatedAccount, route: str, query: Query, at: int) -> Any:
    """What a request for a signed path is answered, its signature being right; Refused for an error."""
    return _ROUTES[source.name][route](source, account, query, at)


def is_signed(market: MarketName, route: str) -> bool:
    """Whether a path (behind its prefix) tells of the account."""
    return route in _ROUTES[market]


def _account(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    write = account.text
    if source.name == "spot":
        rows = [
            {"asset": a, "free": write(free), "locked": write(held)} for a, (free, held) in account.balances.items()
        ]
        return {
            "canTrade": True,
            "accountType": "SPOT",
            "updateTime": at // MILLISECOND,
            "balances": rows,
            "uid": 354937868,
        }
    assets = _balances(source, account, query, at)
    return {"assets": assets, "positions": _positions(source, account, query, at)}


def _balances(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    rows = []
    for asset, (held, _) in account.balances.items():
        amount = account.text(held)
        rows.append(
            {"asset": asset, "balance": amount, "walletBalance": amount, "crossWalletBalance": amount,
             "unrealizedProfit": "0.00000000", "marginBalance": amount, "availableBalance": amount,
             "updateTime": at // MILLISECOND}
        )  # fmt: skip
    return rows


def _positions(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    held = [each for each in account.positions.values() if each.amount]
    return [_position(source, each, at) for each in held if query.get("symbol") in (None, each.product.native)]


def _position(source: MarketSource, position: Position, at: int) -> Row:
    product, entry = position.product, f"{position.entry:.8f}"
    return {
        "symbol": product.native, "positionSide": "BOTH", "positionAmt": f"{position.amount}", "entryPrice": entry,
        "breakEvenPrice": entry, "markPrice": mark_text(source.market, product, at), "unRealizedProfit": "0.00000000",
        "liquidationPrice": "0", "leverage": "20", "marginType": "cross", "isolatedMargin": "0.00000000",
        "marginAsset": product.row["marginAsset"], "updateTime": position.updated,
    }  # fmt: skip


def _open_orders(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    wanted = desk_of(source, query).product if "symbol" in query else None
    return [_order(source, account, order) for order in account.orders.values() if wanted in (None, order.product)]


def _single_order(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    product, number = desk_of(source, query).product, bound_in(query, "orderId")
    if number is None:
        raise missing("orderId")
    order = account.orders.get(number) or account.ended.get(number)
    if order is None or order.product is not product:
        raise Refused(-2013, "Order does not exist.")
    return _order(source, account, order)


def _order(source: MarketSource, account: SimulatedAccount, order: Order) -> Row:
    write = account.text
    row = {
        "symbol": order.product.native, "orderId": order.id, "clientOrderId": order.client_id,
        "price": write(order.price), "origQty": write(order.size), "executedQty": write(order.done),
        "status": order.status, "timeInForce": "GTC", "type": order.type, "side": order.side,
        "stopPrice": write(Decimal(0)), "time": order.created, "updateTime": order.updated,
    }  # fmt: skip
    if source.name == "spot":
        quote = {"cummulativeQuoteQty": write(order.paid), "origQuoteOrderQty": write(Decimal(0))}
        return row | quote | {"orderListId": -1, "icebergQty": write(Decimal(0)), "isWorking": True}
    other = {"cumBase" if source.name == "coinm" else "cumQuote": write(order.paid), "avgPrice": write(order.average)}
    return row | other | {"reduceOnly": False, "closePosition": False, "positionSide": "BOTH", "origType": order.type}


def _trades(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    """Oldest first; from an id or a time on, otherwise the newest."""
    if "symbol" not in query and not (source.name == "coinm" and "pair" in query):
        raise missing("symbol")
    wanted = desk_of(source, query).product if "symbol" in query else None
    first, start, end = (bound_in(query, name) for name in ("fromId", "startTime", "endTime"))
    rows = [
        _trade(source, account, row, order)
        for row, order in account.trades
        if (wanted is order.product or query.get("pair") == order.product.pair)
        and row["id"] >= (first or 0)
        and bound_in(query, "orderId") in (None, order.id)
        and (start or 0) <= row["time"] <= (end if end is not None else row["time"])
    ]
    limit = min(number_in(query, "limit", 500), 1000)
    return rows[-limit:] if first is None and start is None else rows[:limit]


def _trade(source: MarketSource, account: SimulatedAccount, row: Row, order: Order) -> Row:
    write = account.text
    told = {
        "symbol": order.product.native, "id": row["id"], "orderId": order.id, "price": write(row["price"]),
        "qty": write(row["size"]), "commission": write(row["fee"]), "commissionAsset": row["asset"],
        "time": row["time"],
    }  # fmt: skip
    buyer, maker, quote = order.side == "BUY", row["maker"], write(row["price"] * row["size"])
    if source.name == "spot":
        about = {"isBuyer": buyer, "isMaker": maker, "isBestMatch": True, "orderListId": -1}
        return told | about | {"quoteQty": quote}
    told |= {"buyer": buyer, "maker": maker, "side": order.side, "positionSide": "BOTH"}
    told["realizedPnl"] = write(row["profit"])
    return told | ({"pair": order.product.pair} if source.name == "coinm" else {"quoteQty": quote})


_Handler = Callable[[MarketSource, SimulatedAccount, Query, int], Any]

_FUTURES: Mapping[str, _Handler] = {
    "account": _account,
    "balance": _balances,
    "positionRisk": _positions,
    "openOrders": _open_orders,
    "order": _single_order,
    "userTrades": _trades,
}
_ROUTES: Mapping[MarketName, Mapping[str, _Handler]] = {
    "spot": {"account": _account, "openOrders": _open_orders, "order": _single_order, "myTrades": _trades},
    "usdm": _FUTURES,
    "coinm": _FUTURES,
}
