"""The simulated account: its money, positions and orders, which the market fills, told as Binance tells them.

Orders do not stand in the market's own book: whatever is executed at their price or beyond fills them, no more than
that much at a time. Amounts are not checked against the funds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from attrs import Factory, define

from tickhive.channels import DataType
from tickhive.simulation.tape import Fill
from tickhive_binance.venue_listing import MILLISECOND, MarketName, Product

Row: TypeAlias = dict[str, Any]
Counted: TypeAlias = list[tuple[str, DataType]]
Tell: TypeAlias = Callable[[Row, Counted], None]

_FEE = {"spot": Decimal("0.001"), "usdm": Decimal("0.0004"), "coinm": Decimal("0.0004")}
_NONE = Decimal(0)


@define
class Order:
    """An order: sizes and prices as decimals, ``paid`` the sum of price times size filled so far. Times are ms."""

    id: int
    client_id: str
    product: Product
    side: Literal["BUY", "SELL"]
    type: Literal["LIMIT", "MARKET"]
    size: Decimal
    price: Decimal
    created: int
    updated: int
    done: Decimal = _NONE
    paid: Decimal = _NONE
    status: str = "NEW"

    @property
    def average(self) -> Decimal:
        """The average price of what was filled."""
        return self.paid / self.done if self.done else _NONE


@define
class Position:
    """What is held of a future: negative is short, contracts on COIN-M."""

    product: Product
    amount: Decimal = _NONE
    entry: Decimal = _NONE
    updated: int = 0


@define
class SimulatedAccount:
    """The one account of a market: its funds as [free, locked], its positions by instrument, its open orders by id.

    ``ended`` are the orders that are open no more. ``tell`` hears of each event; ``clock`` is the venue's, ns UTC.
    """

    market: MarketName
    tell: Tell
    clock: Callable[[], int]
    balances: dict[str, list[Decimal]] = Factory(dict)
    positions: dict[str, Position] = Factory(dict)
    orders: dict[int, Order] = Factory(dict)
    ended: dict[int, Order] = Factory(dict)
    trades: list[tuple[Row, Order]] = Factory(list)
    _ids: Iterator[int] = Factory(lambda: itertools.count(4_293_153))

    def now(self) -> int:
        """The time, ms."""
        return self.clock() // MILLISECOND

    def deposit(self, asset: str, amount: str) -> None:
        """Money comes, or with a minus goes."""
        self._pay(asset, Decimal(amount))
        if self.market == "spot":
            row = {"e": "balanceUpdate", "E": self.now(), "a": asset, "d": self.text(Decimal(amount)), "T": self.now()}
            self.tell(row, [])
        self._tell_funds([asset], None, "DEPOSIT", Decimal(amount))

    def place_order(self, product: Product, side: Literal["BUY", "SELL"], size: str, price: str = "") -> int:
        """An order waits for the market; without a price it takes the next one. Answers its id."""
        number, now = next(self._ids), self.now()
        kind: Literal["LIMIT", "MARKET"] = "LIMIT" if price else "MARKET"
        order = Order(number, f"web_{number}", product, side, kind, Decimal(size), Decimal(price or 0), now, now)
        self.orders[number] = order
        asset = self._lock(order, order.size)
        self._tell_order(order, "NEW", None)
        if asset is not None:
            self._tell_funds([asset], None, "ORDER", _NONE)
        return number

    def cancel(self, number: int) -> None:
        """An open order is gone."""
        order = self.ended[number] = self.orders.pop(number)
        order.status, order.updated = "CANCELED", self.now()
        asset = self._lock(order, order.done - order.size)
        self._tell_order(order, "CANCELED", None)
        if asset is not None:
            self._tell_funds([asset], None, "ORDER", _NONE)

    def traded(self, product: Product, fills: Sequence[Fill]) -> None:
        """The market traded: whatever reaches an order's price fills it."""
        for order in list(self.orders.values()):
            if order.product is not product:
                continue
            for fill in fills:
                price, size = Decimal(product.price(fill.price)), Decimal(product.size(fill.size))
                reached = price <= order.price if order.side == "BUY" else price >= order.price
                if order.id in self.orders and (order.type == "MARKET" or reached):
                    self._fill(order, fill.id, min(size, order.size - order.done), order.price or price)

    def _fill(self, order: Order, trade: int, size: Decimal, price: Decimal) -> None:
        product, buys = order.product, order.side == "BUY"
        order.done += size
        order.paid += size * price
        order.updated = self.now()
        order.status = "FILLED" if order.done >= order.size else "PARTIALLY_FILLED"
        if order.status == "FILLED":
            self.ended[order.id] = self.orders.pop(order.id)
        row: Row = {"id": trade, "price": price, "size": size, "maker": order.type == "LIMIT", "time": order.updated}
        position = None
        if self.market == "spot":
            self._lock(order, -size)
            base, quote = (size, -size * price) if buys else (-size, size * price)
            asset, got = (product.base, base) if buys else (product.quote, quote)
            fee, profit = got * _FEE["spot"], _NONE
            self._pay(product.base, base)
            self._pay(product.quote, quote)
            self._pay(asset, -fee)
            assets = [product.base, product.quote]
        else:
            asset = product.row["marginAsset"]
            position = self.positions.setdefault(product.native, Position(product))
            profit = _move(position, size if buys else -size, price)
            position.updated = order.updated
            fee = worth(product, size, price) * _FEE[self.market]
            self._pay(asset, profit - fee)
            assets = [asset]
        row |= {"fee": fee, "asset": asset, "profit": profit}
        self.trades.append((row, order))
        self._tell_order(order, "TRADE", row)
        self._tell_funds(assets, position, "ORDER", _NONE)

    def _pay(self, asset: str, amount: Decimal) -> None:
        self.balances.setdefault(asset, [_NONE, _NONE])[0] += amount

    def _lock(self, order: Order, size: Decimal) -> str | None:
        """Hold back what an order of this much needs, or with a minus set it free; only spot orders with a price do."""
        if self.market != "spot" or order.type != "LIMIT":
            return None
        product, buys = order.product, order.side == "BUY"
        asset, amount = (product.quote, size * order.price) if buys else (product.base, size)
        funds = self.balances.setdefault(asset, [_NONE, _NONE])
        funds[0], funds[1] = funds[0] - amount, funds[1] + amount
        return asset

    # Telling

    def text(self, value: Decimal) -> str:
        """An amount as Binance writes it."""
        return f"{value:.8f}"

    def _tell_funds(self, assets: Sequence[str], position: Position | None, why: str, change: Decimal) -> None:
        now, text = self.now(), self.text
        counted: Counted = [(asset, DataType.BALANCE) for asset in assets]
        if self.market == "spot":
            held = [(asset, self.balances[asset][0], self.balances[asset][1]) for asset in assets]
            rows = [{"a": asset, "f": text(free), "l": text(locked)} for asset, free, locked in held]
            self.tell({"e": "outboundAccountPosition", "E": now, "u": now, "B": rows}, counted)
            return
        wallets = [(asset, text(self.balances[asset][0])) for asset in assets]
        balances = [{"a": asset, "wb": held, "cw": held, "bc": text(change)} for asset, held in wallets]
        positions = []
        if position is not None:
            entry = text(position.entry)
            positions.append(
                {"s": position.product.native, "pa": f"{position.amount}", "ep": entry, "bep": entry, "cr": "0",
                 "up": "0", "mt": "cross", "iw": "0", "ps": "BOTH"}
            )  # fmt: skip
            counted.append((position.product.symbol, DataType.POSITION))
        body = {"m": why, "B": balances, "P": positions}
        self.tell({"e": "ACCOUNT_UPDATE", "E": now, "T": now} | self._alias() | {"a": body}, counted)

    def _alias(self) -> Row:
        return {"i": "SfsR"} if self.market == "coinm" else {}

    def _tell_order(self, order: Order, execution: str, trade: Row | None) -> None:
        text, now, product = self.text, self.now(), order.product
        size, price = (trade["size"], trade["price"]) if trade else (_NONE, _NONE)
        counted = [(product.symbol, DataType.ORDER)] + [(product.symbol, DataType.FILL)] * bool(trade)
        row: Row = {
            "s": product.native, "c": order.client_id, "S": order.side, "o": order.type, "f": "GTC",
            "q": text(order.size), "p": text(order.price), "x": execution, "X": order.status, "i": order.id,
            "l": text(size), "z": text(order.done), "L": text(price), "T": order.updated,
            "t": trade["id"] if trade else (-1 if self.market == "spot" else 0), "m": bool(trade and trade["maker"]),
        }  # fmt: skip
        if self.market == "spot":
            row |= {
                "P": text(_NONE), "F": text(_NONE), "g": -1, "C": "", "r": "NONE", "I": order.id * 2 + 1,
                "n": text(trade["fee"]) if trade else "0", "N": trade["asset"] if trade else None,
                "w": execution == "NEW", "M": False, "O": order.created, "Z": text(order.paid),
                "Y": text(size * price), "Q": text(_NONE), "W": order.created, "V": "NONE",
            }  # fmt: skip
            self.tell({"e": "executionReport", "E": now} | row, counted)
            return
        row |= {
            "ap": text(order.average), "sp": "0", "b": "0", "a": "0", "R": False, "wt": "CONTRACT_PRICE",
            "ot": order.type, "ps": "BOTH", "cp": False, "rp": text(trade["profit"]) if trade else "0",
            "V": "NONE", "pm": "NONE", "gtd": 0, "er": "0",
        }  # fmt: skip
        if trade:
            row |= {"n": text(trade["fee"]), "N": trade["asset"]}
        self.tell({"e": "ORDER_TRADE_UPDATE", "E": now, "T": order.updated} | self._alias() | {"o": row}, counted)


def worth(product: Product, size: Decimal, price: Decimal) -> Decimal:
    """What so much of a future is worth in its margin currency."""
    return size * product.dollars / price if product.dollars else size * price


def _move(position: Position, change: Decimal, price: Decimal) -> Decimal:
    """Buy (or with a minus sell) at a price; answers the profit of what that closed."""
    held, product = position.amount, position.product
    closing = min(abs(change), abs(held)) if held * change < 0 else _NONE
    profit = _NONE
    if closing:
        gain = worth(product, closing, price) - worth(product, closing, position.entry)
        profit = gain if (held > 0) is (not product.dollars) else -gain
    position.amount = held + change
    if not position.amount:
        position.entry = _NONE
    elif held * change > 0 and product.dollars:
        position.entry = abs(position.amount) / (abs(held) / position.entry + abs(change) / price)
    elif held * change >= 0:
        position.entry = (position.entry * abs(held) + price * abs(change)) / abs(position.amount)
    elif abs(change) > abs(held):
        position.entry = price
    return profit
