"""Starts, watches and counts the collectors of a process."""

from __future__ import annotations

from tickhive.manager.health import ManagerHealthMonitor
from tickhive.manager.lifecycle import CollectorLifecycleManager
from tickhive.manager.logger import ManagerLogger
from tickhive.manager.managed import ManagedCollector
from tickhive.manager.manager import CollectorManager
from tickhive.manager.restart_budget import RestartPolicy
from tickhive.manager.stats import CachedStatsManager, ManagerStatsTracker
from tickhive.manager.status import CollectorEntry, ManagerStatus, ProcessStatistics, Totals

__all__ = [
    "CachedStatsManager",
    "CollectorEntry",
    "CollectorLifecycleManager",
    "CollectorManager",
    "ManagedCollector",
    "ManagerHealthMonitor",
    "ManagerLogger",
    "ManagerStatsTracker",
    "ManagerStatus",
    "ProcessStatistics",
    "RestartPolicy",
    "Totals",
]
