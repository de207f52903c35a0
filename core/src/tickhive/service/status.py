"""The service's status, field by field, as ``DataCollectionService.get_status()`` answers it; all of it JSON-ready."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict

from tickhive.manager import ManagerStatus

ServiceState: TypeAlias = Literal["new", "starting", "running", "stopping", "stopped", "failed"]


class RefusedCollector(TypedDict):
    """A configured collector that could not be made."""

    name: str
    """Its name."""
    exchange: str
    """Its exchange."""
    reason: str
    """Why, and what to do."""


class ServiceStatus(TypedDict):
    """Everything the service knows."""

    name: str
    """The service's name."""
    state: ServiceState
    """new, starting, running, stopping, stopped, or failed (it could not start)."""
    live: bool
    """False: its own watch has died and only a restart of the process helps."""
    ready: bool
    """True: it runs, at least one collector is healthy and the spool, where there is one, accepts events."""
    healthy: bool
    """True: it is ready and nothing at all is wrong."""
    reasons: list[str]
    """A sentence for everything that is wrong; empty when it is healthy."""
    at: int
    """When this was computed, ns UTC."""
    started_at: int | None
    """When it was started, ns UTC; None before."""
    uptime_seconds: float
    """Since then; 0.0 when it does not run."""
    manager: ManagerStatus
    """The collectors and the process."""
    refused: list[RefusedCollector]
    """Configured collectors that could not be made."""
    spool: dict[str, Any] | None
    """The spool's ``status()``; None without sinks."""
    sinks: dict[str, dict[str, Any]]
    """Each sink's ``status()`` by name."""
