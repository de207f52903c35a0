"""Template under tickhive's conformance suite: everything the core relies on, case by case."""

from __future__ import annotations

from tickhive.testing import ExchangeSuite


class TestTemplate(ExchangeSuite):
    exchange = "template"
    frames = "frames"
