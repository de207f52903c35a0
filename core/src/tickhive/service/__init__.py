"""A configuration at work: collectors, their manager, the spool and the sinks as one service."""

from __future__ import annotations

from tickhive.service.config import ServiceConfig, SinkConfig
from tickhive.service.factory import CollectorFactory, Refusal
from tickhive.service.service import DataCollectionService
from tickhive.service.status import ServiceStatus

__all__ = [
    "CollectorFactory",
    "DataCollectionService",
    "Refusal",
    "ServiceConfig",
    "ServiceStatus",
    "SinkConfig",
]
