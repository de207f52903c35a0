"""OKX for tickhive: all public market data of spot, swaps, futures and options, and accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickhive_okx.collector import OKXCollector as OKXCollector

__all__ = ["OKXCollector"]


def __getattr__(name: str) -> Any:
    """Import the collector when it is first asked for: the protocol does without it."""
    if name == "OKXCollector":
        from tickhive_okx.collector import OKXCollector

        return OKXCollector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
