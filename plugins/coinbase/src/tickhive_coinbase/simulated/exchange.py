"""The simulated Coinbase Exchange: its one socket with all channels, over a seeded market.

It is written from Coinbase's documentation and the frames seen in 2021 and 2026, and shares nothing with the code that
reads them, so that the two check each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tickhive.channels import DataType
from tickhive.plugin.contract import Answer
from tickhive.plugin.venue import VenueOptions
from tickhive.simulation.market import Change
from tickhive.simulation.tape import Fill as Executed
from tickhive_coinbase.simulated import exchange_rest
from tickhive_coinbase.simulated.account import OwnFill, OwnOrder, SimulatedAccount, What
from tickhive_coinbase.simulated.exchange_login import account_of
from tickhive_coinbase.simulated.exchange_rows import match_row, product_row, text, ticker_row
from tickhive_coinbase.simulated.venue import SECOND, TICK, Client, CoinbaseSide, Desk, Row, iso

_OPEN = ("heartbeat", "status", "ticker", "ticker_batch", "matches", "level2_batch")
_SIGNED = ("level2", "user", "balance")
_ALIASES = {"ticker_1000": "ticker_batch", "level2_50": "level2_batch"}
_LISTED = {"level2_batch": "level2_50"}
"""Confirmed under its former name."""
_WITHOUT_PRODUCT = ("status", "balance")
_NO_TIME = "0001-01-01T00:00:00.000000Z"


class CoinbaseExchangeVenue(CoinbaseSide):
    """Coinbase Exchange as its clients see it.

    ``early_data`` is how often data precedes its acknowledgement, ``no_times`` how often a book's update carries the
    time of year 1, both 0 to 1.
    """

    book_channels = ("level2_batch", "level2")

    def __init__(
        self,
        options: VenueOptions | None = None,
        *,
        accounts: Sequence[SimulatedAccount] = (),
        early_data: float = 0.5,
        no_times: float = 0.01,
    ) -> None:
        super().__init__(options, accounts=accounts)
        self._early_data = early_data
        self._no_times = no_times

    @property
    def subscriptions(self) -> Sequence[str]:
        """The data types worth showing."""
        return ("trade", "orderbook", "ticker", "quote")

    # Requests

    def message(self, client: Client, message: Row) -> None:
        """Subscribe or unsubscribe: all that is named or, where one thing is wrong, nothing of it."""
        outer = message.get("product_ids") or []
        wanted: list[tuple[str, str]] = []
        account: SimulatedAccount | None = None
        if "signature" in message:
            account = account_of(self.accounts, message, self.now)
            if account is None:
                self.refuse(client, "Authentication Failed", '{"message":"invalid signature"}')
                return
        for entry in message.get("channels") or []:
            named = {"name": entry} if isinstance(entry, str) else entry
            channel = _ALIASES.get(str(named.get("name")), str(named.get("name")))
            products = named.get("product_ids") or outer
            if channel not in _OPEN + _SIGNED:
                self.refuse(client, "Failed to subscribe", f"{channel} is not a valid channel")
                return
            if channel in _SIGNED and account is None and client.account is None and message["type"] == "subscribe":
                reason = "level2, level3, and full channels now require authentication. https://docs.cdp.coinbase.com"
                self.refuse(client, "Failed to subscribe", reason)
                return
            unknown = next((each for each in products if each not in self.by_native), None)
            if unknown is not None:
                self.refuse(client, "Failed to subscribe", f"{unknown} is not a valid product")
                return
            if channel in _WITHOUT_PRODUCT:
                wanted.append((channel, ""))
            else:
                wanted += [(channel, product) for product in products]
        if not wanted:
            self.refuse(client, "Failed to subscribe", "nothing to subscribe to")
            return
        if message["type"] == "unsubscribe":
            for key in wanted:
                client.keys.pop(key, None)
            self._acknowledge(client)
            return
        client.account = account or client.account
        opening = [key for key in dict.fromkeys(wanted) if key not in client.keys]
        client.keys |= dict.fromkeys(wanted)
        early = self.random.random() < self._early_data
        if not early:
            self._acknowledge(client)
        for channel, product in opening:
            self._open(client, channel, product)
        if early:
            self._acknowledge(client)

    def refuse(self, client: Client, message: str, reason: str = "") -> None:
        """Send an error."""
        self.say(client, text({"type": "error", "message": message, "reason": reason}))

    def _acknowledge(self, client: Client) -> None:
        state: dict[str, list[str]] = {}
        for channel, product in client.keys:
            state.setdefault(_LISTED.get(channel, channel), []).extend([product] if product else [])
        channels = [{"name": name, "product_ids": ids, "account_ids": None} for name, ids in state.items()]
        self.say(client, text({"type": "subscriptions", "channels": channels}))

    def _open(self, client: Client, channel: str, product: str) -> None:
        """What a subscription begins with."""
        if channel in self.book_channels:
            desk = self.desk(product)
            # Those who listen already get what is due, so that snapshot and updates fit together for all.
            self._send_update(desk, channel, self.market_now, skip=client)
            bids, asks = desk.whole()
            said = text({"type": "snapshot", "product_id": product, "asks": asks, "bids": bids})
            self.say(client, said, (desk.product.symbol, DataType.ORDERBOOK, 1))
        elif channel == "matches" and (fill := self._last(product)) is not None:
            desk = self.desk(product)
            row = match_row(desk, fill, len(fill.parts()) - 1) | {"type": "last_match", "sequence": desk.sequence}
            self.say(client, text(row), (desk.product.symbol, DataType.TRADE, 1))
        elif channel in ("ticker", "ticker_batch"):
            self._send_ticker([client], self.desk(product))
        elif channel == "status":
            self.say(client, self._status(), *self._counts())
        elif channel == "balance" and client.account is not None:
            for currency in client.account.balances:
                self._send_balance(client, client.account, currency)

    def _last(self, product: str) -> Executed | None:
        tape = self.desk(product).stock.tape
        return tape[-1] if tape else None

    # The market

    def traded(self, desk: Desk, change: Change) -> None:
        """Matches one by one, and a ticker after each; the books of those who sign are told of every change."""
        native = desk.product.native
        for fill in change.fills:
            for index in range(len(fill.parts())):
                desk.sequence += 1 + self.random.randrange(5)
                listeners = self.listeners("matches", native)
                if listeners:
                    row = text({"type": "match"} | match_row(desk, fill, index))
                    for client in listeners:
                        self.say(client, row, (desk.product.symbol, DataType.TRADE, 1))
                self._send_ticker(self.listeners("ticker", native), desk)
        self._send_update(desk, "level2", change.at)

    def ticked(self, at: int) -> None:
        """Batched books every 50 ms, heartbeats every second, slow tickers and the status every five."""
        for desk in self.desks():
            self._send_update(desk, "level2_batch", at)
            native = desk.product.native
            if at % SECOND == 0:
                for client in self.listeners("heartbeat", native):
                    row = {"sequence": desk.sequence, "last_trade_id": desk.stock.trade_id, "product_id": native}
                    self.say(client, text({"type": "heartbeat"} | row | {"time": iso(at)}))
            if at % (5 * SECOND) < TICK:
                self._send_ticker(self.listeners("ticker_batch", native), desk)
        if at % (5 * SECOND) < TICK:
            for client in self.listeners("status"):
                self.say(client, self._status(), *self._counts())

    def _send_update(self, desk: Desk, channel: str, at: int, skip: Client | None = None) -> None:
        bids, asks = desk.rows(channel)
        listeners = [client for client in self.listeners(channel, desk.product.native) if client is not skip]
        if not listeners or not (bids or asks):
            return
        time = _NO_TIME if self.random.random() < self._no_times else iso(at)
        changes = [["buy", *row] for row in bids] + [["sell", *row] for row in asks]
        said = text({"type": "l2update", "product_id": desk.product.native, "changes": changes, "time": time})
        for client in listeners:
            self.say(client, said, (desk.product.symbol, DataType.ORDERBOOK, 1))

    def _send_ticker(self, clients: Iterable[Client], desk: Desk) -> None:
        symbol = desk.product.symbol
        row = None
        for client in clients:
            row = row or text(ticker_row(desk))
            self.say(client, row, (symbol, DataType.TICKER, 1), (symbol, DataType.QUOTE, 1))

    def _status(self) -> str:
        currencies = [{"id": each, "name": each, "status": "online"} for each in {p.base for p in self.products}]
        rows = [product_row(product) for product in self.products]
        return text({"type": "status", "products": rows, "currencies": sorted(currencies, key=str)})

    def _counts(self) -> list[tuple[str, DataType, int]]:
        return [(product.symbol, DataType.INSTRUMENT, 1) for product in self.products]

    # Accounts

    def account_changed(
        self, account: SimulatedAccount, what: What, order: OwnOrder | None, fill: OwnFill | None
    ) -> None:
        """Tell those of its own sockets that listen."""
        for client in [client for client in self.clients.values() if client.account is account]:
            if what == "balance" and client.listens("balance"):
                self._send_balance(client, account, account.changed)
            elif order is not None and client.listens("user", order.product):
                symbol = self.by_native[order.product].symbol
                counts = [(symbol, DataType.ORDER, 1)] + ([(symbol, DataType.FILL, 1)] if fill else [])
                self.say(client, text(self._own(what, order, fill)), *counts)

    def _own(self, what: What, order: OwnOrder, fill: OwnFill | None) -> Row:
        desk = self.desk(order.product)
        desk.sequence += 1
        row: dict[str, Any] = {
            "type": what, "time": iso(self.market_now), "product_id": order.product, "sequence": desk.sequence,
            "order_id": order.id, "side": order.side, "user_id": "5844eceecf7e803e259d0365", "profile_id": "765d1549",
        }  # fmt: skip
        if what == "received":
            more = {"order_type": "limit", "size": f"{order.size:f}", "price": f"{order.price:f}"}
            return row | more | {"client_oid": order.client_id}
        if what == "open":
            return row | {"price": f"{order.price:f}", "remaining_size": f"{order.left:f}"}
        if what == "change":
            return row | {"reason": "modify_order", "new_size": f"{order.left:f}", "price": f"{order.price:f}"}
        if what == "done":
            reason = {"reason": "filled" if order.status == "filled" else "canceled"}
            cancelled = {} if order.status == "filled" else {"cancel_reason": "User requested cancel"}
            return row | reason | cancelled | {"price": f"{order.price:f}", "remaining_size": f"{order.left:f}"}
        assert fill is not None
        del row["order_id"]
        maker = order.side if fill.maker else {"buy": "sell", "sell": "buy"}[order.side]
        other = "132fb6ae-456b-4654-b4e0-d681ac05cea1"
        ids = (order.id, other) if fill.maker else (other, order.id)
        row |= {"side": maker, "maker_order_id": ids[0], "taker_order_id": ids[1]}
        return row | {"trade_id": fill.id, "size": f"{fill.size:f}", "price": f"{fill.price:f}"}

    def _send_balance(self, client: Client, account: SimulatedAccount, currency: str) -> None:
        available, hold = account.balances.get(currency, (Decimal(0), Decimal(0)))
        now = iso(self.market_now)
        row = {
            "type": "balance", "account_id": f"wallet-{currency}", "currency": currency, "holds": f"{hold:f}",
            "available": f"{available:f}", "updated": now, "timestamp": now,
        }  # fmt: skip
        self.say(client, text(row), (currency, DataType.BALANCE, 1))

    # REST

    def is_private(self, path: str) -> bool:
        """Whether a REST path is about an account."""
        return path.split("?")[0].split("/")[1] in ("accounts", "orders", "fills")

    def rest(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a REST request."""
        return exchange_rest.answer(self, method, path, headers, body)
