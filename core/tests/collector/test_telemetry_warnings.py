"""A failure that repeats itself is counted each time and logged now and then."""

from __future__ import annotations

from tickhive.clock import ManualClock
from tickhive.collector.telemetry import QUIET_SECONDS, CollectorStateAndTelemetry
from tickhive.testing import capture_logs


async def test_a_failure_that_comes_again_and_again_is_logged_once_a_while() -> None:
    clock = ManualClock()
    telemetry = CollectorStateAndTelemetry("a", "acme", clock)
    with capture_logs() as lines:
        for _ in range(5):
            assert telemetry.warn_of("fetch", "down") == "down"
        telemetry.warn_of("other", "down")
        assert [line["event"].count("failed") for line in lines] == [1, 1]
        await clock.advance(QUIET_SECONDS)
        telemetry.warn_of("fetch", "down")
        assert len(lines) == 3
    assert telemetry.errors == len(telemetry.recent_errors) == 7
