"""The conformance suite on all three markets."""

from __future__ import annotations

from tickhive.testing import ExchangeSuite


class TestBinance(ExchangeSuite):
    exchange = "binance"
    frames = "frames/binance"


class TestBinanceUsdm(ExchangeSuite):
    exchange = "binance-usdm"
    frames = "frames/binance-usdm"


class TestBinanceCoinm(ExchangeSuite):
    exchange = "binance-coinm"
    frames = "frames/binance-coinm"
