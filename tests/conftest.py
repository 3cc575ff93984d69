"""Fixtures that every test may use."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ("pytester", "tests.fixtures.hospital", "tests.fixtures.skips_fail")

# How long an example takes says something about the machine, not about the code.
settings.register_profile("vaultq", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vaultq")
