"""A venue on this machine: a seeded market, and the server that puts any simulated venue behind real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickhive.simulation.server import ServerStatistics, VenueServer

__all__ = ["ServerStatistics", "VenueServer"]


def __getattr__(name: str) -> Any:
    # A venue imports the market from here without paying for websockets.
    if name in __all__:
        from tickhive.simulation import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
