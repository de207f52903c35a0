"""WebSocket connections that hand over everything one read brought, as a list of bytes.

``open_connection`` is the way in. ``mode="fast"`` splits plain frames itself, ``mode="plain"`` leaves every frame to
the ``websockets`` library; both promise the same. Importing this package does not import ``websockets``.
"""

from __future__ import annotations

from tickhive.transport.connection import Connection, Link, Mode, OnFrames
from tickhive.transport.opening import open_connection

__all__ = ["Connection", "Link", "Mode", "OnFrames", "open_connection"]
