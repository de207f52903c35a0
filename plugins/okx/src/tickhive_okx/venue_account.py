"""An account of the simulated OKX: its money, positions, orders and fills, changed by whoever tests, told as OKX tells.

Rows are kept in the shape OKX documents; pushes and REST answers are made of the same ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeAlias

from attrs import Factory, define, field

from tickhive_okx.venue_listing import MILLISECOND

Row: TypeAlias = dict[str, Any]
Tell: TypeAlias = Callable[["SimulatedAccount", str, list[Row]], None]

_FIRST_ORDER, _FIRST_TRADE, _FIRST_BILL = 680_800_019_749_904_384, 744_876_980, 680_800_019_754_098_688
_FIRST_POSITION = 307_173_036_051_017_730


def _type(native: str) -> str:
    parts = native.split("-")
    if len(parts) == 2:
        return "SPOT"
    return {"SWAP": "SWAP"}.get(parts[2], "FUTURES" if len(parts) == 3 else "OPTION")


def _text(value: Decimal) -> str:
    return f"{value.normalize():f}" if value else "0"


@define(eq=False)
class SimulatedAccount:
    """A user with one API key. ``vip`` may have the tick-by-tick books and the channel ``fills``.

    Instruments are named as OKX does; amounts are texts. Nothing is matched: orders rest until they are filled or
    cancelled here. ``page`` is how many rows a push of a snapshot holds, ``connections`` how many sockets may subscribe
    one of the channels that OKX counts. ``ended`` orders are those that OKX still knows. In ``hedge`` mode (OKX:
    long/short mode) an instrument has two positions, ``posSide`` of an order says which it is for. ``tell`` and
    ``clock`` (ns UTC) are the venue's.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    uid: str = "614488474791936"
    vip: bool = False
    page: int = 20
    connections: int = 30
    hedge: bool = False
    revoked: bool = False
    balances: dict[str, Row] = Factory(dict)
    positions: dict[str, Row] = Factory(dict)
    orders: dict[str, Row] = Factory(dict)
    ended: dict[str, Row] = Factory(dict)
    fills: list[Row] = Factory(list)
    tell: Tell = field(default=lambda account, channel, rows: None, repr=False)
    clock: Callable[[], int] = field(default=lambda: 0, repr=False)
    _order_ids: Iterator[int] = Factory(lambda: itertools.count(_FIRST_ORDER))
    _trade_ids: Iterator[int] = Factory(lambda: itertools.count(_FIRST_TRADE))
    _position_ids: Iterator[int] = Factory(lambda: itertools.count(_FIRST_POSITION))
    _bill_ids: Iterator[int] = Factory(lambda: itertools.count(_FIRST_BILL))

    def _now(self) -> str:
        return str(self.clock() // MILLISECOND)

    # Money

    def set_balance(self, ccy: str, cash: str, frozen: str = "0") -> None:
        """Money came or went."""
        row = self._put_balance(ccy, Decimal(cash), Decimal(frozen))
        self.tell(self, "account", [row])
        self._tell_changes("transferred", [row], [])

    def _put_balance(self, ccy: str, cash: Decimal, frozen: Decimal) -> Row:
        row = {
            "ccy": ccy, "cashBal": _text(cash), "availBal": _text(cash - frozen), "availEq": "",
            "frozenBal": _text(frozen), "ordFrozen": _text(frozen), "eq": _text(cash), "liab": "", "upl": "",
            "uTime": self._now(),
        }  # fmt: skip
        if cash:
            self.balances[ccy] = row
        else:
            self.balances.pop(ccy, None)
        return row

    def _pay(self, ccy: str, amount: Decimal) -> Row:
        row = self.balances.get(ccy, {"cashBal": "0", "frozenBal": "0"})
        return self._put_balance(ccy, Decimal(row["cashBal"]) + amount, Decimal(row["frozenBal"]))

    # Positions

    def set_position(self, native: str, pos: str, px: str = "1", side: str = "net", **fields: str) -> None:
        """A position is there, has another size, or with ``0`` is closed: told once more, then gone."""
        row = self._put_position(native, pos, px, side, **fields)
        self.tell(self, "positions", [row])
        self._tell_changes("filled", [], [row])

    def _put_position(self, native: str, pos: str, px: str, side: str, **fields: str) -> Row:
        known = next((p for p in self.positions.values() if (p["instId"], p["posSide"]) == (native, side)), None)
        now = self._now()
        row = (known or {"posId": str(next(self._position_ids)), "cTime": now}) | {
            "instType": _type(native), "instId": native, "mgnMode": "cross", "posSide": side, "pos": pos, "posCcy": "",
            "realizedPnl": "0", "avgPx": px, "markPx": px, "liqPx": "", "upl": "0", "lever": "10",
            "ccy": native.split("-")[1], "availPos": pos, "imr": "", "margin": "", "adl": "1", "uTime": now,
            "pTime": now,
        } | fields  # fmt: skip
        if pos in ("", "0"):
            self.positions.pop(row["posId"], None)
        else:
            self.positions[row["posId"]] = row
        return row

    def _trade_position(self, order: Row, amount: Decimal, price: Decimal, fee: Decimal) -> Row:
        """What a trade makes of the position it is for. A contract counts for one of the base currency."""
        native, side = order["instId"], order["posSide"]
        held = next((p for p in self.positions.values() if (p["instId"], p["posSide"]) == (native, side)), None)
        entry, profit = (Decimal(held["avgPx"]), Decimal(held["realizedPnl"])) if held else (price, Decimal(0))
        # The positions of hedge mode carry no sign: a short one grows by what is sold.
        direction = -1 if side == "short" else 1
        before = direction * Decimal(held["pos"]) if held else Decimal(0)
        after = before + (amount if order["side"] == "buy" else -amount)
        if abs(after) > abs(before) and before * after >= 0:
            entry = (entry * abs(before) + price * amount) / abs(after)
        else:
            profit += (before if before * after < 0 else before - after) * (price - entry)
            entry = price if before * after < 0 else entry
        told = {"tradeId": order["tradeId"], "realizedPnl": _text(profit + fee), "markPx": _text(price)}
        return self._put_position(native, _text(direction * after), _text(entry), side, **told)

    def _tell_changes(self, why: str, balances: list[Row], positions: list[Row], *trades: Row) -> None:
        row = {
            "pTime": self._now(),
            "eventType": why,
            "balData": [{name: each[name] for name in ("ccy", "cashBal", "uTime")} for each in balances],
            "posData": [brief(each) for each in positions],
            "trades": trades,
        }
        self.tell(self, "balance_and_position", [row])

    # Orders

    def place_order(
        self,
        native: str,
        side: str,
        sz: str,
        px: str = "",
        ord_type: str = "limit",
        *,
        cl_ord_id: str = "",
        **fields: str,
    ) -> str:
        """An order rests in the book; answers its id. ``sz`` of a market order to buy a pair counts the quote currency,
        unless ``tgtCcy`` says ``base_ccy``. ValueError: an order that does not say which of two positions it is for.
        """
        now, pair, slot = self._now(), _type(native) == "SPOT", fields.get("posSide")
        if self.hedge and not pair and slot not in ("long", "short"):
            raise ValueError(f"{native}: in hedge mode an order has posSide long or short, got {slot!r}")
        target = ("quote_ccy" if side == "buy" else "base_ccy") if pair and ord_type == "market" else ""
        id = str(next(self._order_ids))
        self.orders[id] = {
            "instType": _type(native), "instId": native, "ccy": "", "ordId": id, "clOrdId": "", "tag": "",
            "px": px, "sz": sz, "notionalUsd": "", "ordType": ord_type, "side": side,
            "posSide": "" if pair else "net", "tdMode": "cash" if pair else "cross", "tgtCcy": target, "fillPx": "",
            "tradeId": "", "fillSz": "0", "fillTime": "", "fillFee": "0", "fillFeeCcy": "", "fillPnl": "0",
            "execType": "", "accFillSz": "0", "avgPx": "0", "state": "live", "lever": "0", "fee": "0", "feeCcy": "",
            "rebate": "0", "rebateCcy": "", "pnl": "0", "source": "", "cancelSource": "", "category": "normal",
            "uTime": now, "cTime": now, "reqId": "", "amendResult": "", "reduceOnly": "false", "code": "0", "msg": "",
        } | fields  # fmt: skip
        self.tell(self, "orders", [self.orders[id]])
        return id

    def amend(self, order: str, **fields: str) -> None:
        """An open order changes; what it says of its last trade stays as it was."""
        row = self.orders[order] = self.orders[order] | {"amendResult": "0", "uTime": self._now()} | fields
        self.tell(self, "orders", [row])

    def cancel(self, order: str, source: str = "1") -> None:
        """An open order is gone."""
        row = self.orders.pop(order) | {"state": "canceled", "cancelSource": source, "uTime": self._now()}
        self.ended[order] = row
        self.tell(self, "orders", [row])

    def fill(
        self, order: str, sz: str, px: str = "", *, maker: bool = True, fee: str = "0", quietly: bool = False
    ) -> str:
        """A trade fills an open order, in part or to its end; answers its id. ``fee`` is negative when charged.

        ``quietly``: it happens while nobody listens, for REST alone to tell.
        """
        row = self.orders[order]
        now, id, price = self._now(), str(next(self._trade_ids)), px or row["px"]
        before, amount = Decimal(row["accFillSz"]), Decimal(sz)
        done = before + amount
        paid = Decimal(row["avgPx"]) * before + Decimal(price) * amount
        average, spent = paid / done, paid if _in_money(row) else done
        native, buys = row["instId"], row["side"] == "buy"
        base, quote = native.split("-")[:2]
        currency = (base if buys else quote) if row["instType"] == "SPOT" else quote
        row = row | {
            "fillPx": price, "tradeId": id, "fillSz": sz, "fillTime": now, "fillFee": fee, "fillFeeCcy": currency,
            "execType": "M" if maker else "T", "accFillSz": _text(done), "avgPx": _text(average),
            "state": "filled" if spent >= Decimal(row["sz"]) else "partially_filled",
            "fee": _text(Decimal(row["fee"]) + Decimal(fee)), "feeCcy": currency, "uTime": now,
        }  # fmt: skip
        if row["state"] == "filled":
            del self.orders[order]
            self.ended[order] = row
        else:
            self.orders[order] = row
        bill = {
            "instType": row["instType"], "instId": native, "tradeId": id, "ordId": order, "clOrdId": row["clOrdId"],
            "billId": str(next(self._bill_ids)), "subType": "1" if buys else "2", "fillPx": price, "fillSz": sz,
            "side": row["side"], "posSide": row["posSide"], "execType": row["execType"], "feeCcy": currency,
            "fee": fee, "ts": now, "fillTime": now,
        }  # fmt: skip
        self.fills.append(bill)
        sign = 1 if buys else -1
        balances, positions = [], []
        if row["instType"] == "SPOT":
            moved = {base: sign * amount, quote: -sign * amount * Decimal(price)}
            moved[currency] += Decimal(fee)
            balances = [self._pay(ccy, change) for ccy, change in moved.items()]
        else:
            positions = [self._trade_position(row, amount, Decimal(price), Decimal(fee))]
            balances = [self._pay(currency, Decimal(fee))]
        if not quietly:
            clean = row["clOrdId"] if row["clOrdId"].isdecimal() else "0"
            told = ("instId", "fillSz", "fillPx", "side", "ts", "ordId", "tradeId", "execType")
            self.tell(self, "fills", [{name: bill[name] for name in told} | {"clOrdId": clean, "count": "1"}])
            self.tell(self, "orders", [row])
            if positions:
                self.tell(self, "positions", positions)
            self.tell(self, "account", balances)
            self._tell_changes("filled", balances, positions, {"instId": native, "tradeId": id})
        return id

    def liquidate(self, native: str, sz: str, px: str) -> str:
        """The venue closes what the account holds: an order whose trade has the id 0, a fill with a negative one."""
        held = next(p for p in self.positions.values() if p["instId"] == native)
        slot = held["posSide"]
        side = "sell" if Decimal(held["pos"]) > 0 and slot != "short" else "buy"
        id = self.place_order(native, side, sz, px, "market", category="full_liquidation", posSide=slot)
        row = self.orders.pop(id) | {
            "state": "filled", "tradeId": "0", "fillSz": sz, "fillPx": px, "accFillSz": sz, "avgPx": px,
            "fillTime": self._now(), "uTime": self._now(),
        }  # fmt: skip
        self.ended[id] = row
        kept = ("instType", "instId", "ordId", "clOrdId", "fillPx", "fillSz", "side", "posSide")
        bill = {name: row[name] for name in kept}
        trade = f"-{next(self._trade_ids)}"
        times = {"ts": row["uTime"], "fillTime": row["uTime"], "billId": str(next(self._bill_ids))}
        self.fills.append(bill | times | {"tradeId": trade, "execType": "", "fee": "0", "feeCcy": "", "subType": "104"})
        self.tell(self, "orders", [row])
        return trade


def _in_money(order: Row) -> bool:
    """Whether an order is for an amount of the quote currency."""
    target = order["tgtCcy"] or ("quote_ccy" if order["side"] == "buy" else "base_ccy")
    return order["instType"] == "SPOT" and order["ordType"] == "market" and target == "quote_ccy"


def brief(position: Row) -> Row:
    """A position as ``balance_and_position`` tells it."""
    names = ("posId", "instId", "instType", "mgnMode", "posSide", "pos", "ccy", "posCcy", "avgPx", "uTime")
    return {name: position[name] for name in names} | {"tradeId": position.get("tradeId", "")}
