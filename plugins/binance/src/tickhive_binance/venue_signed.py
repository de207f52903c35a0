"""What the simulated Binance answers its account by REST: funds, positions, orders and trades, signed for.

The fields are those of the documentation's example answers: spot ``rest-api.md`` of 2026-07-21; of futures the pages
"Account Information (V3)", "Futures Account Balance (V3)", "Position Information (V3)", "Current All Open Orders",
"Query Order" and "Account Trade List" of 2026-05-28. Margins are not simulated: they are zero. Which error refuses
which combination of times is not documented; the codes here are those whose text fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from tickhive_binance.venue_account import Order, Position, Row, SimulatedAccount, worth
from tickhive_binance.venue_listing import MarketName
from tickhive_binance.venue_login import Refused, missing
from tickhive_binance.venue_market import MarketSource
from tickhive_binance.venue_payloads import mark_text
from tickhive_binance.venue_rest import Query, bound_in, desk_of, number_in

_HOUR = 3_600_000
_SPAN_HOURS: Mapping[MarketName, int] = {"spot": 24, "usdm": 168, "coinm": 168}
"""The longest time between startTime and endTime of the account's trades."""
_KEPT_HOURS = 90 * 24
"""USD-M lists trades of three months (announced 2026-08-26)."""
_ZERO = "0.00000000"
_MARGINS = ("initialMargin", "maintMargin", "positionInitialMargin", "openOrderInitialMargin")


def answer(source: MarketSource, account: SimulatedAccount, route: str, query: Query, at: int) -> Any:
    """What a request for a signed path is answered, its signature being right; Refused for an error."""
    return _ROUTES[source.name][route](source, account, query, at)


def is_signed(market: MarketName, route: str) -> bool:
    """Whether a path (behind its prefix) tells of the account."""
    return route in _ROUTES[market]


# Funds


def _spot_account(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    write = account.text
    some = query.get("omitZeroBalances") == "true"
    rows = [
        {"asset": asset, "free": write(free), "locked": write(held)}
        for asset, (free, held) in account.balances.items()
        if free or held or not some
    ]
    rates = {"maker": "0.00100000", "taker": "0.00100000", "buyer": _ZERO, "seller": _ZERO}
    return {
        "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
        "commissionRates": rates, "canTrade": True, "canWithdraw": True, "canDeposit": True, "brokered": False,
        "requireSelfTradePrevention": False, "preventSor": False, "updateTime": account.now(),
        "accountType": "SPOT", "balances": rows, "permissions": ["SPOT"], "uid": 354937868,
    }  # fmt: skip


def _futures_account(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    assets = [_asset(account, asset, held) for asset, (held, _) in account.balances.items()]
    if source.name == "coinm":
        margins = dict.fromkeys(_MARGINS, "0") | {"unrealizedProfit": _ZERO, "isolated": False}
        positions = [_coin_margined(each) | margins for each in _everything(source, account)]
        rights = {"canDeposit": True, "canTrade": True, "canWithdraw": True, "feeTier": 0, "updateTime": 0}
        return {"assets": assets, "positions": positions} | rights
    held = account.text(sum((amounts[0] for amounts in account.balances.values()), Decimal(0)))
    none = (
        "totalInitialMargin", "totalMaintMargin", "totalUnrealizedProfit", "totalPositionInitialMargin",
        "totalOpenOrderInitialMargin", "totalCrossUnPnl",
    )  # fmt: skip
    all_of_it = (
        "totalWalletBalance", "totalMarginBalance", "totalCrossWalletBalance", "availableBalance", "maxWithdrawAmount",
    )  # fmt: skip
    margins = {"unrealizedProfit": _ZERO}
    rows = [_usd_margined(source, each, at) | margins for each in _used(account)]
    return (
        dict.fromkeys(none, _ZERO)
        | dict.fromkeys(all_of_it, held)
        | {"assets": assets, "positions": [{name: row[name] for name in _OF_POSITIONS} for row in rows]}
    )


def _asset(account: SimulatedAccount, asset: str, held: Decimal) -> Row:
    none = (*_MARGINS, "unrealizedProfit", "crossUnPnl")
    all_of_it = ("walletBalance", "marginBalance", "crossWalletBalance", "availableBalance", "maxWithdrawAmount")
    amounts = dict.fromkeys(none, _ZERO) | dict.fromkeys(all_of_it, account.text(held))
    return {"asset": asset} | amounts | {"updateTime": account.now()}


def _balances(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    rows = []
    for asset, (held, _) in account.balances.items():
        amount = account.text(held)
        row: Row = {"accountAlias": "SgsR", "asset": asset, "balance": amount, "crossWalletBalance": amount}
        row |= {"crossUnPnl": _ZERO, "availableBalance": amount, "updateTime": account.now()}
        if source.name == "coinm":
            rows.append(row | {"withdrawAvailable": amount})
        else:
            rows.append(row | {"maxWithdrawAmount": amount, "marginAvailable": True})
    return rows


# Positions


def _positions(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    if source.name == "usdm":
        wanted = query.get("symbol")
        return [_usd_margined(source, each, at) for each in _used(account) if wanted in (None, each.product.native)]
    pair, asset = query.get("pair"), query.get("marginAsset")
    risk = {"unRealizedProfit": _ZERO, "liquidationPrice": "0", "marginType": "cross"}
    risk |= {"isolatedMargin": _ZERO, "isAutoAddMargin": "false"}
    return [
        _coin_margined(each) | risk | {"markPrice": mark_text(source.market, each.product, at)}
        for each in _everything(source, account)
        if pair in (None, each.product.pair) and asset in (None, each.product.row["marginAsset"])
    ]


def _used(account: SimulatedAccount) -> Iterator[Position]:
    """USD-M lists what has a position or an open order."""
    ordered = {order.product.native: order.product for order in account.orders.values()}
    for native, position in account.positions.items():
        if position.amount or native in ordered:
            yield position
    for native, product in ordered.items():
        if native not in account.positions:
            yield Position(product)


def _everything(source: MarketSource, account: SimulatedAccount) -> Iterator[Position]:
    """COIN-M lists every instrument."""
    return (account.positions.get(product.native, Position(product)) for product in source.products)


_OF_POSITIONS = (
    "symbol", "positionSide", "positionAmt", "unrealizedProfit", "isolatedMargin", "notional", "isolatedWallet",
    "initialMargin", "maintMargin", "updateTime",
)  # fmt: skip


def _usd_margined(source: MarketSource, position: Position, at: int) -> Row:
    product, entry = position.product, f"{position.entry:.8f}"
    mark = mark_text(source.market, product, at)
    none = (*_MARGINS, "isolatedMargin", "isolatedWallet", "bidNotional", "askNotional")
    return dict.fromkeys(none, "0") | {
        "symbol": product.native, "positionSide": "BOTH", "positionAmt": f"{position.amount}", "entryPrice": entry,
        "breakEvenPrice": entry, "markPrice": mark, "unRealizedProfit": _ZERO, "liquidationPrice": "0",
        "notional": f"{position.amount * Decimal(mark):.8f}", "marginAsset": product.row["marginAsset"], "adl": 2,
        "updateTime": position.updated,
    }  # fmt: skip


def _coin_margined(position: Position) -> Row:
    entry = f"{position.entry:.8f}"
    return {
        "symbol": position.product.native, "positionAmt": f"{position.amount}", "entryPrice": entry,
        "breakEvenPrice": entry, "leverage": "20", "maxQty": "50", "positionSide": "BOTH",
        "updateTime": position.updated,
    }  # fmt: skip


# Orders


def _open_orders(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    wanted = desk_of(source, query).product if "symbol" in query else None
    pair = query.get("pair") if source.name == "coinm" else None
    return [
        _order(source, account, order)
        for order in account.orders.values()
        if wanted in (None, order.product) and pair in (None, order.product.pair)
    ]


def _single_order(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    product, number, name = desk_of(source, query).product, bound_in(query, "orderId"), query.get("origClientOrderId")
    if number is None and name is None:
        raise missing("orderId")
    for order in (*account.orders.values(), *account.ended.values()):
        if order.product is product and number in (None, order.id) and name in (None, order.client_id):
            return _order(source, account, order)
    raise Refused(-2013, "Order does not exist.")


def _order(source: MarketSource, account: SimulatedAccount, order: Order) -> Row:
    write = account.text
    row = {
        "symbol": order.product.native, "orderId": order.id, "clientOrderId": order.client_id,
        "price": write(order.price), "origQty": write(order.size), "executedQty": write(order.done),
        "status": order.status, "timeInForce": "GTC", "type": order.type, "side": order.side,
        "stopPrice": _ZERO, "time": order.created, "updateTime": order.updated, "selfTradePreventionMode": "NONE",
    }  # fmt: skip
    if source.name == "spot":
        quote = {"cummulativeQuoteQty": write(order.paid), "origQuoteOrderQty": _ZERO, "icebergQty": _ZERO}
        return row | quote | {"orderListId": -1, "isWorking": True, "workingTime": order.created}
    row |= {
        "avgPrice": write(order.average), "origType": order.type, "reduceOnly": False, "closePosition": False,
        "positionSide": "BOTH", "workingType": "CONTRACT_PRICE", "priceProtect": False, "priceMatch": "NONE",
    }  # fmt: skip
    if source.name == "usdm":
        return row | {"cumQuote": write(order.paid), "goodTillDate": 0}
    coins = worth(order.product, order.done, order.average) if order.done else Decimal(0)
    return row | {"cumBase": write(coins), "pair": order.product.pair}


# Trades


def _trades(source: MarketSource, account: SimulatedAccount, query: Query, at: int) -> Any:
    """Oldest first; from an id or a time on, otherwise the newest."""
    coin = source.name == "coinm"
    first, start, end, order_id = (bound_in(query, name) for name in ("fromId", "startTime", "endTime", "orderId"))
    _check_trades(source, query, account.now(), first, start, end)
    wanted = desk_of(source, query).product if "symbol" in query else None
    if source.name != "spot" and first is start is end is None:
        start = account.now() - _SPAN_HOURS[source.name] * _HOUR
        newest = True
    else:
        newest = first is None and start is None
    rows = [
        _trade(source, account, row, order)
        for row, order in account.trades
        if (wanted is order.product or (coin and query.get("pair") == order.product.pair))
        and row["id"] >= (first or 0)
        and order_id in (None, order.id)
        and (start or 0) <= row["time"] <= (end if end is not None else row["time"])
    ]
    limit = min(number_in(query, "limit", 50 if coin else 500), 1000)
    return rows[-limit:] if newest else rows[:limit]


def _check_trades(
    source: MarketSource, query: Query, now: int, first: int | None, start: int | None, end: int | None
) -> None:
    """Refuse what cannot be asked together, or for so long a time. All times are ms."""
    timed, spot, coin = start is not None or end is not None, source.name == "spot", source.name == "coinm"
    if "symbol" not in query and not (coin and "pair" in query):
        raise missing("symbol")
    bad = first is not None and timed
    if coin and "pair" in query:
        bad = bad or "symbol" in query or first is not None or "orderId" in query
    if spot and "orderId" in query:
        bad = bad or timed
    if bad:
        raise Refused(-1128, "Combination of optional parameters invalid.")
    hours = _SPAN_HOURS[source.name]
    if start is not None and end is not None and end - start > hours * _HOUR:
        raise Refused(-1127, f"More than {hours} hours between startTime and endTime.")
    if source.name == "usdm" and start is not None and start < now - _KEPT_HOURS * _HOUR:
        raise Refused(-4166, "Search window is restricted to recent 3 months only.")


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
    if source.name == "usdm":
        return told | {"quoteQty": quote}
    coins = write(worth(order.product, row["size"], row["price"]))
    return told | {"pair": order.product.pair, "marginAsset": order.product.row["marginAsset"], "baseQty": coins}


_Handler = Callable[[MarketSource, SimulatedAccount, Query, int], Any]

_FUTURES: Mapping[str, _Handler] = {
    "account": _futures_account,
    "balance": _balances,
    "positionRisk": _positions,
    "openOrders": _open_orders,
    "order": _single_order,
    "userTrades": _trades,
}
_ROUTES: Mapping[MarketName, Mapping[str, _Handler]] = {
    "spot": {"account": _spot_account, "openOrders": _open_orders, "order": _single_order, "myTrades": _trades},
    "usdm": _FUTURES,
    "coinm": _FUTURES,
}
