"""Both exchanges of this package against the conformance suite."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tickhive.testing import ExchangeSuite

_KEY = ec.generate_private_key(ec.SECP256R1())
_PEM = _KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


class TestCoinbase(ExchangeSuite):
    exchange = "coinbase"
    frames = "frames/coinbase"
    credentials = {"key": "organizations/made-up/apiKeys/conformance", "secret": _PEM}  # noqa: RUF012


class TestCoinbaseExchange(ExchangeSuite):
    exchange = "coinbase-exchange"
    frames = "frames/coinbase-exchange"
