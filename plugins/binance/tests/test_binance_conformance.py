"""The conformance suite on all three markets, on spot with a name that is not ASCII, as Binance has some."""

from __future__ import annotations

from tickhive.testing import ExchangeSuite


class TestBinance(ExchangeSuite):
    exchange = "binance"
    frames = "frames/binance"
    symbols = ("BTC-USDT", "币安人生-USDT")


class TestBinanceUsdm(ExchangeSuite):
    exchange = "binance-usdm"
    frames = "frames/binance-usdm"


class TestBinanceCoinm(ExchangeSuite):
    exchange = "binance-coinm"
    frames = "frames/binance-coinm"
