"""Events on disk between the collectors and the sinks; accepted is committed."""

from tickhive.spool.cursor import FlushPolicy, Lag, Range, SpoolCursor
from tickhive.spool.spool import Spool
from tickhive.spool.standing import Standing, stream_of

__all__ = ["FlushPolicy", "Lag", "Range", "Spool", "SpoolCursor", "Standing", "stream_of"]
