"""A venue on this machine: what simulated venues are made of, and the server that puts any of them behind real sockets.

A venue needs a ``Market`` of ``Listing`` s that follow each ``Index``; it tells its clients of every ``Change`` of a
``Stock``: executions (``Fill``), changed levels (``Row``), bars. ``VenueServer`` serves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tickhive.simulation.catalogue import WELL_KNOWN, is_busy, price_decimals, quarterly_expiries, usual_price
from tickhive.simulation.ladder import Ladder, Row
from tickhive.simulation.market import Change, Forced, Index, Listing, Market, decimal_text
from tickhive.simulation.stock import Stock
from tickhive.simulation.tape import Bar, Fill
from tickhive.simulation.timing import MarketTime

if TYPE_CHECKING:
    from tickhive.simulation.server import ServerStatistics, VenueServer

_SERVER = ("ServerStatistics", "VenueServer")

__all__ = [
    "WELL_KNOWN",
    "Bar",
    "Change",
    "Fill",
    "Forced",
    "Index",
    "Ladder",
    "Listing",
    "Market",
    "MarketTime",
    "Row",
    "ServerStatistics",
    "Stock",
    "VenueServer",
    "decimal_text",
    "is_busy",
    "price_decimals",
    "quarterly_expiries",
    "usual_price",
]


def __getattr__(name: str) -> Any:
    # A venue is made without paying for websockets.
    if name in _SERVER:
        from tickhive.simulation import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
