"""Fixtures that every test may use."""

from __future__ import annotations

pytest_plugins = ("pytester", "tests.fixtures.hospital", "tests.fixtures.skips_fail")
