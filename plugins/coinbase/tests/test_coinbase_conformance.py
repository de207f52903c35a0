"""Both exchanges of this package against the conformance suite."""

from __future__ import annotations

from tickhive.testing import ExchangeSuite


class TestCoinbase(ExchangeSuite):
    exchange = "coinbase"
    frames = "frames/coinbase"


class TestCoinbaseExchange(ExchangeSuite):
    exchange = "coinbase-exchange"
    frames = "frames/coinbase-exchange"
