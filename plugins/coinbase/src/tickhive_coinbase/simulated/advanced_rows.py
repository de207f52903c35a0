"""The rows of the simulated Advanced Trade, in its messages and its REST answers."""

from __future__ import annotations

from tickhive.simulation.tape import Bar, Fill, every
from tickhive_coinbase.simulated.account import OwnFill, OwnOrder
from tickhive_coinbase.simulated.listing import Product
from tickhive_coinbase.simulated.venue import SECOND, Desk, Row, iso

FIVE_MINUTES = every(300 * SECOND)
_MAKER = {"buy": "SELL", "sell": "BUY"}
_STATUS = {"open": "OPEN", "filled": "FILLED", "cancelled": "CANCELLED"}


def trade_rows(desk: Desk, fills: list[Fill]) -> list[Row]:
    """Matches, newest first; ``side`` is the maker's."""
    listing, native = desk.product.listing, desk.product.native
    rows = [
        {
            "product_id": native, "trade_id": str(id), "price": listing.price(fill.price), "size": listing.size(size),
            "time": iso(fill.at), "side": _MAKER[fill.side],
        }
        for fill in fills
        for id, size in fill.parts()
    ]  # fmt: skip
    return rows[::-1]


def level_rows(bids: list[tuple[str, str]], asks: list[tuple[str, str]], time: str) -> list[Row]:
    """Levels of a book."""
    return [
        {"side": side, "event_time": time, "price_level": price, "new_quantity": size}
        for side, levels in (("bid", bids), ("offer", asks))
        for price, size in levels
    ]


def ticker_row(desk: Desk, *, batch: bool = False) -> Row:
    """The ticker of now; the slow one has no best prices."""
    listing, stock = desk.product.listing, desk.stock
    day = stock.day
    row: Row = {
        "type": "ticker", "product_id": desk.product.native, "price": listing.price(day.last),
        "volume_24_h": listing.size(day.volume), "low_24_h": listing.price(day.low),
        "high_24_h": listing.price(day.high),
        "low_52_w": listing.price(day.low), "high_52_w": listing.price(day.high),
        "price_percent_chg_24_h": f"{(day.last - day.open) / day.open * 100:.12f}",
    }  # fmt: skip
    if batch:
        return row
    bids, asks = stock.bids.top(1), stock.asks.top(1)
    return row | {
        "best_bid": listing.price(bids[0][0]) if bids else "0", "best_ask": listing.price(asks[0][0]) if asks else "0",
        "best_bid_quantity": listing.size(bids[0][1]) if bids else "0",
        "best_ask_quantity": listing.size(asks[0][1]) if asks else "0",
    }  # fmt: skip


def candle_row(desk: Desk, bar: Bar) -> Row:
    """A candle; ``start`` is seconds, in a string."""
    listing = desk.product.listing
    return {
        "start": str(bar.start // SECOND), "high": listing.price(bar.high), "low": listing.price(bar.low),
        "open": listing.price(bar.open), "close": listing.price(bar.close), "volume": listing.size(bar.volume),
    }  # fmt: skip


def status_row(product: Product) -> Row:
    """A product as the channel ``status`` tells it."""
    return {
        "product_type": "SPOT", "id": product.native, "base_currency": product.base, "quote_currency": product.quote,
        "base_increment": product.lot, "quote_increment": product.tick,
        "display_name": product.native.replace("-", "/"),
        "status": "online", "status_message": "", "min_market_funds": "1",
    }  # fmt: skip


def product_row(product: Product, aliases: list[str], open_interest: str, at: int) -> Row:
    """A product as REST lists it."""
    row: Row = {
        "product_id": product.native, "price": "", "base_increment": product.lot, "quote_increment": product.tick,
        "price_increment": product.tick, "base_min_size": product.lot, "quote_min_size": "1", "status": "online",
        "is_disabled": False, "new": False, "cancel_only": False, "limit_only": False, "post_only": False,
        "trading_disabled": False, "auction_mode": False, "view_only": False, "alias": product.alias,
        "alias_to": aliases, "base_currency_id": product.base, "quote_currency_id": product.quote,
        "product_type": "SPOT" if product.expiry is None else "FUTURE", "product_venue": "CBE",
    }  # fmt: skip
    if product.expiry is None:
        return row
    details: Row = {
        "contract_code": product.base, "contract_root_unit": product.base, "contract_size": "0.01",
        "contract_expiry": iso(product.expiry, 0).replace(".", ""), "contract_expiry_type": "EXPIRING",
    }  # fmt: skip
    if product.expiry == 0:
        hour = at - at % (3600 * SECOND) + 3600 * SECOND
        perpetual = {
            "open_interest": open_interest,
            "funding_rate": "0.000012",
            "funding_time": iso(hour, 0).replace(".", ""),
        }
        details |= {"contract_expiry_type": "PERPETUAL", "contract_expiry": None, "perpetual_details": perpetual}
    return row | {"base_currency_id": "", "product_venue": "FCM", "future_product_details": details}


def order_row(order: OwnOrder) -> Row:
    """An order as the channel ``user`` tells it."""
    average = order.value / order.filled if order.filled else 0
    return {
        "order_id": order.id, "client_order_id": order.client_id, "product_id": order.product, "product_type": "SPOT",
        "order_side": order.side.upper(), "order_type": "Limit", "status": _STATUS[order.status],
        "limit_price": f"{order.price:f}", "stop_price": "", "avg_price": f"{average:f}",
        "cumulative_quantity": f"{order.filled:f}", "leaves_quantity": f"{order.left:f}",
        "filled_value": f"{order.value:f}", "number_of_fills": str(order.fills),
        "completion_percentage": f"{order.filled / order.size * 100:f}", "total_fees": f"{order.fees:f}",
        "total_value_after_fees": f"{order.value + order.fees:f}", "time_in_force": "GOOD_UNTIL_CANCELLED",
        "post_only": "false", "outstanding_hold_amount": f"{order.left * order.price:f}",
        "cancel_reason": "User requested cancel" if order.status == "cancelled" else "", "reject_reason": "",
        "creation_time": iso(order.created), "end_time": iso(order.ended) if order.ended else "0001-01-01T00:00:00Z",
        "retail_portfolio_id": "", "contract_expiry_type": "", "risk_managed_by": "", "trigger_status": "",
    }  # fmt: skip


def past_order_row(order: OwnOrder) -> Row:
    """The same as REST tells it."""
    average = order.value / order.filled if order.filled else 0
    asked = {"base_size": f"{order.size:f}", "limit_price": f"{order.price:f}", "post_only": False}
    return {
        "order_id": order.id, "product_id": order.product, "user_id": "2222-3333", "side": order.side.upper(),
        "order_configuration": {"limit_limit_gtc": asked}, "client_order_id": order.client_id,
        "status": _STATUS[order.status], "time_in_force": "GOOD_UNTIL_CANCELLED", "created_time": iso(order.created),
        "completion_percentage": f"{order.filled / order.size * 100:f}", "filled_size": f"{order.filled:f}",
        "average_filled_price": f"{average:f}", "number_of_fills": str(order.fills), "filled_value": f"{order.value:f}",
        "total_fees": f"{order.fees:f}", "order_type": "LIMIT", "cancel_message": "", "reject_message": "",
        "last_fill_time": None, "settled": order.status == "filled",
    }  # fmt: skip


def fill_row(fill: OwnFill) -> Row:
    """A fill as REST tells it."""
    return {
        "entry_id": f"entry-{fill.id}", "trade_id": str(fill.id), "order_id": fill.order.id, "trade_time": iso(fill.at),
        "trade_type": "FILL", "price": f"{fill.price:f}", "size": f"{fill.size:f}", "commission": f"{fill.fee:f}",
        "product_id": fill.order.product, "sequence_timestamp": iso(fill.at),
        "liquidity_indicator": "MAKER" if fill.maker else "TAKER", "size_in_quote": False, "user_id": "2222-3333",
        "side": fill.order.side.upper(),
    }  # fmt: skip
