"""What ``[exchanges.binance]``, ``[exchanges.binance-usdm]`` and ``[exchanges.binance-coinm]`` may say."""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import define

from tickhive.plugin import ExchangeSettings, bounded
from tickhive_binance.market import COINM, SPOT, USDM, Addresses, Market


@define(kw_only=True)
class BinanceSettings(ExchangeSettings):
    """The settings of a Binance market.

    ``environment`` chooses the addresses; ``url`` and ``rest_url`` replace them, and serve every path. A book begins
    with a fetched snapshot of ``snapshot_limit`` levels a side, ``snapshot_patience_seconds`` after it was asked for: a
    snapshot must not be older than the first change. One socket carries at most ``streams_per_connection`` streams, and
    ``dials_per_five_minutes`` are opened at most: 300 on spot, while for futures no page of their own says it.
    A gap in the trades is refilled back to ``backfill_trades`` trades before its end, one in an account's fills when it
    is at most ``backfill_fill_days`` long (USD-M keeps them for three months). Open interest is asked for every
    ``open_interest_seconds``.
    """

    market: ClassVar[Market] = SPOT

    environment: Literal["production", "testnet", "demo"] = "production"
    snapshot_limit: int = 1000
    snapshot_patience_seconds: float = bounded(1.0, 0.0, 60.0)
    streams_per_connection: int = bounded(200, 1, 1024)
    dials_per_five_minutes: int = bounded(300, 1, 3_000)
    backfill_trades: int = bounded(20_000, 0, 1_000_000)
    backfill_fill_days: float = bounded(30.0, 0.0, 90.0)
    open_interest_seconds: float = bounded(15.0, 1.0, 3_600.0)

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
        if not 1 <= self.snapshot_limit <= most:
            raise ValueError(f"snapshot_limit: expected 1 to {most}, got {self.snapshot_limit!r}")

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

    Beside the trades merged by price Binance streams each execution (``trade:raw``, ``@trade``). None of the twenty
    streams of its description is that one (2026-08-01), nor is it in the notice of 2026-03-06 that split the paths, so
    it may end without a word. What is certain are measurements of others: on ``/public`` it flows, on ``/market`` it is
    acknowledged and silent (2026-08-01, 2026-09-11). ``raw_trade_path`` is the path it is asked for on.
    """

    market: ClassVar[Market] = USDM

    raw_trade_path: Literal["public", "market"] = "public"


@define(kw_only=True)
class CoinmSettings(BinanceSettings):
    """The settings of COIN-M futures."""

    market: ClassVar[Market] = COINM
