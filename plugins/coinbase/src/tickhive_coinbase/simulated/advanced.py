"""The simulated Advanced Trade: numbered sockets with all channels, over a seeded market.

It is written from Coinbase's documentation (2026-08-22) and the frames seen in August 2026, and shares nothing with the
code that reads them, so that the two check each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tickhive.channels import DataType
from tickhive.plugin.contract import Answer
from tickhive.plugin.venue import VenueOptions
from tickhive.simulation.market import Change
from tickhive.simulation.tape import Fill as Executed
from tickhive_coinbase.simulated import advanced_rest
from tickhive_coinbase.simulated.account import OwnFill, OwnOrder, SimulatedAccount, What
from tickhive_coinbase.simulated.advanced_login import account_of
from tickhive_coinbase.simulated.advanced_rows import (
    FIVE_MINUTES,
    candle_row,
    level_rows,
    order_row,
    status_row,
    ticker_row,
    trade_rows,
)
from tickhive_coinbase.simulated.venue import SECOND, TICK, Client, CoinbaseSide, Desk, Row, encode, iso

_WITH_PRODUCTS = ("market_trades", "level2", "ticker", "ticker_batch", "candles", "status")
_SIGNED = ("user", "futures_balance_summary")
_REPLY = {"level2": "l2_data"}
_QUARTER = 250_000_000
_IDLE = 75 * SECOND
_OWN_BATCH = 50
_TRADES_AT_FIRST = 5


class CoinbaseVenue(CoinbaseSide):
    """Advanced Trade as its clients see it. A socket on which nothing was sent for 75 seconds is closed."""

    advanced = True
    book_channels = ("level2",)
    dials = (8, 20)
    messages = (8, 20)
    private = (30, 60)

    def __init__(self, options: VenueOptions | None = None, *, accounts: Sequence[SimulatedAccount] = ()) -> None:
        super().__init__(options, accounts=accounts)
        self.nonces: set[str] = set()
        self._traded: dict[str, list[Executed]] = {}
        self._moved: set[str] = set()
        self._pushed: dict[str, int] = {}
        self._beats: dict[int, int] = {}

    @property
    def subscriptions(self) -> Sequence[str]:
        """The data types worth showing."""
        return ("trade", "orderbook", "ticker", "quote", "candle:5m")

    # Requests

    def message(self, client: Client, message: Row) -> None:
        """Subscribe or unsubscribe one channel."""
        channel, products = message.get("channel"), message.get("product_ids") or []
        account: SimulatedAccount | None = None
        if "channels" in message or not isinstance(channel, str):
            self.violations.append("a message that does not name one channel")
            self.refuse(client, "channel is required")
            return
        if "jwt" in message:
            found = account_of(self.accounts, str(message["jwt"]), self.now, self.nonces)
            if isinstance(found, str):
                self.refuse(client, f"authentication failure: {found}")
                return
            account = found
        if channel in _SIGNED and account is None:
            self.refuse(client, "authentication failure: a jwt is needed")
            return
        if channel not in (*_WITH_PRODUCTS, *_SIGNED, "heartbeats"):
            self.refuse(client, f"{channel} is not a valid channel")
            return
        unknown = next((each for each in products if each not in self.by_native), None)
        if unknown is not None:
            self.refuse(client, f"{unknown} is not a valid product")
            return
        if channel in _WITH_PRODUCTS and channel != "status" and not products:
            self.refuse(client, "product_ids are required")
            return
        keys = [(channel, self._market_name(channel, each)) for each in products] or [(channel, "")]
        if message["type"] == "unsubscribe":
            for key in keys:
                client.keys.pop(key, None)
        else:
            client.account = account or client.account
            opening = [key for key in dict.fromkeys(keys) if key not in client.keys]
            client.keys |= dict.fromkeys(keys)
            # What a channel begins with comes before its acknowledgement (seen 2026-08-12).
            self._open(client, channel, [product for _, product in opening])
        self._acknowledge(client)

    def _market_name(self, channel: str, product: str) -> str:
        """Market data comes under the name of the market."""
        return product if channel in _SIGNED else self.by_native[product].market

    def refuse(self, client: Client, message: str, reason: str = "") -> None:
        """Send an error; it has no number."""
        self.say(client, encode({"type": "error", "message": f"{message} {reason}".strip()}).decode())

    def push(self, client: Client, channel: str, events: Sequence[Row], *counts: tuple[str, DataType, int]) -> None:
        """Send a message with the next number of this socket."""
        number, client.numbered = client.numbered, client.numbered + 1
        head = {"channel": channel, "timestamp": iso(self.market_now, 9), "sequence_num": number}
        self.say(client, encode(head | {"events": events}).decode(), *counts)

    def _acknowledge(self, client: Client) -> None:
        state: dict[str, list[str]] = {}
        for channel, product in client.keys:
            state.setdefault(channel, []).extend([product] if product else [])
        self.push(client, "subscriptions", [{"subscriptions": state}])

    def _open(self, client: Client, channel: str, products: Sequence[str]) -> None:
        """What a subscription begins with."""
        if channel == "user" and products and client.account is not None:
            rows = [order_row(o) for o in client.account.open_orders() if client.listens("user", o.product)]
            rows = rows or [order_row(o) for o in client.account.open_orders() if client.listens("user")]
            for start in range(0, max(1, len(rows)), _OWN_BATCH):
                batch = rows[start : start + _OWN_BATCH]
                counts = [(self.by_native[row["product_id"]].symbol, DataType.ORDER, 1) for row in batch]
                event = {"type": "snapshot", "orders": batch, "positions": {"perpetual_futures_positions": []}}
                self.push(client, "user", [event], *counts)
        elif channel == "status":
            listed = [
                p for p in self.products if p.expiry is None and (client.listens("status") or p.native in products)
            ]
            counts = [(product.symbol, DataType.INSTRUMENT, 1) for product in listed]
            self.push(client, "status", [{"type": "snapshot", "products": [status_row(p) for p in listed]}], *counts)
        elif channel in _WITH_PRODUCTS:
            for product in products:
                self._open_product(client, channel, self.desk(product))

    def _open_product(self, client: Client, channel: str, desk: Desk) -> None:
        symbol = desk.product.symbol
        if channel == "level2":
            # Those who listen already get what is due, so that snapshot and updates fit together for all.
            self._send_book(desk, skip=client)
            levels = level_rows(*desk.whole(), "1970-01-01T00:00:00Z")
            event = {"type": "snapshot", "product_id": desk.product.native, "updates": levels}
            self.push(client, "l2_data", [event], (symbol, DataType.ORDERBOOK, 1))
        elif channel == "market_trades":
            # What waits for the next batch is not among them: it comes as an update.
            waiting = self._traded.get(desk.product.native, [])
            tape = list(desk.stock.tape)
            rows = trade_rows(desk, tape[: len(tape) - len(waiting)][-_TRADES_AT_FIRST:])
            event = {"type": "snapshot", "trades": rows}
            self.push(client, "market_trades", [event], (symbol, DataType.TRADE, len(rows)))
        elif channel in ("ticker", "ticker_batch"):
            self._send_ticker(client, channel, desk, "snapshot")
        elif channel == "candles":
            bars = list(desk.stock.bars("5m", FIVE_MINUTES))[-2:]
            self._send_candles(client, desk, bars, "snapshot")

    # The market

    def traded(self, desk: Desk, change: Change) -> None:
        """Note what the next messages will tell."""
        native = desk.product.native
        if change.fills:
            self._traded.setdefault(native, []).extend(change.fills)
            self._moved.add(native)

    def ticked(self, at: int) -> None:
        """Books and tickers every 50 ms, trades every quarter of a second, candles and heartbeats every second."""
        for desk in self.desks():
            native = desk.product.native
            self._send_book(desk)
            if native in self._moved:
                for client in self.listeners("ticker", native):
                    self._send_ticker(client, "ticker", desk, "update")
            if at % _QUARTER < TICK and (fills := self._traded.pop(native, None)):
                rows = trade_rows(desk, fills)
                for client in self.listeners("market_trades", native):
                    event = {"type": "update", "trades": rows}
                    self.push(client, "market_trades", [event], (desk.product.symbol, DataType.TRADE, len(rows)))
            if at % SECOND < TICK:
                self._tell_candles(desk, at)
            if at % (5 * SECOND) < TICK:
                for client in self.listeners("ticker_batch", native):
                    self._send_ticker(client, "ticker_batch", desk, "update")
        self._moved.clear()
        if at % SECOND < TICK:
            self._beat(at)

    def _beat(self, at: int) -> None:
        for client in self.listeners("heartbeats"):
            beats = self._beats[client.number] = self._beats.get(client.number, 0) + 1
            time = f"{iso(at).replace('T', ' ')[:-1]} +0000 UTC m=+{at % (86_400 * SECOND) / SECOND:.9f}"
            self.push(client, "heartbeats", [{"current_time": time, "heartbeat_counter": beats}])
        for client in tuple(self.clients.values()):
            if client.asked and self.now - client.last_sent >= _IDLE:
                self.violations.append("a socket without heartbeats fell silent")
                self.dismiss(client, 1000, "idle")

    def _send_book(self, desk: Desk, skip: Client | None = None) -> None:
        bids, asks = desk.rows("level2")
        if not (bids or asks):
            return
        event: Row | None = None
        for client in self.listeners("level2", desk.product.native):
            if client is not skip:
                rows = level_rows(bids, asks, iso(self.market_now)) if event is None else event["updates"]
                event = {"type": "update", "product_id": desk.product.native, "updates": rows}
                self.push(client, "l2_data", [event], (desk.product.symbol, DataType.ORDERBOOK, 1))

    def _send_ticker(self, client: Client, channel: str, desk: Desk, type: str) -> None:
        symbol, batch = desk.product.symbol, channel == "ticker_batch"
        counts = [(symbol, DataType.TICKER, 1)] + ([] if batch else [(symbol, DataType.QUOTE, 1)])
        self.push(client, channel, [{"type": type, "tickers": [ticker_row(desk, batch=batch)]}], *counts)

    def _tell_candles(self, desk: Desk, at: int) -> None:
        """The running candle when it changed, and once more the one before when it is over."""
        native = desk.product.native
        listeners = self.listeners("candles", native)
        bars = list(desk.stock.bars("5m", FIVE_MINUTES))[-2:]
        if not listeners or not bars:
            return
        last = bars[-1].start
        told = self._pushed.get(native, last)
        self._pushed[native] = last
        for client in listeners:
            self._send_candles(client, desk, bars if told != last else bars[-1:], "update")

    def _send_candles(self, client: Client, desk: Desk, bars: Sequence[object], type: str) -> None:
        rows = [candle_row(desk, bar) | {"product_id": desk.product.native} for bar in reversed(bars)]  # type: ignore[arg-type]
        event = {"type": type, "candles": rows}
        self.push(client, "candles", [event], (desk.product.symbol, DataType.CANDLE, len(rows)))

    # Accounts

    def account_changed(
        self, account: SimulatedAccount, what: What, order: OwnOrder | None, fill: OwnFill | None
    ) -> None:
        """Tell those of its sockets that listen: each order as it stands, of its fills only their number."""
        if order is None or what in ("received",) or (what == "match" and order.status != "open"):
            return
        for client in [client for client in self.clients.values() if client.account is account]:
            if client.listens("user") or client.listens("user", order.product):
                count = (self.by_native[order.product].symbol, DataType.ORDER, 1)
                self.push(client, "user", [{"type": "update", "orders": [order_row(order)]}], count)

    # REST

    def is_private(self, path: str) -> bool:
        """Whether a REST path is about an account."""
        return not path.startswith((f"{advanced_rest.PREFIX}market/", f"{advanced_rest.PREFIX}time"))

    def rest(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a REST request."""
        return advanced_rest.answer(self, method, path, headers)
