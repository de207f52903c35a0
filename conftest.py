"""Settings of every test run: examples of hypothesis have no deadline (timings are benchmarks) and repeat exactly."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("tickhive", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("tickhive"), derandomize=False, max_examples=5_000)
settings.load_profile("tickhive")
