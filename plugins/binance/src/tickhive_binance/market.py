"""What differs between Binance's three markets: addresses, limits, intervals, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import frozen

_MINUTES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")


@frozen
class Addresses:
    """Where a market is: streams, REST, and the socket of the account where that is another one."""

    streams: str
    rest: str
    account: str = ""


@frozen(kw_only=True, eq=False)
class Market:
    """One of Binance's markets.

    ``prefix`` begins its REST paths. ``split``: its streams are spread over the paths ``/public`` and ``/market``.
    ``contracts``: sizes count contracts, not the base currency. ``family`` is what messages of this market say in
    ``st`` where two markets share an array. ``messages`` may be sent on a connection per second and ``weight`` spent by
    REST per minute; each is a little below what Binance allows, because pongs and others at this address count too.
    """

    name: Literal["spot", "usdm", "coinm"]
    title: str
    addresses: Mapping[str, Addresses]
    prefix: str
    listing_weight: int
    depth_limits: Sequence[int]
    depth_weights: Sequence[tuple[int, int]]
    kline_weights: Sequence[tuple[int, int]]
    messages: int
    weight: int
    history: str
    """The REST path that gives missed trades by their id, ``history_weight`` for ``history_rows`` of them."""
    history_weight: int
    fills: str
    """The REST path that gives an account's fills of one symbol, at ``fills_weight``, of at most ``fills_hours``."""
    fills_weight: int
    fills_hours: int
    history_rows: int = 1000
    intervals: Sequence[str] = _MINUTES
    split: bool = False
    contracts: bool = False
    family: int = 0
    other_hosts: Sequence[str] = ()

    @property
    def futures(self) -> bool:
        """Whether it trades derivatives: marks, funding, liquidations, ``pu`` in books."""
        return self.family > 0


def weight_of(table: Sequence[tuple[int, int]], limit: int) -> float:
    """What a request for ``limit`` rows weighs."""
    return float(next((weight for most, weight in table if limit <= most), table[-1][1]))


_FUTURES_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
_FUTURES_DEPTH_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))
_FUTURES_KLINE_WEIGHTS = ((100, 1), (500, 2), (1000, 5), (1500, 10))

SPOT = Market(
    name="spot",
    title="Binance spot",
    addresses={
        "production": Addresses(
            "wss://stream.binance.com:9443", "https://api.binance.com", "wss://ws-api.binance.com:443"
        ),
        "testnet": Addresses(
            "wss://stream.testnet.binance.vision",
            "https://testnet.binance.vision",
            "wss://ws-api.testnet.binance.vision",
        ),
        "demo": Addresses("wss://demo-stream.binance.com", "https://demo-api.binance.com"),
    },
    prefix="/api/v3",
    listing_weight=20,
    depth_limits=(5000,),
    depth_weights=((100, 5), (500, 25), (1000, 50), (5000, 250)),
    kline_weights=((1000, 2),),
    messages=4,
    weight=5_700,
    history="historicalTrades",
    history_weight=25,
    fills="myTrades",
    fills_weight=20,
    fills_hours=24,
    intervals=("1s", *_MINUTES),
    other_hosts=(
        "data-stream.binance.vision", "data-api.binance.vision", "api-gcp.binance.com", "api1.binance.com",
        "api2.binance.com", "api3.binance.com", "api4.binance.com", "stream.binance.us", "api.binance.us",
    ),
)  # fmt: skip

USDM = Market(
    name="usdm",
    title="Binance USD-M",
    addresses={
        "production": Addresses("wss://fstream.binance.com", "https://fapi.binance.com"),
        "testnet": Addresses("wss://fstream.binancefuture.com", "https://testnet.binancefuture.com"),
        "demo": Addresses("wss://demo-fstream.binance.com", "https://demo-fapi.binance.com"),
    },
    prefix="/fapi/v1",
    listing_weight=1,
    depth_limits=_FUTURES_DEPTHS,
    depth_weights=_FUTURES_DEPTH_WEIGHTS,
    kline_weights=_FUTURES_KLINE_WEIGHTS,
    messages=8,
    weight=2_300,
    history="aggTrades",
    history_weight=20,
    fills="userTrades",
    fills_weight=5,
    fills_hours=168,
    split=True,
    family=1,
    other_hosts=("ws-fapi.binance.com",),
)

COINM = Market(
    name="coinm",
    title="Binance COIN-M",
    addresses={"production": Addresses("wss://dstream.binance.com", "https://dapi.binance.com")},
    prefix="/dapi/v1",
    listing_weight=1,
    depth_limits=_FUTURES_DEPTHS,
    depth_weights=_FUTURES_DEPTH_WEIGHTS,
    kline_weights=_FUTURES_KLINE_WEIGHTS,
    messages=8,
    weight=2_300,
    history="aggTrades",
    history_weight=20,
    fills="userTrades",
    fills_weight=20,
    fills_hours=168,
    contracts=True,
    family=2,
    other_hosts=("ws-dapi.binance.com",),
)
