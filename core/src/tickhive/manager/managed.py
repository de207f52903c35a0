"""What the manager needs of a collector: every BaseDataCollector fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class ManagedCollector(Protocol):
    """Something with a name that can be started, stopped and asked how it is."""

    @property
    def name(self) -> str:
        """Its name, unique within one manager."""

    @property
    def auto_restart(self) -> bool:
        """Whether the manager may restart it when it stays unhealthy."""

    async def start(self) -> Any:
        """Begin to collect; raise, or answer False, when that is impossible."""

    async def stop(self) -> Any:
        """End collecting and give every resource back."""

    async def restart(self) -> Any:
        """Stop and start again."""

    def get_status(self) -> Mapping[str, Any]:
        """What it is doing, as plain values."""

    def get_health_status(self) -> Mapping[str, Any]:
        """At least ``healthy`` (bool) and ``reasons`` (sentences, empty when healthy).

        An unhealthy one that is not to be restarted may say why by one of these being True: ``needs_operator``,
        somebody has to mend the cause; ``waits``, it is on its way and a restart would only lose its place.
        """
