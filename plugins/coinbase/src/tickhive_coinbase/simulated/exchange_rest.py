"""The REST endpoints of the simulated Coinbase Exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tickhive.plugin.contract import Answer
from tickhive.simulation.tape import every
from tickhive_coinbase.simulated.account import SimulatedAccount
from tickhive_coinbase.simulated.exchange_login import account_of_request
from tickhive_coinbase.simulated.exchange_rows import fill_row, order_row, product_row, ticker_row, trade_row
from tickhive_coinbase.simulated.venue import SECOND, Desk, Row, encode, iso

if TYPE_CHECKING:
    from tickhive_coinbase.simulated.exchange import CoinbaseExchangeVenue

_GRANULARITIES = (60, 300, 900, 3600, 21600, 86400)
_Query = Mapping[str, Sequence[str]]


def answer(venue: CoinbaseExchangeVenue, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Answer a request."""
    url = urlsplit(path)
    query = parse_qs(url.query)
    parts = url.path.strip("/").split("/")
    if method != "GET":
        return _error(405, "Method not allowed")
    if venue.is_private(path):
        account = account_of_request(venue.accounts, method, path, headers, body, venue.now)
        if account is None:
            return _error(401, "invalid signature")
        return _private(account, parts, query)
    match parts:
        case ["products"]:
            return _json([product_row(product) for product in venue.products])
        case ["products", native, *what] if native in venue.by_native:
            return _product(venue, native, what, query)
        case ["time"]:
            return _json({"iso": iso(venue.market_now, 3), "epoch": venue.market_now / SECOND})
    return _error(404, "NotFound")


def _json(value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(200, encode(value), headers or {})


def _error(status: int, message: str) -> Answer:
    return Answer(status, encode({"message": message}), {})


def _number(query: _Query, name: str) -> int | None:
    text = query.get(name, [""])[0]
    return int(text) if text.isdecimal() else None


def _product(venue: CoinbaseExchangeVenue, native: str, what: list[str], query: _Query) -> Answer:
    desk = venue.desk(native)
    match what:
        case []:
            return _json(product_row(desk.product))
        case ["trades"]:
            return _trades(desk, query)
        case ["book"]:
            level = _number(query, "level") or 1
            bids, asks = desk.whole()
            depth = 1 if level == 1 else None
            rows = {"bids": [[*row, 1] for row in bids[:depth]], "asks": [[*row, 1] for row in asks[:depth]]}
            return _json(rows | {"sequence": desk.sequence, "auction_mode": False, "time": iso(venue.market_now)})
        case ["ticker"]:
            row = ticker_row(desk)
            names = {"bid": "best_bid", "ask": "best_ask", "price": "price", "volume": "volume_24h"}
            return _json({name: row.get(there) for name, there in names.items()} | {"time": iso(venue.market_now)})
        case ["candles"]:
            return _candles(desk, query)
    return _error(404, "NotFound")


def _trades(desk: Desk, query: _Query) -> Answer:
    """Newest first; ``after`` leads to older ones, ``before`` to newer ones."""
    limit = min(_number(query, "limit") or 1000, 1000)
    after, before = _number(query, "after"), _number(query, "before")
    rows: list[Row] = []
    for fill in reversed(desk.stock.tape):
        for index in reversed(range(len(fill.parts()))):
            row = trade_row(desk, fill, index)
            if (after is None or row["trade_id"] < after) and (before is None or row["trade_id"] > before):
                rows.append(row)
    rows = rows[:limit]
    if not rows:
        return _json(rows)
    return _json(rows, {"CB-BEFORE": str(rows[0]["trade_id"]), "CB-AFTER": str(rows[-1]["trade_id"])})


def _candles(desk: Desk, query: _Query) -> Answer:
    granularity = _number(query, "granularity")
    if granularity not in _GRANULARITIES:
        return _error(400, "Unsupported granularity")
    listing = desk.product.listing
    rows = []
    for bar in reversed(desk.stock.bars(f"{granularity}s", every(granularity * SECOND))):
        prices = (bar.low, bar.high, bar.open, bar.close)
        rows.append(
            [bar.start // SECOND, *(float(listing.price(each)) for each in prices), float(listing.size(bar.volume))]
        )
    return _json(rows[:300])


def _private(account: SimulatedAccount, parts: list[str], query: _Query) -> Answer:
    match parts:
        case ["accounts"]:
            rows = [
                {
                    "id": f"wallet-{currency}", "currency": currency, "balance": f"{available + hold:f}",
                    "hold": f"{hold:f}", "available": f"{available:f}", "profile_id": "765d1549",
                    "trading_enabled": True,
                }
                for currency, (available, hold) in account.balances.items()
            ]  # fmt: skip
            return _json(rows)
        case ["orders"]:
            return _json([order_row(order) for order in account.open_orders()])
        case ["orders", id] if id in account.orders:
            order = account.orders[id]
            # One that was cancelled without a fill is forgotten.
            if order.status != "cancelled" or order.filled:
                return _json(order_row(order))
        case ["fills"]:
            wanted, order_id = query.get("product_id", [""])[0], query.get("order_id", [""])[0]
            if not (wanted or order_id):
                return _error(400, "either order_id or product_id is required")
            found = [
                f for f in reversed(account.fills) if wanted in ("", f.order.product) and order_id in ("", f.order.id)
            ]
            return _json([fill_row(fill) for fill in found[: _number(query, "limit") or 1000]])
    return _error(404, "NotFound")
