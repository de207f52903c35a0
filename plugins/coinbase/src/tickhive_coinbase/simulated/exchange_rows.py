"""The messages and rows of the simulated Coinbase Exchange."""

from __future__ import annotations

from tickhive.simulation.tape import Fill
from tickhive_coinbase.simulated.account import OwnFill, OwnOrder
from tickhive_coinbase.simulated.listing import Product
from tickhive_coinbase.simulated.venue import Desk, Row, encode, iso

_OPPOSITE = {"buy": "sell", "sell": "buy"}


def text(message: Row) -> str:
    """A message as JSON."""
    return encode(message).decode()


def product_row(product: Product) -> Row:
    """A product as REST and the channel ``status`` list it."""
    return {
        "id": product.native, "base_currency": product.base, "quote_currency": product.quote,
        "quote_increment": product.tick, "base_increment": product.lot,
        "display_name": product.native.replace("-", "/"),
        "min_market_funds": "1", "margin_enabled": False, "post_only": False, "limit_only": False,
        "cancel_only": False, "status": "online", "status_message": "", "trading_disabled": False,
        "fx_stablecoin": False, "max_slippage_percentage": "0.02", "auction_mode": False,
        "high_bid_limit_percentage": "",
    }  # fmt: skip


def trade_row(desk: Desk, fill: Fill, index: int) -> Row:
    """One match of a taker order; ``side`` is the maker's."""
    listing = desk.product.listing
    id, size = fill.parts()[index]
    return {
        "trade_id": id, "side": _OPPOSITE[fill.side], "size": listing.size(size), "price": listing.price(fill.price),
        "time": iso(fill.at),
    }  # fmt: skip


def match_row(desk: Desk, fill: Fill, index: int) -> Row:
    """The same as the channel ``matches`` tells it, without its type."""
    id = fill.parts()[index][0]
    ids = {
        "maker_order_id": f"2a0da34e-0000-4000-8000-{id:012d}",
        "taker_order_id": f"3c82abaa-0000-4000-8000-{id:012d}",
    }
    return ids | trade_row(desk, fill, index) | {"product_id": desk.product.native, "sequence": desk.sequence}


def ticker_row(desk: Desk) -> Row:
    """The ticker of now; a product that has not traded yet has no trade in it."""
    listing, stock = desk.product.listing, desk.stock
    day = stock.day
    bids, asks = stock.bids.top(1), stock.asks.top(1)
    row: Row = {
        "type": "ticker", "sequence": desk.sequence, "product_id": desk.product.native,
        "price": listing.price(day.last), "open_24h": listing.price(day.open), "volume_24h": listing.size(day.volume),
        "low_24h": listing.price(day.low), "high_24h": listing.price(day.high),
        "volume_30d": listing.size(day.volume * 30),
        "best_bid": listing.price(bids[0][0]) if bids else "0",
        "best_bid_size": listing.size(bids[0][1]) if bids else "0",
        "best_ask": listing.price(asks[0][0]) if asks else "0",
        "best_ask_size": listing.size(asks[0][1]) if asks else "0",
    }  # fmt: skip
    if stock.tape:
        fill = stock.tape[-1]
        row |= {"side": fill.side, "time": iso(fill.at), "trade_id": fill.id, "last_size": listing.size(day.last_size)}
    return row


def order_row(order: OwnOrder) -> Row:
    """An order as REST tells it."""
    row: Row = {
        "id": order.id, "price": f"{order.price:f}", "size": f"{order.size:f}", "product_id": order.product,
        "profile_id": "765d1549", "side": order.side, "type": "limit", "time_in_force": "GTC", "post_only": False,
        "created_at": iso(order.created), "fill_fees": f"{order.fees:f}", "filled_size": f"{order.filled:f}",
        "executed_value": f"{order.value:f}", "status": "open" if order.status == "open" else "done",
        "client_oid": order.client_id, "settled": order.status == "filled",
    }  # fmt: skip
    if order.ended is not None:
        reason = "filled" if order.status == "filled" else "canceled"
        row |= {"done_at": iso(order.ended), "done_reason": reason}
    return row


def fill_row(fill: OwnFill) -> Row:
    """A fill as REST tells it."""
    return {
        "created_at": iso(fill.at), "trade_id": fill.id, "product_id": fill.order.product, "order_id": fill.order.id,
        "user_id": "5844eceecf7e803e259d0365", "profile_id": "765d1549", "liquidity": "M" if fill.maker else "T",
        "price": f"{fill.price:f}", "size": f"{fill.size:f}", "fee": f"{fill.fee:f}", "side": fill.order.side,
        "settled": True, "usd_volume": f"{fill.price * fill.size:f}",
    }  # fmt: skip
