"""Collect live market data from exchanges over WebSockets; every exchange is a plugin.

Names are imported when they are first used, so that importing tickhive costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickhive.channels import Channel as Channel
    from tickhive.channels import DataType as DataType
    from tickhive.channels import Instrument as Instrument
    from tickhive.channels import Subscription as Subscription
    from tickhive.channels import make_symbol as make_symbol
    from tickhive.collector.base import BaseDataCollector as BaseDataCollector
    from tickhive.collector.plugin_collector import PluginCollector as PluginCollector
    from tickhive.collector.telemetry import CollectorStatus as CollectorStatus
    from tickhive.errors import BookNotLive as BookNotLive
    from tickhive.errors import CollectorError as CollectorError
    from tickhive.errors import ConfigurationError as ConfigurationError
    from tickhive.errors import ConnectionFailed as ConnectionFailed
    from tickhive.errors import ConnectionLost as ConnectionLost
    from tickhive.errors import CredentialsError as CredentialsError
    from tickhive.errors import FetchError as FetchError
    from tickhive.errors import PermissionsError as PermissionsError
    from tickhive.errors import PluginError as PluginError
    from tickhive.errors import RecordingError as RecordingError
    from tickhive.errors import SinkError as SinkError
    from tickhive.errors import SpoolError as SpoolError
    from tickhive.errors import TickhiveError as TickhiveError
    from tickhive.errors import UnknownExchangeError as UnknownExchangeError
    from tickhive.errors import UnknownSymbolError as UnknownSymbolError
    from tickhive.events import Balance as Balance
    from tickhive.events import BookDelta as BookDelta
    from tickhive.events import BookSnapshot as BookSnapshot
    from tickhive.events import Candle as Candle
    from tickhive.events import Fill as Fill
    from tickhive.events import FundingRate as FundingRate
    from tickhive.events import Gap as Gap
    from tickhive.events import IndexPrice as IndexPrice
    from tickhive.events import InstrumentUpdate as InstrumentUpdate
    from tickhive.events import Level as Level
    from tickhive.events import Liquidation as Liquidation
    from tickhive.events import MarketEvent as MarketEvent
    from tickhive.events import MarkPrice as MarkPrice
    from tickhive.events import OpenInterest as OpenInterest
    from tickhive.events import Order as Order
    from tickhive.events import Position as Position
    from tickhive.events import PriceLimit as PriceLimit
    from tickhive.events import Quote as Quote
    from tickhive.events import SubscriptionUpdate as SubscriptionUpdate
    from tickhive.events import Ticker as Ticker
    from tickhive.events import Trade as Trade
    from tickhive.exchanges.config import ExchangeCollectorConfig as ExchangeCollectorConfig
    from tickhive.exchanges.factory import ExchangeFactory as ExchangeFactory
    from tickhive.manager.manager import CollectorManager as CollectorManager
    from tickhive.plugin.contract import Credentials as Credentials
    from tickhive.plugin.hookspecs import hookimpl as hookimpl
    from tickhive.recording.replay import Replay as Replay
    from tickhive.service.config import ServiceConfig as ServiceConfig
    from tickhive.service.service import DataCollectionService as DataCollectionService
    from tickhive.session.book_view import BookView as BookView
    from tickhive.session.candles import CandleBuilder as CandleBuilder
    from tickhive.sinks.base import Sink as Sink
    from tickhive.sinks.base import SinkBatch as SinkBatch

_ROOMS = {
    "channels": ("Channel", "DataType", "Instrument", "Subscription", "make_symbol"),
    "collector.base": ("BaseDataCollector",),
    "collector.plugin_collector": ("PluginCollector",),
    "collector.telemetry": ("CollectorStatus",),
    "errors": (
        "BookNotLive",
        "CollectorError",
        "ConfigurationError",
        "ConnectionFailed",
        "ConnectionLost",
        "CredentialsError",
        "FetchError",
        "PermissionsError",
        "PluginError",
        "RecordingError",
        "SinkError",
        "SpoolError",
        "TickhiveError",
        "UnknownExchangeError",
        "UnknownSymbolError",
    ),
    "events": (
        "Balance",
        "BookDelta",
        "BookSnapshot",
        "Candle",
        "Fill",
        "FundingRate",
        "Gap",
        "IndexPrice",
        "InstrumentUpdate",
        "Level",
        "Liquidation",
        "MarkPrice",
        "MarketEvent",
        "OpenInterest",
        "Order",
        "Position",
        "PriceLimit",
        "Quote",
        "SubscriptionUpdate",
        "Ticker",
        "Trade",
    ),
    "exchanges.config": ("ExchangeCollectorConfig",),
    "exchanges.factory": ("ExchangeFactory",),
    "manager.manager": ("CollectorManager",),
    "plugin.contract": ("Credentials",),
    "plugin.hookspecs": ("hookimpl",),
    "recording.replay": ("Replay",),
    "service.config": ("ServiceConfig",),
    "service.service": ("DataCollectionService",),
    "session.book_view": ("BookView",),
    "session.candles": ("CandleBuilder",),
    "sinks.base": ("Sink", "SinkBatch"),
}
_HOME = {name: f"{__name__}.{module}" for module, names in _ROOMS.items() for name in names}

__version__ = "0.1.0"
__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
