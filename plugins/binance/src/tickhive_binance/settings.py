"""What ``[exchanges.binance]``, ``[exchanges.binance-usdm]`` and ``[exchanges.binance-coinm]`` may say."""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import define

from tickhive.plugin import ExchangeSettings
from tickhive_binance.market import COINM, SPOT, USDM, Addresses, Market


@define(kw_only=True)
class BinanceSettings(ExchangeSettings):
    """The settings of a Binance market.

    ``environment`` chooses the addresses; ``url`` and ``rest_url`` replace them, and serve every path. A book begins
    with a fetched snapshot of ``snapshot_limit`` levels a side, ``snapshot_patience_seconds`` after it was asked for: a
    snapshot must not be older than the first change. One socket carries at most ``streams_per_connection`` streams.
    A gap in the trades is refilled back to ``backfill_trades`` trades before its end. Open interest is asked for every
    ``open_interest_seconds``.
    """

    market: ClassVar[Market] = SPOT

    environment: Literal["production", "testnet", "demo"] = "production"
    snapshot_limit: int = 1000
    snapshot_patience_seconds: float = 1.0
    streams_per_connection: int = 200
    backfill_trades: int = 20_000
    open_interest_seconds: float = 15.0

    def __attrs_post_init__(self) -> None:
        """Refuse what this market does not have, naming the field."""
        super().__attrs_post_init__()
        market = self.market
        if self.environment not in market.addresses and not (self.url and self.rest_url):
            have = ", ".join(market.addresses)
            raise ValueError(
                f"environment: {market.title} has {have}; got {self.environment!r} (or set url and rest_url)"
            )
        most = market.depth_limits[-1]
        if market.futures and self.snapshot_limit not in market.depth_limits:
            have = ", ".join(map(str, market.depth_limits))
            raise ValueError(f"snapshot_limit: {market.title} takes {have}; got {self.snapshot_limit!r}")
        for name, least, highest in (
            ("snapshot_limit", 1, most),
            ("snapshot_patience_seconds", 0.0, 60.0),
            ("streams_per_connection", 1, 1024),
            ("backfill_trades", 0, 1_000_000),
            ("open_interest_seconds", 1.0, 3_600.0),
        ):
            value = getattr(self, name)
            if not least <= value <= highest:
                raise ValueError(f"{name}: expected {least} to {highest}, got {value!r}")

    @property
    def _addresses(self) -> Addresses:
        return self.market.addresses.get(self.environment, Addresses("", ""))

    def socket(self, path: str) -> str:
        """The address of a path of the streams (``/public/stream``)."""
        return f"{(self.url or self._addresses.streams).rstrip('/')}{path}"

    @property
    def account_socket(self) -> str:
        """The address of the WebSocket API, which brings the account of the spot market; "" where none is known."""
        base = self.url or self._addresses.account
        return f"{base.rstrip('/')}/ws-api/v3" if base else ""

    def rest(self, path: str, version: str = "") -> str:
        """The address of a REST path (``depth?symbol=BTCUSDT``), of another ``version`` than usual where named."""
        prefix = self.market.prefix
        if version:
            prefix = f"{prefix.rpartition('/')[0]}/{version}"
        return f"{(self.rest_url or self._addresses.rest).rstrip('/')}{prefix}/{path}"


@define(kw_only=True)
class SpotSettings(BinanceSettings):
    """The settings of the spot market."""

    market: ClassVar[Market] = SPOT


@define(kw_only=True)
class UsdmSettings(BinanceSettings):
    """The settings of USD-M futures.

    Binance also streams single trades, where it streams trades already merged by price (``trade:raw``); that stream is
    undocumented: ``raw_trade_path`` is the path it was last seen on.
    """

    market: ClassVar[Market] = USDM

    raw_trade_path: Literal["public", "market"] = "public"


@define(kw_only=True)
class CoinmSettings(BinanceSettings):
    """The settings of COIN-M futures."""

    market: ClassVar[Market] = COINM
