"""A secret for tests, which may travel to another process."""

from __future__ import annotations

from dataclasses import dataclass

from vaultq_core.spi.secrets import Secret


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """A SecretCallback that always gives the same secret."""

    value: str = "an example passphrase"

    def __call__(self) -> Secret:
        """Return the secret."""
        return Secret(self.value)
