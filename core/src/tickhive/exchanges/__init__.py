"""From a configuration to a collector: what to collect, and who knows how."""

from __future__ import annotations

from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.exchanges.factory import ExchangeFactory

__all__ = ["ExchangeCollectorConfig", "ExchangeFactory"]
