"""OKX under tickhive's conformance suite: everything the core relies on, case by case."""

from __future__ import annotations

from tickhive.testing import ExchangeSuite


class TestOKX(ExchangeSuite):
    exchange = "okx"
    frames = "frames"
    without = {  # noqa: RUF012
        "TH-604": "OKX has sent none since June 2026; test_okx_books_proof.py checks those of recordings made before"
    }
