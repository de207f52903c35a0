"""What ``[exchanges.coinbase-exchange]`` may say, and the addresses that follow from it."""

from __future__ import annotations

from attrs import define

from tickhive.plugin import ExchangeSettings, bounded

NAME = "Coinbase Exchange"
SOCKETS = {
    (False, False): "wss://ws-feed.exchange.coinbase.com",
    (False, True): "wss://ws-direct.exchange.coinbase.com",
    (True, False): "wss://ws-feed-public.sandbox.exchange.coinbase.com",
    (True, True): "wss://ws-direct.sandbox.exchange.coinbase.com",
}
"""By (sandbox, direct)."""
REST = {False: "https://api.exchange.coinbase.com", True: "https://api-public.sandbox.exchange.coinbase.com"}
RETIRED_HOSTS = ("ws-feed.pro.coinbase.com", "api.pro.coinbase.com", "ws-feed.gdax.com", "api.gdax.com")


@define(kw_only=True)
class CoinbaseExchangeSettings(ExchangeSettings):
    """The settings of Coinbase Exchange.

    ``sandbox`` is its test site, ``direct`` the sockets that let in only those who sign. ``url`` and ``rest_url``
    replace the addresses chosen by these two. One socket carries at most ``channels_per_connection`` channels. A second
    sees at most ``messages`` of ours on all sockets. A gap in the trades is refilled back to ``backfill_trades`` trades
    before its end.

    Of an account, orders and fills are told of ``account_products`` (all that are listed, when empty), balances of the
    wallets ``balance_accounts`` (all, when empty). Whenever fills are subscribed, the last ``recent_fills`` of each of
    ``account_products`` are asked for. What the messages about orders from before the socket do not say is looked for
    every ``fill_seconds``, while there is any.
    """

    sandbox: bool = False
    direct: bool = False
    channels_per_connection: int = bounded(200, 1, 1_000)
    messages: float = bounded(10.0, 0.1, 1_000)
    backfill_trades: int = bounded(20_000, 0, 1_000_000)
    account_products: tuple[str, ...] = ()
    balance_accounts: tuple[str, ...] = ()
    recent_fills: int = bounded(100, 0, 1_000)
    fill_seconds: float = bounded(1.0, 0.1, 3_600)

    def __attrs_post_init__(self) -> None:
        """Refuse what makes no sense, naming the field."""
        super().__attrs_post_init__()
        for field in ("account_products", "balance_accounts"):
            if not all(name and name.isascii() and name.isprintable() for name in getattr(self, field)):
                raise ValueError(f"{field}: expected names of Coinbase's own, got {getattr(self, field)!r}")

    @property
    def socket(self) -> str:
        """The WebSocket address; it has no path."""
        return self.url or SOCKETS[self.sandbox, self.direct]

    def rest(self, path: str) -> str:
        """The address of a REST path (``products?...``)."""
        base = self.rest_url or REST[self.sandbox]
        return f"{base.rstrip('/')}/{path}"
