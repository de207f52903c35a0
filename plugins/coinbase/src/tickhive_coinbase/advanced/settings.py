"""What ``[exchanges.coinbase]`` may say, and the addresses that follow from it."""

from __future__ import annotations

from attrs import define

from tickhive.plugin import ExchangeSettings, bounded

NAME = "Coinbase"
MARKET = "wss://advanced-trade-ws.coinbase.com"
USER = "wss://advanced-trade-ws-user.coinbase.com"
REST = "https://api.coinbase.com"
PREFIX = "/api/v3/brokerage/"
OTHER_HOSTS = ("api-sandbox.coinbase.com",)
PRODUCT_TYPES = ("SPOT", "FUTURE")


@define(kw_only=True)
class CoinbaseSettings(ExchangeSettings):
    """The settings of Coinbase Advanced Trade.

    ``url`` replaces the addresses of both kinds of sockets, ``rest_url`` that of REST. ``product_types`` are the lists
    read at the start. One socket carries at most ``channels_per_connection`` channels. A gap in the trades is refilled
    back to ``backfill_trades`` trades before its end. Funding and open interest are asked for every ``poll_seconds``.
    A second sees at most ``public_requests`` by REST, and ``private_requests`` about accounts.

    Of an account, orders are told of ``account_products`` (all, when empty); its fills are looked for every
    ``fill_seconds`` while orders are filled, the last ``recent_fills`` of them whenever they are subscribed; its
    balances are asked for every ``balance_seconds``.
    """

    product_types: tuple[str, ...] = PRODUCT_TYPES
    channels_per_connection: int = bounded(200, 1, 1_000)
    backfill_trades: int = bounded(20_000, 0, 1_000_000)
    poll_seconds: float = bounded(60.0, 1, 86_400)
    public_requests: float = bounded(10.0, 0.1, 1_000)
    private_requests: float = bounded(30.0, 0.1, 1_000)
    account_products: tuple[str, ...] = ()
    fill_seconds: float = bounded(1.0, 0.1, 3_600)
    recent_fills: int = bounded(250, 0, 10_000)
    balance_seconds: float = bounded(10.0, 1, 86_400)

    def __attrs_post_init__(self) -> None:
        """Refuse what makes no sense, naming the field."""
        super().__attrs_post_init__()
        for name in self.product_types:
            if name not in PRODUCT_TYPES:
                raise ValueError(f"product_types: expected some of {', '.join(PRODUCT_TYPES)}, got {name!r}")

    def socket(self, place: str) -> str:
        """The WebSocket address of ``market`` or ``account``; neither has a path."""
        return self.url or (USER if place == "account" else MARKET)

    def rest(self, path: str) -> str:
        """The address of a REST path (``market/products?...``)."""
        return f"{(self.rest_url or REST).rstrip('/')}{PREFIX}{path}"
