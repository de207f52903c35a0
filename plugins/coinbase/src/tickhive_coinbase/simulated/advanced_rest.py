"""The REST endpoints of the simulated Advanced Trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tickhive.plugin.contract import Answer
from tickhive.simulation.tape import every
from tickhive_coinbase.simulated.account import SimulatedAccount
from tickhive_coinbase.simulated.advanced_login import account_of
from tickhive_coinbase.simulated.advanced_rows import candle_row, fill_row, past_order_row, product_row, trade_rows
from tickhive_coinbase.simulated.listing import Product
from tickhive_coinbase.simulated.venue import SECOND, encode, iso

if TYPE_CHECKING:
    from tickhive_coinbase.simulated.advanced import CoinbaseVenue

PREFIX = "/api/v3/brokerage/"
_HOST = "api.coinbase.com"
_GRANULARITIES = {
    "ONE_MINUTE": 60, "FIVE_MINUTE": 300, "FIFTEEN_MINUTE": 900, "THIRTY_MINUTE": 1800, "ONE_HOUR": 3600,
    "TWO_HOUR": 7200, "SIX_HOUR": 21600, "ONE_DAY": 86400,
}  # fmt: skip
_Query = Mapping[str, Sequence[str]]


def answer(venue: CoinbaseVenue, method: str, path: str, headers: Mapping[str, str]) -> Answer:
    """Answer a request."""
    url = urlsplit(path)
    query, parts = parse_qs(url.query), url.path.removeprefix(PREFIX).split("/")
    if not url.path.startswith(PREFIX):
        return _error(404, "NOT_FOUND", "no such path")
    if method != "GET":
        return _error(405, "METHOD_NOT_ALLOWED", "use GET")
    if venue.is_private(path):
        token = headers.get("authorization", "").removeprefix("Bearer ")
        found = account_of(venue.accounts, token, venue.now, venue.nonces, f"{method} {_HOST}{url.path}")
        if isinstance(found, str):
            return _error(401, "Unauthorized", found)
        return _private(found, parts, query)
    match parts:
        case ["time"]:
            now = venue.market_now
            epochs = {"epochSeconds": str(now // SECOND), "epochMillis": str(now // 1_000_000)}
            return _json({"iso": iso(now, 0).replace(".", "")} | epochs)
        case ["market", "products"]:
            return _products(venue, query)
        case ["market", "product_book"]:
            return _book(venue, query)
        case ["market", "products", native, *what] if native in venue.by_native:
            return _product(venue, native, what, query)
    return _error(404, "NOT_FOUND", "product not found")


def _json(value: Any) -> Answer:
    return Answer(200, encode(value), {})


def _error(status: int, error: str, message: str) -> Answer:
    return Answer(status, encode({"error": error, "code": status, "message": message, "details": []}), {})


def _text(query: _Query, name: str) -> str:
    return query.get(name, [""])[0]


def _number(query: _Query, name: str) -> int | None:
    text = _text(query, name)
    return int(text) if text.isdecimal() else None


def _row(venue: CoinbaseVenue, product: Product) -> Any:
    aliases = [each.native for each in venue.products if each.alias == product.native]
    stock = venue.desk(product.native).stock
    return product_row(product, aliases, product.listing.size(stock.open_interest), venue.market_now)


def _products(venue: CoinbaseVenue, query: _Query) -> Answer:
    kind = _text(query, "product_type")
    rows = [_row(venue, product) for product in venue.products]
    rows = [row for row in rows if kind in ("", row["product_type"])]
    offset, limit = _number(query, "offset") or 0, _number(query, "limit") or len(rows)
    return _json({"products": rows[offset : offset + limit], "num_products": len(rows)})


def _book(venue: CoinbaseVenue, query: _Query) -> Answer:
    native = _text(query, "product_id")
    if native not in venue.by_native:
        return _error(404, "NOT_FOUND", "product not found")
    limit = _number(query, "limit") or 1_000_000
    sides = [[{"price": p, "size": s} for p, s in side[:limit]] for side in venue.desk(native).whole()]
    book = {"product_id": native, "bids": sides[0], "asks": sides[1], "time": iso(venue.market_now)}
    return _json({"pricebook": book})


def _product(venue: CoinbaseVenue, native: str, what: list[str], query: _Query) -> Answer:
    desk = venue.desk(native)
    start, end = _number(query, "start"), _number(query, "end")
    if not what:
        return _json(_row(venue, venue.by_native[native]))
    if what == ["ticker"]:
        fills = [
            fill
            for fill in desk.stock.tape
            if (start is None or fill.at >= start * SECOND) and (end is None or fill.at < end * SECOND)
        ]
        rows = trade_rows(desk, fills)[: min(_number(query, "limit") or 100, 1_000)]
        bids, asks = desk.whole()
        return _json(
            {"trades": [row | {"exchange": ""} for row in rows], "best_bid": bids[0][0], "best_ask": asks[0][0]}
        )
    if what == ["candles"]:
        seconds, limit = _GRANULARITIES.get(_text(query, "granularity")), _number(query, "limit") or 350
        if seconds is None or start is None or end is None or limit > 350 or (end - start) // seconds > 350:
            return _error(400, "INVALID_ARGUMENT", "start, end and granularity for at most 350 candles")
        bars = desk.stock.bars(f"{seconds}s", every(seconds * SECOND))
        found = [candle_row(desk, bar) for bar in reversed(bars) if start <= bar.start // SECOND <= end]
        return _json({"candles": found[:limit]})
    return _error(404, "NOT_FOUND", "no such path")


def _private(account: SimulatedAccount, parts: list[str], query: _Query) -> Answer:
    match parts:
        case ["accounts"]:
            rows = [
                {
                    "uuid": f"wallet-{currency}", "name": f"{currency} Wallet", "currency": currency,
                    "available_balance": {"value": f"{free:f}", "currency": currency}, "default": True, "active": True,
                    "type": "ACCOUNT_TYPE_CRYPTO", "ready": True, "hold": {"value": f"{held:f}", "currency": currency},
                }
                for currency, (free, held) in account.balances.items()
            ]  # fmt: skip
            return _json({"accounts": rows, "has_next": False, "cursor": "", "size": len(rows)})
        case ["orders", "historical", "batch"]:
            wanted = _text(query, "order_status").lower()
            orders = [order for order in reversed(account.orders.values()) if wanted in ("", order.status)]
            return _json({"orders": [past_order_row(order) for order in orders], "has_next": False, "cursor": ""})
        case ["orders", "historical", "fills"]:
            since = _text(query, "start_sequence_timestamp")
            fills = [fill for fill in reversed(account.fills) if iso(fill.at) >= since.removesuffix("Z")]
            offset, limit = _number(query, "cursor") or 0, _number(query, "limit") or 100
            more = str(offset + limit) if offset + limit < len(fills) else ""
            return _json({"fills": [fill_row(fill) for fill in fills[offset : offset + limit]], "cursor": more})
        case ["orders", "historical", id] if id in account.orders:
            return _json({"order": past_order_row(account.orders[id])})
    return _error(404, "NOT_FOUND", "no such path")
