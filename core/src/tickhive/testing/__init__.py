"""What tests of plugins and applications need: ``capture_logs`` and ``ManualClock``."""

from __future__ import annotations

from tickhive.clock import ManualClock
from tickhive.testing.logs import capture_logs

__all__ = ["ManualClock", "capture_logs"]
